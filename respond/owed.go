package respond

import (
	"time"
)

// OpenClosing is something that a run opened and that is not closed yet, as people
// see it.
type OpenClosing struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // the name of its Closing
	// What is open, for people: eni-0c1 is in the group that opens everything.
	What     string    `json:"what"`
	OpenedAt time.Time `json:"opened_at"`
	// Due is until when it may be open while its run goes on.
	Due time.Time `json:"due"`
	// Expires says that it is meant to stay open until Due.
	Expires bool `json:"expires,omitempty"`
	// Attempts is how often it was tried to close it, in vain, and Error why the
	// last of them was.
	Attempts int    `json:"attempts,omitempty"`
	Error    string `json:"error,omitempty"`
	// NextTry is when it is closed, or tried again; zero: at the end of the run,
	// and at Due where the run goes on longer.
	NextTry time.Time `json:"next_try,omitzero"`
}

// Owes puts into g what its run owes: what is open, since when, and when it is
// closed, or tried again.
func (g *Progress) Owes(list []Owed, now time.Time) {
	g.Owed = nil
	for _, o := range list {
		c := OpenClosing{ID: o.ID, Kind: o.Kind, What: o.Why, OpenedAt: o.OpenedAt, Due: o.Due, Expires: o.Expires, Attempts: o.Attempts, Error: o.Error, NextTry: o.RetryAt}
		switch {
		case o.Expires:
			c.NextTry = later(o.Due, o.RetryAt)
		case !g.State.Ended() && o.Due.After(now):
			c.NextTry = time.Time{} // its run closes it
		case c.NextTry.Before(now):
			c.NextTry = now // the sweeper is about to
		}
		g.Owed = append(g.Owed, c)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Words are what is open, since when, and what comes of it, on one line. The clock
// writes moments as the surface does.
func (c OpenClosing) Words(now time.Time, clock func(time.Time) string) string {
	s := c.What + ", since " + clock(c.OpenedAt)
	if c.Attempts > 0 {
		s += "; tried " + Count(c.Attempts, "time") + " to close it"
		if c.Error != "" {
			s += ": " + c.Error
		}
	}
	again := "closed"
	if c.Attempts > 0 {
		again = "tried again"
	}
	switch {
	case c.NextTry.IsZero():
		return s + "; the run closes it, at " + clock(c.Due) + " at the latest"
	case !c.NextTry.After(now):
		return s + "; " + again + " now"
	}
	return s + "; " + again + " at " + clock(c.NextTry)
}
