package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/store"
)

// sealer signs manifests.
type sealer struct {
	key ed25519.PrivateKey
	why string // there is none
}

// newSealer reads the signing key, and makes one where there is none yet. An
// empty path signs nothing.
func newSealer(path string) (sealer, error) {
	if path == "" {
		return sealer{why: "no signing key is configured (respond.evidence.signing_key)"}, nil
	}
	key, err := evidence.OpenKey(path, rand.Reader)
	return sealer{key: key}, err
}

// sealRun seals the manifest of an incident after a run that preserved
// something, as a step of the run: sealed once, also over a crash. The manifest
// goes into the evidence bucket as every other change: not by a worker that lost
// the run, and not while responses are switched off.
func (r *runs) sealRun(c playbook.Context, run respond.RunRow, plan *respond.Plan, records map[string]playbook.Record) (playbook.Record, error) {
	return c.Step(stepSeal, playbook.Options{Timeout: 2 * time.Minute, Finishes: true}, func(s playbook.Step) (playbook.Outcome, error) {
		var sealed evidence.Sealed
		var out playbook.Outcome
		err := s.Look(func(ctx context.Context) (err error) {
			if err := r.stateGaps(ctx, run, respond.Missed(plan, records)); err != nil {
				return err
			}
			sealed, out, err = r.sealNow(ctx, run, plan, s.Now())
			return err
		})
		if err != nil || out.State == playbook.Skipped {
			return out, err
		}
		kept, err := r.keepManifest(s, run, plan, sealed)
		out.Message += "; " + kept
		return out, err
	})
}

// stateGaps keeps what a run did not preserve, before its manifest is sealed. A
// worker that lost the run states nothing.
func (r *runs) stateGaps(ctx context.Context, run respond.RunRow, gaps []evidence.Gap) error {
	if len(gaps) == 0 {
		return nil
	}
	return r.store.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.LockRun(ctx, run.ID)
		if err != nil {
			return err
		}
		if row.Epoch != run.Epoch {
			return playbook.ErrFenced
		}
		return tx.PutGaps(ctx, run.Incident, run.ID, gaps)
	})
}

// keepManifest writes a sealed manifest into the evidence bucket. Where it
// cannot, the store has it, and that is said.
func (r *runs) keepManifest(s playbook.Step, run respond.RunRow, plan *respond.Plan, sealed evidence.Sealed) (string, error) {
	at := awscalls.Place{Account: plan.Target.Account, Region: plan.Target.Region, Incident: run.Incident.String()}
	policy := r.policy.For(plan)
	where, unlocked := "", false
	err := s.Change(func(ctx context.Context) (err error) {
		where, unlocked, err = forensics.PutManifest(ctx, r.aws, policy, at, sealed, s.Now())
		if err != nil || where == "" {
			return err
		}
		return r.noteCopy(ctx, run.Incident, sealed, where, forensics.ManifestPlace(policy, at))
	})
	const kept = "in guardroom's store"
	switch {
	case errors.Is(err, playbook.ErrFenced), errors.Is(err, playbook.ErrStopped), errors.Is(err, playbook.ErrAborted):
		return "", err
	case respond.Transient(err) && s.Attempt() < 4:
		return "", err // it is sealed, and tried again
	case err != nil:
		return kept + " only: " + fault.Of(respond.Explain(err, "write it to the evidence bucket", "it is in the store")).Error(), nil
	case where == "":
		return kept, nil
	case unlocked:
		return kept + " and at " + where + ", which is not locked: the evidence bucket has no Object Lock", nil
	}
	return kept + " and at " + where, nil
}

// noteCopy writes into the audit chain where the copy of a manifest is, for
// evidence verify to read it back there. A crash may make it do so twice.
func (r *runs) noteCopy(ctx context.Context, n incident.Number, sealed evidence.Sealed, where string, at awscalls.Place) error {
	return r.store.Write(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "evidence.manifest_kept", Object: sealedObject(n, sealed.Revision), After: where, Why: at.Account + "/" + at.Region})
		return nil
	})
}

// sealNow builds and stores the manifest. Its outcome is Skipped where the run
// preserved nothing.
func (r *runs) sealNow(ctx context.Context, run respond.RunRow, plan *respond.Plan, now time.Time) (evidence.Sealed, playbook.Outcome, error) {
	items, err := r.store.Evidence(ctx, run.Incident)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	gaps, err := r.store.Gaps(ctx, run.Incident)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	custody, err := r.store.Custody(ctx, run.Incident)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	if !slices.ContainsFunc(items, func(p store.Preserved) bool { return p.Run == run.ID }) && !slices.ContainsFunc(gaps, func(l store.Lacking) bool { return l.Run == run.ID }) &&
		!slices.ContainsFunc(custody, func(c evidence.Custody) bool { return evidence.RunOf(c.Who) == string(run.ID) }) {
		return evidence.Sealed{}, playbook.Outcome{State: playbook.Skipped, Message: "the run preserved nothing"}, nil
	}
	i, err := r.store.GetIncident(ctx, run.Incident)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	head, err := r.store.AuditHead(ctx)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	about, err := r.caseOf(ctx, i, plan)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	row, err := r.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	parts := evidence.Parts{Case: about, With: r.tool, Approvals: approvalsOf(run.ID, row), Run: string(run.ID), By: "guardroom/" + string(run.ID), AuditSeq: head.Seq, AuditHash: head.Hash, Simulated: run.Simulated}
	parts.Items, parts.Custody = itemsOf(items), custodyOf(custody)
	for _, l := range gaps {
		parts.Gaps = append(parts.Gaps, l.Gap)
	}
	sealed, err := r.sealNext(ctx, run, parts, now)
	if err != nil {
		return evidence.Sealed{}, playbook.Outcome{}, err
	}
	signed := "signed by key " + sealed.Signature.KeyID
	if sealed.Signature.Value == "" {
		signed = "not signed: " + sealed.Signature.Unsigned
	}
	return sealed, playbook.Outcome{Message: fmt.Sprintf("manifest %d of %s, %s, %s, sha256:%s, %s", sealed.Revision, run.Incident, respond.Count(len(parts.Items), "item"), respond.Count(len(parts.Gaps), "gap"), sealed.SHA256[:8], signed)}, nil
}

// itemsOf are items as a manifest names them.
func itemsOf(list []store.Preserved) []evidence.Item {
	out := make([]evidence.Item, len(list))
	for i, p := range list {
		one, _ := evidence.OfRun(string(p.Run), []evidence.Item{p.Item}, nil)
		out[i] = one[0]
	}
	return out
}

// custodyOf are lines of custody that name items as a manifest does. A line about
// what another run made names it so already.
func custodyOf(list []evidence.Custody) []evidence.Custody {
	out := slices.Clone(list)
	for i, c := range out {
		if run := evidence.RunOf(c.Who); run != "" && c.Item != "" && evidence.RunOf(c.Item) == "" {
			out[i].Item = run + "/" + c.Item
		}
	}
	return out
}

// sealNext builds, signs and stores the next revision of the manifest. Two runs
// of one incident may want the same one: the second takes the next. A worker that
// lost the run seals nothing, for it may not know all that was preserved.
func (r *runs) sealNext(ctx context.Context, run respond.RunRow, parts evidence.Parts, now time.Time) (sealed evidence.Sealed, err error) {
	n := run.Incident
	err = r.store.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.LockRun(ctx, run.ID)
		if err != nil {
			return err
		}
		if row.Epoch != run.Epoch {
			return playbook.ErrFenced
		}
		if _, err := tx.Incident(ctx, n); err != nil { // its lock orders those who seal
			return err
		}
		list, err := tx.Manifests(ctx, n)
		if err != nil {
			return err
		}
		var previous []byte
		for _, row := range list {
			var old evidence.Sealed
			if err := json.Unmarshal(row.Bytes, &old); err != nil {
				return fmt.Errorf("read manifest %d: %w", row.Revision, err)
			}
			if m, err := evidence.Decode(old.Bytes); err == nil && slices.Contains(m.Runs, parts.Run) {
				sealed = old // by an earlier life of this run
				return nil
			}
			previous = old.Bytes
		}
		m, err := evidence.Build(previous, parts, now)
		if err != nil {
			return err
		}
		if sealed, err = evidence.Seal(m, r.seal.key, r.seal.why); err != nil {
			return err
		}
		raw, err := json.Marshal(sealed)
		if err != nil {
			return err
		}
		if err := tx.PutManifest(ctx, n, int64(sealed.Revision), raw, sealed.SHA256); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "evidence.sealed", Object: sealedObject(n, sealed.Revision), After: sealed.SHA256, Why: fmt.Sprintf("%s, %s", respond.Count(len(m.Items), "item"), respond.Count(len(m.Gaps), "gap"))})
		return r.tell(ctx, tx, n, incident.KindEvidenceReady, incident.Guardroom, simulated(run.Simulated)+sealedWords(run, m, sealed))
	})
	return sealed, err
}

// approvalsOf are who approved the plan of a run, as a manifest has them.
func approvalsOf(run respond.RunID, row respond.PlanRow) []evidence.Approval {
	out := make([]evidence.Approval, len(row.Approvals))
	for i, a := range row.Approvals {
		out[i] = evidence.Approval{Run: string(run), Plan: string(row.ID), Digest: a.Digest, Who: a.Who, How: a.How, At: a.At, Reason: a.Reason, Rule: a.Rule, RuleSHA256: a.RuleSHA256}
	}
	return out
}

// toolOf is this guardroom as the tool of what it preserves.
func toolOf(version string) string { return evidence.Guardroom + cmp.Or(version, "dev") }

// digestOf is the SHA-256 of the JSON of a revision as it was received; empty where
// the store does not have it any more.
func (d *desk) digestOf(ctx context.Context, f incident.FindingRef) (string, error) {
	list, err := d.store.Revisions(ctx, f.ID, revisionsRead)
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if !r.UpdatedAt.Equal(f.UpdatedAt) || r.Count != f.Count {
			continue
		}
		raw, err := store.Unpack(r.Raw)
		if err != nil || len(raw) == 0 {
			return "", err
		}
		return evidence.Digest(raw), nil
	}
	return "", nil
}

// revisionsRead is how many of the newest revisions of a finding are looked through.
const revisionsRead = 50

func (d *desk) caseOf(ctx context.Context, i *incident.Incident, plan *respond.Plan) (evidence.Case, error) {
	c := evidence.Case{Incident: i.Number.String(), OpenedBy: plan.Requester}
	for _, t := range append([]respond.Target{plan.Target}, plan.Parts...) {
		if !slices.Contains(c.Accounts, t.Account) {
			c.Accounts = append(c.Accounts, t.Account)
		}
		if !slices.Contains(c.Regions, t.Region) {
			c.Regions = append(c.Regions, t.Region)
		}
	}
	for _, f := range i.Findings {
		sum, err := d.digestOf(ctx, f)
		if err != nil {
			return c, err
		}
		c.Findings = append(c.Findings, evidence.Finding{ID: string(f.ID), Type: f.Type, UpdatedAt: f.UpdatedAt.UTC(), Count: f.Count, SHA256: sum})
	}
	return c, nil
}
