package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// awsFile is the simulated AWS of the story, beside the store.
const awsFile = "simulated-aws.json"

// How long snapshots of the two volumes take, by the clock of the simulated AWS.
// The volumes themselves are small, because every block is hashed for real.
func (s *show) snapshotsTake() []time.Duration {
	if s.opts.Fast {
		return []time.Duration{8 * time.Minute, 6 * time.Minute}
	}
	return []time.Duration{time.Hour, 40 * time.Minute}
}

func (s *show) openAWS() (*sim.World, error) {
	return sim.New(sim.Options{Clock: playbook.Real{NowFunc: s.clock.Now, Scale: s.tempo}, File: s.aws, Speed: s.tempo})
}

// furnish puts the host that the response is about, and its neighbour, into the
// simulated AWS, as the findings of the story tell of them.
func (s *show) furnish() error {
	w, err := s.openAWS()
	if err != nil {
		return err
	}
	takes := s.snapshotsTake()
	return w.Edit(func(e *sim.Editor) {
		vpc := e.AddVPC(batch1.account, region, sim.VPCSpec{ID: "vpc-" + digest("vpc/"+batch1.account, 17), CIDR: "10.10.0.0/16"})
		subnet := e.AddSubnet(batch1.account, region, sim.SubnetSpec{ID: "subnet-" + digest("net/"+batch1.id, 17), VPC: vpc, AZ: "a", CIDR: "10.10.2.0/24", Route: "nat"})
		group := e.AddSecurityGroup(batch1.account, region, sim.SecurityGroupSpec{ID: "sg-" + digest("sg/"+batch1.role, 17), VPC: vpc, Name: batch1.role})
		for _, h := range []host{batch1, batch2} {
			e.AddInstance(h.account, region, sim.InstanceSpec{ID: h.id, Type: h.kind, Subnet: subnet, Groups: []string{group}, Profile: h.role,
				Interfaces: []sim.InterfaceSpec{{ID: "eni-" + digest("net/"+h.id, 17)}}, Volumes: []sim.VolumeSpec{{Device: "/dev/xvda", GiB: 1}, {Device: "/dev/sdb", GiB: 1}},
				Tags: map[string]string{"Name": h.name, "owner": h.owner}, UserData: "#!/bin/sh\nexec /opt/batch/run\n", Console: "batch: 412 invoices exported\nbatch: done\n"})
		}
		for i, v := range e.VolumesOf(batch1.account, region, batch1.id) {
			e.ScriptSnapshots(batch1.account, region, v, sim.SnapshotScript{Takes: time.Duration(float64(takes[i]) / s.tempo)})
		}
	})
}

// sight is what somebody sees of a host who looks into AWS past guardroom.
type sight struct {
	State, Profile, Metadata, IP string
	Groups                       []string // of its interfaces, by name
	DeletedWithIt                []string // volumes and interfaces
	Tags                         []string
	TerminationProtection        bool
	StopProtection               bool
	ACL                          []string // entries of the network ACL of its subnet
	Policies                     []string // in its role
}

// look reads a host from the simulated AWS, by calls of its own.
func (s *show) look(ctx context.Context, h host) (sight, error) {
	w, err := s.openAWS()
	if err != nil {
		return sight{}, err
	}
	at := awscalls.Place{Account: h.account, Region: region, Role: awscalls.Read}
	c, err := w.AWS().EC2(ctx, at)
	if err != nil {
		return sight{}, err
	}
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{h.id}})
	if err != nil {
		return sight{}, err
	}
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 1 {
		return sight{}, fmt.Errorf("the simulated AWS does not know %s", h.id)
	}
	v := seen(out.Reservations[0].Instances[0])
	for attribute, protected := range map[types.InstanceAttributeName]*bool{
		types.InstanceAttributeNameDisableApiTermination: &v.TerminationProtection, types.InstanceAttributeNameDisableApiStop: &v.StopProtection} {
		a, err := c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &h.id, Attribute: attribute})
		if err != nil {
			return v, err
		}
		is := cmp.Or(a.DisableApiTermination, a.DisableApiStop)
		*protected = is != nil && aws.ToBool(is.Value)
	}
	acls, err := c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: []string{aws.ToString(out.Reservations[0].Instances[0].SubnetId)}}}})
	if err != nil {
		return v, err
	}
	for _, l := range acls.NetworkAcls {
		for _, e := range l.Entries {
			if aws.ToInt32(e.RuleNumber) > 32766 {
				continue // the one that every list ends with
			}
			v.ACL = append(v.ACL, fmt.Sprintf("%d %v %s %s", aws.ToInt32(e.RuleNumber), aws.ToBool(e.Egress), e.RuleAction, aws.ToString(e.CidrBlock)))
		}
	}
	roles, err := w.AWS().IAM(ctx, at)
	if err != nil {
		return v, err
	}
	inline, err := roles.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &h.role})
	if err != nil {
		return v, err
	}
	v.Policies = inline.PolicyNames
	for _, list := range [][]string{v.Groups, v.DeletedWithIt, v.Tags, v.ACL, v.Policies} {
		slices.Sort(list)
	}
	return v, nil
}

func seen(i types.Instance) sight {
	v := sight{State: string(i.State.Name), IP: aws.ToString(i.PrivateIpAddress)}
	if i.IamInstanceProfile != nil {
		_, v.Profile, _ = strings.Cut(aws.ToString(i.IamInstanceProfile.Arn), "/")
	}
	if i.MetadataOptions != nil {
		v.Metadata = string(i.MetadataOptions.HttpEndpoint)
	}
	for _, n := range i.NetworkInterfaces {
		for _, g := range n.Groups {
			v.Groups = append(v.Groups, aws.ToString(g.GroupName))
		}
		if n.Attachment != nil && aws.ToBool(n.Attachment.DeleteOnTermination) {
			v.DeletedWithIt = append(v.DeletedWithIt, aws.ToString(n.NetworkInterfaceId))
		}
	}
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToBool(m.Ebs.DeleteOnTermination) {
			v.DeletedWithIt = append(v.DeletedWithIt, aws.ToString(m.Ebs.VolumeId))
		}
	}
	for _, t := range i.Tags {
		v.Tags = append(v.Tags, aws.ToString(t.Key)+"="+aws.ToString(t.Value))
	}
	return v
}

// words say the same for people.
func (v sight) words() string {
	denied := 0
	for _, e := range v.ACL {
		if strings.Contains(e, "deny") {
			denied++
		}
	}
	return fmt.Sprintf("%s, in security group %s, instance profile %s, metadata service %s, denied by %s of the network ACL and %s of its role, termination protection %s",
		v.State, strings.Join(v.Groups, ", "), cmp.Or(v.Profile, "none"), v.Metadata, count(denied, "entry", "entries"), count(len(v.Policies), "policy", "policies"), onOff(v.TerminationProtection))
}

func onOff(is bool) string {
	if is {
		return "on"
	}
	return "off"
}
