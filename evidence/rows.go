package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Rows is what the tables of a store show of an incident's evidence. Ids of items
// and of what lines of custody name are those of a manifest: see OfRun.
type Rows struct {
	Items   []Item
	Gaps    []RunGap
	Custody []Custody
	// Open are the runs that still work: what they recorded is not sealed yet.
	Open []string
	// Noted reports whether a line of custody that is not sealed was written down
	// elsewhere too, in the audit chain; nil: none was.
	Noted func(Custody) bool
}

// RunGap is a gap and the run that has it.
type RunGap struct {
	Run string
	Gap
}

// Removed is the gap of a working copy that was cleaned up.
const Removed = removed + "after its retention date"

const removed = "removed "

// RemovedBy is the gap of a working copy that the undo of its run removed.
func RemovedBy(run string, at time.Time) string {
	return removed + "by " + run + " at " + at.UTC().Format("2006-01-02 15:04 UTC")
}

// IsRemoved reports whether a gap says that the item is not there any more.
func IsRemoved(gap string) bool { return strings.HasPrefix(gap, removed) }

// RunOf is the run that made an item of a manifest, or that wrote a line of
// custody; empty for what people did.
func RunOf(text string) string {
	if rest, is := strings.CutPrefix(text, "guardroom/"); is {
		text = rest
	}
	run, _, _ := strings.Cut(text, "/")
	if !strings.HasPrefix(run, "run_") {
		return ""
	}
	return run
}

// rows names every row of the store that the manifest has otherwise, has not, or
// has and the store has not. What a run that still works recorded is left out.
func (v *verifying) rows(m Manifest, r Rows) {
	before := len(v.report.Problems)
	c := &comparison{v: v, m: m, r: r}
	c.items()
	c.gaps()
	c.custody()
	how := fmt.Sprintf("items (%d), gaps (%d) and lines of custody (%d) compared with the manifest", len(r.Items), len(r.Gaps), len(r.Custody))
	if c.open > 0 {
		how += fmt.Sprintf("; %d of runs that still work are not sealed yet", c.open)
	}
	v.checked(Checked{ID: "tables of the store", How: how, Good: before == len(v.report.Problems)})
}

type comparison struct {
	v    *verifying
	m    Manifest
	r    Rows
	open int // rows that are not sealed yet
}

// unsealed reports whether the run of a row has no manifest, and names the row
// where that run has ended.
func (c *comparison) unsealed(run, what string) bool {
	switch {
	case slices.Contains(c.m.Runs, run):
		return false
	case slices.Contains(c.r.Open, run):
		c.open++
	default:
		c.v.problem(what, "the store shows it, and no manifest has what %s recorded: it was not sealed, or the row was added", run)
	}
	return true
}

func (c *comparison) items() {
	sealed, seen := map[string]Item{}, map[string]bool{}
	for _, i := range c.m.Items {
		sealed[i.ID] = i
	}
	for _, row := range c.r.Items {
		seen[row.ID] = true
		if c.unsealed(RunOf(row.ID), row.ID) {
			continue
		}
		was, ok := sealed[row.ID]
		if !ok {
			c.v.problem(row.ID, "the store shows it, and the manifest does not: the row was added")
			continue
		}
		if d := c.differ(was, row); len(d) > 0 {
			c.v.problem(row.ID, "the store says otherwise than the manifest about its %s: the row was changed", strings.Join(d, ", "))
		}
	}
	for _, i := range c.m.Items {
		if !seen[i.ID] {
			c.v.problem(i.ID, "the manifest has it, and the store does not show it: the row was removed")
		}
	}
}

// differ names the fields in which a row differs from the sealed item. A working
// copy that was cleaned up since is one no more, and says so.
func (c *comparison) differ(was, row Item) []string {
	if was.Working && !row.Working && IsRemoved(row.Gap) && c.v.released(row.Location) {
		row.Working, row.Gap = was.Working, was.Gap
	}
	a, b := fields(was), fields(row)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if a[k] != b[k] {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, there := a[k]; !there {
			out = append(out, k)
		}
	}
	return out
}

// fields are the texts of an item as JSON has them, with every time in UTC.
func fields(i Item) map[string]string {
	m := Manifest{Items: []Item{i}}
	m.fill()
	raw, err := json.Marshal(m.Items[0])
	if err != nil {
		panic("evidence: an item is texts, numbers and times: " + err.Error())
	}
	var list map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		panic("evidence: an item is an object: " + err.Error())
	}
	out := map[string]string{}
	for k, v := range list {
		out[k] = string(v)
	}
	return out
}

func (c *comparison) gaps() {
	named := map[string]bool{}
	for _, row := range c.r.Gaps {
		named[row.What] = true
		what := "gap " + row.What
		if c.unsealed(row.Run, what) {
			continue
		}
		if !slices.Contains(c.m.Gaps, row.Gap) {
			c.v.problem(what, "the store gives %q as its reason for %s, and the manifest does not: the row was added or changed", row.Why, row.Run)
		}
	}
	told := map[string]bool{}
	for _, g := range c.m.Gaps {
		if !named[g.What] && !told[g.What] {
			told[g.What] = true
			c.v.problem("gap "+g.What, "the manifest has it, and the store does not show it: the row was removed")
		}
	}
}

func (c *comparison) custody() {
	sealed, seen := map[Custody]bool{}, map[Custody]bool{}
	for _, l := range c.m.Custody {
		sealed[plainLine(l)] = true
	}
	for _, l := range c.r.Custody {
		l = plainLine(l)
		seen[l] = true
		switch run := RunOf(l.Who); {
		case sealed[l], c.noted(l):
		case run != "" && c.unsealed(run, nameOfLine(l)):
		default:
			c.v.problem(nameOfLine(l), "the store shows it, and neither the manifest nor the audit chain does: the row was added or changed")
		}
	}
	for _, l := range c.m.Custody {
		if l = plainLine(l); !seen[l] {
			c.v.problem(nameOfLine(l), "the manifest has it, and the store does not show it: the row was removed or changed")
		}
	}
}

func (c *comparison) noted(l Custody) bool { return c.r.Noted != nil && c.r.Noted(l) }

// plainLine is a line with a time that compares by ==.
func plainLine(l Custody) Custody {
	l.At = l.At.UTC().Round(0)
	return l
}

func nameOfLine(l Custody) string {
	return strings.TrimSpace(fmt.Sprintf("custody %s: %s %s by %s", l.At.Format(time.RFC3339), l.Action, l.Item, l.Who))
}
