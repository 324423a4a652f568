package respond

import "testing"

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
