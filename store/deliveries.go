package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const deliveryColumns = `id, kind, subject, destination, wanted, done, armed, generation, status, attempts, failures, wanted_at, done_at,
	next_at, failing_since, worker, claimed_at, state, reference, url, error, warnings, spacing, urgent, created_at, updated_at`

func scanDelivery(s scanner) (notify.Delivery, error) {
	var d notify.Delivery
	var kind, status, state, fault, warnings string
	var armed, urgent int
	var wantedAt, doneAt, nextAt, failingSince, claimedAt, spacing, createdAt, updatedAt int64
	err := s.Scan(&d.ID, &kind, &d.Subject, &d.Destination, &d.Wanted, &d.Done, &armed, &d.Generation, &status, &d.Attempts, &d.Failures,
		&wantedAt, &doneAt, &nextAt, &failingSince, &d.Worker, &claimedAt, &state, &d.Reference, &d.URL, &fault, &warnings, &spacing, &urgent,
		&createdAt, &updatedAt)
	if err != nil {
		return d, err
	}
	d.Kind, d.Status, d.Armed = message.Kind(kind), notify.Status(status), armed != 0
	d.Urgent = urgent != 0
	d.WantedAt, d.DoneAt, d.NextAt, d.FailingSince = timeOf(wantedAt), timeOf(doneAt), timeOf(nextAt), timeOf(failingSince)
	d.ClaimedAt, d.CreatedAt, d.UpdatedAt, d.Spacing = timeOf(claimedAt), timeOf(createdAt), timeOf(updatedAt), time.Duration(spacing)
	if state != "" {
		d.State = json.RawMessage(state)
	}
	if fault != "" {
		d.Fault = &notify.Fault{}
		if err := json.Unmarshal([]byte(fault), d.Fault); err != nil {
			return d, fmt.Errorf("the error of delivery %s: %w", d.ID, err)
		}
	}
	if warnings != "" {
		d.Warnings = strings.Split(warnings, "\n")
	}
	return d, nil
}

func (c q) deliveries(ctx context.Context, where string, args ...any) ([]notify.Delivery, error) {
	rows, err := c.query(ctx, "SELECT "+deliveryColumns+" FROM deliveries "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	defer rows.Close()
	out := []notify.Delivery{}
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Delivery loads a delivery for a change.
func (tx *Tx) Delivery(ctx context.Context, id string) (notify.Delivery, error) {
	return tx.delivery(ctx, "WHERE id = $1 FOR UPDATE", id)
}

// PeekDelivery reads a delivery without locking it, to learn what must be locked
// before it.
func (tx *Tx) PeekDelivery(ctx context.Context, id string) (notify.Delivery, error) {
	return tx.delivery(ctx, "WHERE id = $1", id)
}

func (c q) delivery(ctx context.Context, where, id string) (notify.Delivery, error) {
	d, err := scanDelivery(c.row(ctx, "SELECT "+deliveryColumns+" FROM deliveries "+where, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("delivery %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return d, fmt.Errorf("read delivery %s: %w", id, err)
	}
	return d, nil
}

// DeliveriesOf loads the deliveries of a subject for a change, in the order of
// their destinations.
func (tx *Tx) DeliveriesOf(ctx context.Context, subject string) ([]notify.Delivery, error) {
	return tx.deliveries(ctx, "WHERE subject = $1 ORDER BY destination FOR UPDATE", subject)
}

// DeliveriesOfDestination loads the deliveries of a destination that have a
// status, for a change, oldest first.
func (tx *Tx) DeliveriesOfDestination(ctx context.Context, destination string, status notify.Status, max int) ([]notify.Delivery, error) {
	return tx.deliveries(ctx, "WHERE destination = $1 AND status = $2 ORDER BY created_at, id LIMIT $3 FOR UPDATE", destination, string(status), max)
}

// CountNewDeliveries counts the deliveries of incidents to a destination that
// were created since, but at most max.
func (tx *Tx) CountNewDeliveries(ctx context.Context, destination string, since time.Time, max int) (int, error) {
	return tx.countNew(ctx, "1 FROM deliveries WHERE destination = $1 AND created_at >= $2 AND kind = 'incident'", destination, since, max)
}

// CountNewCritical is CountNewDeliveries of incidents that are Critical now.
func (tx *Tx) CountNewCritical(ctx context.Context, destination string, since time.Time, max int) (int, error) {
	return tx.countNew(ctx, `1 FROM deliveries JOIN incidents ON incidents.id = deliveries.subject
		WHERE destination = $1 AND created_at >= $2 AND kind = 'incident' AND severity >= 9`, destination, since, max)
}

func (tx *Tx) countNew(ctx context.Context, what, destination string, since time.Time, max int) (int, error) {
	var n int
	err := tx.row(ctx, "SELECT COUNT(*) FROM (SELECT "+what+" LIMIT $3) AS found", destination, micros(since), max).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count new deliveries to %s: %w", destination, err)
	}
	return n, nil
}

// PutDelivery inserts or replaces a delivery. Its id, kind, subject, destination
// and time of creation never change. One that is not new and not there is an
// error that wraps ErrNotFound.
func (tx *Tx) PutDelivery(ctx context.Context, d notify.Delivery, isNew bool) error {
	var fault string
	if d.Fault != nil {
		b, err := json.Marshal(d.Fault)
		if err != nil {
			return fmt.Errorf("store delivery %s: %w", d.ID, err)
		}
		fault = string(b)
	}
	args := []any{d.ID, d.Wanted, d.Done, bit(d.Armed), d.Generation, string(d.Status), d.Attempts, d.Failures, micros(d.WantedAt),
		micros(d.DoneAt), micros(d.NextAt), micros(d.FailingSince), d.Worker, micros(d.ClaimedAt), string(d.State), d.Reference, d.URL, fault,
		strings.Join(d.Warnings, "\n"), int64(d.Spacing), bit(d.Urgent), micros(tx.now)}
	if isNew {
		// What stands at the end never changes afterwards.
		tx.waiting[deliveriesTable].add(append(args, string(d.Kind), d.Subject, d.Destination, micros(d.CreatedAt))...)
		return nil
	}
	changed, err := tx.exec(ctx, `UPDATE deliveries SET wanted = $2, done = $3, armed = $4, generation = $5, status = $6, attempts = $7,
		failures = $8, wanted_at = $9, done_at = $10, next_at = $11, failing_since = $12, worker = $13, claimed_at = $14, state = $15,
		reference = $16, url = $17, error = $18, warnings = $19, spacing = $20, urgent = $21, updated_at = $22 WHERE id = $1`, args...)
	if err != nil {
		return fmt.Errorf("store delivery %s: %w", d.ID, err)
	}
	if changed == 0 {
		return fmt.Errorf("store delivery %s: %w", d.ID, ErrNotFound)
	}
	return nil
}

// GetDelivery reads a delivery.
func (db *DB) GetDelivery(ctx context.Context, id string) (notify.Delivery, error) {
	return db.read().delivery(ctx, "WHERE id = $1", id)
}

// DeliveryFilter narrows a list of deliveries. Zero fields do not narrow.
type DeliveryFilter struct {
	Statuses    []notify.Status
	Destination string
	Subject     string
	Behind      bool // only those that do not show what is wanted
	After       Cursor
	Limit       int
}

// Deliveries lists deliveries, newest created first (among equals the greater
// id), by keyset: a page begins strictly behind f.After.
func (db *DB) Deliveries(ctx context.Context, f DeliveryFilter) ([]notify.Delivery, error) {
	if len(f.Statuses) < 2 {
		return db.deliveriesWith(ctx, f, f.Statuses)
	}
	// Each status is sorted in its index already; all in one query would have
	// to be sorted anew.
	statuses := slices.Clone(f.Statuses)
	slices.Sort(statuses)
	all := []notify.Delivery{}
	for _, s := range slices.Compact(statuses) {
		list, err := db.deliveriesWith(ctx, f, []notify.Status{s})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b notify.Delivery) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return all[:min(len(all), limit(f.Limit))], nil
}

func (db *DB) deliveriesWith(ctx context.Context, f DeliveryFilter, statuses []notify.Status) ([]notify.Delivery, error) {
	w := where{}
	for _, s := range statuses {
		w.add("status = $?", string(s))
	}
	w.eq("destination", f.Destination)
	w.eq("subject", f.Subject)
	if f.Behind {
		w.add("done < wanted")
		w.add("status <> $?", string(notify.Digested)) // a digest stands for it
		w.add("status <> $?", string(notify.Dropped))  // nobody waits for it
	}
	if !f.After.At.IsZero() {
		w.add("(created_at, id) < ($?, $?)", micros(f.After.At), f.After.ID)
	}
	return db.read().deliveries(ctx, w.sql()+" ORDER BY created_at DESC, id DESC LIMIT "+w.arg(limit(f.Limit)), w.args...)
}

// Unfinished counts the deliveries that are armed, and those that do not show
// what is wanted without being armed (parked, paused, unknown).
func (db *DB) Unfinished(ctx context.Context) (armed, stuck int, err error) {
	// Two questions, each with a small index of its own: one that joins them
	// would read every delivery, again and again while somebody waits.
	err = db.read().row(ctx, `SELECT (SELECT COUNT(*) FROM deliveries WHERE armed = 1),
		(SELECT COUNT(*) FROM deliveries WHERE done < wanted AND armed = 0 AND status <> 'digested' AND status <> 'dropped')`).Scan(&armed, &stuck)
	if err != nil {
		return 0, 0, fmt.Errorf("count unfinished deliveries: %w", err)
	}
	return armed, stuck, nil
}

// Orphans returns the armed deliveries that a worker claimed before the given
// moment and whose worker has had no heartbeat since, oldest first.
func (tx *Tx) Orphans(ctx context.Context, before time.Time, max int) ([]notify.Delivery, error) {
	return tx.deliveries(ctx, `WHERE armed = 1 AND worker <> '' AND claimed_at < $1
		AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = deliveries.worker AND workers.heartbeat >= $1)
		ORDER BY claimed_at, id LIMIT $2 FOR UPDATE`, micros(before), max)
}

// ClaimedBy returns the armed deliveries that a worker has in hand.
func (tx *Tx) ClaimedBy(ctx context.Context, worker string) ([]notify.Delivery, error) {
	return tx.deliveries(ctx, "WHERE armed = 1 AND worker = $1 ORDER BY claimed_at, id FOR UPDATE", worker)
}

// OldestBehind returns when the oldest wish that a destination does not show
// yet was made, by destination.
func (db *DB) OldestBehind(ctx context.Context) (map[string]time.Time, error) {
	rows, err := db.read().query(ctx, `SELECT destination, MIN(wanted_at) FROM deliveries
		WHERE done < wanted AND status IN ('pending', 'parked', 'unknown', 'paused') GROUP BY destination`)
	if err != nil {
		return nil, fmt.Errorf("look for undelivered incidents: %w", err)
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var name string
		var at int64
		if err := rows.Scan(&name, &at); err != nil {
			return nil, err
		}
		out[name] = timeOf(at)
	}
	return out, rows.Err()
}

// CountDeliveries counts deliveries by destination and status.
func (db *DB) CountDeliveries(ctx context.Context) (map[string]map[notify.Status]int, error) {
	rows, err := db.read().query(ctx, "SELECT destination, status, COUNT(*) FROM deliveries GROUP BY destination, status")
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	defer rows.Close()
	out := map[string]map[notify.Status]int{}
	for rows.Next() {
		var name, status string
		var n int
		if err := rows.Scan(&name, &status, &n); err != nil {
			return nil, err
		}
		if out[name] == nil {
			out[name] = map[notify.Status]int{}
		}
		out[name][notify.Status(status)] = n
	}
	return out, rows.Err()
}
