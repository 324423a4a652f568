package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Attributes that protect the instance.
const (
	attrTermination = "termination"
	attrStop        = "stop"
	attrShutdown    = "shutdown"
)

type attributeParams struct {
	Instance  string `json:"instance"`
	Attribute string `json:"attribute"`
}

// attribute is one attribute of the instance; one is changed a call.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html
func attribute(x *respond.Exec, p attributeParams) kit.Setting[string] {
	return kit.Setting[string]{
		What: "the attribute " + p.Attribute + " of " + p.Instance,
		Look: func(ctx context.Context) (string, error) {
			c, err := x.AWS.EC2(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return "", err
			}
			return readAttribute(ctx, c, p)
		},
		Put: func(ctx context.Context, v string) error {
			c, err := x.AWS.EC2(ctx, x.Place())
			if err != nil {
				return err
			}
			_, err = c.ModifyInstanceAttribute(ctx, attributeInput(p, v))
			return err
		},
		Same: func(a, b string) bool { return a == b },
	}
}

// attributeNames are the names that AWS has for our attributes.
func attributeNames() map[string]types.InstanceAttributeName {
	return map[string]types.InstanceAttributeName{attrTermination: types.InstanceAttributeNameDisableApiTermination, attrStop: types.InstanceAttributeNameDisableApiStop,
		attrShutdown: types.InstanceAttributeNameInstanceInitiatedShutdownBehavior}
}

func readAttribute(ctx context.Context, c awscalls.EC2, p attributeParams) (string, error) {
	out, err := c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &p.Instance, Attribute: attributeNames()[p.Attribute]})
	if err != nil {
		return "", err
	}
	flag := func(v *types.AttributeBooleanValue) string { return fmt.Sprint(v != nil && aws.ToBool(v.Value)) }
	switch p.Attribute {
	case attrTermination:
		return flag(out.DisableApiTermination), nil
	case attrStop:
		return flag(out.DisableApiStop), nil
	}
	if out.InstanceInitiatedShutdownBehavior == nil {
		return "stop", nil
	}
	return str(out.InstanceInitiatedShutdownBehavior.Value), nil
}

func attributeInput(p attributeParams, v string) *ec2.ModifyInstanceAttributeInput {
	in := &ec2.ModifyInstanceAttributeInput{InstanceId: &p.Instance}
	flag := &types.AttributeBooleanValue{Value: aws.Bool(v == "true")}
	switch p.Attribute {
	case attrTermination:
		in.DisableApiTermination = flag
	case attrStop:
		in.DisableApiStop = flag
	default:
		in.InstanceInitiatedShutdownBehavior = &types.AttributeValue{Value: &v}
	}
	return in
}

func protectInstance(x *respond.Exec) (playbook.Outcome, error) {
	var p attributeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	want := "true"
	if p.Attribute == attrShutdown {
		want = "stop"
	}
	changed, err := kit.Set(x, attribute(x, p), func(string) (string, error) { return want, nil })
	return set(changed, err)
}

// set is the outcome of a setting.
func set(changed bool, err error) (playbook.Outcome, error) {
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case !changed:
		return done("it was so before; undo leaves it")
	}
	return playbook.Outcome{}, nil
}

func restoreAttribute(x *respond.Exec) (playbook.Outcome, error) {
	var b kit.Back[attributeParams, string]
	if err := x.Params(&b); err != nil {
		return playbook.Outcome{}, err
	}
	return orGone(kit.Restore(x, attribute(x, b.Of), b.Before, b.After))
}

// orGone makes an outcome of the error that what was to be restored is gone.
func orGone(out playbook.Outcome, err error) (playbook.Outcome, error) {
	if respond.Gone(err) {
		return skipped("it does not exist any more")
	}
	return out, err
}

type volumeParams struct {
	Instance string `json:"instance"`
	Volume   string `json:"volume"`
	Device   string `json:"device"`
}

// volumeFlag is DeleteOnTermination of one volume of the instance. It reads
// "gone" when the volume is attached no more.
func volumeFlag(x *respond.Exec, p volumeParams) kit.Setting[string] {
	return kit.Setting[string]{
		What: "DeleteOnTermination of " + p.Volume,
		Look: func(ctx context.Context) (string, error) {
			c, err := x.AWS.EC2(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return "", err
			}
			out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{p.Instance}})
			if err != nil {
				return "", err
			}
			for _, r := range out.Reservations {
				for _, i := range r.Instances {
					for _, m := range i.BlockDeviceMappings {
						if m.Ebs != nil && str(m.Ebs.VolumeId) == p.Volume && str(m.DeviceName) == p.Device {
							return fmt.Sprint(aws.ToBool(m.Ebs.DeleteOnTermination)), nil
						}
					}
				}
			}
			return "gone", nil
		},
		Put: func(ctx context.Context, v string) error {
			if v == "gone" {
				return nil
			}
			c, err := x.AWS.EC2(ctx, x.Place())
			if err != nil {
				return err
			}
			_, err = c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &p.Instance, BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{
				{DeviceName: &p.Device, Ebs: &types.EbsInstanceBlockDeviceSpecification{VolumeId: &p.Volume, DeleteOnTermination: aws.Bool(v == "true")}}}})
			return err
		},
		Same: func(a, b string) bool { return a == b },
	}
}

// keep is what a flag that deletes with the instance becomes.
func keep(before string) (string, error) {
	if before == "gone" {
		return before, nil
	}
	return "false", nil
}

func keepVolume(x *respond.Exec) (playbook.Outcome, error) {
	var p volumeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	return set(kit.Set(x, volumeFlag(x, p), keep))
}

func restoreVolume(x *respond.Exec) (playbook.Outcome, error) {
	var b kit.Back[volumeParams, string]
	if err := x.Params(&b); err != nil {
		return playbook.Outcome{}, err
	}
	return unlessDetached(x, volumeFlag(x, b.Of), b.Before, b.After)
}

// unlessDetached restores a flag of an attachment, while there is one.
func unlessDetached(x *respond.Exec, s kit.Setting[string], before, after string) (playbook.Outcome, error) {
	var now string
	err := x.Look(func(ctx context.Context) (err error) {
		now, err = s.Look(ctx)
		return err
	})
	switch {
	case respond.Gone(err) || err == nil && now == "gone":
		return skipped("it is attached no more")
	case err != nil:
		return playbook.Outcome{}, err
	}
	return orGone(kit.Restore(x, s, before, after))
}

type keepParams struct {
	Interface string `json:"interface"`
}

// interfaceFlag is DeleteOnTermination of one interface: it keeps its addresses
// for attribution.
func interfaceFlag(x *respond.Exec, p keepParams) kit.Setting[string] {
	return kit.Setting[string]{
		What: "DeleteOnTermination of " + p.Interface,
		Look: func(ctx context.Context) (string, error) {
			n, err := lookAt(ctx, x, p.Interface)
			if err != nil || n.Attachment == "" {
				return "gone", err
			}
			return fmt.Sprint(n.DeleteOnTermination), nil
		},
		Put: func(ctx context.Context, v string) error {
			n, err := lookAt(ctx, x, p.Interface)
			if err != nil || n.Attachment == "" || v == "gone" {
				return err
			}
			c, err := x.AWS.EC2(ctx, x.Place())
			if err != nil {
				return err
			}
			_, err = c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &p.Interface,
				Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: &n.Attachment, DeleteOnTermination: aws.Bool(v == "true")}})
			return err
		},
		Same: func(a, b string) bool { return a == b },
	}
}

// lookAt describes an interface, as the reader.
func lookAt(ctx context.Context, x *respond.Exec, id string) (Interface, error) {
	c, err := x.AWS.EC2(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
	if err != nil {
		return Interface{}, err
	}
	return oneInterface(ctx, c, id)
}

func keepInterface(x *respond.Exec) (playbook.Outcome, error) {
	var p keepParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	return set(kit.Set(x, interfaceFlag(x, p), keep))
}

func restoreInterface(x *respond.Exec) (playbook.Outcome, error) {
	var b kit.Back[keepParams, string]
	if err := x.Params(&b); err != nil {
		return playbook.Outcome{}, err
	}
	return unlessDetached(x, interfaceFlag(x, b.Of), b.Before, b.After)
}

// mark tags the instance, its interfaces and volumes. Nothing waits for it.
func mark(x *respond.Exec) (playbook.Outcome, error) {
	var p markParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	want := x.Tags(time.Time{})
	want[respond.TagStatus] = statusBegun
	before, err := respond.Once(x, respond.SavedBefore, func() (map[string]map[string]string, error) { return ourTags(x, p.Resources) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(respond.SavedAfter, want); err != nil {
		return playbook.Outcome{}, err
	}
	var there []string
	for _, id := range p.Resources {
		if _, ok := before[id]; ok {
			there = append(there, id)
		}
	}
	if len(there) == 0 {
		return skipped("nothing of it exists any more")
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: there, Tags: tagList(want)})
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(respond.Count(len(there), "resource carries", "resources carry") + " the incident")
}

type markParams struct {
	Resources []string `json:"resources"`
}

// ourTags are the tags of ours that resources carry now; one that does not exist
// is left out.
func ourTags(x *respond.Exec, ids []string) (map[string]map[string]string, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (map[string]map[string]string, error) {
		out := map[string]map[string]string{}
		keep := func(id string, tags []types.Tag) {
			out[id] = map[string]string{}
			for k, v := range tagsOf(tags) {
				if strings.HasPrefix(k, "guardroom:") {
					out[id][k] = v
				}
			}
		}
		var instances, interfaces, volumes []string
		for _, id := range ids {
			switch {
			case strings.HasPrefix(id, "i-"):
				instances = append(instances, id)
			case strings.HasPrefix(id, "eni-"):
				interfaces = append(interfaces, id)
			default:
				volumes = append(volumes, id)
			}
		}
		if err := taggedInstances(ctx, c, instances, keep); err != nil {
			return nil, err
		}
		if len(interfaces) > 0 {
			list, err := listInterfaces(ctx, c, filter("network-interface-id", interfaces...))
			if err != nil {
				return nil, err
			}
			for _, n := range list {
				keep(str(n.NetworkInterfaceId), n.TagSet)
			}
		}
		return out, taggedVolumes(ctx, c, volumes, keep)
	})
}

func taggedInstances(ctx context.Context, c awscalls.EC2, ids []string, keep func(string, []types.Tag)) error {
	if len(ids) == 0 {
		return nil
	}
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
	if respond.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			keep(str(i.InstanceId), i.Tags)
		}
	}
	return nil
}

func taggedVolumes(ctx context.Context, c awscalls.EC2, ids []string, keep func(string, []types.Tag)) error {
	if len(ids) == 0 {
		return nil
	}
	in := &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("volume-id", ids...)}}
	for {
		page, err := c.DescribeVolumes(ctx, in)
		if err != nil {
			return err
		}
		for _, v := range page.Volumes {
			keep(str(v.VolumeId), v.Tags)
		}
		if str(page.NextToken) == "" {
			return nil
		}
		in.NextToken = page.NextToken
	}
}
