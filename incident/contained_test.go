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
	is("one of two", i.Contain("by run_1", false, later(0)), incident.Open, never, "", "")
	is("contained", i.Contain("by run_1", true, later(1)), incident.Contained, later(1), "open", "contained")
	is("somebody let it out", i.Loosen("no longer holds", later(3)), incident.Open, never, "contained", "open")
	is("it holds again, and another does not", i.Hold("holds again", false, later(4)), incident.Open, never, "", "")
	is("it holds again", i.Hold("holds again", true, later(5)), incident.Contained, later(5), "open", "contained")
	is("the other holds again too", i.Hold("holds again", true, later(6)), incident.Contained, later(5), "", "")
	ack := func(n int) {
		t.Helper()
		if _, err := i.Acknowledge("raj", later(n)); err != nil {
			t.Fatal(err)
		}
	}
	ack(7)
	is("who acknowledged it has not seen this", i.Loosen("no longer holds", later(8)), incident.Open, never, "contained", "open")
	if i.AcknowledgedBy != "" {
		t.Errorf("it is acknowledged by %s", i.AcknowledgedBy)
	}
	is("an undo of the rest", i.Release("is not contained", later(9)), incident.Open, never, "", "")
	ack(10)
	is("nor has who acknowledged it when it was open", i.Loosen("no longer holds", later(11)), incident.Open, never, "acknowledged", "open")
	ack(12)
	i.Hold("holds again", true, later(13))
	is("released to who has it", i.Release("is not contained", later(14)), incident.Acknowledged, never, "contained", "acknowledged")
	if _, err := i.Close(incident.Malicious, "", "raj", later(15)); err != nil {
		t.Fatal(err)
	}
	is("a closed one stays closed", i.Hold("holds again", true, later(16)), incident.Closed, never, "", "")
	is("whatever happens", i.Loosen("no longer holds", later(17)), incident.Closed, never, "", "")
}
