package cloudtest

import (
	"crypto/sha256"
	"encoding/base64"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func volumeCases() []Case {
	return []Case{
		{"a volume from a snapshot", volumeFromSnapshot},
		{"a volume is attached", attachVolume},
		{"blocks of a snapshot", snapshotBlocks},
	}
}

func volumeFromSnapshot(w *World) {
	ctx, c := w.Context(), w.EC2()
	h := w.host(Disk{GiB: 3})
	snapshot := w.completed(h.Volumes[1])
	in := func() *ec2.CreateVolumeInput {
		return &ec2.CreateVolumeInput{SnapshotId: s(snapshot), AvailabilityZone: s(Region + "b"), VolumeType: types.VolumeTypeGp3, ClientToken: s("gr-1"), TagSpecifications: tagged(types.ResourceTypeVolume, "guardroom:run", "r1")}
	}
	first := got[*ec2.CreateVolumeOutput](w, "make")(c.CreateVolume(ctx, in()))
	id := str(first.VolumeId)
	w.Is("creating at first", string(first.State), "creating")
	w.Is("creating when described", string(w.volume(id).State), "creating")
	again := got[*ec2.CreateVolumeOutput](w, "make again")(c.CreateVolume(ctx, in()))
	w.Is("the same token, the same volume", str(again.VolumeId) == id, true)
	other := in()
	other.AvailabilityZone = s(Region + "a")
	_, err := c.CreateVolume(ctx, other)
	w.Code("the same token, another request", err, "IdempotentParameterMismatch")
	w.Until("an available volume", func() bool { return w.volume(id).State == types.VolumeStateAvailable })
	v := w.volume(id)
	w.Is("as large as the snapshot", aws.ToInt32(v.Size), 3)
	w.Is("from the snapshot", str(v.SnapshotId) == snapshot, true)
	w.Is("in its zone", str(v.AvailabilityZone), Region+"b")
	w.Is("tagged at birth", tagOf(v.Tags, "guardroom:run"), "r1")
	found := got[*ec2.DescribeVolumesOutput](w, "by tag")(c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("tag:guardroom:run", "r1")}}))
	w.Is("one of its tag", len(found.Volumes), 1)
	_, err = c.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: s("snap-0123456789abcdef0"), AvailabilityZone: s(Region + "b")})
	w.Code("from nothing", err, "InvalidSnapshot.NotFound")
	drop := func() error {
		_, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: s(id)})
		return err
	}
	w.Code("delete", drop(), "")
	w.Code("delete again", drop(), "InvalidVolume.NotFound")
}

func attachVolume(w *World) {
	ctx, c := w.Context(), w.EC2()
	h, other := w.host(Disk{GiB: 1}), w.host()
	snapshot := w.completed(h.Volumes[1])
	made := func(zone string) string {
		out := got[*ec2.CreateVolumeOutput](w, "make")(c.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: s(snapshot), AvailabilityZone: s(Region + zone)}))
		return str(out.VolumeId)
	}
	available := func(id string) {
		w.Until("an available volume", func() bool { return w.volume(id).State == types.VolumeStateAvailable })
	}
	attach := func(volume, instance, device string) error {
		_, err := c.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: s(volume), InstanceId: s(instance), Device: s(device)})
		return err
	}
	near, second, far := made("a"), made("a"), made("b")
	w.Code("before it is there", attach(near, h.ID, "/dev/sdp"), "IncorrectState")
	available(near)
	available(second)
	available(far)
	w.Code("from another zone", attach(far, h.ID, "/dev/sdp"), "InvalidVolume.ZoneMismatch")
	w.Code("to nothing", attach(near, "i-0123456789abcdef0", "/dev/sdp"), "InvalidInstanceID.NotFound")
	w.Code("attach", attach(near, h.ID, "/dev/sdp"), "")
	w.Is("attaching at first", string(w.volume(near).Attachments[0].State), "attaching")
	w.Is("in use", string(w.volume(near).State), "in-use")
	w.Until("an attached volume", func() bool { return w.volume(near).Attachments[0].State == types.VolumeAttachmentStateAttached })
	w.Is("to the instance", str(w.volume(near).Attachments[0].InstanceId) == h.ID, true)
	w.Is("as the device", str(w.volume(near).Attachments[0].Device), "/dev/sdp")
	w.Code("attach again", attach(near, h.ID, "/dev/sdp"), "VolumeInUse")
	w.Code("attach to another", attach(near, other.ID, "/dev/sdp"), "VolumeInUse")
	w.Code("a device that is taken", attach(second, h.ID, "/dev/sdp"), "InvalidParameterValue")
	_, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: s(near)})
	w.Code("delete what is in use", err, "VolumeInUse")
	detach := func() error {
		_, err := c.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: s(near), InstanceId: s(h.ID), Device: s("/dev/sdp")})
		return err
	}
	w.Code("detach", detach(), "")
	available(near)
	w.Is("nobody has it", len(w.volume(near).Attachments), 0)
	w.Code("detach again", detach(), "IncorrectState")
	_, err = c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: s(near)})
	w.Code("delete", err, "")
}

// blocks are the hashes of a snapshot's blocks, by index.
func (w *World) blocks(id string, account ...string) map[int32]string {
	w.Helper()
	c := use(w, w.aws.EBS, account...)
	out := map[int32]string{}
	in := &ebs.ListSnapshotBlocksInput{SnapshotId: s(id)}
	for {
		page := got[*ebs.ListSnapshotBlocksOutput](w, "blocks")(c.ListSnapshotBlocks(w.Context(), in))
		for _, b := range page.Blocks {
			block := got[*ebs.GetSnapshotBlockOutput](w, "a block")(c.GetSnapshotBlock(w.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: s(id), BlockIndex: b.BlockIndex, BlockToken: b.BlockToken}))
			data := got[[]byte](w, "a block")(io.ReadAll(block.BlockData))
			sum := sha256.Sum256(data)
			out[aws.ToInt32(b.BlockIndex)] = base64.StdEncoding.EncodeToString(sum[:])
			w.Is("the checksum of a block", str(block.Checksum), out[aws.ToInt32(b.BlockIndex)])
			w.Is("the algorithm of a checksum", string(block.ChecksumAlgorithm), "SHA256")
			w.Is("the length of a block", int(aws.ToInt32(block.DataLength)), len(data))
		}
		if str(page.NextToken) == "" {
			return out
		}
		in.NextToken = page.NextToken
	}
}

func snapshotBlocks(w *World) {
	ctx, c := w.Context(), use(w, w.aws.EBS)
	h := w.host(Disk{GiB: 2})
	id := w.completed(h.Volumes[1])
	list := got[*ebs.ListSnapshotBlocksOutput](w, "blocks")(c.ListSnapshotBlocks(ctx, &ebs.ListSnapshotBlocksInput{SnapshotId: s(id)}))
	w.Is("the size of a block", aws.ToInt32(list.BlockSize), 524288)
	w.Is("the size of the volume", aws.ToInt64(list.VolumeSize), 2)
	w.Is("there are blocks", len(list.Blocks) > 0, true)
	sorted := true
	for i := 1; i < len(list.Blocks); i++ {
		sorted = sorted && aws.ToInt32(list.Blocks[i-1].BlockIndex) < aws.ToInt32(list.Blocks[i].BlockIndex)
	}
	w.Is("in their order", sorted, true)
	first := w.blocks(id)
	copied := got[*ec2.CopySnapshotOutput](w, "copy")(w.EC2().CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: s(Region), SourceSnapshotId: s(id)}))
	_, err := c.ListSnapshotBlocks(ctx, &ebs.ListSnapshotBlocksInput{SnapshotId: copied.SnapshotId})
	w.Code("of what is pending", err, "ValidationException")
	w.Until("a completed copy", func() bool { return w.snapshot(str(copied.SnapshotId)).State == types.SnapshotStateCompleted })
	w.Is("a copy holds the same", w.blocks(str(copied.SnapshotId)), first)
	_, err = c.ListSnapshotBlocks(ctx, &ebs.ListSnapshotBlocksInput{SnapshotId: s("snap-0123456789abcdef0")})
	w.Code("of what is not there", err, "ResourceNotFoundException")
	_, err = c.GetSnapshotBlock(ctx, &ebs.GetSnapshotBlockInput{SnapshotId: s(id), BlockIndex: list.Blocks[0].BlockIndex, BlockToken: s("wrong")})
	w.Code("by a wrong token", err, "ValidationException")
}
