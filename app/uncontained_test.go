package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

func TestWhatIsNotContainedIsToldBeforeTheRunEnds(t *testing.T) {
	t.Parallel()
	plan := &respond.Plan{Target: respond.Target{ID: "i-1"}, Steps: []respond.Step{{ID: "isolate", Contains: true, Effect: respond.Reversible}, {ID: "verify", Contains: true, Effect: respond.NoChange},
		{ID: "snapshot", Effect: respond.Creates}, {ID: "hash"}}}
	open, err := json.Marshal([]string{"eni-1 is open: it is in sg-web", "the resolver answers"})
	if err != nil {
		t.Fatal(err)
	}
	saw := map[string]json.RawMessage{respond.SavedStillOpen: open}
	for name, c := range map[string]struct {
		records []playbook.Record
		want    string
	}{
		"a step failed, and the look comes": {[]playbook.Record{{Name: "isolate", State: playbook.Failed}}, ""},
		"the look finds it open":            {[]playbook.Record{{Name: "isolate", State: playbook.Failed}, {Name: "verify", State: playbook.Failed, Saved: saw}}, "i-1 is NOT contained: eni-1 is open: it is in sg-web"},
		"the look could not be made":        {[]playbook.Record{{Name: "isolate", State: playbook.Completed}, {Name: "verify", State: playbook.Failed, Message: "AWS did not answer"}}, "i-1 is NOT contained: AWS did not answer"},
		"it is contained":                   {[]playbook.Record{{Name: "isolate", State: playbook.Completed}, {Name: "verify", State: playbook.Completed}}, ""},
		"it is said once":                   {[]playbook.Record{{Name: "isolate", State: playbook.Failed}, {Name: "verify", State: playbook.Failed, Saved: saw}, {Name: "hash", State: playbook.Completed}}, ""},
		"the run ends with it": {[]playbook.Record{{Name: "snapshot", State: playbook.Completed}, {Name: "hash", State: playbook.Completed}, {Name: "isolate", State: playbook.Failed},
			{Name: "verify", State: playbook.Failed, Saved: saw}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &progress{plan: plan, states: map[string]playbook.State{}, left: map[string][]string{}}
			got := ""
			for _, rec := range c.records {
				p.note(rec)
				got = p.failedToContain(rec)
			}
			if got != c.want && !(c.want != "" && strings.HasSuffix(got, c.want)) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}
