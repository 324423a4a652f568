package app

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// Every wait has an alarm: a run that nobody begins or that goes on and on, and a
// door that nobody could close, are told once, and shown as long as they last.
func TestDefect57WhatIsLateIsToldOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		cfg := testConfig(t, storeOf())
		cfg.Worker.TimeScale = 1
		cfg.Respond.Approval.People = 1
		cfg.Watch = config.Watch{To: []string{"chat"}}
		a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
		now := time.Now().UTC()
		a.late.now = func() time.Time { return now }
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: minerFinding()}); err != nil {
			t.Fatal(err)
		}
		plan := respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 1, Playbook: "forensics", LongestSeconds: 3600}
		bytes, err := respond.Canonical(plan)
		if err != nil {
			t.Fatal(err)
		}
		run := respond.RunRow{ID: "run_1", Plan: "pln_1", Incident: 1, Playbook: "forensics", Target: "t", Account: "1", Class: respond.Other, State: respond.RunQueued, CreatedAt: now}
		put := func() {
			t.Helper()
			if err := a.db.Write(t.Context(), func(tx *store.Tx) error { return tx.PutRun(t.Context(), run) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.PutPlan(t.Context(), respond.PlanRow{ID: "pln_1", Incident: 1, Target: "t", Bytes: bytes, Digest: respond.Digest(bytes), State: respond.PlanApproved, CreatedAt: now, ExpiresAt: now})
		}); err != nil {
			t.Fatal(err)
		}
		put()
		// look returns what is said in the incident and which notices are open.
		look := func() (said []string, open []string) {
			t.Helper()
			for range 2 { // however often it looks
				if err := a.late.look(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := a.db.Timeline(t.Context(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.Contains(e.Text, "is late") != (e.Kind == incident.KindRunLate) {
					t.Errorf("%s: %s", e.Kind, e.Text)
				}
				if e.Kind == incident.KindRunLate || e.Kind == incident.KindLeftOpen {
					said = append(said, e.Text)
				}
			}
			notices, err := a.db.OpenNotices(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range notices {
				open = append(open, n.Key+": "+n.Message)
			}
			return said, open
		}
		if said, open := look(); len(said)+len(open) != 0 {
			t.Errorf("at once: %q %q", said, open)
		}
		now = now.Add(queuedLimit + time.Second)
		if said, open := look(); len(said) != 1 || !strings.Contains(said[0], "no worker has begun it for 2 m") || len(open) != 1 || !strings.HasPrefix(open[0], "run/run_1: no worker") {
			t.Errorf("queued: %q %q", said, open)
		}
		run, err = a.db.GetRun(t.Context(), "run_1")
		if err != nil {
			t.Fatal(err)
		}
		run.State, run.StartedAt, run.LateAt = respond.RunRunning, now, time.Time{}
		put()
		now = now.Add(3*time.Hour - time.Second)
		if said, open := look(); len(said) != 1 || len(open) != 0 {
			t.Errorf("within three times what the plan said: %q %q", said, open)
		}
		now = now.Add(2 * time.Second)
		if said, open := look(); len(said) != 2 || !strings.Contains(said[1], "it runs for 3 h, and its plan said at most 1 h") || len(open) != 1 {
			t.Errorf("running: %q %q", said, open)
		}
		if err := a.db.Owe(t.Context(), respond.Owed{ID: "run_1/eni", Run: "run_1", Kind: "k", Params: json.RawMessage(`{}`), Place: awscalls.Place{}, Due: time.Now().Add(-time.Minute), Why: "eni-0c1 is in the group that opens everything"}); err != nil {
			t.Fatal(err)
		}
		if said, open := look(); len(said) != 3 || !strings.HasPrefix(said[2], "Left open by run_1: eni-0c1 is in the group that opens everything, for 3 h 3 m") || len(open) != 2 || !strings.Contains(strings.Join(open, "\n"), "owed/run_1/eni: eni-0c1 is in the group that opens everything, for 3 h 3 m longer than it should") {
			t.Errorf("owed: %q", open)
		}
		metrics := func() string {
			t.Helper()
			w := httptest.NewRecorder()
			a.Metrics().Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
			body, err := io.ReadAll(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		for _, want := range []string{`guardroom_runs_open{state="running"} 1`, `guardroom_runs_open{state="queued"} 0`, `guardroom_owed_overdue 1`} {
			if !strings.Contains(metrics(), want) {
				t.Errorf("%s is not among the metrics", want)
			}
		}
		run, err = a.db.GetRun(t.Context(), "run_1")
		if err != nil {
			t.Fatal(err)
		}
		run.State, run.EndedAt = respond.RunCompleted, now
		put()
		if err := a.db.Settle(t.Context(), "run_1/eni"); err != nil {
			t.Fatal(err)
		}
		if said, open := look(); len(said) != 3 || len(open) != 0 {
			t.Errorf("after the end: %q %q", said, open)
		}
		for _, want := range []string{`guardroom_runs_open{state="running"} 0`, `guardroom_owed_overdue 0`, `guardroom_run_oldest_seconds{state="running"} 0`} {
			if !strings.Contains(metrics(), want) {
				t.Errorf("%s is not among the metrics", want)
			}
		}
	})
}
