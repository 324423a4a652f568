package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// When a containment is looked at, counted from it: for what somebody changed back,
// and for the proof that nothing goes through, whose records come late. After the
// last it is looked at every quarter of an hour, and after a day hourly.
var (
	driftLooks = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}
	proofLooks = []time.Duration{2 * time.Minute, 10 * time.Minute, 30 * time.Minute}
)

const (
	// quietAfter is from when on after a containment GuardDuty should see nothing.
	quietAfter = 15 * time.Minute
	// lookAgain is when a look that failed is made again, at the latest.
	lookAgain = 5 * time.Minute
	// checksAtOnce is how many containments are looked at side by side.
	checksAtOnce = 4
	// asked is how many findings GuardDuty is asked for at one look.
	asked = 10
	// proofLimit is how long looking for proof may take. It has that for itself: who
	// fills the logs keeps nobody from seeing what was changed back.
	proofLimit = 2 * time.Minute
	// unseenAfter is after how many looks in a row that failed people are told.
	unseenAfter = 3
)

// watch notes when a run contained something, and when that is looked at.
func (r *runs) watch(run *respond.RunRow, now time.Time) {
	run.ContainedAt = now
	run.NextCheck = r.nextLook(now, now, true)
}

// nextLook is the next time after now at which a containment is looked at.
func (r *runs) nextLook(contained, now time.Time, pending bool) time.Time {
	looks := driftLooks
	if pending {
		looks = slices.Sorted(slices.Values(slices.Concat(driftLooks, proofLooks)))
	}
	for _, after := range looks {
		if at := contained.Add(r.tempo.Scale(after)); at.After(now) {
			return at
		}
	}
	if now.Sub(contained) < r.tempo.Scale(24*time.Hour) {
		return now.Add(r.tempo.Scale(15 * time.Minute))
	}
	return now.Add(r.tempo.Scale(time.Hour))
}

// checks looks whether what is contained is so still. What somebody changed back
// is told, and not repaired.
func (r *runs) checks(ctx context.Context) error {
	list, err := r.store.DueChecks(ctx, r.now(), 20)
	if err != nil {
		return err
	}
	// Side by side: who fills the logs of one holds up few others.
	errs := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(checksAtOnce)
	for i, run := range list {
		g.Go(func() error {
			errs[i] = r.check(ctx, run)
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

// sight is what a look found.
type sight struct {
	missing  []string
	verdicts []respond.Verdict
	talk     string // what GuardDuty still sees; empty: nothing
}

// check looks at one containment. What somebody changed back is told before the
// proof is looked for, which may take long or fail.
func (r *runs) check(ctx context.Context, run respond.RunRow) error {
	s, err := r.scene(ctx, run)
	if err != nil {
		return r.unseen(ctx, run, err)
	}
	short, cancel := context.WithTimeout(ctx, describeLimit)
	missing, err := drift(short, r.aws, s.plan, s.records)
	cancel()
	if err != nil {
		return r.unseen(ctx, run, err)
	}
	if slices.ContainsFunc(missing, func(m string) bool { return !slices.Contains(run.Drift, m) }) {
		err := r.note(ctx, run, func(now *respond.RunRow, _ time.Time) []saying {
			return sight{missing: missing, verdicts: s.last}.news(now)
		})
		if err != nil {
			return err
		}
	}
	found := sight{missing: missing, verdicts: r.proof(ctx, run, s), talk: r.talking(ctx, run, s.plan)}
	return r.note(ctx, run, func(now *respond.RunRow, at time.Time) []saying {
		pending := slices.ContainsFunc(found.verdicts, func(v respond.Verdict) bool { return v.Pending })
		now.NextCheck = r.nextLook(now.ContainedAt, at, pending)
		now.Checks++
		return append(append(visible(now), found.news(now)...), found.talks(now, at)...)
	})
}

// scene is what a look works from.
type scene struct {
	plan    *respond.Plan
	records map[string]playbook.Record
	last    []respond.Verdict // of the look before
}

func (r *runs) scene(ctx context.Context, run respond.RunRow) (s scene, err error) {
	row, err := r.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return s, err
	}
	if s.plan, err = openPlan(row); err != nil {
		return s, err
	}
	list, err := r.store.Steps(ctx, run.ID)
	if err != nil {
		return s, err
	}
	s.records, s.last = byName(list), run.Verdicts
	if len(s.last) == 0 {
		s.last = respond.VerdictsOf(s.plan, s.records)
	}
	return s, nil
}

// note writes what a look found into the run, and tells it. A run that is being
// undone is left alone: what is missing then is meant to be.
func (r *runs) note(ctx context.Context, run respond.RunRow, change func(now *respond.RunRow, at time.Time) []saying) error {
	return r.store.Write(ctx, func(tx *store.Tx) error {
		now, err := tx.LockRun(ctx, run.ID)
		if err != nil || now.NextCheck.IsZero() {
			return err
		}
		if active, _, err := tx.ActiveRun(ctx, run.Target); err != nil || active != "" && active != run.ID {
			return err
		}
		news := change(&now, tx.Now())
		if err := tx.PutRun(ctx, now); err != nil {
			return err
		}
		for _, n := range news {
			tx.Audit(audit.Record{Who: incident.Guardroom, Action: n.action, Object: "run/" + string(run.ID), After: n.text})
			err := r.change(ctx, tx, run.Incident, true, func(i *incident.Incident, at time.Time) []incident.Entry {
				if n.ends {
					return i.Loosen(n.text, at)
				}
				return i.Responded(n.kind, incident.Guardroom, n.text, at)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unseen notes that a look failed. Whether the containment holds is not known then,
// and people are told once it fails again and again.
func (r *runs) unseen(ctx context.Context, run respond.RunRow, why error) error {
	r.log.Warn("a containment could not be looked at and is looked at again", "run", string(run.ID), "error", why)
	return r.note(ctx, run, func(now *respond.RunRow, at time.Time) []saying {
		now.NextCheck = r.nextLook(now.ContainedAt, at, true)
		if soon := at.Add(r.tempo.Scale(lookAgain)); soon.Before(now.NextCheck) {
			now.NextCheck = soon
		}
		if now.Unseen++; now.Unseen != unseenAfter {
			return nil
		}
		return []saying{{kind: incident.KindDrift, action: "run.unseen", text: fmt.Sprintf("%s could not be looked at %d times in a row, so nobody knows whether it holds: %s", subjectOf(now), now.Unseen, respond.Explain(why, "look at it again", "nothing was changed"))}}
	})
}

// visible says that a containment which could not be looked at can be again.
func visible(now *respond.RunRow) []saying {
	failed := now.Unseen
	now.Unseen = 0
	if failed < unseenAfter {
		return nil
	}
	return []saying{{kind: incident.KindProven, action: "run.seen", text: fmt.Sprintf("%s can be looked at again, after %d looks that failed", subjectOf(now), failed)}}
}

// proof is what the records of traffic say. Where they cannot be looked at, nothing
// is proven, and what is known to be open stays open.
func (r *runs) proof(ctx context.Context, run respond.RunRow, s scene) []respond.Verdict {
	long, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	list, err := respond.Prove(long, r.aws, r.actions, s.plan, s.records, r.now(), s.last)
	if err == nil {
		return list
	}
	r.log.Warn("the proof of a containment could not be looked for", "run", string(run.ID), "error", err)
	why := "the records of its traffic could not be looked at"
	if code := respond.Code(err); code != "" {
		why += " (" + code + ")"
	} else if long.Err() != nil {
		why += fmt.Sprintf(" within %s", r.patience)
	}
	list = slices.Clone(s.last)
	for i, v := range list {
		if !v.IsOpen() && !v.IsPartly() {
			list[i].Word, list[i].By, list[i].Pending = respond.NotProven(why), "", true
		}
	}
	return list
}

// talking is what GuardDuty still sees; where that cannot be found out now, the
// next look asks again.
func (r *runs) talking(ctx context.Context, run respond.RunRow, plan *respond.Plan) string {
	short, cancel := context.WithTimeout(ctx, describeLimit)
	defer cancel()
	text, err := r.talk(short, run, plan)
	if err != nil {
		r.log.Warn("it could not be found out whether GuardDuty still sees activity", "run", string(run.ID), "error", err)
		return ""
	}
	return text
}

// saying is a line for the incident.
type saying struct {
	kind         incident.Kind
	action, text string
	ends         bool // the containment: the incident is open from now on
}

// goesThrough ends what is said of a thing that flow records show to be open.
const goesThrough = " is open: traffic goes through it"

func goes(said string) bool { return strings.HasSuffix(said, goesThrough) }

// news keeps in the row what was found, and returns what people are told: each
// thing once, and again only when it has changed.
func (s sight) news(run *respond.RunRow) []saying {
	var out []saying
	before, drift := run.Drift, slices.Clone(s.missing)
	lines := slices.Clone(s.missing)
	through := false
	for _, v := range s.verdicts {
		if v.IsOpen() && len(v.Traffic) > 0 {
			// Whom it talks to may change from look to look; that is no news.
			drift, through = append(drift, v.What+goesThrough), true
			lines = append(lines, v.String())
		}
	}
	proven := s.proven(run.Verdicts)
	run.Drift = drift
	run.Verdicts, run.StillOpen = s.verdicts, respond.Restate(run.StillOpen, s.verdicts)
	subject := subjectOf(run)
	switch {
	case len(drift) > 0 && !slices.Equal(before, drift) && !respond.LetOut(drift):
		out = append(out, saying{kind: incident.KindDrift, action: "run.drift", text: subject + " is not as it was: " + joinShort(lines)})
	case len(drift) > 0 && !slices.Equal(before, drift):
		// Of more of it people are told, and are not called again; nor of a beacon
		// that comes back.
		changed := slices.DeleteFunc(slices.Clone(before), goes)
		ends := respond.LetOut(s.missing) && !respond.LetOut(changed) || through && !run.Through && !respond.LetOut(before)
		out = append(out, saying{kind: incident.KindDrift, action: "run.drift", text: subject + " no longer holds: " + joinShort(lines) + "; guardroom does not repair it by itself", ends: ends})
		run.Through = run.Through || through
	case len(drift) == 0 && len(before) > 0:
		// The incident stays open: whoever let it out may be who put it back, and a
		// beacon is silent for a while. People say that it is over.
		out = append(out, saying{kind: incident.KindProven, action: "run.drift", text: subject + " holds again"})
	}
	if len(proven) > 0 {
		out = append(out, saying{kind: incident.KindProven, action: "run.proven", text: subject + " is proven: " + strings.Join(proven, ", ") + " isolated, and the flow records since then show nothing that went through"})
	}
	return out
}

// talks says once what GuardDuty still sees.
func (s sight) talks(run *respond.RunRow, at time.Time) []saying {
	if s.talk == "" || !run.TalkingAt.IsZero() {
		return nil
	}
	run.TalkingAt = at
	return []saying{{kind: incident.KindDrift, action: "run.talking", text: subjectOf(run) + " may not hold: " + s.talk}}
}

func subjectOf(run *respond.RunRow) string {
	return simulated(run.Simulated) + "The containment by " + string(run.ID)
}

// proven are the things of which it is known now, and was not before, that nothing
// goes through.
func (s sight) proven(last []respond.Verdict) []string {
	var out []string
	for _, v := range s.verdicts {
		known := slices.ContainsFunc(last, func(l respond.Verdict) bool { return l.What == v.What && !l.ProvenAt.IsZero() })
		if v.IsProven() && !known {
			out = append(out, v.What+witness(v))
		}
	}
	return out
}

// witness says which logs show it.
func witness(v respond.Verdict) string {
	if v.By == "" {
		return ""
	}
	return " (by " + v.By + ")"
}

// talk says what GuardDuty still sees of what was contained, so long after it that
// reports of what was before should have come: activity of that time, or a count
// that rose where the finding does not say when it was. GuardDuty is asked anew
// where it can be; empty: it sees nothing, or people were told.
func (r *runs) talk(ctx context.Context, run respond.RunRow, plan *respond.Plan) (string, error) {
	since := run.ContainedAt.Add(r.tempo.Scale(quietAfter))
	if run.ContainedAt.IsZero() || !run.TalkingAt.IsZero() || r.now().Before(since) {
		return "", nil
	}
	list, err := r.store.Findings(ctx, store.FindingFilter{Incident: run.Incident, Limit: 200})
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(f store.Finding) bool { return f.Sample || !about(plan, f) })
	for i, f := range list {
		if r.fresh == nil || i >= asked {
			break
		}
		if _, err := r.fresh(ctx, f); err != nil {
			r.log.Debug("GuardDuty could not be asked whether it still sees activity", "run", string(run.ID), "finding", string(f.ID), "error", err)
			break
		}
		if again, ok, err := r.store.GetFinding(ctx, f.ID); err == nil && ok {
			list[i] = again
		}
	}
	for _, f := range list {
		text, err := r.still(ctx, f, since)
		if err != nil || text != "" {
			return text, err
		}
	}
	return "", nil
}

// about reports whether a finding is about what a plan is for.
func about(p *respond.Plan, f store.Finding) bool {
	return slices.ContainsFunc(append(slices.Clone(p.Parts), p.Target), func(t respond.Target) bool {
		return t.ID == f.ResourceID && t.Kind == f.ResourceKind && t.Account == f.AccountID
	})
}

// still says that a finding reports activity after a time.
func (r *runs) still(ctx context.Context, f store.Finding, since time.Time) (string, error) {
	name := fmt.Sprintf("GuardDuty still sees activity of %s: %s", f.ResourceID, f.Type)
	if !f.LastSeen.IsZero() {
		if !f.LastSeen.After(since) {
			return "", nil
		}
		return fmt.Sprintf("%s, last at %s UTC, %d in all", name, f.LastSeen.UTC().Format("2006-01-02 15:04:05"), f.Count), nil
	}
	if !f.UpdatedAt.After(since) {
		return "", nil
	}
	revisions, err := r.store.Revisions(ctx, f.ID, 50)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(revisions, func(v store.Revision) bool { return !v.UpdatedAt.After(since) })
	if i < 0 || f.Count <= revisions[i].Count {
		return "", nil
	}
	return fmt.Sprintf("%s, %d in all, %d before", name, f.Count, revisions[i].Count), nil
}
