package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

// openedToThePublic are the findings that say that a bucket was opened, and not
// that somebody misuses it.
var openedToThePublic = []string{"Policy:S3/BucketAnonymousAccessGranted", "Policy:S3/BucketPublicAccessGranted", "Policy:S3/BucketBlockPublicAccessDisabled"}

// tooWide reports whether a playbook does more than a finding asks for, so that
// it is not the one to take where nobody named any: to close what was opened to
// the public, nobody else needs to be shut out.
func tooWide(p respond.Playbook, findingType string) bool {
	return p.Name() == "s3-bucket" && slices.Contains(openedToThePublic, findingType)
}

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
