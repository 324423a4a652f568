package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Rule makes calls fail.
type Rule struct {
	// Operation is Service.Operation; empty: every one.
	Operation string
	// Match narrows it further; nil: all.
	Match func(Call) bool
	// Nth is the first matching call that fails, counted from 1; 0: the first.
	Nth int
	// Times is how many fail from then on; 0: one, negative: all.
	Times int
	// Fault is how.
	Fault Fault
}

// Lost says when a connection breaks.
type Lost int

// The moments. After it acted, the caller does not know that it did.
const (
	Never Lost = iota
	BeforeIt
	AfterIt
)

// Fault is what happens to a call. The zero value is nothing.
type Fault struct {
	// Status, Code and Message refuse it before anything happens.
	Status        int
	Code, Message string
	// Lost cuts the connection without an answer.
	Lost Lost
	// Half sends the first half of the answer and cuts the connection.
	Half bool
	// Hold runs before the call is answered: a slow answer, or a moment at
	// which the test does something else.
	Hold func(Call)
	// Acted runs after the call has had its effect, before its answer is given.
	Acted func(Call)
	// EndsInError lets what the call makes (a snapshot, a copy) end in an error,
	// with this message.
	EndsInError string
	// Stale answers a describe as the same one was answered before.
	Stale bool
	// PageSize cuts the answer of a describe into pages.
	PageSize int
	// Skew moves the Date of the answer.
	Skew time.Duration
}

// Faults that AWS is known for.

// Throttled is EC2's way to say: slower.
func Throttled() Fault {
	return Fault{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
}

// Throttling is the other services' way.
func Throttling() Fault {
	return Fault{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"}
}

// Broken is an error inside of AWS.
func Broken() Fault {
	return Fault{Status: http.StatusInternalServerError, Code: "InternalError", Message: "An internal error has occurred"}
}

// NoCapacity is what RunInstances answers where there is no room.
func NoCapacity() Fault {
	return Fault{Status: http.StatusInternalServerError, Code: "InsufficientInstanceCapacity", Message: "We currently do not have sufficient capacity in the Availability Zone you requested."}
}

// Unauthorized is EC2's refusal, with the message that only
// DecodeAuthorizationMessage can read.
func Unauthorized() Fault {
	return Fault{Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. Encoded authorization failure message: 4GdPv2hm"}
}

// Expired is the refusal of credentials whose time is over.
func Expired() Fault {
	return Fault{Status: http.StatusBadRequest, Code: "RequestExpired", Message: "Request has expired."}
}

// NotYet is what a describe answers about something just made.
func NotYet(code string) Fault {
	return Fault{Status: http.StatusBadRequest, Code: code, Message: "It does not exist"}
}

type activeRule struct {
	Rule
	seen int
}

// Add puts a rule at the end of the list. The first that fits a call decides.
func (p *Proxy) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &activeRule{Rule: r})
	}
}

// ClearRules takes all rules away.
func (p *Proxy) ClearRules() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// fault is what happens to a call.
func (p *Proxy) fault(c Call) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if (r.Operation != "" && r.Operation != c.String()) || (r.Match != nil && !r.Match(c)) {
			continue
		}
		r.seen++
		first, times := max(r.Nth, 1), r.Times
		if times == 0 {
			times = 1
		}
		if r.seen >= first && (times < 0 || r.seen < first+times) {
			return r.Fault
		}
	}
	return Fault{}
}

func (f Fault) refuse(r *request) answer {
	if f.Status == 0 {
		return answer{}
	}
	return r.refuse(f.Status, f.Code, f.Message)
}

// spoil applies what a rule does to an answer, and remembers it for stale ones.
func (p *Proxy) spoil(r *request, f Fault, a answer) answer {
	if f.Stale || looks(r.operation) {
		key := strings.Join([]string{r.account, r.region, r.name(), string(r.body)}, "\x00")
		p.mu.Lock()
		old, ok := p.state.stale[key]
		if f.Stale && ok {
			a = old
		} else if a.ok() {
			p.state.stale[key] = a
		}
		p.mu.Unlock()
	}
	if f.PageSize > 0 {
		a = p.page(r, a, f.PageSize)
	}
	if f.Skew != 0 {
		a.header = a.header.Clone()
		a.header.Set("Date", time.Now().Add(f.Skew).UTC().Format(http.TimeFormat))
	}
	return a
}

func looks(operation string) bool {
	return strings.HasPrefix(operation, "Describe") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Get")
}

// page cuts the first set of an EC2 answer. moto holds no pages, so a token is a
// place in the whole answer.
func (p *Proxy) page(r *request, a answer, size int) answer {
	from := 0
	if r.page != "" {
		if _, err := fmt.Sscanf(r.page, "proxy-%d", &from); err != nil {
			return r.no("InvalidParameterValue", "the token is not ours")
		}
	}
	return p.rewrite(a, func(root *node) bool {
		for _, set := range root.children {
			items := root.items(set.name)
			if len(items) == 0 {
				continue
			}
			from, to := min(from, len(items)), min(from+size, len(items))
			set.children = items[from:to]
			root.remove("nextToken")
			if to < len(items) {
				root.children = append(root.children, leaf("nextToken", fmt.Sprintf("proxy-%d", to)))
			}
			return true
		}
		return false
	})
}
