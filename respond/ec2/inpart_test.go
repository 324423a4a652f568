package ec2

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func TestIsolatedInterfacesAreContainedInPartWhereTagsAndSessionsAreDenied(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p := r.Plan()
	r.Deny(awscalls.Act, "ec2:CreateTags")
	r.Deny(awscalls.Act, "iam:PutRolePolicy")
	records := r.run(p)
	state, contained, open, _ := respond.Result(p, records, false)
	words := respond.ContainedWords("web-1", "run_1", open)
	if state != respond.RunPartFailed || !contained || !strings.Contains(words, "web-1 is contained in part") ||
		!strings.Contains(words, "role payments-role: sessions of "+r.id+" go on (iam:PutRolePolicy is not allowed)") || strings.Contains(words, "tag") {
		t.Errorf("%s, contained %v: %s", state, contained, words)
	}
}
