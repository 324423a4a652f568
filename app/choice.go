package app

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

// unplanned names what else a finding is about, which a plan for one resource
// does nothing about, with the command for each.
func unplanned(n incident.Number, plan *respond.Plan, others []respond.Target) []string {
	if len(plan.Parts) > 0 {
		return nil // it is about all of them
	}
	out := make([]string, len(others))
	for i, t := range others {
		out[i] = fmt.Sprintf("%s %s: guardroom plan create --incident %s --resource %s", respond.KindWords(t.Kind), t.ID, n, pasted(t.ID))
	}
	return out
}

var plainWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./:@=+,-]+$`) })

// pasted is a word as a shell takes it for one word and nothing else: the keys of
// objects are as somebody wrote them.
func pasted(word string) string {
	if plainWord().MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
