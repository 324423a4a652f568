package sim

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// image is one that this account may launch: in its region, its own or AWS's,
// shared with it, or public.
func (s *scope) image(id *string) (*image, error) {
	if m, ok := s.launchable()[aws.ToString(id)]; ok && s.seen(m) {
		return m, nil
	}
	return nil, kindImage.missing(aws.ToString(id))
}

func (s *scope) launchable() map[string]*image {
	out := map[string]*image{}
	for accountID, a := range s.w.state.Accounts {
		r := a.Regions[s.r.Name]
		if r == nil {
			continue
		}
		for id, m := range r.EC2.Images {
			if accountID == s.a.ID || m.Public && m.Alias == "" || slices.Contains(m.Shares, s.a.ID) {
				out[id] = m
			}
		}
	}
	return out
}

// DescribeImages implements awscalls.EC2.
func (c *ec2Client) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	return ec2Do(ctx, c, "DescribeImages", false, in, func(s *scope) (*ec2.DescribeImagesOutput, error) {
		all, err := list(s, s.launchable(), kindImage, in.ImageIds)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(m *image) bool {
			return len(in.Owners) > 0 && !slices.Contains(in.Owners, m.Owner) && !(m.Alias != "" && slices.Contains(in.Owners, m.Alias)) && !(m.Owner == s.a.ID && slices.Contains(in.Owners, "self"))
		})
		table := filters[*image]{
			"image-id":                         func(m *image) []string { return one(m.ID) },
			"name":                             func(m *image) []string { return one(m.Name) },
			"owner-id":                         func(m *image) []string { return one(m.Owner) },
			"owner-alias":                      func(m *image) []string { return one(m.Alias) },
			"architecture":                     func(m *image) []string { return one(m.Architecture) },
			"state":                            func(*image) []string { return one("available") },
			"is-public":                        func(m *image) []string { return yes(m.Public) },
			"root-device-type":                 func(*image) []string { return one("ebs") },
			"block-device-mapping.snapshot-id": func(m *image) []string { return one(m.Snapshot) },
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.ImageIds), Least: 1, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeImagesOutput{NextToken: next}
		for _, m := range all {
			out.Images = append(out.Images, showImage(m))
		}
		return out, nil
	})
}

func showImage(m *image) types.Image {
	disk := &types.EbsBlockDevice{VolumeSize: aws.Int32(m.RootSize), VolumeType: types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)}
	if m.Snapshot != "" {
		disk.SnapshotId = aws.String(m.Snapshot)
	}
	out := types.Image{ImageId: aws.String(m.ID), Name: aws.String(m.Name), OwnerId: aws.String(m.Owner), Architecture: types.ArchitectureValues(m.Architecture),
		State: types.ImageStateAvailable, Public: aws.Bool(m.Public), RootDeviceName: aws.String(m.RootDevice), RootDeviceType: types.DeviceTypeEbs,
		CreationDate: aws.String(m.Made.Format(time.RFC3339)), ProductCodes: showCodes(m.Codes), Tags: tagList(m.Tags), Platform: types.PlatformValues(m.Platform),
		VirtualizationType: types.VirtualizationTypeHvm, BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String(m.RootDevice), Ebs: disk}}}
	if m.Alias != "" {
		out.ImageOwnerAlias = aws.String(m.Alias)
	}
	return out
}

// ownImage is an image of this account.
func (s *scope) ownImage(id *string) (*image, error) {
	m, err := s.image(id)
	if err != nil {
		return nil, err
	}
	if m.Owner != s.a.ID {
		return nil, fail("AuthFailure", "Not authorized for image:%s", m.ID)
	}
	return m, nil
}

// DescribeImageAttribute implements awscalls.EC2, for the owner.
func (c *ec2Client) DescribeImageAttribute(ctx context.Context, in *ec2.DescribeImageAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeImageAttributeOutput, error) {
	return ec2Do(ctx, c, "DescribeImageAttribute", false, in, func(s *scope) (*ec2.DescribeImageAttributeOutput, error) {
		m, err := s.ownImage(in.ImageId)
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeImageAttributeOutput{ImageId: in.ImageId}
		switch in.Attribute {
		case types.ImageAttributeNameLaunchPermission:
			out.LaunchPermissions = []types.LaunchPermission{}
			for _, who := range m.Shares {
				out.LaunchPermissions = append(out.LaunchPermissions, types.LaunchPermission{UserId: aws.String(who)})
			}
			if m.Public {
				out.LaunchPermissions = append(out.LaunchPermissions, types.LaunchPermission{Group: types.PermissionGroupAll})
			}
		case types.ImageAttributeNameProductCodes:
			out.ProductCodes = showCodes(m.Codes)
		case types.ImageAttributeNameBlockDeviceMapping:
			out.BlockDeviceMappings = showImage(m).BlockDeviceMappings
		default:
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
		}
		return out, nil
	})
}

// ModifyImageAttribute implements awscalls.EC2: who may launch it.
func (c *ec2Client) ModifyImageAttribute(ctx context.Context, in *ec2.ModifyImageAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyImageAttributeOutput, error) {
	return ec2Do(ctx, c, "ModifyImageAttribute", true, in, func(s *scope) (*ec2.ModifyImageAttributeOutput, error) {
		m, err := s.ownImage(in.ImageId)
		if err != nil {
			return nil, err
		}
		if a := aws.ToString(in.Attribute); a != "" && a != "launchPermission" {
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", a)
		}
		var add, remove []string
		if l := in.LaunchPermission; l != nil {
			for _, p := range l.Add {
				add = append(add, orText(aws.ToString(p.UserId), string(p.Group)))
			}
			for _, p := range l.Remove {
				remove = append(remove, orText(aws.ToString(p.UserId), string(p.Group)))
			}
		}
		named := slices.Concat(in.UserIds, in.UserGroups)
		switch in.OperationType {
		case types.OperationTypeAdd:
			add = append(add, named...)
		case types.OperationTypeRemove:
			remove = append(remove, named...)
		}
		if err := checkSharing(add, remove); err != nil {
			return nil, err
		}
		if slices.Contains(add, "all") && (!s.PublicOK || len(m.Codes) > 0) {
			return nil, fail("OperationNotPermitted", "You can't publicly share this image because block public access for images is enabled")
		}
		m.Shares, m.Public = share(m.Shares, m.Public, add, remove)
		return &ec2.ModifyImageAttributeOutput{}, nil
	})
}
