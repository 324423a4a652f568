package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source/file"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// want is which revision of an incident its destinations should show.
type want struct {
	incident     *incident.Incident
	isNew        bool // opened in this transaction: it has no deliveries yet
	urgent       bool
	destinations []string // new ones, beside those that show it already
	routes       []string
}

// urgentKinds are what people should learn at once: edits because of them do
// not wait for the spacing of edits.
var urgentKinds = map[incident.Kind]bool{
	incident.KindOpened: true, incident.KindSeverityRaised: true, incident.KindAcknowledged: true, incident.KindAssigned: true,
	incident.KindContained: true, incident.KindClosed: true, incident.KindReopened: true, incident.KindReleased: true, incident.KindNote: true,
}

func isUrgent(entries []incident.Entry) bool {
	return slices.ContainsFunc(entries, func(e incident.Entry) bool { return urgentKinds[e.Kind] })
}

// want remembers that an incident changed; the deliveries are raised once at
// the end of the transaction, to the last revision of each.
func (a *acceptance) want(i *incident.Incident, entries []incident.Entry, isNew bool, d triage.Decision) {
	w := a.wants[i.Number]
	if w == nil {
		w = &want{}
		a.wants[i.Number] = w
	}
	w.incident = i
	w.isNew = w.isNew || isNew
	w.urgent = w.urgent || isNew || isUrgent(entries)
	if !i.Silent && d.Quiet == "" {
		w.destinations = append(w.destinations, d.Destinations...)
		w.routes = append(w.routes, d.Routes...)
	}
}

// deliveries raises what every changed incident's destinations should show, and
// enqueues the work for it.
func (a *acceptance) deliveries(ctx context.Context) error {
	list := make([]*want, 0, len(a.wants))
	for _, w := range a.wants {
		list = append(list, w)
	}
	slices.SortFunc(list, func(x, y *want) int { return cmp.Compare(x.incident.Number, y.incident.Number) })
	r := raiser{store: a.flow.store, engine: a.flow.engine, newID: a.flow.newID, tx: a.tx}
	for _, w := range list {
		if err := a.raise(ctx, r, w); err != nil {
			return err
		}
	}
	return nil
}

func (a *acceptance) raise(ctx context.Context, r raiser, w *want) error {
	var existing map[string]bool
	if !w.isNew {
		var err error
		if existing, err = r.incident(ctx, w.incident, w.urgent); err != nil {
			return err
		}
	}
	slices.Sort(w.destinations)
	for _, name := range slices.Compact(w.destinations) {
		if existing[name] || w.incident.State == incident.Closed {
			continue
		}
		d := r.newDelivery(message.KindIncident, string(w.incident.ID), name)
		if limit := a.flow.config.DigestAbove[name]; limit > 0 && a.in.Source != file.Name {
			full, err := a.full(ctx, name, limit, w.incident.Severity.Band())
			if err != nil {
				return err
			}
			if full {
				if err := r.digest(ctx, d, w.incident); err != nil {
					return err
				}
				continue
			}
		}
		if err := r.open(ctx, d, w.incident.Revision, "route "+fmt.Sprint(w.routes)); err != nil {
			return err
		}
	}
	return nil
}

// full reports whether a digest must stand for one more incident. Critical ones
// are counted apart: no flood of others keeps them from a message of their own.
// The store is asked once in a transaction.
func (a *acceptance) full(ctx context.Context, destination string, limit int, b finding.Band) (bool, error) {
	key, ask := destination, a.tx.CountNewDeliveries
	if b == finding.Critical {
		key, ask = destination+" critical", a.tx.CountNewCritical
	}
	n, counted := a.opened[key]
	if !counted {
		var err error
		if n, err = ask(ctx, destination, a.tx.Now().Add(-a.flow.config.Minute), limit); err != nil {
			return false, err
		}
	}
	a.opened[key] = n + 1
	return n >= limit, nil
}

// raiser raises deliveries inside a transaction.
type raiser struct {
	store  *store.DB
	engine enqueuer
	newID  func() string
	tx     *store.Tx
}

// incident raises the deliveries that an incident has to its newest revision.
// It returns their destinations.
func (r raiser) incident(ctx context.Context, i *incident.Incident, urgent bool) (map[string]bool, error) {
	return r.subject(ctx, string(i.ID), i.Revision, urgent)
}

func (r raiser) subject(ctx context.Context, subject string, revision int64, urgent bool) (map[string]bool, error) {
	list, err := r.tx.DeliveriesOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	existing := make(map[string]bool, len(list))
	for _, d := range list {
		existing[d.Destination] = true
		if err := r.raise(ctx, d, revision, urgent); err != nil {
			return nil, err
		}
	}
	return existing, nil
}

func (r raiser) raise(ctx context.Context, d notify.Delivery, revision int64, urgent bool) error {
	arm := d.Want(revision, urgent, r.tx.Now())
	if err := r.tx.PutDelivery(ctx, d, false); err != nil {
		return err
	}
	if arm {
		return r.enqueue(ctx, d)
	}
	return nil
}

func (r raiser) newDelivery(kind message.Kind, subject, destination string) notify.Delivery {
	return notify.Delivery{ID: r.newID(), Kind: kind, Subject: subject, Destination: destination, Status: notify.Pending, CreatedAt: r.tx.Now()}
}

// open stores a new delivery and enqueues its first work item. A destination
// that is paused gets it when it is resumed.
func (r raiser) open(ctx context.Context, d notify.Delivery, revision int64, why string) error {
	pauses, err := r.tx.Pauses(ctx)
	if err != nil {
		return err
	}
	if p, paused := pauses[d.Destination]; paused {
		d.Wanted, d.WantedAt, d.Status = revision, r.tx.Now(), notify.Paused
		d.Fault = &notify.Fault{At: p.At, Class: notify.Pause, Reason: "paused", Message: p.Reason, Hint: p.Hint}
		return r.tx.PutDelivery(ctx, d, true)
	}
	d.Want(revision, true, r.tx.Now())
	if err := r.tx.PutDelivery(ctx, d, true); err != nil {
		return err
	}
	r.tx.Audit(audit.Record{Who: incident.Guardroom, Action: "delivery.opened", Object: "delivery/" + d.ID,
		After: string(d.Kind) + " " + d.Subject + " to " + d.Destination, Why: why})
	return r.enqueue(ctx, d)
}

func (r raiser) enqueue(ctx context.Context, d notify.Delivery) error {
	var after time.Duration
	if d.NextAt.After(r.tx.Now()) {
		after = d.NextAt.Sub(r.tx.Now())
	}
	return r.engine.Enqueue(ctx, r.tx.SQL(), d.Destination, durable.Item{Destination: d.Destination, Delivery: d.ID, Generation: d.Generation}, after)
}

// digest lets a digest stand for a delivery.
func (r raiser) digest(ctx context.Context, d notify.Delivery, i *incident.Incident) error {
	dg, err := r.tx.DigestIncident(ctx, d.Destination, r.newID(), store.Digested{Number: i.Number, Severity: i.Severity}, r.tx.Now().Add(-digestWindow))
	if err != nil {
		return err
	}
	d.Wanted, d.Status = i.Revision, notify.Digested
	d.Reference = "digest " + dg.ID
	if err := r.tx.PutDelivery(ctx, d, true); err != nil {
		return err
	}
	existing, err := r.subject(ctx, dg.ID, dg.Revision, false)
	if err != nil || existing[d.Destination] {
		return err
	}
	return r.open(ctx, r.newDelivery(message.KindDigest, dg.ID, d.Destination), dg.Revision, "more new incidents in a minute than "+d.Destination+" should get one by one")
}

// digestWindow is for how long one digest takes further incidents.
const digestWindow = 10 * time.Minute
