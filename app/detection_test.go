package app

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

func isFinding(c sim.Call) bool {
	in, ok := c.Input.(*s3.PutObjectInput)
	return ok && strings.HasSuffix(aws.ToString(in.Key), "guardduty.json")
}

// contain takes a finding in, and contains what it is about.
func contain(t *testing.T, w *sim.World, in source.Input) (r responding, run respond.RunID, plan []byte) {
	t.Helper()
	r = startResponding(t, start{world: w})
	if _, err := r.Take(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	if plan, err = json.Marshal(got); err != nil {
		t.Fatal(err)
	}
	return r, got.Row.Run, plan
}

func (r responding) detection(t *testing.T) (evidence.Item, bool) {
	t.Helper()
	items, err := r.desk.store.Evidence(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		if i.Kind == evidence.Detection {
			return i.Item, true
		}
	}
	return evidence.Item{}, false
}

// exported is the file of an export of the first incident whose name ends so.
func (r responding) exported(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := r.desk.ExportEvidence(t.Context(), 1, &out, "kim"); err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(&out); ; {
		h, err := files.Next()
		if err != nil {
			t.Fatalf("no file %s in the export: %v", name, err)
		}
		if strings.HasSuffix(h.Name, name) {
			raw, err := io.ReadAll(files)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
	}
}

func TestTheFindingItselfIsSealedAndAChangedByteOfItIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		confirmed    bool
		title, trust string
	}{
		"confirmed by GuardDuty": {true, ", as GuardDuty itself says it", "aws api"},
		"received only":          {false, ", the newest revision that was received, not confirmed by GuardDuty", "as received"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := bytes.Replace(minerFinding(), []byte(`"description":"d"`), []byte(`"description":"words of an actor"`), 1)
			w := attackedWorld(t, "")
			r, run, plan := contain(t, w, source.Input{Source: "sqs:main", Body: body, Confirmed: c.confirmed})
			i, ok := r.detection(t)
			if !ok || !strings.HasSuffix(i.Title, c.title) || i.Trust != c.trust || i.SHA256 == "" {
				t.Fatalf("the item is %+v", i)
			}
			if want := "s3://evidence-of-tests/g/INC-1/" + string(run) + "/guardroom/finding/guardduty.json"; i.Location != want {
				t.Errorf("it is at %s, want %s", i.Location, want)
			}
			if bytes.Contains(plan, []byte("words of an actor")) {
				t.Error("the words of the finding are in the plan")
			}
			key := strings.TrimPrefix(i.Location, "s3://evidence-of-tests/")
			var kept []byte
			if err := w.Edit(func(e *sim.Editor) { kept = bytes.Clone(e.Object("evidence-of-tests", key).Body) }); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(kept, []byte("words of an actor")) || evidence.Digest(kept) != i.SHA256 {
				t.Errorf("in the bucket is %q", kept)
			}
			if report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim"); err != nil || !report.Good() {
				t.Errorf("verify: %+v, %v", report.Problems, err)
			}
			if got := r.exported(t, "guardduty.json"); !bytes.Equal(got, kept) {
				t.Errorf("exported is %q", got)
			}
			if err := w.Edit(func(e *sim.Editor) { e.Object("evidence-of-tests", key).Body[9] ^= 1 }); err != nil {
				t.Fatal(err)
			}
			report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim")
			if err != nil || !slices.ContainsFunc(report.Problems, func(p evidence.Problem) bool { return strings.Contains(p.What, "guardduty.json") }) {
				t.Errorf("a changed byte is not named: %+v, %v", report.Problems, err)
			}
		})
	}
}

func TestABucketThatDoesNotTakeTheFindingHoldsUpNoIsolation(t *testing.T) {
	t.Parallel()
	refused := errors.New("the line was cut")
	contained := make(chan struct{})
	w := simWorld(t, sim.Options{Hook: func(phase sim.Phase, c sim.Call) error {
		switch {
		case phase == sim.After && c.String() == "EC2.ModifyNetworkInterfaceAttribute":
			select {
			case <-contained:
			default:
				close(contained)
			}
		case phase == sim.Before && isFinding(c):
			<-contained // it is not answered before the isolation has begun
			return refused
		}
		return nil
	}}, attackWorld)
	r, run, _ := contain(t, w, source.Input{Source: "sqs:main", Body: minerFinding(), Confirmed: true})
	row, err := r.desk.store.GetRun(t.Context(), run)
	if err != nil || !row.Contained || row.State != respond.RunCompleted {
		t.Fatalf("the run is %s, contained %t: %s %v", row.State, row.Contained, row.Summary, err)
	}
	if i, ok := r.detection(t); ok {
		t.Errorf("there is an item %+v", i)
	}
	gaps, err := r.desk.store.Gaps(t.Context(), 1)
	if err != nil || !slices.ContainsFunc(gaps, func(l store.Lacking) bool {
		return strings.HasPrefix(l.What, "finding 0f1e2d3c4b5a69788796a5b4c3d2e1f0") && strings.HasSuffix(l.Why, "guardroom's store has it")
	}) {
		t.Errorf("the gaps are %+v, %v", gaps, err)
	}
}

// The process is killed when the bucket has the finding and the record does not,
// and GuardDuty says something newer before the next life.
func TestAKillBetweenTheBucketAndTheRecordKeepsTheFindingOfTheFirstLife(t *testing.T) {
	t.Parallel()
	journal := &playbook.Memory{}
	killed := false
	w := simWorld(t, sim.Options{Hook: func(phase sim.Phase, c sim.Call) error {
		if phase == sim.After && isFinding(c) && !killed {
			killed = true
			journal.Set(playbook.Standing{Fenced: true})
		}
		return nil
	}}, attackWorld)
	a, err := New(t.Context(), respondConfig("sqlite:"+filepath.Join(t.TempDir(), "g.db"), "w"), Options{Mode: ModeCommand, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(t.Context()) })
	first := minerFinding()
	if _, err := a.Take(t.Context(), source.Input{Source: "sqs:main", Body: first, Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	r := &runs{desk: a.desk}
	plan := &respond.Plan{ID: "pln_1", Incident: 1, Target: respond.Target{Account: victimAccount, Region: victimRegion}, Steps: []respond.Step{{ID: "report", Action: "forensics.report"}}}
	life := func() (map[string]playbook.Record, error) {
		e := respond.Executor{Actions: r.actions, AWS: r.aws, Policy: r.policy, Beside: r.beside(plan)}
		plan := *plan
		plan.Steps = nil
		var records map[string]playbook.Record
		runner := &playbook.Runner{Journal: journal, Clock: playbook.Real{Scale: speed}, Log: slog.New(slog.DiscardHandler)}
		return records, runner.Run(t.Context(), func(c playbook.Context) (err error) { records, err = e.Execute(c, "run_1", &plan); return err })
	}
	if _, err := life(); !errors.Is(err, playbook.ErrFenced) {
		t.Fatalf("the first life ended with %v", err)
	}
	newer := bytes.Replace(first, []byte(`"count":1`), []byte(`"count":7`), 1)
	if _, err := a.Take(t.Context(), source.Input{Source: "sqs:main", Body: newer, Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	journal.Set(playbook.Standing{})
	if _, err := life(); err != nil {
		t.Fatal(err)
	}
	list, err := journal.Records(t.Context())
	if err != nil || len(list) != 1 || list[0].State != playbook.Completed {
		t.Fatalf("the records are %+v, %v", list, err)
	}
	items, gaps, _ := respond.EvidenceOf(list[0])
	if len(items) != 1 || len(gaps) != 0 {
		t.Fatalf("items %+v, gaps %+v", items, gaps)
	}
	var kept []byte
	if err := w.Edit(func(e *sim.Editor) {
		kept = bytes.Clone(e.Object("evidence-of-tests", strings.TrimPrefix(items[0].Location, "s3://evidence-of-tests/")).Body)
	}); err != nil {
		t.Fatal(err)
	}
	if evidence.Digest(kept) != items[0].SHA256 || !bytes.Contains(kept, []byte(`"count":1`)) {
		t.Errorf("in the bucket is %q, sealed was %s", kept, items[0].SHA256)
	}
}
