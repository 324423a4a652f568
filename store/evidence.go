package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
)

// Preserved is an item of evidence with where it belongs.
type Preserved struct {
	Incident incident.Number `json:"incident"`
	Run      respond.RunID   `json:"run"`
	evidence.Item
}

// Lacking is what a run could not preserve.
type Lacking struct {
	Run respond.RunID `json:"run"`
	evidence.Gap
}

// PutEvidence keeps the items that a run preserved. The same item again, by its
// id in the run, replaces what was said before.
func (tx *Tx) PutEvidence(ctx context.Context, n incident.Number, run respond.RunID, items []evidence.Item) error {
	for _, i := range items {
		body, err := json.Marshal(Preserved{Incident: n, Run: run, Item: i})
		if err != nil {
			return fmt.Errorf("keep evidence %s of run %s: %w", i.ID, run, err)
		}
		var until time.Time
		if i.Working {
			until = i.WorkingUntil
		}
		_, err = tx.exec(ctx, `INSERT INTO evidence (run, id, incident, created_at, working_until, body) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (run, id) DO UPDATE SET working_until = excluded.working_until, body = excluded.body`,
			string(run), i.ID, int64(n), micros(i.CreatedAt), micros(until), string(body))
		if err != nil {
			return fmt.Errorf("keep evidence %s of run %s: %w", i.ID, run, err)
		}
	}
	return nil
}

// Evidence lists the items of an incident, the oldest first.
func (c q) Evidence(ctx context.Context, n incident.Number) ([]Preserved, error) {
	return bodies[Preserved](ctx, c, "evidence", "SELECT body FROM evidence WHERE incident = $1 ORDER BY created_at, run, id", int64(n))
}

// Evidence lists the items of an incident, the oldest first.
func (db *DB) Evidence(ctx context.Context, n incident.Number) ([]Preserved, error) {
	return db.read().Evidence(ctx, n)
}

// WorkingCopies lists the working copies whose time is over, the longest first.
// Once one is cleaned up, it is put again without being a working copy, or with
// a later date.
func (c q) WorkingCopies(ctx context.Context, dueBefore time.Time) ([]Preserved, error) {
	return bodies[Preserved](ctx, c, "working copies",
		"SELECT body FROM evidence WHERE working_until > 0 AND working_until <= $1 ORDER BY working_until, run, id", micros(dueBefore))
}

// WorkingCopies lists the working copies whose time is over, the longest first.
func (db *DB) WorkingCopies(ctx context.Context, dueBefore time.Time) ([]Preserved, error) {
	return db.read().WorkingCopies(ctx, dueBefore)
}

// PutGaps keeps what a run could not preserve, and why. The same thing again
// replaces the reason.
func (tx *Tx) PutGaps(ctx context.Context, n incident.Number, run respond.RunID, gaps []evidence.Gap) error {
	for _, g := range gaps {
		_, err := tx.exec(ctx, "INSERT INTO gaps (incident, run, what, why) VALUES ($1, $2, $3, $4) ON CONFLICT (incident, run, what) DO UPDATE SET why = excluded.why",
			int64(n), string(run), g.What, g.Why)
		if err != nil {
			return fmt.Errorf("keep a gap of run %s: %w", run, err)
		}
	}
	return nil
}

// Gaps lists what could not be preserved of an incident.
func (c q) Gaps(ctx context.Context, n incident.Number) ([]Lacking, error) {
	rows, err := c.query(ctx, "SELECT run, what, why FROM gaps WHERE incident = $1 ORDER BY run, what", int64(n))
	if err != nil {
		return nil, fmt.Errorf("list the gaps of %s: %w", n, err)
	}
	defer rows.Close()
	out := []Lacking{}
	for rows.Next() {
		var g Lacking
		var run string
		if err := rows.Scan(&run, &g.What, &g.Why); err != nil {
			return nil, fmt.Errorf("list the gaps of %s: %w", n, err)
		}
		g.Run = respond.RunID(run)
		out = append(out, g)
	}
	return out, rows.Err()
}

// Gaps lists what could not be preserved of an incident.
func (db *DB) Gaps(ctx context.Context, n incident.Number) ([]Lacking, error) {
	return db.read().Gaps(ctx, n)
}

// AddCustody adds lines to the chain of custody of an incident. A line that is
// there already, in every part, is not added again. run is empty for what people
// did outside of one.
func (tx *Tx) AddCustody(ctx context.Context, n incident.Number, run respond.RunID, lines []evidence.Custody) error {
	for _, l := range lines {
		body, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("add to the custody of %s: %w", n, err)
		}
		digest := sha256.Sum256(body)
		_, err = tx.exec(ctx, "INSERT INTO custody (incident, run, at, digest, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (incident, run, digest) DO NOTHING",
			int64(n), string(run), micros(l.At), digest[:], string(body))
		if err != nil {
			return fmt.Errorf("add to the custody of %s: %w", n, err)
		}
	}
	return nil
}

// Custody lists the chain of custody of an incident, the oldest line first.
func (c q) Custody(ctx context.Context, n incident.Number) ([]evidence.Custody, error) {
	return bodies[evidence.Custody](ctx, c, "custody", "SELECT body FROM custody WHERE incident = $1 ORDER BY at, seq", int64(n))
}

// Custody lists the chain of custody of an incident, the oldest line first.
func (db *DB) Custody(ctx context.Context, n incident.Number) ([]evidence.Custody, error) {
	return db.read().Custody(ctx, n)
}

// Manifest is a sealed manifest as it was written.
type Manifest struct {
	Incident incident.Number `json:"incident"`
	Revision int64           `json:"revision"`
	At       time.Time       `json:"at"`
	Digest   string          `json:"digest"` // SHA-256 of the bytes, in hex
	Bytes    []byte          `json:"-"`
}

// PutManifest keeps a revision of the manifest of an incident, once: the same
// bytes again are fine, other bytes are refused.
func (tx *Tx) PutManifest(ctx context.Context, n incident.Number, revision int64, bytes []byte, digest string) error {
	added, err := tx.exec(ctx, "INSERT INTO manifests (incident, revision, at, digest, bytes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (incident, revision) DO NOTHING",
		int64(n), revision, micros(tx.now), digest, blob(bytes))
	if err != nil {
		return fmt.Errorf("keep manifest %d of %s: %w", revision, n, err)
	}
	if added > 0 {
		return nil
	}
	var have string
	err = tx.row(ctx, "SELECT digest FROM manifests WHERE incident = $1 AND revision = $2", int64(n), revision).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) || err == nil && have != digest {
		return fault.New(fault.Conflict, fmt.Sprintf("manifest %d of %s is sealed already with another digest", revision, n), "seal the next revision")
	}
	if err != nil {
		return fmt.Errorf("keep manifest %d of %s: %w", revision, n, err)
	}
	return nil
}

// Manifests lists the manifests of an incident by their revision, with their bytes.
func (c q) Manifests(ctx context.Context, n incident.Number) ([]Manifest, error) {
	rows, err := c.query(ctx, "SELECT revision, at, digest, bytes FROM manifests WHERE incident = $1 ORDER BY revision", int64(n))
	if err != nil {
		return nil, fmt.Errorf("list the manifests of %s: %w", n, err)
	}
	defer rows.Close()
	out := []Manifest{}
	for rows.Next() {
		m := Manifest{Incident: n}
		var at int64
		if err := rows.Scan(&m.Revision, &at, &m.Digest, &m.Bytes); err != nil {
			return nil, fmt.Errorf("list the manifests of %s: %w", n, err)
		}
		m.At = timeOf(at)
		out = append(out, m)
	}
	return out, rows.Err()
}

// Manifests lists the manifests of an incident by their revision, with their bytes.
func (db *DB) Manifests(ctx context.Context, n incident.Number) ([]Manifest, error) {
	return db.read().Manifests(ctx, n)
}
