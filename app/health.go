package app

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// health is whether the store can be written: a service that takes nothing in,
// because the disk is full, must not look well. Whoever reaches the address may
// ask, so that the store is tried at most once in healthEvery.
type health struct {
	write func(ctx context.Context) error
	now   func() time.Time

	mu   sync.Mutex
	at   time.Time
	last error
}

const (
	healthEvery = 5 * time.Second
	// healthWait is how long an answer waits for the store.
	healthWait = 3 * time.Second
)

var errNoAnswer = errors.New("it does not answer")

// check tries to write, or returns what came of it a moment ago.
func (h *health) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); h.at.IsZero() || now.Sub(h.at) >= healthEvery {
		done := make(chan error, 1)
		// The try ends by itself: the store bounds how long it waits for a lock.
		go func() { done <- h.write(context.Background()) }()
		select {
		case h.last = <-done:
		case <-time.After(healthWait):
			h.last = errNoAnswer
		}
		h.at = h.now()
	}
	return h.last
}

// ServeHTTP implements http.Handler. It tells no place of anything.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := h.check(); err != nil {
		http.Error(w, "the store cannot be written: guardroom doctor says why", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// writable words what came of a try for doctor.
func writable(err error) (message, hint string) {
	f := fault.Of(err)
	if f.Hint == "" {
		return f.Error(), "look at the disk and at the database: nothing is taken in, and nothing is done, until it can be written"
	}
	return f.Error(), f.Hint
}
