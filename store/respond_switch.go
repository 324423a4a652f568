package store

import (
	"context"
	"fmt"
	"time"
)

// Switch is the one that stops every response at once.
type Switch struct {
	Off bool      `json:"off"`
	Who string    `json:"who,omitempty"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// String says how it stands, for people.
func (s Switch) String() string {
	word := "on"
	if s.Off {
		word = "off"
	}
	out := "responses are switched " + word
	if s.Who != "" {
		out += " by " + s.Who
	}
	if s.Why != "" {
		out += ": " + s.Why
	}
	return out
}

// SetSwitch switches responses off or on, and returns how the switch stands now.
// Setting it to what it is changes nothing: the first who and why stay.
func (tx *Tx) SetSwitch(ctx context.Context, off bool, who, why string) (Switch, error) {
	_, err := tx.exec(ctx, "UPDATE respond_switch SET off = $1, who = $2, why = $3, at = $4 WHERE one = 1 AND off <> $5",
		bit(off), who, why, micros(tx.now), bit(off))
	if err != nil {
		return Switch{}, fmt.Errorf("set the switch of responses: %w", err)
	}
	return tx.Switch(ctx)
}

// Switch reads how the switch of responses stands.
func (c q) Switch(ctx context.Context) (Switch, error) {
	var s Switch
	var off int
	var at int64
	if err := c.row(ctx, "SELECT off, who, why, at FROM respond_switch WHERE one = 1").Scan(&off, &s.Who, &s.Why, &at); err != nil {
		return s, fmt.Errorf("read the switch of responses: %w", err)
	}
	s.Off, s.At = off != 0, timeOf(at)
	return s, nil
}

// Switch reads how the switch of responses stands.
func (db *DB) Switch(ctx context.Context) (Switch, error) { return db.read().Switch(ctx) }
