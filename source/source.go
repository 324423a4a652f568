package source

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"
)

// Intake is the entrance of the flow. It is safe for concurrent use.
type Intake interface {
	// Take decodes in.Body in any wrapping, triages every finding in it and
	// commits the result before it returns. It may be repeated with the same
	// input: what was taken before changes nothing.
	//
	// A nil error means that everything in the body is decided durably:
	// accepted, known, ignored, or parked as rejected. An error means that
	// nothing may be acknowledged; the sender must come again.
	Take(ctx context.Context, in Input) (Receipt, error)
}

// Parker is an Intake that can also keep an input that it could not take.
// Sources ask for it by a type assertion. It is safe for concurrent use.
type Parker interface {
	// Park keeps the input as rejected, with a sentence that says why, and
	// commits that before it returns. It decodes nothing. It may be repeated,
	// which may keep the input twice.
	Park(ctx context.Context, in Input, reason string) error
}

// ErrNotFollowed is wrapped by the error of a Fetcher for an object that it is not
// allowed to read. The reference is parked then, not tried again.
var ErrNotFollowed = errors.New("its bucket is not one that messages may point to")

// Fetcher reads the objects that a body points to. It is safe for concurrent
// use.
type Fetcher interface {
	// Fetch opens the object as it is stored, packed or not. The caller closes
	// it. An error of Fetch or of reading means that it may be tried again.
	Fetch(ctx context.Context, ref Reference) (io.ReadCloser, error)
}

// Input is one body from a source.
type Input struct {
	// Source is the configured name of the source: "sqs:findings".
	Source string
	Body   []byte
	// Position names where the body came from, for people: a file's name, a
	// message id, s3://bucket/key.
	Position string
	// FirstLine is the line of Position at which the body begins, when it is a
	// piece of something larger. 0 means that it is the whole.
	FirstLine  int
	ReceivedAt time.Time
	// LookBack is set by sources that look back (GuardDuty API, S3 export) at
	// their very first poll: what was last seen before AnnounceAfter is
	// recorded without announcing it.
	LookBack      bool
	AnnounceAfter time.Time
	// AsHistory records without announcing anything (import --as-history).
	AsHistory bool
	// ShowSamples routes sample findings like others, for a test; they still
	// never page and never act.
	ShowSamples bool
	// Confirmed is set when the findings were read from GuardDuty itself and
	// not from somewhere that others may write to.
	Confirmed bool
	// Refresh marks findings that were read again by id for open incidents, to
	// learn that they were archived.
	Refresh bool
}

// Receipt counts what became of an input.
type Receipt struct {
	Accepted   int `json:"accepted"`   // new findings and new revisions
	Known      int `json:"known"`      // had them already
	Ignored    int `json:"ignored"`    // events of GuardDuty that are not findings
	Rejected   int `json:"rejected"`   // parked where `guardroom finding rejected list` shows them
	Suppressed int `json:"suppressed"` // accepted, but a rule keeps it quiet (also counted in Accepted)
	// Incidents are the numbers (INC-42) that were opened or updated, without
	// repetition, at most 1,000.
	Incidents []string `json:"incidents"`
	// References are S3 objects that the body points to; the source must fetch
	// and take them before it acknowledges.
	References []Reference `json:"references"`
	// Reasons holds one line for each rejected item, at most 20.
	Reasons []string `json:"reasons"`
}

// Add counts o into r.
func (r *Receipt) Add(o Receipt) {
	r.Accepted += o.Accepted
	r.Known += o.Known
	r.Ignored += o.Ignored
	r.Rejected += o.Rejected
	r.Suppressed += o.Suppressed
	for _, number := range o.Incidents {
		if len(r.Incidents) < maxIncidents && !slices.Contains(r.Incidents, number) {
			r.Incidents = append(r.Incidents, number)
		}
	}
	r.References = append(r.References, o.References...)
	r.Reasons = append(r.Reasons, o.Reasons[:min(len(o.Reasons), max(0, maxReasons-len(r.Reasons)))]...)
}

const (
	maxIncidents = 1000
	maxReasons   = 20
)

// Reference is an S3 object that holds findings.
type Reference struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Region string `json:"region,omitempty"`
}

// String is the object's URL.
func (r Reference) String() string { return "s3://" + r.Bucket + "/" + r.Key }

// Source runs until its context ends. Run returns nil after an orderly stop:
// nothing half-taken is acknowledged.
type Source interface {
	Name() string
	Run(ctx context.Context) error
}
