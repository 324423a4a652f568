package proxy

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var roleAccount = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(\d{12}):role/`)

// learnKey remembers whose the keys are that AssumeRole gives out.
func (p *Proxy) learnKey(r *request, a answer) answer {
	tree, err := parse(a.body)
	m := roleAccount.FindStringSubmatch(r.form.Get("RoleArn"))
	if err != nil || m == nil {
		return a
	}
	if key := tree.deep("AccessKeyId"); key != "" {
		p.mu.Lock()
		p.accounts[key], p.keys[m[1]] = m[1], key
		p.mu.Unlock()
	}
	return a
}

// showKey says of a key that EBS made for itself that AWS manages it; moto says
// so of none.
func (p *Proxy) showKey(r *request, a answer) answer {
	var out struct {
		KeyMetadata map[string]any `json:"KeyMetadata"`
	}
	if json.Unmarshal(a.body, &out) != nil {
		return a
	}
	id, _ := out.KeyMetadata["KeyId"].(string)
	if !p.managedByAWS(r, id) {
		return a
	}
	out.KeyMetadata["KeyManager"] = "AWS"
	body, err := json.Marshal(out)
	if err != nil {
		return a
	}
	a.body, a.header = body, a.header.Clone()
	a.header.Del("Content-Length")
	return a
}

// managedByAWS reports whether a key is one that a service made for itself.
func (p *Proxy) managedByAWS(r *request, keyID string) bool {
	if keyID == "" {
		return false
	}
	key := keyID[strings.LastIndex(keyID, "/")+1:]
	body, err := json.Marshal(map[string]string{"KeyId": key})
	if err != nil {
		return false
	}
	ask := *r
	ask.service, ask.operation, ask.body = "KMS", "ListAliases", body
	ask.http = r.http.Clone(r.http.Context())
	ask.http.Method = http.MethodPost
	ask.http.URL.Path, ask.http.URL.RawPath, ask.http.URL.RawQuery = "/", "", ""
	ask.http.Header = http.Header{"X-Amz-Target": {"TrentService.ListAliases"}, "Content-Type": {"application/x-amz-json-1.1"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=" + r.key + "/20260101/" + r.region + "/kms/aws4_request, SignedHeaders=host, Signature=0"}}
	var out struct {
		Aliases []struct{ AliasName, TargetKeyId string }
	}
	if a := p.forward(&ask); !a.ok() || json.Unmarshal(a.body, &out) != nil {
		return false
	}
	return slices.ContainsFunc(out.Aliases, func(x struct{ AliasName, TargetKeyId string }) bool {
		return strings.HasPrefix(x.AliasName, "alias/aws/") && x.TargetKeyId == key
	})
}

// guardGrant refuses the alias of a key, which moto takes and AWS does not.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func (p *Proxy) guardGrant(r *request) answer {
	var in struct{ KeyId string }
	if r.fields(&in) != nil {
		return answer{}
	}
	name := in.KeyId
	if parts := strings.SplitN(name, ":", 6); len(parts) == 6 {
		name = parts[5]
	}
	if strings.HasPrefix(name, "alias/") {
		return r.refuse(http.StatusBadRequest, "NotFoundException", "Invalid keyId '"+in.KeyId+"'")
	}
	return answer{}
}
