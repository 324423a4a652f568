package onmoto_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// where says what AWS shows of an Elastic IP.
type where struct{ Instance, Interface, Private string }

func (p *plainly) where(c awscalls.EC2, allocation string) where {
	p.t.Helper()
	out, err := c.DescribeAddresses(p.t.Context(), &awsec2.DescribeAddressesInput{AllocationIds: []string{allocation}})
	if err != nil {
		p.t.Fatal(err)
	}
	a := out.Addresses[0]
	return where{aws.ToString(a.InstanceId), aws.ToString(a.NetworkInterfaceId), aws.ToString(a.PrivateIpAddress)}
}

func ids(steps []respond.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.ID)
	}
	return out
}

func TestEveryElasticIPGoesAndComesBackHoweverItWasGiven(t *testing.T) {
	t.Parallel()
	p := onPlainMoto(t, "333333333335")
	vpc := p.on.VPC(false)
	host := p.on.Launch(cloudtest.Launch{Subnets: []string{p.on.Subnet(vpc, "a"), p.on.Subnet(vpc, "a")}, Disks: []cloudtest.Disk{{GiB: 5}}})
	c, err := p.api.EC2(t.Context(), p.place(awscalls.Act))
	if err != nil {
		t.Fatal(err)
	}
	byInterface, association := p.on.Address(host.Interfaces[1])
	byInstance, first := p.on.Address(host.Interfaces[0])
	for _, a := range []string{association, first} {
		if _, err := c.DisassociateAddress(t.Context(), &awsec2.DisassociateAddressInput{AssociationId: &a}); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range []awsec2.AssociateAddressInput{{AllocationId: &byInterface, NetworkInterfaceId: &host.Interfaces[1]}, {AllocationId: &byInstance, InstanceId: &host.ID}} {
		if _, err := c.AssociateAddress(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	before := []where{p.where(c, byInterface), p.where(c, byInstance)}
	if before[0].Instance != "" || before[1].Instance != host.ID || before[0].Interface != host.Interfaces[1] {
		t.Fatalf("the addresses are on %+v: the case is none", before)
	}
	for _, round := range []string{"the first time", "again after the undo"} {
		plan := p.plan(host.ID)
		for _, a := range []string{byInterface, byInstance} {
			if !slices.Contains(ids(plan.Steps), "doors/"+a) {
				t.Fatalf("%s: the plan does not take %s away: %v", round, a, ids(plan.Steps))
			}
		}
		records := p.run("run_01plain", plan)
		for _, n := range host.Interfaces {
			if m := records["isolate/"+n].Message; strings.Contains(m, "in one pass") {
				t.Errorf("%s: %s", round, m)
			}
		}
		for _, a := range []string{byInterface, byInstance} {
			if now := p.where(c, a); now.Interface != "" {
				t.Errorf("%s: %s is on %+v", round, a, now)
			}
		}
		p.undo("run_01plain", plan, records)
		if diff := cmp.Diff(before, []where{p.where(c, byInterface), p.where(c, byInstance)}); diff != "" {
			t.Errorf("%s: the addresses (-before +after):\n%s", round, diff)
		}
	}
}

func TestTheOptionsOfTheMetadataServiceComeBackWhole(t *testing.T) {
	t.Parallel()
	p := onPlainMoto(t, "333333333336")
	vpc := p.on.VPC(false)
	host := p.on.Launch(cloudtest.Launch{Subnets: []string{p.on.Subnet(vpc, "a")}, Disks: []cloudtest.Disk{{GiB: 5}}})
	c, err := p.api.EC2(t.Context(), p.place(awscalls.Act))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ModifyInstanceMetadataOptions(t.Context(), &awsec2.ModifyInstanceMetadataOptionsInput{InstanceId: &host.ID, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled, HttpTokens: types.HttpTokensStateRequired,
		HttpPutResponseHopLimit: aws.Int32(3), HttpProtocolIpv6: types.InstanceMetadataProtocolStateEnabled, InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled})
	if err != nil {
		t.Fatal(err)
	}
	options := func() [5]string {
		out, err := c.DescribeInstances(t.Context(), &awsec2.DescribeInstancesInput{InstanceIds: []string{host.ID}})
		if err != nil {
			t.Fatal(err)
		}
		m := out.Reservations[0].Instances[0].MetadataOptions
		hops := string(rune('0' + aws.ToInt32(m.HttpPutResponseHopLimit)))
		return [5]string{string(m.HttpEndpoint), string(m.HttpTokens), hops, string(m.HttpProtocolIpv6), string(m.InstanceMetadataTags)}
	}
	before := options()
	if before != [5]string{"enabled", "required", "3", "enabled", "enabled"} {
		t.Fatalf("moto shows %v to begin with", before)
	}
	plan := p.plan(host.ID)
	records := p.run("run_01plain", plan)
	if now := options(); now[0] != "disabled" {
		t.Errorf("contained, the service is %v", now)
	}
	p.undo("run_01plain", plan, records)
	if now := options(); now != before {
		t.Errorf("the options are %v, and were %v", now, before)
	}
}
