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
		if state == incident.Closed && len(entries) == 0 {
			return
		}
		if len(entries) != 1 || entries[0].From != from || entries[0].To != to {
			t.Errorf("%s: %+v, want one from %q to %q", what, entries, from, to)
		}
	}
	var never time.Time
	ack := func(n int) {
		t.Helper()
		if _, err := i.Acknowledge("raj", later(n)); err != nil {
			t.Fatal(err)
		}
	}
	is("contained", i.Contain("by run_1", later(1)), incident.Contained, later(1), "open", "contained")
	if again := i.Contain("by run_1", later(2)); again != nil {
		t.Errorf("again: %+v", again)
	}
	is("somebody let it out", i.Loosen("no longer holds", later(3)), incident.Open, never, "contained", "open")
	ack(4)
	is("who acknowledged it has not seen more of it", i.Loosen("no longer holds", later(5)), incident.Open, never, "acknowledged", "open")
	if i.AcknowledgedBy != "" {
		t.Errorf("it is acknowledged by %s", i.AcknowledgedBy)
	}
	is("an undo of the rest", i.Release("is not contained", later(6)), incident.Open, never, "", "")
	ack(7)
	is("contained anew", i.Contain("by run_2", later(8)), incident.Contained, later(8), "acknowledged", "contained")
	i.Release("is not contained", later(8))
	i.Loosen("no longer holds", later(8))
	i.Contain("by run_3", later(8))
	if list, err := i.Acknowledge("raj", later(8)); err != nil || list[0].Text != "acknowledged" {
		t.Errorf("who is the first to acknowledge a contained one: %+v, %v", list, err)
	}
	is("released to who has it", i.Release("is not contained", later(9)), incident.Acknowledged, never, "contained", "acknowledged")
	if _, err := i.Close(incident.Malicious, "", "raj", later(10)); err != nil {
		t.Fatal(err)
	}
	is("a closed one stays closed", i.Loosen("no longer holds", later(11)), incident.Closed, never, "", "")
	is("whatever happens", i.Contain("by run_3", later(12)), incident.Closed, never, "", "")
}
