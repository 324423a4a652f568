package spelling

import (
	"strings"
	"testing"
)

func TestTheNearestWordIsGuessed(t *testing.T) {
	t.Parallel()
	words := []string{"severity", "severity_label", "resource", "resources", "region"}
	for word, want := range map[string]string{
		"severty": "severity", "Severity": "severity", "resorces": "resources", "resource": "resource",
		"verdict": "", "": "", strings.Repeat("severity", 20): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
