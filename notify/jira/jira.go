package jira

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
)

// Config is one configured Jira destination.
type Config struct {
	config.Jira
	// Destination is the configured name, for messages.
	Destination string
	// Timeout of each call; 0: 10 s.
	Timeout time.Duration
	// TimeScale divides every wait; 0: 1.
	TimeScale float64
}

// Deps is what the notifier needs from outside. The zero value works.
type Deps struct {
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: one of its own, with the environment's proxy
	Log       *slog.Logger      // nil: no log
}

// Notifier is one Jira project. It is safe for concurrent use.
type Notifier struct{ cfg Config }

var _ notify.Notifier = (*Notifier)(nil)

// New returns a notifier. It makes no call.
func New(cfg Config, _ Deps) (*Notifier, error) { return &Notifier{cfg: cfg}, nil }

// Reconcile implements notify.Notifier.
func (n *Notifier) Reconcile(context.Context, notify.Request) (notify.Outcome, error) {
	return notify.Outcome{}, errors.New("jira is being built")
}

// Test implements notify.Notifier.
func (n *Notifier) Test(context.Context) (string, error) {
	return "", errors.New("jira is being built")
}

// Check implements notify.Notifier.
func (n *Notifier) Check(context.Context) []notify.Finding { return nil }

// AllowCreate turns the saved state of a delivery that is parked as unknown into
// one from which the next Reconcile creates anew: a person looked and found
// nothing.
func AllowCreate(state json.RawMessage) (json.RawMessage, error) { return state, nil }
