package kittest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// recordAnew makes History write a new version beside the old ones.
var recordAnew = flag.Bool("record", false, "record the histories of playbooks anew, in a new version beside the old ones")

// histories is where they are, below the folder of the package.
const histories = "testdata/histories"

// History is a playbook whose runs were recorded half-way, by the code of their day.
type History struct {
	// Name is that of its folder.
	Name string
	// Fresh makes a bench with the world before the run.
	Fresh func(t *testing.T) *Bench
	// Middle is a step that is cut in the middle.
	Middle string
	// Check sees the world when the run has ended.
	Check func(t *testing.T, b *Bench, p *respond.Plan, records map[string]playbook.Record)
}

// whole is what a run came to that nobody cut, by the code of its day.
type whole struct {
	Playbook string                    `json:"playbook"`
	Version  int                       `json:"version"`
	Digest   string                    `json:"digest"` // of the plan's bytes
	Start    time.Time                 `json:"start"`
	States   map[string]playbook.State `json:"states"`
	Things   map[string]int            `json:"things"`
}

// cut is a run at the moment in which its process ended.
type cut struct {
	At      time.Time         `json:"at"`
	Records []playbook.Record `json:"records"`
	Owed    []respond.Owed    `json:"owed"`
	Settled []string          `json:"settled"`
	World   json.RawMessage   `json:"world"`
}

// Histories takes up every recorded run with the code of today: it comes to its
// end, does no step again that had ended, makes nothing twice, and can be undone.
func Histories(t *testing.T, h History) {
	t.Helper()
	if *recordAnew {
		h.record(t)
	}
	versions, err := filepath.Glob(filepath.Join(histories, "v*", h.Name))
	if err != nil || len(versions) == 0 {
		t.Fatalf("no history of %s is recorded: go test . -run Histor -record (%v)", h.Name, err)
	}
	slices.SortFunc(versions, func(a, b string) int { return number(a) - number(b) })
	h.covers(t, versions[len(versions)-1])
	for _, dir := range versions {
		cuts, err := filepath.Glob(filepath.Join(dir, "cut-*.json"))
		if err != nil || len(cuts) < 4 {
			t.Fatalf("%d cuts in %s: %v", len(cuts), dir, err)
		}
		for _, file := range cuts {
			name := fmt.Sprintf("v%d/%s", number(dir), strings.TrimSuffix(filepath.Base(file), ".json"))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h.goesOn(t, dir, file)
			})
		}
	}
}

// number is that of the version of a folder.
func number(dir string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "v"))
	return n
}

// covers fails where today's playbook does what the newest history does not know.
func (h History) covers(t *testing.T, dir string) {
	t.Helper()
	b := h.Fresh(t)
	today, then := b.Plan(), readPlan(t, dir)
	known := map[string]bool{}
	for _, s := range then.Steps {
		known[s.Action] = true
	}
	var lacks []string
	for _, s := range today.Steps {
		if !known[s.Action] && !slices.Contains(lacks, s.Action) {
			lacks = append(lacks, s.Action)
		}
	}
	if then.Version != today.Version || len(lacks) > 0 {
		t.Errorf("%s is of version %d and lacks %v, and the playbook is of version %d: record it anew with go test . -run Histor -record", dir, then.Version, lacks, today.Version)
	}
}

func readPlan(t *testing.T, dir string) *respond.Plan {
	t.Helper()
	var w whole
	read(t, filepath.Join(dir, "whole.json"), &w)
	raw, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := respond.Digest(raw); got != w.Digest {
		t.Fatalf("the plan of %s has the digest %s and not %s: a history is never changed", dir, got, w.Digest)
	}
	var p respond.Plan
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

func read(t *testing.T, file string, v any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
}

// reopen gives the bench another world, at a time, on a new journal.
func (b *Bench) reopen(world []byte, at time.Time) {
	b.T.Helper()
	o := b.Options
	o.File = filepath.Join(b.T.(*testing.T).TempDir(), "world.json")
	if err := os.WriteFile(o.File, world, 0o600); err != nil { //nolint:gosec // in a folder of the test
		b.T.Fatal(err)
	}
	b.Clock = playbook.NewVirtual(at)
	o.Clock = b.Clock
	w, err := sim.New(o)
	if err != nil {
		b.T.Fatal(err)
	}
	b.World, b.AWS, b.Journal = w, w.AWS(), &playbook.Memory{}
	b.Owed = &Owed{rows: map[string]respond.Owed{}, closed: map[string]bool{}}
}

// takeover is when another process goes on with a run whose process ended.
const takeover = 40 * time.Second

// goesOn takes up a run that was cut, to its end, and undoes it.
func (h History) goesOn(t *testing.T, dir, file string) {
	t.Helper()
	var c cut
	var w whole
	read(t, file, &c)
	read(t, filepath.Join(dir, "whole.json"), &w)
	p := readPlan(t, dir)
	b := h.Fresh(t)
	b.reopen(c.World, c.At.Add(takeover))
	had := map[string]playbook.Record{}
	for _, r := range c.Records {
		if err := b.Journal.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if r.State.Ended() {
			had[r.Name] = r
		}
	}
	for _, row := range c.Owed {
		b.Owed.rows[row.ID] = row
	}
	for _, id := range c.Settled {
		b.Owed.closed[id] = true
	}
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	for id, was := range w.States {
		if r := records[id]; r.State != was {
			t.Errorf("step %s is %s: %s, and was %s", id, r.State, r.Message, was)
		}
	}
	for id, r := range had {
		if diff := cmp.Diff(r, records[id]); diff != "" {
			t.Errorf("step %s had ended, and its record was changed:\n%s", id, diff)
		}
	}
	for _, call := range b.World.Calls() {
		if _, ended := had[call.Step]; ended {
			t.Errorf("step %s had ended, and called %s again", call.Step, call)
		}
	}
	if rows := b.Owed.Rows(); len(rows) > 0 {
		t.Errorf("owed: %+v", rows)
	}
	if _, contained, _ := b.Result(p, records); !contained && slices.ContainsFunc(p.Steps, func(s respond.Step) bool { return s.Contains }) {
		t.Error("it does not count as contained")
	}
	if diff := cmp.Diff(w.Things, b.things()); diff != "" {
		t.Errorf("the world does not hold what the run left by itself (-then +now):\n%s", diff)
	}
	if h.Check != nil {
		h.Check(t, b, p, records)
	}
	h.undone(t, b, dir, p, records)
}

// undone undoes a run that was taken up, and wants the world of before.
func (h History) undone(t *testing.T, b *Bench, dir string, p *respond.Plan, records map[string]playbook.Record) {
	t.Helper()
	b.Pass(time.Minute)
	undone, err := b.Execute(UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range undone {
		if r.State != playbook.Completed && r.State != playbook.Skipped {
			t.Errorf("the undo's step %s is %s: %s", id, r.State, r.Message)
		}
	}
	b.Pass(3 * time.Hour)
	raw, err := os.ReadFile(filepath.Join(dir, "before.json"))
	if err != nil {
		t.Fatal(err)
	}
	first := h.Fresh(t)
	first.reopen(raw, b.Clock.Now())
	if diff := cmp.Diff(first.Same(), b.Same()); diff != "" {
		t.Errorf("the undo gives another world (-before +after):\n%s", diff)
	}
}

// things counts what is in the world that a run could make twice, once what happens
// by itself has happened.
func (b *Bench) things() map[string]int {
	b.T.Helper()
	b.Pass(10 * time.Minute)
	if err := b.World.Edit(func(*sim.Editor) {}); err != nil {
		b.T.Fatal(err)
	}
	raw, err := b.World.Dump()
	if err != nil {
		b.T.Fatal(err)
	}
	var world map[string]any
	if err := json.Unmarshal(raw, &world); err != nil {
		b.T.Fatal(err)
	}
	out := map[string]int{}
	for account, a := range within(world, "accounts") {
		a, _ := a.(map[string]any)
		for name, r := range within(a, "regions") {
			r, _ := r.(map[string]any)
			for _, kind := range []string{"groups", "acls", "addresses", "profiles", "volumes", "snapshots"} {
				if n := len(within(r, "ec2", kind)); n > 0 {
					out[account+"/"+name+"/"+kind] = n
				}
			}
		}
	}
	return out
}
