package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// document is a policy as it can be compared.
func document(t testing.TB, text string) string {
	t.Helper()
	if s, err := url.QueryUnescape(text); err == nil && strings.HasPrefix(text, "%7B") {
		text = s
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkEvidence lists what was preserved and computes its hashes again.
func (h *host) checkEvidence(incident, run string) {
	h.t.Helper()
	t := h.t
	kinds := map[evidence.Kind]int{}
	for _, i := range lines[struct {
		Type string        `json:"type"`
		Kind evidence.Kind `json:"kind"`
	}](t, h.must("evidence", "list", incident, "--json")) {
		if i.Type == "item" {
			kinds[i.Kind]++
		}
	}
	for kind, least := range map[evidence.Kind]int{evidence.BeforeImage: 1, evidence.Snapshot: 3, evidence.BlockManifest: 3, evidence.Volume: 3, evidence.Workstation: 1, evidence.Console: 1} {
		if kinds[kind] < least {
			t.Errorf("%d items of evidence are a %s, want at least %d: %v", kinds[kind], kind, least, kinds)
		}
	}
	r := h.run("evidence", "verify", incident)
	if r.code != 0 || !strings.Contains(r.out, "ok: "+incident) {
		t.Errorf("evidence verify ended with %d\n%s%s", r.code, r.out, r.err)
	}
}

// checkTold wants one message for each run in the thread of the incident, which
// shows its end, and the run in Jira and PagerDuty.
func (a *account) checkTold(incident string, runs ...string) {
	a.t.Helper()
	a.settle()
	t := a.t
	id := ""
	for _, i := range lines[incidentLine](t, a.must("incident", "list", "--all", "--json")) {
		if fmt.Sprintf("INC-%d", i.Number) == incident {
			id = i.ID
		}
	}
	// Where the machine is slow guardroom tells of itself too, that a run is late.
	roots := slices.DeleteFunc(a.vendors.slack.Messages(), func(m fakeslack.Message) bool { return incidentOf(m) != id })
	if len(roots) != 1 {
		t.Fatalf("Slack has %d roots of %s", len(roots), incident)
	}
	replies := a.vendors.slack.Replies(roots[0].Channel, roots[0].TS)
	for _, run := range runs {
		n, ended := 0, 0
		for _, m := range replies {
			var meta struct {
				Type    string               `json:"event_type"`
				Payload struct{ Run string } `json:"event_payload"`
			}
			if json.Unmarshal(m.Metadata, &meta) == nil && meta.Type == "guardroom_run" && meta.Payload.Run == run {
				n++
				if strings.Contains(m.Text, ", took ") {
					ended++
				}
			}
		}
		if n != 1 || ended != 1 {
			t.Errorf("Slack has %d messages of %s, %d of its end, among %d replies", n, run, ended, len(replies))
		}
	}
	issues := slices.DeleteFunc(a.vendors.jira.Issues(), func(i fakejira.Issue) bool { return !slices.Contains(i.Labels, "gr-"+id) })
	if len(issues) != 1 {
		t.Fatalf("Jira has %d issues", len(issues))
	}
	text := issues[0].Text
	for _, c := range issues[0].Comments {
		text += "\n" + c.Text
	}
	for _, run := range runs {
		if !strings.Contains(text, run) {
			t.Errorf("Jira does not tell of %s: %s", run, text)
		}
	}
	pages := slices.DeleteFunc(a.vendors.pager.Incidents(), func(i fakepagerduty.Incident) bool { return i.Key != "guardroom/"+id })
	if len(pages) != 1 {
		t.Fatalf("PagerDuty has %d incidents: %+v", len(pages), pages)
	}
	notes := strings.Join(pages[0].Notes, "\n")
	if !strings.Contains(notes, "ontain") {
		t.Errorf("PagerDuty has no note of the containment: %q", notes)
	}
	for name, violations := range map[string][]string{"slack": a.vendors.slack.Violations(), "jira": a.vendors.jira.Violations(), "pagerduty": a.vendors.pager.Violations()} {
		for _, s := range violations {
			t.Errorf("%s: a limit was broken: %s", name, s)
		}
	}
}
