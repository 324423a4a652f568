package kit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// thing is a setting in memory. Reads after a write may be stale for a while.
type thing struct {
	value, old string
	stale      int
	puts       int
	fail       error
}

func (t *thing) setting() kit.Setting[string] {
	return kit.Setting[string]{What: "the thing", Same: func(a, b string) bool { return a == b },
		Look: func(context.Context) (string, error) {
			if t.stale > 0 {
				t.stale--
				return t.old, nil
			}
			return t.value, nil
		},
		Put: func(_ context.Context, v string) error {
			t.puts++
			if t.fail != nil {
				return t.fail
			}
			t.old, t.value = t.value, v
			return nil
		},
	}
}

// do runs one step on a journal.
func do(t rapid.TB, j *playbook.Memory, clock *playbook.Virtual, f func(x *respond.Exec) (playbook.Outcome, error)) playbook.Record {
	t.Helper()
	actions := respond.NewActions([]respond.Action{{Name: "test", Options: playbook.Options{Timeout: 10 * time.Minute}, Do: f}})
	e := respond.Executor{Actions: actions}
	r := playbook.Runner{Journal: j, Clock: clock, Spread: func() float64 { return 0.5 }}
	var records map[string]playbook.Record
	err := r.Run(context.Background(), func(c playbook.Context) (err error) {
		records, err = e.Execute(c, "run_1", &respond.Plan{Incident: 1, Steps: []respond.Step{{ID: "s", Action: "test", Title: "do the thing"}}})
		return err
	})
	if err != nil && !errors.Is(err, playbook.ErrFenced) {
		t.Fatal(err)
	}
	return records["s"]
}

func start() *playbook.Virtual {
	return playbook.NewVirtual(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
}

func setTo(th *thing, want string) func(x *respond.Exec) (playbook.Outcome, error) {
	return func(x *respond.Exec) (playbook.Outcome, error) {
		changed, err := kit.Set(x, th.setting(), func(string) (string, error) { return want, nil })
		if !changed {
			return playbook.Outcome{Message: "same"}, err
		}
		return playbook.Outcome{Message: "changed"}, err
	}
}

func TestSetWritesOnceAndReadsUntilItIsSo(t *testing.T) {
	t.Parallel()
	th := &thing{value: "a", old: "a"}
	clock := start()
	th2 := th.setting()
	put := th2.Put
	th2.Put = func(ctx context.Context, v string) error { th.stale = 3; return put(ctx, v) }
	rec := do(t, &playbook.Memory{}, clock, func(x *respond.Exec) (playbook.Outcome, error) {
		_, err := kit.Set(x, th2, func(string) (string, error) { return "b", nil })
		return playbook.Outcome{}, err
	})
	if rec.State != playbook.Completed || th.puts != 1 || th.value != "b" || clock.Now().Equal(start().Now()) {
		t.Fatalf("%+v, %d puts", rec, th.puts)
	}
}

func TestSetLeavesWhatIsSoAlready(t *testing.T) {
	t.Parallel()
	th := &thing{value: "b"}
	if rec := do(t, &playbook.Memory{}, start(), setTo(th, "b")); rec.Message != "same" || th.puts != 0 {
		t.Fatalf("%+v", rec)
	}
}

func TestASettingThatNeverReadsAsWrittenFails(t *testing.T) {
	t.Parallel()
	th := &thing{value: "a"}
	s := th.setting()
	s.Put = func(context.Context, string) error { return nil } // AWS says 200 and does nothing
	rec := do(t, &playbook.Memory{}, start(), func(x *respond.Exec) (playbook.Outcome, error) {
		_, err := kit.Set(x, s, func(string) (string, error) { return "b", nil })
		return playbook.Outcome{}, err
	})
	if rec.State != playbook.Failed || !strings.Contains(rec.Message, "does not read as it was written") {
		t.Fatalf("%+v", rec)
	}
}

// Whatever a colleague does at whatever time, a value that is neither the one
// recorded nor the one we set is never overwritten by the undo, and set followed
// by restore gives back what the record says.
func TestRestoreOverwritesNobody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SampledFrom([]string{"", "a", "b", "c"})
		th := &thing{value: values.Draw(t, "before")}
		want := values.Draw(t, "want")
		before := th.value
		j := &playbook.Memory{}
		clock := start()
		if rapid.Bool().Draw(t, "the process dies after the call") {
			s := th.setting()
			put := s.Put
			s.Put = func(ctx context.Context, v string) error {
				err := put(ctx, v)
				j.Set(playbook.Standing{Fenced: true})
				return errors.Join(err, errors.New("cut"))
			}
			do(t, j, clock, func(x *respond.Exec) (playbook.Outcome, error) {
				_, err := kit.Set(x, s, func(string) (string, error) { return want, nil })
				return playbook.Outcome{}, err
			})
			j.Set(playbook.Standing{})
		}
		rec := do(t, j, clock, setTo(th, want))
		if rec.State != playbook.Completed || th.value != want {
			t.Fatalf("%+v, value %q", rec, th.value)
		}
		if theirs := values.Draw(t, "a colleague's"); rapid.Bool().Draw(t, "a colleague changes it") {
			th.value = theirs
		}
		now := th.value
		undo := do(t, &playbook.Memory{}, clock, func(x *respond.Exec) (playbook.Outcome, error) {
			return kit.Restore(x, th.setting(), before, want)
		})
		switch now {
		case before, want:
			if undo.State != playbook.Completed || th.value != before {
				t.Fatalf("%+v: value %q, was %q", undo, th.value, before)
			}
		default:
			if undo.State != playbook.Failed || th.value != now {
				t.Fatalf("%+v: a colleague's %q became %q", undo, now, th.value)
			}
		}
	})
}

func TestAChangeBetweenRecordAndCallIsRecordedAnew(t *testing.T) {
	t.Parallel()
	th := &thing{value: "a", fail: &smithy.GenericAPIError{Code: "Throttling", Message: "slow down"}}
	s := th.setting()
	put := s.Put
	s.Put = func(ctx context.Context, v string) error {
		if err := put(ctx, v); err != nil {
			th.value, th.fail = "theirs", nil // the call failed, and a colleague was faster
			return err
		}
		return nil
	}
	j := &playbook.Memory{}
	rec := do(t, j, start(), func(x *respond.Exec) (playbook.Outcome, error) {
		_, err := kit.Set(x, s, func(before string) (string, error) { return before + "+ours", nil })
		return playbook.Outcome{}, err
	})
	var before string
	if rec.State != playbook.Completed || th.value != "theirs+ours" || !rec.Load(respond.SavedBefore, &before) || before != "theirs" {
		t.Fatalf("%+v: %q, before %q", rec, th.value, before)
	}
}

func TestUndoSettingMakesNoStepWhereNothingWasChanged(t *testing.T) {
	t.Parallel()
	th := &thing{value: "b"}
	rec := do(t, &playbook.Memory{}, start(), setTo(th, "b"))
	undo := kit.UndoSetting(respond.Action{Name: "back"}, "back")
	for _, r := range []playbook.Record{rec, {}} {
		if steps, err := undo(respond.Step{ID: "s"}, r); err != nil || len(steps) != 0 {
			t.Fatalf("%v %v", steps, err)
		}
	}
	th.value = "a"
	rec = do(t, &playbook.Memory{}, start(), setTo(th, "b"))
	if steps, err := undo(respond.Step{ID: "s"}, rec); err != nil || len(steps) != 1 || steps[0].ID != "undo/s" || steps[0].Action != "back" {
		t.Fatalf("%v %v", steps, err)
	}
}
