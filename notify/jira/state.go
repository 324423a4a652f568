package jira

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// ref is one issue. The id stays when people move it to another project; the
// key does not.
type ref struct {
	ID  string `json:"id,omitempty"`
	Key string `json:"key,omitempty"`
	// Why it is not the one that is kept up to date any more: gone or closed.
	Why string `json:"why,omitempty"`
}

const (
	whyGone   = "gone"
	whyClosed = "closed"
)

// attempt is a creation that was about to be sent; it may have arrived.
type attempt struct {
	At time.Time `json:"at"`
	// Looks is how many times it was looked for since.
	Looks   int      `json:"looks,omitempty"`
	Content contents `json:"content"`
	// After is the key of an issue that was made before.
	After string `json:"after,omitempty"`
	// Numbers is how far the project's issues were read since.
	Numbers *numbers `json:"numbers,omitempty"`
	// Allowed: a person looked and found nothing.
	Allowed bool `json:"allowed,omitempty"`
}

// contents is what a write makes Jira show.
type contents struct {
	Sent     string `json:"sent,omitempty"` // hash of the description as it was sent
	Text     string `json:"text,omitempty"` // hash of its text alone
	Summary  string `json:"summary,omitempty"`
	Priority string `json:"priority,omitempty"` // id
	Band     int    `json:"band,omitempty"`     // of the severity that the priority is for
	Seq      int64  `json:"seq,omitempty"`      // last event of the timeline then
}

// commenting is a comment that was about to be sent; it may have arrived.
type commenting struct {
	At     time.Time `json:"at"`
	Marker string    `json:"marker"`
}

// moving is a transition that was about to be sent; it may have arrived.
type moving struct {
	At     time.Time `json:"at"`
	Status string    `json:"status"` // id of the status that it leads to
	Closed bool      `json:"closed"`
}

// state is what is kept for one delivery.
type state struct {
	Version int `json:"version"`
	// Site is a hash of the address: ids mean nothing elsewhere.
	Site    string   `json:"site"`
	Issue   ref      `json:"issue,omitzero"`
	Attempt *attempt `json:"attempt,omitempty"`
	// Earlier issues of the same incident: deleted, or closed before a
	// reopening. The search may still find them.
	Earlier   []ref `json:"earlier,omitempty"`
	Recreated int   `json:"recreated,omitempty"` // after a deletion

	Shown contents `json:"shown,omitzero"` // what Jira shows as we wrote it
	// Returned is the hash of the description as Jira returned it after our
	// last write. Another one means that a person was there.
	Returned string `json:"returned,omitempty"`
	// Writing is a write of which it is not known yet how Jira returns it.
	Writing *contents `json:"writing,omitempty"`
	// Late is a write that had not arrived when it was looked for, and may
	// still do.
	Late    *contents `json:"late,omitempty"`
	WroteAt time.Time `json:"wrote_at,omitzero"`

	People         bool `json:"people,omitempty"`          // the description is theirs
	PeopleTold     bool `json:"people_told,omitempty"`     // and a comment says so
	PeopleProperty bool `json:"people_property,omitempty"` // and the property

	Commented  int64       `json:"commented,omitempty"` // last event that was commented or stands in the description
	Commenting *commenting `json:"commenting,omitempty"`

	Closed bool    `json:"closed,omitempty"` // the closing was carried out
	Moving *moving `json:"moving,omitempty"`

	Dropped  []string          `json:"dropped,omitempty"`  // optional fields that the project does not take
	Warnings map[string]string `json:"warnings,omitempty"` // what holds, by subject
}

const stateVersion = 1

func decodeState(raw json.RawMessage) (state, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return state{Version: stateVersion}, nil
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return state{}, fmt.Errorf("read the delivery's state: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("the delivery's state has version %d; this program writes %d", s.Version, stateVersion)
	}
	return s, nil
}

// AllowCreate turns the saved state of a delivery that is parked as unknown into
// one from which the next Reconcile creates anew: a person looked and found
// nothing. That Reconcile looks once more itself.
func AllowCreate(raw json.RawMessage) (json.RawMessage, error) {
	s, err := decodeState(raw)
	if err != nil {
		return nil, err
	}
	if s.Attempt == nil {
		return raw, nil
	}
	s.Attempt.Allowed = true
	return json.Marshal(s)
}

// warn notes something that a person may want to know, until it is cleared.
func (s *state) warn(subject, sentence string) {
	if s.Warnings == nil {
		s.Warnings = map[string]string{}
	}
	s.Warnings[subject] = sentence
}

func (s *state) clear(subject string) { delete(s.Warnings, subject) }

// warnings returns the sentences in a steady order.
func (s *state) warnings() []string {
	var out []string
	for _, w := range s.Warnings {
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

// leave puts the issue among the earlier ones, so that another is made.
func (s *state) leave(why string) {
	old := s.Issue
	old.Why = why
	s.Earlier = append(slices.Clone(s.Earlier), old)
	s.Issue, s.Shown, s.Returned, s.Writing, s.Late, s.WroteAt = ref{}, contents{}, "", nil, nil, time.Time{}
	s.People, s.PeopleTold, s.PeopleProperty = false, false, false
	s.Commenting, s.Moving, s.Closed = nil, nil, false
}

func (s *state) knewBefore(id string) bool {
	return slices.ContainsFunc(s.Earlier, func(r ref) bool { return r.ID == id })
}

func stateError(err error) *notify.Error {
	return &notify.Error{Class: notify.Park, Reason: "invalid", Message: err.Error(),
		Safe: "nothing was sent", Hint: "this delivery was written by another version of guardroom; use that one", Err: err}
}
