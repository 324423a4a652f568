package sim

import "time"

// Times are how long things take. A field that is 0 has its default, which is
// near what AWS takes.
type Times struct {
	// Boot is pending to running; StatusShown until DescribeInstanceStatus lists
	// the instance at all, StatusOK until both checks pass, counted from running.
	Boot, StatusShown, StatusOK time.Duration
	// Stop and ShutDown are how long an instance takes to stop and to terminate;
	// Forget is how long a terminated one is still described.
	Stop, ShutDown, Forget time.Duration
	// SnapshotPerGiB and CopyPerGiB grow with the size of the volume; no
	// snapshot takes less than SnapshotLeast.
	SnapshotPerGiB, CopyPerGiB, SnapshotLeast time.Duration
	// CreateVolume, AttachVolume and DetachVolume are those of volumes.
	CreateVolume, AttachVolume, DetachVolume time.Duration
	// Metadata is pending to applied; Profile how long an association takes.
	Metadata, Profile time.Duration
	// NewAddress is until an interface that was launched with an automatic public
	// address gets a new one, after its Elastic IP has gone.
	NewAddress time.Duration
	// Drain is how long a target drains; Register until it is healthy.
	Drain, Register time.Duration
	// Detach is how long an Auto Scaling group takes to let an instance go or to
	// put it into standby, after the lifecycle state has changed.
	Detach time.Duration
	// Unhealthy is how long an instance must fail before its group terminates
	// it; Replace is how long the group waits before it launches another.
	Unhealthy, Replace time.Duration
	// Untrack is how long rules must allow everything before a tracked flow is
	// no longer tracked: the time between two of its packets.
	Untrack time.Duration
	// FlowRecords is how long after its interval a flow record is delivered;
	// FlowInterval is the aggregation interval of a minute, at least 1 s.
	FlowRecords, FlowInterval time.Duration
	// Retransmit is how long a connection that is cut still sends packets.
	Retransmit time.Duration
	// Provision is until provisioned concurrency that is asked for is allocated.
	Provision time.Duration
}

func defaultTimes() Times {
	return Times{
		Boot: 20 * time.Second, StatusShown: 30 * time.Second, StatusOK: 150 * time.Second,
		Stop: 30 * time.Second, ShutDown: 30 * time.Second, Forget: time.Hour,
		SnapshotPerGiB: 6 * time.Second, CopyPerGiB: 5 * time.Second, SnapshotLeast: 20 * time.Second,
		CreateVolume: 5 * time.Second, AttachVolume: 3 * time.Second, DetachVolume: 3 * time.Second,
		Metadata: 4 * time.Second, Profile: 3 * time.Second,
		NewAddress: 45 * time.Second,
		Drain:      300 * time.Second, Register: 30 * time.Second,
		Detach: 10 * time.Second, Unhealthy: 60 * time.Second, Replace: 20 * time.Second,
		Untrack:     time.Second,
		FlowRecords: 3 * time.Minute, FlowInterval: time.Minute, Retransmit: 924 * time.Second,
		Provision: 90 * time.Second,
	}
}

// times are the durations of the world: what is set, else the default, made
// shorter by Speed.
func (w *World) times() Times {
	t, d := w.opts.Times, defaultTimes()
	for _, f := range []struct {
		have *time.Duration
		want time.Duration
	}{
		{&t.Boot, d.Boot}, {&t.StatusShown, d.StatusShown}, {&t.StatusOK, d.StatusOK},
		{&t.Stop, d.Stop}, {&t.ShutDown, d.ShutDown}, {&t.Forget, d.Forget},
		{&t.SnapshotPerGiB, d.SnapshotPerGiB}, {&t.CopyPerGiB, d.CopyPerGiB}, {&t.SnapshotLeast, d.SnapshotLeast},
		{&t.CreateVolume, d.CreateVolume}, {&t.AttachVolume, d.AttachVolume}, {&t.DetachVolume, d.DetachVolume},
		{&t.Metadata, d.Metadata}, {&t.Profile, d.Profile}, {&t.NewAddress, d.NewAddress}, {&t.Drain, d.Drain}, {&t.Register, d.Register},
		{&t.Detach, d.Detach}, {&t.Unhealthy, d.Unhealthy}, {&t.Replace, d.Replace}, {&t.Untrack, d.Untrack},
		{&t.FlowRecords, d.FlowRecords}, {&t.FlowInterval, d.FlowInterval}, {&t.Retransmit, d.Retransmit}, {&t.Provision, d.Provision},
	} {
		if *f.have == 0 {
			*f.have = f.want
		}
		if w.opts.Speed > 0 {
			*f.have = time.Duration(float64(*f.have) / w.opts.Speed)
		}
	}
	return t
}

// Quotas are limits that AWS sets. A field that is 0 has AWS's default.
type Quotas struct {
	// GroupsPerInterface is 5, RulesPerGroup 60 in each direction,
	// GroupsPerRegion 2500, EntriesPerACL 20 in each direction.
	GroupsPerInterface, RulesPerGroup, GroupsPerRegion, EntriesPerACL int
	// SnapshotsPerVolume is 5 in progress, Copies 20 at once to a region.
	SnapshotsPerVolume, Copies int
	// Attachments is how many volumes an instance takes; 0: by its type.
	Attachments int
}

func (w *World) quotas() Quotas {
	q := w.opts.Quotas
	for _, f := range []struct {
		have *int
		want int
	}{
		{&q.GroupsPerInterface, 5}, {&q.RulesPerGroup, 60}, {&q.GroupsPerRegion, 2500}, {&q.EntriesPerACL, 20},
		{&q.SnapshotsPerVolume, 5}, {&q.Copies, 20},
	} {
		if *f.have == 0 {
			*f.have = f.want
		}
	}
	return q
}
