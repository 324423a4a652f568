package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// wishes makes the plans that routes want, once GuardDuty has confirmed their
// findings, and approves those that a rule approves beforehand.
func (d *desk) wishes(ctx context.Context, confirm func(ctx context.Context, id store.Finding) (bool, error)) error {
	list, err := d.store.DueWishes(ctx, d.now(), 20)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range list {
		mine := false
		err := d.store.Write(ctx, func(tx *store.Tx) (err error) {
			// Nobody else looks at it meanwhile; after a crash it is due again.
			mine, err = tx.ClaimWish(ctx, w, tx.Now().Add(d.tempo.Scale(5*time.Minute)))
			return err
		})
		if err == nil && mine {
			err = d.wish(ctx, w, confirm)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// givesUp is for how long a plan is wished for: what GuardDuty does not confirm
// in that time it does not know.
const givesUp = 24 * time.Hour

func (d *desk) wish(ctx context.Context, w store.Wish, confirm func(ctx context.Context, f store.Finding) (bool, error)) error {
	later := func(why string) error {
		w.Tries++
		w.Why = why
		w.NextAt = d.now().Add(d.tempo.Scale(min(time.Minute, 2*time.Second<<min(w.Tries, 10))))
		if d.now().Sub(w.At) > d.tempo.Scale(givesUp) {
			return d.endWish(ctx, w, "no plan was made by itself: "+why)
		}
		return d.store.Write(ctx, func(tx *store.Tx) error { return tx.PostponeWish(ctx, w) })
	}
	f, ok, err := d.store.GetFinding(ctx, w.Finding)
	if err != nil {
		return err
	}
	if !ok {
		return d.endWish(ctx, w, "")
	}
	_, said, err := d.store.ConfirmedFinding(ctx, w.Finding)
	if err != nil {
		return err
	}
	if !said {
		known, err := confirm(ctx, f)
		switch {
		case fault.CodeOf(err) == fault.Usage: // an account that is not ours stays so
			return d.endWish(ctx, w, "no plan was made by itself: "+fault.Of(err).Error())
		case err != nil:
			return later("GuardDuty could not be asked: " + fault.Of(err).Error())
		case !known:
			return later("GuardDuty in " + f.AccountID + " does not know the finding")
		}
	}
	made, err := d.madeByItself(ctx)
	if err != nil {
		return err
	}
	if limit := d.policy.PlansAnHour; limit > 0 && made >= limit {
		return d.endWish(ctx, w, fmt.Sprintf("no plan was made by itself: %d were made within the hour, and the cap is %d (respond.caps.plans); a person can: guardroom plan create --incident %s", made, limit, w.Incident))
	}
	row, plan, err := d.create(ctx, api.PlanRequest{Incident: w.Incident, Playbook: w.Playbook}, incident.Guardroom, true)
	if err != nil {
		if c := fault.CodeOf(err); c == fault.Unavailable || c == fault.Internal {
			return later(fault.Of(err).Error())
		}
		return d.endWish(ctx, w, "no plan was made by itself: "+fault.Of(err).Error())
	}
	if err := d.preAuthorize(ctx, row, plan); err != nil {
		d.log.Warn("whether a rule approves a plan beforehand is not known", "plan", string(row.ID), "error", err)
	}
	return d.endWish(ctx, w, "")
}

// madeByItself counts the plans that guardroom has made by itself within the hour,
// as far as that matters for the cap.
func (d *desk) madeByItself(ctx context.Context) (n int, err error) {
	since := d.now().Add(-d.tempo.Scale(time.Hour))
	page := store.PlanFilter{Limit: 200}
	for {
		list, err := d.store.Plans(ctx, page)
		if err != nil {
			return 0, err
		}
		for _, p := range list {
			if p.CreatedAt.Before(since) || n >= d.policy.PlansAnHour {
				return n, nil
			}
			if p.Requester == incident.Guardroom {
				n++
			}
		}
		if len(list) < page.Limit {
			return n, nil
		}
		page.Before = list[len(list)-1].ID
	}
}

func (d *desk) endWish(ctx context.Context, w store.Wish, why string) error {
	return d.store.Write(ctx, func(tx *store.Tx) error {
		ended, err := tx.EndWish(ctx, w.Incident, w.Playbook, why)
		if err != nil || !ended || why == "" {
			return err
		}
		return d.tell(ctx, tx, w.Incident, incident.KindPlanDecided, incident.Guardroom, why)
	})
}

// preAuthorize approves a plan by a rule: only one that can be undone whole,
// that no guard has a word about, and whose finding is confirmed. A word about the
// evidence bucket holds no containment up.
func (d *desk) preAuthorize(ctx context.Context, row respond.PlanRow, plan *respond.Plan) error {
	if row.State != respond.PlanWaiting || plan.Approvals > 1 || plan.DryRun || !plan.Reversible() {
		return nil
	}
	if slices.ContainsFunc(plan.Guards, func(g respond.Guard) bool { return g.Answer != respond.Pass && g.Name != respond.GuardEvidence }) ||
		slices.ContainsFunc(plan.Steps, func(s respond.Step) bool { return s.Approval != "" }) {
		return nil
	}
	i, err := d.store.GetIncident(ctx, row.Incident)
	if err != nil {
		return err
	}
	f, confirmed, err := d.leading(ctx, i)
	if err != nil || !confirmed {
		return err
	}
	env := d.triager.Env(ctx, f)
	for _, p := range d.before {
		if !slices.Contains(p.cfg.Playbooks, plan.Playbook) || p.hours != nil && !p.hours.Contains(d.now()) {
			continue
		}
		match, err := p.rule.Match(env)
		if err != nil || !match {
			continue // what cannot be evaluated approves nothing
		}
		_, err = d.approve(ctx, row.ID, respond.Approval{Who: "rule " + p.cfg.Name, How: "rule", Digest: row.Digest, Reason: p.cfg.Reason + " (owner: " + p.cfg.Owner + ")", Rule: p.cfg.Name, RuleSHA256: p.sha256})
		if fault.CodeOf(err) == fault.Conflict {
			return nil // a cap or the switch: people decide
		}
		return err
	}
	return nil
}
