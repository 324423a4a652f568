package forensics

import (
	"context"
	"fmt"
	"slices"
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

// makeVolume makes a working copy of a snapshot in the zone of the workstation
// and waits until it is available.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
func makeVolume(x *respond.Exec) (playbook.Outcome, error) {
	var p volumeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var m machine
	if err := x.Output(StepWorkstation, savedMachine, &m); err != nil {
		return playbook.Outcome{}, err
	}
	var snapshot, id string
	if err := x.Output(p.From, savedSnapshot, &snapshot); err != nil {
		return playbook.Outcome{}, err
	}
	if !x.Load(savedVolume, &id) {
		if err := x.Save(savedAsked, true); err != nil { // its answer may be lost
			return playbook.Outcome{}, err
		}
		out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.CreateVolumeOutput, error) {
			in := &ec2.CreateVolumeInput{SnapshotId: aws.String(snapshot), AvailabilityZone: aws.String(m.Zone), VolumeType: types.VolumeTypeGp3, Encrypted: aws.Bool(true),
				ClientToken:       aws.String(x.Token("volume")),
				TagSpecifications: tagged(x, types.ResourceTypeVolume, "evidence of "+p.Volume.ID, expires(x), map[string]string{"guardroom:source-volume": p.Volume.ID, "guardroom:source-snapshot": snapshot})}
			if p.Key != "" {
				in.KmsKeyId = aws.String(p.Key)
			}
			return c.CreateVolume(ctx, in)
		})
		if err != nil {
			return playbook.Outcome{}, respond.Explain(early(x, err, x.Started()), "make an evidence volume of "+snapshot, "the snapshot is safe")
		}
		id = aws.ToString(out.VolumeId)
		if err := x.Save(savedVolume, id); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := available(x, id); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Preserve(evidence.Item{ID: own(x, of(stageVolume, p.Volume.ID)), Kind: evidence.Volume, Title: "working copy of " + p.Volume.ID, Source: snapshot, Location: id, Account: x.Def.Account, Region: x.Def.Region,
		Device: p.Volume.Device, SizeBytes: p.Volume.GiB << 30, How: "EC2.CreateVolume", Trust: trustAWS, Key: p.Key, Working: true, WorkingUntil: expires(x),
		Gap: "it is a working copy; the snapshot is the original"}); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s holds %s in %s; blocks are loaded when they are first read, which is slow", id, snapshot, m.Zone)}, nil
}

func volumeNow(x *respond.Exec, id string) (types.Volume, error) {
	out, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeVolumesOutput, error) {
		return c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
	})
	if err != nil || len(out.Volumes) == 0 {
		return types.Volume{}, err
	}
	return out.Volumes[0], nil
}

// available waits until a volume can be attached, or is attached already.
func available(x *respond.Exec, id string) error {
	return x.Poll(func() (bool, error) {
		v, err := volumeNow(x, id)
		if respond.Gone(err) && x.Now().Sub(x.Started()) < settle {
			return false, nil // AWS does not show it yet
		}
		if err != nil {
			return false, err
		}
		switch v.State {
		case types.VolumeStateAvailable, types.VolumeStateInUse:
			return true, nil
		case types.VolumeStateError, types.VolumeStateDeleting, types.VolumeStateDeleted:
			return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("evidence volume %s is in state %s", id, v.State), "the snapshot is safe; is the key usable from account "+x.Def.Account+"? make a plan for what is missing"))
		}
		x.Progress(playbook.Progress{Message: "creating", ShortestSeconds: 5, LongestSeconds: 120})
		return false, nil
	})
}

// deviceNames are those that AWS recommends for EBS volumes, and then those that
// it allows besides: types there are take more than eleven. They are hints: a
// Nitro instance shows the volume by its id.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
var deviceNames = slices.Concat(lettered("/dev/sd", 'f', 'p'), lettered("/dev/sd", 'b', 'e'), lettered("/dev/xvdb", 'a', 'z'))

func lettered(prefix string, from, to rune) []string {
	var out []string
	for c := from; c <= to; c++ {
		out = append(out, prefix+string(c))
	}
	return out
}

// stuck is how long an attachment may take before a person should look.
const stuck = 5 * time.Minute

// attach attaches a working copy to the workstation at a free name, waits until
// it is attached, and keeps it from being deleted with the workstation.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
func attach(x *respond.Exec) (playbook.Outcome, error) {
	var p volumeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var m machine
	var id string
	if err := x.Output(StepWorkstation, savedMachine, &m); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Output(of(stageVolume, p.Volume.ID), savedVolume, &id); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(savedVolume, id); err != nil {
		return playbook.Outcome{}, err
	}
	at, err := attachment(x, id, m.ID)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if at.State == "" || at.State == types.VolumeAttachmentStateDetached {
		if err := attachAt(x, p, m, id); err != nil {
			return playbook.Outcome{}, err
		}
	}
	device, err := awaitAttached(x, id, m.ID)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(savedDevice, device); err != nil {
		return playbook.Outcome{}, err
	}
	if err := keepOnTermination(x, m.ID, id, device); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Custody("attached", own(x, of(stageVolume, p.Volume.ID)), id, m.ID, "for examination, at "+device); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s is attached to %s as %s; on the workstation it is %s", id, m.ID, device, byID(id))}, nil
}

// byID is the name by which a Nitro instance shows a volume, whatever its device.
func byID(volume string) string {
	name := []rune(volume)
	name = slices.DeleteFunc(name, func(r rune) bool { return r == '-' })
	return "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_" + string(name)
}

// attachment is how a volume is attached to the workstation. Attached elsewhere
// is an error.
func attachment(x *respond.Exec, volume, instance string) (types.VolumeAttachment, error) {
	v, err := volumeNow(x, volume)
	if err != nil {
		return types.VolumeAttachment{}, early(x, err, x.Started())
	}
	for _, a := range v.Attachments {
		if aws.ToString(a.InstanceId) == instance {
			return a, nil
		}
		if a.State != types.VolumeAttachmentStateDetached {
			return a, playbook.Permanent(fault.New(fault.Conflict, fmt.Sprintf("evidence volume %s is attached to %s and not to our workstation", volume, aws.ToString(a.InstanceId)), "somebody works with it: ask them, or look in CloudTrail"))
		}
	}
	return types.VolumeAttachment{}, nil
}

// attachAt asks for the attachment, at the first name of this volume that is free.
func attachAt(x *respond.Exec, p volumeParams, m machine, id string) error {
	taken, err := devicesOf(x, m.ID)
	if err != nil {
		return early(x, err, x.Started())
	}
	var last error
	for n := p.Index; n < len(deviceNames); n += max(1, p.Of) {
		device := deviceNames[n]
		if slices.Contains(taken, device) {
			continue
		}
		_, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.AttachVolumeOutput, error) {
			return c.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: aws.String(id), InstanceId: aws.String(m.ID), Device: aws.String(device)})
		})
		switch {
		case err == nil:
			return nil
		case respond.Is(err, "VolumeInUse"):
			return nil // by us, or the wait says by whom
		case respond.Is(err, "InvalidParameterValue", "InvalidDevice*"):
			last = err // the name is taken after all
			continue
		}
		return respond.Explain(err, "attach "+id+" to "+m.ID, "the volume is there and can be attached by hand")
	}
	if last != nil {
		return respond.Explain(last, "attach "+id+" to "+m.ID, "the volume is there and can be attached by hand")
	}
	return playbook.Permanent(fault.New(fault.Conflict, "no device name is free on "+m.ID+" for "+id, "attach it by hand when another one is done with"))
}

// devicesOf are the device names in use on the workstation.
func devicesOf(x *respond.Exec, instance string) ([]string, error) {
	out, err := look(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeInstancesOutput, error) {
		return c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}})
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			for _, b := range i.BlockDeviceMappings {
				names = append(names, aws.ToString(b.DeviceName))
			}
		}
	}
	return names, nil
}

func awaitAttached(x *respond.Exec, volume, instance string) (device string, err error) {
	err = x.Poll(func() (bool, error) {
		a, err := attachment(x, volume, instance)
		if err != nil {
			return false, err
		}
		device = aws.ToString(a.Device)
		if a.State == types.VolumeAttachmentStateAttached {
			return true, nil
		}
		if x.Now().Sub(x.Started()) >= stuck {
			return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("evidence volume %s has been %s for %s", volume, stateWord(a.State), stuck), "detach it by force, or take another workstation"))
		}
		x.Progress(playbook.Progress{Message: stateWord(a.State), ShortestSeconds: 5, LongestSeconds: 60})
		return false, nil
	})
	return device, err
}

func stateWord(s types.VolumeAttachmentState) string {
	if s == "" {
		return "not shown as attached"
	}
	return string(s)
}

// keepOnTermination sees to it that the volume outlives the workstation.
func keepOnTermination(x *respond.Exec, instance, volume, device string) error {
	a, err := attachment(x, volume, instance)
	if err != nil {
		return err
	}
	if a.DeleteOnTermination != nil && !*a.DeleteOnTermination {
		return nil
	}
	_, err = change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.ModifyInstanceAttributeOutput, error) {
		return c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: aws.String(instance), BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{
			{DeviceName: aws.String(device), Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)}}}})
	})
	return err
}
