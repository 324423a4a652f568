package forensics

import (
	"context"
	"fmt"
	"strconv"
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

// awaitSnapshot waits until the snapshot of one volume is complete.
func awaitSnapshot(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := snapshotOf(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(savedSnapshot, id); err != nil {
		return playbook.Outcome{}, err
	}
	s, err := complete(x, x.Place(), id, p.Volume)
	if err != nil {
		return playbook.Outcome{}, err
	}
	i, locked, err := counted(x, p, id)
	if err != nil {
		return playbook.Outcome{}, err
	}
	i.ID, i.Location, i.AWSTime, i.Key = own(x, of(stageSnapshot, p.Volume.ID)), id, aws.ToTime(s.StartTime).UTC(), aws.ToString(s.KmsKeyId)
	return playbook.Outcome{Message: fmt.Sprintf("%s of %s is complete%s", id, p.Volume.ID, locked)}, x.Preserve(evidence.Merge(item(x, i.ID), i))
}

const notAttached = "it was not attached any more"

// snapshotOf is the snapshot that the step From left for a volume.
func snapshotOf(x *respond.Exec, p snapshotParams) (string, error) {
	if p.From != StepSnapshots {
		var id string
		return id, x.Output(p.From, savedSnapshot, &id)
	}
	var by map[string]made
	if err := x.Output(p.From, savedSnapshots, &by); err != nil {
		return "", err
	}
	if m, ok := by[p.Volume.ID]; ok {
		return m.ID, nil
	}
	var failed map[string]string
	_ = x.Output(p.From, savedFailed, &failed) // an absent reason is no other error
	why := failed[p.Volume.ID]
	if why == "" {
		why = notAttached
	}
	return "", playbook.Permanent(fault.New(fault.Unavailable, "there is no snapshot of "+p.Volume.ID+": "+why, "make a plan for what is missing"))
}

// complete polls a snapshot until it is complete. One that went wrong is named
// with what AWS says of it.
func complete(x *respond.Exec, place awscalls.Place, id string, v Volume) (types.Snapshot, error) {
	var s types.Snapshot
	err := x.Poll(func() (bool, error) {
		list, err := look(x, place, func(ctx context.Context, c awscalls.EC2) ([]types.Snapshot, error) {
			return snapshots(ctx, c, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		})
		if respond.Gone(err) || err == nil && len(list) == 0 {
			if x.Now().Sub(x.Started()) < settle {
				return false, nil // AWS does not show it yet
			}
			return false, playbook.Permanent(fault.New(fault.NotFound, fmt.Sprintf("snapshot %s of %s does not exist any more", id, v.ID), "somebody deleted it: look in CloudTrail and in the recycle bin"))
		}
		if err != nil {
			return false, err
		}
		s = list[0]
		switch s.State {
		case types.SnapshotStateCompleted:
			x.Progress(playbook.Progress{Done: 100, Total: 100, Unit: "percent"})
			return true, nil
		case types.SnapshotStateError, types.SnapshotStateRecoverable, types.SnapshotStateRecovering:
			return false, playbook.Permanent(fault.New(fault.Unavailable, fmt.Sprintf("snapshot %s of %s is in state %s: %s", id, v.ID, s.State, said(s.StateMessage)), "the other volumes go on; make a plan for this one"))
		}
		x.Progress(progress(x, s.Progress, v.GiB))
		return false, nil
	})
	return s, err
}

func said(message *string) string {
	if m := clean(aws.ToString(message)); m != "" {
		return m
	}
	return "AWS does not say why"
}

// progress reads "62%", which is sometimes empty. The range is what was expected
// from the size, and narrower once there is something to go by.
func progress(x *respond.Exec, text *string, gib int64) playbook.Progress {
	short, long := estimate(gib)
	p := playbook.Progress{Unit: "percent", ShortestSeconds: int64(short / time.Second), LongestSeconds: int64(long / time.Second)}
	done, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(aws.ToString(text)), "%"))
	if err != nil || done < 0 || done > 100 {
		return p
	}
	p.Done, p.Total = int64(done), 100
	if done >= 10 {
		whole := int64(x.Now().Sub(x.Started())/time.Second) * 100 / int64(done)
		p.ShortestSeconds, p.LongestSeconds = whole*3/4, whole*3/2
	}
	return p
}

// item is what the steps of the run, in their order, said of an item.
func item(x *respond.Exec, id string) evidence.Item {
	out := evidence.Item{ID: id}
	for _, rec := range recordsOf(x) {
		items, _, _ := respond.EvidenceOf(rec)
		for _, i := range items {
			if i.ID == id {
				out = evidence.Merge(out, i)
			}
		}
	}
	return out
}

// recordsOf are the records of the plan's steps, of the same part, in their order.
func recordsOf(x *respond.Exec) []playbook.Record {
	var list []playbook.Record
	for _, s := range x.Plan.Steps {
		if s.Part != x.Def.Part {
			continue
		}
		if rec, ok := x.Record(localID(s)); ok {
			list = append(list, rec)
		}
	}
	return list
}
