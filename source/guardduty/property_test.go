package guardduty_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/source"
)

// Whatever happens in whatever order, in the end the flow has the newest
// revision of every finding, and knows which of the open ones are archived.
func TestTheNewestRevisionAlwaysArrives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, fakeguardduty.Options{ShiftingPages: rapid.Bool().Draw(rt, "shifting")}, nil)
		defer w.fake.Close()
		d := w.fake.AddDetector(fakeguardduty.Home, region)
		newest := map[int]time.Time{}
		archived := map[int]bool{}
		put := func(n int, at time.Time) {
			w.put(d, n, at)
			newest[n], archived[n] = at, false
		}
		for n := range rapid.IntRange(0, 130).Draw(rt, "before") {
			put(n, w.clock.now().Add(-time.Duration(n/40)*time.Hour)) // forty at once
		}
		// The list moves at any call.
		moves := rapid.SliceOfN(rapid.IntRange(0, 130), 0, 20).Draw(rt, "moves")
		w.fake.Fail(fakeguardduty.Fault{Times: len(moves), Before: func() {
			put(moves[0], w.clock.step(time.Second))
			moves = moves[1:]
		}})
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"put", "archive", "poll", "restart", "break"}).Draw(rt, "step") {
			case "put":
				put(rapid.IntRange(0, 150).Draw(rt, "n"), w.clock.step(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds"))*time.Second))
			case "archive":
				n := rapid.IntRange(0, 150).Draw(rt, "n")
				if _, ok := newest[n]; ok {
					archived[n] = true
					if err := w.fake.Archive(d, string(id(n))); err != nil {
						rt.Fatal(err)
					}
				}
			case "poll":
				_ = w.poller.Poll(t.Context())
			case "restart":
				w.restart()
			case "break":
				left := rapid.IntRange(0, 3).Draw(rt, "takes")
				w.intake.fail = func(source.Input) error {
					if left--; left < 0 {
						return errors.New("no")
					}
					return nil
				}
				_ = w.poller.Poll(t.Context())
				w.intake.fail = nil
			}
		}
		w.fake.Heal()
		for n := range newest {
			w.state.open = append(w.state.open, place{id(n), fakeguardduty.Home, region, d})
		}
		for range 2 {
			w.clock.step(time.Second)
			if err := w.poller.Poll(t.Context()); err != nil {
				rt.Fatal(err)
			}
		}
		for n, at := range newest {
			if !w.intake.has(id(n), at, archived[n]) {
				rt.Fatalf("finding %d at %s archived=%t never reached the flow", n, at, archived[n])
			}
		}
		if r := w.fake.Refused(); len(r) > 0 {
			rt.Fatal(r)
		}
	})
}
