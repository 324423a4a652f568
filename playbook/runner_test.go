package playbook_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
)

var start = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

// world counts what a playbook did to it.
type world struct {
	mu   sync.Mutex
	done []string
}

func (w *world) act(s playbook.Step, what string) error {
	return s.Change(func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Contains(w.done, what) { // idempotent, as AWS with a token
			w.done = append(w.done, what)
		}
		return nil
	})
}

func runner(j playbook.Journal) (*playbook.Runner, *playbook.Virtual) {
	clock := playbook.NewVirtual(start)
	return &playbook.Runner{Journal: j, Clock: clock, Spread: func() float64 { return 0.5 }}, clock
}

func acts(w *world, what string, takes time.Duration) func(playbook.Step) (playbook.Outcome, error) {
	return func(s playbook.Step) (playbook.Outcome, error) {
		if err := w.act(s, what); err != nil {
			return playbook.Outcome{}, err
		}
		end := s.Started().Add(takes)
		for s.Now().Before(end) {
			if err := s.Sleep(time.Minute); err != nil {
				return playbook.Outcome{}, err
			}
		}
		return playbook.Outcome{Message: what}, nil
	}
}

func classic(w *world) func(playbook.Context) error {
	return func(c playbook.Context) error {
		_, err := c.Graph([]playbook.Node{
			{Name: "isolate", Do: acts(w, "isolate", 0)},
			{Name: "snapshot", Do: acts(w, "snapshot", time.Hour)},
			{Name: "workstation", Do: acts(w, "workstation", 5*time.Minute)},
			{Name: "volume", Needs: []string{"snapshot", "workstation"}, Do: acts(w, "volume", time.Minute)},
			{Name: "attach", Needs: []string{"volume"}, Do: acts(w, "attach", 0)},
		})
		return err
	}
}

func TestWhatDoesNotNeedEachOtherRunsSideBySideInVirtualTime(t *testing.T) {
	t.Parallel()
	var w world
	r, clock := runner(&playbook.Memory{})
	if err := r.Run(t.Context(), classic(&w)); err != nil {
		t.Fatal(err)
	}
	if took := clock.Now().Sub(start); took != 61*time.Minute {
		t.Errorf("it took %s: the slowest snapshot and the volume are an hour and a minute", took)
	}
	if len(w.done) != 5 {
		t.Error(w.done)
	}
}

// TestARunThatIsKilledAtAnyRecordGoesOn ends the process at each record that is
// kept, and runs again on the same journal.
func TestARunThatIsKilledAtAnyRecordGoesOn(t *testing.T) {
	t.Parallel()
	for kill := 1; ; kill++ {
		var w world
		j := &playbook.Memory{}
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		j.OnPut = func(playbook.Record) {
			if n.Add(1) == int64(kill) {
				cancel()
			}
		}
		r, clock := runner(j)
		err := r.Run(ctx, classic(&w))
		cancel()
		if err == nil {
			if kill < 10 {
				t.Fatalf("only %d records were kept", kill)
			}
			return
		}
		if !errors.Is(err, playbook.ErrStopped) {
			t.Fatalf("kill %d: %v", kill, err)
		}
		j.OnPut = nil
		again := &playbook.Runner{Journal: j, Clock: clock}
		if err := again.Run(t.Context(), classic(&w)); err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
		if len(w.done) != 5 {
			t.Fatalf("kill %d: %v", kill, w.done)
		}
		list, _ := j.Records(t.Context())
		for _, rec := range list {
			if rec.State != playbook.Completed {
				t.Fatalf("kill %d: %+v", kill, rec)
			}
		}
	}
}

func TestAnAbortStopsBeforeTheNextChangeAndClosesWhatIsOpen(t *testing.T) {
	t.Parallel()
	var w world
	j := &playbook.Memory{}
	r, _ := runner(j)
	err := r.Run(t.Context(), func(c playbook.Context) error {
		list, err := c.Graph([]playbook.Node{
			{Name: "open", Do: func(s playbook.Step) (playbook.Outcome, error) {
				if err := w.act(s, "open"); err != nil {
					return playbook.Outcome{}, err
				}
				j.Send(playbook.AbortTopic, nil)
				return playbook.Outcome{}, s.Finish(func(context.Context) error { w.done = append(w.done, "closed"); return nil })
			}},
			{Name: "next", After: []string{"open"}, Do: acts(&w, "next", 0)},
			{Name: "verify", After: []string{"next"}, Options: playbook.Options{Finishes: true}, Do: acts(&w, "verified", 0)},
		})
		if list["next"].State != playbook.Skipped || list["verify"].State != playbook.Completed {
			t.Errorf("%+v", list)
		}
		return err
	})
	if err != nil || !slices.Equal(w.done, []string{"open", "closed", "verified"}) {
		t.Error(err, w.done)
	}
}

func TestAnAbortEndsAWaitWithinItsPoll(t *testing.T) {
	t.Parallel()
	var w world
	j := &playbook.Memory{}
	r, clock := runner(j)
	r.Poll = 10 * time.Second
	err := r.Run(t.Context(), func(c playbook.Context) error {
		return c.Branches(func(c playbook.Context) error {
			rec, err := c.Step("snapshot", playbook.Options{}, acts(&w, "snapshot", 10*time.Hour))
			if rec.State != playbook.Skipped {
				t.Errorf("%+v", rec)
			}
			return err
		}, func(c playbook.Context) error {
			if err := c.Wait("a moment", start.Add(5*time.Minute)); err != nil {
				return err
			}
			j.Send(playbook.AbortTopic, nil)
			return nil
		})
	})
	if took := clock.Now().Sub(start); err != nil || took > 10*time.Minute {
		t.Error(err, took)
	}
}

func TestAWaitIsAsShortAsItsClockMakesIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r := &playbook.Runner{Journal: &playbook.Memory{}, Clock: playbook.Real{Scale: 1e5}}
	err := r.Run(ctx, func(c playbook.Context) error {
		_, err := c.Step("wait", playbook.Options{}, func(s playbook.Step) (playbook.Outcome, error) {
			return playbook.Outcome{}, s.Sleep(time.Hour)
		})
		return err
	})
	if err != nil || ctx.Err() != nil {
		t.Errorf("an hour that is 36 ms ended with %v, %v", err, ctx.Err())
	}
}

func TestATransientErrorIsTriedAgainAndAPermanentOneIsNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		o     playbook.Options
		tries int
		state playbook.State
	}{
		{"a transient one that passes", errors.New("throttled"), playbook.Options{}, 4, playbook.Completed},
		{"a permanent one", playbook.Permanent(errors.New("denied")), playbook.Options{}, 1, playbook.Failed},
		{"one that nobody calls transient", errors.New("odd"), playbook.Options{Transient: func(error) bool { return false }}, 1, playbook.Failed},
		{"one too many", errors.New("throttled"), playbook.Options{Retries: 2}, 3, playbook.Failed},
		{"one for too long", errors.New("throttled"), playbook.Options{Timeout: time.Second}, 2, playbook.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, clock := runner(&playbook.Memory{})
			tries := 0
			err := r.Run(t.Context(), func(x playbook.Context) error {
				rec, err := x.Step("s", c.o, func(s playbook.Step) (playbook.Outcome, error) {
					if tries++; s.Attempt() != tries {
						t.Errorf("attempt %d is called %d", tries, s.Attempt())
					}
					if tries == 4 {
						return playbook.Outcome{}, nil
					}
					if c.o.Timeout > 0 && tries > 1 {
						_ = s.Sleep(time.Minute)
					}
					return playbook.Outcome{}, c.err
				})
				if rec.State != c.state || (rec.Error != nil) != (c.state == playbook.Failed) {
					t.Errorf("%+v", rec)
				}
				return err
			})
			if err != nil || tries != c.tries {
				t.Error(err, tries, clock.Now())
			}
		})
	}
}

func TestResponsesThatAreOffPauseBeforeTheNextChange(t *testing.T) {
	t.Parallel()
	var w world
	j := &playbook.Memory{}
	j.Set(playbook.Standing{Off: "switched off by kim: drill"})
	r, clock := runner(j)
	err := r.Run(t.Context(), func(c playbook.Context) error {
		return c.Branches(func(c playbook.Context) error {
			_, err := c.Step("isolate", playbook.Options{}, acts(&w, "isolate", 0))
			return err
		}, func(c playbook.Context) error {
			if err := c.Wait("a moment", start.Add(time.Hour)); err != nil {
				return err
			}
			if len(w.done) > 0 {
				t.Error("it changed something while responses were off")
			}
			if rec, _ := c.Record("isolate"); rec.Progress.Message != "paused: switched off by kim: drill" {
				t.Errorf("%+v", rec)
			}
			j.Set(playbook.Standing{})
			return nil
		})
	})
	if took := clock.Now().Sub(start); err != nil || took < time.Hour || len(w.done) != 1 {
		t.Error(err, took, w.done)
	}
}

// What was waited while responses were off counts neither as the step's time nor
// against the pauses between its attempts, also where the process ended meanwhile.
func TestAStepThatWasSwitchedOffForLongHasAllItsTimeAfterwards(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("process ended meanwhile: %t", killed), func(t *testing.T) {
			t.Parallel()
			j := &playbook.Memory{}
			j.Set(playbook.Standing{Off: "drill"})
			r, clock := runner(j)
			var times []time.Time
			play := func(c playbook.Context) error {
				_, err := c.Step("isolate", playbook.Options{Timeout: 2 * time.Minute}, func(s playbook.Step) (playbook.Outcome, error) {
					return playbook.Outcome{}, s.Change(func(context.Context) error {
						times = append(times, s.Now())
						return fault.New(fault.Unavailable, "throttled", "")
					})
				})
				return err
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := r.Run(ctx, func(c playbook.Context) error {
				return c.Branches(play, func(c playbook.Context) error {
					if err := c.Wait("an hour", start.Add(time.Hour)); err != nil {
						return err
					}
					if killed {
						cancel()
						return nil
					}
					j.Set(playbook.Standing{})
					return nil
				})
			})
			if killed {
				if !errors.Is(err, playbook.ErrStopped) {
					t.Fatal(err)
				}
				j.Set(playbook.Standing{})
				again := &playbook.Runner{Journal: j, Clock: clock, Spread: r.Spread}
				err = again.Run(t.Context(), play)
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := len(times); n < 5 || n > 30 {
				t.Fatalf("%d attempts", n)
			}
			if took := times[len(times)-1].Sub(times[0]); took < 90*time.Second || took > 3*time.Minute {
				t.Errorf("it was tried for %s, its time is 2m", took)
			}
		})
	}
}

func TestAFencedRunTouchesNothingMore(t *testing.T) {
	t.Parallel()
	var w world
	j := &playbook.Memory{}
	r, _ := runner(j)
	err := r.Run(t.Context(), func(c playbook.Context) error {
		_, err := c.Graph([]playbook.Node{
			{Name: "one", Do: func(s playbook.Step) (playbook.Outcome, error) {
				j.Set(playbook.Standing{Fenced: true})
				return playbook.Outcome{}, w.act(s, "one")
			}},
			{Name: "two", After: []string{"one"}, Do: acts(&w, "two", 0)},
		})
		return err
	})
	if !errors.Is(err, playbook.ErrFenced) || len(w.done) != 0 {
		t.Error(err, w.done)
	}
}

func TestAPanicFailsItsStepAndNotTheRun(t *testing.T) {
	t.Parallel()
	r, _ := runner(&playbook.Memory{})
	err := r.Run(t.Context(), func(c playbook.Context) error {
		list, err := c.Graph([]playbook.Node{
			{Name: "bad", Do: func(playbook.Step) (playbook.Outcome, error) { panic("broken") }},
			{Name: "needs it", Needs: []string{"bad"}, Do: func(playbook.Step) (playbook.Outcome, error) { return playbook.Outcome{}, nil }},
			{Name: "after it", After: []string{"bad", "needs it"}, Do: func(playbook.Step) (playbook.Outcome, error) { return playbook.Outcome{}, nil }},
		})
		for name, want := range map[string]playbook.State{"bad": playbook.Failed, "needs it": playbook.Skipped, "after it": playbook.Completed} {
			if list[name].State != want {
				t.Errorf("%s: %+v", name, list[name])
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAMessageIsReceivedOnceByEachName(t *testing.T) {
	t.Parallel()
	j := &playbook.Memory{}
	r, clock := runner(j)
	play := func(c playbook.Context) error {
		return c.Branches(func(c playbook.Context) error {
			body, ok, err := c.Receive("answer", "answers", start.Add(time.Hour))
			if !ok || string(body) != `"yes"` {
				t.Errorf("%s %v", body, ok)
			}
			return err
		}, func(c playbook.Context) error {
			_, ok, err := c.Receive("silence", "others", start.Add(time.Minute))
			if ok {
				t.Error("something came from nowhere")
			}
			j.Send("answers", []byte(`"yes"`))
			return err
		})
	}
	if err := r.Run(t.Context(), play); err != nil {
		t.Fatal(err)
	}
	if took := clock.Now().Sub(start); took > 2*time.Minute {
		t.Error(took)
	}
	if err := (&playbook.Runner{Journal: j, Clock: clock}).Run(t.Context(), play); err != nil { // the journal knows
		t.Fatal(err)
	}
}

func TestGraphsThatCannotRunAreRefused(t *testing.T) {
	t.Parallel()
	nothing := func(playbook.Step) (playbook.Outcome, error) { return playbook.Outcome{}, nil }
	for name, nodes := range map[string][]playbook.Node{
		"a name used twice": {{Name: "a", Do: nothing}, {Name: "a", Do: nothing}},
		"after nothing":     {{Name: "a", After: []string{"b"}, Do: nothing}},
		"a circle":          {{Name: "a", Needs: []string{"b"}, Do: nothing}, {Name: "b", After: []string{"a"}, Do: nothing}},
	} {
		r, _ := runner(&playbook.Memory{})
		if err := r.Run(t.Context(), func(c playbook.Context) error { _, err := c.Graph(nodes); return err }); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestAnOldHistoryGoesOnInNewCode runs a playbook that gained, lost and moved
// steps on the journal of the version before, which was stopped half-way.
func TestAnOldHistoryGoesOnInNewCode(t *testing.T) {
	t.Parallel()
	var w world
	j := &playbook.Memory{}
	for _, rec := range []playbook.Record{
		{Name: "isolate", State: playbook.Completed, Attempt: 1, Started: start, Ended: start},
		{Name: "gone in the new version", State: playbook.Completed, Attempt: 1, Started: start, Ended: start},
		{Name: "snapshot", State: playbook.Running, Attempt: 1, Started: start.Add(-59 * time.Minute)},
	} {
		if err := j.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	r, clock := runner(j)
	err := r.Run(t.Context(), func(c playbook.Context) error {
		_, err := c.Graph([]playbook.Node{
			{Name: "new before all", Do: acts(&w, "new", 0)},
			{Name: "snapshot", Do: acts(&w, "snapshot", time.Hour)},
			{Name: "isolate", After: []string{"new before all"}, Do: acts(&w, "isolate", 0)},
		})
		return err
	})
	if took := clock.Now().Sub(start); err != nil || took > 2*time.Minute {
		t.Error(err, took)
	}
	slices.Sort(w.done)
	if fmt.Sprint(w.done) != "[new snapshot]" {
		t.Error(w.done)
	}
}
