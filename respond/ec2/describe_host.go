package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

var errNoInstance = errors.New("AWS knows no such instance")

// instance asks for the instance by its id.
func (d *describer) instance() (*types.Instance, error) {
	inst, err := ask(d, "ec2.DescribeInstances", func(ctx context.Context) (*types.Instance, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{d.id}})
		if err != nil {
			return nil, err
		}
		for _, r := range out.Reservations {
			for i := range r.Instances {
				if str(r.Instances[i].InstanceId) == d.id {
					return &r.Instances[i], nil
				}
			}
		}
		return nil, playbook.Permanent(errNoInstance)
	})
	if err != nil && (errors.Is(err, errNoInstance) || respond.Gone(err)) {
		return nil, playbook.Permanent(fault.Wrap(fault.NotFound, respond.Worded(err), fmt.Sprintf("there is no instance %s in account %s, %s", d.id, d.place.Account, d.place.Region),
			"nothing was changed; no other region is searched", "its snapshots, logs and the sessions of its role can still be dealt with: plan for those"))
	}
	return inst, err
}

func (d *describer) fillInstance(w *World, i *types.Instance) {
	if i.State != nil {
		w.State = string(i.State.Name)
	}
	w.Type, w.Platform, w.Architecture, w.Lifecycle = string(i.InstanceType), string(i.Platform), string(i.Architecture), string(i.InstanceLifecycle)
	w.RootDevice, w.RootDeviceType, w.Image = str(i.RootDeviceName), string(i.RootDeviceType), str(i.ImageId)
	w.VPC, w.Subnet, w.KeyName, w.Operator = str(i.VpcId), str(i.SubnetId), str(i.KeyName), managerOf(i.Operator)
	w.LaunchTime = aws.ToTime(i.LaunchTime).UTC()
	w.ARN = fmt.Sprintf("arn:%s:ec2:%s:%s:instance/%s", partition(w.Region), w.Region, w.Account, w.InstanceID)
	if i.Placement != nil {
		w.Zone, w.Tenancy = str(i.Placement.AvailabilityZone), string(i.Placement.Tenancy)
	}
	if i.HibernationOptions != nil {
		w.Hibernation = aws.ToBool(i.HibernationOptions.Configured)
	}
	for _, p := range i.ProductCodes {
		w.ProductCodes = append(w.ProductCodes, str(p.ProductCodeId))
	}
	w.Tags = tagsOf(i.Tags)
	w.Metadata = readMetadata(i.MetadataOptions)
}

func readMetadata(m *types.InstanceMetadataOptionsResponse) Metadata {
	if m == nil {
		return Metadata{}
	}
	return Metadata{State: string(m.State), Endpoint: string(m.HttpEndpoint), Tokens: string(m.HttpTokens),
		HopLimit: aws.ToInt32(m.HttpPutResponseHopLimit), IPv6: string(m.HttpProtocolIpv6), Tags: string(m.InstanceMetadataTags)}
}

// partition is the part of AWS that a region belongs to.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// attributes asks for what keeps the instance alive, one attribute a call.
func (d *describer) attributes(w *World) {
	get := func(name types.InstanceAttributeName) (*ec2.DescribeInstanceAttributeOutput, error) {
		return ask(d, "ec2.DescribeInstanceAttribute "+string(name), func(ctx context.Context) (*ec2.DescribeInstanceAttributeOutput, error) {
			c, err := d.aws.EC2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			return c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &d.id, Attribute: name})
		})
	}
	d.side(func() {
		if out, err := get(types.InstanceAttributeNameDisableApiTermination); err == nil && out.DisableApiTermination != nil {
			w.Attributes.DisableTermination = aws.ToBool(out.DisableApiTermination.Value)
		}
	}, func() {
		if out, err := get(types.InstanceAttributeNameDisableApiStop); err == nil && out.DisableApiStop != nil {
			w.Attributes.DisableStop = aws.ToBool(out.DisableApiStop.Value)
		}
	}, func() {
		if out, err := get(types.InstanceAttributeNameInstanceInitiatedShutdownBehavior); err == nil && out.InstanceInitiatedShutdownBehavior != nil {
			w.Attributes.ShutdownBehavior = str(out.InstanceInitiatedShutdownBehavior.Value)
		}
	}, func() {
		out, err := get(types.InstanceAttributeNameUserData)
		if err != nil || out.UserData == nil || str(out.UserData.Value) == "" {
			return
		}
		raw, err := base64.StdEncoding.DecodeString(str(out.UserData.Value))
		if err != nil {
			raw = []byte(str(out.UserData.Value))
		}
		sum := sha256.Sum256(raw)
		w.Attributes.UserDataBytes, w.Attributes.UserDataSHA256 = len(raw), hex.EncodeToString(sum[:])
	})
}

func (d *describer) volumes() ([]types.Volume, error) {
	return ask(d, "ec2.DescribeVolumes", func(ctx context.Context) ([]types.Volume, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		var out []types.Volume
		in := &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.instance-id", d.id)}}
		for {
			page, err := c.DescribeVolumes(ctx, in)
			if err != nil {
				return nil, err
			}
			out = append(out, page.Volumes...)
			if str(page.NextToken) == "" {
				return out, nil
			}
			in.NextToken = page.NextToken
		}
	})
}

// fillVolumes joins the block devices of the instance with its volumes.
func (d *describer) fillVolumes(w *World, inst *types.Instance, list []types.Volume) {
	byID := map[string]types.Volume{}
	for _, v := range list {
		byID[str(v.VolumeId)] = v
	}
	for _, m := range inst.BlockDeviceMappings {
		if m.Ebs == nil || str(m.Ebs.VolumeId) == "" {
			continue
		}
		v := Volume{ID: str(m.Ebs.VolumeId), Device: str(m.DeviceName), DeleteOnTermination: aws.ToBool(m.Ebs.DeleteOnTermination), Managed: managerOf(m.Ebs.Operator)}
		if r := str(m.Ebs.AssociatedResource); r != "" && v.Managed == "" {
			v.Managed = r
		}
		if have, ok := byID[v.ID]; ok {
			v.SizeGiB, v.Type, v.State = aws.ToInt32(have.Size), string(have.VolumeType), string(have.State)
			v.Encrypted, v.Key, v.MultiAttach = aws.ToBool(have.Encrypted), str(have.KmsKeyId), aws.ToBool(have.MultiAttachEnabled)
			v.Snapshot, v.Tags = str(have.SnapshotId), tagsOf(have.Tags)
			if v.Managed == "" {
				v.Managed = managerOf(have.Operator)
			}
		}
		w.Volumes = append(w.Volumes, v)
	}
	slices.SortFunc(w.Volumes, func(a, b Volume) int { return strings.Compare(a.Device, b.Device) })
}

// keys asks who manages the KMS keys of the volumes.
func (d *describer) keys(w *World) {
	var arns []string
	for _, v := range w.Volumes {
		if v.Key != "" && !slices.Contains(arns, v.Key) {
			arns = append(arns, v.Key)
		}
	}
	owners := make([]Owner, len(arns))
	d.each(len(arns), func(i int) {
		owners[i], _ = ask(d, "kms.DescribeKey "+arns[i], func(ctx context.Context) (Owner, error) {
			c, err := d.aws.KMS(ctx, d.place)
			if err != nil {
				return "", err
			}
			out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &arns[i]})
			if err != nil || out.KeyMetadata == nil {
				return "", err
			}
			return Owner(out.KeyMetadata.KeyManager), nil
		})
	})
	for i, arn := range arns {
		if owners[i] != "" {
			if w.Keys == nil {
				w.Keys = map[string]Owner{}
			}
			w.Keys[arn] = owners[i]
		}
	}
}

// profile asks for the instance profile, its role and who else holds the role.
func (d *describer) profile(w *World) {
	found, err := ask(d, "ec2.DescribeIamInstanceProfileAssociations", func(ctx context.Context) (*Profile, error) { return d.association(ctx) })
	if err != nil || found == nil {
		return
	}
	p := *found
	w.Profile = &p
	role, err := ask(d, "iam.GetInstanceProfile", func(ctx context.Context) (Profile, error) {
		c, err := d.aws.IAM(ctx, d.place)
		if err != nil {
			return Profile{}, err
		}
		out, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &p.Name})
		if err != nil || out.InstanceProfile == nil || len(out.InstanceProfile.Roles) == 0 {
			return Profile{}, err
		}
		r := out.InstanceProfile.Roles[0]
		return Profile{Role: str(r.RoleName), RoleID: str(r.RoleId), RoleARN: str(r.Arn)}, nil
	})
	if err != nil || role.Role == "" {
		return
	}
	w.Profile.Role, w.Profile.RoleID, w.Profile.RoleARN = role.Role, role.RoleID, role.RoleARN
	profiles, err := ask(d, "iam.ListInstanceProfilesForRole", func(ctx context.Context) ([]string, error) { return d.profilesOf(ctx, role.Role) })
	if err != nil || len(profiles) == 0 {
		return
	}
	w.Profile.Others, _ = ask(d, "ec2.DescribeIamInstanceProfileAssociations of the role", func(ctx context.Context) ([]string, error) { return d.holders(ctx, profiles) })
}

// association returns the profile that the instance holds, or nil.
func (d *describer) association(ctx context.Context) (*Profile, error) {
	c, err := d.aws.EC2(ctx, d.place)
	if err != nil {
		return nil, err
	}
	return currentProfile(ctx, c, d.id)
}

func (d *describer) profilesOf(ctx context.Context, role string) ([]string, error) {
	c, err := d.aws.IAM(ctx, d.place)
	if err != nil {
		return nil, err
	}
	var out []string
	in := &iam.ListInstanceProfilesForRoleInput{RoleName: &role}
	for {
		page, err := c.ListInstanceProfilesForRole(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range page.InstanceProfiles {
			out = append(out, str(p.Arn))
		}
		if !page.IsTruncated || str(page.Marker) == "" {
			return out, nil
		}
		in.Marker = page.Marker
	}
}

// holders are the other instances with one of the profiles.
func (d *describer) holders(ctx context.Context, profiles []string) ([]string, error) {
	c, err := d.aws.EC2(ctx, d.place)
	if err != nil {
		return nil, err
	}
	var out []string
	in := &ec2.DescribeIamInstanceProfileAssociationsInput{}
	for {
		page, err := c.DescribeIamInstanceProfileAssociations(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, a := range page.IamInstanceProfileAssociations {
			if id := str(a.InstanceId); id != d.id && a.IamInstanceProfile != nil && slices.Contains(profiles, str(a.IamInstanceProfile.Arn)) && a.State != types.IamInstanceProfileAssociationStateDisassociated {
				out = append(out, id)
			}
		}
		if str(page.NextToken) == "" {
			slices.Sort(out)
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// scaling asks for the Auto Scaling group.
func (d *describer) scaling(w *World) {
	name, err := ask(d, "autoscaling.DescribeAutoScalingInstances", func(ctx context.Context) (string, error) {
		c, err := d.aws.AutoScaling(ctx, d.place)
		if err != nil {
			return "", err
		}
		out, err := c.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{d.id}})
		if err != nil {
			return "", err
		}
		for _, i := range out.AutoScalingInstances {
			if str(i.InstanceId) == d.id {
				return str(i.AutoScalingGroupName), nil
			}
		}
		return "", nil
	})
	if err != nil || name == "" {
		return
	}
	s, err := ask(d, "autoscaling.DescribeAutoScalingGroups", func(ctx context.Context) (*Scaling, error) {
		c, err := d.aws.AutoScaling(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return readGroup(ctx, c, name, d.id)
	})
	if err == nil && s != nil {
		w.Scaling = s
	}
}

// agent asks what Systems Manager knows of the instance.
func (d *describer) agent(w *World) {
	d.side(func() {
		info, err := ask(d, "ssm.DescribeInstanceInformation", func(ctx context.Context) (Agent, error) {
			c, err := d.aws.SSM(ctx, d.place)
			if err != nil {
				return Agent{}, err
			}
			out, err := c.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{Filters: []ssmtypes.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: []string{d.id}}}})
			if err != nil || len(out.InstanceInformationList) == 0 {
				return Agent{}, err
			}
			i := out.InstanceInformationList[0]
			return Agent{Ping: string(i.PingStatus), Version: str(i.AgentVersion), Platform: string(i.PlatformType)}, nil
		})
		if err == nil {
			w.Agent.Ping, w.Agent.Version, w.Agent.Platform = info.Ping, info.Version, info.Platform
		}
	}, func() {
		list, err := ask(d, "ssm.DescribeSessions", func(ctx context.Context) ([]string, error) {
			c, err := d.aws.SSM(ctx, d.place)
			if err != nil {
				return nil, err
			}
			return openSessions(ctx, c, d.id)
		})
		if err == nil {
			w.Agent.Sessions = list
		}
	})
}
