package app

import (
	"context"
	"errors"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/store"
)

// cleanUp removes working copies, evidence volumes and workstations, after their
// retention date. Snapshots, copies and objects are evidence, and never touched.
func (r *runs) cleanUp(ctx context.Context) error {
	sw, err := r.store.Switch(ctx)
	if err != nil || sw.Off {
		return err
	}
	list, err := r.store.WorkingCopies(ctx, r.now())
	if err != nil || len(list) == 0 {
		return err
	}
	byRun := map[respond.RunID][]store.Preserved{}
	for _, p := range list {
		byRun[p.Run] = append(byRun[p.Run], p)
	}
	var errs []error
	for run, items := range byRun {
		errs = append(errs, r.cleanRun(ctx, run, items))
	}
	return errors.Join(errs...)
}

func (r *runs) cleanRun(ctx context.Context, run respond.RunID, list []store.Preserved) error {
	if row, err := r.store.GetRun(ctx, run); err == nil && !row.State.Ended() {
		return nil
	}
	known := map[string]evidence.Item{}
	items := make([]evidence.Item, len(list))
	for i, p := range list {
		items[i], known[p.ID] = p.Item, p.Item
	}
	n := list[0].Incident
	var errs []error
	for _, released := range forensics.Cleanup(ctx, r.aws, n.String(), run, items, r.now()) {
		errs = append(errs, released.Err)
		if !released.Done {
			continue
		}
		it := known[released.Item]
		it.Working, it.Gap = false, evidence.Removed
		errs = append(errs, r.store.Write(ctx, func(tx *store.Tx) error {
			tx.Audit(audit.Record{Who: incident.Guardroom, Action: "evidence.released", Object: "run/" + string(run), Before: it.Location, Why: "its retention date is over"})
			if err := tx.AddCustody(ctx, n, run, []evidence.Custody{{At: tx.Now(), Who: "guardroom/" + string(run), Action: "released", Item: it.ID, From: it.Location, Reason: "retention date"}}); err != nil {
				return err
			}
			return tx.PutEvidence(ctx, n, run, []evidence.Item{it})
		}))
	}
	return errors.Join(errs...)
}
