package ec2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// neighbours is an instance in a private subnet that others share, behind a NAT
// gateway, and one of the others.
type neighbours struct {
	*rig
	subnet, far, other string // the subnets of the instance and of the NAT gateway
	eni, otherENI      string
	flow, otherFlow    string
}

const evil = "203.0.113.9"

// besides builds such a world; separate gives the subnet a network ACL of its own.
func besides(t *testing.T, separate bool, spec func(e *sim.Editor, vpc string) (subnet, far string)) *neighbours {
	t.Helper()
	n := &neighbours{}
	n.rig = newRig(t, func(e *sim.Editor) string {
		vpc := e.AddVPC(acct, rgn, sim.VPCSpec{})
		n.subnet, n.far = spec(e, vpc)
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: n.subnet, Private: true})
		n.other = e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: n.subnet, Private: true})
		n.eni, n.otherENI = e.InterfaceOf(acct, rgn, id, 0), e.InterfaceOf(acct, rgn, n.other, 0)
		return id
	})
	if separate {
		n.separate()
	}
	n.edit(func(e *sim.Editor) {
		n.flow = e.OpenFlow(acct, rgn, n.eni, sim.FlowSpec{Remote: evil})
		n.otherFlow = e.OpenFlow(acct, rgn, n.otherENI, sim.FlowSpec{Remote: evil})
	})
	if n.flow == "" || n.otherFlow == "" {
		t.Fatal("no connection could be opened")
	}
	return n
}

// separate gives the private subnet an ACL of its own that allows everything.
func (n *neighbours) separate() {
	n.T.Helper()
	ctx, c := n.T.Context(), n.client()
	now := n.world(n.id).Subnets[0]
	made, err := c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &now.VPC})
	if err != nil {
		n.T.Fatal(err)
	}
	id := made.NetworkAcl.NetworkAclId
	for _, egress := range []bool{true, false} {
		if _, err := c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{NetworkAclId: id, RuleNumber: aws.Int32(100), Egress: aws.Bool(egress), Protocol: aws.String("-1"), RuleAction: types.RuleActionAllow, CidrBlock: aws.String("0.0.0.0/0")}); err != nil {
			n.T.Fatal(err)
		}
	}
	if _, err := c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &now.Association, NetworkAclId: id}); err != nil {
		n.T.Fatal(err)
	}
}

// alive reports whether a connection of an interface lives.
func (n *neighbours) alive(eni, flow string) bool {
	n.T.Helper()
	list := n.World.Flows(eni)
	i := slices.IndexFunc(list, func(f sim.Flow) bool { return f.ID == flow })
	if i < 0 {
		n.T.Fatalf("%s has no connection %s", eni, flow)
	}
	return list[i].Alive
}

// entriesOfACLs are the entries of all network ACLs.
func (n *neighbours) entriesOfACLs() map[string]string {
	n.T.Helper()
	list, err := listACLs(n.T.Context(), n.client())
	if err != nil {
		n.T.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range readACLs(list) {
		out[a.ID] = fmt.Sprint(a.Subnets, a.Entries)
	}
	return out
}

func natElsewhere(e *sim.Editor, vpc string) (subnet, far string) {
	far = e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, AZ: "a"})
	return e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, AZ: "a", Route: "nat", NAT: far}), far
}

func TestAConnectionThroughANATGatewayOfASharedSubnetIsCutAndThoseOfOthersLiveOn(t *testing.T) {
	t.Parallel()
	for _, separate := range []bool{false, true} {
		t.Run(fmt.Sprintf("separate ACLs %v", separate), func(t *testing.T) {
			t.Parallel()
			n := besides(t, separate, natElsewhere)
			n.edit(func(e *sim.Editor) { e.AddFlowLog(acct, rgn, n.subnet, "flows") })
			before, acls := lasting(n.world(n.id)), n.entriesOfACLs()
			p, records := n.contained()
			n.Pass(5 * time.Second)
			if n.alive(n.eni, n.flow) {
				t.Error("the connection through the NAT gateway lives on")
			}
			if !n.alive(n.otherENI, n.otherFlow) {
				t.Error("the connection of another host was cut")
			}
			n.edit(func(e *sim.Editor) {
				if e.OpenFlow(acct, rgn, n.otherENI, sim.FlowSpec{}) == "" {
					t.Error("another host cannot open a new connection")
				}
			})
			var verdicts []respond.Verdict
			if records[StepVerify].Load(respond.SavedVerdicts, &verdicts); len(verdicts) != 1 || !strings.HasPrefix(verdicts[0].Word, "isolated (not proven yet: ") {
				t.Errorf("the verdict is %+v", verdicts)
			}
			if drift, err := respond.Check(t.Context(), n.AWS, n.Actions, p, records); err != nil || len(drift) > 0 {
				t.Errorf("drift %v (%v)", drift, err)
			}
			n.well(n.undone(p, records))
			if diff := diffWorlds(before, lasting(n.world(n.id))); diff != "" {
				t.Errorf("the world differs (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(acls, n.entriesOfACLs()); diff != "" {
				t.Errorf("the network ACLs differ (-before +after):\n%s", diff)
			}
		})
	}
}

func TestAnEntryOfTheNATGatewaysSubnetThatIsGoneIsDrift(t *testing.T) {
	t.Parallel()
	n := besides(t, true, natElsewhere)
	p, records := n.contained()
	a, _ := n.world(n.id).aclOf(n.far)
	if _, err := n.client().DeleteNetworkAclEntry(t.Context(), &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &a.ID, RuleNumber: aws.Int32(1), Egress: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	drift, err := respond.Check(t.Context(), n.AWS, n.Actions, p, records)
	if err != nil || !kittest.Has(drift, "entry 1 of "+a.ID) {
		t.Errorf("drift %v (%v)", drift, err)
	}
}

func TestWhatNoNetworkACLCutsIsPartlyIsolatedAndSaid(t *testing.T) {
	t.Parallel()
	same := func(e *sim.Editor, vpc string) (subnet, far string) {
		// The NAT gateway stands in the subnet itself, by a route of its own.
		subnet = e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "nat"})
		return subnet, subnet
	}
	cases := []struct {
		name   string
		build  func(e *sim.Editor, vpc string) (subnet, far string)
		tgw    bool
		change func(n *neighbours)
		why    string
		alive  bool
	}{
		{"a transit gateway whose attachment is not to be seen", func(e *sim.Editor, vpc string) (string, string) {
			s := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "tgw"})
			return s, s
		}, true, func(*neighbours) {}, "no attachment of tgw-", true},
		{"policy that uses no network ACL", natElsewhere, false, func(n *neighbours) { n.Policy.NACL = "never" }, "no network ACL cuts them", true},
		{"a NAT gateway that may not be described", same, false, func(n *neighbours) { n.Deny("read", "ec2:DescribeNatGateways") }, "cannot be found", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := besides(t, true, c.build)
			c.change(n)
			p := n.Plan()
			records := n.run(p)
			n.isolated()
			n.Pass(5 * time.Second)
			if n.alive(n.eni, n.flow) != c.alive {
				t.Errorf("the connection is alive: %v", !c.alive)
			}
			var verdicts []respond.Verdict
			records[StepVerify].Load(respond.SavedVerdicts, &verdicts)
			if len(verdicts) != 1 || !strings.HasPrefix(verdicts[0].Word, "partly: ") || !strings.Contains(verdicts[0].Word, c.why) {
				t.Errorf("the verdict is %+v", verdicts)
			}
			if _, _, open := n.Result(p, records); !kittest.Has(open, c.why) {
				t.Errorf("what is open: %v", open)
			}
			if !kittest.Has(p.WillNot, "that are open: ") && !kittest.Has(p.WillNot, "that is open: ") {
				t.Errorf("the plan does not say so: %v", p.WillNot)
			}
			r := n.undone(p, records)
			for id, rec := range r {
				if rec.State == playbook.Failed {
					t.Errorf("%s failed: %s", id, rec.Message)
				}
			}
		})
	}
}

func TestARemoteAddressOfTheFindingIsDeniedInTheSubnetWhereNothingElseCuts(t *testing.T) {
	t.Parallel()
	n := besides(t, true, func(e *sim.Editor, vpc string) (string, string) {
		s := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "tgw"})
		return s, s
	})
	n.Target.Parts = map[string]string{respond.PartRemoteIPs: "10.1.2.3,nonsense," + evil}
	elsewhere := ""
	n.edit(func(e *sim.Editor) {
		elsewhere = e.OpenFlow(acct, rgn, n.otherENI, sim.FlowSpec{Remote: "198.51.100.77"})
	})
	before, acls := lasting(n.world(n.id)), n.entriesOfACLs()
	p, records := n.contained()
	n.Pass(5 * time.Second)
	if n.alive(n.eni, n.flow) {
		t.Error("the connection to the address of the finding lives on")
	}
	if !n.alive(n.otherENI, elsewhere) {
		t.Error("a connection of another host to another address was cut")
	}
	if !kittest.Has(p.AlsoHits, evil) {
		t.Errorf("the plan does not say whom it hits: %v", p.AlsoHits)
	}
	var verdicts []respond.Verdict
	if records[StepVerify].Load(respond.SavedVerdicts, &verdicts); len(verdicts) != 1 || !strings.HasPrefix(verdicts[0].Word, "partly: ") {
		t.Errorf("the verdict is %+v: other connections may live on", verdicts)
	}
	n.well(n.undone(p, records))
	if diff := diffWorlds(before, lasting(n.world(n.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(acls, n.entriesOfACLs()); diff != "" {
		t.Errorf("the network ACLs differ (-before +after):\n%s", diff)
	}
}

func TestEntriesAreFollowedInTheirOrder(t *testing.T) {
	t.Parallel()
	const own = "10.0.0.5/32"
	pair := func(r Rule) []Rule {
		in, out := r, r
		in.Egress, out.Egress = false, true
		return []Rule{in, out}
	}
	allow, deny := Rule{Number: 100, Action: "allow", Protocol: "-1", CIDR: "0.0.0.0/0"}, denyRule(1, false, own)
	late := deny
	late.Number = 200
	narrow := deny
	narrow.Protocol = "6"
	cases := []struct {
		name    string
		entries []Rule
		want    bool
	}{
		{"nothing is allowed", nil, true},
		{"everything is allowed", pair(allow), false},
		{"denied before it is allowed", slices.Concat(pair(deny), pair(allow)), true},
		{"denied in one direction alone", append([]Rule{deny}, pair(allow)...), false},
		{"denied after it is allowed", slices.Concat(pair(allow), pair(late)), false},
		{"denied for one protocol", slices.Concat(pair(narrow), pair(allow)), false},
		{"another address is denied", slices.Concat(pair(denyRule(1, false, "10.0.0.6/32")), pair(allow)), false},
		{"its network is denied", slices.Concat(pair(denyRule(1, false, "10.0.0.0/24")), pair(allow)), true},
		{"a part of it is denied", slices.Concat(pair(denyRule(1, false, "10.0.0.5/32")), pair(allow)), true},
	}
	for _, c := range cases {
		if got := denied(c.entries, own); got != c.want {
			t.Errorf("%s: denied is %v", c.name, got)
		}
	}
	if denied(slices.Concat(pair(deny), pair(allow)), "10.0.0.0/28") {
		t.Error("a network counts as denied when one address of it is")
	}
}

func TestLoadBalancersAndTransitGatewaysAreFoundByTheirInterfaces(t *testing.T) {
	t.Parallel()
	var far, transit string
	r := newRig(t, func(e *sim.Editor) string {
		vpc := e.AddVPC(acct, rgn, sim.VPCSpec{})
		far, transit = e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc}), e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "none"})
		near := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc, Route: "tgw"})
		e.AddManagedInterface(acct, rgn, sim.ManagedInterfaceSpec{Subnet: far, Requester: "amazon-elb", Description: "ELB old-lb"})
		e.AddManagedInterface(acct, rgn, sim.ManagedInterfaceSpec{Subnet: transit, Requester: "amazon-tgw", Type: "transit_gateway", Description: transitInterface + "tgw-attach-0123456789abcdef0"})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: near, Private: true})
		e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: near, Private: true})
		e.AddClassicELB(acct, rgn, sim.ClassicELBSpec{Name: "old-lb", VPC: vpc, Instances: []string{id}})
		return id
	})
	w := r.world(r.id)
	got := map[string]string{}
	for _, p := range w.Passages {
		kind, _, _ := strings.Cut(p.Of, "-")
		got[kind] = p.Subnet
	}
	if diff := cmp.Diff(map[string]string{"old": far, "tgw": transit}, got); diff != "" {
		t.Fatalf("passages (-want +got):\n%s", diff)
	}
	before := lasting(w)
	p, records := r.contained()
	now := r.world(r.id)
	for _, s := range []string{far, transit} {
		if a, ok := now.aclOf(s); !ok || !denied(a.Entries, w.Interfaces[0].blocks()[0]) {
			t.Errorf("the network ACL of %s does not deny %v", s, w.Interfaces[0].blocks())
		}
	}
	if _, _, open := r.Result(p, records); kittest.Has(open, "partly: ") {
		t.Errorf("what is open: %v", open)
	}
	r.well(r.undone(p, records))
	if diff := diffWorlds(before, lasting(r.world(r.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}
