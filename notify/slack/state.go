package slack

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// attempt is something that was about to be posted. As long as it stands in the
// state, nobody knows whether it was.
type attempt struct {
	At     time.Time `json:"at"`
	Target string    `json:"target,omitempty"` // the channel, as it was named
	Seq    int64     `json:"seq"`              // last event that it tells
	Hash   string    `json:"hash,omitempty"`
	// Looked is when Slack did not have it for the first time.
	Looked time.Time `json:"looked,omitzero"`
}

// state is what is kept for one delivery.
type state struct {
	Version int `json:"version"`

	// The root message. TS is empty while there is none that we know.
	Target  string `json:"target,omitempty"`  // the channel's name or id as configured when it was posted
	Channel string `json:"channel,omitempty"` // id
	TS      string `json:"ts,omitempty"`
	Hash    string `json:"hash,omitempty"` // of what it shows; empty while an edit is under way
	// Old are the stamps of earlier roots; Earlier is where the last one is.
	Old     []string `json:"old,omitempty"`
	Earlier string   `json:"earlier,omitempty"`
	Lost    int      `json:"lost,omitempty"`  // roots that were gone
	Moves   int      `json:"moves,omitempty"` // roots left behind in another channel

	Begun *attempt `json:"begun,omitempty"` // a root, or a message of the webhook
	Line  *attempt `json:"line,omitempty"`  // a line in the thread
	// Since is when the first attempt at the present root began.
	Since time.Time `json:"since,omitzero"`
	// Blind and LineBlind count what was posted again without looking.
	Blind     int `json:"blind,omitempty"`
	LineBlind int `json:"line_blind,omitempty"`

	// Runs are the messages of runs in the thread, by the id of the run.
	Runs map[string]*runMessage `json:"runs,omitempty"`

	Told  int64 `json:"told"`            // last event that people were told
	Plain bool  `json:"plain,omitempty"` // Slack refuses our layout

	// Opened and Closed belong to the webhook: what was announced.
	Opened bool `json:"opened,omitempty"`
	Closed bool `json:"closed,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
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

// warn keeps what a person should know for as long as the delivery lives.
func (s *state) warn(text string) {
	if !slices.Contains(s.Warnings, text) && len(s.Warnings) < 5 {
		s.Warnings = append(s.Warnings, text)
	}
}

// forget makes the root one that is not there any more.
func (s *state) forget(link string) {
	s.Old = append(s.Old, s.TS)
	s.Old = s.Old[max(0, len(s.Old)-5):]
	s.Channel, s.TS, s.Hash, s.Earlier = "", "", "", link
	s.Line, s.Since, s.Blind, s.LineBlind = nil, time.Time{}, 0, 0
	s.Runs = nil // the new thread has messages of its own
}

// AllowCreate turns the saved state of a delivery that is parked as unknown into
// one from which the next Reconcile creates anew: a person looked and found
// nothing.
func AllowCreate(raw json.RawMessage) (json.RawMessage, error) {
	s, err := decodeState(raw)
	if err != nil {
		return nil, err
	}
	s.Begun, s.Line, s.Blind, s.LineBlind = nil, nil, 0, 0
	for _, m := range s.Runs {
		m.Begun, m.Blind = nil, 0
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the delivery's state: %w", err)
	}
	return out, nil
}
