package notify

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Gate is the pace of one destination: so many requests in a period, and none
// while the vendor asked us to wait. It is safe for concurrent use.
type Gate struct {
	limiter *rate.Limiter

	mu      sync.Mutex
	blocked time.Time
}

// NewGate returns a gate for count requests in a period with the given burst;
// a count of 0 means no limit.
func NewGate(count int, period time.Duration, burst int) *Gate {
	g := &Gate{}
	if count > 0 && period > 0 {
		g.limiter = rate.NewLimiter(rate.Every(period/time.Duration(count)), max(1, burst))
	}
	return g
}

// Block closes the gate until a time; an earlier time than before changes
// nothing.
func (g *Gate) Block(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.blocked) {
		g.blocked = until
	}
}

// Wait blocks until the vendor's wish to wait is over. It takes nothing from
// the pace: the requests themselves do.
func (g *Gate) Wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		left := time.Until(g.blocked)
		g.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Limited returns a transport whose requests keep the gate's pace. The wait for
// the pace counts towards the caller's deadline, so a destination should not be
// given more work at a time than its pace can do within one.
func (g *Gate) Limited(next http.RoundTripper) http.RoundTripper {
	if g.limiter == nil {
		return next
	}
	return paced{gate: g, next: next}
}

type paced struct {
	gate *Gate
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p paced) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := p.gate.limiter.Wait(r.Context()); err != nil {
		return nil, err
	}
	return p.next.RoundTrip(r)
}
