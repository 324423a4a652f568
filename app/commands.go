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

// change loads an incident, changes it and stores what follows. The hooks run in
// the same transaction: before, for locks that come before the incident's, and
// after, when the incident did change. Both may be nil.
func (c *Commands) change(ctx context.Context, n incident.Number, do func(i *incident.Incident, now time.Time) ([]incident.Entry, error), hooks ...hook) (i *incident.Incident, err error) {
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		for _, h := range hooks {
			if h.before != nil {
				if err := h.before(tx); err != nil {
					return err
				}
			}
		}
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
		for _, h := range hooks {
			if err := h.after(tx, i); err != nil {
				return err
			}
		}
		r := raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}
		_, err = r.incident(ctx, i, true)
		return err
	})
	return i, err
}

// hook is what a command does beside changing its incident.
type hook struct {
	before func(tx *store.Tx) error
	after  func(tx *store.Tx, i *incident.Incident) error
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
	closing := func(i *incident.Incident, now time.Time) ([]incident.Entry, error) {
		return i.Close(verdict, note, who, now)
	}
	if !c.archive.Wanted() {
		return c.change(ctx, n, closing)
	}
	var marked []finding.ID
	i, err := c.change(ctx, n, closing, hook{
		before: func(tx *store.Tx) error { marked = nil; return lockFindingsOf(ctx, tx, n) },
		after: func(tx *store.Tx, i *incident.Incident) (err error) {
			marked, err = markToArchive(ctx, tx, i, who)
			return err
		},
	})
	if err == nil && len(marked) > 0 {
		c.archive.Enqueue(marked)
	}
	return i, err
}

// lockFindingsOf locks the findings of an incident, which comes before the lock
// of the incident itself.
func lockFindingsOf(ctx context.Context, tx *store.Tx, n incident.Number) error {
	list, err := tx.FindingsOf(ctx, n, 0)
	if err != nil {
		return err
	}
	ids := make([]finding.ID, len(list))
	for i, f := range list {
		ids[i] = f.ID
	}
	return tx.LockFindings(ctx, ids)
}

// markToArchive marks the findings of a closed incident that GuardDuty still
// shows. They are marked before it happens: our own archiving is no event. One
// that GuardDuty has not confirmed is archived only when it has, and not where it
// tells otherwise: who may write to a queue must not get a real one archived.
func markToArchive(ctx context.Context, tx *store.Tx, i *incident.Incident, who string) ([]finding.ID, error) {
	if i.Sample || i.State != incident.Closed {
		return nil, nil
	}
	list, err := tx.FindingsOf(ctx, i.Number, 0)
	if err != nil {
		return nil, err
	}
	var marked []finding.ID
	unconfirmed := 0
	for _, f := range list {
		if f.Archived || f.DetectorID == "" {
			continue
		}
		if err := tx.MarkArchivedByUs(ctx, f.ID); err != nil {
			return nil, err
		}
		marked = append(marked, f.ID)
		if !f.Confirmed {
			unconfirmed++
		}
	}
	if len(marked) > 0 {
		after := fmt.Sprintf("%d findings", len(marked))
		if unconfirmed > 0 {
			after += fmt.Sprintf(", %d of them once GuardDuty has confirmed them", unconfirmed)
		}
		tx.Audit(audit.Record{Who: who, Action: "findings.archive", Object: i.Number.String(), After: after, Why: "the incident was closed"})
	}
	return marked, nil
}

// Merge makes an incident part of another one, by a person's decision: its
// findings and merge keys move, and it closes everywhere with a link. It returns
// the incident that lives on.
func (c *Commands) Merge(ctx context.Context, n, into incident.Number, why, who string) (i *incident.Incident, err error) {
	if n == into {
		return nil, fault.New(fault.Usage, n.String()+" cannot be merged into itself", "name two incidents")
	}
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		if err := lockFindingsOf(ctx, tx, n); err != nil {
			return err
		}
		var other *incident.Incident
		for _, number := range []incident.Number{min(n, into), max(n, into)} { // the order of locks
			x, err := tx.Incident(ctx, number)
			if errors.Is(err, store.ErrNotFound) {
				return fault.Wrap(fault.NotFound, nil, "there is no "+number.String(), "nothing was merged", "guardroom incident list")
			}
			if err != nil {
				return err
			}
			if x.MergedInto > 0 {
				return fault.Wrap(fault.Conflict, nil, number.String()+" is merged into "+x.MergedInto.String(), "nothing was merged", "guardroom incident show "+x.MergedInto.String())
			}
			if x.State == incident.Closed {
				return fault.Wrap(fault.Conflict, nil, number.String()+" is closed", "nothing was merged", "guardroom incident reopen "+number.String())
			}
			if number == n {
				other = x
			} else {
				i = x
			}
		}
		if i.Sample != other.Sample {
			return fault.New(fault.Conflict, "a sample and a real incident are never one", "close the sample with the verdict test")
		}
		mine, theirs := i.AbsorbBy(other, who, why, tx.Now())
		if err := moveInto(ctx, tx, i, other, theirs); err != nil {
			return err
		}
		if err := tx.PutIncident(ctx, i, false, mine); err != nil {
			return err
		}
		r := raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}
		for _, x := range []struct {
			i       *incident.Incident
			entries []incident.Entry
		}{{other, theirs}, {i, mine}} {
			for _, e := range x.entries {
				tx.Audit(entryRecord(x.i, e, ""))
			}
			if _, err := r.incident(ctx, x.i, true); err != nil {
				return err
			}
		}
		return nil
	})
	return i, err
}

// moveInto stores that other was absorbed by i: what it held is i's from now on.
func moveInto(ctx context.Context, tx *store.Tx, i, other *incident.Incident, theirs []incident.Entry) error {
	if err := tx.MoveFindings(ctx, other.Number, i.Number); err != nil {
		return err
	}
	if err := tx.MoveKeys(ctx, other.Number, i.Number); err != nil {
		return err
	}
	return tx.PutIncident(ctx, other, false, theirs)
}

// Reopen opens a closed incident again. What was not archived yet stays visible
// in GuardDuty.
func (c *Commands) Reopen(ctx context.Context, n incident.Number, why, who string) (*incident.Incident, error) {
	return c.change(ctx, n, func(i *incident.Incident, now time.Time) ([]incident.Entry, error) { return i.Reopen(who, why, now) }, hook{
		before: func(tx *store.Tx) error { return lockFindingsOf(ctx, tx, n) },
		after:  func(tx *store.Tx, i *incident.Incident) error { return tx.UnmarkArchive(ctx, i.Number) },
	})
}

// Retry frees a delivery that waits for a person, or repeats one that is shown.
func (c *Commands) Retry(ctx context.Context, id, who string) (d notify.Delivery, err error) {
	err = c.store.Write(ctx, func(tx *store.Tx) error {
		if d, err = c.load(ctx, tx, id); err != nil {
			return err
		}
		if _, ok := c.types[d.Destination]; !ok {
			return c.noDestination(d.Destination)
		}
		pauses, err := tx.Pauses(ctx)
		if err != nil {
			return err
		}
		if p, paused := pauses[d.Destination]; paused {
			return fault.New(fault.Conflict, fmt.Sprintf("%s is paused: %s", d.Destination, p.Reason), "guardroom destination resume "+d.Destination)
		}
		return c.free(ctx, tx, &d, who)
	})
	return d, err
}

// free has a delivery worked on from now.
func (c *Commands) free(ctx context.Context, tx *store.Tx, d *notify.Delivery, who string) error {
	before := d.Status
	if allow := c.allow[c.types[d.Destination]]; d.Status == notify.Unknown && allow != nil {
		state, err := allow(d.State)
		if err != nil {
			return fmt.Errorf("free delivery %s: %w", d.ID, err)
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
	tx.Audit(audit.Record{Who: who, Action: "delivery.retried", Object: "delivery/" + d.ID, Before: string(before), After: string(d.Status)})
	if err := tx.PutDelivery(ctx, *d, false); err != nil {
		return err
	}
	return raiser{store: c.store, engine: c.engine, newID: c.newID, tx: tx}.enqueue(ctx, *d)
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
