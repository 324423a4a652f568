package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
)

// disks is an instance with three volumes: plain, by AWS's key, by an own key.
type disks struct {
	*rig
	id, ownKey string
	volumes    []string
}

func newDisks(t *testing.T, o sim.Options) *disks {
	t.Helper()
	d := &disks{}
	d.rig = newRig(t, o, func(e *sim.Editor) {
		d.ownKey = e.AddKMSKey(acct, region, sim.KMSKey{}).ARN
		d.id = e.AddInstance(acct, region, sim.InstanceSpec{Volumes: []sim.VolumeSpec{{GiB: 10, Tags: map[string]string{"Name": "root"}}, {GiB: 100, Encrypted: true}, {GiB: 20, Key: d.ownKey}}})
		d.volumes = e.VolumesOf(acct, region, d.id)
		e.AddInstance(lab, region, sim.InstanceSpec{})
	})
	return d
}

func (d *disks) all() []types.SnapshotInfo {
	d.t.Helper()
	return must(d.CreateSnapshots(d.t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &d.id}, CopyTagsFromSource: "volume",
		TagSpecifications: []types.TagSpecification{{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("run-1")}}}}}))(d.t).Snapshots
}

func TestDefect01ThreeVolumesGiveThreeSnapshotsOfOneInstant(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	snaps := d.all()
	var got []string
	for _, s := range snaps {
		if !s.StartTime.Equal(*snaps[0].StartTime) || s.State != "pending" {
			t.Errorf("%s is %s, from %s", *s.SnapshotId, s.State, s.StartTime)
		}
		got = append(got, *s.VolumeId)
	}
	if diff := cmp.Diff(d.volumes, got); diff != "" {
		t.Error(diff)
	}
	if tags := d.snapshot(*snaps[0].SnapshotId).Tags; len(tags) != 2 || *tags[0].Key != "Name" || *tags[1].Key != "guardroom:run" {
		t.Errorf("the tags are %+v", tags)
	}
}

func TestASnapshotProgressesWithItsSize(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{Times: sim.Times{SnapshotPerGiB: 10 * time.Second}})
	snaps := d.all()
	big, small := *snaps[1].SnapshotId, *snaps[0].SnapshotId
	for _, step := range []struct {
		after      time.Duration
		big, small string
	}{{0, "pending ", "pending "}, {50 * time.Second, "pending 5%", "pending 50%"}, {50 * time.Second, "pending 10%", "completed 100%"}, {899 * time.Second, "pending 99%", "completed 100%"}, {time.Second, "completed 100%", "completed 100%"}} {
		d.pass(step.after)
		b, s := d.snapshot(big), d.snapshot(small)
		if got := fmt.Sprint(b.State, " ", *b.Progress); got != step.big {
			t.Errorf("%s later the big one is %q, not %q", step.after, got, step.big)
		}
		if got := fmt.Sprint(s.State, " ", *s.Progress); got != step.small {
			t.Errorf("%s later the small one is %q, not %q", step.after, got, step.small)
		}
	}
}

func TestASnapshotEndsInErrorWhenTheScriptSaysSo(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	d.edit(func(e *sim.Editor) {
		e.ScriptSnapshots(acct, region, d.volumes[0], sim.SnapshotScript{Refuse: "InternalError"}, sim.SnapshotScript{Message: "the disk is gone", Takes: time.Minute})
	})
	_, err := d.CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &d.id}})
	d.want(err, "InternalError")
	if out := must(d.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))(t); len(out.Snapshots) != 0 {
		t.Errorf("a refused call made %d snapshots", len(out.Snapshots))
	}
	id := *d.all()[0].SnapshotId
	d.pass(time.Minute)
	if s := d.snapshot(id); s.State != "error" || *s.StateMessage != "the disk is gone" {
		t.Errorf("it is %+v", s)
	}
}

func TestAVolumeTakesFiveSnapshotsAtOnceAndOneInFifteenSeconds(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{Times: sim.Times{SnapshotLeast: time.Hour}})
	one := func() error {
		_, err := d.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: &d.volumes[0]})
		return err
	}
	for n := range 5 {
		d.want(one(), "")
		if n < 4 {
			d.want(one(), "SnapshotCreationPerVolumeRateExceeded")
		}
		d.pass(15 * time.Second)
	}
	d.want(one(), "ConcurrentSnapshotLimitExceeded")
	d.pass(time.Hour)
	d.want(one(), "")
}

func TestMoreThanFiftyTagsFail(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	var many []types.Tag
	for n := range 49 {
		many = append(many, types.Tag{Key: aws.String(fmt.Sprint("k", n)), Value: aws.String("v")})
	}
	must(d.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{d.volumes[0]}, Tags: many}))(t)
	in := &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: &d.id}, CopyTagsFromSource: "volume",
		TagSpecifications: []types.TagSpecification{{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r")}}}}}
	_, err := d.CreateSnapshots(t.Context(), in)
	d.want(err, "TagLimitExceeded")
	in.CopyTagsFromSource = ""
	must(d.CreateSnapshots(t.Context(), in))(t)
}

func shareWith(who ...string) *types.CreateVolumePermissionModifications {
	m := &types.CreateVolumePermissionModifications{}
	for _, w := range who {
		if w == "all" {
			m.Add = append(m.Add, types.CreateVolumePermission{Group: "all"})
		} else {
			m.Add = append(m.Add, types.CreateVolumePermission{UserId: aws.String(w)})
		}
	}
	return m
}

func TestASnapshotIsReadByWhomItIsSharedWith(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	snaps := d.all()
	plain, awsKey, ownKey := snaps[0].SnapshotId, snaps[1].SnapshotId, snaps[2].SnapshotId
	d.pass(time.Hour)
	far := d.at(lab, region)
	see := func() error {
		_, err := far.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*plain}})
		return err
	}
	d.want(see(), "InvalidSnapshot.NotFound")
	share := func(id *string, m *types.CreateVolumePermissionModifications) error {
		_, err := d.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: id, Attribute: "createVolumePermission", CreateVolumePermission: m})
		return err
	}
	d.want(share(plain, shareWith("all")), "OperationNotPermitted")
	d.want(share(awsKey, shareWith(lab)), "OperationNotPermitted")
	d.want(share(ownKey, shareWith("all")), "OperationNotPermitted")
	d.want(share(plain, shareWith("nobody")), "InvalidUserID.Malformed")
	both := shareWith(lab)
	both.Remove = []types.CreateVolumePermission{{UserId: aws.String(lab)}}
	d.want(share(plain, both), "InvalidParameterCombination")
	d.want(share(plain, shareWith(lab)), "")
	d.want(see(), "")
	if out := must(d.at("333333333333", region).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{}))(t); len(out.Snapshots) != 0 {
		t.Error("a third account sees it")
	}
	if out := must(far.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*plain}}))(t); len(out.Snapshots[0].Tags) != 0 {
		t.Error("tags travel with a share")
	}
	d.want(share(plain, &types.CreateVolumePermissionModifications{Remove: []types.CreateVolumePermission{{UserId: aws.String(lab)}}}), "")
	d.want(see(), "InvalidSnapshot.NotFound")
}

func TestACopyAcrossAccountsNeedsTheShareAndTheKeys(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	var evidenceKey string
	d.edit(func(e *sim.Editor) { evidenceKey = e.AddKMSKey(lab, region, sim.KMSKey{}).ARN })
	snaps := d.all()
	far := d.at(lab, region)
	pull := func(id *string, key string) (string, error) {
		out, err := far.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: id, Encrypted: aws.Bool(true), KmsKeyId: aws.String(key),
			TagSpecifications: []types.TagSpecification{{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("guardroom:source"), Value: id}}}}})
		if err != nil {
			return "", err
		}
		return *out.SnapshotId, nil
	}
	end := func(id string) string {
		t.Helper()
		d.pass(time.Hour)
		s := must(far.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))(t).Snapshots[0]
		return fmt.Sprint(s.State, " ", aws.ToString(s.StateMessage))
	}
	for _, s := range []types.SnapshotInfo{snaps[0], snaps[2]} {
		must(d.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: s.SnapshotId, CreateVolumePermission: shareWith(lab)}))(t)
	}
	_, err := pull(snaps[0].SnapshotId, evidenceKey)
	d.want(err, "IncorrectState") // it is pending still
	d.pass(time.Hour)
	_, err = pull(snaps[1].SnapshotId, evidenceKey)
	d.want(err, "InvalidSnapshot.NotFound") // it is not shared

	if got := end(must(pull(snaps[0].SnapshotId, evidenceKey))(t)); got != "completed " {
		t.Errorf("the copy of a plain one is %q", got)
	}
	if got := end(must(pull(snaps[0].SnapshotId, "alias/none"))(t)); got != "error Given key ID is not accessible" {
		t.Errorf("the copy under a key that is not there is %q", got)
	}
	if got := end(must(pull(snaps[2].SnapshotId, evidenceKey))(t)); got != "error Given key ID is not accessible" {
		t.Errorf("the copy of one whose key is closed to the account is %q", got)
	}
	d.edit(func(e *sim.Editor) { e.KMSKey(acct, region, d.ownKey).Accounts = []string{lab} })
	id := must(pull(snaps[2].SnapshotId, evidenceKey))(t)
	if got := end(id); got != "completed " {
		t.Errorf("the copy of one whose key is open to the account is %q", got)
	}
	copied := must(far.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))(t).Snapshots[0]
	if *copied.KmsKeyId != evidenceKey || *copied.VolumeId == d.volumes[2] || *copied.OwnerId != lab || len(copied.Tags) != 1 {
		t.Errorf("the copy is %+v", copied)
	}
}

func TestARegionTakesTwentyCopiesAtOnce(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	id := d.all()[0].SnapshotId
	d.pass(time.Hour)
	west := d.at(acct, "us-west-2")
	for n := range 21 {
		_, err := west.CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: id})
		d.want(err, map[bool]string{true: "", false: "ResourceLimitExceeded"}[n < 20])
	}
}

func TestLocksHoldAsTheirModeSays(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	snaps := d.all()
	lock := func(n int, mode types.LockMode, days, coolOff int32) (string, error) {
		in := &ec2.LockSnapshotInput{SnapshotId: snaps[n].SnapshotId, LockMode: mode, LockDuration: aws.Int32(days)}
		if coolOff > 0 {
			in.CoolOffPeriod = aws.Int32(coolOff)
		}
		out, err := d.LockSnapshot(t.Context(), in)
		if err != nil {
			return "", err
		}
		return string(out.LockState), nil
	}
	for _, step := range []struct {
		name     string
		snapshot int
		mode     types.LockMode
		days     int32
		coolOff  int32
		pass     time.Duration
		state    string
		code     string
	}{
		{"a pending one can be locked", 0, "governance", 30, 0, 0, "governance", ""},
		{"governance can be shortened", 0, "governance", 10, 0, 0, "governance", ""},
		{"governance has no cooling off", 0, "governance", 10, 24, 0, "", "InvalidParameterCombination"},
		{"a day is the least", 0, "governance", 0, 0, 0, "", "InvalidParameterValue"},
		{"72 hours of cooling off are the most", 1, "compliance", 30, 73, 0, "", "InvalidParameterValue"},
		{"compliance cools off", 1, "compliance", 30, 24, 0, "compliance-cooloff", ""},
		{"while it cools off it can be shortened", 1, "compliance", 20, 24, 0, "compliance-cooloff", ""},
		{"after it, not", 1, "compliance", 10, 0, 25 * time.Hour, "", "OperationNotPermitted"},
		{"nor be made governance", 1, "governance", 40, 0, 0, "", "OperationNotPermitted"},
		{"but be extended", 1, "compliance", 60, 0, 0, "compliance", ""},
		{"compliance without cooling off is final at once", 2, "compliance", 5, 0, 0, "compliance", ""},
		{"and cannot be shortened", 2, "compliance", 4, 0, 0, "", "OperationNotPermitted"},
	} {
		d.pass(step.pass)
		state, err := lock(step.snapshot, step.mode, step.days, step.coolOff)
		if state != step.state || code(err) != step.code {
			t.Errorf("%s: it is %q, %q", step.name, state, code(err))
		}
	}
	d.pass(6 * 24 * time.Hour)
	expired := must(d.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{Filters: filter("lock-state", "expired")}))(t).Snapshots
	if len(expired) != 1 || *expired[0].SnapshotId != *snaps[2].SnapshotId {
		t.Errorf("expired are %+v", expired)
	}
	if all := must(d.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{*snaps[0].SnapshotId}}))(t).Snapshots; len(all) != 1 || all[0].LockState != "governance" {
		t.Errorf("the first is %+v", all)
	}
}

func TestAVolumeIsMadeAttachedDetachedAndDeleted(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	var other string
	d.edit(func(e *sim.Editor) {
		other = e.AddInstance(acct, region, sim.InstanceSpec{Subnet: e.AddSubnet(acct, region, sim.SubnetSpec{AZ: "b"})})
	})
	snap := d.all()[2].SnapshotId
	make := &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), SnapshotId: snap, VolumeType: "gp3", ClientToken: aws.String("gr-v")}
	_, err := d.CreateVolume(t.Context(), make)
	d.want(err, "IncorrectState")
	d.pass(time.Hour)
	id := must(d.CreateVolume(t.Context(), make))(t).VolumeId
	if again := must(d.CreateVolume(t.Context(), make))(t).VolumeId; *again != *id {
		t.Error("the repeated call made another one")
	}
	attach := func(instance, device string) error {
		_, err := d.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: id, InstanceId: &instance, Device: &device})
		return err
	}
	if v := d.volume(*id); v.State != "creating" || !*v.Encrypted || *v.KmsKeyId != d.ownKey || *v.Size != 20 {
		t.Errorf("the volume is %+v", v)
	}
	d.want(attach(d.id, "/dev/sdp"), "IncorrectState")
	d.pass(5 * time.Second)
	d.want(attach(other, "/dev/sdp"), "InvalidVolume.ZoneMismatch")
	d.want(attach(d.id, "/dev/sdf"), "InvalidParameterValue") // in use by another volume
	d.want(attach(d.id, "/dev/sdp"), "")
	if a := d.volume(*id).Attachments; len(a) != 1 || a[0].State != "attaching" {
		t.Errorf("the attachments are %+v", a)
	}
	d.want(attach(d.id, "/dev/sdo"), "VolumeInUse")
	d.pass(3 * time.Second)
	if a := d.volume(*id).Attachments[0]; a.State != "attached" || *a.InstanceId != d.id || *a.Device != "/dev/sdp" {
		t.Errorf("the attachment is %+v", a)
	}
	_, err = d.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: id})
	d.want(err, "VolumeInUse")
	_, err = d.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: id, InstanceId: &other})
	d.want(err, "InvalidAttachment.NotFound")
	_, err = d.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: &d.volumes[0]})
	d.want(err, "OperationNotPermitted") // a root volume
	must(d.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: id, InstanceId: &d.id, Device: aws.String("/dev/sdp")}))(t)
	d.pass(3 * time.Second)
	if v := d.volume(*id); v.State != "available" || len(v.Attachments) != 0 {
		t.Errorf("the volume is %+v", v)
	}
	_, err = d.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: id})
	d.want(err, "IncorrectState")
	must(d.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: id}))(t)
	_, err = d.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*id}})
	d.want(err, "InvalidVolume.NotFound")
}

func TestAnInstanceTakesOnlySoManyVolumes(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{Quotas: sim.Quotas{Attachments: 4}})
	var spare []string
	d.edit(func(e *sim.Editor) {
		spare = []string{e.AddVolume(acct, region, "a", sim.VolumeSpec{}), e.AddVolume(acct, region, "a", sim.VolumeSpec{})}
	})
	for n, want := range []string{"", "AttachmentLimitExceeded"} {
		_, err := d.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: &spare[n], InstanceId: &d.id, Device: aws.String(fmt.Sprint("/dev/sd", string(rune('o'+n))))})
		d.want(err, want)
	}
}

func TestAVolumeWithAProductCodeAttachesToAStoppedInstanceOnly(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	var id string
	d.edit(func(e *sim.Editor) {
		id = e.AddVolume(acct, region, "a", sim.VolumeSpec{ProductCodes: []string{"market"}})
	})
	in := &ec2.AttachVolumeInput{VolumeId: &id, InstanceId: &d.id, Device: aws.String("/dev/sdp")}
	_, err := d.AttachVolume(t.Context(), in)
	d.want(err, "OperationNotPermitted")
	d.edit(func(e *sim.Editor) { e.StopInstance(acct, region, d.id) })
	d.pass(time.Minute)
	must(d.AttachVolume(t.Context(), in))(t)
}

func TestAVolumeUnderAKeyThatCannotBeUsedEndsInError(t *testing.T) {
	t.Parallel()
	d := newDisks(t, sim.Options{})
	id := must(d.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1), Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/none")}))(t).VolumeId
	d.pass(time.Minute)
	if v := d.volume(*id); v.State != "error" {
		t.Errorf("it is %s", v.State)
	}
}

func TestAnImageIsSharedAndWithdrawn(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddImage(acct, region, sim.ImageSpec{Shares: []string{lab}, Public: true})
		e.AddImage(acct, region, sim.ImageSpec{Owner: "amazon", Name: "al2023-ami-1"})
	})
	far := r.at(lab, region)
	see := func() error {
		_, err := far.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
		return err
	}
	r.want(see(), "")
	remove := &types.LaunchPermissionModifications{Remove: []types.LaunchPermission{{UserId: aws.String(lab)}, {Group: "all"}}}
	must(r.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &id, LaunchPermission: remove}))(t)
	r.want(see(), "InvalidAMIID.NotFound")
	_, err := r.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &id, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{Group: "all"}}}})
	r.want(err, "OperationNotPermitted")
	if out := must(r.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: filter("name", "al2023-*")}))(t); len(out.Images) != 1 || *out.Images[0].ImageOwnerAlias != "amazon" {
		t.Errorf("Amazon's images are %+v", out.Images)
	}
	if out := must(r.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: "launchPermission"}))(t); len(out.LaunchPermissions) != 0 {
		t.Errorf("it is launched by %+v", out.LaunchPermissions)
	}
}
