package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/source"
)

// An outsider who has nothing but the sealed manifest sees which finding it was,
// who approved what and when, and what made each item.
func TestTheManifestSaysWhoApprovedWhatAndWithWhichTools(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	body := minerFinding()
	if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: body, Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	p := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: "forensics"})
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	run := r.ended(t, got.Row.Run)
	m := r.sealed(t)
	if len(m.Case.Findings) != 1 || m.Case.Findings[0].SHA256 != evidence.Digest(detail(t, body)) || m.SealedWith != "guardroom dev" {
		t.Fatalf("findings %+v, sealed with %q", m.Case.Findings, m.SealedWith)
	}
	if len(m.Approvals) != 1 {
		t.Fatalf("%+v", m.Approvals)
	}
	a := m.Approvals[0]
	if a.Run != string(run.ID) || a.Plan != string(p.Row.ID) || a.Digest != p.Row.Digest || a.Who != "raj" || a.How != "socket" || a.Reason != "it mines" || a.At.IsZero() {
		t.Errorf("%+v", a)
	}
	if len(m.Items) == 0 || len(m.Custody) == 0 {
		t.Fatalf("%d items, %d lines", len(m.Items), len(m.Custody))
	}
	for _, i := range m.Items {
		if i.Tool != "guardroom dev" || i.How == "" || i.CreatedAt.IsZero() {
			t.Errorf("%s: tool %q, how %q, at %s", i.ID, i.Tool, i.How, i.CreatedAt)
		}
	}
	for _, c := range m.Custody {
		if strings.HasPrefix(c.Who, evidence.Guardroom[:9]+"/") && c.Digest != p.Row.Digest {
			t.Errorf("%s %s: digest %q", c.Action, c.Item, c.Digest)
		}
	}
	report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim")
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("verify: %+v, %v", report.Problems, err)
	}
}

// detail is what is stored of a finding that came in an envelope.
func detail(t *testing.T, body []byte) []byte {
	t.Helper()
	var e struct {
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Detail) == 0 {
		return body
	}
	return e.Detail
}
