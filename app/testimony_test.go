package app

import (
	"database/sql"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// Whoever can write the database must not decide what an undo restores: a changed
// before-image, and a changed plan, are named, and no undo is made from one.
func TestAChangedBeforeImageIsNamedAndNotRestored(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	run := r.ended(t, got.Row.Run)
	faults := func() (list []audit.Fault) {
		t.Helper()
		report, err := r.VerifyAudit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return report.Faults
	}
	if list := faults(); len(list) > 0 {
		t.Fatalf("before anything was changed: %+v", list)
	}
	steps, err := r.db.Steps(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, step := range steps {
		raw, is := step.Saved[respond.SavedBefore]
		if !is {
			continue
		}
		tried++
		forged := step
		forged.Saved = maps.Clone(step.Saved)
		forged.Saved[respond.SavedBefore] = json.RawMessage(`{"forged":true}`)
		put := func(rec playbook.Record) {
			t.Helper()
			if err := r.db.Write(t.Context(), func(tx *store.Tx) error { return tx.PutStep(t.Context(), run.ID, run.Epoch, rec) }); err != nil {
				t.Fatal(err)
			}
		}
		put(forged)
		if list := faults(); len(list) != 1 || list[0].Kind != audit.Differs || !strings.Contains(list[0].Message, "step "+step.Name+" of "+string(run.ID)) {
			t.Errorf("%s: audit verify names %+v", step.Name, list)
		}
		if _, err := r.desk.UndoRun(t.Context(), run.ID, "kim"); fault.CodeOf(err) != fault.Corrupt || !strings.Contains(err.Error(), step.Name) {
			t.Errorf("%s: the undo says %v", step.Name, err)
		}
		forged.Saved[respond.SavedBefore] = raw
		put(forged)
	}
	if tried == 0 {
		t.Error("no step has a before-image")
	}
	if list := faults(); len(list) > 0 {
		t.Errorf("as it was again: %+v", list)
	}
	if _, err := r.desk.UndoRun(t.Context(), run.ID, "kim"); err != nil {
		t.Error("as it was again:", err)
	}
	db, err := sql.Open("sqlite", r.db.path+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// The last character of the plan's bytes is its closing brace.
	if _, err := db.ExecContext(t.Context(), "UPDATE plans SET canonical = CAST(substr(canonical, 1, length(canonical) - 1) || ' }' AS BLOB) WHERE id = $1", string(p.Row.ID)); err != nil {
		t.Fatal(err)
	}
	if list := faults(); len(list) != 1 || !strings.Contains(list[0].Message, "plan "+string(p.Row.ID)) {
		t.Errorf("a changed plan: audit verify names %+v", list)
	}
}
