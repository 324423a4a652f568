package forensics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Hooks are how acquisition fits into a larger plan. All are ids of steps that
// the plan has besides; the zero value is acquisition by itself.
type Hooks struct {
	// AfterAll are steps after which acquisition begins, for example the one
	// that marks the instance.
	AfterAll []string
	// AfterMemory are steps after which memory is taken, for example isolation
	// where that goes first.
	AfterMemory []string
	// MemoryLimit ends the taking of memory; 0: as long as it needs. A plan that
	// isolates after it sets this.
	MemoryLimit time.Duration
	// NoMemory is why a plan that isolates takes no memory; empty: it may.
	NoMemory string
	// Rehearsed says that the plan has dry runs besides; Trials are those of ours.
	Rehearsed bool
	// BeforeReport are steps that the report waits for.
	BeforeReport []string
}

// drafting gathers the steps of one acquisition.
type drafting struct {
	w World
	r respond.Request
	h Hooks
	d respond.Draft

	home  string // the account that keeps the evidence
	away  bool   // it is another one than the attacked
	gaps  []evidence.Gap
	calls map[string]respond.Action
	ends  []string // steps that the report waits for
}

// Steps drafts the acquisition of an instance. It does no I/O. Of the draft, the
// target's name and ARN, steps, will-nots, guards and estimates are filled in; a
// plan over more takes over what it needs. The steps that change credentials or
// the network and must not come before memory name VolatileSteps in After.
func Steps(w World, r respond.Request, h Hooks) (respond.Draft, error) {
	b := &drafting{w: w, r: r, h: h, home: home(r.Policy, w.Account), away: away(r.Policy, w.Account), calls: respond.NewActions(Actions())}
	b.d.Target = r.Target
	b.d.Target.Name, b.d.Target.ARN = w.Name, w.ARN
	b.volatile()
	b.memory()
	b.snapshots()
	b.older()
	b.bench()
	if err := b.rehearsed(); err != nil {
		return b.d, err
	}
	b.closing()
	b.lines()
	return b.d, nil
}

// VolatileSteps are the ids of those steps that must have ended before the
// instance loses its credentials or its network, if volatile evidence goes first.
func VolatileSteps(steps []respond.Step) []string {
	var ids []string
	for _, s := range steps {
		if stageOf(s.ID) == "volatile" || s.ID == StepMemory {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// add adds a step at the attacked instance, or in the account that keeps the
// evidence where its role is Forensics.
func (b *drafting) add(s respond.Step, params any) {
	a := b.calls[s.Action]
	s.Account, s.Region = b.w.Account, b.w.Region
	if s.Role == awscalls.Forensics {
		s.Account = b.home
	}
	for _, role := range []awscalls.Role{awscalls.Act, awscalls.Forensics} {
		for _, c := range a.Calls[role] {
			if changes(c) && !slices.Contains(s.Calls, c) {
				s.Calls = append(s.Calls, c)
			}
		}
	}
	if s.Stage == "" {
		s.Stage = stageOf(s.ID)
	}
	s.Params = raw(params)
	b.d.Steps = append(b.d.Steps, s)
	b.ends = append(b.ends, s.ID)
}

// changes reports whether a call changes something, by its name.
func changes(call string) bool {
	_, op, _ := strings.Cut(call, ".")
	for _, p := range []string{"Describe", "Get", "List", "Head"} {
		if strings.HasPrefix(op, p) {
			return false
		}
	}
	return true
}

// gap notes what is known to be missing when the plan is made.
func (b *drafting) gap(what, why string) {
	b.gaps = append(b.gaps, evidence.Gap{What: what, Why: why})
}

// volatile is what AWS shows of the instance now. None of it touches the host.
func (b *drafting) volatile() {
	if b.r.Policy.Evidence.Bucket == "" {
		b.gap("console, metadata, user data and events of "+b.w.Instance, "no evidence bucket is configured to keep them (evidence.bucket)")
		return
	}
	p := instanceParams{Instance: b.w.Instance}
	step := func(id, action, title string) {
		b.add(respond.Step{ID: id, Action: action, Title: title, Role: awscalls.Read, Effect: respond.Creates, After: b.h.AfterAll}, p)
	}
	if b.w.State == "running" {
		step(StepScreenshot, actScreenshot, b.w.Instance+": keep a picture of the console")
	} else {
		b.gap("picture of the console of "+b.w.Instance, "it is "+b.w.State)
	}
	step(StepConsole, actConsole, b.w.Instance+": keep the console output")
	step(StepMetadata, actMetadata, b.w.Instance+": keep what AWS says of the instance, its volumes and interfaces")
	step(StepUserData, actUserData, b.w.Instance+": keep the user data, which may hold secrets and is never shown")
	b.trail()
}

// snapshots are the steps up to copies that are safe.
func (b *drafting) snapshots() {
	if len(b.w.Volumes) == 0 {
		b.gap("disks of "+b.w.Instance, "it has no EBS volume")
		return
	}
	copyTags := !slices.ContainsFunc(b.w.Volumes, func(v Volume) bool { return v.OurTags })
	b.add(respond.Step{ID: StepSnapshots, Action: actSnapshots, Role: awscalls.Act, Effect: respond.Creates, After: b.h.AfterAll,
		Title: fmt.Sprintf("%s: snapshots of %s at one instant", b.w.Instance, count(len(b.w.Volumes), "volume"))},
		setParams{Instance: b.w.Instance, Volumes: b.w.Volumes, CopyTags: copyTags})
	for _, v := range b.w.Volumes {
		b.snapshot(v)
	}
}

// mostPatience is how long a snapshot or a copy is waited for at most. A share
// ends a day later, whatever became of it.
const mostPatience = 7 * 24 * time.Hour

func (b *drafting) snapshot(v Volume) {
	wait := of(stageSnapshot, v.ID)
	_, longest := estimate(v.GiB)
	patience := int64(min(4*longest+24*time.Hour, mostPatience) / time.Second)
	b.lock(of(stageLock, v.ID), StepSnapshots, v, awscalls.Act)
	b.add(respond.Step{ID: wait, Action: actSnapshot, Role: awscalls.Read, Effect: respond.NoChange, Needs: []string{StepSnapshots}, TimeoutSeconds: patience,
		Title: fmt.Sprintf("%s: wait until its snapshot is complete", v.ID)}, snapshotParams{Volume: v, From: StepSnapshots})
	if v.MultiAttach {
		b.gap("one instant of "+v.ID, "it can be attached to several instances, which may write to it meanwhile")
	}
	last := wait
	if b.away {
		last = b.transfer(v, wait, patience)
	}
	b.hash(v, last)
}

// transfer brings a snapshot to the account that keeps the evidence. It returns
// the step that has the snapshot there, or wait where it cannot go.
func (b *drafting) transfer(v Volume, wait string, patience int64) string {
	f := b.r.Policy.Forensics
	from, shared := wait, wait
	var sourceKey string
	switch {
	case v.Unshareable() && f.TransferKey == "":
		b.gap("copy of "+v.ID+" in account "+b.home, "its key is managed by AWS ("+v.KeyManager+"), snapshots under it cannot be shared, and no transfer key is configured (forensics.transfer_key)")
		return wait
	case v.Unshareable():
		from = of(stageRekey, v.ID)
		b.add(respond.Step{ID: from, Action: actRekey, Role: awscalls.Act, Effect: respond.Creates, Needs: []string{wait}, TimeoutSeconds: patience,
			Title: fmt.Sprintf("%s: copy its snapshot under the transfer key, for what is under the AWS-managed key cannot be shared", v.ID)},
			snapshotParams{Volume: v, From: wait, Key: f.TransferKey, Source: b.w.Region})
		shared, sourceKey = from, f.TransferKey
	case v.Encrypted:
		sourceKey = v.Key
	}
	share, cp := of(stageShare, v.ID), of(stageCopy, v.ID)
	b.add(respond.Step{ID: share, Action: actShare, Role: awscalls.Act, Effect: respond.Reversible, Needs: []string{shared},
		Title: fmt.Sprintf("%s: share its snapshot with account %s until it is copied", v.ID, b.home)},
		snapshotParams{Volume: v, From: from, With: b.home, SourceKey: sourceKey})
	b.add(respond.Step{ID: cp, Action: actCopy, Role: awscalls.Forensics, Effect: respond.Creates, Needs: []string{share}, TimeoutSeconds: patience,
		Title: fmt.Sprintf("%s: copy its snapshot into account %s under the evidence key", v.ID, b.home)},
		snapshotParams{Volume: v, From: from, Key: f.Key, Source: b.w.Region, Original: wait})
	b.lock(of(stageLockCopy, v.ID), cp, v, awscalls.Forensics)
	b.add(respond.Step{ID: of(stageWithdraw, v.ID), Action: actWithdraw, Role: awscalls.Act, Effect: respond.NoChange, After: []string{cp},
		Title: fmt.Sprintf("%s: withdraw the share", v.ID)}, snapshotParams{Volume: v, From: share})
	return cp
}

func (b *drafting) lock(id, from string, v Volume, role awscalls.Role) {
	e := b.r.Policy.Evidence
	if e.LockMode == "none" || e.LockMode == "" || e.LockDays <= 0 {
		return
	}
	s := respond.Step{ID: id, Action: actLock, Role: role, Effect: respond.Creates, Needs: []string{from},
		Title: fmt.Sprintf("%s: lock its snapshot for %s (%s)", v.ID, count(e.LockDays, "day"), e.LockMode)}
	if stageOf(id) == stageLockCopy {
		s.Title = fmt.Sprintf("%s: lock the copy for %s (%s)", v.ID, count(e.LockDays, "day"), e.LockMode)
	}
	p := snapshotParams{Volume: v, From: from, Mode: e.LockMode, Days: e.LockDays}
	if e.LockMode == "compliance" {
		p.CoolOff = coolOff(e.CoolOffHours)
		s.Effect = respond.Irreversible
		s.Approval = fmt.Sprintf("the lock of %s cannot be undone until %s: nobody can delete it, root included; it can be taken back for %s only", v.ID, b.lockedUntil(), count(p.CoolOff, "hour"))
	}
	b.add(s, p)
}

// hash reads the blocks of the snapshot that is kept: nothing waits for it but
// the report.
func (b *drafting) hash(v Volume, from string) {
	switch {
	case b.r.Policy.Forensics.Hash == "never":
		b.gap("hash of "+v.ID, "the policy says never (forensics.hash)")
		return
	case b.r.Policy.Evidence.Bucket == "":
		b.gap("hash of "+v.ID, "no evidence bucket is configured for its block manifest (evidence.bucket)")
		return
	case b.away && stageOf(from) != stageCopy:
		b.gap("hash of "+v.ID, "its snapshot cannot be read from account "+b.home)
		return
	}
	after := []string{of(stageLock, v.ID)}
	if stageOf(from) == stageCopy {
		after = []string{of(stageLockCopy, v.ID)}
	}
	if _, ok := stepOf(b.d.Steps, after[0]); !ok {
		after = nil
	}
	b.add(respond.Step{ID: of(stageHash, v.ID), Action: actHash, Role: awscalls.Forensics, Effect: respond.Creates, Needs: []string{from}, After: after,
		TimeoutSeconds: hashPatience(v),
		Title:          fmt.Sprintf("%s: hash every block of its snapshot", v.ID)}, snapshotParams{Volume: v, From: from})
	if stageOf(from) == stageCopy {
		b.compare(v)
	}
}

func hashPatience(v Volume) int64 { return int64(24*time.Hour/time.Second) + v.GiB*60 }

// compare reads the original as well, where it lies, and says whether the copy has
// the same bytes.
func (b *drafting) compare(v Volume) {
	original := of(stageOriginal, v.ID)
	b.add(respond.Step{ID: original, Action: actOriginal, Role: awscalls.Act, Effect: respond.Creates, Needs: []string{of(stageSnapshot, v.ID)}, TimeoutSeconds: hashPatience(v),
		Title: fmt.Sprintf("%s: hash every block of the original snapshot, to compare the copy with it", v.ID)}, snapshotParams{Volume: v, From: of(stageSnapshot, v.ID)})
	b.add(respond.Step{ID: of(stageCompare, v.ID), Action: actCompare, Role: awscalls.Forensics, Effect: respond.NoChange, Needs: []string{original, of(stageHash, v.ID)},
		Title: fmt.Sprintf("%s: compare the blocks of the copy with those of the original", v.ID)}, snapshotParams{Volume: v, From: of(stageHash, v.ID), Original: original})
}

func stepOf(steps []respond.Step, id string) (respond.Step, bool) {
	for _, s := range steps {
		if s.ID == id {
			return s, true
		}
	}
	return respond.Step{}, false
}

// closing is the report.
func (b *drafting) closing() {
	p := reportParams{Instance: b.w.Instance}
	if b.w.StoreGB > 0 {
		b.gap("instance store of "+b.w.Instance, fmt.Sprintf("%d GB on disks that no snapshot holds; they are lost when it stops", b.w.StoreGB))
	}
	for _, u := range b.w.Unknown {
		b.gap("knowledge about "+b.w.Instance, u)
	}
	if m := b.r.Policy.Evidence.LockMode; m == "none" || m == "" {
		b.gap("locks", "the policy says that snapshots are not locked (evidence.lock)")
	}
	p.Gaps = putTogether(b.gaps)
	for _, g := range p.Gaps {
		b.d.WillNot = append(b.d.WillNot, g.What+": "+g.Why)
	}
	b.add(respond.Step{ID: StepReport, Action: actReport, Role: awscalls.Read, Effect: respond.NoChange, After: slices.Concat(b.ends, b.h.BeforeReport),
		Title: "say what was preserved, what was not, and where it is"}, p)
}

// kind is what this playbook responds to.
const kind = finding.KindInstance

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// clean makes a text of AWS, which others may have written, harmless in a line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
