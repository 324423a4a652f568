package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// digestMark stands in the audit chain between what was kept and its digest.
const digestMark = " sha256:"

// stepRecord is what the audit chain keeps of a step: its name, and the digest of
// all that it saved. An undo is made from what steps saved, so whoever can write
// the database could have an interface put into any group; the digest shows it.
func stepRecord(run respond.RunID, rec playbook.Record) audit.Record {
	r := audit.Record{Who: incident.Guardroom, Action: "step." + string(rec.State), Object: "run/" + string(run), After: rec.Name, Why: rec.Message}
	if len(rec.Saved) > 0 {
		r.After += digestMark + savedDigest(rec)
	}
	return r
}

func savedDigest(rec playbook.Record) string {
	b, err := respond.Canonical(rec.Saved)
	if err != nil {
		return "of no JSON" // and so of nothing that was kept
	}
	return respond.Digest(b)
}

// leave writes down the steps that a run leaves as they are: an abort came between
// what they saved and their end.
func (r *runs) leave(ctx context.Context, tx *store.Tx, run respond.RunID) error {
	list, err := tx.Steps(ctx, run)
	if err != nil {
		return err
	}
	for _, rec := range list {
		if !rec.State.Ended() && len(rec.Saved) > 0 {
			tx.Audit(stepRecord(run, rec))
		}
	}
	return nil
}

// testimony is what the audit chain says of plans and steps: the digests that they
// had, by plan and by run and step, and the number of the record that says it.
type testimony map[string]sealedAs

type sealedAs struct {
	seq    int64
	digest string
}

func stepKey(run respond.RunID, step string) string { return "run/" + string(run) + "/" + step }

// hear takes the next record of the chain.
func (w testimony) hear(r audit.Record) {
	what, digest, is := strings.Cut(r.After, digestMark)
	switch {
	case r.Action == "plan.created" && is:
		w[r.Object] = sealedAs{r.Seq, digest}
	case strings.HasPrefix(r.Action, "step.") && is:
		w[r.Object+"/"+what] = sealedAs{r.Seq, digest}
	}
}

// compare returns what the store has otherwise than the chain says. What was
// pruned is not there, and so not compared.
func (w testimony) compare(ctx context.Context, db *store.DB) (out []audit.Fault, err error) {
	out = []audit.Fault{}
	plans := store.PlanFilter{Limit: 200}
	for {
		list, err := db.Plans(ctx, plans)
		if err != nil {
			return out, err
		}
		for _, p := range list {
			row, err := db.GetPlan(ctx, p.ID)
			if err != nil {
				return out, err
			}
			s, is := w["plan/"+string(p.ID)]
			if got := respond.Digest(row.Bytes); is && got != s.digest {
				out = append(out, audit.Fault{Seq: s.seq, Kind: audit.Differs, Message: fmt.Sprintf("plan %s of %s was changed in the store: record %d has the digest %s for it, and its bytes have %s", p.ID, p.Incident, s.seq, short(s.digest), short(got))})
			}
		}
		if len(list) < plans.Limit {
			break
		}
		plans.Before = list[len(list)-1].ID
	}
	runs := store.RunFilter{Limit: 200}
	for {
		list, err := db.Runs(ctx, runs)
		if err != nil {
			return out, err
		}
		for _, run := range list {
			records, err := db.Steps(ctx, run.ID)
			if err != nil {
				return out, err
			}
			out = append(out, w.steps(run.ID, records)...)
		}
		if len(list) < runs.Limit {
			return out, nil
		}
		runs.Before = list[len(list)-1].ID
	}
}

// steps returns the records of a run that are not what the chain says.
func (w testimony) steps(run respond.RunID, records []playbook.Record) (out []audit.Fault) {
	for _, rec := range records {
		if s, is := w[stepKey(run, rec.Name)]; is && savedDigest(rec) != s.digest {
			out = append(out, audit.Fault{Seq: s.seq, Kind: audit.Differs, Message: fmt.Sprintf("what step %s of %s saved was changed in the store since record %d", rec.Name, run, s.seq)})
		}
	}
	return out
}

// unchanged refuses to make an undo from records that were changed by hand.
func (d *desk) unchanged(ctx context.Context, run respond.RunID, records []playbook.Record) error {
	list, err := d.store.AuditOf(ctx, "run/"+string(run))
	if err != nil {
		return err
	}
	w := testimony{}
	for _, r := range list {
		w.hear(r)
	}
	if differ := w.steps(run, records); len(differ) > 0 {
		return fault.New(fault.Corrupt, differ[0].Message+", so it cannot be undone from there", "guardroom audit verify; the evidence bucket has the resource as it was before: guardroom evidence list; restore it by hand from that")
	}
	return nil
}

// short is the part of a digest that people see.
func short(digest string) string { return digest[:min(12, len(digest))] }
