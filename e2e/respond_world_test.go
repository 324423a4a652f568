package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/respond"
)

// externalID is what the roles of the attacked account ask for.
const externalID = "external-id-of-the-tests"

// account is an account of a company on moto, the queue of its security team,
// and the service that looks after it. What is asked here is asked by plain
// clients of the SDK, never by guardroom's code.
type account struct {
	*instance
	t       testing.TB
	number  string                 // of the account
	on      *cloudtest.MotoScenery // the account, as its owner
	home    aws.Config             // the security team's own account
	owner   aws.Config
	proxy   *proxy.Proxy // nil: moto alone
	vendors *vendors
	queue   string
	bucket  string  // for evidence
	code    []byte  // of functions
	store   string  // of the service; empty: a SQLite file
	scale   float64 // of the service's waits; 0: 20

	mu       sync.Mutex
	assumed  []url.Values // the requests for roles
	problems []string
}

// quick is how long AWS takes in these tests.
var quick = proxy.Timing{Snapshot: time.Second, Copy: time.Second, Volume: 300 * time.Millisecond, Attachment: 300 * time.Millisecond, Instance: 500 * time.Millisecond,
	Checks: time.Second, Metadata: 300 * time.Millisecond, Invocation: 200 * time.Millisecond}

// newAccount builds the account; respondYAML is what stands below respond:.
func newAccount(t testing.TB, id string, behindProxy bool) *account {
	t.Helper()
	return newSlowAccount(t, id, behindProxy, quick)
}

// newSlowAccount is newAccount where AWS takes its time.
func newSlowAccount(t testing.TB, id string, behindProxy bool, timing proxy.Timing) *account {
	t.Helper()
	m, err := awsServer()
	if err != nil {
		t.Fatal(err)
	}
	usedAWS.Store(true)
	a := &account{t: t, number: id, bucket: "evidence-" + id, vendors: newVendors(t, 20, 0, 1)}
	_, a.on = cloudtest.OnMoto(t, m.URL, id, time.Now, func(time.Duration) {}, proxy.Options{Timing: timing, Problem: func(message string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.problems = append(a.problems, message)
	}})
	behind := m.URL
	if behindProxy {
		a.proxy, behind = a.on.Proxy, a.on.Proxy.URL
	}
	endpoint := a.door(behind)
	a.home = aws.Config{Region: cloudtest.Region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	a.owner = a.home.Copy()
	a.owner.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(a.home), "arn:aws:iam::"+id+":role/owner"))
	made, err := sqs.NewFromConfig(a.home).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("findings-" + id)})
	if err != nil {
		t.Fatal(err)
	}
	a.queue = aws.ToString(made.QueueUrl)
	_, err = a.s3(a.home).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &a.bucket, ObjectLockEnabledForBucket: aws.Bool(true), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: cloudtest.Region}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// codePath is where the door serves the code of functions: the address that moto
// gives leads nowhere.
const codePath = "/code-of-the-function"

var functionPath = regexp.MustCompile(`^/2015-03-31/functions/[^/]+$`)

// relocate has the description of a function name another place of its code.
func relocate(r *http.Response, to string) error {
	var f map[string]any
	err := json.NewDecoder(r.Body).Decode(&f)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return err
	}
	if c, ok := f["Code"].(map[string]any); ok {
		c["Location"] = to
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}

// door stands before moto, keeps the requests for roles, and serves the code of
// functions.
func (a *account) door(to string) string {
	a.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		a.t.Fatal(err)
	}
	var s *httptest.Server
	p := &httputil.ReverseProxy{ModifyResponse: func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || !functionPath.MatchString(r.Request.URL.Path) || r.StatusCode != http.StatusOK {
			return nil
		}
		return relocate(r, s.URL+codePath)
	}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway) // the service was ended in the middle of a call
	}}
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == codePath {
			_, _ = w.Write(a.code)
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "AssumeRole" {
				a.mu.Lock()
				a.assumed = append(a.assumed, form)
				a.mu.Unlock()
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		if !strings.Contains(r.Header.Get("Authorization"), "/sqs/aws4_request") {
			// A request that has come is carried out, as AWS does, although the
			// service is killed meanwhile.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
			defer cancel()
			r = r.WithContext(ctx)
		}
		p.ServeHTTP(w, r)
	}))
	a.t.Cleanup(s.Close)
	return s.URL
}

func (a *account) s3(c aws.Config) *s3.Client {
	return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
}

// serve starts the service; more is what stands below respond: besides the role.
func (a *account) serve(more string) {
	a.t.Helper()
	if a.proxy != nil {
		a.on.Role("guardroom-read", "/")
	}
	env := append(awsEnv(aws.ToString(a.home.BaseEndpoint)), "AWS_REGION="+cloudtest.Region)
	a.instance = newInstance(a.t, a.vendors, settings{store: a.store, scale: cmp.Or(a.scale, 20), env: env, sources: fmt.Sprintf(`  sqs:
    - {name: findings, queue_url: %q, region: %s, visibility: 5s}
`, a.queue, cloudtest.Region), more: fmt.Sprintf(`aws: {region: %s, read_role: guardroom-read, external_id: %s}
respond:
  act_role: guardroom-act
  evidence: {url: "s3://%s/cases"}
%s`, cloudtest.Region, externalID, a.bucket, more)})
	a.edit(fmt.Sprintf("{routing_key: %q, ", fakepagerduty.DefaultRoutingKey), fmt.Sprintf("{mode: incidents, api_token: %q, from: %q, service_id: %q, ", fakepagerduty.DefaultToken, fakepagerduty.DefaultUser, fakepagerduty.DefaultService),
		"lease: 30s", "lease: 20m", `accounts:`, fmt.Sprintf("accounts:\n  - {id: %q, name: payments-live, environment: prod, owner: payments}", a.number))
	a.start()
	if err := a.ready(); err != nil {
		a.t.Fatal(err)
	}
}

// finding sends a finding and returns its incident, as INC-1.
func (a *account) finding(typ string, severity float64, resource map[string]any) string {
	a.t.Helper()
	id := a.send(typ, severity, resource)
	var number int64
	await(a.t, a.instance, "the finding from the queue is an incident", func() bool {
		for _, f := range lines[findingLine](a.t, a.must("finding", "list", "--json")) {
			if f.ID == id {
				number = f.Incident
			}
		}
		return number > 0
	})
	return fmt.Sprintf("INC-%d", number)
}

// send sends a finding as EventBridge puts it into the queue and returns its id.
func (a *account) send(typ string, severity float64, resource map[string]any) string {
	a.t.Helper()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	id := fmt.Sprintf("%032x", time.Now().UnixNano())
	detail := map[string]any{
		"schemaVersion": "2.0", "accountId": a.number, "region": cloudtest.Region, "partition": "aws", "id": id, "type": typ, "severity": severity,
		"arn":   "arn:aws:guardduty:" + cloudtest.Region + ":" + a.number + ":detector/12abc34d567e8fa901bc2d34e56789f0/finding/" + id,
		"title": "Something was seen", "description": "Made by a test.", "createdAt": now, "updatedAt": now, "resource": resource,
		"service": map[string]any{"serviceName": "guardduty", "detectorId": "12abc34d567e8fa901bc2d34e56789f0", "archived": false, "resourceRole": "ACTOR", "count": 1,
			"eventFirstSeen": now, "eventLastSeen": now, "action": map[string]any{"actionType": "DNS_REQUEST", "dnsRequestAction": map[string]any{"domain": "pool.example", "protocol": "UDP", "blocked": false}}},
	}
	body, err := json.Marshal(map[string]any{"version": "0", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "account": a.number, "region": cloudtest.Region, "time": now, "detail": detail})
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := sqs.NewFromConfig(a.home).SendMessage(a.t.Context(), &sqs.SendMessageInput{QueueUrl: &a.queue, MessageBody: aws.String(string(body))}); err != nil {
		a.t.Fatal(err)
	}
	return id
}

// plan makes a plan that waits for its approval.
func (i *instance) plan(args ...string) api.PlanDetail {
	i.t.Helper()
	p := lines[api.PlanDetail](i.t, i.must(append([]string{"plan", "create", "--json"}, args...)...))[0]
	if p.Row.State != respond.PlanWaiting || p.Plan == nil {
		i.t.Fatalf("the plan is %s: %s", p.Row.State, p.Row.Why)
	}
	return p
}

// approve approves a plan and returns its run.
func (i *instance) approve(p api.PlanDetail) string {
	i.t.Helper()
	out := lines[api.PlanDetail](i.t, i.must("plan", "approve", string(p.Row.ID), "--digest", p.Row.Digest, "--reason", "asked on the phone", "--json"))[0]
	if out.Row.Run == "" {
		i.t.Fatalf("no run was started: %+v", out.Row)
	}
	return string(out.Row.Run)
}

// undo makes the plan that undoes a run, and carries it out.
func (i *instance) undo(run string) api.RunDetail {
	i.t.Helper()
	p := lines[api.PlanDetail](i.t, i.must("run", "undo", run, "--json"))[0]
	return i.follow(i.approve(p))
}

// look is how a run stands.
func (i *instance) look(run string) api.RunDetail {
	i.t.Helper()
	return lines[api.RunDetail](i.t, i.must("run", "show", run, "--json"))[0]
}

// end follows a run to its end, as a person does.
func (i *instance) follow(run string) api.RunDetail {
	i.t.Helper()
	r := i.run("run", "watch", run)
	d := i.look(run)
	if !d.Run.State.Ended() {
		i.t.Fatalf("the watch ended with %d before the run did\n%s%s\n%s", r.code, r.out, r.err, i.out)
	}
	return d
}

// completed fails the test where a run did not end as it should.
func completed(t *testing.T, d api.RunDetail) {
	t.Helper()
	if d.Run.State == respond.RunCompleted {
		return
	}
	t.Errorf("run %s is %s: %s\n%s", d.Run.ID, d.Run.State, d.Run.Summary, stepLines(d))
}

// stepLines are the steps of a run, one a line.
func stepLines(d api.RunDetail) string {
	var b strings.Builder
	for _, s := range d.Progress.Steps {
		fmt.Fprintf(&b, "  %-12s %-40s %s\n", s.State, s.ID, s.Message)
	}
	return b.String()
}

// got is a value without its error, which fails the test.
func got[O any](t testing.TB) func(O, error) O {
	return func(out O, err error) O {
		t.Helper()
		if err != nil {
			t.Fatalf("look from outside: %v", err)
		}
		return out
	}
}
