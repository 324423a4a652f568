package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *scope) volumeFilters() filters[*volume] {
	attached := func(f func(*attachment) string) func(*volume) []string {
		return func(v *volume) []string {
			var out []string
			for _, a := range v.Attachments {
				out = append(out, f(a))
			}
			return out
		}
	}
	return filters[*volume]{
		"volume-id":                        func(v *volume) []string { return one(v.ID) },
		"status":                           func(v *volume) []string { return one(v.State) },
		"snapshot-id":                      func(v *volume) []string { return one(v.Snapshot) },
		"availability-zone":                func(v *volume) []string { return one(v.AZ) },
		"encrypted":                        func(v *volume) []string { return yes(v.Encrypted) },
		"volume-type":                      func(v *volume) []string { return one(v.Type) },
		"attachment.instance-id":           attached(func(a *attachment) string { return a.Instance }),
		"attachment.device":                attached(func(a *attachment) string { return a.Device }),
		"attachment.status":                attached(func(a *attachment) string { return a.State }),
		"attachment.delete-on-termination": attached(func(a *attachment) string { return yes(a.Delete)[0] }),
		"multi-attach-enabled":             func(v *volume) []string { return yes(v.Multi) },
	}
}

// DescribeVolumes implements awscalls.EC2.
func (c *ec2Client) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput, _ ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	return ec2Do(ctx, c, "DescribeVolumes", false, in, func(s *scope) (*ec2.DescribeVolumesOutput, error) {
		all, err := list(s, s.Volumes, kindVolume, in.VolumeIds)
		if err != nil {
			return nil, err
		}
		if all, err = s.volumeFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.VolumeIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeVolumesOutput{NextToken: next}
		for _, v := range all {
			out.Volumes = append(out.Volumes, s.showVolume(v))
		}
		return out, nil
	})
}

func (s *scope) showVolume(v *volume) types.Volume {
	out := types.Volume{VolumeId: aws.String(v.ID), AvailabilityZone: aws.String(v.AZ), Size: aws.Int32(v.Size), VolumeType: types.VolumeType(v.Type),
		Encrypted: aws.Bool(v.Encrypted), CreateTime: aws.Time(v.Made), State: types.VolumeState(v.State), SnapshotId: aws.String(v.Snapshot),
		MultiAttachEnabled: aws.Bool(v.Multi), Tags: tagList(v.Tags), Operator: showOperator(v.Operator)}
	if v.Key != "" {
		out.KmsKeyId = aws.String(v.Key)
	}
	for _, a := range v.Attachments {
		out.Attachments = append(out.Attachments, types.VolumeAttachment{VolumeId: aws.String(v.ID), InstanceId: aws.String(a.Instance), Device: aws.String(a.Device),
			State: types.VolumeAttachmentState(a.State), AttachTime: aws.Time(a.At), DeleteOnTermination: aws.Bool(a.Delete)})
	}
	return out
}

// zoned reports whether a zone is one of this region: us-east-1a.
func (s *scope) zoned(az string) bool {
	letter, ok := strings.CutPrefix(az, s.r.Name)
	return ok && len(letter) == 1 && letter >= "a" && letter <= "f"
}

// CreateVolume implements awscalls.EC2. A key that cannot be used is noticed only
// while the volume is made, which then ends in error.
func (c *ec2Client) CreateVolume(ctx context.Context, in *ec2.CreateVolumeInput, _ ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error) {
	return ec2Do(ctx, c, "CreateVolume", true, in, func(s *scope) (*ec2.CreateVolumeOutput, error) {
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeVolume); err != nil {
			return nil, err
		}
		t, err := tagsFor(in.TagSpecifications, types.ResourceTypeVolume)
		if err != nil {
			return nil, err
		}
		used, err := s.once("CreateVolume", in.ClientToken, in)
		if err != nil {
			return nil, err
		}
		for _, id := range used.IDs {
			if v := s.Volumes[id]; v != nil {
				return createdVolume(s.showVolume(v)), nil
			}
		}
		v, err := s.newVolume(in)
		if err != nil {
			return nil, err
		}
		v.made = s.born("CreateVolume", "vol-", t)
		v.Content = orText(v.Content, v.ID)
		keep(&s.Volumes, v)
		used.IDs = []string{v.ID}
		return createdVolume(s.showVolume(v)), nil
	})
}

func createdVolume(v types.Volume) *ec2.CreateVolumeOutput {
	return &ec2.CreateVolumeOutput{VolumeId: v.VolumeId, AvailabilityZone: v.AvailabilityZone, Size: v.Size, VolumeType: v.VolumeType, Encrypted: v.Encrypted,
		KmsKeyId: v.KmsKeyId, CreateTime: v.CreateTime, State: v.State, SnapshotId: v.SnapshotId, Tags: v.Tags, MultiAttachEnabled: v.MultiAttachEnabled}
}

func (s *scope) newVolume(in *ec2.CreateVolumeInput) (*volume, error) {
	if in.AvailabilityZone == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter zone")
	}
	if !s.zoned(*in.AvailabilityZone) {
		return nil, fail("InvalidZone.NotFound", "The zone '%s' does not exist.", *in.AvailabilityZone)
	}
	v := &volume{AZ: *in.AvailabilityZone, Size: aws.ToInt32(in.Size), Type: orText(string(in.VolumeType), "gp2"), State: "creating",
		Until: s.now.Add(s.w.times().CreateVolume), Multi: aws.ToBool(in.MultiAttachEnabled)}
	if v.Multi && v.Type != "io1" && v.Type != "io2" {
		return nil, fail("InvalidParameterCombination", "Multi-Attach is not supported for volume type %s", v.Type)
	}
	encrypted, key := aws.ToBool(in.Encrypted), aws.ToString(in.KmsKeyId)
	if key != "" && !encrypted {
		return nil, fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if aws.ToString(in.SnapshotId) != "" {
		from, err := s.snapshot(in.SnapshotId)
		if err != nil {
			return nil, err
		}
		if from.state(s.now) != "completed" {
			return nil, fail("IncorrectState", "Snapshot '%s' is not in the 'completed' state", from.ID)
		}
		if v.Size == 0 {
			v.Size = from.Size
		}
		if v.Size < from.Size {
			return nil, fail("InvalidParameterValue", "The volume size is smaller than the snapshot's: %d", from.Size)
		}
		v.Snapshot, v.Content, v.Codes = from.ID, from.Content, from.Codes
		if from.Encrypted {
			encrypted = true
			if key == "" && from.Owner == s.a.ID {
				key = from.Key
			}
			v.Broken = s.keyProblem(from.Key)
		}
	}
	if v.Size < 1 {
		return nil, fail("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if !encrypted {
		return v, nil
	}
	v.Encrypted, v.Key = true, s.keyARN(key)
	v.Broken = orText(v.Broken, s.keyProblem(v.Key))
	return v, nil
}

// ebsKey is the key that AWS manages for EBS.
func (s *scope) ebsKey() *KMSKey {
	if k, err := s.w.findKey(s.a.ID, s.r.Name, "alias/aws/ebs"); err == nil {
		return k
	}
	e := Editor{w: s.w}
	return e.AddKMSKey(s.a.ID, s.r.Name, KMSKey{Alias: "alias/aws/ebs", AWSManaged: true})
}

// keyARN is the ARN of a key that is named somehow; empty is AWS's own. What is
// not known stays as it is.
func (s *scope) keyARN(id string) string {
	if id == "" {
		return s.ebsKey().ARN
	}
	if k, err := s.w.findKey(s.a.ID, s.r.Name, id); err == nil {
		return k.ARN
	}
	return id
}

// keyProblem says why this account cannot use a key; empty: it can.
func (s *scope) keyProblem(id string) string {
	const message = "Given key ID is not accessible"
	k, err := s.w.findKey(s.a.ID, s.r.Name, id)
	if err != nil || !k.usable() {
		return message
	}
	if !k.lets(s.a.ID, "Decrypt") && !k.lets(s.a.ID, "GenerateDataKeyWithoutPlaintext") {
		return message
	}
	return ""
}

// AttachVolume implements awscalls.EC2.
func (c *ec2Client) AttachVolume(ctx context.Context, in *ec2.AttachVolumeInput, _ ...func(*ec2.Options)) (*ec2.AttachVolumeOutput, error) {
	return ec2Do(ctx, c, "AttachVolume", true, in, func(s *scope) (*ec2.AttachVolumeOutput, error) {
		v, err := get(s, s.Volumes, kindVolume, in.VolumeId)
		if err != nil {
			return nil, err
		}
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		device := aws.ToString(in.Device)
		if err := s.mayAttach(v, i, device); err != nil {
			return nil, err
		}
		a := &attachment{Instance: i.ID, Device: device, State: "attaching", At: s.now, Until: s.now.Add(s.w.times().AttachVolume)}
		v.State, v.Attachments = "in-use", append(v.Attachments, a)
		return &ec2.AttachVolumeOutput{VolumeId: in.VolumeId, InstanceId: in.InstanceId, Device: in.Device, State: types.VolumeAttachmentStateAttaching,
			AttachTime: aws.Time(s.now), DeleteOnTermination: aws.Bool(false)}, nil
	})
}

func (s *scope) mayAttach(v *volume, i *instance, device string) error {
	if device == "" {
		return fail("MissingParameter", "The request must contain the parameter device")
	}
	if !strings.HasPrefix(device, "/dev/") && !strings.HasPrefix(device, "xvd") {
		return fail("InvalidParameterValue", "Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", device, device)
	}
	if i.State != "running" && i.State != "stopped" {
		return fail("IncorrectState", "Instance '%s' is not 'running'.", i.ID)
	}
	if v.State == "in-use" && !v.Multi || slices.ContainsFunc(v.Attachments, func(a *attachment) bool { return a.Instance == i.ID }) {
		return fail("VolumeInUse", "%s is already attached to an instance", v.ID)
	}
	if v.State != "available" && v.State != "in-use" {
		return fail("IncorrectState", "Volume '%s' is in the '%s' state", v.ID, v.State)
	}
	if v.AZ != i.AZ {
		return fail("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.ID, i.ID)
	}
	if len(v.Codes) > 0 && i.State != "stopped" {
		return fail("OperationNotPermitted", "The volume '%s' has a product code and can be attached only to a stopped instance", v.ID)
	}
	mounts := s.mounts(i.ID)
	if slices.ContainsFunc(mounts, func(m mounted) bool { return m.at.Device == device }) {
		return fail("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
	}
	if len(mounts) >= s.attachments(i) {
		return fail("AttachmentLimitExceeded", "You have exceeded the attachment limit: %d volumes on instance '%s'", len(mounts), i.ID)
	}
	return nil
}

// attachments is how many volumes an instance takes: what its type says, less its
// interfaces where the two share.
func (s *scope) attachments(i *instance) int {
	if most := s.w.quotas().Attachments; most > 0 {
		return most
	}
	t := typeOf(i.Type)
	most := int(t.Attachments)
	if !t.Xen && most == 28 {
		most -= len(s.enisOf(i.ID))
	}
	return most
}

// DetachVolume implements awscalls.EC2.
func (c *ec2Client) DetachVolume(ctx context.Context, in *ec2.DetachVolumeInput, _ ...func(*ec2.Options)) (*ec2.DetachVolumeOutput, error) {
	return ec2Do(ctx, c, "DetachVolume", true, in, func(s *scope) (*ec2.DetachVolumeOutput, error) {
		v, err := get(s, s.Volumes, kindVolume, in.VolumeId)
		if err != nil {
			return nil, err
		}
		if len(v.Attachments) == 0 {
			return nil, fail("IncorrectState", "Volume '%s' is in the 'available' state.", v.ID)
		}
		if v.Multi && in.InstanceId == nil {
			return nil, fail("MissingParameter", "The request must contain the parameter instanceId: the volume is multi-attach enabled")
		}
		k := slices.IndexFunc(v.Attachments, func(a *attachment) bool {
			return (in.InstanceId == nil || a.Instance == *in.InstanceId) && (in.Device == nil || a.Device == *in.Device)
		})
		if k < 0 {
			return nil, fail("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'", v.ID, aws.ToString(in.InstanceId), aws.ToString(in.Device))
		}
		a := v.Attachments[k]
		if i := s.Instances[a.Instance]; i != nil && a.Device == i.RootDevice && i.State == "running" {
			return nil, fail("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.ID, i.ID)
		}
		if a.State == "detaching" {
			return nil, fail("IncorrectState", "Volume '%s' is detaching already", v.ID)
		}
		a.State, a.Until = "detaching", s.now.Add(s.w.times().DetachVolume)
		return &ec2.DetachVolumeOutput{VolumeId: in.VolumeId, InstanceId: aws.String(a.Instance), Device: aws.String(a.Device), State: types.VolumeAttachmentStateDetaching, AttachTime: aws.Time(a.At)}, nil
	})
}

// DeleteVolume implements awscalls.EC2.
func (c *ec2Client) DeleteVolume(ctx context.Context, in *ec2.DeleteVolumeInput, _ ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error) {
	return ec2Do(ctx, c, "DeleteVolume", true, in, func(s *scope) (*ec2.DeleteVolumeOutput, error) {
		v, err := get(s, s.Volumes, kindVolume, in.VolumeId)
		if err != nil {
			return nil, err
		}
		if len(v.Attachments) > 0 {
			return nil, fail("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.Attachments[0].Instance)
		}
		if v.State == "creating" {
			return nil, fail("IncorrectState", "Volume '%s' is in the 'creating' state", v.ID)
		}
		delete(s.Volumes, v.ID)
		return &ec2.DeleteVolumeOutput{}, nil
	})
}
