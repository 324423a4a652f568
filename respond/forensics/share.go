package forensics

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	o := opened{Snapshot: id, With: p.With}
	if p.SourceKey != "" {
		if o.Key, err = respond.Once(x, "key", func() (string, error) { return keyOf(x, id) }); err != nil {
			return playbook.Outcome{}, early(x, err, x.Started())
		}
	}
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
	x.Load("open", &o) // a grant that an earlier attempt asked for stays known
	if err := owe(x, x.Change, o); err != nil {
		return playbook.Outcome{}, err
	}
	_, err = change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.ModifySnapshotAttributeOutput, error) {
		return c.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: types.OperationTypeAdd, UserIds: []string{p.With}})
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
	// Key is the ARN of the key that the snapshot is under; empty: no grant is
	// needed. Grants are of a key itself, so an alias would not do.
	Key   string `json:"key,omitempty"`
	Grant string `json:"grant,omitempty"`
	// Name says that a grant of that name was asked for. Where Grant is empty its
	// answer is not known, and asking again gives its id.
	Name     string `json:"grant_name,omitempty"`
	Retiring string `json:"retiring,omitempty"` // who may retire it
}

// keyOf is the ARN of the key that a snapshot is under; empty where it is not
// encrypted.
func keyOf(x *respond.Exec, id string) (string, error) {
	list, err := look(x, readHere(x), func(ctx context.Context, c awscalls.EC2) ([]types.Snapshot, error) {
		return snapshots(ctx, c, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	})
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fault.New(fault.Unavailable, "AWS does not show "+id+" yet", "it is asked again")
	}
	return aws.ToString(list[0].KmsKeyId), nil
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

// owe writes down what is, or is about to be, open.
func owe(x *respond.Exec, by func(func(context.Context) error) error, o opened) error {
	row := respond.Owed{ID: owedID(x.RunID, x.Def.ID), Run: x.RunID, Kind: closeShare, Params: raw(o), Place: x.Place(),
		Due: x.Started().Add(mostPatience + 24*time.Hour), Why: o.Snapshot + " is shared with account " + o.With, OpenedAt: x.Now()}
	if err := by(func(ctx context.Context) error { return x.Owed.Owe(ctx, row) }); err != nil {
		return err
	}
	return x.Save("open", o)
}

func owedID(run respond.RunID, step string) string { return string(run) + "/" + step }

// allowed are what an account needs of the key of a snapshot to copy it, and to
// make volumes of it.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html
var allowed = []kmstypes.GrantOperation{kmstypes.GrantOperationDescribeKey, kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationReEncryptFrom, kmstypes.GrantOperationReEncryptTo,
	kmstypes.GrantOperationGenerateDataKey, kmstypes.GrantOperationGenerateDataKeyWithoutPlaintext, kmstypes.GrantOperationCreateGrant}

// grant lets the forensic account use the key of the snapshot for this copy. That
// it is asked for is written down before. Where it is refused the key's policy may
// allow it all the same: the copy shows.
func grant(x *respond.Exec, o *opened) (note string, err error) {
	if o.Key == "" {
		return "", nil
	}
	if o.Name == "" {
		if o.Retiring, err = caller(x); err != nil {
			return "", err
		}
		o.Name = x.Token("grant")
		if err := owe(x, x.Change, *o); err != nil {
			return "", err
		}
	}
	err = x.Change(func(ctx context.Context) error {
		id, err := createGrant(ctx, x.AWS, x.Place(), *o)
		if err == nil {
			o.Grant = id
		}
		return err
	})
	switch {
	case err == nil:
		return ", with a grant for its key", owe(x, x.Finish, *o)
	case ended(err) || respond.Transient(err) || !refused(err):
		return "", err
	}
	o.Name, o.Retiring = "", ""
	return "; a grant for its key was refused (" + short(err) + "), so the key's own policy must allow it", owe(x, x.Finish, *o)
}

// createGrant asks for the grant. The same name and the same words give the same
// grant again.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func createGrant(ctx context.Context, a awscalls.AWS, place awscalls.Place, o opened) (id string, err error) {
	c, err := a.KMS(ctx, place)
	if err != nil {
		return "", err
	}
	in := &kms.CreateGrantInput{KeyId: aws.String(o.Key), GranteePrincipal: aws.String("arn:" + partition(place.Region) + ":iam::" + o.With + ":root"), Name: aws.String(o.Name), Operations: allowed}
	if o.Retiring != "" {
		in.RetiringPrincipal = aws.String(o.Retiring)
	}
	out, err := c.CreateGrant(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.GrantId), nil
}

// caller is as whom the step works: the session of a role, or a user. Without it
// nobody but the account could retire the grant.
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
		OperationType: types.OperationTypeRemove, UserIds: []string{o.With}})
	if err != nil && !respond.Gone(err) {
		return err
	}
	return retire(ctx, a, place, o)
}

// retire ends the grant, also one whose id was never heard.
func retire(ctx context.Context, a awscalls.AWS, place awscalls.Place, o opened) error {
	if o.Grant == "" && o.Name == "" {
		return nil
	}
	if o.Grant == "" {
		id, err := createGrant(ctx, a, place, o)
		if respond.Is(err, "NotFoundException") {
			return nil // the key is gone, and its grants with it
		}
		if err != nil {
			return err
		}
		o.Grant = id
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
		Calls: map[awscalls.Role][]string{awscalls.Act: {"EC2.ModifySnapshotAttribute", "KMS.CreateGrant", "KMS.RetireGrant"}},
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
