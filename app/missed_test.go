package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
)

func lambdaFinding(id int, function string) []byte {
	body := bytes.ReplaceAll(userFinding(id, "x", victimRegion), []byte("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom"), []byte("Backdoor:Lambda/C&CActivity.B"))
	at, end := bytes.Index(body, []byte(`"resource":`)), bytes.Index(body, []byte(`"service":`))
	resource := fmt.Sprintf(`"resource":{"resourceType":"Lambda","lambdaDetails":{"functionArn":"arn:aws:lambda:%s:%s:function:%s","functionName":%q}},`, victimRegion, victimAccount, function, function)
	return append(append(bytes.Clone(body[:at]), resource...), body[end:]...)
}

// What a playbook could not keep is in the sealed manifest, in the words of people.
func TestWhatWasNotKeptIsAGapOfTheSealedManifest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		body       []byte
		fails      string // the call that fails; empty: the server of the code is not reached
		what, why  string
		containing string
		named      string // what failed, in messages
	}{
		{"the events of CloudTrail", userFinding(1, "ci", victimRegion), "LookupEvents", "user ci: what CloudTrail shows since", "InvalidTimeRangeException", "iam-user", "events of CloudTrail"},
		{"the code of a function", lambdaFinding(1, "resize"), "", "the code of resize (", "the server of the code", "lambda-function", "the code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := simWorld(t, sim.Options{Hook: func(p sim.Phase, call sim.Call) error {
				if p == sim.Before && call.Operation == c.fails {
					return &smithy.GenericAPIError{Code: "InvalidTimeRangeException", Message: "no", Fault: smithy.FaultClient}
				}
				return nil
			}}, func(e *sim.Editor) {
				attackWorld(e)
				e.AddUser(victimAccount, sim.User{Name: "ci"})
				e.AddFunction(victimAccount, victimRegion, sim.Function{Name: "resize", Code: []byte("PK code")})
			})
			r := startResponding(t, start{world: w})
			if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: c.body, Confirmed: true}); err != nil {
				t.Fatal(err)
			}
			p := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: c.containing})
			got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it is theirs", raj)
			if err != nil {
				t.Fatal(err)
			}
			r.ended(t, got.Row.Run)
			m := r.sealed(t)
			row, err := r.db.GetRun(t.Context(), got.Row.Run)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := progressOf(t.Context(), r.db.DB, row, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			told := messageRun(shown).Gaps
			if len(shown.Gaps) != len(m.Gaps) || len(told) != len(m.Gaps) {
				t.Errorf("the manifest has %+v, the run shows %+v, messages %+v", m.Gaps, shown.Gaps, told)
			}
			for _, g := range m.Gaps {
				if !slices.Contains(shown.Gaps, evidence.Gap{What: g.What, Why: g.Why}) || !slices.Contains(told, message.RunGap{What: g.What, Why: g.Why}) {
					t.Errorf("%+v is not shown: %+v, or not told: %+v", g, shown.Gaps, told)
				}
			}
			if names := messageRun(shown).Steps; !slices.ContainsFunc(names, func(s message.RunStep) bool { return s.State == message.RunFailed && s.Stage == c.named }) {
				t.Errorf("no step that failed is named %q", c.named)
			}
			var found []evidence.Gap
			for _, g := range m.Gaps {
				if strings.Contains(g.What, c.what) {
					found = append(found, g)
				}
				if text := g.What + g.Why; strings.Contains(text, "preserve/") || strings.Contains(text, "record/") {
					t.Errorf("a gap names a step: %+v", g)
				}
			}
			if len(found) != 1 || !strings.Contains(found[0].Why, c.why) {
				t.Fatalf("%+v", m.Gaps)
			}
			report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim")
			if err != nil || len(report.Problems) > 0 {
				t.Errorf("verify: %+v, %v", report.Problems, err)
			}
		})
	}
}

// sealed is the newest manifest of the first incident.
func (r responding) sealed(t *testing.T) evidence.Manifest {
	t.Helper()
	list, err := r.db.Manifests(t.Context(), 1)
	if err != nil || len(list) == 0 {
		t.Fatalf("no manifest is sealed: %v", err)
	}
	return manifestOf(t, list[len(list)-1].Bytes)
}

func manifestOf(t *testing.T, row []byte) evidence.Manifest {
	t.Helper()
	var s evidence.Sealed
	if err := json.Unmarshal(row, &s); err != nil {
		t.Fatal(err)
	}
	m, err := evidence.Decode(s.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
