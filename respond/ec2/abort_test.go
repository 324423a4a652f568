package ec2

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestAnAbortInEveryStateBeginsNothingKeepsTheContainmentAndCanBeUndone(t *testing.T) {
	t.Parallel()
	kittest.Stops(t, kittest.Stop{
		Stride:  9,
		Fresh:   func(t *testing.T) *kittest.Bench { return newRig(t, fortress).Bench },
		Closing: []string{"EC2.ModifyNetworkInterfaceAttribute", "EC2.DeleteSecurityGroup", "EC2.CreateTags", "EC2.RevokeSecurityGroupEgress"},
		Opens:   opens,
		Tells:   StepVerify,
		Check:   kept,
	})
}

// kept fails where an interface that counts as isolated is not, one is in the
// convert group, or the mark says otherwise than the run.
func kept(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
	t.Helper()
	r := &rig{Bench: b, id: p.Target.ID}
	if left := r.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("the convert groups %v are left", left)
	}
	w := r.world(r.id)
	for id, rec := range records {
		if !strings.HasPrefix(id, StageIsolate+"/") || rec.State != playbook.Completed {
			continue
		}
		n, ok := w.Interface(strings.TrimPrefix(id, StageIsolate+"/"))
		if !ok || len(n.Groups) != 1 {
			t.Errorf("%s counts as isolated and is in %v", n.ID, n.Groups)
			continue
		}
		for _, g := range w.Groups {
			if g.ID == n.Groups[0] && (g.Rules != 0 || g.Name != containName) {
				t.Errorf("%s counts as isolated and is in %s with %d rules", n.ID, g.Name, g.Rules)
			}
		}
	}
	if tag := w.Tags[respond.TagStatus]; tag == "containing" || strings.HasPrefix(tag, "contained") != (tag != "" && records[StepVerify].State == playbook.Completed) {
		t.Errorf("the tag says %q, and the second look %s", tag, records[StepVerify].State)
	}
	if drift := b.Drift(p, records); len(drift) > 0 && records[StepVerify].State == playbook.Completed {
		t.Errorf("it does not hold: %v", drift)
	}
}

// opens says of a change of groups that it puts an interface into one that lets
// everything through.
func opens(c sim.Call, records map[string]playbook.Record) string {
	in, ok := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
	if !ok {
		return ""
	}
	for _, step := range []string{StageOpen + "/", StageShut + "/open"} {
		for id, rec := range records {
			var group string
			if strings.HasPrefix(id, step) && rec.Load("group", &group) && slices.Contains(in.Groups, group) {
				return "it put " + *in.NetworkInterfaceId + " into the group of step " + id
			}
		}
	}
	return ""
}

func TestAnAbortOfTheUndoBeginsNothingAndTheNextOneEndsIt(t *testing.T) {
	t.Parallel()
	kittest.UndoStops(t, kittest.Stop{
		Stride: 29,
		// Whether the group has a member too many by the aborted undo, or because
		// somebody wants more, AWS does not say.
		Leaves: map[string]string{"undo/service/group": "if an undo was aborted before this one"},
		Fresh:  func(t *testing.T) *kittest.Bench { return newRig(t, fortress).Bench },
	})
}
