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

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

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
		Due: x.Started().Add(mostPatience + 24*time.Hour), Why: o.Snapshot + " is shared with account " + o.With, OpenedAt: x.Now()}
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
