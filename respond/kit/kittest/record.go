package kittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// place is where a recording ends: once some steps have ended, or in the middle of
// one, when it has kept something or when AWS has done what it asked.
type place struct {
	name  string
	ended int
	what  string // keeps, called
}

// record writes a new version of the history.
func (h History) record(t *testing.T) {
	t.Helper()
	versions, err := filepath.Glob(filepath.Join(histories, "v*", h.Name))
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	for _, dir := range versions {
		next = max(next, number(dir)+1)
	}
	dir := filepath.Join(histories, fmt.Sprintf("v%d", next), h.Name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	b := h.Fresh(t)
	before, err := b.World.Dump()
	if err != nil {
		t.Fatal(err)
	}
	p := b.Plan()
	raw, err := respond.Canonical(p)
	if err != nil {
		t.Fatal(err)
	}
	records, err := b.Execute(Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	w := whole{Playbook: p.Playbook, Version: p.Version, Digest: respond.Digest(raw), Start: Start, States: map[string]playbook.State{}, Things: b.things()}
	for id, r := range records {
		w.States[id] = r.State
	}
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), raw, 0o600); err != nil { // the bytes that the digest is over
		t.Fatal(err)
	}
	write(t, dir, "before.json", json.RawMessage(before))
	write(t, dir, "whole.json", w)
	n := len(p.Steps)
	for _, at := range []place{{name: "quarter", ended: n / 4}, {name: "half", ended: n / 2}, {name: "three-quarters", ended: 3 * n / 4}, {name: "kept", what: "keeps"}, {name: "acted", what: "called"}} {
		write(t, dir, "cut-"+at.name+".json", h.cut(t, before, p, at))
	}
}

// cut runs the plan until the process dies at a place.
func (h History) cut(t *testing.T, before []byte, p *respond.Plan, at place) cut {
	t.Helper()
	b := h.Fresh(t)
	b.reopen(before, Start)
	var mu sync.Mutex
	dead, ended := false, 0
	die := func() {
		mu.Lock()
		defer mu.Unlock()
		dead = true
		b.Journal.Set(playbook.Standing{Fenced: true})
	}
	gone := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return dead
	}
	m := moment{}
	if at.what != "" {
		m = moment{Step: h.Middle, What: at.what, N: 1}
	}
	b.watch = newWatch(m, die)
	b.Journal.OnPut = func(r playbook.Record) {
		if at.ended == 0 || !r.State.Ended() {
			return
		}
		mu.Lock()
		ended++
		now := ended == at.ended
		mu.Unlock()
		if now {
			die()
		}
	}
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if gone() {
			return errCrash
		}
		if err := b.watch.hook(phase, c); err != nil {
			return err
		}
		if gone() {
			return errCrash
		}
		return nil
	})
	if _, err := b.Execute(Run, p, b.Journal); !gone() || !errors.Is(err, playbook.ErrFenced) {
		t.Fatalf("%s %s: the run ended with %v", h.Name, at.name, err)
	}
	list, err := b.Journal.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	world, err := b.World.Dump()
	if err != nil {
		t.Fatal(err)
	}
	return cut{At: b.Clock.Now(), Records: list, Owed: b.Owed.Rows(), Settled: slices.Sorted(maps.Keys(b.Owed.closed)), World: world}
}

// write keeps a value as JSON in one line.
func write(t *testing.T, dir, name string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
