package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// ledger implements notify.Ledger: deliveries in the store, with what their
// outcome means for incidents and other destinations.
type ledger struct {
	store  *store.DB
	engine enqueuer
	newID  func() string
	tempo  notify.Tempo
	types  map[string]string // destination name -> type
	notice func(ctx context.Context, tx *store.Tx, n store.Notice, about string) error
}

var _ notify.Ledger = (*ledger)(nil)

// inHand is how long a work item may wait by itself. Longer waits are enqueued
// anew, so that a stop or a takeover finds no one asleep.
const inHand = 900 * time.Millisecond

// own loads a delivery that is still of this generation.
func own(ctx context.Context, tx *store.Tx, id string, generation int64) (notify.Delivery, error) {
	d, err := tx.Delivery(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && (!d.Armed || d.Generation != generation)) {
		return d, notify.ErrVoid
	}
	return d, err
}

// lockIncident locks the incident of a delivery where the change reaches it:
// incidents are locked before deliveries everywhere.
func lockIncident(ctx context.Context, tx *store.Tx, id string, reaches func(d notify.Delivery) bool) error {
	d, err := tx.PeekDelivery(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && (d.Kind != message.KindIncident || !reaches(d))) {
		return nil
	}
	if err == nil {
		_, err = tx.IncidentByID(ctx, incident.ID(d.Subject))
	}
	return err
}

// Claim implements notify.Ledger.
func (l *ledger) Claim(ctx context.Context, id string, generation int64, worker string) (d notify.Delivery, err error) {
	err = l.store.Write(ctx, func(tx *store.Tx) error {
		if d, err = own(ctx, tx, id, generation); err != nil {
			return err
		}
		pauses, err := tx.Pauses(ctx)
		if err != nil {
			return err
		}
		if p, paused := pauses[d.Destination]; paused {
			d.Stop(notify.Paused, notify.Fault{At: p.At, Class: notify.Pause, Reason: "paused", Message: p.Reason, Hint: p.Hint})
			if err := tx.PutDelivery(ctx, d, false); err != nil {
				return err
			}
			d.Armed = false
			return nil
		}
		d.Worker, d.ClaimedAt, d.Urgent = worker, tx.Now(), false
		d.Attempts++
		return tx.PutDelivery(ctx, d, false)
	})
	if err == nil && !d.Armed {
		err = notify.ErrVoid
	}
	return d, err
}

// SaveState implements notify.Ledger.
func (l *ledger) SaveState(ctx context.Context, id string, generation int64, state json.RawMessage) error {
	return l.store.Write(ctx, func(tx *store.Tx) error {
		d, err := own(ctx, tx, id, generation)
		if err != nil {
			return err
		}
		d.State = state
		return tx.PutDelivery(ctx, d, false)
	})
}

// Shown implements notify.Ledger.
func (l *ledger) Shown(ctx context.Context, id string, generation, revision int64, out notify.Outcome) (next notify.Next, err error) {
	err = l.store.Write(ctx, func(tx *store.Tx) error {
		next = notify.Next{}
		if err := lockIncident(ctx, tx, id, func(d notify.Delivery) bool {
			return out.Reference != "" && out.Reference != d.Reference && namers[l.types[d.Destination]]
		}); err != nil {
			return err
		}
		d, err := own(ctx, tx, id, generation)
		if err != nil {
			return err
		}
		before := d.Reference
		finished := d.Shown(revision, out, tx.Now(), l.tempo)
		r := audit.Record{Who: incident.Guardroom, Action: "delivery.shown", Object: "delivery/" + id,
			After: fmt.Sprintf("%s shows revision %d of %s as %s", d.Destination, d.Done, d.Subject, d.Reference), Why: out.Quiet}
		tx.Audit(r)
		if !finished {
			if next, err = l.again(ctx, tx, &d); err != nil {
				return err
			}
		}
		if err := tx.PutDelivery(ctx, d, false); err != nil {
			return err
		}
		if before != d.Reference && d.Kind == message.KindIncident {
			return l.siblings(ctx, tx, d)
		}
		return nil
	})
	return next, err
}

// namers have references that people say (SEC-88); readers show them.
var (
	namers  = map[string]bool{"jira": true, "pagerduty": true}
	readers = map[string]bool{"slack": true}
)

// siblings has the messages of an incident show the reference that another
// destination just gave it, after the spacing of edits.
func (l *ledger) siblings(ctx context.Context, tx *store.Tx, d notify.Delivery) error {
	if !namers[l.types[d.Destination]] {
		return nil
	}
	i, err := tx.IncidentByID(ctx, incident.ID(d.Subject))
	if err != nil {
		return err
	}
	list, err := tx.DeliveriesOf(ctx, d.Subject)
	if err != nil {
		return err
	}
	r := raiser{store: l.store, engine: l.engine, newID: l.newID, tx: tx}
	bumped := false
	for _, o := range list {
		if !readers[l.types[o.Destination]] {
			continue
		}
		if !bumped {
			bumped = true
			i.Revision++
			if err := tx.PutIncident(ctx, i, false, nil); err != nil {
				return err
			}
		}
		if err := r.raise(ctx, o, i.Revision, false); err != nil {
			return err
		}
	}
	return nil
}

// Failed implements notify.Ledger.
func (l *ledger) Failed(ctx context.Context, id string, generation int64, fault notify.Fault, after time.Duration) (next notify.Next, err error) {
	err = l.store.Write(ctx, func(tx *store.Tx) error {
		next = notify.Next{}
		d, err := own(ctx, tx, id, generation)
		if err != nil {
			return err
		}
		d.Failed(fault, tx.Now().Add(after))
		if next, err = l.again(ctx, tx, &d); err != nil {
			return err
		}
		return tx.PutDelivery(ctx, d, false)
	})
	return next, err
}

// again decides how a delivery goes on at d.NextAt: in the hands of the same
// work item when that is soon, else as an item of the next generation.
func (l *ledger) again(ctx context.Context, tx *store.Tx, d *notify.Delivery) (notify.Next, error) {
	wait := max(0, d.NextAt.Sub(tx.Now()))
	if wait <= inHand {
		return notify.Next{Again: true, Wait: wait}, nil
	}
	at, urgent := d.NextAt, d.Urgent
	d.Arm(tx.Now())
	d.NextAt, d.Urgent = at, urgent
	r := raiser{store: l.store, engine: l.engine, newID: l.newID, tx: tx}
	return notify.Next{}, r.enqueue(ctx, *d)
}

// Stop implements notify.Ledger.
func (l *ledger) Stop(ctx context.Context, id string, generation int64, status notify.Status, fault notify.Fault) error {
	return l.store.Write(ctx, func(tx *store.Tx) error {
		if err := lockIncident(ctx, tx, id, func(notify.Delivery) bool { return status != notify.Paused }); err != nil {
			return err
		}
		d, err := own(ctx, tx, id, generation)
		if err != nil {
			return err
		}
		d.Stop(status, fault)
		if err := tx.PutDelivery(ctx, d, false); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "delivery." + string(status), Object: "delivery/" + id,
			After: d.Destination, Why: fault.Message})
		if status == notify.Paused {
			return l.pause(ctx, tx, d, fault)
		}
		return l.parked(ctx, tx, d, fault)
	})
}

// parked tells the incident's other destinations that this one does not show
// it, and those who watch guardroom.
func (l *ledger) parked(ctx context.Context, tx *store.Tx, d notify.Delivery, fault notify.Fault) error {
	if d.Kind == message.KindIncident {
		i, err := tx.IncidentByID(ctx, incident.ID(d.Subject))
		if err != nil {
			return err
		}
		entries := i.Parked(d.Destination, fault.Message, tx.Now())
		if err := tx.PutIncident(ctx, i, false, entries); err != nil {
			return err
		}
		r := raiser{store: l.store, engine: l.engine, newID: l.newID, tx: tx}
		if _, err := r.incident(ctx, i, true); err != nil {
			return err
		}
	}
	if d.Kind == message.KindNotice {
		return nil // a notice about a notice would never end
	}
	return l.notice(ctx, tx, store.Notice{Key: "parked/" + d.Destination, Topic: string(message.ParkedDelivery), Subject: d.Destination,
		Message: fault.Message, Safe: "the incident is kept and shown elsewhere", Hint: "guardroom delivery list --status parked"}, d.Destination)
}

// pause pauses the whole destination.
func (l *ledger) pause(ctx context.Context, tx *store.Tx, d notify.Delivery, fault notify.Fault) error {
	hint := fault.Hint
	isNew, err := tx.PauseDestination(ctx, store.Pause{Destination: d.Destination, Who: incident.Guardroom, Reason: fault.Message, Hint: hint})
	if err != nil || !isNew {
		return err
	}
	tx.Audit(audit.Record{Who: incident.Guardroom, Action: "destination.paused", Object: "destination/" + d.Destination, Why: fault.Message})
	return l.notice(ctx, tx, store.Notice{Key: "paused/" + d.Destination, Topic: string(message.PausedDestination), Subject: d.Destination,
		Message: fault.Message, Safe: "what it should show is kept", Hint: "mend it, then: guardroom destination resume " + d.Destination}, d.Destination)
}
