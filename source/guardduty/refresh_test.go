package guardduty_test

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakeguardduty"
)

func TestArchivingByAPersonIsSeenThoughTheListDoesNotShowIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	at := w.clock.now().Add(-10 * day)
	for n := range 120 {
		w.put(d, n, at)
		w.state.open = append(w.state.open, place{id(n), fakeguardduty.Home, region, d})
	}
	w.put(d, 500, w.clock.now()) // so that the list begins after all the others
	w.poll()
	w.intake.reset()
	w.clock.step(time.Hour)
	if err := w.fake.Archive(d, string(id(117))); err != nil {
		t.Fatal(err)
	}
	w.poll()
	got := w.intake.reset()
	if len(got) != 1 || !got[0].Refresh || !got[0].Confirmed || got[0].LookBack {
		t.Fatalf("the flow got %d inputs", len(got))
	}
	if !w.intake.has(id(117), at, true) {
		t.Error("that it is archived did not reach the flow")
	}
	w.poll()
	if got := w.intake.reset(); len(got) != 0 {
		t.Errorf("the same was told %d times more", len(got))
	}
	w.wellFormed()
}

func TestFindingsOfMembersAreReadWithTheAdministratorsDetector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	at := w.clock.now().Add(-10 * day)
	if err := w.fake.Put(d, body(id(1), at, second, region, "")); err != nil {
		t.Fatal(err)
	}
	w.state.open = []place{
		{id(1), second, region, "the-members-own-detector"},
		{id(2), "999999999999", region, "elsewhere"}, // nobody knows it
		{"forged\nid", "999999999999", region, d},    // would have the whole call refused
		{id(3), second, other, d},
	}
	w.poll()
	if err := w.fake.Archive(d, string(id(1))); err != nil {
		t.Fatal(err)
	}
	w.poll()
	if !w.intake.has(id(1), at, true) {
		t.Error("the archiving of a member's finding was not seen")
	}
	asked := 0
	for _, c := range w.fake.Calls() {
		if c.Operation == "GetFindings" {
			asked += c.IDs
		}
	}
	w.poll()
	for _, c := range w.fake.Calls() {
		if c.Operation == "GetFindings" {
			asked -= c.IDs
		}
	}
	if asked >= 0 || asked < -2 {
		// One for the finding of the member; the unknown one is left alone.
		t.Errorf("the third poll asked for %d findings", -asked)
	}
	w.wellFormed()
}
