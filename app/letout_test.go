package app

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// What was let out while the evidence was still being preserved is not contained
// because the run comes to its end.
func TestWhatWasLetOutDuringARunIsNotContainedByItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		drift []string
		want  incident.State
	}{{nil, incident.Contained}, {[]string{"eni-1 is open: it is in sg-web"}, incident.Open}} {
		r := startResponding(t, start{world: attackedWorld(t, "")})
		r.take(t, true)
		run := respond.RunRow{ID: "run_1", Plan: "pln_1", Incident: 1, Target: "a", State: respond.RunRunning, Contained: true, ContainedAt: time.Now(), Drift: c.drift}
		err := r.db.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.PutRun(t.Context(), run); err != nil {
				return err
			}
			return r.desk.change(t.Context(), tx, 1, true, func(i *incident.Incident, at time.Time) []incident.Entry {
				entries := i.Contain("contained", at)
				if c.drift != nil {
					entries = append(entries, i.Loosen("let out", at)...)
				}
				return entries
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.runs.finish(t.Context(), run, nil, respond.RunCompleted, true, nil, "9 steps completed"); err != nil {
			t.Fatal(err)
		}
		i, err := r.db.GetIncident(t.Context(), 1)
		if err != nil || i.State != c.want {
			t.Errorf("with %q the incident is %s, want %s (%v)", c.drift, i.State, c.want, err)
		}
		if end := r.run(t, run.ID); end.State != respond.RunCompleted || !end.Contained {
			t.Errorf("%+v", end)
		}
	}
}

func TestPeopleAreCalledOnceForWhatIsLetOut(t *testing.T) {
	t.Parallel()
	const eni = "eni-0c1"
	quiet := respond.Verdict{What: eni, Word: respond.Isolated, ProvenAt: time.Now()}
	talks := respond.Verdict{What: eni, Word: respond.Open("flow records show traffic"), Traffic: []string{"198.51.100.7 tcp 443"}}
	see := func(v respond.Verdict, missing ...string) sight {
		return sight{missing: missing, verdicts: []respond.Verdict{v}}
	}
	type step struct {
		name  string
		found sight
		want  string
	}
	for _, steps := range [][]step{
		{{"let out", see(quiet, "x"), "ends"}, {"more of it", see(quiet, "x", "y"), "told"}, {"the same", see(quiet, "x", "y"), ""}, {"put back", see(quiet), "told"}, {"let out again", see(quiet, "x"), "ends"}},
		{{"a beacon", see(talks), "ends"}, {"it is silent", see(quiet), "told"}, {"it comes back", see(talks), "told"}, {"and somebody lets it out", see(talks, "x"), "ends"},
			{"which is put back", see(talks), "told"}, {"and the beacon is silent", see(quiet), "told"}},
		{{"named by who let it out", see(quiet, "i-1 is in service in x (nothing is open by it: y)"), "ends"}},
		{{"it is gone", see(quiet, respond.Harmless("i-1 is terminated")), "told"}, {"still", see(quiet, respond.Harmless("i-1 is terminated")), ""}},
		{{"let out", see(quiet, "x"), "ends"}, {"and gone", see(quiet, respond.Harmless("i-1 is terminated")), "told"}},
	} {
		row := respond.RunRow{ID: "run_1", Verdicts: []respond.Verdict{quiet}}
		for _, s := range steps {
			got := ""
			for _, n := range s.found.news(&row) {
				switch {
				case n.ends:
					got = "ends"
				default:
					got = "told"
				}
			}
			if got != s.want {
				t.Errorf("%s: %q, want %q", s.name, got, s.want)
			}
		}
	}
}
