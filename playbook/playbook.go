package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// State is where a step stands. The words are those that people see.
type State string

// The states of a step.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Completed State = "completed"
	Failed    State = "failed"  // did not happen
	Skipped   State = "skipped" // not needed, or no longer wanted; the message says why
	Unknown   State = "unknown" // asked, and got no usable answer; a person must look
)

// Ended reports whether a step in this state is not run again.
func (s State) Ended() bool {
	return s == Completed || s == Failed || s == Skipped || s == Unknown
}

// Progress is how far a step is. Total is 0 where it is not known.
type Progress struct {
	Done    int64  `json:"done,omitempty"`
	Total   int64  `json:"total,omitempty"`
	Unit    string `json:"unit,omitempty"` // percent, GiB, blocks, …
	Message string `json:"message,omitempty"`
	// ShortestSeconds and LongestSeconds are the range in which the step is
	// expected to end after its start; 0: no estimate.
	ShortestSeconds int64 `json:"shortest_seconds,omitempty"`
	LongestSeconds  int64 `json:"longest_seconds,omitempty"`
}

// Record is what the journal keeps of a step.
type Record struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Attempt int       `json:"attempt"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Paused is for how long the step waited because responses were switched off.
	// PausedSince is set while it does.
	Paused      time.Duration              `json:"paused_ns,omitempty"`
	PausedSince time.Time                  `json:"paused_since,omitzero"`
	Message     string                     `json:"message,omitempty"`
	Error       *Failure                   `json:"error,omitempty"`
	Progress    Progress                   `json:"progress,omitzero"`
	Saved       map[string]json.RawMessage `json:"saved,omitempty"`
}

// Failure is why a step failed, in the three parts that people read.
type Failure struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
	Safe    string     `json:"safe,omitempty"`
	Hint    string     `json:"hint,omitempty"`
}

// Load reads what a step saved under a key. It reports whether there is any.
func (r Record) Load(key string, v any) bool {
	raw, ok := r.Saved[key]
	return ok && json.Unmarshal(raw, v) == nil
}

// spent is for how long the step has worked: since it began, less its pauses.
func (r Record) spent(now time.Time) time.Duration {
	d := now.Sub(r.Started) - r.Paused
	if !r.PausedSince.IsZero() {
		d -= now.Sub(r.PausedSince)
	}
	return d
}

// resumed ends a pause. What was in it counts for nothing.
func (r *Record) resumed(now time.Time) {
	if !r.PausedSince.IsZero() {
		r.Paused += now.Sub(r.PausedSince)
		r.PausedSince = time.Time{}
	}
}

// Outcome is how a step ended without an error.
type Outcome struct {
	State   State  // Completed where empty; Skipped or Unknown
	Message string // for people, one line
}

// Options say how a step is run.
type Options struct {
	// Timeout ends the step as failed, counted from its first start, over
	// crashes and retries. 0: an hour.
	Timeout time.Duration
	// Retries is how often a transient error is tried again; 0: until Timeout.
	Retries int
	// Transient reports whether an error may pass; nil: every error that is not
	// Permanent.
	Transient func(error) bool
	// Finishes lets the step run although the run was aborted: it closes
	// something that an earlier one opened, or only looks.
	Finishes bool
}

// Context is what a playbook sees of the world that runs it. It is safe for
// use by the branches that it runs.
type Context interface {
	// Now is the clock of the run.
	Now() time.Time
	// Step does a named part of the work, or returns the record of it when it
	// ended before. The name is unique within the run. It blocks until the step
	// has ended, with an error only when the run must stop here: the process
	// ends (it is taken up later) or another worker has the run (ErrFenced).
	Step(name string, o Options, do func(Step) (Outcome, error)) (Record, error)
	// Record returns what is known of a step that was begun.
	Record(name string) (Record, bool)
	// Wait blocks until a time, over crashes. ErrAborted ends it.
	Wait(name string, until time.Time) error
	// Receive blocks until a message of the topic came, or the time is over
	// (ok is false). Every message is received once by each name.
	Receive(name, topic string, until time.Time) (body json.RawMessage, ok bool, err error)
	// Branches runs functions side by side and returns when all have returned,
	// with their errors joined.
	Branches(list ...func(Context) error) error
	// Graph runs nodes side by side, each when those that it comes after have
	// ended. It returns the records by name.
	Graph(nodes []Node) (map[string]Record, error)
}

// Node is a step in a graph.
type Node struct {
	Name    string
	Options Options
	// After are the nodes that must have ended before, however they ended.
	After []string
	// Needs are the nodes that must be completed; where one is not, this one is
	// skipped and says so. They need not be repeated in After.
	Needs []string
	Do    func(Step) (Outcome, error)
}

// Step is the handle of the step that runs. It is not safe for concurrent use,
// but for Change, Finish, Look, Sleep and Group.
type Step interface {
	// Name of the step.
	Name() string
	Now() time.Time
	// Started is when the step was first begun, also over crashes.
	Started() time.Time
	// Spent is for how long it has been worked on since then, without the time for
	// which responses were switched off.
	Spent() time.Duration
	// Attempt counts from 1; above it the step may have acted before.
	Attempt() int
	// Aborted reports whether the run was aborted. It is for a step that Finishes,
	// which then opens nothing any more; every other is stopped by Change.
	Aborted() (bool, error)
	// Load reads what this step saved, in this attempt or an earlier one.
	Load(key string, v any) bool
	// Save commits a value before it returns. Ids that AWS gives are saved
	// before anything waits on them, and what was before is saved before
	// anything changes.
	Save(key string, v any) error
	// Look calls something that changes nothing, with a deadline.
	Look(f func(ctx context.Context) error) error
	// Change calls something that changes the world, with a deadline that ends
	// before another worker may take the run over. It returns ErrAborted
	// without calling when the run was aborted, waits while responses are
	// switched off, and returns ErrFenced when the run is another worker's.
	Change(f func(ctx context.Context) error) error
	// Finish is Change for what closes something open: neither an abort nor the
	// switch holds it up.
	Finish(f func(ctx context.Context) error) error
	// Sleep waits, durably: after a crash the step runs again from its start
	// and asks anew. ErrAborted ends it unless the step Finishes.
	Sleep(d time.Duration) error
	// Group returns an empty group of goroutines, for calls side by side within
	// the step. Only they may run beside it, and it must wait for them.
	Group() Group
	// Progress tells people how far the step is. It never blocks for long and
	// never fails the step.
	Progress(p Progress)
}

var (
	// ErrAborted says that a person aborted the run.
	ErrAborted = errors.New("the run was aborted")
	// ErrFenced says that another worker has the run.
	ErrFenced = errors.New("another worker has the run")
	// ErrStopped says that the process ends; the run goes on later.
	ErrStopped = errors.New("the process stops")
)

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that no retry mends.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether an error was marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}
