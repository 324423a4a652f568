package proxy

import (
	"net/http"
	"strings"
)

// remembered is the answer that a client token stands for.
type remembered struct {
	body   string // the request without its signature
	answer answer
}

// withToken are the operations whose token makes them happen once. moto ignores
// tokens.
var withToken = map[string]bool{"EC2.RunInstances": true, "EC2.CreateVolume": true, "EC2.CreateNetworkAcl": true}

func tokenKey(r *request) string {
	if !withToken[r.name()] || r.token == "" || r.dryRun {
		return ""
	}
	return strings.Join([]string{r.account, r.region, r.name(), r.token}, "\x00")
}

// replay answers a repeated token.
func (p *Proxy) replay(r *request) (bool, answer) {
	key := tokenKey(r)
	if key == "" {
		return false, answer{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.state.tokens[key]
	switch {
	case old == nil:
		return false, answer{}
	case old.body != r.asked:
		return true, r.refuse(http.StatusBadRequest, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
	}
	return true, old.answer
}

// remember keeps the answer of a token.
func (p *Proxy) remember(r *request, a answer) {
	key := tokenKey(r)
	if key == "" || !a.ok() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.tokens[key] = &remembered{body: r.asked, answer: a}
}
