package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

func TestAContainmentIsLookedAtMoreOftenWhileTheProofMayCome(t *testing.T) {
	t.Parallel()
	r := &runs{desk: &desk{}}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		pending bool
		want    []float64
	}{
		{false, []float64{1, 5, 15, 30, 45, 60}},
		{true, []float64{1, 2, 5, 10, 15, 30, 45, 60, 75}},
	} {
		var got []float64
		for now := at; len(got) < len(c.want); {
			now = r.nextLook(at, now, c.pending)
			got = append(got, now.Sub(at).Minutes())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("pending %v: it is looked at after %v minutes, not %v", c.pending, got, c.want)
		}
	}
	if day := at.Add(24 * time.Hour); r.nextLook(at, day, false) != day.Add(time.Hour) {
		t.Errorf("after a day it is looked at again at %s", r.nextLook(at, day, false))
	}
	// A worker that was away for long looks once, and not for each time it missed.
	if next := r.nextLook(at, at.Add(7*time.Minute), true); next != at.Add(10*time.Minute) {
		t.Errorf("after 7 minutes away the next look is at %s", next)
	}
}

func TestEachNewsOfALookIsToldOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	const eni = "eni-0c1"
	pending := respond.Verdict{What: eni, Word: respond.NotYetProven("records come later"), Pending: true}
	proven := respond.Verdict{What: eni, Word: respond.Isolated, ProvenAt: at}
	lost := respond.Verdict{What: eni, Word: respond.NotProven("fl-1 has delivered nothing since"), ProvenAt: at}
	talks := respond.Verdict{What: eni, Word: respond.Open("flow records show traffic: 198.51.100.7 tcp 443 both ways"), Traffic: []string{"198.51.100.7 tcp 443 both ways"}, ProvenAt: at}
	others := talks
	others.Word, others.Traffic = respond.Open("flow records show traffic: 198.51.100.8 tcp 22 in"), []string{"198.51.100.8 tcp 22 in"}
	row := respond.RunRow{ID: "run_1", StillOpen: []string{pending.String(), "the resolver answers"}}
	steps := []struct {
		name  string
		found sight
		kinds []incident.Kind
		text  string
		open  []string
	}{
		{"nothing is known yet", sight{verdicts: []respond.Verdict{pending}}, nil, "", []string{pending.String(), "the resolver answers"}},
		{"it is proven", sight{verdicts: []respond.Verdict{proven}}, []incident.Kind{incident.KindProven}, "The containment by run_1 is proven: eni-0c1 isolated", []string{"the resolver answers"}},
		{"it is proven again", sight{verdicts: []respond.Verdict{proven}}, nil, "", []string{"the resolver answers"}},
		{"the log went silent", sight{verdicts: []respond.Verdict{lost}}, nil, "", []string{lost.String(), "the resolver answers"}},
		{"and came back", sight{verdicts: []respond.Verdict{proven}}, nil, "", []string{"the resolver answers"}},
		{"something talks", sight{verdicts: []respond.Verdict{talks}}, []incident.Kind{incident.KindDrift}, "no longer holds: eni-0c1 is open: flow records show traffic: 198.51.100.7 tcp 443 both ways", []string{talks.String(), "the resolver answers"}},
		{"to somebody else", sight{verdicts: []respond.Verdict{others}}, nil, "", []string{others.String(), "the resolver answers"}},
		{"and a group was put back", sight{missing: []string{"vol-1 would be deleted with the instance"}, verdicts: []respond.Verdict{others}}, []incident.Kind{incident.KindDrift}, "vol-1 would be deleted with the instance; eni-0c1 is open", nil},
		{"all is well again", sight{verdicts: []respond.Verdict{proven}}, []incident.Kind{incident.KindProven}, "The containment by run_1 holds again", nil},
		{"GuardDuty sees more", sight{verdicts: []respond.Verdict{proven}, talk: "GuardDuty still sees activity of i-1"}, []incident.Kind{incident.KindDrift}, "The containment by run_1 may not hold: GuardDuty still sees", nil},
		{"and again", sight{verdicts: []respond.Verdict{proven}, talk: "GuardDuty still sees activity of i-1"}, nil, "", nil},
	}
	for i, s := range steps {
		news := append(s.found.news(&row), s.found.talks(&row, at.Add(time.Duration(i)*time.Hour))...)
		var kinds []incident.Kind
		text := ""
		for _, n := range news {
			kinds, text = append(kinds, n.kind), text+n.text
		}
		if !slices.Equal(kinds, s.kinds) || !strings.Contains(text, s.text) {
			t.Errorf("%s: %v %q, want %v %q", s.name, kinds, text, s.kinds, s.text)
		}
		if s.open != nil && !slices.Equal(row.StillOpen, s.open) {
			t.Errorf("%s: what is open is %q", s.name, row.StillOpen)
		}
	}
	if !row.TalkingAt.Equal(at.Add(9 * time.Hour)) {
		t.Errorf("the row is %+v", row)
	}
}
