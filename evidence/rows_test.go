package evidence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/evidence"
)

// recorded are the tables of a store with what one run recorded, and the manifest
// over them.
func recorded(t testing.TB, items, gaps, lines int) (evidence.Rows, evidence.Sealed) {
	t.Helper()
	var r evidence.Rows
	for n := range items {
		r.Items = append(r.Items, evidence.Item{ID: fmt.Sprintf("run_1/item/%d", n), Kind: evidence.Snapshot, Title: "snapshot", Location: fmt.Sprintf("snap-%d", n), SizeBytes: int64(n), CreatedAt: noon, Gap: "not hashed"})
	}
	for n := range gaps {
		r.Gaps = append(r.Gaps, evidence.RunGap{Run: "run_1", Gap: evidence.Gap{What: fmt.Sprintf("what %d", n), Why: "because"}})
	}
	for n := range lines {
		r.Custody = append(r.Custody, evidence.Custody{At: noon.Add(time.Duration(n) * time.Second), Who: "guardroom/run_1", Action: "acquired", Item: fmt.Sprintf("run_1/item/%d", n)})
	}
	p := evidence.Parts{Case: evidence.Case{Incident: "INC-42"}, Run: "run_1", Items: r.Items, Custody: r.Custody, By: "guardroom/run_1"}
	for _, g := range r.Gaps {
		p.Gaps = append(p.Gaps, g.Gap)
	}
	m, err := evidence.Build(nil, p, noon)
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.Seal(m, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r.Items, r.Gaps, r.Custody = slices.Clone(r.Items), slices.Clone(r.Gaps), slices.Clone(r.Custody)
	return r, s
}

// problems are what a verification names with these rows.
func problems(t testing.TB, s evidence.Sealed, r evidence.Rows) []string {
	t.Helper()
	report, err := evidence.Verify(t.Context(), s, stock{}, stock{}, evidence.Options{At: noon, Rows: &r})
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, p := range report.Problems {
		named = append(named, p.What+": "+p.Why)
	}
	return named
}

func TestEveryRowThatWasAddedRemovedOrChangedIsNamed(t *testing.T) {
	t.Parallel()
	hour := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		change func(r *evidence.Rows)
		want   string // in the one problem; empty: there is none
	}{
		"nothing was changed": {func(*evidence.Rows) {}, ""},
		"an item was removed": {func(r *evidence.Rows) { r.Items = r.Items[1:] }, "run_1/item/0: the manifest has it, and the store does not"},
		"an item was added":   {func(r *evidence.Rows) { r.Items = append(r.Items, evidence.Item{ID: "run_1/item/9"}) }, "run_1/item/9: the store shows it, and the manifest does not"},
		"an item was renamed": {func(r *evidence.Rows) { r.Items[1].Title = "nothing" }, "run_1/item/1: the store says otherwise than the manifest about its title"},
		"a hash was blanked":  {func(r *evidence.Rows) { r.Items[1].Gap = "" }, "about its gap"},
		"a location was set":  {func(r *evidence.Rows) { r.Items[1].Location = "snap-x" }, "about its location"},
		"a lock was made up":  {func(r *evidence.Rows) { r.Items[1].LockUntil = hour }, "about its lock_until"},
		"a gap was removed":   {func(r *evidence.Rows) { r.Gaps = r.Gaps[1:] }, "gap what 0: the manifest has it"},
		"a gap was added": {func(r *evidence.Rows) {
			r.Gaps = append(r.Gaps, evidence.RunGap{Run: "run_1", Gap: evidence.Gap{What: "x"}})
		}, "gap x: the store gives"},
		"a reason was changed": {func(r *evidence.Rows) { r.Gaps[0].Why = "nobody knows" }, `gap what 0: the store gives "nobody knows"`},
		"a line was removed":   {func(r *evidence.Rows) { r.Custody = r.Custody[1:] }, "custody 2026-11-25T12:00:00Z: acquired run_1/item/0 by guardroom/run_1: the manifest has it"},
		"a person was added": {func(r *evidence.Rows) {
			r.Custody = append(r.Custody, evidence.Custody{At: hour, Who: "eve", Action: "exported"})
		}, "exported  by eve: the store shows it, and neither the manifest nor the audit chain does"},
		"a run's line was added": {func(r *evidence.Rows) {
			r.Custody = append(r.Custody, evidence.Custody{At: hour, Who: "guardroom/run_1", Action: "released", From: "snap-1"})
		}, "released  by guardroom/run_1: the store shows it"},
		"a line that the audit chain has": {func(r *evidence.Rows) {
			r.Custody = append(r.Custody, evidence.Custody{At: hour, Who: "kim", Action: "verified"})
			r.Noted = func(l evidence.Custody) bool { return l.Who == "kim" }
		}, ""},
		"a run that still works": {func(r *evidence.Rows) {
			r.Items = append(r.Items, evidence.Item{ID: "run_2/item"})
			r.Gaps = append(r.Gaps, evidence.RunGap{Run: "run_2", Gap: evidence.Gap{What: "x"}})
			r.Custody = append(r.Custody, evidence.Custody{At: hour, Who: "guardroom/run_2", Action: "acquired"})
			r.Open = []string{"run_2"}
		}, ""},
		"a run that ended and was not sealed": {func(r *evidence.Rows) { r.Items = append(r.Items, evidence.Item{ID: "run_3/item"}) },
			"run_3/item: the store shows it, and no manifest has what run_3 recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := recorded(t, 3, 2, 2)
			c.change(&r)
			got := problems(t, s, r)
			switch {
			case c.want == "" && len(got) > 0, c.want != "" && len(got) != 1:
				t.Errorf("named: %q", got)
			case c.want != "" && !strings.Contains(got[0], c.want):
				t.Errorf("named: %q\nwant:  %q", got[0], c.want)
			}
		})
	}
}

func TestAWorkingCopyThatWasReleasedIsNoChangeOfItsRow(t *testing.T) {
	t.Parallel()
	i := evidence.Item{ID: "run_1/volume", Kind: evidence.Volume, Location: "vol-1", CreatedAt: noon, Working: true, WorkingUntil: noon, Gap: "it is a working copy"}
	m := build(t, nil, evidence.Parts{Case: evidence.Case{Incident: "INC-42"}, Run: "run_1", Items: []evidence.Item{i}})
	line := evidence.Custody{At: noon.Add(time.Hour), Who: "guardroom/run_1", Action: "released", Item: "run_1/volume", From: "vol-1"}
	i.Working, i.Gap = false, evidence.RemovedBy("run_2", noon.Add(time.Hour))
	r := evidence.Rows{Items: []evidence.Item{i}}
	first := sealed(t, m, nil)
	if got := problems(t, first, r); len(got) != 1 || !strings.Contains(got[0], "working") {
		t.Errorf("a copy that nothing says was released: %q", got)
	}
	r.Custody, r.Noted = []evidence.Custody{line}, func(evidence.Custody) bool { return true }
	if got := problems(t, first, r); len(got) > 0 {
		t.Errorf("a copy that was released: %q", got)
	}
	// A later run seals the row as it is now.
	again := sealed(t, build(t, first.Bytes, evidence.Parts{Case: evidence.Case{Incident: "INC-42"}, Run: "run_2", Items: r.Items, Custody: r.Custody}), nil)
	r.Noted = nil
	if got := problems(t, again, r); len(got) > 0 {
		t.Errorf("after the next manifest: %q", got)
	}
}

// TestAnyOneChangeOfAnyRowIsNamed changes one row of many, at random.
func TestAnyOneChangeOfAnyRowIsNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(p *rapid.T) {
		r, s := recorded(t, rapid.IntRange(1, 5).Draw(p, "items"), rapid.IntRange(1, 5).Draw(p, "gaps"), rapid.IntRange(1, 5).Draw(p, "lines"))
		if got := problems(t, s, r); len(got) > 0 {
			p.Fatalf("untouched: %q", got)
		}
		text := rapid.StringMatching(`[a-z]{1,8}`).Draw(p, "text")
		i, g, l := rapid.IntRange(0, len(r.Items)-1).Draw(p, "item"), rapid.IntRange(0, len(r.Gaps)-1).Draw(p, "gap"), rapid.IntRange(0, len(r.Custody)-1).Draw(p, "line")
		changes := []func(){
			func() { r.Items = slices.Delete(r.Items, i, i+1) },
			func() { r.Items = append(r.Items, evidence.Item{ID: "run_1/" + text}) },
			func() { r.Items[i].Source += text }, func() { r.Items[i].SHA256 += text }, func() { r.Items[i].Version += text },
			func() { r.Items[i].Device += text }, func() { r.Items[i].Kind += "x" }, func() { r.Items[i].SizeBytes++ },
			func() { r.Items[i].CreatedAt = r.Items[i].CreatedAt.Add(time.Nanosecond) }, func() { r.Items[i].Simulated = true },
			func() { r.Gaps = slices.Delete(r.Gaps, g, g+1) }, func() { r.Gaps[g].What += text }, func() { r.Gaps[g].Why += text },
			func() { r.Custody = slices.Delete(r.Custody, l, l+1) }, func() { r.Custody[l].To += text },
			func() { r.Custody[l].At = r.Custody[l].At.Add(time.Nanosecond) }, func() { r.Custody[l].Who += text },
		}
		changes[rapid.IntRange(0, len(changes)-1).Draw(p, "change")]()
		if got := problems(t, s, r); len(got) == 0 {
			p.Fatal("a row was changed, and nobody noticed")
		}
	})
}
