package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/notify/message"
)

// Notifier is one configured destination.
//
// Implementations are safe for concurrent use; two calls for the same delivery
// never overlap. Every outside call has a deadline of its own, so that a call
// of Reconcile ends within about a minute.
type Notifier interface {
	// Reconcile makes the destination show req.View. It may be repeated with
	// the same or a newer view at any time, also after a crash in the middle.
	//
	// Before a call that creates something, it saves through req.Save that the
	// attempt begins; after it, the vendor's reference. When it finds a begun
	// attempt without reference in req.State, it first looks whether the
	// vendor has what the attempt made.
	//
	// A failure is an *Error that says whether and when to come again. Any
	// other error counts as retryable.
	Reconcile(ctx context.Context, req Request) (Outcome, error)

	// Test sends something real that says it is a test, and returns one
	// sentence on what a person should now see and where.
	Test(ctx context.Context) (string, error)

	// Check reads without changing anything: are the credentials, the scopes,
	// the project, the channel right? For doctor and config check --online.
	Check(ctx context.Context) []Finding
}

// Finding is one result of Check.
type Finding struct {
	OK      bool
	What    string // what was checked: "token", "channel #soc", "scope chat:write"
	Message string
	Hint    string // what to mend; empty when OK
}

// Request is one reconciliation.
type Request struct {
	View *message.View
	// State is what the notifier saved last for this delivery; nil at first.
	// Its form belongs to the vendor's package.
	State json.RawMessage
	// Save persists the notifier's state durably and returns when it is safe.
	// An error means that the delivery belongs to somebody else by now, or
	// that the store is unavailable: stop at once and return the error.
	Save func(ctx context.Context, state any) error
}

// Outcome is what a person may want to know after a delivery.
type Outcome struct {
	Reference string   // SEC-88, C024BE91L/1700000000.000100
	URL       string   // where to look at it
	Warnings  []string // what was left out and why
	// Quiet says that nothing had to be done or shown in this destination at
	// this revision, and why.
	Quiet string
}

// Class says what to do after a failure.
type Class string

// The classes of failures.
const (
	// Retry: come again after Error.After or a backoff.
	Retry Class = "retry"
	// Park: this delivery cannot succeed until a person changes something.
	Park Class = "parked"
	// Pause: the whole destination is broken (credentials, URL): pause it,
	// tell the others.
	Pause Class = "paused"
	// Undecided: something may exist that cannot be found: a person must look.
	Undecided Class = "unknown"
)

// Error is a vendor's failure in our words.
type Error struct {
	Class   Class
	After   time.Duration // for Retry: the vendor's wish; 0 = our backoff
	Reason  string        // from a small fixed set; becomes a metric label: rate_limited, timeout, auth, not_found, invalid, server_error, network, unknown_outcome, …
	Message string        // what failed, with the vendor's own word in parentheses
	Safe    string        // what is true now
	Hint    string        // one next command or change
	// DestinationWide marks a rate limit that holds for the whole destination.
	DestinationWide bool
	Err             error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as *Error; anything unknown becomes a retryable one.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: Retry, Reason: "internal", Message: err.Error(), Err: err}
}
