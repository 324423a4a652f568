package ec2

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// Whoever may tag an instance must not be able to have it isolated by that, nor
// to pass it off as isolated: our tags are marks, and never a request.
func TestDefect29ATagAloneStartsNothingAndHidesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	r.edit(func(e *sim.Editor) {
		for _, key := range []string{respond.TagIncident, respond.TagRun, respond.TagStep} {
			e.SetTag(acct, rgn, r.id, key, "a stranger's")
		}
	})
	d := r.Draft()
	r.Pass(time.Hour)
	if err := r.Sweep(); err != nil {
		t.Fatal(err)
	}
	if list := r.mutations(); len(list) != 0 {
		t.Errorf("the tags alone led to %v", list)
	}
	if g := kittest.Guard(t, d, "already contained"); g.Answer != respond.Pass {
		t.Errorf("the tags alone count as contained: %s %s", g.Answer, g.Why)
	}
	r.contained()
}
