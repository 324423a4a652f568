package forensics

import (
	"context"
	"fmt"
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

// lockSnapshot locks a snapshot, pending or complete, so that it cannot be
// deleted. It never shortens a lock that is there. Where it may not or cannot,
// the evidence stays and the gap is stated.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html
func lockSnapshot(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := snapshotOf(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	var have locked
	if x.Load(savedLocked, &have) {
		return lockedOutcome(x, p, id, have)
	}
	wanted := x.Started().UTC().AddDate(0, 0, p.Days)
	have, err = lockOf(x, id)
	if err != nil && !respond.DeniedByAWS(err) { // who may lock may perhaps not look
		return playbook.Outcome{}, early(x, err, x.Started())
	}
	if !enough(have, p.Mode, wanted, p.Days) {
		have, err = setLock(x, p, id, wanted, have)
	}
	if err != nil {
		return unlocked(x, id, err)
	}
	if err := x.Save(savedLocked, have); err != nil {
		return playbook.Outcome{}, err
	}
	return lockedOutcome(x, p, id, have)
}

// enough reports whether a lock holds at least as long as it should. That of a
// snapshot that is pending has no end yet: there its days are compared.
func enough(l locked, mode string, until time.Time, days int) bool {
	switch {
	case l.Mode == "" || l.Mode != mode && l.Mode != "compliance":
		return false
	case l.Pending:
		return l.Days >= days
	}
	return !l.Until.Before(until.Add(-time.Minute))
}

// lockOf is the lock of a snapshot; without a mode where there is none.
func lockOf(x *respond.Exec, id string) (locked, error) {
	return look(x, readHere(x), func(ctx context.Context, c awscalls.EC2) (locked, error) { return lockShown(ctx, c, id) })
}

func lockShown(ctx context.Context, c awscalls.EC2, id string) (locked, error) {
	out, err := c.DescribeLockedSnapshots(ctx, &ec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		return locked{}, err
	}
	for _, l := range out.Snapshots {
		if aws.ToString(l.SnapshotId) != id {
			continue
		}
		return lockedAs(l), nil
	}
	return locked{}, nil
}

// lockedAs reads a lock. While a snapshot is pending AWS leaves out when its lock
// ends, for the days start when it is completed; the earliest end is known.
// https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-lock-considerations.html
func lockedAs(l types.LockedSnapshotsInfo) locked {
	out := locked{Until: aws.ToTime(l.LockExpiresOn).UTC(), Days: int(aws.ToInt32(l.LockDuration))}
	switch l.LockState {
	case types.LockStateGovernance:
		out.Mode = "governance"
	case types.LockStateComplianceCooloff:
		out.Mode, out.Cools = "compliance", aws.ToTime(l.CoolOffPeriodExpiresOn).UTC()
	case types.LockStateCompliance:
		out.Mode = "compliance"
	default: // expired: it can be deleted
		return locked{}
	}
	if out.Pending = l.LockExpiresOn == nil; out.Pending && l.LockCreatedOn != nil {
		out.Until = l.LockCreatedOn.UTC().AddDate(0, 0, out.Days)
	}
	return out
}

// readHere is where a step looks: as the forensics role in the account of that
// role, and as the read role in the attacked account.
func readHere(x *respond.Exec) awscalls.Place {
	if x.Def.Role == awscalls.Forensics {
		return x.Place()
	}
	return x.In(awscalls.Read, x.Def.Account, x.Def.Region)
}

// setLock locks, and looks whether it is locked: a success of the call alone
// proves nothing. A compliance lock is never set without a cool-off: it would be
// final at once.
func setLock(x *respond.Exec, p snapshotParams, id string, wanted time.Time, before locked) (locked, error) {
	in := &ec2.LockSnapshotInput{SnapshotId: aws.String(id), LockMode: types.LockModeGovernance, LockDuration: aws.Int32(int32(p.Days))} //nolint:gosec // days of a policy
	if p.Mode == "compliance" {
		in.LockMode = types.LockModeCompliance
		if before.Mode != "compliance" || !before.Cools.IsZero() { // one that is final can only be made longer
			in.CoolOffPeriod = aws.Int32(int32(coolOff(p.CoolOff))) //nolint:gosec // 1 to 72
		}
	}
	out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.LockSnapshotOutput, error) {
		return c.LockSnapshot(ctx, in)
	})
	if respond.Is(err, "IncorrectState*") { // pending and complete ones can be locked: it is in an error, and stays so
		return locked{}, playbook.Permanent(fault.Wrap(fault.Conflict, respond.Worded(err), id+" cannot be locked", "nothing was changed; the other snapshots go on", "see what became of the snapshot"))
	}
	if err != nil {
		return locked{}, early(x, err, x.Started())
	}
	answered := locked{Mode: p.Mode, Until: aws.ToTime(out.LockExpiresOn).UTC(), Days: p.Days, Pending: out.LockExpiresOn == nil, Cools: aws.ToTime(out.CoolOffPeriodExpiresOn).UTC()}
	if answered.Pending {
		answered.Until = wanted
	}
	for begun := x.Now(); ; {
		have, err := lockOf(x, id)
		switch {
		case err != nil && respond.DeniedByAWS(err):
			answered.Unseen = short(err)
			return answered, nil // AWS said so
		case err != nil && !respond.Gone(err):
			return locked{}, err
		case err == nil && enough(have, p.Mode, answered.Until, p.Days):
			if have.Until.IsZero() {
				have.Until = answered.Until
			}
			return have, nil
		case x.Now().Sub(begun) >= settle:
			return locked{}, playbook.Permanent(fault.New(fault.Unavailable, "AWS took the lock of "+id+" and does not show it", "look at the snapshot in AWS"))
		}
		if err := x.Sleep(5 * time.Second); err != nil {
			return locked{}, err
		}
	}
}

// coolOff are the hours for which a compliance lock can be taken back. What is
// not set, or is nothing that AWS takes, is a day.
func coolOff(hours int) int {
	if hours < 1 || hours > 72 {
		return 24
	}
	return hours
}

func lockedOutcome(x *respond.Exec, p snapshotParams, id string, l locked) (playbook.Outcome, error) {
	i := evidence.Merge(item(x, itemID(x, p)), evidence.Item{ID: itemID(x, p), LockMode: l.Mode, LockUntil: l.Until})
	if err := x.Preserve(i); err != nil {
		return playbook.Outcome{}, err
	}
	out := playbook.Outcome{Message: fmt.Sprintf("%s is locked (%s) until %s", id, l.Mode, l.Until.Format("2006-01-02"))}
	if l.Pending {
		out.Message = fmt.Sprintf("%s is locked (%s) for %s from its completion on, until %s at least", id, l.Mode, count(l.Days, "day"), l.Until.Format("2006-01-02"))
	}
	if !l.Cools.IsZero() {
		out.Message += ", and can be taken back until " + l.Cools.Format(time.RFC3339)
	}
	if l.Unseen != "" {
		out.Message += ", as AWS said; it could not be looked at: " + l.Unseen
	}
	return out, x.Custody("locked", i.ID, "", id, l.words())
}

// words say of a lock what it is and how long it holds.
func (l locked) words() string {
	if l.Pending {
		return fmt.Sprintf("%s for %s from completion on, until %s at least", l.Mode, count(l.Days, "day"), l.Until.Format(time.RFC3339))
	}
	return l.Mode + " until " + l.Until.Format(time.RFC3339)
}

// counted records when the lock of a snapshot ends, once it is completed: before,
// AWS does not know it. Where there is none, or it cannot be looked at, the step
// that locks says so: the snapshot is complete all the same.
func counted(x *respond.Exec, p snapshotParams, id string) (evidence.Item, string, error) {
	if _, planned := stepOf(x.Plan.Steps, own(x, of(stageLock, p.Volume.ID))); !planned {
		return evidence.Item{}, "", nil
	}
	l, err := lockOf(x, id)
	for try := 0; err != nil && !ended(err) && respond.Transient(err) && try < 5; try++ {
		if err := x.Sleep(time.Second << try); err != nil {
			return evidence.Item{}, "", err
		}
		l, err = lockOf(x, id)
	}
	if ended(err) {
		return evidence.Item{}, "", err
	}
	if seen := err == nil && l.Mode != "" && !l.Pending; !seen {
		return evidence.Item{}, "", nil
	}
	if err := x.Custody("locked", own(x, of(stageSnapshot, p.Volume.ID)), "", id, l.words()+", as AWS counts since it is completed"); err != nil {
		return evidence.Item{}, "", err
	}
	return evidence.Item{LockMode: l.Mode, LockUntil: l.Until}, "; it is locked (" + l.words() + ")", nil
}

// itemID is the item that a step about a snapshot is about.
func itemID(x *respond.Exec, p snapshotParams) string {
	if stageOf(p.From) == stageCopy || stageOf(local(x)) == stageLockCopy {
		return own(x, of(stageCopy, p.Volume.ID))
	}
	return own(x, of(stageSnapshot, p.Volume.ID))
}

// unlocked fails the step where the snapshot is not locked: nothing else needs it,
// and a person must know. The report states the gap.
func unlocked(x *respond.Exec, id string, err error) (playbook.Outcome, error) {
	if ended(err) || respond.Transient(err) {
		return playbook.Outcome{}, err
	}
	if respond.Is(err, "UnsupportedOperation", "InvalidAction", "InvalidRequest") {
		return playbook.Outcome{State: playbook.Skipped, Message: "AWS locks no snapshot in this region; whoever may delete snapshots may delete them"}, nil
	}
	return playbook.Outcome{}, respond.Explain(err, "lock "+id, "the snapshot is there, and whoever may delete snapshots may delete it")
}
