package ec2

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
)

func TestCheckNamesWhatSomebodyPutBackAndRepairsNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cases := []struct {
		name   string
		change func(t *testing.T, r *rig, before *World)
		want   string
	}{
		{"groups of an interface", func(_ *testing.T, r *rig, w *World) {
			r.edit(func(e *sim.Editor) { e.SetGroups(acct, rgn, w.Interfaces[1].ID, w.Interfaces[1].Groups...) })
		}, " is open: it is in "},
		{"a rule in our group", func(_ *testing.T, r *rig, w *World) {
			group := r.world(r.id).Interfaces[0].Groups[0]
			r.edit(func(e *sim.Editor) { e.AddRule(acct, rgn, group, sim.RuleSpec{}) })
		}, "has 1 rules"},
		{"an address", func(t *testing.T, r *rig, w *World) {
			_, err := r.client().AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: &w.Addresses[0].Allocation, NetworkInterfaceId: &w.Addresses[0].Interface})
			must(t, err)
		}, "the address "},
		{"the profile", func(t *testing.T, r *rig, w *World) {
			_, err := r.client().AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &r.id, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: &w.Profile.ARN}})
			must(t, err)
		}, "has the instance profile web-profile"},
		{"the metadata service", func(t *testing.T, r *rig, _ *World) {
			_, err := r.client().ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &r.id, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled})
			must(t, err)
		}, "metadata service"},
		{"the policy of the role", func(_ *testing.T, r *rig, _ *World) {
			r.edit(func(e *sim.Editor) {
				e.PutRolePolicy(acct, "payments-role", "guardroom-revoke-INC-42-"+r.id, `{"Version":"2012-10-17","Statement":[]}`)
			})
		}, "does not deny the sessions"},
		{"an entry of the network ACL", func(t *testing.T, r *rig, w *World) {
			_, err := r.client().DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &w.Subnets[0].ACL, RuleNumber: aws.Int32(1), Egress: aws.Bool(true)})
			must(t, err)
		}, "entry 1 of "},
		{"the network ACL of a subnet", func(t *testing.T, r *rig, w *World) {
			now := r.world(r.id).Subnets[1]
			_, err := r.client().ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &now.Association, NetworkAclId: &w.Subnets[1].ACL})
			must(t, err)
		}, "has the network ACL"},
		{"termination protection", func(t *testing.T, r *rig, _ *World) {
			_, err := r.client().ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &r.id, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
			must(t, err)
		}, "termination protection"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fortress)
			before := r.world(r.id)
			p, records := r.contained()
			r.Pass(5 * time.Minute)
			drift, err := respond.Check(ctx, r.AWS, r.Actions, p, records)
			if err != nil || len(drift) > 0 {
				t.Fatalf("without a change there is drift: %v (%v)", drift, err)
			}
			c.change(t, r, before)
			r.Pass(time.Minute)
			calls := len(r.mutations())
			drift, err = respond.Check(ctx, r.AWS, r.Actions, p, records)
			must(t, err)
			if !strings.Contains(strings.Join(drift, "\n"), c.want) {
				t.Errorf("the drift is %q, want %q", drift, c.want)
			}
			if len(r.mutations()) != calls {
				t.Error("looking changed something")
			}
		})
	}
}

// TestACallThatIsNotAnsweredIsNoDrift looks again while AWS throttles, and while it
// never answers one call: what is not known is neither drift nor the end of the look,
// but for the rules of our groups, without which nobody knows.
func TestACallThatIsNotAnsweredIsNoDrift(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, operation string
		times           int // that it is not answered
		unseen          bool
	}{
		{name: "each call that describes is throttled once"},
		{name: "the agent is never answered for", operation: "DescribeInstanceInformation", times: 1000},
		{name: "attributes are never answered for", operation: "DescribeInstanceAttribute", times: 1000},
		{name: "target groups are never answered for", operation: "DescribeTargetGroups", times: 1000},
		{name: "groups are throttled three times", operation: "DescribeSecurityGroups", times: 3},
		{name: "groups are never answered for", operation: "DescribeSecurityGroups", times: 1000, unseen: true},
		{name: "the policy of the role is not answered for", operation: "GetRolePolicy", times: 1000, unseen: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fortress)
				p, records := r.contained()
				r.Pass(5 * time.Minute)
				var mu sync.Mutex
				failed := map[string]int{}
				r.Hook(func(at sim.Phase, call sim.Call) error {
					mu.Lock()
					defer mu.Unlock()
					input, _ := json.Marshal(call.Input)
					key := call.Operation + string(input)
					if at != sim.Before || c.operation == "" && call.Service == "IAM" || c.operation != "" && call.Operation != c.operation || failed[key] >= max(c.times, 1) {
						return nil
					}
					failed[key]++
					return &smithy.OperationError{ServiceID: call.Service, OperationName: call.Operation, Err: &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Rate exceeded."}}
				})
				drift, err := respond.Check(t.Context(), r.AWS, r.Actions, p, records)
				if len(failed) == 0 {
					t.Fatal("every call was answered: the case proves nothing")
				}
				if c.unseen {
					if err == nil || len(drift) > 0 {
						t.Errorf("drift %q, error %v", drift, err)
					}
					return
				}
				if err != nil || len(drift) > 0 {
					t.Errorf("drift %q, error %v", drift, err)
				}
			})
		})
	}
}

func TestCheckSaysThatTheInstanceIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	p, records := r.contained()
	r.edit(func(e *sim.Editor) { e.TerminateInstance(acct, rgn, r.id) })
	drift, err := respond.Check(t.Context(), r.AWS, r.Actions, p, records)
	if err != nil || len(drift) != 1 || !strings.Contains(drift[0], r.id) {
		t.Errorf("%v (%v)", drift, err)
	}
}

func TestAPlanOverTwoInstancesIsolatesBoth(t *testing.T) {
	t.Parallel()
	second := ""
	r := newRig(t, func(e *sim.Editor) string {
		e.AddRole(acct, sim.Role{Name: "shared"})
		e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "shared", Role: "shared"})
		second = e.AddInstance(acct, rgn, sim.InstanceSpec{ElasticIP: true, Profile: "shared"})
		return e.AddInstance(acct, rgn, sim.InstanceSpec{ElasticIP: true, Profile: "shared"})
	})
	other := r.Target
	other.ID = second
	before := []*World{lasting(r.world(r.id)), lasting(r.world(second))}
	request := r.Request()
	request.Others = []respond.Target{other}
	sequence := respond.Sequence{Parts: []respond.Playbook{Playbook()}}
	w, err := sequence.Describe(t.Context(), r.AWS, request)
	must(t, err)
	d, err := sequence.Draft(w, request)
	must(t, err)
	p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01test", Incident: 42, Playbook: "sequence", Target: d.Target, Steps: d.Steps}
	records := r.run(p)
	r.well(records)
	r.isolated()
	for _, id := range []string{r.id, second} {
		for _, n := range r.world(id).Interfaces {
			if len(n.Groups) != 1 || !strings.HasPrefix(r.world(id).Groups[0].Name, containName) {
				t.Errorf("%s of %s is in %v", n.ID, id, n.Groups)
			}
		}
	}
	if left := r.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("groups are left: %v", left)
	}
	drift, err := respond.Check(t.Context(), r.AWS, r.Actions, p, records)
	if err != nil || len(drift) > 0 {
		t.Errorf("drift %v (%v)", drift, err)
	}
	r.well(r.undone(p, records))
	for i, id := range []string{r.id, second} {
		if diff := diffWorlds(before[i], lasting(r.world(id))); diff != "" {
			t.Errorf("%s differs (-before +after):\n%s", id, diff)
		}
	}
}
