package httpin

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// refusals logs why requests were refused, at a limited rate: the requests come
// from strangers, and as often as they like.
type refusals struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	said   time.Time
	silent int
}

const sayEvery = 10 * time.Second

func newRefusals(now func() time.Time, log *slog.Logger) *refusals {
	return &refusals{now: now, log: log}
}

func (f *refusals) note(r *http.Request, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if since := now.Sub(f.said); !f.said.IsZero() && since >= 0 && since < sayEvery {
		f.silent++
		return
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	f.log.Warn("request was refused", "remote", host, "reason", reason, "not_logged", f.silent)
	f.said, f.silent = now, 0
}
