package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// request is a call as the proxy understands it.
type request struct {
	http      *http.Request
	body      []byte
	service   string // as cloud.Call has it
	operation string
	account   string
	region    string
	key       string     // the access key
	form      url.Values // of the Query protocols
	asked     string     // the body as it came; guards may change the form
	token     string     // the client token
	dryRun    bool
	page      string    // the NextToken of a page that the proxy cuts
	group     string    // of Auto Scaling: that of the instance that it is about
	fails     string    // a rule: what is born ends in this error
	kept      []string  // the values of a filter that moto cannot answer
	source    *snapshot // what a volume is made of
}

func (r *request) name() string { return r.service + "." + r.operation }

// scope is the credential scope of a signature.
var scope = regexp.MustCompile(`Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request`)

// serviceNames maps the name in a signature to the one of cloud.Call.
var serviceNames = map[string]string{"ec2": "EC2", "autoscaling": "AutoScaling", "elasticloadbalancing": "ELB", "iam": "IAM", "sts": "STS", "ssm": "SSM",
	"s3": "S3", "kms": "KMS", "ebs": "EBS", "lambda": "Lambda", "rds": "RDS", "wafv2": "WAF", "logs": "Logs", "guardduty": "GuardDuty", "cloudtrail": "CloudTrail"}

// read parses a request. One that it does not understand has an empty operation
// and is sent on.
func (p *Proxy) read(r *http.Request) (*request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	req := &request{http: r, body: body, form: url.Values{}}
	signed := r.Header.Get("Authorization")
	if signed == "" {
		signed = "Credential=" + r.URL.Query().Get("X-Amz-Credential") // a signed URL
	}
	if m := scope.FindStringSubmatch(signed); m != nil {
		req.key, req.region, req.service = m[1], m[2], serviceNames[m[3]]
		if req.service == "" {
			req.service = m[3]
		}
	}
	req.account = p.accountOf(req.key)
	switch target := r.Header.Get("X-Amz-Target"); {
	case target != "":
		req.operation = target[strings.LastIndex(target, ".")+1:]
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		if req.form, err = url.ParseQuery(string(body)); err != nil {
			return nil, fmt.Errorf("read the form: %w", err)
		}
		req.operation = req.form.Get("Action")
		if req.service == "ELB" && req.form.Get("Version") == "2015-12-01" {
			req.service += "v2"
		}
	default:
		req.operation = route(req.service, r)
	}
	req.asked, req.token, req.dryRun = string(body), req.form.Get("ClientToken"), req.form.Get("DryRun") == "true"
	return req, nil
}

// accountOf is whose access key it is, and remembers that this account has it.
func (p *Proxy) accountOf(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	account := p.accounts[key]
	if account == "" {
		account = Home
	}
	if key != "" {
		p.keys[account] = key
	}
	return account
}

// fields decodes a JSON body.
func (r *request) fields(v any) error {
	if len(r.body) == 0 {
		return nil
	}
	return json.Unmarshal(r.body, v)
}

// list are the values of a list parameter, Name.1, Name.2, ….
func (r *request) list(name string) []string {
	var out []string
	for i := 1; ; i++ {
		v, ok := r.form[fmt.Sprintf("%s.%d", name, i)]
		if !ok {
			return out
		}
		out = append(out, v[0])
	}
}

// filter are the values of a filter of EC2, and whether there is one.
func (r *request) filter(name string) (values []string, ok bool) {
	for i := 1; ; i++ {
		at := fmt.Sprintf("Filter.%d", i)
		v, there := r.form[at+".Name"]
		if !there {
			return nil, false
		}
		if v[0] == name {
			return r.list(at + ".Value"), true
		}
	}
}

// as is the request with another form.
func (r *request) as(form url.Values) *request {
	out := *r
	out.form = form
	out.body = []byte(form.Encode())
	out.http = r.http.Clone(r.http.Context())
	out.http.Header.Del("Content-Length")
	out.operation = form.Get("Action")
	return &out
}

// set changes one parameter of the form.
func (r *request) set(name, value string) {
	r.form.Set(name, value)
	r.body = []byte(r.form.Encode())
	r.http.Header.Del("Content-Length")
}

// by is the request as another account sends it.
func (p *Proxy) by(r *request, account string) *request {
	p.mu.Lock()
	key := p.keys[account]
	p.mu.Unlock()
	out := *r
	out.account, out.key = account, key
	out.http = r.http.Clone(r.http.Context())
	out.http.Header.Set("Authorization", strings.Replace(r.http.Header.Get("Authorization"), "Credential="+r.key+"/", "Credential="+key+"/", 1))
	return &out
}

// ask asks moto's EC2 something in passing; parameters come in pairs.
func (p *Proxy) ask(r *request, operation string, pairs ...string) (*node, error) {
	form := url.Values{"Action": {operation}, "Version": {"2016-11-15"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	a := p.forward(r.as(form))
	tree, err := parse(a.body)
	if err != nil {
		return nil, fmt.Errorf("ask moto for %s: %w", operation, err)
	}
	if !a.ok() {
		return tree, fmt.Errorf("ask moto for %s: %s", operation, tree.deep("Code"))
	}
	return tree, nil
}
