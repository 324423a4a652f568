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

// takeSet makes one snapshot of each volume that is attached now, by one call,
// so that all hold the same instant; a volume that the call leaves out gets one
// of its own. The ids are saved before anything waits on them: a pending
// snapshot already holds its point in time.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html
func takeSet(x *respond.Exec) (playbook.Outcome, error) {
	var p setParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := look(x, x.In(awscalls.Read, x.Def.Account, x.Def.Region), func(ctx context.Context, c awscalls.EC2) ([]types.Volume, error) {
		return attached(ctx, c, p.Instance)
	})
	if err != nil {
		return playbook.Outcome{}, respond.Explain(err, "describe the volumes of "+p.Instance, "no snapshot was made")
	}
	if len(now) == 0 {
		return playbook.Outcome{}, playbook.Permanent(fault.New(fault.Conflict, "no volume is attached to "+p.Instance+" any more", "look for detached volumes and older snapshots"))
	}
	set, why, err := wholeSet(x, p, now)
	if err != nil {
		return playbook.Outcome{}, err
	}
	all, failed, err := rest(x, p, now, set, why)
	if err != nil {
		return playbook.Outcome{}, err
	}
	return recordSet(x, p, now, all, failed, why)
}

// wholeSet makes the set by one call. Why says why there is none; err ends the attempt.
func wholeSet(x *respond.Exec, p setParams, now []types.Volume) (list []made, why string, err error) {
	if x.Load("no_set", &why) {
		return nil, why, nil
	}
	list, err = once(x, "set", func() ([]made, bool, error) {
		found, err := findMade(x, readHere(x))
		return found, len(found) >= len(now), err
	}, func() ([]made, error) {
		list, err := createSet(x, p, p.CopyTags)
		if p.CopyTags && respond.Is(err, "TagLimitExceeded", "InvalidTag*", "InvalidParameter*") {
			return createSet(x, p, false) // the volumes' own tags are not worth the evidence
		}
		return list, err
	})
	if err == nil {
		for i := range list {
			list[i].Set = true
		}
		return list, "", nil
	}
	if ended(err) || respond.Transient(err) {
		return nil, "", err
	}
	why = "snapshots by one call failed: " + short(err)
	return nil, why, x.Save("no_set", why)
}

func createSet(x *respond.Exec, p setParams, copyTags bool) ([]made, error) {
	in := &ec2.CreateSnapshotsInput{
		InstanceSpecification: &types.InstanceSpecification{InstanceId: aws.String(p.Instance), ExcludeBootVolume: aws.Bool(false)},
		Description:           aws.String(description(x, p.Instance)),
		TagSpecifications:     tagged(x, types.ResourceTypeSnapshot, "", time.Time{}, nil),
	}
	if copyTags {
		in.CopyTagsFromSource = types.CopyTagsFromSourceVolume
	}
	out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.CreateSnapshotsOutput, error) {
		return c.CreateSnapshots(ctx, in)
	})
	if err != nil {
		return nil, err
	}
	list := make([]made, 0, len(out.Snapshots))
	for _, s := range out.Snapshots {
		list = append(list, made{ID: aws.ToString(s.SnapshotId), Volume: aws.ToString(s.VolumeId), At: aws.ToTime(s.StartTime).UTC(), GiB: int64(aws.ToInt32(s.VolumeSize))})
	}
	return list, nil
}

func description(x *respond.Exec, what string) string {
	return fmt.Sprintf("guardroom %s: evidence of %s", x.Plan.Incident, what)
}

// findMade are the snapshots with the tags of this step.
func findMade(x *respond.Exec, p awscalls.Place) ([]made, error) {
	found, err := look(x, p, func(ctx context.Context, c awscalls.EC2) ([]types.Snapshot, error) {
		return snapshots(ctx, c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: ours(x)})
	})
	list := make([]made, 0, len(found))
	for _, s := range found {
		list = append(list, made{ID: aws.ToString(s.SnapshotId), Volume: aws.ToString(s.VolumeId), At: aws.ToTime(s.StartTime).UTC(), GiB: int64(aws.ToInt32(s.VolumeSize))})
	}
	slices.SortFunc(list, func(a, b made) int { return strings.Compare(a.ID, b.ID) })
	return list, err
}

// rest makes a snapshot of its own of each volume that the set lacks. One that
// fails leaves the others.
func rest(x *respond.Exec, p setParams, now []types.Volume, set []made, why string) (all []made, failed map[string]string, err error) {
	all, failed = slices.Clone(set), map[string]string{}
	for _, v := range now {
		id := aws.ToString(v.VolumeId)
		if slices.ContainsFunc(set, func(m made) bool { return m.Volume == id }) {
			continue
		}
		one, err := single(x, p, id, all)
		switch {
		case err == nil:
			all = append(all, one...)
		case ended(err) || respond.Transient(err):
			return nil, nil, err
		default:
			failed[id] = short(err)
			if why != "" {
				failed[id] += " (" + why + ")"
			}
		}
	}
	return all, failed, nil
}

func single(x *respond.Exec, p setParams, volume string, have []made) ([]made, error) {
	var failed string
	key := "one/" + volume
	if x.Load(key+"_failed", &failed) {
		return nil, playbook.Permanent(fault.New(fault.Conflict, failed, ""))
	}
	list, err := once(x, key, func() ([]made, bool, error) {
		found, err := findMade(x, readHere(x))
		found = slices.DeleteFunc(found, func(m made) bool {
			return m.Volume != volume || slices.ContainsFunc(have, func(h made) bool { return h.ID == m.ID })
		})
		return found, len(found) > 0, err
	}, func() ([]made, error) {
		out, err := change(x, x.Place(), func(ctx context.Context, c awscalls.EC2) (*ec2.CreateSnapshotOutput, error) {
			return c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: aws.String(volume), Description: aws.String(description(x, p.Instance)),
				TagSpecifications: tagged(x, types.ResourceTypeSnapshot, "", time.Time{}, nil)})
		})
		if err != nil {
			return nil, err
		}
		return []made{{ID: aws.ToString(out.SnapshotId), Volume: volume, At: aws.ToTime(out.StartTime).UTC(), GiB: int64(aws.ToInt32(out.VolumeSize))}}, nil
	})
	if err != nil && !ended(err) && !respond.Transient(err) {
		if saved := x.Save(key+"_failed", short(err)); saved != nil {
			return nil, saved
		}
	}
	return list, err
}

// recordSet saves what was made and states what was not.
func recordSet(x *respond.Exec, p setParams, now []types.Volume, all []made, failed map[string]string, why string) (playbook.Outcome, error) {
	by := map[string]made{}
	for _, m := range all {
		if _, twice := by[m.Volume]; !twice || m.Set {
			by[m.Volume] = m
		}
	}
	var alone []string // of a call of its own
	for _, v := range now {
		id := aws.ToString(v.VolumeId)
		m, ok := by[id]
		if !ok {
			if slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.ID == id }) {
				continue // the report says so
			}
			if err := x.Lack("snapshot of "+id, failed[id]); err != nil {
				return playbook.Outcome{}, err
			}
			continue
		}
		if m.GiB == 0 {
			m.GiB = int64(aws.ToInt32(v.Size))
		}
		m.Key = aws.ToString(v.KmsKeyId)
		by[id] = m
		if err := x.Preserve(itemOfSnapshot(x, p, m, deviceOn(v, p.Instance))); err != nil {
			return playbook.Outcome{}, err
		}
		if err := x.Custody("acquired", own(x, of(stageSnapshot, id)), id, m.ID, "snapshot before the volume changes further"); err != nil {
			return playbook.Outcome{}, err
		}
		if !m.Set {
			alone = append(alone, id)
		}
		if !slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.ID == id }) {
			if err := x.Lack("lock, hash and working copy of "+id, "it was attached after the plan was made; its snapshot "+m.ID+" is kept"); err != nil {
				return playbook.Outcome{}, err
			}
		}
	}
	if len(alone) > 0 {
		slices.Sort(alone)
		if err := x.Lack("one instant of "+listOfWords(alone), "each snapshot was made by a call of its own ("+why+")"); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := extra(x, all, by); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(savedFailed, failed); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Save(savedSnapshots, by); err != nil {
		return playbook.Outcome{}, err
	}
	if len(by) == 0 {
		return playbook.Outcome{}, playbook.Permanent(fault.New(fault.Unavailable, "no snapshot could be made of any volume of "+p.Instance+": "+reasons(failed), "mend what AWS says and make a plan for what is missing"))
	}
	out := playbook.Outcome{Message: fmt.Sprintf("%s: %s", count(len(by), "snapshot"), listOf(by))}
	if len(failed) > 0 {
		out.Message += "; none of " + reasons(failed)
	}
	return out, nil
}

// extra records snapshots beyond one for each volume: they are kept, never deleted by us.
func extra(x *respond.Exec, all []made, by map[string]made) error {
	for _, m := range all {
		if by[m.Volume].ID == m.ID {
			continue
		}
		err := x.Preserve(evidence.Item{ID: own(x, "snapshot/extra/"+m.ID), Kind: evidence.Snapshot, Title: m.ID + ", a second snapshot of " + m.Volume, Source: m.Volume, Location: m.ID,
			Account: x.Def.Account, Region: x.Def.Region, SizeBytes: m.GiB << 30, AWSTime: m.At, How: "EC2.CreateSnapshots", Trust: trustAWS, Gap: "it is not the one that is hashed"})
		if err != nil {
			return err
		}
	}
	return nil
}

// trustAWS is of what AWS itself made or said, trustHost of what the attacked
// host had in its hands.
const (
	trustAWS  = "aws api"
	trustHost = "untrusted host"
)

func itemOfSnapshot(x *respond.Exec, p setParams, m made, device string) evidence.Item {
	i := evidence.Item{ID: own(x, of(stageSnapshot, m.Volume)), Kind: evidence.Snapshot, Title: fmt.Sprintf("snapshot of %s (%s)", m.Volume, clean(device)), Source: m.Volume, Location: m.ID,
		Account: x.Def.Account, Region: x.Def.Region, Device: device, SizeBytes: m.GiB << 30, AWSTime: m.At, Key: m.Key, How: "EC2.CreateSnapshot", Trust: trustAWS,
		Gap: "its blocks were not hashed"}
	if m.Set {
		i.How = "EC2.CreateSnapshots"
		i.Set = "instant of " + string(x.RunID) + "/" + p.Instance
	}
	return i
}

func listOf(by map[string]made) string {
	var out []string
	for _, v := range sortedKeys(by) {
		out = append(out, by[v].ID+" of "+v)
	}
	return strings.Join(out, ", ")
}

// reasons names each reason once, with all that failed of it.
func reasons(failed map[string]string) string {
	var out, seen []string
	for _, v := range sortedKeys(failed) {
		if why := failed[v]; !slices.Contains(seen, why) {
			seen = append(seen, why)
			same := slices.DeleteFunc(sortedKeys(failed), func(o string) bool { return failed[o] != why })
			out = append(out, listOfWords(same)+": "+why)
		}
	}
	return strings.Join(out, "; ")
}
