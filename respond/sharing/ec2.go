package sharing

import (
	"context"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

var (
	snapshotForm = regexp.MustCompile(`^snap-[0-9a-f]{8,17}$`)
	imageForm    = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)
)

// snapshotKind is snapshots of EBS.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html
func snapshotKind() kind {
	return kind{
		name: "ebs-snapshot", summary: "Take away with whom a snapshot of EBS is shared.", noun: "snapshot", service: "ebs",
		read: []string{"EC2.DescribeSnapshotAttribute", "EC2.DescribeSnapshots"}, modify: "EC2.ModifySnapshotAttribute",
		id: func(t respond.Target) string {
			if t.Kind == finding.KindEBSSnapshot && snapshotForm.MatchString(t.ID) {
				return t.ID
			}
			return ""
		},
		describe: describeSnapshot, shares: snapshotShares, change: changeSnapshot,
		trial: func(id, with string) any {
			return &ec2.ModifySnapshotAttributeInput{SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission, OperationType: types.OperationTypeRemove, UserIds: []string{with}}
		},
	}
}

func describeSnapshot(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (thing, error) {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return thing{}, err
	}
	out, err := api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		return thing{}, err
	}
	if len(out.Snapshots) == 0 {
		return thing{}, gone("snapshot " + id)
	}
	s := out.Snapshots[0]
	t := thing{ID: id, Owner: aws.ToString(s.OwnerId), State: string(s.State), Key: aws.ToString(s.KmsKeyId), Source: aws.ToString(s.VolumeId), Tags: tagsOf(s.Tags)}
	t.ARN = "arn:" + kit.PartitionOf(p.Region) + ":ec2:" + p.Region + "::snapshot/" + id
	if t.Owner == p.Account {
		t.Shares, err = snapshotShares(ctx, a, p, id)
	}
	return t, err
}

func snapshotShares(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) ([]share, error) {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := api.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
	if err != nil {
		return nil, err
	}
	list := []share{}
	for _, v := range out.CreateVolumePermissions {
		if v.Group != "" {
			list = append(list, share(group+string(v.Group)))
		}
		if v.UserId != nil {
			list = append(list, share(account+*v.UserId))
		}
	}
	return sorted(list), nil
}

func changeSnapshot(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, add, remove []share) error {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return err
	}
	// Of the two forms that AWS takes, this is the one that doubles of AWS read too.
	modify := func(how types.OperationType, list []share) error {
		if len(list) == 0 {
			return nil
		}
		in := &ec2.ModifySnapshotAttributeInput{SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission, OperationType: how}
		for _, s := range list {
			if kind, value := s.cut(); kind == group {
				in.GroupNames = append(in.GroupNames, value)
			} else {
				in.UserIds = append(in.UserIds, value)
			}
		}
		_, err := api.ModifySnapshotAttribute(ctx, in)
		return err
	}
	if err := modify(types.OperationTypeRemove, remove); err != nil {
		return err
	}
	return modify(types.OperationTypeAdd, add)
}

// imageKind is images of EC2.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html
func imageKind() kind {
	return kind{
		name: "ec2-image", summary: "Take away with whom an image of EC2 is shared.", noun: "image", service: "image",
		read: []string{"EC2.DescribeImageAttribute", "EC2.DescribeImages"}, modify: "EC2.ModifyImageAttribute",
		id: func(t respond.Target) string {
			if t.Kind == finding.KindImage && imageForm.MatchString(t.ID) {
				return t.ID
			}
			return ""
		},
		describe: describeImage, shares: imageShares, change: changeImage,
		trial: func(id, with string) any {
			return &ec2.ModifyImageAttributeInput{ImageId: &id, Attribute: aws.String(string(types.ImageAttributeNameLaunchPermission)),
				LaunchPermission: &types.LaunchPermissionModifications{Remove: []types.LaunchPermission{{UserId: &with}}}}
		},
	}
}

func describeImage(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (thing, error) {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return thing{}, err
	}
	out, err := api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil {
		return thing{}, err
	}
	if len(out.Images) == 0 {
		return thing{}, gone("image " + id)
	}
	i := out.Images[0]
	t := thing{ID: id, Name: aws.ToString(i.Name), Owner: aws.ToString(i.OwnerId), State: string(i.State), Tags: tagsOf(i.Tags)}
	t.ARN = "arn:" + kit.PartitionOf(p.Region) + ":ec2:" + p.Region + "::image/" + id
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil {
			t.Backed = append(t.Backed, *m.Ebs.SnapshotId)
		}
	}
	if t.Owner == p.Account {
		t.Shares, err = imageShares(ctx, a, p, id)
	}
	return t, err
}

func imageShares(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) ([]share, error) {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := api.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil {
		return nil, err
	}
	list := []share{}
	for _, v := range out.LaunchPermissions {
		if v.Group != "" {
			list = append(list, share(group+string(v.Group)))
		}
		for kind, value := range map[string]*string{account: v.UserId, org: v.OrganizationArn, unit: v.OrganizationalUnitArn} {
			if value != nil {
				list = append(list, share(kind+*value))
			}
		}
	}
	return sorted(list), nil
}

func changeImage(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, add, remove []share) error {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return err
	}
	permissions := func(list []share) []types.LaunchPermission {
		var out []types.LaunchPermission
		for _, s := range list {
			switch kind, value := s.cut(); kind {
			case group:
				out = append(out, types.LaunchPermission{Group: types.PermissionGroup(value)})
			case org:
				out = append(out, types.LaunchPermission{OrganizationArn: aws.String(value)})
			case unit:
				out = append(out, types.LaunchPermission{OrganizationalUnitArn: aws.String(value)})
			default:
				out = append(out, types.LaunchPermission{UserId: aws.String(value)})
			}
		}
		return out
	}
	_, err = api.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &id, Attribute: aws.String(string(types.ImageAttributeNameLaunchPermission)),
		LaunchPermission: &types.LaunchPermissionModifications{Add: permissions(add), Remove: permissions(remove)}})
	return err
}

func tagsOf(list []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func gone(what string) error {
	f := fault.New(fault.NotFound, what+" is not there", "look in CloudTrail who deleted it; copies in other accounts are out of reach")
	f.Safe = "nothing was changed"
	return f
}
