package app

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/source"
)

// Who changes the configuration between the approval of a plan and its run, or
// the restart in its middle, sends none of its evidence elsewhere.
func TestEvidenceGoesWhereTheApprovedPlanSays(t *testing.T) {
	t.Parallel()
	db := "sqlite:" + filepath.Join(t.TempDir(), "guardroom.db")
	w := attackedWorld(t, "")
	before, err := New(t.Context(), respondConfig(db, "before"), Options{Mode: ModeCommand, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Take(t.Context(), source.Input{Source: "sqs:main", Body: minerFinding(), Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	p, err := before.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
	if err = errors.Join(err, before.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	cfg := respondConfig(db, "after")
	cfg.Respond.Evidence.URL, cfg.Respond.Evidence.Lock = "s3://somebody-elses/x", "none"
	r := startResponding(t, start{config: cfg, world: w})
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	items, err := r.desk.store.Evidence(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	inBucket := 0
	for _, i := range items {
		if !strings.HasPrefix(i.Location, "s3://") {
			continue
		}
		inBucket++
		if !strings.HasPrefix(i.Location, "s3://evidence-of-tests/") {
			t.Errorf("%s went to %s", i.Title, i.Location)
		}
	}
	if inBucket == 0 {
		t.Error("nothing went into the bucket")
	}
	report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim")
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("verify: %+v, %v", report.Problems, err)
	}
}
