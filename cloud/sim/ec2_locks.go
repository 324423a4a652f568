package sim

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const day = 24 * time.Hour

// state is the state of a lock at a time.
func (l *lock) state(now time.Time) types.LockState {
	switch {
	case !now.Before(l.Expires):
		return types.LockStateExpired
	case l.Mode == "governance":
		return types.LockStateGovernance
	case now.Before(l.CoolEnds):
		return types.LockStateComplianceCooloff
	}
	return types.LockStateCompliance
}

// LockSnapshot implements awscalls.EC2. Locking again changes a lock; what is in
// compliance mode can only be made longer after its cooling off.
func (c *ec2Client) LockSnapshot(ctx context.Context, in *ec2.LockSnapshotInput, _ ...func(*ec2.Options)) (*ec2.LockSnapshotOutput, error) {
	return ec2Do(ctx, c, "LockSnapshot", true, in, func(s *scope) (*ec2.LockSnapshotOutput, error) {
		p, err := get(s, s.Snapshots, kindSnapshot, in.SnapshotId)
		if err != nil {
			return nil, err
		}
		l, err := s.lockOf(p, in)
		if err != nil {
			return nil, err
		}
		if have := p.Lock; have != nil {
			switch have.state(s.now) {
			case types.LockStateCompliance:
				if l.Mode != "compliance" || l.Expires.Before(have.Expires) || in.CoolOffPeriod != nil {
					return nil, fail("OperationNotPermitted", "The snapshot %s is locked in compliance mode: its lock can only be extended", p.ID)
				}
				l.Created, l.CoolOff, l.CoolEnds = have.Created, have.CoolOff, have.CoolEnds
			case types.LockStateComplianceCooloff, types.LockStateGovernance:
				l.Created = have.Created
			}
		}
		p.Lock = l
		shown := s.showLock(p)
		return &ec2.LockSnapshotOutput{SnapshotId: shown.SnapshotId, LockState: shown.LockState, LockDuration: shown.LockDuration, LockCreatedOn: shown.LockCreatedOn,
			LockDurationStartTime: shown.LockDurationStartTime, LockExpiresOn: shown.LockExpiresOn, CoolOffPeriod: shown.CoolOffPeriod, CoolOffPeriodExpiresOn: shown.CoolOffPeriodExpiresOn}, nil
	})
}

func (s *scope) lockOf(p *snapshot, in *ec2.LockSnapshotInput) (*lock, error) {
	l := &lock{Mode: string(in.LockMode), Created: s.now, Starts: s.now}
	if p.state(s.now) == "pending" {
		l.Starts = p.Ends // the time runs from completion
	}
	if p.state(s.now) == "error" {
		return nil, fail("IncorrectState", "The snapshot %s is in the error state", p.ID)
	}
	if l.Mode != "governance" && l.Mode != "compliance" {
		return nil, fail("InvalidParameterValue", "Value (%s) for parameter LockMode is invalid.", l.Mode)
	}
	if (in.LockDuration == nil) == (in.ExpirationDate == nil) {
		return nil, fail("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate")
	}
	if d := in.LockDuration; d != nil {
		if *d < 1 || *d > 36500 {
			return nil, fail("InvalidParameterValue", "Value (%d) for parameter LockDuration is invalid. Expecting 1 to 36500 days.", *d)
		}
		l.Days, l.Expires = *d, l.Starts.Add(time.Duration(*d)*day)
	} else {
		if !in.ExpirationDate.After(s.now) {
			return nil, fail("InvalidParameterValue", "The expiration date must be in the future")
		}
		l.Expires = in.ExpirationDate.UTC()
		l.Days = int32(l.Expires.Sub(s.now) / day) // #nosec G115 -- at most some 36500
	}
	if in.CoolOffPeriod == nil {
		return l, nil
	}
	if l.Mode == "governance" {
		return nil, fail("InvalidParameterCombination", "CoolOffPeriod cannot be specified in governance mode")
	}
	if *in.CoolOffPeriod < 1 || *in.CoolOffPeriod > 72 {
		return nil, fail("InvalidParameterValue", "Value (%d) for parameter CoolOffPeriod is invalid. Expecting 1 to 72 hours.", *in.CoolOffPeriod)
	}
	l.CoolOff, l.CoolEnds = *in.CoolOffPeriod, s.now.Add(time.Duration(*in.CoolOffPeriod)*time.Hour)
	return l, nil
}

// showLock shows a lock. When its days start and when they end is left out while
// the snapshot is pending: AWS does not know it before.
// https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-lock-considerations.html
func (s *scope) showLock(p *snapshot) types.LockedSnapshotsInfo {
	l := p.Lock
	out := types.LockedSnapshotsInfo{SnapshotId: aws.String(p.ID), OwnerId: aws.String(p.Owner), LockState: l.state(s.now), LockDuration: aws.Int32(l.Days),
		LockCreatedOn: aws.Time(l.Created), LockDurationStartTime: aws.Time(l.Starts), LockExpiresOn: aws.Time(l.Expires)}
	if p.state(s.now) == "pending" {
		out.LockDurationStartTime, out.LockExpiresOn = nil, nil
	}
	if l.CoolOff > 0 {
		out.CoolOffPeriod, out.CoolOffPeriodExpiresOn = aws.Int32(l.CoolOff), aws.Time(l.CoolEnds)
	}
	return out
}

// DescribeLockedSnapshots implements awscalls.EC2. One that is not locked is left
// out, also when it is named.
func (c *ec2Client) DescribeLockedSnapshots(ctx context.Context, in *ec2.DescribeLockedSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.DescribeLockedSnapshotsOutput, error) {
	return ec2Do(ctx, c, "DescribeLockedSnapshots", false, in, func(s *scope) (*ec2.DescribeLockedSnapshotsOutput, error) {
		all, err := list(s, s.Snapshots, kindSnapshot, in.SnapshotIds)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(p *snapshot) bool { return p.Lock == nil })
		table := filters[*snapshot]{"lock-state": func(p *snapshot) []string { return one(string(p.Lock.state(s.now))) }}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.SnapshotIds), Least: 1, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeLockedSnapshotsOutput{NextToken: next}
		for _, p := range all {
			out.Snapshots = append(out.Snapshots, s.showLock(p))
		}
		return out, nil
	})
}

var accountNumber = regexp.MustCompile(`^\d{12}$`)

// DescribeSnapshotAttribute implements awscalls.EC2, for the owner.
func (c *ec2Client) DescribeSnapshotAttribute(ctx context.Context, in *ec2.DescribeSnapshotAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeSnapshotAttributeOutput, error) {
	return ec2Do(ctx, c, "DescribeSnapshotAttribute", false, in, func(s *scope) (*ec2.DescribeSnapshotAttributeOutput, error) {
		p, err := get(s, s.Snapshots, kindSnapshot, in.SnapshotId)
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeSnapshotAttributeOutput{SnapshotId: in.SnapshotId}
		switch in.Attribute {
		case types.SnapshotAttributeNameProductCodes:
			out.ProductCodes = showCodes(p.Codes)
		case types.SnapshotAttributeNameCreateVolumePermission:
			out.CreateVolumePermissions = []types.CreateVolumePermission{}
			for _, who := range p.Shares {
				out.CreateVolumePermissions = append(out.CreateVolumePermissions, types.CreateVolumePermission{UserId: aws.String(who)})
			}
			if p.Public {
				out.CreateVolumePermissions = append(out.CreateVolumePermissions, types.CreateVolumePermission{Group: types.PermissionGroupAll})
			}
		default:
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
		}
		return out, nil
	})
}

// ModifySnapshotAttribute implements awscalls.EC2: who may make volumes of it.
func (c *ec2Client) ModifySnapshotAttribute(ctx context.Context, in *ec2.ModifySnapshotAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifySnapshotAttributeOutput, error) {
	return ec2Do(ctx, c, "ModifySnapshotAttribute", true, in, func(s *scope) (*ec2.ModifySnapshotAttributeOutput, error) {
		p, err := get(s, s.Snapshots, kindSnapshot, in.SnapshotId)
		if err != nil {
			return nil, err
		}
		if in.Attribute != "" && in.Attribute != types.SnapshotAttributeNameCreateVolumePermission {
			return nil, fail("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
		}
		add, remove, err := sharing(in)
		if err != nil {
			return nil, err
		}
		for _, who := range add {
			if err := s.mayShare(p, who); err != nil {
				return nil, err
			}
		}
		p.Shares, p.Public = share(p.Shares, p.Public, add, remove)
		return &ec2.ModifySnapshotAttributeOutput{}, nil
	})
}

// sharing are the accounts, or all, that are added or taken away.
func sharing(in *ec2.ModifySnapshotAttributeInput) (add, remove []string, err error) {
	if m := in.CreateVolumePermission; m != nil {
		for _, p := range m.Add {
			add = append(add, orText(aws.ToString(p.UserId), string(p.Group)))
		}
		for _, p := range m.Remove {
			remove = append(remove, orText(aws.ToString(p.UserId), string(p.Group)))
		}
	}
	named := slices.Concat(in.UserIds, in.GroupNames)
	switch in.OperationType {
	case types.OperationTypeAdd:
		add = append(add, named...)
	case types.OperationTypeRemove:
		remove = append(remove, named...)
	}
	return add, remove, checkSharing(add, remove)
}

func checkSharing(add, remove []string) error {
	if len(add) > 0 && len(remove) > 0 {
		return fail("InvalidParameterCombination", "Add and remove cannot be mixed in a call")
	}
	if len(add)+len(remove) == 0 {
		return fail("MissingParameter", "The request must contain the permission to add or to remove")
	}
	for _, who := range slices.Concat(add, remove) {
		if who != "all" && !accountNumber.MatchString(who) {
			return fail("InvalidUserID.Malformed", "Invalid user id: %q", who)
		}
	}
	return nil
}

func (s *scope) mayShare(p *snapshot, who string) error {
	if p.Encrypted {
		k, err := s.w.findKey(s.a.ID, s.r.Name, p.Key)
		if err == nil && k.AWSManaged {
			return fail("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
		}
	}
	if who != "all" {
		return nil
	}
	switch {
	case p.Encrypted:
		return fail("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
	case len(p.Codes) > 0:
		return fail("OperationNotPermitted", "Snapshots with product codes cannot be shared publicly")
	case !s.PublicOK:
		return fail("OperationNotPermitted", "Public sharing is blocked by the block public access settings of this region")
	}
	return nil
}

// share is a list of accounts, and whether it is public, after a change.
func share(have []string, public bool, add, remove []string) ([]string, bool) {
	for _, who := range add {
		if who == "all" {
			public = true
		} else if !slices.Contains(have, who) {
			have = append(have, who)
		}
	}
	for _, who := range remove {
		if who == "all" {
			public = false
		}
		have = slices.DeleteFunc(have, func(h string) bool { return h == who })
	}
	slices.Sort(have)
	return have, public
}
