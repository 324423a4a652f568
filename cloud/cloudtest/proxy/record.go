package proxy

import (
	"net/url"
	"time"
)

// Call is one request that reached the proxy; a retry of the SDK is another.
type Call struct {
	N int // counts from 1
	// Service and Operation are named as in cloud.Call: EC2 CreateSnapshots.
	Service, Operation string
	Account, Region    string
	At                 time.Time
	// Token is the client token, where there is one.
	Token string
	// Invocation is the same for all attempts of one call of the SDK.
	Invocation string
	// Params are those of EC2, without user data; nil for other services.
	Params url.Values
	DryRun bool
	// Status and Code are the answer: 0 where there was none.
	Status int
	Code   string
}

// String prints the call as Service.Operation.
func (c Call) String() string { return c.Service + "." + c.Operation }

// begin records a request.
func (p *Proxy) begin(r *request) Call {
	c := Call{Service: r.service, Operation: r.operation, Account: r.account, Region: r.region, At: p.now(),
		Token: r.token, Invocation: r.http.Header.Get("Amz-Sdk-Invocation-Id"), DryRun: r.dryRun}
	if r.service == "EC2" {
		c.Params = url.Values{}
		for name, values := range r.form {
			if name != "UserData" && name != "UserData.Value" {
				c.Params[name] = append([]string(nil), values...)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.N = len(p.calls) + 1
	p.calls = append(p.calls, c)
	return c
}

// end records the answer.
func (p *Proxy) end(n int, a answer) {
	code := ""
	if a.status >= 300 {
		code = a.header.Get("X-Amzn-Errortype")
		if tree, err := parse(a.body); code == "" && err == nil {
			code = tree.deep("Code")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[n-1].Status, p.calls[n-1].Code = a.status, code
}

// Calls are all requests so far, in the order in which they came.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Count is how many requests of an operation came, Service.Operation.
func (p *Proxy) Count(name string) int {
	n := 0
	for _, c := range p.Calls() {
		if c.String() == name {
			n++
		}
	}
	return n
}
