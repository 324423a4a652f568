package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// instanceType is what the world knows of a type.
type instanceType struct {
	Name        string
	CPUs        int32
	MiB         int64
	Attachments int32
	ENIs        int32
	Xen         bool
	Arm         bool
	Store       bool // has instance store disks
	// ShortIdle: established flows are kept 350 s (Nitro v6) and not 5 days.
	ShortIdle bool
}

// instanceTypes are the types that exist here.
func instanceTypes() []instanceType {
	return []instanceType{
		{Name: "c5.large", CPUs: 2, MiB: 4096, Attachments: 28, ENIs: 3},
		{Name: "i3.large", CPUs: 2, MiB: 15616, Attachments: 39, ENIs: 3, Xen: true, Store: true},
		{Name: "m5.large", CPUs: 2, MiB: 8192, Attachments: 28, ENIs: 3},
		{Name: "m5.xlarge", CPUs: 4, MiB: 16384, Attachments: 28, ENIs: 4},
		{Name: "m5d.large", CPUs: 2, MiB: 8192, Attachments: 28, ENIs: 3, Store: true},
		{Name: "m6g.large", CPUs: 2, MiB: 8192, Attachments: 28, ENIs: 3, Arm: true},
		{Name: "m6i.large", CPUs: 2, MiB: 8192, Attachments: 28, ENIs: 3},
		{Name: "m6i.xlarge", CPUs: 4, MiB: 16384, Attachments: 28, ENIs: 4},
		{Name: "m7i.large", CPUs: 2, MiB: 8192, Attachments: 32, ENIs: 3},
		{Name: "m7i.xlarge", CPUs: 4, MiB: 16384, Attachments: 32, ENIs: 4},
		{Name: "m8i.large", CPUs: 2, MiB: 8192, Attachments: 32, ENIs: 3, ShortIdle: true},
		{Name: "r5.large", CPUs: 2, MiB: 16384, Attachments: 28, ENIs: 3},
		{Name: "t2.large", CPUs: 2, MiB: 8192, Attachments: 39, ENIs: 3, Xen: true},
		{Name: "t2.micro", CPUs: 1, MiB: 1024, Attachments: 39, ENIs: 2, Xen: true},
		{Name: "t3.large", CPUs: 2, MiB: 8192, Attachments: 28, ENIs: 3},
		{Name: "t3.medium", CPUs: 2, MiB: 4096, Attachments: 28, ENIs: 3},
		{Name: "t3.micro", CPUs: 2, MiB: 1024, Attachments: 28, ENIs: 2},
		{Name: "t4g.small", CPUs: 2, MiB: 2048, Attachments: 28, ENIs: 3, Arm: true},
	}
}

// typeOf is a type by its name; one that does not exist has no name.
func typeOf(name string) instanceType {
	for _, t := range instanceTypes() {
		if t.Name == name {
			return t
		}
	}
	return instanceType{}
}

// DescribeInstanceTypes implements awscalls.EC2.
func (c *ec2Client) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	return ec2Do(ctx, c, "DescribeInstanceTypes", false, in, func(s *scope) (*ec2.DescribeInstanceTypesOutput, error) {
		var names, unknown []string
		for _, n := range in.InstanceTypes {
			names = append(names, string(n))
			if typeOf(string(n)).Name == "" {
				unknown = append(unknown, string(n))
			}
		}
		if len(unknown) > 0 {
			return nil, fail("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
		}
		all, err := typesMatching(in.Filters)
		if err != nil {
			return nil, err
		}
		var kept []instanceType
		for _, t := range all {
			if len(names) == 0 || slices.Contains(names, t.Name) {
				kept = append(kept, t)
			}
		}
		kept, next, err := page(s, kept, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(names), Least: 5, Most: 100})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeInstanceTypesOutput{NextToken: next}
		for _, t := range kept {
			out.InstanceTypes = append(out.InstanceTypes, showType(t))
		}
		return out, nil
	})
}

func typesMatching(in []types.Filter) ([]instanceType, error) {
	all := instanceTypes()
	for _, want := range in {
		var look func(instanceType) string
		switch aws.ToString(want.Name) {
		case "instance-type":
			look = func(t instanceType) string { return t.Name }
		case "processor-info.supported-architecture":
			look = instanceType.architecture
		default:
			return nil, fail("InvalidParameterValue", "The filter '%s' is invalid", aws.ToString(want.Name))
		}
		var kept []instanceType
		for _, t := range all {
			if anyMatches(want.Values, one(look(t))) {
				kept = append(kept, t)
			}
		}
		all = kept
	}
	return all, nil
}

func (t instanceType) architecture() string {
	if t.Arm {
		return "arm64"
	}
	return "x86_64"
}

func showType(t instanceType) types.InstanceTypeInfo {
	hypervisor := types.InstanceTypeHypervisorNitro
	if t.Xen {
		hypervisor = types.InstanceTypeHypervisorXen
	}
	return types.InstanceTypeInfo{InstanceType: types.InstanceType(t.Name), Hypervisor: hypervisor, InstanceStorageSupported: aws.Bool(t.Store),
		EbsInfo:       &types.EbsInfo{MaximumEbsAttachments: aws.Int32(t.Attachments), EncryptionSupport: types.EbsEncryptionSupportSupported},
		MemoryInfo:    &types.MemoryInfo{SizeInMiB: aws.Int64(t.MiB)},
		VCpuInfo:      &types.VCpuInfo{DefaultVCpus: aws.Int32(t.CPUs)},
		NetworkInfo:   &types.NetworkInfo{MaximumNetworkInterfaces: aws.Int32(t.ENIs)},
		ProcessorInfo: &types.ProcessorInfo{SupportedArchitectures: []types.ArchitectureType{types.ArchitectureType(t.architecture())}}}
}
