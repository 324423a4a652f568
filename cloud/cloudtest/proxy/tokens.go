package proxy

import (
	"net/http"
	"strings"
)

// remembered is the answer that a client token stands for.
type remembered struct {
	body   string        // the request without its signature
	ended  chan struct{} // closed when there is an answer
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

// replay answers a repeated token, once the call that came first with it has its
// answer. The caller of one that is not replayed gives it to remember.
func (p *Proxy) replay(r *request) (first *remembered, is bool) {
	key := tokenKey(r)
	if key == "" {
		return nil, false
	}
	for {
		p.mu.Lock()
		old := p.state.tokens[key]
		if old == nil {
			first = &remembered{body: r.asked, ended: make(chan struct{})}
			p.state.tokens[key] = first
			p.mu.Unlock()
			return first, false
		}
		p.mu.Unlock()
		select {
		case <-old.ended:
		case <-r.http.Context().Done():
			return &remembered{answer: r.refuse(http.StatusServiceUnavailable, "RequestLimitExceeded", "A call with the same client token is under way.")}, true
		}
		switch {
		case !old.answer.ok():
			continue // it had no effect, and is forgotten
		case old.body != r.asked:
			return &remembered{answer: r.refuse(http.StatusBadRequest, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")}, true
		}
		return old, true
	}
}

// remember keeps the answer of a token.
func (p *Proxy) remember(r *request, first *remembered, a answer) {
	if first == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first.answer = a
	if !a.ok() {
		delete(p.state.tokens, tokenKey(r))
	}
	close(first.ended)
}
