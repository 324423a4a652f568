package cloudtest

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Cases is the whole contract.
func Cases() []Case {
	return slices.Concat(instanceCases(), networkCases(), groupCases(), volumeCases(), snapshotCases(), fleetCases(), identityCases(), agentCases(), bucketCases(), dataCases(), recordCases())
}

// Words that are short, because cases say them often.

func s(v string) *string { return aws.String(v) }

func str(p *string) string { return aws.ToString(p) }

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: s(name), Values: values}
}

func tagged(kind types.ResourceType, key, value string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: s(key), Value: s(value)}}}}
}

// tagOf is the value of a tag; "-" where there is none.
func tagOf(list []types.Tag, key string) string {
	for _, t := range list {
		if str(t.Key) == key {
			return str(t.Value)
		}
	}
	return "-"
}

// host is an instance with an interface in a VPC of its own, in zone a.
func (w *World) host(disks ...Disk) Host {
	w.Helper()
	return w.Launch(Launch{Subnets: []string{w.Subnet(w.VPC(false), "a")}, Disks: disks})
}

func (w *World) instance(id string) types.Instance {
	w.Helper()
	out := got[*ec2.DescribeInstancesOutput](w, "describe an instance")(w.EC2().DescribeInstances(w.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))
	return out.Reservations[0].Instances[0]
}

func (w *World) eni(id string) types.NetworkInterface {
	w.Helper()
	out := got[*ec2.DescribeNetworkInterfacesOutput](w, "describe an interface")(w.EC2().DescribeNetworkInterfaces(w.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))
	return out.NetworkInterfaces[0]
}

func (w *World) volume(id string, account ...string) types.Volume {
	w.Helper()
	out := got[*ec2.DescribeVolumesOutput](w, "describe a volume")(w.EC2(account...).DescribeVolumes(w.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}}))
	return out.Volumes[0]
}

func (w *World) snapshot(id string, account ...string) types.Snapshot {
	w.Helper()
	out := got[*ec2.DescribeSnapshotsOutput](w, "describe a snapshot")(w.EC2(account...).DescribeSnapshots(w.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))
	return out.Snapshots[0]
}

// completed is a snapshot of a volume, when it is complete.
func (w *World) completed(volume string) string {
	w.Helper()
	out := got[*ec2.CreateSnapshotOutput](w, "make a snapshot")(w.EC2().CreateSnapshot(w.Context(), &ec2.CreateSnapshotInput{VolumeId: s(volume)}))
	w.Until("a completed snapshot", func() bool { return w.snapshot(str(out.SnapshotId)).State == types.SnapshotStateCompleted })
	return str(out.SnapshotId)
}
