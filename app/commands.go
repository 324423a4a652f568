package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// Commands are what people do. Each is one transaction: the change, its
// timeline entry, its audit record, and the deliveries that must now show it.
// They are safe for concurrent use, and repeating one changes nothing.
type Commands struct {
	store   *store.DB
	engine  enqueuer
	newID   func() string
	archive archiver
	allow   map[string]func(json.RawMessage) (json.RawMessage, error) // destination type -> lets an undecided delivery create
	types   map[string]string
}

// archiver archives findings in GuardDuty, later and with repetition.
type archiver interface {
	Wanted() bool
	Enqueue(ids []finding.ID)
}

// change loads an incident, changes it and stores what follows.
func (c *Commands) change(ctx context.Context, n incident.Number, do func(i *incident.Incident, now time.Time) ([]incident.Entry, error)) (i *incident.Incident, err error) {
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		if i, err = tx.Incident(ctx, n); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return fault.Wrap(fault.NotFound, nil, "there is no "+n.String(), "", "guardroom incident list")
			}
			return err
		}
		entries, err := do(i, tx.Now())
		if err != nil || len(entries) == 0 {
			return err
		}
		if err := tx.PutIncident(ctx, i, false, entries); err != nil {
			return err
		}
		for _, e := range entries {
			tx.Audit(entryRecord(i, e, ""))
		}
		r := raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}
		_, err = r.incident(ctx, i, true)
		return err
	})
	return i, err
}

// Acknowledge takes an incident.
func (c *Commands) Acknowledge(ctx context.Context, n incident.Number, who string) (*incident.Incident, error) {
	return c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) { return i.Acknowledge(who, now) })
}

// Assign gives an incident to a person.
func (c *Commands) Assign(ctx context.Context, n incident.Number, owner, who string) (*incident.Incident, error) {
	return c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) { return i.Assign(owner, who, now) })
}

// Note adds a person's words to the timeline.
func (c *Commands) Note(ctx context.Context, n incident.Number, text, who string) (*incident.Incident, error) {
	return c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) { return i.AddNote(text, who, now) })
}

// CloseIncident ends an incident with a verdict, and archives its findings in
// GuardDuty where that is configured.
func (c *Commands) CloseIncident(ctx context.Context, n incident.Number, verdict incident.Verdict, note, who string) (*incident.Incident, error) {
	var archive []finding.ID
	i, err := c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) {
		return i.Close(verdict, note, who, now)
	})
	if err != nil || !c.archive.Wanted() || i.Sample {
		return i, err
	}
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		archive = nil
		list, err := lockedFindings(ctx, tx, n)
		if err != nil {
			return err
		}
		for _, f := range list {
			if f.Archived || f.DetectorID == "" {
				continue
			}
			// Marked before it happens: our own archiving is no event.
			if err := tx.MarkArchivedByUs(ctx, f.ID); err != nil {
				return err
			}
			archive = append(archive, f.ID)
		}
		if len(archive) > 0 {
			tx.Audit(audit.Record{Who: who, Action: "findings.archive", Object: n.String(), After: fmt.Sprintf("%d findings", len(archive)), Why: "the incident was closed"})
		}
		return nil
	})
	if err == nil && len(archive) > 0 {
		c.archive.Enqueue(archive)
	}
	return i, err
}

// lockedFindings returns the findings of an incident as they are once their
// locks are held, so that a revision that is accepted meanwhile loses nothing.
func lockedFindings(ctx context.Context, tx *store.Tx, n incident.Number) ([]store.Finding, error) {
	list, err := tx.FindingsOf(ctx, n, 0)
	if err != nil {
		return nil, err
	}
	ids := make([]finding.ID, len(list))
	for i, f := range list {
		ids[i] = f.ID
	}
	if err := tx.LockFindings(ctx, ids); err != nil {
		return nil, err
	}
	return tx.FindingsOf(ctx, n, 0)
}

// Reopen opens a closed incident again.
func (c *Commands) Reopen(ctx context.Context, n incident.Number, why, who string) (*incident.Incident, error) {
	return c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) { return i.Reopen(who, why, now) })
}

// Retry frees a delivery that waits for a person, or repeats one that is shown.
func (c *Commands) Retry(ctx context.Context, id, who string) (d notify.Delivery, err error) {
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		if d, err = c.load(ctx, tx, id); err != nil {
			return err
		}
		pauses, err := tx.Pauses(ctx)
		if err != nil {
			return err
		}
		if p, paused := pauses[d.Destination]; paused {
			return fault.New(fault.Conflict, fmt.Sprintf("%s is paused: %s", d.Destination, p.Reason), "guardroom destination resume "+d.Destination)
		}
		before := d.Status
		if allow := c.allow[c.types[d.Destination]]; d.Status == notify.Unknown && allow != nil {
			state, err := allow(d.State)
			if err != nil {
				return fmt.Errorf("free delivery %s: %w", id, err)
			}
			d.State = state
		}
		d.Failures, d.FailingSince = 0, time.Time{}
		if d.Done >= d.Wanted {
			// Nothing is behind: show the same once more.
			d.Done = d.Wanted - 1
			d.WantedAt = tx.Now()
		}
		d.Arm(tx.Now())
		tx.Audit(audit.Record{Who: who, Action: "delivery.retried", Object: "delivery/" + id, Before: string(before), After: string(d.Status)})
		if err := tx.PutDelivery(ctx, d, false); err != nil {
			return err
		}
		return raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}.enqueue(ctx, d)
	})
	return d, err
}

// Drop gives a delivery up.
func (c *Commands) Drop(ctx context.Context, id, who, why string) (d notify.Delivery, err error) {
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		if d, err = c.load(ctx, tx, id); err != nil {
			return err
		}
		before := d.Status
		d.Status, d.Armed = notify.Dropped, false
		d.Worker, d.ClaimedAt, d.NextAt = "", time.Time{}, time.Time{}
		tx.Audit(audit.Record{Who: who, Action: "delivery.dropped", Object: "delivery/" + id, Before: string(before), After: string(d.Status), Why: why})
		return tx.PutDelivery(ctx, d, false)
	})
	return d, err
}

func (c *Commands) load(ctx context.Context, tx *store.Tx, id string) (notify.Delivery, error) {
	d, err := tx.Delivery(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return d, fault.New(fault.NotFound, "there is no delivery "+id, "guardroom delivery list")
	}
	return d, err
}

// Pause stops a destination; what it should show is kept.
func (c *Commands) Pause(ctx context.Context, name, who, why string) error {
	if _, ok := c.types[name]; !ok {
		return c.noDestination(name)
	}
	return c.store.Write(ctx, func(tx *store.Tx) error {
		isNew, err := tx.PauseDestination(ctx, store.Pause{Destination: name, Who: who, Reason: why})
		if err == nil && isNew {
			tx.Audit(audit.Record{Who: who, Action: "destination.paused", Object: "destination/" + name, Why: why})
		}
		return err
	})
}

// Resume ends a pause and takes up what waited for it. It returns how many
// deliveries that were.
func (c *Commands) Resume(ctx context.Context, name, who string) (n int, err error) {
	if _, ok := c.types[name]; !ok {
		return 0, c.noDestination(name)
	}
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.ResumeDestination(ctx, name)
		if err != nil {
			return err
		}
		if was {
			tx.Audit(audit.Record{Who: who, Action: "destination.resumed", Object: "destination/" + name})
		}
		list, err := tx.DeliveriesOfDestination(ctx, name, notify.Paused, 100_000)
		if err != nil {
			return err
		}
		n = len(list)
		r := raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}
		for _, d := range list {
			d.Failures, d.FailingSince = 0, time.Time{}
			d.Arm(tx.Now())
			if err := tx.PutDelivery(ctx, d, false); err != nil {
				return err
			}
			if err := r.enqueue(ctx, d); err != nil {
				return err
			}
		}
		_, _, err = resolve(ctx, tx, r, "paused/"+name)
		return err
	})
	return n, err
}

func (c *Commands) noDestination(name string) error {
	names := slices.Sorted(keysOf(c.types))
	return fault.New(fault.NotFound, fmt.Sprintf("there is no destination %q", name), fmt.Sprintf("configured are %v", names))
}

// resolve resolves a notice and has its deliveries say so.
func resolve(ctx context.Context, tx *store.Tx, r raiser, key string) (store.Notice, bool, error) {
	n, ok, err := tx.ResolveNotice(ctx, key)
	if err != nil || !ok {
		return n, ok, err
	}
	_, err = r.subject(ctx, n.ID, n.Revision, true)
	return n, true, err
}
