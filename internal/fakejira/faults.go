package fakejira

import (
	"math/rand/v2"
	"net/http"
	"slices"
)

// Fault is something that goes wrong with one request.
type Fault string

// The faults. "Before" means that the request has no effect.
const (
	NoFault          Fault = ""
	RateLimited      Fault = "429"           // before; with Retry-After and RateLimit-Reason
	RateLimitedBare  Fault = "429 bare"      // before; without either, JRACLOUD-82801
	ServerError      Fault = "500"           // before
	ServerErrorAfter Fault = "500 after"     // the effect took place
	ResetBefore      Fault = "reset before"  // connection cut
	ResetAfter       Fault = "reset after"   // connection cut, the effect took place
	TimeoutAfter     Fault = "timeout after" // no answer, the effect took place
	HalfResponse     Fault = "half response" // the effect took place
)

// AllFaults lists every fault there is.
func AllFaults() []Fault {
	return []Fault{RateLimited, RateLimitedBare, ServerError, ServerErrorAfter, ResetBefore, ResetAfter, TimeoutAfter, HalfResponse}
}

// Faults happen at random, the same for the same seed and order of requests.
type Faults struct {
	Seed uint64
	// Rate is the share of requests that fail, 0 to 1.
	Rate float64
	// Kinds to choose from; empty: all.
	Kinds []Fault
	// WritesOnly spares GET requests.
	WritesOnly bool
}

// faultSource says what happens to the next request. Its user holds the lock.
type faultSource struct {
	opts   Faults
	random *rand.Rand
	queue  []Fault
}

func newFaultSource(f Faults) *faultSource {
	if len(f.Kinds) == 0 {
		f.Kinds = AllFaults()
	}
	return &faultSource{opts: f, random: rand.New(rand.NewPCG(f.Seed, 0x9e3779b97f4a7c15))} //nolint:gosec // reproducible on purpose
}

func (f *faultSource) next(method string) Fault {
	if len(f.queue) > 0 {
		head := f.queue[0]
		f.queue = f.queue[1:]
		return head
	}
	if f.opts.Rate <= 0 || f.opts.WritesOnly && method == http.MethodGet {
		return NoFault
	}
	if f.random.Float64() >= f.opts.Rate {
		return NoFault
	}
	return f.opts.Kinds[f.random.IntN(len(f.opts.Kinds))]
}

// Fail makes the next requests fail in this order, before chance has a say.
// NoFault lets one pass.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.queue = append(s.faults.queue, slices.Clone(faults)...)
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
func (f Fault) before() *answer {
	switch f {
	case RateLimited:
		return tooMany("jira-burst-based", 1)
	case RateLimitedBare:
		return refusal(http.StatusTooManyRequests, "Rate limit exceeded.")
	case ServerError:
		return refusal(http.StatusInternalServerError, "Internal server error")
	}
	return nil
}

// silent reports a fault without effect and without answer.
func (f Fault) silent() bool { return f == ResetBefore }

// after returns what is answered once the effect took place.
func (f Fault) after(a *answer) *answer {
	switch f {
	case ServerErrorAfter:
		return refusal(http.StatusBadGateway, "Bad gateway")
	case ResetAfter, TimeoutAfter:
		return nil
	}
	return a
}
