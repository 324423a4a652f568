package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

func TestSnapshotsCompleteWithTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Snapshot: 10 * time.Minute}})
	i := w.instance(t, "a")
	out := must[*ec2.CreateSnapshotsOutput](t)(w.ec2.CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: i.InstanceId},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r")}}}}}))
	if len(out.Snapshots) != 1 || out.Snapshots[0].State != types.SnapshotStatePending {
		t.Fatalf("%+v", out.Snapshots)
	}
	id := aws.ToString(out.Snapshots[0].SnapshotId)
	var got []string
	for _, step := range []time.Duration{0, 6 * time.Minute, 4 * time.Minute} {
		w.clock.move(step)
		got = append(got, w.snapshotState(t, id))
	}
	if d := cmp.Diff([]string{"pending 0%", "pending 60%", "completed 100%"}, got); d != "" {
		t.Error(d)
	}
}

func TestSnapshotsAreFoundByTheStatusThatTheyHaveNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Snapshot: time.Minute}})
	id := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{}))
	find := func(status string) int {
		out := must[*ec2.DescribeSnapshotsOutput](t)(w.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{
			Filters: []types.Filter{{Name: aws.String("status"), Values: []string{status}}, {Name: aws.String("snapshot-id"), Values: []string{id}}}}))
		return len(out.Snapshots)
	}
	if find("pending") != 1 || find("completed") != 0 {
		t.Error("a pending snapshot is found as completed")
	}
	w.clock.move(time.Minute)
	if find("pending") != 0 || find("completed") != 1 {
		t.Error("a completed snapshot is found as pending")
	}
}

func TestASnapshotEndsInErrorWhereARuleSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Snapshot: time.Minute}})
	w.Add(proxy.Rule{Operation: "EC2.CreateSnapshot", Fault: proxy.Fault{EndsInError: "Given key ID is not accessible"}})
	v := w.volume(t, "a", ec2.CreateVolumeInput{})
	bad, good := w.snapshot(t, v), w.snapshot(t, v)
	w.clock.move(time.Minute)
	if a, b := w.snapshotState(t, bad), w.snapshotState(t, good); a != "error 99%" || b != "completed 100%" {
		t.Error(a, b)
	}
	out := must[*ec2.DescribeSnapshotsOutput](t)(w.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{bad}}))
	if aws.ToString(out.Snapshots[0].StateMessage) != "Given key ID is not accessible" {
		t.Errorf("%+v", out.Snapshots[0])
	}
}

func TestLockedSnapshotsCannotBeDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	id := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{}))
	lock := func(in ec2.LockSnapshotInput) error {
		in.SnapshotId = aws.String(id)
		_, err := w.ec2.LockSnapshot(ctx, &in)
		return err
	}
	wantCode(t, lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(1), DryRun: aws.Bool(true)}), "DryRunOperation")
	wantCode(t, lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(1), CoolOffPeriod: aws.Int32(1)}), "InvalidParameterCombination")
	wantCode(t, lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance}), "InvalidParameterCombination")
	wantCode(t, lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(36501)}), "InvalidParameterValue")
	if err := lock(ec2.LockSnapshotInput{LockMode: types.LockModeGovernance, LockDuration: aws.Int32(30)}); err != nil {
		t.Fatal(err)
	}
	_, err := w.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
	wantCode(t, err, "OperationNotPermitted")
	shown := must[*ec2.DescribeLockedSnapshotsOutput](t)(w.ec2.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}}))
	if len(shown.Snapshots) != 1 || shown.Snapshots[0].LockState != types.LockStateGovernance || !aws.ToTime(shown.Snapshots[0].LockExpiresOn).Equal(w.clock.now().AddDate(0, 0, 30)) {
		t.Errorf("%+v", shown.Snapshots)
	}
	if err := lock(ec2.LockSnapshotInput{LockMode: types.LockModeCompliance, LockDuration: aws.Int32(30), CoolOffPeriod: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	for step, want := range []types.LockState{types.LockStateComplianceCooloff, types.LockStateCompliance} {
		w.clock.move(time.Duration(step) * 2 * time.Hour)
		shown = must[*ec2.DescribeLockedSnapshotsOutput](t)(w.ec2.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{}))
		if shown.Snapshots[0].LockState != want {
			t.Errorf("%s, not %s", shown.Snapshots[0].LockState, want)
		}
	}
	wantCode(t, lock(ec2.LockSnapshotInput{LockMode: types.LockModeCompliance, LockDuration: aws.Int32(1)}), "OperationNotPermitted")
	_, err = w.ec2.UnlockSnapshot(ctx, &ec2.UnlockSnapshotInput{SnapshotId: aws.String(id)})
	wantCode(t, err, "OperationNotPermitted")
	w.clock.move(31 * 24 * time.Hour)
	if _, err := w.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)}); err != nil {
		t.Error(err)
	}
}

func TestSharesThatAWSRefusesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	friend, everybody := types.CreateVolumePermission{UserId: aws.String("222222222222")}, types.CreateVolumePermission{Group: types.PermissionGroupAll}
	plain := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{}))
	managed := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{Encrypted: aws.Bool(true)}))
	key := must[*kms.CreateKeyOutput](t)(w.kms().CreateKey(ctx, &kms.CreateKeyInput{}))
	own := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{Encrypted: aws.Bool(true), KmsKeyId: key.KeyMetadata.Arn}))
	for name, c := range map[string]struct {
		id   string
		with types.CreateVolumePermission
		code string
	}{
		"not encrypted, one account":      {plain, friend, ""},
		"not encrypted, everybody":        {plain, everybody, ""},
		"our own key, one account":        {own, friend, ""},
		"our own key, everybody":          {own, everybody, "OperationNotPermitted"},
		"the key of AWS, one account":     {managed, friend, "OperationNotPermitted"},
		"the key of AWS, everybody":       {managed, everybody, "OperationNotPermitted"},
		"a snapshot that is not there":    {"snap-0123456789abcdef0", friend, "InvalidSnapshot.NotFound"},
		"not encrypted, the same account": {plain, friend, ""},
	} {
		err := w.share(ctx, c.id, c.with)
		if c.code != "" {
			wantCode(t, err, c.code)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	shown := must[*ec2.DescribeSnapshotAttributeOutput](t)(w.ec2.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String(own), Attribute: types.SnapshotAttributeNameCreateVolumePermission}))
	if len(shown.CreateVolumePermissions) != 1 || aws.ToString(shown.CreateVolumePermissions[0].UserId) != "222222222222" {
		t.Errorf("%+v", shown.CreateVolumePermissions)
	}
	_, err := w.ec2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(plain), CreateVolumePermission: &types.CreateVolumePermissionModifications{
		Add: []types.CreateVolumePermission{friend}, Remove: []types.CreateVolumePermission{everybody}}})
	wantCode(t, err, "InvalidParameterCombination")
	out := must[*kms.DescribeKeyOutput](t)(w.kms().DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")}))
	if out.KeyMetadata.KeyManager != kmstypes.KeyManagerTypeAws {
		t.Errorf("the key of EBS is managed by %s", out.KeyMetadata.KeyManager)
	}
	out = must[*kms.DescribeKeyOutput](t)(w.kms().DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyMetadata.KeyId}))
	if out.KeyMetadata.KeyManager != kmstypes.KeyManagerTypeCustomer {
		t.Errorf("our own key is managed by %s", out.KeyMetadata.KeyManager)
	}
}

func TestGrantsAreOfAKeyAndNotOfItsAlias(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx := t.Context()
	key := must[*kms.CreateKeyOutput](t)(w.kms().CreateKey(ctx, &kms.CreateKeyInput{}))
	must[*kms.CreateAliasOutput](t)(w.kms().CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/transfer"), TargetKeyId: key.KeyMetadata.KeyId}))
	for name, code := range map[string]string{"alias/transfer": "NotFoundException", strings.Replace(*key.KeyMetadata.Arn, "key/"+*key.KeyMetadata.KeyId, "alias/transfer", 1): "NotFoundException", *key.KeyMetadata.Arn: ""} {
		_, err := w.kms().CreateGrant(ctx, &kms.CreateGrantInput{KeyId: aws.String(name), GranteePrincipal: aws.String("arn:aws:iam::222222222222:root"), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}})
		if code != "" {
			wantCode(t, err, code)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readAll reads the blocks of a snapshot by EBS direct.
func readAll(t *testing.T, c *ebs.Client, id string) map[int32][]byte {
	t.Helper()
	list := must[*ebs.ListSnapshotBlocksOutput](t)(c.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String(id)}))
	out := map[int32][]byte{}
	for _, b := range list.Blocks {
		got := must[*ebs.GetSnapshotBlockOutput](t)(c.GetSnapshotBlock(t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: aws.String(id), BlockIndex: b.BlockIndex, BlockToken: b.BlockToken}))
		body, err := io.ReadAll(got.BlockData)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if aws.ToString(got.Checksum) != base64.StdEncoding.EncodeToString(sum[:]) || len(body) != 512<<10 {
			t.Errorf("block %d: %s over %d bytes", aws.ToInt32(b.BlockIndex), aws.ToString(got.Checksum), len(body))
		}
		out[aws.ToInt32(b.BlockIndex)] = body
	}
	return out
}

func TestASharedSnapshotIsPulledByTheOtherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Snapshot: time.Minute, Copy: time.Hour}})
	ctx := t.Context()
	other := newAccount()
	theirs := ec2.NewFromConfig(w.as(other))
	volume := w.volume(t, "a", ec2.CreateVolumeInput{Size: aws.Int32(3)})
	if err := w.SetBlocks(volume, map[int32][]byte{0: []byte("boot"), 9: []byte("data")}); err != nil {
		t.Fatal(err)
	}
	id := w.snapshot(t, volume)
	look := func() (*ec2.DescribeSnapshotsOutput, error) {
		return theirs.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	}
	pull := func() (*ec2.CopySnapshotOutput, error) {
		return theirs.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String(id), Encrypted: aws.Bool(true), KmsKeyId: aws.String("arn:aws:kms:eu-central-1:" + other + ":key/k"),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r1")}}}}})
	}
	_, err := look()
	wantCode(t, err, "InvalidSnapshot.NotFound")
	_, err = pull()
	wantCode(t, err, "InvalidSnapshot.NotFound")
	if err := w.share(ctx, id, types.CreateVolumePermission{UserId: aws.String(other)}); err != nil {
		t.Fatal(err)
	}
	seen := must[*ec2.DescribeSnapshotsOutput](t)(look())
	if s := seen.Snapshots[0]; aws.ToString(s.OwnerId) != w.account || s.State != types.SnapshotStatePending || aws.ToInt32(s.VolumeSize) != 3 {
		t.Errorf("%+v", s)
	}
	_, err = pull()
	wantCode(t, err, "IncorrectState")
	w.clock.move(time.Minute)
	pulled := aws.ToString(must[*ec2.CopySnapshotOutput](t)(pull()).SnapshotId)
	if pulled == id {
		t.Fatal("the copy is the original")
	}
	_, err = w.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{pulled}})
	wantCode(t, err, "InvalidSnapshot.NotFound")
	w.clock.move(30 * time.Minute)
	byTag := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("tag:guardroom:run"), Values: []string{"r1"}}}}
	found := must[*ec2.DescribeSnapshotsOutput](t)(theirs.DescribeSnapshots(ctx, byTag))
	if len(found.Snapshots) != 1 {
		t.Fatalf("%d copies have our tag", len(found.Snapshots))
	}
	if s := found.Snapshots[0]; aws.ToString(s.SnapshotId) != pulled || aws.ToString(s.OwnerId) != other || aws.ToString(s.Progress) != "50%" || !aws.ToBool(s.Encrypted) || aws.ToString(s.VolumeId) != "vol-ffffffff" || aws.ToInt32(s.VolumeSize) != 3 {
		t.Errorf("%+v", s)
	}
	w.clock.move(30 * time.Minute)
	theirEBS := ebs.NewFromConfig(w.as(other))
	original, copied := readAll(t, w.ebs(), id), readAll(t, theirEBS, pulled)
	if len(original) != 2 || !bytes.HasPrefix(original[9], []byte("data")) {
		t.Errorf("the original has %d blocks", len(original))
	}
	if d := cmp.Diff(original, copied); d != "" {
		t.Error("the copy holds something else")
	}
	if d := cmp.Diff(original, readAll(t, theirEBS, id)); d != "" {
		t.Error("the shared original reads otherwise in the other account")
	}
	v := must[*ec2.CreateVolumeOutput](t)(theirs.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: aws.String(pulled), AvailabilityZone: aws.String(region + "b")}))
	if aws.ToInt32(v.Size) != 3 || aws.ToString(v.SnapshotId) != pulled {
		t.Errorf("%+v", v)
	}
	direct := must[*ec2.CreateVolumeOutput](t)(theirs.CreateVolume(ctx, &ec2.CreateVolumeInput{SnapshotId: aws.String(id), AvailabilityZone: aws.String(region + "b")}))
	if aws.ToInt32(direct.Size) != 3 || aws.ToString(direct.SnapshotId) != id {
		t.Errorf("%+v", direct)
	}
	_, err = w.ec2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(id), CreateVolumePermission: &types.CreateVolumePermissionModifications{Remove: []types.CreateVolumePermission{{UserId: aws.String(other)}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = look()
	wantCode(t, err, "InvalidSnapshot.NotFound")
}

func TestACopyInsideOfAnAccountHasTheKeyThatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Copy: time.Minute}})
	ctx := t.Context()
	id := w.snapshot(t, w.volume(t, "a", ec2.CreateVolumeInput{Encrypted: aws.Bool(true)}))
	key := must[*kms.CreateKeyOutput](t)(w.kms().CreateKey(ctx, &kms.CreateKeyInput{}))
	before := must[*ec2.DescribeSnapshotsOutput](t)(w.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))
	if aws.ToString(before.Snapshots[0].KmsKeyId) == "" {
		t.Error("an encrypted snapshot names no key")
	}
	c := must[*ec2.CopySnapshotOutput](t)(w.ec2.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String(id), Encrypted: aws.Bool(true), KmsKeyId: key.KeyMetadata.Arn}))
	if state := w.snapshotState(t, aws.ToString(c.SnapshotId)); state != "pending 0%" {
		t.Error(state)
	}
	w.clock.move(time.Minute)
	out := must[*ec2.DescribeSnapshotsOutput](t)(w.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{aws.ToString(c.SnapshotId)}}))
	if s := out.Snapshots[0]; s.State != types.SnapshotStateCompleted || aws.ToString(s.KmsKeyId) != aws.ToString(key.KeyMetadata.Arn) {
		t.Errorf("%+v", s)
	}
	if err := w.share(ctx, aws.ToString(c.SnapshotId), types.CreateVolumePermission{UserId: aws.String("222222222222")}); err != nil {
		t.Errorf("what was encrypted anew cannot be shared: %v", err)
	}
	if d := cmp.Diff(readAll(t, w.ebs(), id), readAll(t, w.ebs(), aws.ToString(c.SnapshotId))); d != "" {
		t.Error("the copy holds something else")
	}
}
