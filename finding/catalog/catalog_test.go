package catalog

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/finding"
)

func TestEveryTypeIsExplained(t *testing.T) {
	t.Parallel()
	all := load().entries
	if len(all) != 248 {
		t.Errorf("got %d types, want 248", len(all))
	}
	for _, e := range all {
		if _, ok := load().words.phrase(finding.ParseType(e.Type)); !ok {
			t.Errorf("%s has no words of its own family", e.Type)
		}
		ty := finding.ParseType(e.Type)
		if load().words.Purposes[ty.Purpose] == nil || load().words.Resources[ty.Resource] == nil {
			t.Errorf("%s has no words for its purpose or resource", e.Type)
		}
		if e.Title == "" || e.Preposition == "" || len(e.First) == 0 || len(e.Tactics) == 0 {
			t.Errorf("%s lacks a field: %+v", e.Type, e)
		}
		for _, s := range append([]string{e.Seen, e.Why}, e.First...) {
			if s == "" || len(s) > 140 || strings.Contains(s, "{") || strings.Contains(strings.ToLower(s), "please") || strings.Contains(s, "!") {
				t.Errorf("%s: bad sentence (%d): %q", e.Type, len(s), s)
			}
		}
		if e.Successor != "" {
			if _, ok := Lookup(e.Successor); !ok {
				t.Errorf("%s names an unknown successor %s", e.Type, e.Successor)
			}
		}
	}
}

func TestExplainNeverFails(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Known{
		"unauthorizedaccess:ec2/sshbruteforce": Exact,
		"CryptoCurrency:EC2/BitcoinTool.Z":     Family,
		"Weird:Thing/New":                      Guess,
		"":                                     Guess,
	} {
		e := Explain(finding.ParseType(name))
		if e.Known != want || e.Title == "" || e.Seen == "" || e.Why == "" || len(e.First) == 0 {
			t.Errorf("%q: %+v, want %s", name, e, want)
		}
	}
}
