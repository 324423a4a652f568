package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/evidence"
)

// standing is how things are now, by their location. What is not in it is gone.
type standing map[string]evidence.Standing

func (s standing) Stand(_ context.Context, i evidence.Item) (evidence.Standing, error) {
	one, ok := s[i.Location]
	switch {
	case !ok:
		return one, fmt.Errorf("look at %s: %w", i.Location, evidence.ErrMissing)
	case one.State == "refused":
		return one, errors.New("no permission")
	}
	return one, nil
}

func TestWhatIsNamedAsEvidenceIsLookedForWithItsLock(t *testing.T) {
	t.Parallel()
	until := noon.Add(30 * 24 * time.Hour)
	items := []evidence.Item{
		{ID: "a", Kind: evidence.Snapshot, Location: "snap-1", LockMode: "governance", LockUntil: until, Gap: "its blocks were not hashed"},
		{ID: "b", Kind: evidence.Copy, Location: "snap-2", LockMode: "compliance", LockUntil: until, Gap: "its blocks were not hashed"},
		{ID: "c", Kind: evidence.Volume, Location: "vol-1", Working: true, Gap: "it is a working copy"},
		{ID: "d", Kind: evidence.Workstation, Location: "i-1", Working: true},
		{ID: "e", Kind: evidence.Console, Location: "s3://b/console", SHA256: evidence.Digest([]byte("login:")), LockMode: "governance", LockUntil: until},
		{ID: "f", Kind: evidence.Snapshot, Location: "snap-3", LockMode: "governance", LockUntil: noon.Add(-time.Hour), Gap: "x"},
	}
	released := evidence.Custody{At: noon, Who: "guardroom/run_1", Action: "released", Item: "run_1/c", From: "vol-1"}
	for name, c := range map[string]struct {
		change   func(s standing)
		released bool
		want     []string // id, and a word of why
	}{
		"all is as it was":            {func(standing) {}, false, nil},
		"a snapshot is gone":          {func(s standing) { delete(s, "snap-1") }, false, []string{"run_1/a: snap-1: missing"}},
		"a copy is gone":              {func(s standing) { delete(s, "snap-2") }, false, []string{"run_1/b: snap-2: missing"}},
		"a working copy is gone":      {func(s standing) { delete(s, "vol-1") }, false, []string{"run_1/c: vol-1: missing"}},
		"a workstation is gone":       {func(s standing) { delete(s, "i-1") }, false, []string{"run_1/d: i-1: missing"}},
		"a working copy was released": {func(s standing) { delete(s, "vol-1") }, true, nil},
		"another one was released":    {func(s standing) { delete(s, "i-1") }, true, []string{"run_1/d: i-1: missing"}},
		"a lock is gone":              {func(s standing) { s["snap-1"] = evidence.Standing{State: "completed"} }, false, []string{"run_1/a: snap-1 is not locked any more"}},
		"a lock is shorter": {func(s standing) {
			s["snap-1"] = evidence.Standing{LockMode: "governance", LockUntil: until.Add(-time.Hour)}
		}, false, []string{"run_1/a: snap-1 is locked until 2026-12-25T11:00:00Z only"}},
		"a lock is weaker": {func(s standing) { s["snap-2"] = evidence.Standing{LockMode: "governance", LockUntil: until} }, false, []string{"run_1/b: snap-2 is locked by governance only"}},
		"a lock is stronger and longer": {func(s standing) {
			s["snap-1"] = evidence.Standing{LockMode: "compliance", LockUntil: until.Add(time.Hour)}
		}, false, nil},
		"an object is not locked":  {func(s standing) { s["s3://b/console"] = evidence.Standing{} }, false, []string{"run_1/e: s3://b/console is not locked any more"}},
		"a snapshot is broken":     {func(s standing) { s["snap-3"] = evidence.Standing{State: "error", Broken: true} }, false, []string{"run_1/f: snap-3 is in state error"}},
		"one may not be looked at": {func(s standing) { s["i-1"] = evidence.Standing{State: "refused"} }, false, []string{"run_1/d: i-1: could not be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := standing{"snap-1": {State: "completed", LockMode: "governance", LockUntil: until}, "snap-2": {State: "completed", LockMode: "compliance", LockUntil: until},
				"vol-1": {State: "in-use"}, "i-1": {State: "running"}, "s3://b/console": {LockMode: "governance", LockUntil: until}, "snap-3": {State: "completed"}}
			c.change(s)
			p := parts(items...)
			if c.released {
				p.Custody = []evidence.Custody{released}
			}
			st := stock{objects: map[string][]byte{"s3://b/console": []byte("login:")}}
			r, err := evidence.Verify(t.Context(), sealed(t, build(t, nil, p), nil), st, st, evidence.Options{At: noon, Places: s})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Problems) != len(c.want) || !slices.EqualFunc(r.Problems, c.want, func(p evidence.Problem, want string) bool { return strings.HasPrefix(p.What+": "+p.Why, want) }) {
				t.Errorf("named: %+v\nwant:  %q", r.Problems, c.want)
			}
			if len(r.Items) != len(items)+1 {
				t.Errorf("%d of %d items were looked at: %+v", len(r.Items)-1, len(items), r.Items)
			}
		})
	}
}
