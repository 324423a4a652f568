package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// The simulated AWS of the story: its file is beside the store.
const simulated = "simulated-aws.json"

// How long the snapshots of the two volumes take, in the time of the simulated
// AWS. The volumes themselves are small, because every byte is hashed for real.
const (
	rootSnapshot, dataSnapshot         = time.Hour, 40 * time.Minute
	fastRootSnapshot, fastDataSnapshot = 8 * time.Minute, 5 * time.Minute
)

func (s *show) openAWS() (*sim.World, error) {
	return sim.New(sim.Options{Clock: playbook.Real{NowFunc: s.clock.Now, Scale: s.tempo}, File: s.aws, Speed: s.tempo})
}

// furnish puts the hosts that the response is about into the simulated AWS.
func (s *show) furnish() error {
	w, err := s.openAWS()
	if err != nil {
		return err
	}
	takes := []time.Duration{rootSnapshot, dataSnapshot}
	if s.opts.Fast {
		takes = []time.Duration{fastRootSnapshot, fastDataSnapshot}
	}
	return w.Edit(func(e *sim.Editor) {
		h := batch1
		net := digest("net/"+h.id, 17)
		vpc := e.AddVPC(h.account, region, sim.VPCSpec{ID: "vpc-" + digest("vpc/"+h.account, 17), CIDR: "10.10.0.0/16", Tags: map[string]string{"Name": "payments"}})
		subnet := e.AddSubnet(h.account, region, sim.SubnetSpec{ID: "subnet-" + net, VPC: vpc, AZ: "a", CIDR: "10.10.2.0/24"})
		group := e.AddSecurityGroup(h.account, region, sim.SecurityGroupSpec{ID: "sg-" + digest("sg/"+h.role, 17), VPC: vpc, Name: h.role})
		add := func(id, name string) string {
			return e.AddInstance(h.account, region, sim.InstanceSpec{ID: id, Type: h.kind, Subnet: subnet, Groups: []string{group}, Profile: h.role,
				Interfaces: []sim.InterfaceSpec{{ID: "eni-" + digest("net/"+id, 17)}},
				Volumes:    []sim.VolumeSpec{{Device: "/dev/xvda", GiB: 1}, {Device: "/dev/sdb", GiB: 1}},
				Tags:       map[string]string{"Name": name, "owner": h.owner}, Console: "batch: 412 invoices exported\nbatch: done\n"})
		}
		add(h.id, h.name)
		add("i-0a1b2c3d4e5f60007", "batch-2")
		for i, v := range e.VolumesOf(h.account, region, h.id) {
			e.ScriptSnapshots(h.account, region, v, sim.SnapshotScript{Takes: time.Duration(float64(takes[i]) / s.tempo)})
		}
	})
}

// look reads the host from the simulated AWS, past guardroom.
func (s *show) look(ctx context.Context, h host) (string, error) {
	w, err := s.openAWS()
	if err != nil {
		return "", err
	}
	c, err := w.AWS().EC2(ctx, awscalls.Place{Account: h.account, Region: region, Role: awscalls.Read})
	if err != nil {
		return "", err
	}
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{h.id}})
	if err != nil {
		return "", err
	}
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 1 {
		return "", fmt.Errorf("the simulated AWS does not know %s", h.id)
	}
	return instanceWords(out.Reservations[0].Instances[0]), nil
}

func instanceWords(i types.Instance) string {
	var groups []string
	for _, n := range i.NetworkInterfaces {
		for _, g := range n.Groups {
			groups = append(groups, *g.GroupName)
		}
	}
	slices.Sort(groups)
	text := fmt.Sprintf("%s, security groups %s", i.State.Name, strings.Join(groups, ", "))
	if i.IamInstanceProfile == nil {
		return text + ", no instance profile"
	}
	_, profile, _ := strings.Cut(*i.IamInstanceProfile.Arn, "/")
	return text + ", instance profile " + profile
}
