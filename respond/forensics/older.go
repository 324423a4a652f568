package forensics

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// olderMost is how many older snapshots of a volume are locked, the newest ones.
// Backups may have made hundreds, and each that is locked costs until then.
const olderMost = 10

type olderParams struct {
	Snapshots []OldSnapshot `json:"snapshots"`
	Days      int           `json:"days"`
}

// older drafts the step that keeps snapshots of the volumes which were there
// before from being deleted. They show the disks as they were before the incident.
func (b *drafting) older() {
	if len(b.w.Older) == 0 {
		return
	}
	e := b.r.Policy.Evidence
	n := count(len(b.w.Older), "older snapshot")
	switch {
	case e.OlderSnapshots != "lock":
		b.gap("locks of "+n+" of its volumes", "the policy says that they are listed only (evidence.older_snapshots)")
		return
	case e.LockMode == "none" || e.LockMode == "" || e.LockDays <= 0:
		b.gap("locks of "+n+" of its volumes", "the policy says that snapshots are not locked (evidence.lock)")
		return
	}
	list := newestOf(b.w.Older)
	if left := len(b.w.Older) - len(list); left > 0 {
		b.gap("locks of "+count(left, "older snapshot")+" of its volumes", fmt.Sprintf("only the newest %d of each volume are locked; all are listed", olderMost))
	}
	b.add(respond.Step{ID: StepOlder, Action: actOlder, Role: awscalls.Act, Effect: respond.Creates, After: b.h.AfterAll,
		Title: fmt.Sprintf("%s: mark and lock (governance) for %s what others made of its volumes before: %s", b.w.Instance, count(e.LockDays, "day"), named(list))},
		olderParams{Snapshots: list, Days: e.LockDays})
	b.d.AlsoHits = append(b.d.AlsoHits, fmt.Sprintf("%s of its volumes cannot be deleted by backup plans or people without ec2:UnlockSnapshot for %s; the undo does not unlock them", count(len(list), "older snapshot"), count(e.LockDays, "day")))
}

// newestOf are the newest snapshots of each volume, by volume and age.
func newestOf(all []OldSnapshot) []OldSnapshot {
	list := slices.Clone(all)
	slices.SortFunc(list, func(a, b OldSnapshot) int {
		if n := strings.Compare(a.Volume, b.Volume); n != 0 {
			return n
		}
		if n := b.StartedAt.Compare(a.StartedAt); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	seen := map[string]int{}
	return slices.DeleteFunc(list, func(s OldSnapshot) bool {
		seen[s.Volume]++
		return seen[s.Volume] > olderMost
	})
}

func named(list []OldSnapshot) string {
	var out []string
	for i, s := range list {
		if i == 5 {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(list)-i)
		}
		out = append(out, s.ID)
	}
	return strings.Join(out, ", ")
}

// lockOlder marks and locks snapshots that others made, each by itself: one that
// is gone, or that may not be locked, is a gap and leaves the others. A lock that
// is there is never made shorter, and one in compliance mode is left alone.
func lockOlder(x *respond.Exec) (playbook.Outcome, error) {
	var p olderParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	wanted := x.Started().UTC().AddDate(0, 0, p.Days)
	done := 0
	for i, s := range p.Snapshots {
		key := "older/" + s.ID
		var have locked
		if !x.Load(key, &have) {
			var err error
			if have, err = lockOne(x, p, s, wanted); ended(err) || respond.Transient(err) {
				return playbook.Outcome{}, err
			} else if err != nil {
				if lacked := x.Lack("lock of the older snapshot "+s.ID, fault.Of(err).Error()); lacked != nil {
					return playbook.Outcome{}, lacked
				}
			}
			if err := x.Save(key, have); err != nil {
				return playbook.Outcome{}, err
			}
		}
		if have.Mode != "" {
			done++
			if err := olderItem(x, s, have); err != nil {
				return playbook.Outcome{}, err
			}
		}
		x.Progress(playbook.Progress{Done: int64(i + 1), Total: int64(len(p.Snapshots)), Unit: "snapshots"})
	}
	out := fmt.Sprintf("%d of %s locked; the undo does not unlock them", done, count(len(p.Snapshots), "older snapshot"))
	if done == 0 {
		return playbook.Outcome{State: playbook.Skipped, Message: out}, nil
	}
	return playbook.Outcome{Message: out}, nil
}

func lockOne(x *respond.Exec, p olderParams, s OldSnapshot, wanted time.Time) (locked, error) {
	have, err := lockOf(x, s.ID)
	switch {
	case respond.Gone(err):
		return locked{}, fault.New(fault.NotFound, s.ID+" does not exist any more", "somebody deleted it since the plan was made: look in CloudTrail and in the recycle bin")
	case err != nil && !respond.DeniedByAWS(err):
		return locked{}, err
	case err == nil && (have.Mode == "compliance" || enough(have, "governance", wanted, p.Days)):
		return have, nil // by somebody else, and better than ours
	}
	// The mark comes first: our role may lock only what carries it. It is that of
	// the incident alone, for what carries a run's may be shared.
	_, err = change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.CreateTagsOutput, error) {
		return c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{s.ID}, Tags: []types.Tag{{Key: aws.String(respond.TagIncident), Value: aws.String(x.Plan.Incident.String())}}})
	})
	if err != nil {
		return locked{}, explained(err, "mark "+s.ID)
	}
	have, err = setLock(x, snapshotParams{Mode: "governance", Days: p.Days}, s.ID, wanted, have)
	return have, explained(err, "lock "+s.ID)
}

// explained keeps an error that the runner must see as it is.
func explained(err error, what string) error {
	if err == nil || ended(err) || respond.Transient(err) {
		return err
	}
	return respond.Explain(err, what, "it is there, and whoever may delete snapshots may delete it")
}

func olderItem(x *respond.Exec, s OldSnapshot, l locked) error {
	id := own(x, of(stageOlder, s.ID))
	err := x.Preserve(evidence.Item{ID: id, Kind: evidence.Snapshot, Title: "older snapshot of " + s.Volume + ", which others made", Source: s.Volume, Location: s.ID,
		Account: x.Def.Account, Region: x.Def.Region, AWSTime: s.StartedAt, How: "found by EC2.DescribeSnapshots", Trust: trustAWS, Gap: "it was there before us, and its blocks were not hashed", LockMode: l.Mode, LockUntil: l.Until})
	if err != nil {
		return err
	}
	return x.Custody("locked", id, "", s.ID, l.words())
}
