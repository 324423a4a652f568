package incident_test

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
)

func TestAnIncidentIsContainedOnlyWhileItHolds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	later := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	i := &incident.Incident{State: incident.Open}
	is := func(what string, entries []incident.Entry, state incident.State, since time.Time, from, to string) {
		t.Helper()
		if i.State != state || !i.ContainedAt.Equal(since) {
			t.Errorf("%s: %s since %s, want %s since %s", what, i.State, i.ContainedAt, state, since)
		}
		if len(entries) != 1 || entries[0].From != from || entries[0].To != to {
			t.Errorf("%s: %+v, want one from %q to %q", what, entries, from, to)
		}
	}
	var never time.Time
	is("contained", i.Contain("by run_1", later(1)), incident.Contained, later(1), "open", "contained")
	is("another run still holds something", i.Loosen("run_2 does not", false, later(2)), incident.Contained, later(1), "", "")
	is("somebody let it out", i.Loosen("no longer holds", true, later(3)), incident.Open, never, "contained", "open")
	is("and more of it", i.Loosen("no longer holds", true, later(4)), incident.Open, never, "", "")
	is("it holds again", i.Hold("holds again", later(5)), incident.Contained, later(5), "open", "contained")
	is("the other holds again too", i.Hold("holds again", later(6)), incident.Contained, later(5), "", "")
	if _, err := i.Acknowledge("raj", later(7)); err != nil {
		t.Fatal(err)
	}
	is("who acknowledged it has not seen this", i.Loosen("no longer holds", true, later(8)), incident.Open, never, "contained", "open")
	if i.AcknowledgedBy != "" {
		t.Errorf("it is acknowledged by %s", i.AcknowledgedBy)
	}
	if _, err := i.Close(incident.Malicious, "", "raj", later(9)); err != nil {
		t.Fatal(err)
	}
	is("a closed one stays closed", i.Hold("holds again", later(10)), incident.Closed, never, "", "")
	is("whatever happens", i.Loosen("no longer holds", true, later(11)), incident.Closed, never, "", "")
}
