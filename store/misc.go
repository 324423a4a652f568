package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Rejected is an input that could not be used, kept where people can look.
type Rejected struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Source   string    `json:"source"`
	Position string    `json:"position,omitempty"`
	Reason   string    `json:"reason"`
	Size     int       `json:"size"`
	Body     []byte    `json:"-"`
}

// Reject keeps an input that could not be used.
func (tx *Tx) Reject(ctx context.Context, r Rejected) error {
	_, err := tx.exec(ctx, "INSERT INTO rejected (id, at, source, position, reason, size, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		r.ID, micros(r.At), r.Source, r.Position, r.Reason, r.Size, Pack(r.Body))
	if err != nil {
		return fmt.Errorf("keep a rejected input: %w", err)
	}
	return nil
}

// RejectedInputs lists rejected inputs without their bodies, newest first.
// before continues a list below this id.
func (db *DB) RejectedInputs(ctx context.Context, before string, max int) ([]Rejected, error) {
	w := where{}
	if before != "" {
		w.add("id < $?", before)
	}
	rows, err := db.read().query(ctx, "SELECT id, at, source, position, reason, size FROM rejected "+w.sql()+" ORDER BY id DESC LIMIT "+w.arg(limit(max)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("list rejected inputs: %w", err)
	}
	defer rows.Close()
	out := []Rejected{}
	for rows.Next() {
		var r Rejected
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Source, &r.Position, &r.Reason, &r.Size); err != nil {
			return nil, err
		}
		r.At = timeOf(at)
		out = append(out, r)
	}
	return out, rows.Err()
}

// RejectedInput reads one rejected input with its body.
func (db *DB) RejectedInput(ctx context.Context, id string) (Rejected, error) {
	var r Rejected
	var at int64
	err := db.read().row(ctx, "SELECT id, at, source, position, reason, size, body FROM rejected WHERE id = $1", id).
		Scan(&r.ID, &at, &r.Source, &r.Position, &r.Reason, &r.Size, &r.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("rejected input %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("read rejected input %s: %w", id, err)
	}
	r.At = timeOf(at)
	if r.Body, err = Unpack(r.Body); err != nil {
		return r, fmt.Errorf("read rejected input %s: %w", id, err)
	}
	return r, nil
}

// Ignored is how many events of a kind were ignored from a source.
type Ignored struct {
	Source     string    `json:"source"`
	DetailType string    `json:"detail_type"`
	Count      int       `json:"count"`
	LastAt     time.Time `json:"last_at"`
}

// Ignore counts an event that is not a finding.
func (tx *Tx) Ignore(ctx context.Context, source, detailType string, n int) error {
	_, err := tx.exec(ctx, `INSERT INTO ignored (source, detail_type, count, last_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (source, detail_type) DO UPDATE SET count = ignored.count + excluded.count, last_at = excluded.last_at`,
		source, detailType, n, micros(tx.now))
	if err != nil {
		return fmt.Errorf("count an ignored event: %w", err)
	}
	return nil
}

// IgnoredEvents lists what was ignored.
func (db *DB) IgnoredEvents(ctx context.Context) ([]Ignored, error) {
	rows, err := db.read().query(ctx, "SELECT source, detail_type, count, last_at FROM ignored ORDER BY source, detail_type")
	if err != nil {
		return nil, fmt.Errorf("list ignored events: %w", err)
	}
	defer rows.Close()
	out := []Ignored{}
	for rows.Next() {
		var i Ignored
		var at int64
		if err := rows.Scan(&i.Source, &i.DetailType, &i.Count, &at); err != nil {
			return nil, err
		}
		i.LastAt = timeOf(at)
		out = append(out, i)
	}
	return out, rows.Err()
}

// Cursor reads a named cursor; an unknown one is empty.
func (db *DB) Cursor(ctx context.Context, name string) (string, error) {
	var v string
	err := db.read().row(ctx, "SELECT value FROM cursors WHERE name = $1", name).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read cursor %s: %w", name, err)
	}
	return v, nil
}

// SetCursor stores a named cursor.
func (db *DB) SetCursor(ctx context.Context, name, value string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO cursors (name, value, updated_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, name, value, micros(tx.now))
		if err != nil {
			return fmt.Errorf("store cursor %s: %w", name, err)
		}
		return nil
	})
}

// Source is when a source last gave something, and looked.
type Source struct {
	Name      string    `json:"name"`
	FirstAt   time.Time `json:"first_at"`
	LastEvent time.Time `json:"last_event,omitzero"`
	LastLook  time.Time `json:"last_look,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// SawEvent notes that a source gave an event.
func (tx *Tx) SawEvent(ctx context.Context, name string) error {
	_, err := tx.exec(ctx, `INSERT INTO sources (name, first_at, last_event, last_look, error) VALUES ($1, $2, $3, $4, '')
		ON CONFLICT (name) DO UPDATE SET last_event = excluded.last_event, last_look = excluded.last_look, error = ''`, name, micros(tx.now), micros(tx.now), micros(tx.now))
	if err != nil {
		return fmt.Errorf("note an event of %s: %w", name, err)
	}
	return nil
}

// Looked notes that a source looked for events, and the trouble that it had.
func (db *DB) Looked(ctx context.Context, name, trouble string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO sources (name, first_at, last_event, last_look, error) VALUES ($1, $2, 0, $3, $4)
			ON CONFLICT (name) DO UPDATE SET last_look = excluded.last_look, error = excluded.error`, name, micros(tx.now), micros(tx.now), trouble)
		if err != nil {
			return fmt.Errorf("note a look of %s: %w", name, err)
		}
		return nil
	})
}

// Sources lists the sources that were ever heard of.
func (db *DB) Sources(ctx context.Context) ([]Source, error) {
	rows, err := db.read().query(ctx, "SELECT name, first_at, last_event, last_look, error FROM sources ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	defer rows.Close()
	out := []Source{}
	for rows.Next() {
		var s Source
		var first, event, look int64
		if err := rows.Scan(&s.Name, &first, &event, &look, &s.Error); err != nil {
			return nil, err
		}
		s.FirstAt, s.LastEvent, s.LastLook = timeOf(first), timeOf(event), timeOf(look)
		out = append(out, s)
	}
	return out, rows.Err()
}

// Worker is a process that works on this store.
type Worker struct {
	ID        string    `json:"id"`
	Mode      string    `json:"mode"` // serve, import, lambda
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Heartbeat time.Time `json:"heartbeat"`
}

// Beat stores a worker's heartbeat.
func (db *DB) Beat(ctx context.Context, w Worker) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO workers (id, mode, version, started_at, heartbeat) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, version = excluded.version, started_at = excluded.started_at, heartbeat = excluded.heartbeat`,
			w.ID, w.Mode, w.Version, micros(w.StartedAt), micros(tx.now))
		if err != nil {
			return fmt.Errorf("store the heartbeat of %s: %w", w.ID, err)
		}
		return nil
	})
}

// Gone removes a worker that stopped in order.
func (db *DB) Gone(ctx context.Context, id string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, "DELETE FROM workers WHERE id = $1", id)
		return err
	})
}

// Workers lists the workers, newest heartbeat first.
func (db *DB) Workers(ctx context.Context) ([]Worker, error) {
	rows, err := db.read().query(ctx, "SELECT id, mode, version, started_at, heartbeat FROM workers ORDER BY heartbeat DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	defer rows.Close()
	out := []Worker{}
	for rows.Next() {
		var w Worker
		var started, beat int64
		if err := rows.Scan(&w.ID, &w.Mode, &w.Version, &started, &beat); err != nil {
			return nil, err
		}
		w.StartedAt, w.Heartbeat = timeOf(started), timeOf(beat)
		out = append(out, w)
	}
	return out, rows.Err()
}

// Pause is why a destination is paused.
type Pause struct {
	Destination string    `json:"destination"`
	At          time.Time `json:"at"`
	Who         string    `json:"who"`
	Reason      string    `json:"reason"`
	Hint        string    `json:"hint,omitempty"`
}

// PauseDestination pauses a destination. One that is paused already keeps its
// first reason; it reports whether it was not.
func (tx *Tx) PauseDestination(ctx context.Context, p Pause) (bool, error) {
	n, err := tx.exec(ctx, `INSERT INTO destinations (name, paused_at, who, reason, hint) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING`,
		p.Destination, micros(tx.now), p.Who, p.Reason, p.Hint)
	if err != nil {
		return false, fmt.Errorf("pause %s: %w", p.Destination, err)
	}
	return n > 0, nil
}

// ResumeDestination ends a pause. It reports whether there was one.
func (tx *Tx) ResumeDestination(ctx context.Context, name string) (bool, error) {
	n, err := tx.exec(ctx, "DELETE FROM destinations WHERE name = $1", name)
	if err != nil {
		return false, fmt.Errorf("resume %s: %w", name, err)
	}
	return n > 0, nil
}

// Pauses lists the paused destinations.
func (c q) Pauses(ctx context.Context) (map[string]Pause, error) {
	rows, err := c.query(ctx, "SELECT name, paused_at, who, reason, hint FROM destinations ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list paused destinations: %w", err)
	}
	defer rows.Close()
	out := map[string]Pause{}
	for rows.Next() {
		var p Pause
		var at int64
		if err := rows.Scan(&p.Destination, &at, &p.Who, &p.Reason, &p.Hint); err != nil {
			return nil, err
		}
		p.At = timeOf(at)
		out[p.Destination] = p
	}
	return out, rows.Err()
}

// Pauses lists the paused destinations.
func (db *DB) Pauses(ctx context.Context) (map[string]Pause, error) { return db.read().Pauses(ctx) }

// RuleUse is how often a suppression matched.
type RuleUse struct {
	Name      string    `json:"name"`
	Matches   int       `json:"matches"`
	LastMatch time.Time `json:"last_match,omitzero"`
}

// Suppressed counts a match of a suppression.
func (tx *Tx) Suppressed(ctx context.Context, name string) error {
	_, err := tx.exec(ctx, `INSERT INTO suppressions (name, matches, last_match) VALUES ($1, 1, $2)
		ON CONFLICT (name) DO UPDATE SET matches = suppressions.matches + 1, last_match = excluded.last_match`, name, micros(tx.now))
	if err != nil {
		return fmt.Errorf("count a match of %s: %w", name, err)
	}
	return nil
}

// RuleUses lists how often each suppression matched.
func (db *DB) RuleUses(ctx context.Context) (map[string]RuleUse, error) {
	rows, err := db.read().query(ctx, "SELECT name, matches, last_match FROM suppressions ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list uses of suppressions: %w", err)
	}
	defer rows.Close()
	out := map[string]RuleUse{}
	for rows.Next() {
		var r RuleUse
		var at int64
		if err := rows.Scan(&r.Name, &r.Matches, &at); err != nil {
			return nil, err
		}
		r.LastMatch = timeOf(at)
		out[r.Name] = r
	}
	return out, rows.Err()
}
