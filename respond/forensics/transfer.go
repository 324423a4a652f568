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
	var id string
	var s types.Snapshot
	for {
		var failed []string
		x.Load("failed", &failed)
		if id, s, err = oneCopy(x, p, source, failed); err == nil {
			break
		}
		pause := time.Minute << len(failed)
		if s.State != types.SnapshotStateError || !granted(x, p, pause) {
			return playbook.Outcome{}, err // a wrong key is found only now, and AWS' words name it
		}
		// A grant is known everywhere only minutes after it was made, and a copy that
		// was begun before fails although AWS took it.
		if err := x.Lack("copy "+id+" of "+source, short(err)); err != nil {
			return playbook.Outcome{}, err
		}
		x.Progress(playbook.Progress{Message: id + " failed: " + said(s.StateMessage) + "; the grant may not be known everywhere yet, and another copy follows"})
		if err := x.Save("failed", append(failed, id)); err != nil {
			return playbook.Outcome{}, err
		}
		if err := x.Sleep(pause); err != nil {
			return playbook.Outcome{}, err
		}
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

// oneCopy makes a copy beside those that failed, and waits for its end.
func oneCopy(x *respond.Exec, p snapshotParams, source string, failed []string) (id string, s types.Snapshot, err error) {
	key := "copy"
	if n := len(failed); n > 0 {
		key = fmt.Sprintf("copy/%d", n+1)
	}
	list, err := once(x, key, func() ([]made, bool, error) {
		found, err := findMade(x, readHere(x))
		found = slices.DeleteFunc(found, func(m made) bool { return slices.Contains(failed, m.ID) })
		return found, len(found) > 0, err
	}, func() ([]made, error) { return startCopy(x, p, source) })
	if err != nil {
		return "", s, busy(respond.Explain(early(x, err, x.Started()), "copy "+source, "the original is untouched"), err)
	}
	id = list[0].ID
	if err := x.Save(savedSnapshot, id); err != nil {
		return id, s, err
	}
	s, err = complete(x, readHere(x), id, p.Volume)
	return id, s, err
}

// spreads is how long it takes at most until AWS knows a grant everywhere, twice.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
const spreads = 10 * time.Minute

// granted reports whether a copy fails perhaps only because the grant that the
// share made is not known everywhere, and another one after a pause may not.
func granted(x *respond.Exec, p snapshotParams, pause time.Duration) bool {
	rec, ok := x.Record(of(stageShare, p.Volume.ID))
	var o opened
	return ok && rec.Load("open", &o) && o.Grant != "" && x.Now().Add(pause).Before(rec.Ended.Add(spreads))
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
