package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// SnapshotScript is what becomes of the next snapshot of a volume.
type SnapshotScript struct {
	// Refuse is the error code with which the call fails; empty: it does not.
	Refuse string `json:"refuse,omitempty"`
	// Message is the state message of a snapshot that ends in error; empty: it is
	// completed.
	Message string `json:"message,omitempty"`
	// Takes is how long it takes; 0: by its size.
	Takes time.Duration `json:"takes,omitempty"`
}

// state is the state of a snapshot at a time.
func (p *snapshot) state(now time.Time) string {
	switch {
	case now.Before(p.Ends):
		return "pending"
	case p.Fails != "":
		return "error"
	}
	return "completed"
}

// progress is empty at first, then a percentage.
func (p *snapshot) progress(now time.Time) string {
	switch p.state(now) {
	case "completed":
		return "100%"
	case "error":
		return "0%"
	}
	whole := p.Ends.Sub(p.Made)
	if whole <= 0 {
		return ""
	}
	percent := int(100 * now.Sub(p.Made) / whole)
	if percent == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(percent, 99))
}

// snapshot is one that this account may read: its own, one that is shared with
// it, or a public one.
func (s *scope) snapshot(id *string) (*snapshot, error) {
	if p, ok := s.Snapshots[aws.ToString(id)]; ok && s.seen(p) {
		return p, nil
	}
	for _, p := range s.lent() {
		if p.ID == aws.ToString(id) {
			return p, nil
		}
	}
	return nil, kindSnapshot.missing(aws.ToString(id))
}

// lent are the snapshots of others in this region that this account may read.
func (s *scope) lent() []*snapshot {
	var out []*snapshot
	for _, accountID := range keysOf(s.w.state.Accounts) {
		r := s.w.state.Accounts[accountID].Regions[s.r.Name]
		if accountID == s.a.ID || r == nil {
			continue
		}
		for _, p := range inOrder(r.EC2.Snapshots) {
			if p.Public || slices.Contains(p.Shares, s.a.ID) {
				out = append(out, p)
			}
		}
	}
	return out
}

func (s *scope) snapshotFilters() filters[*snapshot] {
	return filters[*snapshot]{
		"snapshot-id": func(p *snapshot) []string { return one(p.ID) },
		"volume-id":   func(p *snapshot) []string { return one(p.Volume) },
		"status":      func(p *snapshot) []string { return one(p.state(s.now)) },
		"owner-id":    func(p *snapshot) []string { return one(p.Owner) },
		"description": func(p *snapshot) []string { return one(p.Description) },
		"encrypted":   func(p *snapshot) []string { return yes(p.Encrypted) },
		"progress":    func(p *snapshot) []string { return one(p.progress(s.now)) },
		"volume-size": func(p *snapshot) []string { return one(fmt.Sprint(p.Size)) },
	}
}

// DescribeSnapshots implements awscalls.EC2. Snapshots of others are without tags.
func (c *ec2Client) DescribeSnapshots(ctx context.Context, in *ec2.DescribeSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	return ec2Do(ctx, c, "DescribeSnapshots", false, in, func(s *scope) (*ec2.DescribeSnapshotsOutput, error) {
		readable := map[string]*snapshot{}
		maps.Copy(readable, s.Snapshots)
		for _, p := range s.lent() {
			readable[p.ID] = p
		}
		all, err := list(s, readable, kindSnapshot, in.SnapshotIds)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(p *snapshot) bool { return !s.owned(p, in.OwnerIds) || !s.restorable(p, in.RestorableByUserIds) })
		if all, err = s.snapshotFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.SnapshotIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeSnapshotsOutput{NextToken: next}
		for _, p := range all {
			out.Snapshots = append(out.Snapshots, s.showSnapshot(p))
		}
		return out, nil
	})
}

func (s *scope) owned(p *snapshot, owners []string) bool {
	return len(owners) == 0 || slices.Contains(owners, p.Owner) || p.Owner == s.a.ID && slices.Contains(owners, "self")
}

func (s *scope) restorable(p *snapshot, by []string) bool {
	if len(by) == 0 {
		return true
	}
	for _, who := range by {
		if who == "all" && p.Public || (who == "self" || who == s.a.ID) && p.Owner != s.a.ID || slices.Contains(p.Shares, who) {
			return true
		}
	}
	return false
}

func (s *scope) showSnapshot(p *snapshot) types.Snapshot {
	out := types.Snapshot{SnapshotId: aws.String(p.ID), VolumeId: aws.String(p.Volume), VolumeSize: aws.Int32(p.Size), OwnerId: aws.String(p.Owner),
		StartTime: aws.Time(p.Made), State: types.SnapshotState(p.state(s.now)), Progress: aws.String(p.progress(s.now)), Description: aws.String(p.Description),
		Encrypted: aws.Bool(p.Encrypted), StorageTier: types.StorageTierStandard}
	if p.Key != "" {
		out.KmsKeyId = aws.String(p.Key)
	}
	if p.Fails != "" && out.State == types.SnapshotStateError {
		out.StateMessage = aws.String(p.Fails)
	}
	if out.State == types.SnapshotStateCompleted {
		out.CompletionTime = aws.Time(p.Ends)
	}
	if p.Minutes > 0 {
		out.CompletionDurationMinutes = aws.Int32(p.Minutes)
	}
	if p.Owner == s.a.ID {
		out.Tags = tagList(p.Tags)
	}
	return out
}

// maySnapshot refuses a snapshot by the quota, the rate or the script.
func (s *scope) maySnapshot(v *volume) error {
	if v.State == "error" || v.State == "creating" {
		return fail("IncorrectState", "Volume '%s' is in the '%s' state", v.ID, v.State)
	}
	if len(v.Script) > 0 && v.Script[0].Refuse != "" {
		code := v.Script[0].Refuse
		v.Script = v.Script[1:]
		return fail(code, "The snapshot of %s was refused", v.ID)
	}
	pending, young := 0, false
	for _, p := range s.Snapshots {
		if p.Volume == v.ID && !p.Copy && p.state(s.now) == "pending" {
			pending++
			young = young || s.now.Sub(p.Made) < 15*time.Second
		}
	}
	most := s.w.quotas().SnapshotsPerVolume
	if v.Type == "sc1" || v.Type == "st1" {
		most = 1
	}
	if pending >= most {
		return fail("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
	}
	if young {
		return fail("SnapshotCreationPerVolumeRateExceeded", "The maximum per volume CreateSnapshot request rate has been exceeded. Use an increasing or variable sleep interval between requests.")
	}
	return nil
}

func (s *scope) newSnapshot(operation string, v *volume, description string, t tags) *snapshot {
	times := s.w.times()
	takes := max(times.SnapshotLeast, time.Duration(v.Size)*times.SnapshotPerGiB)
	p := &snapshot{made: s.born(operation, "snap-", t), Owner: s.a.ID, Volume: v.ID, Size: v.Size, Description: description,
		Content: v.Content, Encrypted: v.Encrypted, Key: v.Key, Codes: v.Codes}
	if len(v.Script) > 0 {
		p.Fails = v.Script[0].Message
		if v.Script[0].Takes > 0 {
			takes = v.Script[0].Takes
		}
		v.Script = v.Script[1:]
	}
	p.Ends = s.now.Add(takes)
	return keep(&s.Snapshots, p)
}

// CreateSnapshots implements awscalls.EC2: one for each volume of an instance, at
// the same instant, all or none.
func (c *ec2Client) CreateSnapshots(ctx context.Context, in *ec2.CreateSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.CreateSnapshotsOutput, error) {
	return ec2Do(ctx, c, "CreateSnapshots", true, in, func(s *scope) (*ec2.CreateSnapshotsOutput, error) {
		if in.InstanceSpecification == nil {
			return nil, fail("MissingParameter", "The request must contain the parameter InstanceSpecification")
		}
		i, err := get(s, s.Instances, kindInstance, in.InstanceSpecification.InstanceId)
		if err != nil {
			return nil, err
		}
		if i.State == "terminated" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is terminated", i.ID)
		}
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeSnapshot); err != nil {
			return nil, err
		}
		given, err := tagsFor(in.TagSpecifications, types.ResourceTypeSnapshot)
		if err != nil {
			return nil, err
		}
		volumes, err := s.toSnapshot(i, in.InstanceSpecification)
		if err != nil {
			return nil, err
		}
		all := make([]tags, len(volumes))
		for k, v := range volumes {
			if all[k], err = snapshotTags(v, given, in.CopyTagsFromSource == types.CopyTagsFromSourceVolume); err != nil {
				return nil, err
			}
			if err := s.maySnapshot(v); err != nil {
				return nil, err
			}
		}
		out := &ec2.CreateSnapshotsOutput{}
		for k, v := range volumes {
			shown := s.showSnapshot(s.newSnapshot("CreateSnapshots", v, aws.ToString(in.Description), all[k]))
			out.Snapshots = append(out.Snapshots, types.SnapshotInfo{SnapshotId: shown.SnapshotId, VolumeId: shown.VolumeId, VolumeSize: shown.VolumeSize, OwnerId: shown.OwnerId,
				StartTime: shown.StartTime, State: shown.State, Progress: shown.Progress, Description: shown.Description, Encrypted: shown.Encrypted, Tags: shown.Tags})
		}
		return out, nil
	})
}

func (s *scope) toSnapshot(i *instance, spec *types.InstanceSpecification) ([]*volume, error) {
	var out []*volume
	excluded := 0
	for _, m := range s.mounts(i.ID) {
		root := m.at.Device == i.RootDevice
		switch {
		case slices.Contains(spec.ExcludeDataVolumeIds, m.volume.ID) && root:
			return nil, fail("InvalidParameterValue", "%s is the root volume: use ExcludeBootVolume", m.volume.ID)
		case slices.Contains(spec.ExcludeDataVolumeIds, m.volume.ID):
			excluded++
		case root && aws.ToBool(spec.ExcludeBootVolume):
		default:
			out = append(out, m.volume)
		}
	}
	if excluded < len(spec.ExcludeDataVolumeIds) {
		return nil, fail("InvalidParameterValue", "A volume that is excluded is not attached to %s", i.ID)
	}
	if len(out) == 0 {
		return nil, fail("InvalidParameterValue", "The instance %s has no volumes to be snapshotted", i.ID)
	}
	return out, nil
}

// snapshotTags are the tags of the volume, when they are copied, and then ours.
func snapshotTags(v *volume, given tags, copyThem bool) (tags, error) {
	t := tags{}
	if copyThem {
		for k, val := range v.Tags {
			if !strings.HasPrefix(k, "aws:") {
				t[k] = val
			}
		}
	}
	return t, t.add(tagList(given))
}

// CreateSnapshot implements awscalls.EC2.
func (c *ec2Client) CreateSnapshot(ctx context.Context, in *ec2.CreateSnapshotInput, _ ...func(*ec2.Options)) (*ec2.CreateSnapshotOutput, error) {
	return ec2Do(ctx, c, "CreateSnapshot", true, in, func(s *scope) (*ec2.CreateSnapshotOutput, error) {
		v, err := get(s, s.Volumes, kindVolume, in.VolumeId)
		if err != nil {
			return nil, err
		}
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeSnapshot); err != nil {
			return nil, err
		}
		given, err := tagsFor(in.TagSpecifications, types.ResourceTypeSnapshot)
		if err != nil {
			return nil, err
		}
		if err := s.maySnapshot(v); err != nil {
			return nil, err
		}
		p := s.showSnapshot(s.newSnapshot("CreateSnapshot", v, aws.ToString(in.Description), given))
		return &ec2.CreateSnapshotOutput{SnapshotId: p.SnapshotId, VolumeId: p.VolumeId, VolumeSize: p.VolumeSize, OwnerId: p.OwnerId, StartTime: p.StartTime,
			State: p.State, Progress: p.Progress, Description: p.Description, Encrypted: p.Encrypted, KmsKeyId: p.KmsKeyId, Tags: p.Tags}, nil
	})
}

// CopySnapshot implements awscalls.EC2, called in the region that it copies to. A
// key that cannot be used is noticed only later: the copy ends in error.
func (c *ec2Client) CopySnapshot(ctx context.Context, in *ec2.CopySnapshotInput, _ ...func(*ec2.Options)) (*ec2.CopySnapshotOutput, error) {
	return ec2Do(ctx, c, "CopySnapshot", true, in, func(s *scope) (*ec2.CopySnapshotOutput, error) {
		if aws.ToString(in.SourceRegion) == "" {
			return nil, fail("MissingParameter", "The request must contain the parameter sourceRegion")
		}
		_, region := s.w.at(s.a.ID, *in.SourceRegion)
		from, err := s.w.scopeOf(s.a, region, s.now).snapshot(in.SourceSnapshotId)
		if err != nil {
			return nil, err
		}
		if from.state(s.now) != "completed" {
			return nil, fail("IncorrectState", "The source snapshot %s is in the state %s", from.ID, from.state(s.now))
		}
		if err := onlyKinds(in.TagSpecifications, types.ResourceTypeSnapshot); err != nil {
			return nil, err
		}
		t, err := tagsFor(in.TagSpecifications, types.ResourceTypeSnapshot)
		if err != nil {
			return nil, err
		}
		if err := s.mayCopy(in); err != nil {
			return nil, err
		}
		p := s.copyOf(from, in)
		p.made = s.born("CopySnapshot", "snap-", t)
		p.Volume = "vol-ffffffff" // AWS gives copies an arbitrary volume
		keep(&s.Snapshots, p)
		return &ec2.CopySnapshotOutput{SnapshotId: aws.String(p.ID), Tags: tagList(t)}, nil
	})
}

func (s *scope) mayCopy(in *ec2.CopySnapshotInput) error {
	if aws.ToString(in.KmsKeyId) != "" && !aws.ToBool(in.Encrypted) {
		return fail("InvalidParameterCombination", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if m := in.CompletionDurationMinutes; m != nil && (*m < 15 || *m > 2880 || *m%15 != 0) {
		return fail("InvalidParameterValue", "Value (%d) for parameter completionDurationMinutes is invalid: 15 to 2880, in steps of 15", *m)
	}
	running := 0
	for _, p := range s.Snapshots {
		if p.Copy && p.state(s.now) == "pending" {
			running++
		}
	}
	if running >= s.w.quotas().Copies {
		return fail("ResourceLimitExceeded", "Too many snapshot copies in progress. The limit is %d for this destination region.", s.w.quotas().Copies)
	}
	return nil
}

func (s *scope) copyOf(from *snapshot, in *ec2.CopySnapshotInput) *snapshot {
	times := s.w.times()
	takes := max(times.SnapshotLeast, time.Duration(from.Size)*times.CopyPerGiB)
	p := &snapshot{Owner: s.a.ID, Source: from.ID, Size: from.Size, Content: from.Content, Codes: from.Codes, Copy: true,
		Description: aws.ToString(in.Description), Minutes: aws.ToInt32(in.CompletionDurationMinutes)}
	if p.Minutes > 0 {
		takes = min(takes, time.Duration(p.Minutes)*time.Minute)
	}
	if from.Encrypted {
		p.Fails = s.keyProblem(from.Key)
	}
	if from.Encrypted || aws.ToBool(in.Encrypted) {
		p.Encrypted, p.Key = true, s.keyARN(aws.ToString(in.KmsKeyId))
		p.Fails = orText(p.Fails, s.keyProblem(p.Key))
	}
	if p.Fails != "" {
		takes = times.SnapshotLeast / 2
	}
	p.Ends = s.now.Add(takes)
	return p
}
