package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// What any later run holds of any of the resources is not let out: a part of a
// sequence counts, and a run that failed half way.
func TestAnUndoLetsOutNothingThatALaterRunHolds(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		host := func(id string) respond.Target {
			return respond.Target{Kind: finding.KindInstance, Account: victimAccount, Region: victimRegion, ID: id}
		}
		object := func(key string) respond.Target {
			return respond.Target{Kind: finding.KindS3Object, Account: victimAccount, Region: victimRegion, ID: key, ARN: "arn:aws:s3:::files/" + key}
		}
		changed := playbook.Record{Name: "isolate", State: playbook.Failed, Attempt: 1, Saved: map[string]json.RawMessage{"before": json.RawMessage(`1`)}}
		for i, c := range []struct {
			name    string
			targets []respond.Target
			state   respond.RunState
			change  func(r *respond.RunRow)
			records []playbook.Record
			why     string // empty: the undo may go on
		}{
			{"nothing later", nil, "", nil, nil, ""},
			{"the leading resource", []respond.Target{host("i-1")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil, "run_2 contained i-1 anew since"},
			{"a part", []respond.Target{host("i-2")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil, "run_2 contained i-2 anew since"},
			{"a part of a sequence", []respond.Target{host("i-9"), host("i-2")}, respond.RunPartFailed, func(r *respond.RunRow) { r.Contained = true }, nil, "run_2 contained i-2 anew since"},
			{"half a containment", []respond.Target{host("i-2")}, respond.RunPartFailed, nil, []playbook.Record{changed}, "run_2 (part failed) contained i-2 in part since"},
			{"half a containment that was aborted", []respond.Target{host("i-1")}, respond.RunAborted, nil, []playbook.Record{changed}, "run_2 (aborted) contained i-1 in part since"},
			{"one that changed nothing", []respond.Target{host("i-1")}, respond.RunFailed, nil, []playbook.Record{{Name: "isolate", State: playbook.Failed, Attempt: 1}}, ""},
			{"one that was taken back", []respond.Target{host("i-1")}, respond.RunUndone, func(r *respond.RunRow) { r.UndoneBy = "run_3" }, []playbook.Record{changed}, ""},
			{"another resource", []respond.Target{host("i-3")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil, ""},
			{"another object of the bucket", []respond.Target{object("b")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil, ""},
			{"the same object", []respond.Target{object("a")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil, "run_2 contained a anew since"},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				a := testApp(t, testConfig(t, storeOf()), map[string]notify.Notifier{"chat": &recorder{}})
				if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: minerFinding()}); err != nil {
					t.Fatal(err)
				}
				a.desk.actions = respond.Actions{"x": {Name: "x", Undo: func(_ respond.Step, rec playbook.Record) ([]respond.Step, error) {
					if _, is := rec.Saved["before"]; is {
						return []respond.Step{{Title: "put it back"}}, nil
					}
					return nil, nil
				}}}
				now := a.now()
				put := func(n int, targets []respond.Target, state respond.RunState, change func(*respond.RunRow), records []playbook.Record) {
					t.Helper()
					p := respond.Plan{Schema: respond.SchemaVersion, ID: respond.PlanID(fmt.Sprintf("pln_%d", n)), Incident: 1, Playbook: "sequence", Target: targets[0], Parts: targets,
						Steps: []respond.Step{{ID: "isolate", Action: "x", Contains: true, Effect: respond.Reversible}}}
					bytes, err := respond.Canonical(p)
					if err != nil {
						t.Fatal(err)
					}
					run := respond.RunRow{ID: respond.RunID(fmt.Sprintf("run_%d", n)), Plan: p.ID, Incident: 1, Playbook: p.Playbook, Target: p.Target.Key(), Account: victimAccount, Class: respond.Isolation, State: respond.RunRunning, Epoch: 1, CreatedAt: now}
					write := func(fn func(tx *store.Tx) error) {
						t.Helper()
						if err := a.db.Write(t.Context(), fn); err != nil {
							t.Fatal(err)
						}
					}
					write(func(tx *store.Tx) error {
						if err := tx.PutPlan(t.Context(), respond.PlanRow{ID: p.ID, Incident: 1, Target: run.Target, Bytes: bytes, Digest: respond.Digest(bytes), State: respond.PlanApproved, CreatedAt: now, ExpiresAt: now}); err != nil {
							return err
						}
						return tx.PutRun(t.Context(), run)
					})
					for _, rec := range records {
						if err := a.db.Journal(run.ID, run.Epoch, nil).Put(t.Context(), rec); err != nil {
							t.Fatal(err)
						}
					}
					run.State = state
					if change != nil {
						change(&run)
					}
					write(func(tx *store.Tx) error { return tx.PutRun(t.Context(), run) })
				}
				put(1, []respond.Target{host("i-1"), host("i-2"), object("a")}, respond.RunCompleted, func(r *respond.RunRow) { r.Contained = true }, nil)
				if c.targets != nil {
					put(2, c.targets, c.state, c.change, c.records)
				}
				err := a.db.Write(t.Context(), func(tx *store.Tx) error {
					return a.desk.mayUndo(t.Context(), tx, &respond.Plan{UndoOf: "run_1", Target: host("i-1"), Parts: []respond.Target{host("i-1"), host("i-2"), object("a")}})
				})
				if c.why == "" && err != nil || c.why != "" && (fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), c.why)) {
					t.Errorf("case %d: %v", i, err)
				}
			})
		}
	})
}
