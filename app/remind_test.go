package app

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// People are told once that a plan is about to expire, whatever process looks, and
// not of one that nobody ever had time for.
func TestThatAPlanExpiresSoonIsToldOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		cfg := testConfig(t, storeOf())
		cfg.Worker.TimeScale = 1
		a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: minerFinding()}); err != nil {
			t.Fatal(err)
		}
		made := time.Now().UTC().Truncate(time.Second)
		put := func(id respond.PlanID, state respond.PlanState, within time.Duration) {
			t.Helper()
			bytes, err := respond.Canonical(respond.Plan{Schema: respond.SchemaVersion, ID: id, Incident: 1, Playbook: "forensics"})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.PutPlan(t.Context(), respond.PlanRow{ID: id, Incident: 1, Target: "t", Bytes: bytes, Digest: respond.Digest(bytes), State: state, CreatedAt: made, ExpiresAt: made.Add(within)})
			}); err != nil {
				t.Fatal(err)
			}
		}
		put("pln_waits", respond.PlanWaiting, 30*time.Minute)
		put("pln_short", respond.PlanWaiting, 9*time.Minute)
		put("pln_approved", respond.PlanApproved, 30*time.Minute)
		for _, c := range []struct {
			name string
			at   time.Duration
			want int
		}{
			{"a short one", 5 * time.Minute, 0}, {"there is time", 24 * time.Minute, 0}, {"five minutes before", 25 * time.Minute, 1}, {"a minute later", 26 * time.Minute, 1}, {"when it is over", 30 * time.Minute, 1},
		} {
			for range 2 { // each by a process that has just begun
				l := lateness{store: a.db.DB, desk: a.desk, notices: a.late.notices, tempo: 1, now: func() time.Time { return made.Add(c.at) }}
				if err := l.plans(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := a.db.Timeline(t.Context(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			said := 0
			for _, e := range entries {
				if e.Kind == incident.KindPlanExpires {
					said++
				}
			}
			if said != c.want {
				t.Errorf("%s: told %d times, want %d", c.name, said, c.want)
			}
		}
	})
}
