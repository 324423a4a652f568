package cloudtest

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func snapshotCases() []Case {
	return []Case{
		{"snapshots of all volumes", allSnapshots},
		{"locks of snapshots", snapshotLocks},
		{"shares of snapshots", snapshotShares},
		{"a snapshot is encrypted anew", rekey},
		{"another account pulls a snapshot", pull},
	}
}

func allSnapshots(w *World) {
	ctx, c := w.Context(), w.EC2()
	h := w.host(Disk{GiB: 2}, Disk{GiB: 3})
	out := got[*ec2.CreateSnapshotsOutput](w, "make")(c.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: s(h.ID)}, Description: s("INC-1"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: []types.Tag{{Key: s("guardroom:run"), Value: s("r1")}, {Key: s("guardroom:step"), Value: s("snapshot")}}}}}))
	var volumes, ids []string
	for _, x := range out.Snapshots {
		volumes, ids = append(volumes, str(x.VolumeId)), append(ids, str(x.SnapshotId))
		w.Is("pending at first", string(x.State), "pending")
		w.Is("its owner", str(x.OwnerId), w.Account)
	}
	slices.Sort(volumes)
	w.Is("one of each volume", slices.Equal(volumes, slices.Sorted(slices.Values(h.Volumes))), true)
	find := func(step string) []types.Snapshot {
		return got[*ec2.DescribeSnapshotsOutput](w, "by tag")(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:guardroom:run", "r1"), filter("tag:guardroom:step", step)}})).Snapshots
	}
	w.Is("found by tag", len(find("snapshot")), 3)
	w.Is("not found by another", len(find("other")), 0)
	for _, x := range find("snapshot") {
		w.Is("pending when described", string(x.State), "pending")
		w.Is("its description", str(x.Description), "INC-1")
		w.Is("not encrypted", aws.ToBool(x.Encrypted), false)
	}
	w.Until("completed snapshots", func() bool {
		all := got[*ec2.DescribeSnapshotsOutput](w, "by id")(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: ids}))
		return !slices.ContainsFunc(all.Snapshots, func(x types.Snapshot) bool { return x.State != types.SnapshotStateCompleted })
	})
	w.Is("the progress at the end", str(w.snapshot(ids[0]).Progress), "100%")
	older := got[*ec2.DescribeSnapshotsOutput](w, "by volume")(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("volume-id", h.Volumes[1])}}))
	w.Is("found by volume", len(older.Snapshots), 1)
	one := got[*ec2.CreateSnapshotOutput](w, "one")(c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: s(h.Volumes[1]), TagSpecifications: tagged(types.ResourceTypeSnapshot, "guardroom:run", "r2")}))
	w.Is("one alone is pending", string(one.State), "pending")
	w.Is("one alone has its size", aws.ToInt32(one.VolumeSize), 2)
	_, err := c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: s("vol-0123456789abcdef0")})
	w.Code("of no volume", err, "InvalidVolume.NotFound")
}

func snapshotLocks(w *World) {
	ctx, c := w.Context(), w.EC2()
	h := w.host()
	out := got[*ec2.CreateSnapshotOutput](w, "make")(c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: s(h.Volumes[0])}))
	id := str(out.SnapshotId)
	lock := func(in ec2.LockSnapshotInput) (types.LockState, error) {
		in.SnapshotId = s(id)
		out, err := c.LockSnapshot(ctx, &in)
		if err != nil {
			return "", err
		}
		return out.LockState, nil
	}
	locked := func() string {
		out := got[*ec2.DescribeLockedSnapshotsOutput](w, "locks")(c.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}}))
		if len(out.Snapshots) == 0 {
			return "none"
		}
		return string(out.Snapshots[0].LockState)
	}
	w.Is("born without", locked(), "none")
	_, err := lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(7), CoolOffPeriod: aws.Int32(1)})
	w.Code("governance with a cool-off", err, "InvalidParameterCombination")
	state, err := lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(7)})
	w.Code("while it is pending", err, "")
	w.Is("governance", string(state), "governance")
	w.Is("governance when described", locked(), "governance")
	_, err = lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(30)})
	w.Code("longer", err, "")
	shown := got[*ec2.DescribeLockedSnapshotsOutput](w, "locks")(c.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}}))
	w.Is("its days", aws.ToInt32(shown.Snapshots[0].LockDuration), 30)
	w.Is("its begin", shown.Snapshots[0].LockCreatedOn != nil, true)
	w.Is("no end while it is pending", shown.Snapshots[0].LockExpiresOn != nil || shown.Snapshots[0].LockDurationStartTime != nil, w.snapshot(id).State == types.SnapshotStateCompleted)
	w.Until("a completed one", func() bool { return w.snapshot(id).State == types.SnapshotStateCompleted })
	shown = got[*ec2.DescribeLockedSnapshotsOutput](w, "locks")(c.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}}))
	w.Is("its end, from completion on", shown.Snapshots[0].LockDurationStartTime != nil && aws.ToTime(shown.Snapshots[0].LockExpiresOn).Equal(shown.Snapshots[0].LockDurationStartTime.AddDate(0, 0, 30)), true)
	state, err = lock(ec2.LockSnapshotInput{LockMode: types.LockModeCompliance, LockDuration: aws.Int32(30), CoolOffPeriod: aws.Int32(1)})
	w.Code("compliance", err, "")
	w.Is("in its cool-off", string(state), "compliance-cooloff")
	w.Until("the end of the cool-off", func() bool { return locked() == "compliance" })
	_, err = lock(ec2.LockSnapshotInput{LockMode: types.LockModeCompliance, LockDuration: aws.Int32(60)})
	w.Code("longer in compliance", err, "")
	_, err = lock(ec2.LockSnapshotInput{LockMode: types.LockModeCompliance, LockDuration: aws.Int32(1)})
	w.Is("shorter in compliance is refused", err != nil, true)
	_, err = c.LockSnapshot(ctx, &ec2.LockSnapshotInput{SnapshotId: s("snap-0123456789abcdef0"), LockMode: types.LockModeGovernance, LockDuration: aws.Int32(1)})
	w.Code("of no snapshot", err, "InvalidSnapshot.NotFound")
}

func (w *World) permit(id string, m types.CreateVolumePermissionModifications) error {
	_, err := w.EC2().ModifySnapshotAttribute(w.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: s(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission, CreateVolumePermission: &m})
	return err
}

func (w *World) permitted(id string) []string {
	w.Helper()
	out := got[*ec2.DescribeSnapshotAttributeOutput](w, "shares")(w.EC2().DescribeSnapshotAttribute(w.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: s(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission}))
	list := []string{}
	for _, p := range out.CreateVolumePermissions {
		list = append(list, str(p.UserId)+string(p.Group))
	}
	slices.Sort(list)
	return list
}

func snapshotShares(w *World) {
	h := w.host(Disk{GiB: 1, Encrypted: true}, Disk{GiB: 1, Encrypted: true, Key: w.Key()})
	plain, managed, own := w.completed(h.Volumes[0]), w.completed(h.Volumes[1]), w.completed(h.Volumes[2])
	friend, everybody := types.CreateVolumePermission{UserId: s(w.Other())}, types.CreateVolumePermission{Group: types.PermissionGroupAll}
	add := func(p ...types.CreateVolumePermission) types.CreateVolumePermissionModifications {
		return types.CreateVolumePermissionModifications{Add: p}
	}
	remove := func(p ...types.CreateVolumePermission) types.CreateVolumePermissionModifications {
		return types.CreateVolumePermissionModifications{Remove: p}
	}
	w.Is("shared with nobody", w.permitted(plain), []string{})
	w.Code("share", w.permit(plain, add(friend)), "")
	w.Code("share again", w.permit(plain, add(friend)), "")
	w.Is("shared", w.permitted(plain), []string{w.Other()})
	w.Code("both directions in one call", w.permit(plain, types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{everybody}, Remove: []types.CreateVolumePermission{friend}}), "InvalidParameterCombination")
	w.Code("take it back", w.permit(plain, remove(friend)), "")
	w.Code("take it back again", w.permit(plain, remove(friend)), "")
	w.Is("shared with nobody again", w.permitted(plain), []string{})
	w.Is("encrypted", aws.ToBool(w.snapshot(own).Encrypted), true)
	w.Is("the key is named", str(w.snapshot(own).KmsKeyId) != "", true)
	w.Code("encrypted with our own key", w.permit(own, add(friend)), "")
	w.Code("encrypted, with everybody", w.permit(own, add(everybody)), "OperationNotPermitted")
	w.Code("encrypted with the key of AWS", w.permit(managed, add(friend)), "OperationNotPermitted")
	w.Is("that one is shared with nobody", w.permitted(managed), []string{})
}

func rekey(w *World) {
	ctx, c := w.Context(), w.EC2()
	h := w.host(Disk{GiB: 1, Encrypted: true})
	source, key := w.completed(h.Volumes[1]), w.Key()
	out := got[*ec2.CopySnapshotOutput](w, "copy")(c.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: s(Region), SourceSnapshotId: s(source), Encrypted: aws.Bool(true), KmsKeyId: s(key), Description: s("INC-1"), TagSpecifications: tagged(types.ResourceTypeSnapshot, "guardroom:run", "r1")}))
	id := str(out.SnapshotId)
	w.Is("pending at first", string(w.snapshot(id).State), "pending")
	w.Until("a completed copy", func() bool { return w.snapshot(id).State == types.SnapshotStateCompleted })
	x := w.snapshot(id)
	w.Is("its key", str(x.KmsKeyId) == key, true)
	w.Is("tagged at birth", tagOf(x.Tags, "guardroom:run"), "r1")
	w.Is("its description", str(x.Description), "INC-1")
	w.Is("the source has its own key", str(w.snapshot(source).KmsKeyId) != key, true)
	w.Code("share it", w.permit(id, types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: s(w.Other())}}}), "")
	_, err := c.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: s(Region), SourceSnapshotId: s("snap-0123456789abcdef0")})
	w.Code("of no snapshot", err, "InvalidSnapshot.NotFound")
}

func pull(w *World) {
	ctx, theirs := w.Context(), w.EC2(w.Other())
	h := w.host(Disk{GiB: 2})
	source, key := w.completed(h.Volumes[1]), w.As(w.Other()).Key()
	copyIt := func() (*ec2.CopySnapshotOutput, error) {
		return theirs.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: s(Region), SourceSnapshotId: s(source), Encrypted: aws.Bool(true), KmsKeyId: s(key), TagSpecifications: tagged(types.ResourceTypeSnapshot, "guardroom:run", "r1")})
	}
	_, err := theirs.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{source}})
	w.Code("look before it is shared", err, "InvalidSnapshot.NotFound")
	_, err = copyIt()
	w.Code("copy before it is shared", err, "InvalidSnapshot.NotFound")
	w.Code("share", w.permit(source, types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: s(w.Other())}}}), "")
	_, err = w.EC2().CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{source}, Tags: []types.Tag{{Key: s("owner"), Value: s("x")}}})
	w.Code("tag", err, "")
	seen := w.snapshot(source, w.Other())
	w.Is("its owner", str(seen.OwnerId), w.Account)
	w.Is("its tags are the owner's", tagOf(seen.Tags, "owner"), "-")
	out := got[*ec2.CopySnapshotOutput](w, "pull")(copyIt())
	id := str(out.SnapshotId)
	_, err = w.EC2().DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	w.Code("the copy is theirs alone", err, "InvalidSnapshot.NotFound")
	w.Is("pending at first", string(w.snapshot(id, w.Other()).State), "pending")
	w.Until("a completed copy", func() bool { return w.snapshot(id, w.Other()).State == types.SnapshotStateCompleted })
	x := w.snapshot(id, w.Other())
	w.Is("its new owner", str(x.OwnerId), w.Other())
	w.Is("its key", str(x.KmsKeyId) == key, true)
	w.Is("its size", aws.ToInt32(x.VolumeSize), 2)
	w.Is("its own tags", tagOf(x.Tags, "guardroom:run"), "r1")
	locked, err := theirs.LockSnapshot(ctx, &ec2.LockSnapshotInput{SnapshotId: s(id), LockMode: types.LockModeGovernance, LockDuration: aws.Int32(1)})
	w.Code("lock the copy", err, "")
	w.Is("the copy is locked", locked != nil && locked.LockState == types.LockStateGovernance, true)
	w.Is("it holds the same", w.blocks(id, w.Other()), w.blocks(source))
	v := got[*ec2.CreateVolumeOutput](w, "a volume of it")(theirs.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: s(id), AvailabilityZone: s(Region + "a")}))
	w.Until("an available volume", func() bool { return w.volume(str(v.VolumeId), w.Other()).State == types.VolumeStateAvailable })
	w.Code("take the share back", w.permit(source, types.CreateVolumePermissionModifications{Remove: []types.CreateVolumePermission{{UserId: s(w.Other())}}}), "")
	_, err = theirs.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{source}})
	w.Code("look after it was shared", err, "InvalidSnapshot.NotFound")
}
