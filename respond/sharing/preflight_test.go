package sharing_test

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

func TestARefusedChangeOfSharesIsToldByTheDryRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner}, false)
		p := b.Plan()
		if _, tries := p.Step(kit.StepPreflight); tries != strings.HasPrefix(th.playbook, "e") {
			t.Fatalf("it tries something: %v; RDS has no dry runs", tries)
		} else if !tries {
			return
		}
		for call, action := range th.calls {
			b.Deny(awscalls.Act, action)
			records, err := b.Execute(kittest.Run, p, b.Journal)
			if err != nil {
				t.Fatal(err)
			}
			rec := records[kit.StepPreflight]
			if rec.State != playbook.Failed || rec.Error == nil || !strings.Contains(rec.Error.Message, "the act role may not call "+call+", so no share can be taken away") || rec.Error.Hint != "compare the role with guardroom iam policy --role act" {
				t.Errorf("it is %s: %s, %+v", rec.State, rec.Message, rec.Error)
			}
			if record := records["record/"+th.target.ID]; record.State != playbook.Completed {
				t.Errorf("what is was not recorded: %s", record.Message)
			}
		}
	})
}

// AWS carries no dry run out. What stands in for it may.
func TestADryRunOfSharesThatIsCarriedOutChangesNone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner}, true)
		p := b.Plan()
		s, tries := p.Step(kit.StepPreflight)
		if !tries {
			return
		}
		s.After = nil
		p.Steps = []respond.Step{s}
		before := b.Dump()
		b.Hook(func(phase sim.Phase, c sim.Call) error {
			if phase == sim.Before && c.DryRun() {
				reflect.ValueOf(c.Input).Elem().FieldByName("DryRun").SetZero()
			}
			return nil
		})
		records, err := b.Execute(kittest.Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		if m := records[kit.StepPreflight].Message; !strings.Contains(m, "took no notice of DryRun") {
			t.Errorf("it says %q", m)
		}
		if now := b.Dump(); now != before {
			t.Errorf("the world is another one:\n%s\n%s", before, now)
		}
	})
}
