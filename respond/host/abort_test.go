package host_test

import (
	"slices"
	"strings"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestAnAbortInEveryStateBeginsNothingKeepsTheContainmentAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"isolate_first", "volatile_first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			kittest.Stops(t, kittest.Stop{
				Stride: 23,
				Fresh: func(t *testing.T) *kittest.Bench {
					b := bench(t, true)
					b.Policy.Order = order
					return b
				},
				Closing: []string{"EC2.ModifyNetworkInterfaceAttribute", "EC2.DeleteSecurityGroup", "EC2.CreateTags", "EC2.RevokeSecurityGroupEgress"},
				Opens:   opens,
				Tells:   ec2.StepVerify,
				Check:   kept,
			})
		})
	}
}

// kept fails where an interface that counts as isolated can be reached, or the
// host can still send its memory.
func kept(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
	t.Helper()
	for step, rec := range records {
		if !strings.HasPrefix(step, ec2.StageIsolate+"/") || rec.State != playbook.Completed {
			continue
		}
		if drift := b.Drift(p, records); len(drift) > 0 && records[ec2.StepVerify].State == playbook.Completed {
			t.Errorf("it does not hold: %v", drift)
		}
	}
	err := b.World.Edit(func(e *sim.Editor) {
		if u := e.Bucket(kittest.Evidence).Uploads; len(u) != 0 {
			t.Errorf("an upload is still open: %v", u)
		}
		for _, cmd := range e.Commands(acct, rgn) {
			for _, run := range cmd.Runs {
				if run.Ended.IsZero() {
					t.Error("the command still runs")
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// opens says of a change of groups that it puts an interface into one that lets
// everything through.
func opens(c sim.Call, records map[string]playbook.Record) string {
	in, ok := c.Input.(*awsec2.ModifyNetworkInterfaceAttributeInput)
	if !ok {
		return ""
	}
	for _, step := range []string{ec2.StageOpen + "/", ec2.StageShut + "/open"} {
		for id, rec := range records {
			var group string
			if strings.HasPrefix(id, step) && rec.Load("group", &group) && slices.Contains(in.Groups, group) {
				return "it put " + *in.NetworkInterfaceId + " into the group of step " + id
			}
		}
	}
	return ""
}
