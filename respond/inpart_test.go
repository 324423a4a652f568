package respond

import "testing"

func TestAContainmentThatIsPartlyIsNeverCalledWhole(t *testing.T) {
	t.Parallel()
	part := Verdict{What: "eni-1", Word: Partly("connections through nat-1 that were open may live on")}.String()
	for name, c := range map[string]struct {
		open []string
		want string
	}{
		"nothing but the resolver": {[]string{"the resolver of the VPC still answers"}, "web-1 is contained, as a second look at AWS showed (run_1)"},
		"isolated and not proven":  {[]string{Verdict{What: "eni-1", Word: NotProven("no flow log sees it")}.String()}, "web-1 is contained, as a second look at AWS showed (run_1)"},
		"one in part":              {[]string{"the resolver of the VPC still answers", part}, "web-1 is contained in part (run_1): eni-1: connections through nat-1 that were open may live on"},
		"many in part":             {[]string{"a is partly: x", "b is partly: x", "c is partly: x", "d is partly: x"}, "web-1 is contained in part (run_1): a: x; b: x; c: x; and 1 more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ContainedWords("web-1", "run_1", c.open); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}
