package forensics

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// rekey copies a snapshot in the attacked account under the transfer key, for
// one under the AWS-managed key cannot be shared. The copy is kept.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html
func rekey(x *respond.Exec) (playbook.Outcome, error) { return copySnapshot(x, stageRekey) }

// pull copies a shared snapshot into the forensic account, from the forensic
// side: whoever rules the attacked account has no part in it.
func pull(x *respond.Exec) (playbook.Outcome, error) { return copySnapshot(x, stageCopy) }

func copySnapshot(x *respond.Exec, stage string) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	source, err := snapshotOf(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	list, err := once(x, "copy", func() ([]made, bool, error) {
		found, err := findMade(x, readHere(x))
		return found, len(found) > 0, err
	}, func() ([]made, error) { return startCopy(x, p, source) })
	if err != nil {
		return playbook.Outcome{}, busy(respond.Explain(early(x, err, x.Started()), "copy "+source, "the original is untouched"), err)
	}
	id := list[0].ID
	if err := x.Save(savedSnapshot, id); err != nil {
		return playbook.Outcome{}, err
	}
	s, err := complete(x, readHere(x), id, p.Volume)
	if err != nil {
		return playbook.Outcome{}, err // a wrong key is found only now, and AWS' words name it
	}
	i := evidence.Item{ID: own(x, of(stage, p.Volume.ID)), Kind: evidence.Copy, Title: fmt.Sprintf("copy of the snapshot of %s (%s)", p.Volume.ID, clean(p.Volume.Device)), Source: source, Location: id,
		Account: x.Def.Account, Region: x.Def.Region, Device: p.Volume.Device, SizeBytes: p.Volume.GiB << 30, AWSTime: aws.ToTime(s.StartTime).UTC(), Key: aws.ToString(s.KmsKeyId),
		How: "EC2.CopySnapshot", Trust: trustAWS, Set: item(x, own(x, of(stageSnapshot, p.Volume.ID))).Set, Gap: "its blocks were not hashed"}
	if stage == stageRekey {
		i.Gap = "it lies between the snapshot and the copy in account " + home(x.Policy, x.Def.Account) + ", and is not hashed"
	}
	if err := x.Preserve(i); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s is a copy of %s in account %s", id, source, x.Def.Account)},
		x.Custody("copied", i.ID, source, id, x.Def.Title)
}

func startCopy(x *respond.Exec, p snapshotParams, source string) ([]made, error) {
	in := &ec2.CopySnapshotInput{SourceRegion: aws.String(p.Source), SourceSnapshotId: aws.String(source), Encrypted: aws.Bool(true),
		Description: aws.String(description(x, p.Volume.ID+", copy of "+source)),
		// The volume id of a copy means nothing: the source stands in tags.
		TagSpecifications: tagged(x, types.ResourceTypeSnapshot, "", time.Time{}, map[string]string{"guardroom:source-volume": p.Volume.ID, "guardroom:source-snapshot": source})}
	if p.Key != "" {
		in.KmsKeyId = aws.String(p.Key)
	}
	out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.CopySnapshotOutput, error) {
		return c.CopySnapshot(ctx, in)
	})
	if err != nil {
		return nil, err
	}
	return []made{{ID: aws.ToString(out.SnapshotId), Volume: p.Volume.ID}}, nil
}

// busy makes "too many copies at once" a reason to ask again: AWS allows twenty,
// and the others end.
func busy(explained, err error) error {
	if respond.Is(err, "ResourceLimitExceeded", "PendingSnapshotLimitExceeded", "ConcurrentSnapshotLimitExceeded") {
		return fault.New(fault.Unavailable, "AWS copies as many snapshots as it does at once: "+short(err), "it is asked again")
	}
	return explained
}

// share lets the forensic account read a snapshot, until withdraw or the
// sweeper ends it. It is written down before it is opened.
func share(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := snapshotOf(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if p.With == "" || p.With == x.Def.Account {
		return playbook.Outcome{}, playbook.Permanent(fault.New(fault.Usage, "there is no other account to share "+id+" with", "set forensics.account"))
	}
	o := opened{Snapshot: id, With: p.With, Key: p.SourceKey}
	before, err := respond.Once(x, respond.SavedBefore, func() ([]string, error) { return sharedWith(x, id) })
	if err != nil {
		return playbook.Outcome{}, early(x, err, x.Started())
	}
	if err := x.Save(savedSnapshot, id); err != nil {
		return playbook.Outcome{}, err
	}
	if slices.Contains(before, p.With) {
		return playbook.Outcome{Message: id + " is shared with " + p.With + " already, by somebody else, and stays so"}, x.Save("open", opened{})
	}
	if err := owe(x, o); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save("open", o); err != nil {
		return playbook.Outcome{}, err
	}
	_, err = change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.ModifySnapshotAttributeOutput, error) {
		return c.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
			CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: aws.String(p.With)}}}})
	})
	if err != nil {
		return playbook.Outcome{}, early(x, err, x.Started())
	}
	note, err := grant(x, &o)
	if err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s is shared with account %s%s", id, p.With, note)},
		x.Custody("shared", own(x, of(stageSnapshot, p.Volume.ID)), x.Def.Account, p.With, "until it is copied")
}

// opened is what a share opened, and all that is needed to close it.
type opened struct {
	Snapshot string `json:"snapshot"`
	With     string `json:"with"`
	Key      string `json:"key,omitempty"`
	Grant    string `json:"grant,omitempty"`
}

func sharedWith(x *respond.Exec, id string) ([]string, error) {
	out, err := look(x, readHere(x), func(ctx context.Context, c awscalls.EC2) (*ec2.DescribeSnapshotAttributeOutput, error) {
		return c.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission})
	})
	if err != nil {
		return nil, err
	}
	users := []string{}
	for _, p := range out.CreateVolumePermissions {
		if p.UserId != nil {
			users = append(users, *p.UserId)
		}
	}
	return users, nil
}

// Closing of a share.
const closeShare = "forensics.share"

func owe(x *respond.Exec, o opened) error {
	row := respond.Owed{ID: owedID(x.RunID, x.Def.ID), Run: x.RunID, Kind: closeShare, Params: raw(o), Place: x.Place(),
		Due: x.Started().Add(72 * time.Hour), Why: o.Snapshot + " is shared with account " + o.With, OpenedAt: x.Now()}
	return x.Look(func(ctx context.Context) error { return x.Owed.Owe(ctx, row) })
}

func owedID(run respond.RunID, step string) string { return string(run) + "/" + step }

// grant lets the forensic account use the customer's own key for this copy.
// Where that is refused the key's policy may allow it all the same: the copy shows.
func grant(x *respond.Exec, o *opened) (note string, err error) {
	if o.Key == "" {
		return "", nil
	}
	who, err := caller(x)
	if err != nil {
		return "", err
	}
	err = x.Change(func(ctx context.Context) error {
		c, err := x.AWS.KMS(ctx, x.Place())
		if err != nil {
			return err
		}
		in := &kms.CreateGrantInput{KeyId: aws.String(o.Key), GranteePrincipal: aws.String("arn:" + partition(x.Def.Region) + ":iam::" + o.With + ":root"), Name: aws.String(x.Token("grant")),
			Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDescribeKey, kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationReEncryptFrom, kmstypes.GrantOperationGenerateDataKeyWithoutPlaintext, kmstypes.GrantOperationCreateGrant}}
		if who != "" {
			in.RetiringPrincipal = aws.String(who)
		}
		out, err := c.CreateGrant(ctx, in) // the name makes a repeat give the same grant
		if err == nil {
			o.Grant = aws.ToString(out.GrantId)
		}
		return err
	})
	switch {
	case err == nil:
		if err := owe(x, *o); err != nil {
			return "", err
		}
		return ", with a grant for its key", x.Save("open", *o)
	case ended(err) || respond.Transient(err):
		return "", err
	}
	return "; a grant for its key was refused (" + short(err) + "), so the key's own policy must allow it", nil
}

// caller is as whom the step works, where that is the session of a role.
func caller(x *respond.Exec) (string, error) {
	var arn string
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.STS(ctx, x.Place())
		if err != nil {
			return err
		}
		out, err := c.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err == nil {
			arn = aws.ToString(out.Arn)
		}
		return err
	})
	if !strings.Contains(arn, ":assumed-role/") {
		arn = ""
	}
	return arn, err
}

// withdraw ends a share, whether or not the copy came to be. Neither an abort
// nor the switch holds it up.
func withdraw(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	rec, ok := x.Record(p.From)
	var o opened
	if !ok || !rec.Load("open", &o) || o.Snapshot == "" {
		return playbook.Outcome{State: playbook.Skipped, Message: "nothing was shared by this run"}, nil
	}
	err := x.Finish(func(ctx context.Context) error { return unshare(ctx, x.AWS, x.Place(), o) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Finish(func(ctx context.Context) error { return x.Owed.Settle(ctx, owedID(x.RunID, own(x, p.From))) }); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: o.Snapshot + " is shared with nobody by us any more"},
		x.Custody("share withdrawn", own(x, of(stageSnapshot, p.Volume.ID)), o.With, x.Def.Account, "it was copied, or could not be")
}

// unshare takes back the permission and the grant. What is gone already is fine.
func unshare(ctx context.Context, a awscalls.AWS, place awscalls.Place, o opened) error {
	c, err := a.EC2(ctx, place)
	if err != nil {
		return err
	}
	_, err = c.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(o.Snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
		CreateVolumePermission: &types.CreateVolumePermissionModifications{Remove: []types.CreateVolumePermission{{UserId: aws.String(o.With)}}}})
	if err != nil && !respond.Gone(err) {
		return err
	}
	if o.Grant == "" {
		return nil
	}
	k, err := a.KMS(ctx, place)
	if err != nil {
		return err
	}
	_, err = k.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: aws.String(o.Key), GrantId: aws.String(o.Grant)})
	if err != nil && !respond.Gone(err) && !respond.Is(err, "NotFoundException") {
		return err
	}
	return nil
}

// Closings close what acquisition opens: shares with the forensic account,
// and uploads of memory.
func Closings() []respond.Closing {
	return []respond.Closing{{
		Kind:  closeShare,
		Calls: map[awscalls.Role][]string{awscalls.Act: {"EC2.ModifySnapshotAttribute", "KMS.RetireGrant"}},
		Close: func(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
			var p opened
			if err := json.Unmarshal(o.Params, &p); err != nil {
				return fmt.Errorf("read what share %s opened: %w", o.ID, err)
			}
			return unshare(ctx, a, o.Place, p)
		},
	}, {
		Kind:  closeUpload,
		Calls: map[awscalls.Role][]string{awscalls.Act: {"SSM.CancelCommand"}, awscalls.Forensics: {"S3.AbortMultipartUpload"}},
		Close: closeAcquisition,
	}}
}
