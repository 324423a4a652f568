package jira

import (
	"strings"
	"testing"
)

func FuzzEscapeWiki(f *testing.F) {
	for _, s := range []string{"[~admin]", "{noformat}", "h1. x", "a|b\n* c", `\\`, "&#91;~x]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := escapeWiki(s)
		if strings.ContainsAny(got, "\n\r[]{}|*~!\\<>") {
			t.Errorf("escapeWiki(%q) = %q still holds markup", s, got)
		}
	})
}

func TestNoformatCannotBeEndedFromInside(t *testing.T) {
	t.Parallel()
	if got := noformat("a{noformat}b"); strings.Contains(got, "{noformat}") {
		t.Errorf("noformat left an end in %q", got)
	}
}
