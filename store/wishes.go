package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Wish is a plan that a route wants to be made by itself. One is made for each
// incident and playbook, ever.
type Wish struct {
	Incident incident.Number
	Playbook string
	Finding  finding.ID
	At       time.Time
	NextAt   time.Time
	Tries    int
	Why      string // it was not made yet

	// Of its incident and its finding, as a list fills them in.
	Severity        float64
	Confirmed       bool // GuardDuty itself has said something of the finding
	Account, Region string
}

// WishPlan writes a wish down; one that is there, also one that was fulfilled,
// stays as it is.
func (tx *Tx) WishPlan(ctx context.Context, w Wish) error {
	_, err := tx.exec(ctx, `INSERT INTO plan_wishes (incident, playbook, finding, at, next_at, tries, why, done) VALUES ($1, $2, $3, $4, $5, 0, '', 0)
		ON CONFLICT (incident, playbook) DO NOTHING`, int64(w.Incident), w.Playbook, string(w.Finding), micros(tx.now), micros(tx.now))
	if err != nil {
		return fmt.Errorf("wish for a plan of %s: %w", w.Incident, err)
	}
	return nil
}

// PostponeWish has a wish looked at again later, and says why.
func (tx *Tx) PostponeWish(ctx context.Context, w Wish) error {
	_, err := tx.exec(ctx, "UPDATE plan_wishes SET next_at = $1, tries = $2, why = $3 WHERE incident = $4 AND playbook = $5 AND done = 0",
		micros(w.NextAt), w.Tries, w.Why, int64(w.Incident), w.Playbook)
	if err != nil {
		return fmt.Errorf("postpone the plan of %s: %w", w.Incident, err)
	}
	return nil
}

// EndWish notes that a wish was fulfilled, or given up. It reports whether it
// was still open.
func (tx *Tx) EndWish(ctx context.Context, n incident.Number, playbook, why string) (bool, error) {
	count, err := tx.exec(ctx, "UPDATE plan_wishes SET done = 1, why = $1 WHERE incident = $2 AND playbook = $3 AND done = 0", why, int64(n), playbook)
	if err != nil {
		return false, fmt.Errorf("end the wish for a plan of %s: %w", n, err)
	}
	return count > 0, nil
}

// samePlace is how many wishes of one account and region a list holds at most: the
// others of its wishes come when these are done, and leave room for other places.
const samePlace = 20

// DueWishes lists the wishes that should be looked at now, at most max, and of one
// account and region a few: what GuardDuty has confirmed first, then by the
// severity of the incident. Each look that came to nothing counts as a point of
// severity less, so that what only claims to be severe gives way.
func (db *DB) DueWishes(ctx context.Context, now time.Time, max int) ([]Wish, error) {
	const first = "confirmed DESC, severity - tries DESC, next_at, incident, playbook"
	rows, err := db.read().query(ctx, `SELECT incident, playbook, finding, at, next_at, tries, why, severity, confirmed, account, region FROM (
		SELECT due.*, ROW_NUMBER() OVER (PARTITION BY account, region ORDER BY `+first+`) AS place FROM (
			SELECT w.incident, w.playbook, w.finding, w.at, w.next_at, w.tries, w.why, COALESCE(i.severity, 0) AS severity,
				CASE WHEN EXISTS (SELECT 1 FROM confirmed_findings AS c WHERE c.id = w.finding) THEN 1 ELSE 0 END AS confirmed,
				COALESCE(f.account_id, '') AS account, COALESCE(f.region, '') AS region
			FROM plan_wishes AS w LEFT JOIN incidents AS i ON i.number = w.incident LEFT JOIN findings AS f ON f.id = w.finding
			WHERE w.done = 0 AND w.next_at <= $1) AS due) AS placed
		WHERE place <= $2 ORDER BY `+first+` LIMIT $3`, micros(now), samePlace, max)
	if err != nil {
		return nil, fmt.Errorf("list wishes for plans: %w", err)
	}
	defer rows.Close()
	var out []Wish
	for rows.Next() {
		var w Wish
		var n, at, next, confirmed int64
		var id string
		if err := rows.Scan(&n, &w.Playbook, &id, &at, &next, &w.Tries, &w.Why, &w.Severity, &confirmed, &w.Account, &w.Region); err != nil {
			return nil, err
		}
		w.Confirmed = confirmed == 1
		w.Incident, w.Finding, w.At, w.NextAt = incident.Number(n), finding.ID(id), timeOf(at), timeOf(next)
		out = append(out, w)
	}
	return out, rows.Err()
}

// ConfirmFinding keeps what GuardDuty itself said of a finding, packed, unless
// something newer is kept.
func (tx *Tx) ConfirmFinding(ctx context.Context, r finding.Revision, raw []byte) error {
	_, err := tx.exec(ctx, `INSERT INTO confirmed_findings (id, updated_at, count, raw) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, count = excluded.count, raw = excluded.raw WHERE confirmed_findings.updated_at <= excluded.updated_at`,
		string(r.ID), micros(r.UpdatedAt), r.Count, blob(raw))
	if err != nil {
		return fmt.Errorf("keep what GuardDuty says of finding %s: %w", r.ID, err)
	}
	return nil
}

// ConfirmedFinding is what GuardDuty itself last said of a finding, as JSON. It
// reports whether there is any.
func (db *DB) ConfirmedFinding(ctx context.Context, id finding.ID) ([]byte, bool, error) {
	var packed []byte
	err := db.read().row(ctx, "SELECT raw FROM confirmed_findings WHERE id = $1", string(id)).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read what GuardDuty says of finding %s: %w", id, err)
	}
	raw, err := Unpack(packed)
	return raw, err == nil, err
}

// ConfirmedOf lists the findings of an incident that GuardDuty itself has confirmed,
// at most max of them, the most severe first.
func (db *DB) ConfirmedOf(ctx context.Context, n incident.Number, max int) ([]finding.ID, error) {
	rows, err := db.read().query(ctx, `SELECT c.id FROM confirmed_findings c JOIN findings f ON f.id = c.id
		WHERE f.incident = $1 ORDER BY f.severity DESC, f.updated_at DESC, c.id LIMIT $2`, int64(n), max)
	if err != nil {
		return nil, fmt.Errorf("list the confirmed findings of %s: %w", n, err)
	}
	defer rows.Close()
	var out []finding.ID
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, finding.ID(id))
	}
	return out, rows.Err()
}

// LockCaps lets one response at a time be started: the caps count what others
// have started.
func (tx *Tx) LockCaps(ctx context.Context) error { return tx.lock(ctx, []string{"respond/caps"}) }

// ClaimWish has a wish looked at by this caller alone: it is due again only
// later. It reports whether nobody else has it.
func (tx *Tx) ClaimWish(ctx context.Context, w Wish, until time.Time) (bool, error) {
	n, err := tx.exec(ctx, "UPDATE plan_wishes SET next_at = $1 WHERE incident = $2 AND playbook = $3 AND done = 0 AND next_at = $4",
		micros(until), int64(w.Incident), w.Playbook, micros(w.NextAt))
	if err != nil {
		return false, fmt.Errorf("take the wish for a plan of %s: %w", w.Incident, err)
	}
	return n > 0, nil
}
