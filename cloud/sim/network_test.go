package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
)

func TestAGroupIsBornWithEgressToEverywhere(t *testing.T) {
	t.Parallel()
	var four, six string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		four, six = e.AddVPC(acct, region, sim.VPCSpec{}), e.AddVPC(acct, region, sim.VPCSpec{IPv6: true})
	})
	if rules := r.rules(r.group("g", four)); len(rules) != 1 || *rules[0].CidrIpv4 != "0.0.0.0/0" || !*rules[0].IsEgress {
		t.Errorf("in a VPC without IPv6 it has %+v", rules)
	}
	g := r.group("g", six)
	if rules := r.rules(g); len(rules) != 2 || *rules[0].CidrIpv4 != "0.0.0.0/0" || *rules[1].CidrIpv6 != "::/0" {
		t.Errorf("in a VPC with IPv6 it has %+v", rules)
	}
	for _, rule := range r.rules(g) {
		must(r.RevokeSecurityGroupEgress(t.Context(), &ec2.RevokeSecurityGroupEgressInput{GroupId: &g, SecurityGroupRuleIds: []string{*rule.SecurityGroupRuleId}}))(t)
	}
	if rules := r.rules(g); len(rules) != 0 {
		t.Errorf("after both are revoked it has %+v", rules)
	}
}

func TestAnInterfaceHasExactlyTheGroupsThatItWasGivenLast(t *testing.T) {
	t.Parallel()
	var id, eni string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddInstance(acct, region, sim.InstanceSpec{})
		eni = e.InterfaceOf(acct, region, id, 0)
	})
	c := r.contain(*r.eni(eni).VpcId)
	r.setGroups(eni, c)
	if g := r.eni(eni).Groups; len(g) != 1 || *g[0].GroupId != c || *g[0].GroupName != "contain" {
		t.Errorf("the groups are %+v", g)
	}
	if g := r.instance(id).SecurityGroups; len(g) != 1 || *g[0].GroupId != c {
		t.Errorf("the instance shows %+v", g)
	}
	_, err := r.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &c})
	r.want(err, "DependencyViolation")
}

func TestAnACLIsBornDenyingAndItsAssociationGetsANewID(t *testing.T) {
	t.Parallel()
	var vpc, sub string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		vpc = e.AddVPC(acct, region, sim.VPCSpec{})
		sub = e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc})
	})
	acls := func() []types.NetworkAcl {
		t.Helper()
		return must(r.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: filter("association.subnet-id", sub)}))(t).NetworkAcls
	}
	before := acls()[0]
	in := &ec2.CreateNetworkAclInput{VpcId: &vpc, ClientToken: aws.String("gr-1")}
	made := must(r.CreateNetworkAcl(t.Context(), in))(t).NetworkAcl
	if again := must(r.CreateNetworkAcl(t.Context(), in))(t).NetworkAcl; *again.NetworkAclId != *made.NetworkAclId {
		t.Error("the repeated call made another one")
	}
	if len(made.Entries) != 2 || made.Entries[0].RuleAction != "deny" || *made.Entries[0].RuleNumber != 32767 {
		t.Errorf("it is born with %+v", made.Entries)
	}
	old := before.Associations[0].NetworkAclAssociationId
	next := must(r.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: old, NetworkAclId: made.NetworkAclId}))(t).NewAssociationId
	if *next == *old || *acls()[0].NetworkAclId != *made.NetworkAclId {
		t.Errorf("the association is %s, the ACL %s", *next, *acls()[0].NetworkAclId)
	}
	_, err := r.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: old, NetworkAclId: before.NetworkAclId})
	r.want(err, "InvalidAssociationID.NotFound")
	_, err = r.DeleteNetworkAcl(t.Context(), &ec2.DeleteNetworkAclInput{NetworkAclId: made.NetworkAclId})
	r.want(err, "DependencyViolation")
	must(r.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: next, NetworkAclId: before.NetworkAclId}))(t)
	must(r.DeleteNetworkAcl(t.Context(), &ec2.DeleteNetworkAclInput{NetworkAclId: made.NetworkAclId}))(t)
}

func TestAnACLTakesTwentyEntriesInEachDirection(t *testing.T) {
	t.Parallel()
	var vpc string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { vpc = e.AddVPC(acct, region, sim.VPCSpec{}) })
	id := must(r.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: &vpc}))(t).NetworkAcl.NetworkAclId
	add := func(number int32, egress bool) error {
		_, err := r.CreateNetworkAclEntry(t.Context(), &ec2.CreateNetworkAclEntryInput{NetworkAclId: id, RuleNumber: aws.Int32(number), Egress: aws.Bool(egress), Protocol: aws.String("-1"), RuleAction: "deny", CidrBlock: aws.String("10.0.0.9/32")})
		return err
	}
	for n := range int32(19) {
		r.want(add(n+1, true), "")
	}
	r.want(add(20, true), "NetworkAclEntryLimitExceeded")
	r.want(add(19, true), "NetworkAclEntryAlreadyExists")
	r.want(add(1, false), "")
	_, err := r.DeleteNetworkAclEntry(t.Context(), &ec2.DeleteNetworkAclEntryInput{NetworkAclId: id, RuleNumber: aws.Int32(1), Egress: aws.Bool(false)})
	r.want(err, "")
	_, err = r.DeleteNetworkAclEntry(t.Context(), &ec2.DeleteNetworkAclEntryInput{NetworkAclId: id, RuleNumber: aws.Int32(1), Egress: aws.Bool(false)})
	r.want(err, "InvalidNetworkAclEntry.NotFound")
}

func TestAnElasticIPComesOffAndGoesBack(t *testing.T) {
	t.Parallel()
	var id, eni string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddInstance(acct, region, sim.InstanceSpec{ElasticIP: true})
		eni = e.InterfaceOf(acct, region, id, 0)
	})
	a := must(r.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{Filters: filter("instance-id", id)}))(t).Addresses[0]
	if got := r.eni(eni).Association; *got.PublicIp != *a.PublicIp || *got.IpOwnerId != acct {
		t.Errorf("the association is %+v", got)
	}
	must(r.DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: a.AssociationId}))(t)
	if r.eni(eni).Association != nil || r.instance(id).PublicIpAddress != nil {
		t.Error("the address is still there")
	}
	_, err := r.DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: a.AssociationId})
	r.want(err, "InvalidAssociationID.NotFound")
	back := &ec2.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: &eni, PrivateIpAddress: a.PrivateIpAddress}
	first := *must(r.AssociateAddress(t.Context(), back))(t).AssociationId
	if again := *must(r.AssociateAddress(t.Context(), back))(t).AssociationId; again != first || first == *a.AssociationId {
		t.Errorf("the associations are %s, %s and %s", *a.AssociationId, first, again)
	}
}

func TestAnInterfaceGetsANewAutomaticAddressAfterItsElasticIP(t *testing.T) {
	t.Parallel()
	for _, switchedOff := range []bool{false, true} {
		var id, eni string
		r := newRig(t, sim.Options{}, func(e *sim.Editor) {
			id = e.AddInstance(acct, region, sim.InstanceSpec{ElasticIP: true})
			eni = e.InterfaceOf(acct, region, id, 0)
		})
		a := must(r.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{}))(t).Addresses[0]
		must(r.DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: a.AssociationId}))(t)
		if switchedOff {
			must(r.ModifyNetworkInterfaceAttribute(t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &eni, AssociatePublicIpAddress: aws.Bool(false)}))(t)
		}
		r.pass(10 * time.Minute)
		got := r.eni(eni).Association
		if (got == nil) != switchedOff {
			t.Errorf("switched off %v: the association is %+v", switchedOff, got)
		}
		if got != nil && *got.IpOwnerId != "amazon" {
			t.Errorf("it belongs to %s", *got.IpOwnerId)
		}
	}
}

// wired is an instance in a subnet, with a connection.
type wired struct {
	*rig
	vpc, eni, flow string
	acl            string // the default one, of all subnets
}

func wire(t *testing.T, o sim.Options, route string, spec sim.FlowSpec, group sim.SecurityGroupSpec) *wired {
	t.Helper()
	x := &wired{}
	x.rig = newRig(t, o, func(e *sim.Editor) {
		x.vpc = e.AddVPC(acct, region, sim.VPCSpec{IPv6: true})
		public := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: x.vpc})
		sub := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: x.vpc, Route: route, NAT: public})
		group.VPC = x.vpc
		id := e.AddInstance(acct, region, sim.InstanceSpec{Subnet: sub, Groups: []string{e.AddSecurityGroup(acct, region, group)}})
		x.eni = e.InterfaceOf(acct, region, id, 0)
		x.flow = e.OpenFlow(acct, region, x.eni, spec)
	})
	acls := must(x.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: filter("default", "true")}))(t).NetworkAcls
	x.acl = *acls[0].NetworkAclId
	return x
}

func (x *wired) alive() bool {
	x.t.Helper()
	for _, f := range x.w.Flows(x.eni) {
		if f.ID == x.flow {
			return f.Alive
		}
	}
	x.t.Fatal("there is no such flow: it was not let through")
	return false
}

// convert opens everything for a while.
func (x *wired) convert(d time.Duration) {
	x.t.Helper()
	id := x.group("convert", x.vpc)
	must(x.AuthorizeSecurityGroupIngress(x.t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: anywhere()}))(x.t)
	x.setGroups(x.eni, id)
	x.pass(d)
}

func (x *wired) deny(acl string, cidrs ...string) {
	x.t.Helper()
	for n, cidr := range cidrs {
		for _, egress := range []bool{true, false} {
			must(x.CreateNetworkAclEntry(x.t.Context(), &ec2.CreateNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: aws.Int32(int32(n) + 1), Egress: aws.Bool(egress), Protocol: aws.String("-1"), RuleAction: "deny", CidrBlock: &cidr}))(x.t)
		}
	}
}

func TestWhatCutsAConnection(t *testing.T) {
	t.Parallel()
	closed := func(x *wired) { x.setGroups(x.eni, x.contain(x.vpc)) }
	own := func(x *wired) string { return *x.rig.eni(x.eni).PrivateIpAddress + "/32" }
	ownACL := func(x *wired) { // an ACL of its own for the subnet
		made := must(x.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: &x.vpc}))(t).NetworkAcl.NetworkAclId
		sub := *x.rig.eni(x.eni).SubnetId
		for _, a := range must(x.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: filter("association.subnet-id", sub)}))(t).NetworkAcls[0].Associations {
			if *a.SubnetId == sub {
				must(x.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: made}))(t)
			}
		}
	}
	// separate gives the subnet an ACL of its own that allows all, so that entries
	// in it are not in that of the NAT gateway's subnet.
	separate := func(x *wired) string {
		ownACL := must(x.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: &x.vpc}))(t).NetworkAcl.NetworkAclId
		for _, egress := range []bool{true, false} {
			must(x.CreateNetworkAclEntry(t.Context(), &ec2.CreateNetworkAclEntryInput{NetworkAclId: ownACL, RuleNumber: aws.Int32(100), Egress: aws.Bool(egress), Protocol: aws.String("-1"), RuleAction: "allow", CidrBlock: aws.String("0.0.0.0/0")}))(t)
		}
		sub := *x.rig.eni(x.eni).SubnetId
		for _, a := range must(x.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{x.acl}}))(t).NetworkAcls[0].Associations {
			if *a.SubnetId == sub {
				must(x.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: ownACL}))(t)
			}
		}
		return *ownACL
	}
	open := sim.SecurityGroupSpec{Rules: []sim.RuleSpec{{}, {Egress: true}}}
	for _, tc := range []struct {
		name  string
		route string
		flow  sim.FlowSpec
		group sim.SecurityGroupSpec
		o     sim.Options
		do    func(x *wired)
		alive bool
	}{
		{"nothing happens", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(*wired) {}, true},
		{"a tracked one outlives the closed group", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, closed, true},
		{"an untracked one does not", "", sim.FlowSpec{}, open, sim.Options{}, closed, false},
		{"the two groups cut a tracked one", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, false},
		{"a first group of no time does not", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(0); closed(x) }, true},
		{"nor where AWS keeps on tracking", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{StickyTracking: true}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, true},
		{"an inbound one is cut by the two", "", sim.FlowSpec{Inbound: true}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, false},
		{"one by IPv6 is cut by the two", "", sim.FlowSpec{Remote: "2001:db8:ffff::7"}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, false},
		{"ICMP is not", "", sim.FlowSpec{Protocol: "icmp"}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, true},
		{"one through a NAT gateway is not", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, true},
		{"one through a transit gateway is not", "tgw", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, true},
		{"one from a Network Load Balancer is not", "", sim.FlowSpec{Inbound: true, Via: "nlb"}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.convert(3 * time.Second); closed(x) }, true},
		{"an ACL of its own cuts one through a NAT gateway", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, ownACL, false},
		{"an ACL of its own cuts one through a transit gateway", "tgw", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, ownACL, false},
		{"an entry for the other side cuts it", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.deny(x.acl, "198.51.100.7/32") }, false},
		{"an entry for the own address, in the own ACL, cuts nothing", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.deny(separate(x), own(x)) }, true},
		{"an entry for the own address, in the ACL of the NAT gateway's subnet, cuts it", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { separate(x); x.deny(x.acl, own(x)) }, false},
		{"an entry for the own address, in an ACL that both subnets have, cuts it", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) { x.deny(x.acl, own(x)) }, false},
		{"the end of its public address cuts it", "", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) {
			must(x.ModifyNetworkInterfaceAttribute(t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &x.eni, AssociatePublicIpAddress: aws.Bool(false)}))(t)
		}, false},
		{"an ACL does not see what stays in its subnet", "", sim.FlowSpec{Remote: "10.0.2.77"}, sim.SecurityGroupSpec{}, sim.Options{}, ownACL, true},
		{"one that sends nothing is forgotten after the shorter timeout", "nat", sim.FlowSpec{Quiet: true}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) {
			must(x.ModifyNetworkInterfaceAttribute(t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &x.eni, ConnectionTrackingSpecification: &types.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: aws.Int32(60)}}))(t)
			closed(x)
			x.pass(time.Minute)
		}, false},
		{"one that sends is not, by the shorter timeout", "nat", sim.FlowSpec{}, sim.SecurityGroupSpec{}, sim.Options{}, func(x *wired) {
			must(x.ModifyNetworkInterfaceAttribute(t.Context(), &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &x.eni, ConnectionTrackingSpecification: &types.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: aws.Int32(60)}}))(t)
			closed(x)
			x.pass(time.Hour)
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := wire(t, tc.o, tc.route, tc.flow, tc.group)
			if !x.alive() {
				t.Fatal("it is cut from the start")
			}
			tc.do(x)
			if got := x.alive(); got != tc.alive {
				t.Errorf("alive is %v: %+v", got, x.w.Flows(x.eni))
			}
		})
	}
}

func TestAConnectionThatIsNotAllowedDoesNotBegin(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]sim.FlowSpec{
		"no rule for the port": {Inbound: true, Port: 22}, "into a private subnet": {Inbound: true, Via: "nat"}, "no such address": {Remote: "nowhere"},
	} {
		x := &wired{}
		x.rig = newRig(t, sim.Options{}, func(e *sim.Editor) {
			id := e.AddInstance(acct, region, sim.InstanceSpec{})
			if got := e.OpenFlow(acct, region, e.InterfaceOf(acct, region, id, 0), spec); got != "" {
				t.Errorf("%s: it was let through", name)
			}
		})
	}
}

func TestDescribesOfTheNetworkShowWhatIsThere(t *testing.T) {
	t.Parallel()
	var vpc, public, private string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		vpc = e.AddVPC(acct, region, sim.VPCSpec{IPv6: true})
		public = e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc, AZ: "b"})
		private = e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc, Route: "nat", NAT: public})
		e.AddVPCEndpoint(acct, region, sim.EndpointSpec{VPC: vpc})
		e.AddVPCEndpoint(acct, region, sim.EndpointSpec{VPC: vpc, Service: "ssm", Interface: true, Subnets: []string{private}})
		e.AddFlowLog(acct, region, vpc, "vpc-flow")
	})
	sub := must(r.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{public}}))(t).Subnets[0]
	if *sub.AvailabilityZone != "us-east-1b" || !*sub.MapPublicIpOnLaunch || len(sub.Ipv6CidrBlockAssociationSet) != 1 {
		t.Errorf("the subnet is %+v", sub)
	}
	table := must(r.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: filter("association.subnet-id", private)}))(t).RouteTables
	if len(table) != 1 || len(table[0].Routes) != 3 || table[0].Routes[1].NatGatewayId == nil || *table[0].Routes[2].DestinationPrefixListId != sim.PrefixList || (*table[0].Routes[2].GatewayId)[:5] != "vpce-" {
		t.Errorf("the route tables are %+v", table)
	}
	var services []string
	for _, e := range must(r.DescribeVpcEndpoints(t.Context(), &ec2.DescribeVpcEndpointsInput{Filters: filter("vpc-id", vpc)}))(t).VpcEndpoints {
		services = append(services, fmt.Sprint(*e.ServiceName, " ", e.VpcEndpointType))
	}
	if diff := cmp.Diff([]string{"com.amazonaws.us-east-1.s3 Gateway", "com.amazonaws.us-east-1.ssm Interface"}, services); diff != "" {
		t.Error(diff)
	}
	logs := must(r.DescribeFlowLogs(t.Context(), &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", vpc)}))(t).FlowLogs
	if len(logs) != 1 || *logs[0].LogGroupName != "vpc-flow" {
		t.Errorf("the flow logs are %+v", logs)
	}
	gateways := must(r.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: filter("interface-type", "nat_gateway")}))(t).NetworkInterfaces
	if len(gateways) != 1 || !*gateways[0].RequesterManaged {
		t.Errorf("the interfaces of NAT gateways are %+v", gateways)
	}
}
