package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
)

// NextNumber returns an incident number that was never used. A transaction that
// fails leaves a gap on PostgreSQL.
func (tx *Tx) NextNumber(ctx context.Context) (incident.Number, error) {
	query := `INSERT INTO incident_numbers (one, last) VALUES (1, 1)
		ON CONFLICT (one) DO UPDATE SET last = incident_numbers.last + 1 RETURNING last`
	switch {
	case tx.db.Dialect() == Postgres:
		query = "SELECT nextval('incident_numbers')"
	case tx.numbers.last > 0:
		tx.numbers.last++
		return tx.numbers.last, nil
	}
	var n int64
	if err := tx.row(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("take the next incident number: %w", err)
	}
	if tx.db.Dialect() != Postgres {
		tx.numbers.last, tx.numbers.written = incident.Number(n), incident.Number(n)
	}
	return incident.Number(n), nil
}

// Incident loads an incident for a change; it is locked until the end of the
// transaction.
func (tx *Tx) Incident(ctx context.Context, n incident.Number) (*incident.Incident, error) {
	return tx.incident(ctx, "WHERE number = $1 FOR UPDATE", int64(n))
}

// IncidentByID loads an incident for a change by its machine id.
func (tx *Tx) IncidentByID(ctx context.Context, id incident.ID) (*incident.Incident, error) {
	return tx.incident(ctx, "WHERE id = $1 FOR UPDATE", string(id))
}

// ErrNotFound is wrapped by errors about things that are not in the store.
var ErrNotFound = errors.New("not found")

func (c q) incident(ctx context.Context, where string, arg any) (*incident.Incident, error) {
	var body string
	err := c.row(ctx, "SELECT body FROM incidents "+where, arg).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("incident %v: %w", arg, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read incident %v: %w", arg, err)
	}
	var i incident.Incident
	if err := json.Unmarshal([]byte(body), &i); err != nil {
		return nil, fmt.Errorf("read incident %v: %w", arg, err)
	}
	return &i, nil
}

// PutIncident stores an incident and the timeline entries that its change made.
// Its number, id, account, region, time of opening and being a sample never
// change. One that is not new and not there is an error that wraps ErrNotFound.
func (tx *Tx) PutIncident(ctx context.Context, i *incident.Incident, isNew bool, entries []incident.Entry) error {
	body, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("store %s: %w", i.Number, err)
	}
	args := []any{int64(i.Number), string(i.ID), string(i.State), float64(i.Severity), string(i.Verdict), bit(i.Silent), i.Owner,
		micros(i.UpdatedAt), micros(i.LastActivity), micros(i.ClosedAt), i.Revision, int64(i.MergedInto), string(body)}
	if isNew {
		// What stands at the end never changes afterwards.
		if tx.opened == nil {
			tx.opened = map[int64]bool{}
		}
		tx.opened[int64(i.Number)] = true
		tx.waiting[incidentsTable].add(append(args, bit(i.Sample), i.Account.ID, i.Region, micros(i.OpenedAt))...)
	} else if err := tx.updateIncident(ctx, i, args); err != nil {
		return fmt.Errorf("store %s: %w", i.Number, err)
	}
	for _, e := range entries {
		tx.waiting[timelineTable].add(int64(i.Number), e.Seq, micros(e.EventAt), micros(e.RecordedAt), string(e.Kind), e.Who, e.Text, e.From, e.To)
	}
	return nil
}

func (tx *Tx) updateIncident(ctx context.Context, i *incident.Incident, args []any) error {
	s := tx.db.statement(`UPDATE incidents SET state = $3, severity = $4, verdict = $5, silent = $6, owner = $7, updated_at = $8, last_activity = $9,
		closed_at = $10, revision = $11, merged_into = $12, body = $13 WHERE number = $1 AND id = $2`)
	if err := tx.writeWaiting(ctx, s.tables); err != nil {
		return err
	}
	if i.MergedInto != 0 {
		tx.known.actors = nil // all else that is known stays true
	}
	changed, err := tx.execKnown(ctx, s, args)
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	return err
}

// GetIncident reads an incident by its number.
func (db *DB) GetIncident(ctx context.Context, n incident.Number) (*incident.Incident, error) {
	return db.read().incident(ctx, "WHERE number = $1", int64(n))
}

// GetIncidentByID reads an incident by its machine id.
func (db *DB) GetIncidentByID(ctx context.Context, id incident.ID) (*incident.Incident, error) {
	return db.read().incident(ctx, "WHERE id = $1", string(id))
}

// Timeline reads the newest `max` entries of an incident's timeline in their
// order (0: all).
func (db *DB) Timeline(ctx context.Context, n incident.Number, max int) ([]incident.Entry, error) {
	if max <= 0 {
		max = 1 << 30
	}
	rows, err := db.read().query(ctx, `SELECT seq, event_at, recorded_at, kind, who, text, from_value, to_value FROM timeline
		WHERE incident = $1 ORDER BY seq DESC LIMIT $2`, int64(n), max)
	if err != nil {
		return nil, fmt.Errorf("read the timeline of %s: %w", n, err)
	}
	defer rows.Close()
	out := []incident.Entry{}
	for rows.Next() {
		var e incident.Entry
		var kind string
		var event, recorded int64
		if err := rows.Scan(&e.Seq, &event, &recorded, &kind, &e.Who, &e.Text, &e.From, &e.To); err != nil {
			return nil, fmt.Errorf("read the timeline of %s: %w", n, err)
		}
		e.EventAt, e.RecordedAt, e.Kind = timeOf(event), timeOf(recorded), incident.Kind(kind)
		out = append(out, e)
	}
	slices.Reverse(out)
	return out, rows.Err()
}

// IncidentFilter narrows a list of incidents. Zero fields do not narrow.
type IncidentFilter struct {
	States      []incident.State
	Account     string
	Region      string
	Owner       string
	MinSeverity float64
	Since       time.Time // opened at or after
	Samples     *bool
	// Before continues a list below this number.
	Before incident.Number
	Limit  int
}

// Incidents lists incidents, newest number first, by keyset: a page begins below
// f.Before, so incidents that are opened meanwhile neither repeat nor shift
// anything.
func (db *DB) Incidents(ctx context.Context, f IncidentFilter) ([]*incident.Incident, error) {
	w := where{}
	if len(f.States) > 0 {
		in := ""
		for i, s := range f.States {
			if i > 0 {
				in += ", "
			}
			in += w.arg(string(s))
		}
		w.parts = append(w.parts, "state IN ("+in+")")
	}
	w.eq("account_id", f.Account)
	w.eq("region", f.Region)
	w.eq("owner", f.Owner)
	if f.MinSeverity > 0 {
		w.add("severity >= $?", f.MinSeverity)
	}
	if !f.Since.IsZero() {
		w.add("opened_at >= $?", micros(f.Since))
	}
	if f.Samples != nil {
		w.add("sample = $?", bit(*f.Samples))
	}
	if f.Before > 0 {
		w.add("number < $?", int64(f.Before))
	}
	// The inner part walks a small index, whatever the filter; only the rows of
	// the page itself are read.
	rows, err := db.read().query(ctx, "SELECT body FROM incidents WHERE number IN (SELECT number FROM incidents INDEXED BY incidents_list "+w.sql()+
		" ORDER BY number DESC LIMIT "+w.arg(limit(f.Limit))+") ORDER BY number DESC", w.args...)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	defer rows.Close()
	out := []*incident.Incident{}
	for rows.Next() {
		var body string
		var i incident.Incident
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("list incidents: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &i); err != nil {
			return nil, fmt.Errorf("list incidents: %w", err)
		}
		out = append(out, &i)
	}
	return out, rows.Err()
}

// CountIncidents counts incidents by state.
func (db *DB) CountIncidents(ctx context.Context) (map[incident.State]int, error) {
	rows, err := db.read().query(ctx, "SELECT state, COUNT(*) FROM incidents GROUP BY state")
	if err != nil {
		return nil, fmt.Errorf("count incidents: %w", err)
	}
	defer rows.Close()
	out := map[incident.State]int{}
	for rows.Next() {
		var s string
		var n int
		if err := rows.Scan(&s, &n); err != nil {
			return nil, err
		}
		out[incident.State(s)] = n
	}
	return out, rows.Err()
}

// CountArchivedByOthers counts the findings of an incident that somebody else
// archived in GuardDuty, as GuardDuty itself says.
func (tx *Tx) CountArchivedByOthers(ctx context.Context, n incident.Number) (int, error) {
	var count int
	err := tx.row(ctx, "SELECT COUNT(*) FROM findings WHERE incident = $1 AND archived = 1 AND archived_by_us = 0 AND archived_confirmed = 1", int64(n)).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count the archived findings of %s: %w", n, err)
	}
	return count, nil
}
