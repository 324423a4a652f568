package forensics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// rounds is how often all types and subnets are tried before there is no
// workstation; capacity comes back, and the snapshots take their time.
const (
	rounds     = 5
	roundPause = time.Minute
	// quotaRounds is how often where a quota is reached: it does not free itself.
	quotaRounds = 2
)

// launch starts the workstation in the first type and subnet that AWS has
// capacity for. It ends when AWS has taken it on, so that volumes can follow its
// zone while it boots.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
func launch(x *respond.Exec) (playbook.Outcome, error) {
	var p machineParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var m machine
	if !x.Load(savedMachine, &m) {
		img, err := respond.Once(x, "image", func() (Image, error) { return imageNow(x, p) })
		if err != nil {
			return playbook.Outcome{}, respond.Explain(err, "find the workstation's image", "no workstation was started; snapshots and hashes go on")
		}
		if m, err = obtain(x, p, img); err != nil {
			return playbook.Outcome{}, err
		}
		if err := x.Save(savedMachine, m); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := x.Preserve(evidence.Item{ID: x.Def.ID, Kind: evidence.Workstation, Title: "workstation for examination", Source: m.Image, Location: m.ID, Account: x.Def.Account, Region: x.Def.Region,
		How: "EC2.RunInstances", Trust: trustAWS, Gap: "it is a tool and no evidence", Working: true, WorkingUntil: expires(x), Key: p.Key}); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s (%s) starts in %s (%s)", m.ID, m.Type, m.Subnet, m.Zone)}, nil
}

// imageNow resolves the image again: a parameter may name another one by now,
// and who owns it is checked for that one.
func imageNow(x *respond.Exec, p machineParams) (Image, error) {
	var img Image
	f := x.Policy.Forensics
	f.Image = p.Image
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.EC2(ctx, x.Place())
		if err != nil {
			return err
		}
		img, err = resolveImage(ctx, x.AWS, c, x.Place(), f)
		return err
	})
	if err != nil && slices.Contains([]fault.Code{fault.NotFound, fault.Denied, fault.Usage, fault.Conflict}, fault.CodeOf(err)) {
		err = playbook.Permanent(err) // found out about the image, and no retry mends it
	}
	return img, err
}

// obtain tries one type and subnet after the other. Which one is tried is saved
// before each call, so that a call whose answer was lost is repeated with the
// same token and gives the same instance.
func obtain(x *respond.Exec, p machineParams, img Image) (machine, error) {
	if x.Attempt() > 1 {
		if m, found, err := adopt(x, img); err != nil || found {
			return m, err
		}
	}
	n := len(p.Types) * len(p.Subnets)
	if n == 0 {
		return machine{}, playbook.Permanent(fault.New(fault.Usage, "no type or subnet is configured for the workstation", "set forensics.types and forensics.subnets"))
	}
	try := 0
	x.Load(savedTry, &try)
	var refusals map[string]string
	if !x.Load("refusals", &refusals) {
		refusals = map[string]string{}
	}
	for ; try < n*rounds; try++ {
		if err := x.Save(savedTry, try); err != nil {
			return machine{}, err
		}
		typ, subnet := p.Types[try%n/len(p.Subnets)], p.Subnets[try%len(p.Subnets)]
		m, err := run(x, p, img, typ, subnet, try)
		if err == nil {
			return m, nil
		}
		if !elsewhere(err) {
			return machine{}, respond.Explain(err, "start the workstation", "no workstation was started; snapshots and hashes go on")
		}
		refusals[typ+" in "+subnet.ID] = respond.Code(err)
		if err := x.Save("refusals", refusals); err != nil {
			return machine{}, err
		}
		if try%n == n-1 && atQuota(refusals) && try >= n*quotaRounds-1 {
			break
		}
		if try%n == n-1 && try < n*rounds-1 {
			x.Progress(playbook.Progress{Message: waiting(refusals)})
			if err := x.Save(savedTry, try+1); err != nil {
				return machine{}, err
			}
			if err := x.Sleep(roundPause); err != nil {
				return machine{}, err
			}
		}
	}
	var list []string
	for _, k := range sortedKeys(refusals) {
		list = append(list, k+": "+refusals[k])
	}
	if atQuota(refusals) {
		return machine{}, playbook.Permanent(fault.New(fault.Unavailable, "AWS started no workstation, "+quotaReached+": "+strings.Join(list, "; "),
			"raise the quota for instances of account "+x.Def.Account+", or end some; the snapshots are safe"))
	}
	return machine{}, playbook.Permanent(fault.New(fault.Unavailable, "AWS started no workstation: "+strings.Join(list, "; "),
		"name more in forensics.types and forensics.subnets, or raise the quota; the snapshots are safe"))
}

const quotaReached = "the quota of the account for instances is reached"

// atQuota reports whether each type and subnet was refused for want of quota.
func atQuota(refusals map[string]string) bool {
	for _, code := range refusals {
		if code != "VcpuLimitExceeded" && code != "InstanceLimitExceeded" && code != "MaxSpotInstanceCountExceeded" {
			return false
		}
	}
	return len(refusals) > 0
}

// waiting says for what a workstation waits, by the codes of AWS.
func waiting(refusals map[string]string) string {
	codes := slices.Compact(slices.Sorted(maps.Values(refusals)))
	why := "no capacity in any type and subnet"
	switch {
	case atQuota(refusals):
		why = quotaReached
	case slices.ContainsFunc(codes, func(code string) bool { return !strings.HasPrefix(code, "Insufficient") }):
		why = "AWS starts none of the types in any subnet"
	}
	return why + " (" + strings.Join(codes, ", ") + "); all are tried again"
}

// elsewhere reports whether another type or subnet may do where this one did not.
func elsewhere(err error) bool {
	return respond.Is(err, "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity*", "Unsupported", "UnsupportedOperation", "InstanceLimitExceeded", "VcpuLimitExceeded",
		"MaxSpotInstanceCountExceeded", "InsufficientFreeAddressesInSubnet", "InvalidSubnetID*", "InvalidSubnet.NotFound", "InvalidInstanceType", "InvalidParameterCombination")
}

// adopt finds a workstation that an earlier attempt started.
func adopt(x *respond.Exec, img Image) (machine, bool, error) {
	out, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeInstancesOutput, error) {
		return c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(ours(x), types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}})})
	})
	if err != nil {
		return machine{}, false, err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			return machineOf(i, img), true, nil
		}
	}
	return machine{}, false, nil
}

func machineOf(i types.Instance, img Image) machine {
	m := machine{ID: aws.ToString(i.InstanceId), Type: string(i.InstanceType), Subnet: aws.ToString(i.SubnetId), Image: img.ID, Root: aws.ToString(i.RootDeviceName)}
	if i.Placement != nil {
		m.Zone = aws.ToString(i.Placement.AvailabilityZone)
	}
	if m.Root == "" {
		m.Root = img.Root
	}
	return m
}

// launching is the call that starts a workstation, without its token and tags.
func launching(p machineParams, img Image, typ string, subnet Subnet) *ec2.RunInstancesInput {
	root := &types.EbsBlockDevice{Encrypted: aws.Bool(true), DeleteOnTermination: aws.Bool(true), VolumeType: types.VolumeTypeGp3}
	if img.RootGiB > 0 {
		root.VolumeSize = aws.Int32(max(img.RootGiB, 8)) // a double of AWS may want it said
	}
	if p.Key != "" {
		root.KmsKeyId = aws.String(p.Key)
	}
	in := &ec2.RunInstancesInput{
		ImageId: aws.String(img.ID), InstanceType: types.InstanceType(typ), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: aws.String(subnet.ID), Groups: p.SecurityGroups,
			AssociatePublicIpAddress: aws.Bool(false), DeleteOnTermination: aws.Bool(true)}},
		MetadataOptions:                   &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(1), HttpEndpoint: types.InstanceMetadataEndpointStateEnabled},
		BlockDeviceMappings:               []types.BlockDeviceMapping{{DeviceName: aws.String(img.Root), Ebs: root}},
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorStop,
	}
	if p.Profile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(p.Profile)}
		if strings.HasPrefix(p.Profile, "arn:") {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Arn: aws.String(p.Profile)}
		}
	}
	return in
}

func run(x *respond.Exec, p machineParams, img Image, typ string, subnet Subnet, try int) (machine, error) {
	in := launching(p, img, typ, subnet)
	in.ClientToken, in.DisableApiTermination = aws.String(x.Token(fmt.Sprintf("try %d", try))), aws.Bool(true)
	in.TagSpecifications = append(tagged(x, types.ResourceTypeInstance, "guardroom workstation "+x.Plan.Incident.String(), expires(x), nil), tagged(x, types.ResourceTypeVolume, "", expires(x), nil)...)
	out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.RunInstancesOutput, error) {
		return c.RunInstances(ctx, in)
	})
	if err != nil {
		return machine{}, err
	}
	if len(out.Instances) == 0 {
		return machine{}, fault.New(fault.Unavailable, "AWS answered without an instance", "it is asked again")
	}
	m := machineOf(out.Instances[0], img)
	if m.Zone == "" {
		m.Zone = subnet.Zone
	}
	if m.Subnet == "" {
		m.Subnet = subnet.ID
	}
	return m, nil
}

// ready waits until the workstation runs and both of its status checks are
// good. The list of checks is empty at first.
func ready(x *respond.Exec) (playbook.Outcome, error) {
	var m machine
	if err := x.Output(StepWorkstation, savedMachine, &m); err != nil {
		return playbook.Outcome{}, err
	}
	err := x.Poll(func() (bool, error) {
		state, why, err := stateOf(x, m.ID)
		if err != nil {
			return false, early(x, err, x.Started())
		}
		switch state {
		case types.InstanceStateNamePending:
			x.Progress(playbook.Progress{Message: "starting", ShortestSeconds: 120, LongestSeconds: 360})
			return false, nil
		case types.InstanceStateNameRunning:
			return checked(x, m.ID)
		}
		return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("workstation %s is %s: %s", m.ID, state, why), "the snapshots are safe; make a plan for a workstation"))
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: m.ID + " has booted and passed its checks"}, nil
}

func stateOf(x *respond.Exec, id string) (types.InstanceStateName, string, error) {
	out, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeInstancesOutput, error) {
		return c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	})
	if err != nil {
		return "", "", err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if i.State == nil {
				continue
			}
			why := "AWS does not say why"
			if i.StateReason != nil {
				why = said(i.StateReason.Message)
			}
			return i.State.Name, why, nil
		}
	}
	return types.InstanceStateNamePending, "", nil // AWS does not show it yet
}

func checked(x *respond.Exec, id string) (bool, error) {
	out, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeInstanceStatusOutput, error) {
		return c.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}})
	})
	if err != nil {
		return false, early(x, err, x.Started())
	}
	x.Progress(playbook.Progress{Message: "booting", ShortestSeconds: 120, LongestSeconds: 360})
	for _, s := range out.InstanceStatuses {
		if aws.ToString(s.InstanceId) == id && s.InstanceStatus != nil && s.SystemStatus != nil {
			return s.InstanceStatus.Status == types.SummaryStatusOk && s.SystemStatus.Status == types.SummaryStatusOk, nil
		}
	}
	return false, nil
}
