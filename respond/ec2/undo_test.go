package ec2

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnUndoNeverOverwritesWhatSomebodyElseChanged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cases := []struct {
		name   string
		change func(t *testing.T, r *rig, w *World)
		step   string
		kept   func(t *testing.T, r *rig, w *World) bool
		leaves bool // the step is content and leaves it, rather than stopping
	}{
		{"groups of an interface", func(t *testing.T, r *rig, w *World) {
			r.edit(func(e *sim.Editor) {
				id := e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{ID: "sg-0c0ffee0000000001", VPC: w.VPC, Name: "colleague"})
				e.SetGroups(acct, rgn, w.Interfaces[0].ID, id)
			})
		}, "undo/isolate/", func(_ *testing.T, r *rig, w *World) bool {
			n, _ := r.world(r.id).Interface(w.Interfaces[0].ID)
			return slices.Equal(n.Groups, []string{"sg-0c0ffee0000000001"})
		}, false},
		{"an address that is on another instance", func(t *testing.T, r *rig, w *World) {
			other := ""
			r.edit(func(e *sim.Editor) {
				other = e.InterfaceOf(acct, rgn, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: w.Subnet, Private: true}), 0)
			})
			_, err := r.client().AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: &w.Addresses[0].Allocation, NetworkInterfaceId: &other})
			must(t, err)
		}, "undo/doors/", func(_ *testing.T, r *rig, _ *World) bool { return len(r.world(r.id).Addresses) == 0 }, false},
		{"another instance profile", func(t *testing.T, r *rig, _ *World) {
			r.edit(func(e *sim.Editor) {
				e.AddRole(acct, sim.Role{Name: "other"})
				e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "other", Role: "other"})
			})
			r.Pass(time.Minute)
			_, err := r.client().AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &r.id, IamInstanceProfile: &types.IamInstanceProfileSpecification{Name: aws.String("other")}})
			must(t, err)
		}, "undo/credentials/profile", func(_ *testing.T, r *rig, _ *World) bool { return r.world(r.id).Profile.Name == "other" }, false},
		{"the policy of the role", func(t *testing.T, r *rig, _ *World) {
			r.edit(func(e *sim.Editor) {
				e.PutRolePolicy(acct, "payments-role", "guardroom-revoke-INC-42-"+r.id, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)
			})
		}, "undo/credentials/revoke", func(t *testing.T, r *rig, _ *World) bool {
			c, err := r.AWS.IAM(ctx, awscalls.Place{Account: acct, Region: rgn})
			must(t, err)
			d, err := readRolePolicy(ctx, c, revokeParams{Role: "payments-role", Policy: "guardroom-revoke-INC-42-" + r.id})
			must(t, err)
			return !d.Absent && !strings.Contains(d.Text, "aws:userid")
		}, false},
		{"another network ACL", func(t *testing.T, r *rig, w *World) {
			s := w.Subnets[1] // alone there: it got an ACL of its own
			now := r.world(r.id).Subnets[1]
			out, err := r.client().CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &s.VPC})
			must(t, err)
			_, err = r.client().ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &now.Association, NetworkAclId: out.NetworkAcl.NetworkAclId})
			must(t, err)
		}, "undo/acl/", func(_ *testing.T, r *rig, w *World) bool { return r.world(r.id).Subnets[1].ACL != w.Subnets[1].ACL }, false},
		{"an entry with our number", func(t *testing.T, r *rig, w *World) {
			acl := w.Subnets[0].ACL
			_, err := r.client().DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: aws.Int32(1), Egress: aws.Bool(false)})
			must(t, err)
			r.edit(func(e *sim.Editor) { e.AddACLEntry(acct, rgn, acl, 1, false, false, "192.0.2.0/24") })
		}, "undo/acl/", func(_ *testing.T, r *rig, _ *World) bool {
			return slices.ContainsFunc(r.world(r.id).Subnets[0].Entries, func(e Rule) bool { return e.Number == 1 && e.CIDR == "192.0.2.0/24" })
		}, true},
		{"stricter metadata options", func(t *testing.T, r *rig, _ *World) {
			_, err := r.client().ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &r.id, HttpPutResponseHopLimit: aws.Int32(5)})
			must(t, err)
		}, "undo/credentials/metadata", func(_ *testing.T, r *rig, _ *World) bool {
			m := r.world(r.id).Metadata
			return m.HopLimit == 5 && m.Endpoint == "enabled"
		}, true},
		{"a tag of ours", func(t *testing.T, r *rig, _ *World) {
			r.edit(func(e *sim.Editor) { e.SetTag(acct, rgn, r.id, respond.TagStatus, "released by hand") })
		}, "undo/mark", func(_ *testing.T, r *rig, _ *World) bool {
			return r.world(r.id).Tags[respond.TagStatus] == "released by hand"
		}, true},
		{"termination protection that was taken off", func(t *testing.T, r *rig, _ *World) {
			_, err := r.client().ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &r.id, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
			must(t, err)
		}, "undo/protect/termination", func(_ *testing.T, r *rig, _ *World) bool { return !r.world(r.id).Attributes.DisableTermination }, true},
		{"membership that a colleague gave back", func(t *testing.T, r *rig, _ *World) {
			c, err := r.AWS.AutoScaling(ctx, awscalls.Place{Account: acct, Region: rgn})
			must(t, err)
			_, err = c.AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: aws.String("payments-asg"), InstanceIds: []string{r.id}})
			must(t, err)
		}, "undo/service/group", func(_ *testing.T, r *rig, _ *World) bool { return r.world(r.id).Scaling != nil }, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fortress)
			w := r.world(r.id)
			p, records := r.contained()
			r.Pass(2 * time.Minute)
			c.change(t, r, w)
			r.Pass(time.Minute)
			undone := r.undone(p, records)
			if !c.kept(t, r, w) {
				t.Error("what somebody else set was overwritten")
			}
			stopped := false
			for id, rec := range undone {
				if rec.State != playbook.Failed {
					continue
				}
				if !strings.HasPrefix(id, c.step) || rec.Error.Code != "conflict" {
					t.Errorf("step %s failed: %s", id, rec.Message)
				}
				stopped = true
			}
			if stopped == c.leaves {
				t.Errorf("the step stopped and asks: %v, want %v", stopped, !c.leaves)
			}
		})
	}
}

func TestAnUndoWhoseGroupIsGoneStopsAndAsks(t *testing.T) {
	t.Parallel()
	var tg string
	r := newRig(t, func(e *sim.Editor) string {
		id := plain(e)
		tg = e.AddTargetGroup(acct, rgn, sim.TargetGroupSpec{Targets: []string{id}})
		return id
	})
	p, records := r.contained()
	undo, err := respond.UndoPlan(p, kittest.Run, records, r.Actions)
	must(t, err)
	for i, s := range undo.Steps {
		if s.Action == actRegister {
			undo.Steps[i].Params = []byte(strings.ReplaceAll(string(s.Params), tg, tg+"0"))
		}
	}
	out, err := r.Execute(kittest.UndoRun, undo, &playbook.Memory{})
	must(t, err)
	if rec := out["undo/service/target/web"]; rec.State != playbook.Failed || !strings.Contains(rec.Message, "does not exist any more") {
		t.Errorf("the step is %s: %s", rec.State, rec.Message)
	}
}

func TestAFullGroupTakesItsMemberBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *sim.Editor) string {
		sub := e.AddSubnet(acct, rgn, sim.SubnetSpec{})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: sub})
		e.AddAutoScalingGroup(acct, rgn, sim.AutoScalingGroupSpec{Name: "full", Min: 2, Max: 2, Subnets: []string{sub}, Instances: []string{id, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: sub})}})
		return id
	})
	before := lasting(r.world(r.id))
	p, records := r.contained()
	r.Pass(5 * time.Minute)
	r.well(r.undone(p, records))
	r.Pass(10 * time.Minute)
	if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}

func TestAnUndoNeverEndsAMemberThatWasThereBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	p, records := r.contained()
	r.Pass(5 * time.Minute)
	c, err := r.AWS.AutoScaling(t.Context(), awscalls.Place{Account: acct, Region: rgn})
	must(t, err)
	// The group was made smaller by one meanwhile, and let the replacement go.
	now, err := readGroup(t.Context(), c, "payments-asg", "")
	must(t, err)
	var before Scaling
	records[StepGroup].Load(respond.SavedBefore, &before)
	var others []string
	for id := range now.Members {
		if _, was := before.Members[id]; !was {
			_, err := c.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			must(t, err)
			continue
		}
		others = append(others, id)
	}
	r.Pass(5 * time.Minute)
	r.well(r.undone(p, records))
	r.Pass(10 * time.Minute)
	after, err := readGroup(t.Context(), c, "payments-asg", r.id)
	must(t, err)
	for _, id := range others {
		if after.Members[id] != inService {
			t.Errorf("%s is %q", id, after.Members[id])
		}
	}
	if after.Lifecycle != inService || after.Desired != before.Desired || len(after.Members) != 2 {
		t.Errorf("the group is %+v, and was %+v", after, before)
	}
}

func TestAnUndoOfAnInstanceThatHasEndedRestoresTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	before := r.world(r.id)
	p, records := r.contained()
	r.Pass(5 * time.Minute)
	r.edit(func(e *sim.Editor) { e.TerminateInstance(acct, rgn, r.id) })
	r.Pass(5 * time.Minute)
	undone := r.undone(p, records)
	r.well(undone)
	skipped := 0
	for _, rec := range undone {
		if strings.Contains(rec.Message, "is ended") {
			skipped++
		}
	}
	if skipped < 5 {
		t.Errorf("%d steps say that it has ended", skipped)
	}
	c, err := r.AWS.AutoScaling(t.Context(), awscalls.Place{Account: acct, Region: rgn})
	must(t, err)
	group, err := readGroup(t.Context(), c, "payments-asg", "")
	must(t, err)
	if group.Desired != before.Scaling.Desired || len(group.Members) != len(before.Scaling.Members) {
		t.Errorf("the group is %+v: its replacement stays", group)
	}
	for _, s := range before.Subnets {
		acls, err := listACLs(t.Context(), r.client(), filter("association.subnet-id", s.ID))
		must(t, err)
		if len(acls) != 1 || str(acls[0].NetworkAclId) != s.ACL || len(readRules(acls[0].Entries)) != len(s.Entries) {
			t.Errorf("%s has another network ACL: %+v", s.ID, acls)
		}
	}
}
