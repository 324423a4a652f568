package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
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
// something, as a step of the run: sealed once, also over a crash.
func (r *runs) sealRun(c playbook.Context, run respond.RunRow, plan *respond.Plan) (playbook.Record, error) {
	return c.Step(stepSeal, playbook.Options{Timeout: 2 * time.Minute, Finishes: true}, func(s playbook.Step) (playbook.Outcome, error) {
		var out playbook.Outcome
		err := s.Look(func(ctx context.Context) (err error) {
			out, err = r.sealNow(ctx, run, plan, s.Now())
			return err
		})
		return out, err
	})
}

func (r *runs) sealNow(ctx context.Context, run respond.RunRow, plan *respond.Plan, now time.Time) (playbook.Outcome, error) {
	items, err := r.store.Evidence(ctx, run.Incident)
	if err != nil {
		return playbook.Outcome{}, err
	}
	gaps, err := r.store.Gaps(ctx, run.Incident)
	if err != nil {
		return playbook.Outcome{}, err
	}
	custody, err := r.store.Custody(ctx, run.Incident)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if !slices.ContainsFunc(items, func(p store.Preserved) bool { return p.Run == run.ID }) && !slices.ContainsFunc(gaps, func(l store.Lacking) bool { return l.Run == run.ID }) &&
		!slices.ContainsFunc(custody, func(c evidence.Custody) bool { return evidence.RunOf(c.Who) == string(run.ID) }) {
		return playbook.Outcome{State: playbook.Skipped, Message: "the run preserved nothing"}, nil
	}
	i, err := r.store.GetIncident(ctx, run.Incident)
	if err != nil {
		return playbook.Outcome{}, err
	}
	head, err := r.store.AuditHead(ctx)
	if err != nil {
		return playbook.Outcome{}, err
	}
	parts := evidence.Parts{Case: caseOf(i, plan), Run: string(run.ID), By: "guardroom/" + string(run.ID), AuditSeq: head.Seq, AuditHash: head.Hash, Simulated: run.Simulated}
	parts.Items, parts.Custody = itemsOf(items), custodyOf(custody)
	for _, l := range gaps {
		parts.Gaps = append(parts.Gaps, l.Gap)
	}
	sealed, err := r.sealNext(ctx, run.Incident, parts, now)
	if err != nil {
		return playbook.Outcome{}, err
	}
	signed := "signed by key " + sealed.Signature.KeyID
	if sealed.Signature.Value == "" {
		signed = "not signed: " + sealed.Signature.Unsigned
	}
	kept := "in guardroom's store"
	at := awscalls.Place{Account: plan.Target.Account, Region: plan.Target.Region, Incident: run.Incident.String()}
	if where, err := forensics.PutManifest(ctx, r.aws, r.policy, at, sealed); err != nil {
		kept += " only: " + fault.Of(respond.Explain(err, "write it to the evidence bucket", "it is in the store")).Error()
	} else if where != "" {
		kept += " and at " + where
	}
	return playbook.Outcome{Message: fmt.Sprintf("manifest %d of %s, %d items, %d gaps, sha256:%s, %s; %s", sealed.Revision, run.Incident, len(parts.Items), len(parts.Gaps), sealed.SHA256[:8], signed, kept)}, nil
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

// custodyOf are lines of custody that name items as a manifest does.
func custodyOf(list []evidence.Custody) []evidence.Custody {
	out := slices.Clone(list)
	for i, c := range out {
		if run := evidence.RunOf(c.Who); run != "" && c.Item != "" {
			out[i].Item = run + "/" + c.Item
		}
	}
	return out
}

// sealNext builds, signs and stores the next revision of the manifest. Two runs
// of one incident may want the same one: the second takes the next.
func (r *runs) sealNext(ctx context.Context, n incident.Number, parts evidence.Parts, now time.Time) (sealed evidence.Sealed, err error) {
	err = r.store.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Incident(ctx, n); err != nil { // its lock orders those who seal
			return err
		}
		list, err := tx.Manifests(ctx, n)
		if err != nil {
			return err
		}
		var previous []byte
		if len(list) > 0 {
			var old evidence.Sealed
			if err := json.Unmarshal(list[len(list)-1].Bytes, &old); err != nil {
				return fmt.Errorf("read the manifest before: %w", err)
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
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "evidence.sealed", Object: sealedObject(n, sealed.Revision), After: sealed.SHA256, Why: fmt.Sprintf("%d items, %d gaps", len(m.Items), len(m.Gaps))})
		return r.tell(ctx, tx, n, incident.KindEvidenceReady, incident.Guardroom, fmt.Sprintf("evidence sealed: manifest %d, %d items, %d gaps, sha256:%s", sealed.Revision, len(m.Items), len(m.Gaps), sealed.SHA256[:8]))
	})
	return sealed, err
}

func caseOf(i *incident.Incident, plan *respond.Plan) evidence.Case {
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
		c.Findings = append(c.Findings, evidence.Finding{ID: string(f.ID), Type: f.Type, UpdatedAt: f.UpdatedAt.UTC(), Count: f.Count})
	}
	return c
}
