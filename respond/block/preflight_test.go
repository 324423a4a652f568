package block_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestARefusedEntryIsToldByTheDryRun(t *testing.T) {
	t.Parallel()
	b, id := aclBench(t, bad)
	p := b.Plan()
	b.Deny(awscalls.Act, "ec2:CreateNetworkAclEntry")
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	rec := records[kit.StepPreflight]
	if rec.State != playbook.Failed || rec.Error == nil || !strings.Contains(rec.Error.Message, "the act role may not call EC2.CreateNetworkAclEntry, so nothing can be denied") || rec.Error.Hint != "compare the role with guardroom iam policy --role act" {
		t.Errorf("it is %s: %s, %+v", rec.State, rec.Message, rec.Error)
	}
	if records["record/"+id].State != playbook.Completed {
		t.Errorf("what is was not recorded: %s", records["record/"+id].Message)
	}
}

// AWS carries no dry run out. What stands in for it may.
func TestADryRunOfAnEntryThatIsCarriedOutAddsNone(t *testing.T) {
	t.Parallel()
	for _, addresses := range []string{bad, "2001:db8:bad::7"} {
		b, _ := aclBench(t, addresses)
		p := b.Plan()
		s, ok := p.Step(kit.StepPreflight)
		if !ok {
			t.Fatal("nothing is tried")
		}
		s.After = nil
		p.Steps = []respond.Step{s}
		before := b.Dump()
		tried := false
		b.Hook(func(phase sim.Phase, c sim.Call) error {
			if phase == sim.Before && c.DryRun() {
				tried = true
				reflect.ValueOf(c.Input).Elem().FieldByName("DryRun").SetZero()
			}
			return nil
		})
		records, err := b.Execute(kittest.Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		if rec := records[kit.StepPreflight]; !tried || rec.State != playbook.Completed {
			t.Errorf("it is %s: %s", rec.State, rec.Message)
		}
		if now := b.Dump(); now != before {
			t.Errorf("the world is another one:\n%s\n%s", before, now)
		}
	}
}
