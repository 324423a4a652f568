package notify

import (
	"encoding/json"
	"time"

	"github.com/guardroom/guardroom/notify/message"
)

// Status says how a delivery stands.
type Status string

// The statuses.
const (
	Pending   Status = "pending"   // behind, and being worked on or waiting for its time
	Delivered Status = "delivered" // the destination shows the newest revision
	Parked    Status = "parked"    // cannot succeed until a person changes something
	Unknown   Status = "unknown"   // something may exist that could not be found: a person must look
	Paused    Status = "paused"    // the whole destination is paused
	Digested  Status = "digested"  // a digest stands for it
	Dropped   Status = "dropped"   // a person gave it up
)

// Delivery is the state of one subject in one destination: which revision is
// wanted there, which is shown, and what the vendor called it.
type Delivery struct {
	ID          string       `json:"id"`
	Kind        message.Kind `json:"kind"`
	Subject     string       `json:"subject"` // machine id of the incident, digest or notice
	Destination string       `json:"destination"`
	Wanted      int64        `json:"wanted"`
	Done        int64        `json:"done"`
	// Armed says that a work item exists that will bring Done to Wanted. Its
	// Generation makes older work items void.
	Armed      bool   `json:"armed"`
	Generation int64  `json:"generation"`
	Status     Status `json:"status"`
	Attempts   int    `json:"attempts"` // reconciliations begun
	Failures   int    `json:"failures"` // in a row

	WantedAt     time.Time `json:"wanted_at,omitzero"`     // when the oldest wish that is not shown was made
	DoneAt       time.Time `json:"done_at,omitzero"`       // when Done was reached
	NextAt       time.Time `json:"next_at,omitzero"`       // not before
	FailingSince time.Time `json:"failing_since,omitzero"` // first failure in a row
	Worker       string    `json:"worker,omitempty"`       // who has it in hand
	ClaimedAt    time.Time `json:"claimed_at,omitzero"`

	State     json.RawMessage `json:"-"` // the vendor's own memory
	Reference string          `json:"reference,omitempty"`
	URL       string          `json:"url,omitempty"`
	Fault     *Fault          `json:"error,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`
	// Spacing is how far edits are kept apart while a subject changes fast.
	Spacing time.Duration `json:"-"`
	// Urgent says that a wish since the last claim must not wait for Spacing.
	Urgent    bool      `json:"-"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Fault is the last failure of a delivery, for people.
type Fault struct {
	At      time.Time `json:"at"`
	Class   Class     `json:"class"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Safe    string    `json:"safe,omitempty"`
	Hint    string    `json:"hint,omitempty"`
}

// Edits of one message are at least minSpacing apart, and up to maxSpacing
// while its incident keeps changing: a burst of a thousand revisions becomes a
// handful of edits. What a person should learn at once is not held back.
const (
	minSpacing = 3 * time.Second
	maxSpacing = 30 * time.Second
)

// Tempo divides the waits of deliveries: 1 in production, more in tests, where
// the vendors' clocks run at the same tempo.
type Tempo float64

// Scale returns d at this tempo. A tempo of 0 counts as 1.
func (t Tempo) Scale(d time.Duration) time.Duration {
	if t == 0 || t == 1 {
		return d
	}
	return time.Duration(float64(d) / float64(t))
}

// leastLimit is what a busy machine needs for work that takes a moment.
const leastLimit = 20 * time.Second

// Limit returns the limit d at this tempo. A limit is no wait: it ends what
// hangs, and the machine does not work faster because the clocks do. So it gets
// no shorter than 20 s, unless d is shorter already.
func (t Tempo) Limit(d time.Duration) time.Duration {
	return max(t.Scale(d), min(d, leastLimit))
}

// Want asks that the destination shows revision. Urgent changes (opened, state,
// severity) are not held back by the spacing of edits. It reports whether a new
// work item must be enqueued for d.Generation, not before d.NextAt.
//
// A parked or paused delivery only remembers the wish: the person or the
// resumption that frees it arms it. A digested one stays quiet until something
// urgent happens to its incident.
func (d *Delivery) Want(revision int64, urgent bool, now time.Time) (arm bool) {
	if revision <= d.Wanted && d.Status != Digested {
		return false
	}
	if d.Done >= d.Wanted || d.WantedAt.IsZero() {
		d.WantedAt = now
	}
	d.Wanted = max(d.Wanted, revision)
	d.Urgent = d.Urgent || urgent
	switch d.Status {
	case Parked, Unknown, Paused, Dropped:
		return false
	case Digested:
		if !urgent {
			return false
		}
	}
	d.Status = Pending
	if d.Armed {
		// An edit that waits for its spacing is called forward by something
		// urgent; the older work item finds another generation and ends.
		if !urgent || d.Worker != "" || d.Failures > 0 || !d.NextAt.After(now) {
			return false
		}
	}
	d.Arm(now)
	if !urgent && !d.DoneAt.IsZero() {
		if next := d.DoneAt.Add(d.Spacing); next.After(now) {
			d.NextAt = next
		}
	}
	return true
}

// Arm gives the delivery a new generation, to be worked on from now. Work items
// of older generations are void.
func (d *Delivery) Arm(now time.Time) {
	d.Armed, d.Generation, d.Status = true, d.Generation+1, Pending
	d.Worker, d.ClaimedAt, d.NextAt = "", time.Time{}, now
}

// Shown records that the destination shows revision now. It reports whether
// everything wanted is shown; the delivery is disarmed then. Otherwise NextAt
// says when to come again.
func (d *Delivery) Shown(revision int64, out Outcome, now time.Time, tempo Tempo) (finished bool) {
	least, most := tempo.Scale(minSpacing), tempo.Scale(maxSpacing)
	if d.DoneAt.IsZero() || now.Sub(d.DoneAt) > 2*max(d.Spacing, least) {
		d.Spacing = least
	} else {
		d.Spacing = min(max(2*d.Spacing, least), most)
	}
	d.Done, d.DoneAt = max(d.Done, revision), now
	if out.Reference != "" {
		d.Reference = out.Reference
	}
	if out.URL != "" {
		d.URL = out.URL
	}
	d.Warnings = out.Warnings
	d.Failures, d.FailingSince, d.Fault = 0, time.Time{}, nil
	if d.Done < d.Wanted {
		d.WantedAt, d.NextAt = now, now
		if !d.Urgent {
			d.NextAt = now.Add(d.Spacing)
		}
		return false
	}
	d.Armed, d.Status, d.WantedAt = false, Delivered, time.Time{}
	d.Worker, d.ClaimedAt, d.NextAt = "", time.Time{}, time.Time{}
	return true
}

// Failed records a failure that will be repeated at next.
func (d *Delivery) Failed(f Fault, next time.Time) {
	if d.FailingSince.IsZero() {
		d.FailingSince = f.At
	}
	d.Failures++
	d.Fault, d.NextAt = &f, next
}

// Stop ends the work on the delivery in a status that a person must resolve.
func (d *Delivery) Stop(status Status, f Fault) {
	if d.FailingSince.IsZero() {
		d.FailingSince = f.At
	}
	d.Status, d.Armed, d.Fault = status, false, &f
	d.Worker, d.ClaimedAt, d.NextAt = "", time.Time{}, time.Time{}
}
