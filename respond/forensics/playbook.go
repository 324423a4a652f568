package forensics

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Name is what people and routes call the playbook.
const Name = "forensics"

type book struct{}

// Playbook returns the acquisition of an instance by itself, without isolation.
// Whoever carries a plan out seals the manifest of what it preserved.
func Playbook() respond.Playbook { return book{} }

// Name implements respond.Playbook.
func (book) Name() string { return Name }

// Version implements respond.Playbook.
func (book) Version() int { return 1 }

// Summary implements respond.Playbook.
func (book) Summary() string {
	return "preserve the evidence of an instance: console, memory, snapshots of every volume, hashes, and a workstation with working copies"
}

// Fits implements respond.Playbook.
func (book) Fits(t respond.Target) bool { return t.Kind == kind }

var instanceForm = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)

// Describe implements respond.Playbook.
func (book) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	if !instanceForm.MatchString(r.Target.ID) {
		return respond.World{}, fault.New(fault.Usage, fmt.Sprintf("%q is no id of an instance", r.Target.ID), "nothing can be acquired from it")
	}
	w, err := Describe(ctx, a, r)
	if err != nil {
		return respond.World{}, err
	}
	before, err := json.Marshal(w)
	if err != nil {
		return respond.World{}, fmt.Errorf("keep the description of %s: %w", w.Instance, err)
	}
	return respond.World{Before: before, Facts: w.Facts(), Value: w, Unanswered: w.Unanswered, Tags: []map[string]string{w.Tags}}, nil
}

// Draft implements respond.Playbook.
func (book) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	world, ok := w.Value.(World)
	if !ok {
		return respond.Draft{}, fmt.Errorf("draft the acquisition of %s: the description is a %T", r.Target.ID, w.Value)
	}
	return Steps(world, r, Hooks{})
}

// lines fills in what people read beside the steps.
func (b *drafting) lines() {
	w, p := b.w, b.r.Policy
	b.d.Guards = append(b.d.Guards, b.shareGuards()...)
	b.d.WillNot = append(b.d.WillNot, w.Instance+" is not stopped, restarted or logged in to, and its network stays as it is", "no snapshot is deleted or unlocked, now or by the undo, older ones of others included")
	if p.Evidence.LockMode == "compliance" && len(w.Volumes) > 0 {
		b.d.Irreversible = append(b.d.Irreversible, fmt.Sprintf("compliance locks of %s for %s cannot be undone until %s: nobody can delete them or shorten it, and they cost until then. For %s after it is set a lock can be taken back, with ec2:UnlockSnapshot",
			count(len(w.Volumes), "snapshot"), count(p.Evidence.LockDays, "day"), b.lockedUntil(), count(coolOff(p.Evidence.CoolOffHours), "hour")))
		if p.Evidence.Bucket != "" {
			b.d.Irreversible = append(b.d.Irreversible, fmt.Sprintf("what is written to the evidence bucket is locked (compliance) until %s from its first moment: S3 has no cool-off", b.lockedUntil()))
		}
	}
	b.d.Undo = "the working copies are detached and deleted and the workstation terminated; snapshots, copies and objects stay, as evidence"
	short, long := time.Minute, 5*time.Minute
	for _, v := range w.Volumes {
		s, l := estimate(v.GiB)
		if b.away {
			s, l = 2*s, 2*l
		}
		if b.away && v.Unshareable() {
			s, l = s*3/2, l*3/2
		}
		short, long = max(short, s), max(long, l)
	}
	if w.Bench.Problem == "" {
		short, long = max(short, 3*time.Minute)+time.Minute, max(long, 6*time.Minute)+5*time.Minute
	}
	b.d.ShortestSeconds, b.d.LongestSeconds = int64(short/time.Second), int64(long/time.Second)
	b.d.CostCents, b.d.CostWhy = b.cost()
}

// lockedUntil is the day on which locks end that are set now.
func (b *drafting) lockedUntil() string {
	return b.r.Now.UTC().AddDate(0, 0, b.r.Policy.Evidence.LockDays).Format("2006-01-02")
}

// shareGuards warn of volumes that cannot go to the forensic account as they are.
func (b *drafting) shareGuards() []respond.Guard {
	var out []respond.Guard
	for _, v := range b.w.Volumes {
		if !b.away || !v.Unshareable() {
			continue
		}
		g := respond.Guard{Name: "shared evidence", Answer: respond.Pass, Why: fmt.Sprintf("%s is under an AWS-managed key: its snapshot is copied under the transfer key first", v.ID)}
		if b.r.Policy.Forensics.TransferKey == "" {
			g.Answer, g.Hint = respond.Warn, "set forensics.transfer_key to a key of account "+b.w.Account
			g.Why = fmt.Sprintf("%s is under an AWS-managed key, and its snapshot cannot go to account %s", v.ID, b.home)
		}
		out = append(out, g)
	}
	return out
}

// estimate is how long a first snapshot of a volume takes: at 250 MB/s, and at
// 25 MB/s. AWS promises neither.
func estimate(gib int64) (shortest, longest time.Duration) {
	return 30*time.Second + time.Duration(gib)*4*time.Second, 5*time.Minute + time.Duration(gib)*40*time.Second
}

// Prices of us-east-1 in hundredths of a cent, for estimates: a snapshot and a
// gp3 volume for a GiB and month, and an m7i.xlarge for an hour.
const (
	priceSnapshot    = 500
	priceVolume      = 800
	priceWorkstation = 2016
	hoursAMonth      = 730
)

func (b *drafting) cost() (cents int64, why string) {
	gib := b.w.GiB()
	sets := int64(1)
	if b.away {
		sets = 2
	}
	total := gib * priceSnapshot * sets
	why = fmt.Sprintf("at most %d GiB of snapshots", gib*sets)
	if b.w.Bench.Problem == "" && len(b.w.Volumes) > 0 {
		total += gib*priceVolume + priceWorkstation*hoursAMonth
		why += fmt.Sprintf(", %d GiB of volumes and a workstation until they are released", gib)
	}
	return (total + 99) / 100, why + "; list prices of us-east-1, for orientation"
}
