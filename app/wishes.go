package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/rule"
	"github.com/guardroom/guardroom/store"
)

// The wishes that are looked at side by side: each may wait for AWS for a minute
// and more, and must hold up none of another account.
const (
	wishesAtOnce  = 8
	wishesOfPlace = 2
	// confirmLimit bounds the question to GuardDuty. With what describes the
	// resource a look is over before another process may take the wish.
	confirmLimit = time.Minute
	claimedFor   = 5 * time.Minute
)

// wisher makes the plans that routes want, once GuardDuty has confirmed their
// findings, and approves those that a rule approves beforehand.
type wisher struct {
	*desk
	confirm func(ctx context.Context, f store.Finding) (bool, error)

	mu       sync.Mutex
	reserved int // plans that are being made
}

// place is where a wish asks AWS.
type place struct{ account, region string }

// look works off the wishes that are due, the most urgent first, and those that
// come due meanwhile. It blocks until none is left that it may begin, and none
// under way; what cannot be looked at is logged, and comes due again.
func (d *wisher) look(ctx context.Context) error {
	var queue []store.Wish
	under, places, busy := 0, map[place]int{}, map[string]bool{}
	ended := make(chan store.Wish, wishesAtOnce)
	tick := time.NewTicker(max(d.tempo.Scale(time.Second), 50*time.Millisecond))
	defer tick.Stop()
	for again := true; ; {
		if again && ctx.Err() == nil {
			var err error
			// Being told to end meanwhile is no failure.
			if queue, err = d.store.DueWishes(ctx, d.now(), 200); err != nil && ctx.Err() == nil {
				if under == 0 {
					return err
				}
				d.log.Warn("the plans that routes want could not be listed", "error", err)
			}
		}
		var left []store.Wish
		for _, wish := range queue {
			at := place{wish.Account, wish.Region}
			if busy[keyOf(wish)] {
				continue
			}
			if ctx.Err() != nil || under >= wishesAtOnce || places[at] >= wishesOfPlace {
				left = append(left, wish)
				continue
			}
			if mine, err := d.claim(ctx, wish); err != nil || !mine {
				d.note(ctx, wish, err)
				continue
			}
			under, busy[keyOf(wish)] = under+1, true
			places[at]++
			go func() {
				defer func() { ended <- wish }()
				d.note(ctx, wish, d.wish(ctx, wish))
			}()
		}
		if under == 0 {
			return nil
		}
		select {
		case wish := <-ended:
			under--
			delete(busy, keyOf(wish))
			if at := (place{wish.Account, wish.Region}); places[at] > 1 {
				places[at]--
			} else {
				delete(places, at)
			}
			queue, again = left, len(left) == 0
		case <-tick.C:
			again = true
		}
	}
}

func keyOf(w store.Wish) string { return w.Incident.String() + " " + w.Playbook }

func (d *wisher) note(ctx context.Context, wish store.Wish, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.Warn("a plan that a route wants could not be looked after", "incident", wish.Incident.String(), "playbook", wish.Playbook, "error", err)
	}
}

// claim takes a wish: nobody else looks at it meanwhile, and after a crash it is
// due again. It reports whether nobody else has it.
func (d *wisher) claim(ctx context.Context, wish store.Wish) (mine bool, err error) {
	err = d.store.Write(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.ClaimWish(ctx, wish, tx.Now().Add(d.tempo.Scale(claimedFor)))
		return err
	})
	return mine, err
}

// givesUp is for how long a plan is wished for: what GuardDuty does not confirm
// in that time it does not know.
const givesUp = 24 * time.Hour

func (d *wisher) wish(ctx context.Context, w store.Wish) error {
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
		short, cancel := context.WithTimeout(ctx, confirmLimit)
		known, err := d.confirm(short, f)
		cancel()
		switch {
		case fault.CodeOf(err) == fault.Usage: // an account that is not ours stays so
			return d.endWish(ctx, w, "no plan was made by itself: "+fault.Of(err).Error())
		case err != nil:
			return later("GuardDuty could not be asked: " + fault.Of(err).Error())
		case !known:
			return later("GuardDuty in " + f.AccountID + " does not know the finding")
		}
	}
	room, err := d.reserve(ctx, w.Incident)
	if fault.CodeOf(err) == fault.Conflict {
		return d.endWish(ctx, w, "no plan was made by itself: "+fault.Of(err).Error())
	}
	if err != nil {
		return err
	}
	if !room { // whether there is any is known once the others are made
		w.NextAt = d.now().Add(d.tempo.Scale(time.Second))
		return d.store.Write(ctx, func(tx *store.Tx) error { return tx.PostponeWish(ctx, w) })
	}
	m, err := d.create(ctx, api.PlanRequest{Incident: w.Incident, Playbook: w.Playbook}, incident.Guardroom, true)
	d.release()
	if err != nil {
		if c := fault.CodeOf(err); c == fault.Unavailable || c == fault.Internal {
			return later(fault.Of(err).Error())
		}
		return d.endWish(ctx, w, "no plan was made by itself: "+fault.Of(err).Error())
	}
	if err := d.preAuthorize(ctx, m); err != nil {
		d.log.Warn("whether a rule approves a plan beforehand is not known", "plan", string(m.row.ID), "error", err)
	}
	return d.endWish(ctx, w, "")
}

// reserve holds a place under the cap of plans that guardroom makes by itself, so
// that AWS is not asked for those beyond it. It returns a conflict where the cap is
// reached, and false while that is not known: others are being made.
func (d *wisher) reserve(ctx context.Context, n incident.Number) (bool, error) {
	limit := d.policy.PlansAnHour
	d.mu.Lock()
	defer d.mu.Unlock()
	if limit > 0 {
		made, err := d.madeByItself(ctx, d.store)
		if err != nil {
			return false, err
		}
		if made >= limit {
			return false, capOfPlans(n, made, limit)
		}
		if made+d.reserved >= limit {
			return false, nil
		}
	}
	d.reserved++
	return true, nil
}

func (d *wisher) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved--
}

func capOfPlans(n incident.Number, made, limit int) error {
	return fault.New(fault.Conflict, fmt.Sprintf("%d were made within the hour, and the cap is %d (respond.caps.plans); a person can: guardroom plan create --incident %s", made, limit, n),
		"guardroom plan create --incident "+n.String())
}

// mayMake refuses a plan that guardroom makes by itself beyond the cap: exactly,
// whoever makes one at the same time.
func (d *desk) mayMake(ctx context.Context, tx *store.Tx, n incident.Number) error {
	limit := d.policy.PlansAnHour
	if limit <= 0 {
		return nil
	}
	if err := tx.LockCaps(ctx); err != nil {
		return err
	}
	made, err := d.madeByItself(ctx, tx)
	if err != nil || made < limit {
		return err
	}
	return capOfPlans(n, made, limit)
}

// planner lists plans: the store, or a transaction.
type planner interface {
	Plans(ctx context.Context, f store.PlanFilter) ([]respond.PlanRow, error)
}

// madeByItself counts the plans that guardroom has made by itself within the hour,
// as far as that matters for the cap.
func (d *desk) madeByItself(ctx context.Context, from planner) (n int, err error) {
	since := d.now().Add(-d.tempo.Scale(time.Hour))
	page := store.PlanFilter{Limit: 200}
	for {
		list, err := from.Plans(ctx, page)
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
// that no guard has a word about, whose finding is confirmed, and each of whose
// resources the rule matches by what AWS shows of it. A word about the evidence bucket
// holds no containment up.
func (d *desk) preAuthorize(ctx context.Context, m made) error {
	row, plan := m.row, m.plan
	if row.State != respond.PlanWaiting || plan.Approvals > 1 || plan.DryRun || !plan.Reversible() || !m.q.Confirmed {
		return nil
	}
	if slices.ContainsFunc(plan.Guards, func(g respond.Guard) bool { return g.Answer != respond.Pass && g.Name != respond.GuardEvidence }) ||
		slices.ContainsFunc(plan.Steps, func(s respond.Step) bool { return s.Approval != "" }) {
		return nil
	}
	for _, p := range d.before {
		if !slices.Contains(p.cfg.Playbooks, plan.Playbook) || p.hours != nil && !p.hours.Contains(d.now()) {
			continue
		}
		if !matches(m, p.rule) {
			continue
		}
		_, err := d.approve(ctx, row.ID, respond.Approval{Who: "rule " + p.cfg.Name, How: "rule", Digest: row.Digest, Reason: p.cfg.Reason + " (owner: " + p.cfg.Owner + ")", Rule: p.cfg.Name, RuleSHA256: p.sha256})
		if fault.CodeOf(err) == fault.Conflict {
			return nil // a cap or the switch: people decide
		}
		return err
	}
	return nil
}

// matches reports whether a rule matches every resource that a plan touches. A
// resource that was not described matches nothing.
func matches(m made, r *rule.Rule) bool {
	targets := m.plan.Parts
	if len(targets) == 0 {
		targets = []respond.Target{m.plan.Target}
	}
	for _, t := range targets {
		at := slices.IndexFunc(m.parts, func(p part) bool { return p.target.Key() == t.Key() })
		if at < 0 || !safety.Matches(m.q, m.parts[at].target, m.parts[at].world, r) {
			return false
		}
	}
	return true
}
