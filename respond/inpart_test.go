package respond

import (
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/playbook"
)

func TestAStepThatContainsAndFailedLeavesTheRestContainedInPart(t *testing.T) {
	t.Parallel()
	p := &Plan{Steps: []Step{{ID: "mark", Title: "tag it"}, {ID: "isolate", Contains: true, Effect: Reversible}, {ID: "verify", Contains: true, Effect: NoChange},
		{ID: "revoke", Title: "deny the sessions", Contains: true, Effect: Reversible}}}
	const done, failed, skipped, waits = playbook.Completed, playbook.Failed, playbook.Skipped, playbook.Waiting
	for name, c := range map[string]struct {
		isolate, verify, revoke playbook.State
		contained               bool
		want                    string
	}{
		"all done":                              {done, done, done, true, ""},
		"one failed, and the look is well":      {done, done, failed, true, "deny the sessions is partly: this was not done: AWS said no"},
		"the look failed":                       {done, failed, done, false, ""},
		"isolation failed, and so did the look": {failed, failed, done, false, ""},
		"one has not ended":                     {done, done, waits, false, ""},
		"one was not begun":                     {done, done, skipped, false, ""},
		"nothing was done":                      {failed, done, failed, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, contained, open, _ := Result(p, map[string]playbook.Record{"mark": {State: failed, Message: "tag it: denied"}, "isolate": {State: c.isolate}, "verify": {State: c.verify},
				"revoke": {State: c.revoke, Message: "deny the sessions: AWS said no"}}, false)
			if contained != c.contained {
				t.Errorf("contained: %v", contained)
			}
			if left := InPart(open); c.want == "" && len(left) > 0 || c.want != "" && !slices.Equal(left, []string{c.want}) {
				t.Errorf("left: %q", left)
			}
			if c.want != "" && !strings.Contains(ContainedWords("web-1", "run_1", open), "web-1 is contained in part: deny the sessions: this was not done") {
				t.Errorf("it says %q", ContainedWords("web-1", "run_1", open))
			}
		})
	}
}

func TestAContainmentThatIsPartlyIsNeverCalledWhole(t *testing.T) {
	t.Parallel()
	const resolver = "names still resolve through the resolver of the VPC, so they can carry data: no group stops it"
	part := Verdict{What: "eni-1", Word: Partly("connections through nat-1 that were open may live on")}.String()
	for name, c := range map[string]struct {
		open []string
		want string
	}{
		"nothing is open":          {nil, "web-1 is contained, as a second look at AWS showed (run_1)"},
		"nothing but the resolver": {[]string{resolver}, "web-1 is contained, as a second look at AWS showed; what still works: names still resolve through the resolver of the VPC (run_1)"},
		"isolated and not proven": {[]string{Verdict{What: "eni-1", Word: NotProven("no flow log sees it")}.String(), Verdict{What: "eni-2", Word: NotProven("no flow log sees it")}.String(), resolver},
			"web-1 is contained, as a second look at AWS showed; not proven: no flow log sees it; what still works: names still resolve through the resolver of the VPC (run_1)"},
		"the proof may come": {[]string{Verdict{What: "eni-1", Word: NotYetProven("the flow records of fl-1 come some minutes later")}.String()},
			"web-1 is contained, as a second look at AWS showed; not proven yet: the flow records of fl-1 come some minutes later (run_1)"},
		"one in part":      {[]string{part}, "web-1 is contained in part: eni-1: connections through nat-1 that were open may live on (run_1)"},
		"many in part":     {[]string{"a is partly: x", "b is partly: x", "c is partly: x", "d is partly: x"}, "web-1 is contained in part: a: x; b: x; c: x; and 1 more (run_1)"},
		"much still works": {[]string{"a, b", "c; d", "e", "f"}, "web-1 is contained, as a second look at AWS showed; what still works: a; c; e; and 1 more (run_1)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ContainedWords("web-1", "run_1", c.open); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}
