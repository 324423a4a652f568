package jira

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
)

// creates counts the requests that created an issue, or would have.
func (r *room) creates() int {
	n := 0
	for _, ex := range r.fake.Transcript() {
		if ex.Method == "POST" && strings.HasSuffix(ex.Path, "/issue") {
			n++
		}
	}
	return n
}

func (r *room) searches() (empty, full int) {
	for _, ex := range r.fake.Transcript() {
		if ex.Method != "POST" || !strings.Contains(ex.Path, "/search") || ex.Status != 200 {
			continue
		}
		if strings.Contains(ex.Answer, label) {
			full++
		} else {
			empty++
		}
	}
	return empty, full
}

// failCreate lets the project be read and the next request, which creates,
// fail.
func failCreate(r *room, f fakejira.Fault) {
	r.t.Helper()
	if _, err := r.n.metadata(r.t.Context(), nil); err != nil {
		r.t.Fatal(err)
	}
	r.fake.Fail(f)
}

func TestAnUnknownOutcomeThatTookEffectIsAdopted(t *testing.T) {
	t.Parallel()
	for _, f := range []fakejira.Fault{fakejira.ServerErrorAfter, fakejira.ResetAfter, fakejira.HalfResponse, fakejira.TimeoutAfter} {
		for _, lag := range []time.Duration{0, 12 * time.Second, 60 * time.Second} {
			t.Run(fmt.Sprintf("%s, found after %s", f, lag), func(t *testing.T) {
				t.Parallel()
				dialects(t, func(t *testing.T, d fakejira.Dialect) {
					r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: lag}, func(c *Config) {
						if f == fakejira.TimeoutAfter {
							c.Timeout = 2 * time.Second // for the calls that are answered too
						}
					})
					failCreate(r, f)
					_, err := r.try(sampleView())
					if e := asError(t, err); e.Class != notify.Retry || e.Reason != "unknown_outcome" || e.After <= 0 {
						t.Fatalf("%+v", e)
					}
					out := r.show(sampleView())
					if i := r.only(); out.Reference != i.Key || r.creates() != 1 {
						t.Errorf("reference %s after %d creates", out.Reference, r.creates())
					}
					r.noViolations()
				})
			})
		}
	}
}

// TestTheSearchAloneIsNoGuard pins a mistake seen elsewhere: search by label,
// nothing found because the index lags, create a twin.
func TestTheSearchAloneIsNoGuard(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: 40 * time.Second})
		r.failSave = 2 // dies between the creation and its record
		if _, err := r.try(sampleView()); err == nil {
			t.Fatal("it did not die")
		}
		r.failSave = 0
		r.show(sampleView())
		r.only()
		if r.creates() != 1 {
			t.Errorf("%d creates", r.creates())
		}
		if empty, full := r.searches(); empty < 2 || full != 1 {
			t.Errorf("%d searches found nothing and %d found it; the trap was not sprung", empty, full)
		}
		r.noViolations()
	})
}

func TestWhatCannotBeFoundIsForAPersonToDecide(t *testing.T) {
	t.Parallel()
	for _, f := range []fakejira.Fault{fakejira.ServerError, fakejira.ResetBefore} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakejira.Options{})
			failCreate(r, f)
			begun := r.clock.Now()
			_, err := r.settle(sampleView())
			e := asError(t, err)
			if e.Class != notify.Undecided || !strings.Contains(e.Hint, label) || len(r.fake.Issues()) != 0 || r.creates() != 1 {
				t.Fatalf("%+v after %d creates", e, r.creates())
			}
			if passed := r.clock.Now().Sub(begun); passed < 65*time.Second || passed > 80*time.Second {
				t.Errorf("it looked for %s", passed)
			}
			if empty, _ := r.searches(); empty != 5 { // the last one asks for any issue of the project
				t.Errorf("%d searches", empty)
			}
			// Again without a person's word: still nothing.
			if _, err := r.settle(sampleView()); asError(t, err).Class != notify.Undecided {
				t.Errorf("the second time: %v", err)
			}
			allowed, err := AllowCreate(r.state)
			if err != nil {
				t.Fatal(err)
			}
			r.state = allowed
			if out := r.show(sampleView()); out.Reference != r.only().Key {
				t.Errorf("outcome %+v", out)
			}
			r.noViolations()
		})
	}
}

func TestAllowCreateLooksOnceMore(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{IndexLag: 10 * time.Minute})
	failCreate(r, fakejira.ResetAfter)
	if _, err := r.settle(sampleView()); asError(t, err).Class != notify.Undecided {
		t.Fatal(err)
	}
	r.clock.pass(10 * time.Minute)
	r.state, _ = AllowCreate(r.state)
	if out := r.show(sampleView()); out.Reference != "SEC-1" || r.creates() != 1 {
		t.Errorf("outcome %+v after %d creates", out, r.creates())
	}
	if same, err := AllowCreate(r.state); err != nil || string(same) != string(r.state) {
		t.Errorf("a state that knows its issue was changed: %s, %v", same, err)
	}
	if none, err := AllowCreate(nil); err != nil || len(none) != 0 {
		t.Errorf("no state became %s, %v", none, err)
	}
	if _, err := AllowCreate(json.RawMessage(`{"version":9}`)); err == nil {
		t.Error("a state of another version was taken")
	}
}

func TestTheOldestOfSeveralIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	failCreate(r, fakejira.ResetAfter)
	_, _ = r.try(sampleView())
	// A twin, made by hand from the same request.
	twin := &room{t: t, clock: r.clock, fake: r.fake, cfg: r.cfg}
	twin.configure()
	twin.show(sampleView())
	out := r.show(sampleView())
	if out.Reference != "SEC-1" || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "close SEC-2") {
		t.Errorf("outcome %+v", out)
	}
}

func TestNothingIsUnknownAboutARequestThatWasNeverSent(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	if _, err := r.n.metadata(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.fake.Close()
	r.n.client.http.CloseIdleConnections()
	_, err := r.try(sampleView())
	if e := asError(t, err); e.Class != notify.Retry || e.Reason != "network" {
		t.Fatalf("%+v", e)
	}
	s, err := decodeState(r.state)
	if err != nil || s.Attempt != nil {
		t.Errorf("an attempt is pending: %s, %v", r.state, err)
	}
}

// TestACrashAtAnySaveLeavesOneIssue lives through a life and dies at every save
// there is.
func TestACrashAtAnySaveLeavesOneIssue(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		whole := newRoom(t, fakejira.Options{Dialect: d})
		live(whole)
		if whole.saves < 15 {
			t.Fatalf("only %d saves", whole.saves)
		}
		for k := 1; k <= whole.saves; k++ {
			r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: 30 * time.Second})
			r.failSave = k
			live(r)
			if i := r.only(); i.Status != "Done" || len(i.Comments) != 4 || !strings.Contains(i.Text, "Last event") {
				t.Errorf("death at save %d: %+v", k, i)
			}
			once(t, r.only())
			r.noViolations()
		}
	})
}

// live is a whole life; each failure to save is a crash, after which the
// program starts anew.
func live(r *room) {
	s := newStory()
	for _, step := range []func() *story{
		func() *story { return s }, s.acknowledge, func() *story { return s.raise(9.5) }, s.close, s.reopen, s.close,
	} {
		v := step().v
		for range 100 {
			_, err := r.try(v)
			if err == nil {
				break
			}
			e := notify.AsError(err)
			if strings.Contains(e.Message, errSave.Error()) {
				r.failSave = 0
				r.configure()
			}
			r.clock.pass(max(e.After, time.Second))
		}
	}
}

// once checks that no comment of ours stands there twice.
func once(t testing.TB, i fakejira.Issue) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range i.Comments {
		if c.Author == "guardroom" && seen[c.Text] {
			t.Errorf("%s: a comment stands there twice: %q", i.Key, c.Text)
		}
		seen[c.Text] = true
	}
}
