package fakeslack

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// Fault is something that goes wrong with one request.
type Fault string

// The faults. "Before" means that the request has no effect.
const (
	NoFault          Fault = ""
	RateLimited      Fault = "429"               // before; Retry-After: 1
	RateLimitedBare  Fault = "429 bare"          // before; no Retry-After
	ServerError      Fault = "500"               // before
	ServerErrorAfter Fault = "500 after"         // the effect took place
	InternalError    Fault = "internal_error"    // before; HTTP 200, ok:false
	FatalErrorAfter  Fault = "fatal_error after" // the effect took place; HTTP 200, ok:false
	ResetBefore      Fault = "reset before"      // connection cut
	ResetAfter       Fault = "reset after"       // connection cut, the effect took place
	TimeoutAfter     Fault = "timeout after"     // no answer, the effect took place
	HalfResponse     Fault = "half response"     // the effect took place
	refusal                = "refuse "           // before; HTTP 200, ok:false with a word
)

// Refuse is the fault in which Slack answers with an error's word, before any
// effect: HTTP 200 with ok:false, and 400 with the word as text on the webhook.
func Refuse(word string) Fault { return Fault(refusal + word) }

// AllFaults lists every fault that passes by itself.
func AllFaults() []Fault {
	return []Fault{
		RateLimited, RateLimitedBare, ServerError, ServerErrorAfter, InternalError, FatalErrorAfter,
		ResetBefore, ResetAfter, TimeoutAfter, HalfResponse,
	}
}

// Faults happen at random, the same for the same seed and order of requests.
type Faults struct {
	Seed uint64
	// Rate is the share of requests that fail, 0 to 1.
	Rate float64
	// Kinds to choose from; empty: all.
	Kinds []Fault
	// WritesOnly spares the methods that only read.
	WritesOnly bool
}

// planned is a fault that waits for a request to one method, or to any that
// writes.
type planned struct {
	method string
	fault  Fault
}

// faultSource says what happens to the next request. Its user holds the lock.
type faultSource struct {
	opts   Faults
	random *rand.Rand
	queue  []planned
}

func newFaultSource(f Faults) *faultSource {
	if len(f.Kinds) == 0 {
		f.Kinds = AllFaults()
	}
	return &faultSource{opts: f, random: rand.New(rand.NewPCG(f.Seed, 0x9e3779b97f4a7c15))}
}

func writes(method string) bool { return method == methodWebhook || strings.HasPrefix(method, "chat.") }

func (f *faultSource) next(method string) Fault {
	for i, p := range f.queue {
		if p.method == method || p.method == "" && writes(method) {
			f.queue = slices.Delete(f.queue, i, i+1)
			return p.fault
		}
	}
	if f.opts.Rate <= 0 || f.opts.WritesOnly && !writes(method) || f.random.Float64() >= f.opts.Rate {
		return NoFault
	}
	return f.opts.Kinds[f.random.IntN(len(f.opts.Kinds))]
}

// Fail makes the next requests that write (messages, edits, the webhook) fail in
// this order, before chance has a say. NoFault lets one pass.
func (s *Server) Fail(faults ...Fault) { s.FailOn("", faults...) }

// FailOn is Fail for one method of the Web API: conversations.history.
func (s *Server) FailOn(method string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults.queue = append(s.faults.queue, planned{method, f})
	}
}

// SetFaults replaces the random faults from the next request on.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.faults.queue
	s.faults = newFaultSource(f)
	s.faults.queue = queue
}

// before returns the answer of a fault that comes before the effect.
func (f Fault) before(method string) *answer {
	switch f {
	case RateLimited:
		return limited("1")
	case RateLimitedBare:
		return limited("")
	case ServerError:
		return text(http.StatusInternalServerError, "upstream error")
	case InternalError:
		return word(method, "internal_error")
	}
	if w, found := strings.CutPrefix(string(f), refusal); found {
		return word(method, w)
	}
	return nil
}

// silent reports a fault without effect and without answer.
func (f Fault) silent() bool { return f == ResetBefore }

// after returns what is answered once the effect took place.
func (f Fault) after(a *answer) *answer {
	switch f {
	case ServerErrorAfter:
		return text(http.StatusBadGateway, "upstream error")
	case FatalErrorAfter:
		return word("", "fatal_error")
	case ResetAfter, TimeoutAfter:
		return nil
	}
	return a
}
