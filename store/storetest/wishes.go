package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/store"
)

func wishes(t *testing.T, s *suite) {
	ctx := t.Context()
	wish := func(name, region string, severity float64) incident.Number {
		t.Helper()
		i := s.opened(func(i *incident.Incident) { i.Severity = finding.Severity(severity) })
		f := aFinding(name, s.clock.now())
		f.Region = region
		s.write(func(tx *store.Tx) error {
			return errors.Join(tx.PutFinding(ctx, f, true), tx.WishPlan(ctx, store.Wish{Incident: i.Number, Playbook: "p", Finding: f.ID}))
		})
		return i.Number
	}
	due := func(max int) (names []string, list []store.Wish) {
		t.Helper()
		list = must[[]store.Wish](t)(s.DueWishes(ctx, s.clock.now(), max))
		for _, w := range list {
			names = append(names, string(w.Finding))
		}
		return names, list
	}
	wish("low", "r", 2)
	wish("severe", "r", 8)
	forged := wish("forged", "r", 9)
	wish("confirmed", "r", 1)
	s.write(func(tx *store.Tx) error {
		return tx.ConfirmFinding(ctx, finding.Revision{ID: "confirmed", UpdatedAt: s.clock.now(), Count: 1}, []byte("x"))
	})
	names, list := due(10)
	same(t, "the confirmed first, then the most severe", []string{"confirmed", "forged", "severe", "low"}, names)
	first := list[0]
	if !first.Confirmed || list[1].Confirmed || first.Account != "111111111111" || first.Region != "r" || list[1].Severity != 9 || list[1].Incident != forged {
		t.Errorf("what they are about: %+v", list)
	}
	names, _ = due(2)
	same(t, "at most so many", []string{"confirmed", "forged"}, names)
	w := list[1]
	w.Tries, w.NextAt, w.Why = 2, s.clock.now(), "not known"
	s.write(func(tx *store.Tx) error { return tx.PostponeWish(ctx, w) })
	names, _ = due(10)
	same(t, "what came to nothing gives way", []string{"confirmed", "severe", "forged", "low"}, names)
	for n := range 40 {
		wish(fmt.Sprintf("flood %02d", n), "r", 10)
	}
	wish("elsewhere", "other", 3)
	names, _ = due(30)
	if len(names) != 21 || !slices.Contains(names, "elsewhere") || names[0] != "confirmed" {
		t.Errorf("a flood of one place leaves room for another: %q", names)
	}
	mine := func(until time.Time) (got bool) {
		t.Helper()
		s.write(func(tx *store.Tx) (err error) { got, err = tx.ClaimWish(ctx, first, until); return err })
		return got
	}
	if until := s.clock.now().Add(time.Minute); !mine(until) || mine(until) {
		t.Error("a wish is not one caller's alone")
	}
	if names, _ = due(100); slices.Contains(names, "confirmed") {
		t.Error("a wish that somebody has is due")
	}
	s.clock.add(time.Minute)
	if names, _ = due(100); names[0] != "confirmed" {
		t.Error("it is not due again after a crash")
	}
	for _, want := range []bool{true, false} {
		var open bool
		s.write(func(tx *store.Tx) (err error) { open, err = tx.EndWish(ctx, first.Incident, "p", "done"); return err })
		if open != want {
			t.Errorf("ended: %v, want %v", open, want)
		}
	}
	s.write(func(tx *store.Tx) error { return tx.WishPlan(ctx, first) })
	if names, _ = due(100); slices.Contains(names, "confirmed") {
		t.Error("a wish is fulfilled twice")
	}
}
