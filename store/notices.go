package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Digest is one message that stands for many incidents of a storm.
type Digest struct {
	ID          string    `json:"id"`
	Destination string    `json:"destination"`
	OpenedAt    time.Time `json:"opened_at"`
	Revision    int64     `json:"revision"`
	Total       int       `json:"total"`
	// Counts are the incidents by band when they came; Band is the worst.
	Counts [finding.Critical + 1]int `json:"counts"`
	Band   finding.Band              `json:"band"`
	// Members are the worst 200, the worst and among equals the newest first.
	Members []Digested `json:"members"`
}

// Digested is one incident of a digest, with its severity when it came.
type Digested struct {
	Number   incident.Number  `json:"number"`
	Severity finding.Severity `json:"severity"`
}

const digestMembers = 200

// DigestIncident adds an incident to the digest of a destination that was
// opened since, or to a new one with newID. An incident from High upward that is
// worse than all before begins a new one: an edit of the old message would call
// nobody.
func (tx *Tx) DigestIncident(ctx context.Context, destination, newID string, m Digested, since time.Time) (Digest, error) {
	var d Digest
	var body string
	if err := tx.lock(ctx, []string{"digest/" + destination}); err != nil {
		return d, err // or two that open one at once would open two
	}
	err := tx.row(ctx, "SELECT body FROM digests WHERE destination = $1 AND opened_at >= $2 ORDER BY opened_at DESC, id DESC LIMIT 1 FOR UPDATE",
		destination, micros(since)).Scan(&body)
	isNew := errors.Is(err, sql.ErrNoRows)
	if err != nil && !isNew {
		return d, fmt.Errorf("look for the digest of %s: %w", destination, err)
	}
	if !isNew {
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			return d, fmt.Errorf("read the digest of %s: %w", destination, err)
		}
		isNew = m.Severity.Band() > d.Band && m.Severity.Band() >= finding.High
	}
	if isNew {
		d = Digest{ID: newID, Destination: destination, OpenedAt: tx.now}
	}
	d.Revision++
	d.Total++
	d.Counts[m.Severity.Band()]++
	d.Band = max(d.Band, m.Severity.Band())
	at, _ := slices.BinarySearchFunc(d.Members, m, func(a, b Digested) int {
		if a.Severity > b.Severity {
			return -1
		}
		return 1 // among equals the newest first
	})
	d.Members = slices.Insert(d.Members, at, m)
	d.Members = d.Members[:min(len(d.Members), digestMembers)]
	b, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	if isNew {
		_, err = tx.exec(ctx, "INSERT INTO digests (id, destination, opened_at, revision, incidents, body) VALUES ($1, $2, $3, $4, $5, $6)",
			d.ID, d.Destination, micros(d.OpenedAt), d.Revision, d.Total, string(b))
	} else {
		_, err = tx.exec(ctx, "UPDATE digests SET revision = $1, incidents = $2, body = $3 WHERE id = $4", d.Revision, d.Total, string(b), d.ID)
	}
	if err != nil {
		return d, fmt.Errorf("store the digest of %s: %w", destination, err)
	}
	return d, nil
}

// GetDigest reads a digest.
func (db *DB) GetDigest(ctx context.Context, id string) (Digest, error) {
	var d Digest
	var body string
	err := db.read().row(ctx, "SELECT body FROM digests WHERE id = $1", id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("digest %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return d, fmt.Errorf("read digest %s: %w", id, err)
	}
	return d, json.Unmarshal([]byte(body), &d)
}

// Notice is something that guardroom has to say about itself.
type Notice struct {
	ID         string    `json:"id"`
	Key        string    `json:"key"`   // what it is about; one open notice a key
	Topic      string    `json:"topic"` // message.Topic
	Subject    string    `json:"subject"`
	Message    string    `json:"message"`
	Safe       string    `json:"safe,omitempty"`
	Hint       string    `json:"hint,omitempty"`
	Revision   int64     `json:"revision"`
	OpenedAt   time.Time `json:"opened_at"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
}

// OpenNotice opens a notice unless one with its key is open. It returns the
// open one and whether it is new.
func (tx *Tx) OpenNotice(ctx context.Context, n Notice) (Notice, bool, error) {
	if err := tx.lock(ctx, []string{"notice/" + n.Key}); err != nil {
		return n, false, err
	}
	old, ok, err := tx.openNotice(ctx, n.Key)
	if err != nil || ok {
		return old, false, err
	}
	n.Revision, n.OpenedAt = 1, tx.now
	b, err := json.Marshal(n)
	if err != nil {
		return n, false, err
	}
	_, err = tx.exec(ctx, "INSERT INTO notices (id, key, revision, opened_at, resolved_at, body) VALUES ($1, $2, $3, $4, 0, $5)",
		n.ID, n.Key, n.Revision, micros(n.OpenedAt), string(b))
	if err != nil {
		return n, false, fmt.Errorf("open a notice about %s: %w", n.Key, err)
	}
	return n, true, nil
}

func (tx *Tx) openNotice(ctx context.Context, key string) (Notice, bool, error) {
	var n Notice
	var body string
	err := tx.row(ctx, "SELECT body FROM notices WHERE key = $1 AND resolved_at = 0 ORDER BY opened_at DESC LIMIT 1", key).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return n, false, nil
	}
	if err != nil {
		return n, false, fmt.Errorf("look for a notice about %s: %w", key, err)
	}
	return n, true, json.Unmarshal([]byte(body), &n)
}

// ResolveNotice resolves the open notice with this key. It reports whether
// there was one.
func (tx *Tx) ResolveNotice(ctx context.Context, key string) (Notice, bool, error) {
	if err := tx.lock(ctx, []string{"notice/" + key}); err != nil {
		return Notice{}, false, err
	}
	n, ok, err := tx.openNotice(ctx, key)
	if err != nil || !ok {
		return n, false, err
	}
	n.Revision++
	n.ResolvedAt = tx.now
	b, err := json.Marshal(n)
	if err != nil {
		return n, false, err
	}
	_, err = tx.exec(ctx, "UPDATE notices SET revision = $1, resolved_at = $2, body = $3 WHERE id = $4", n.Revision, micros(n.ResolvedAt), string(b), n.ID)
	if err != nil {
		return n, false, fmt.Errorf("resolve the notice about %s: %w", key, err)
	}
	return n, true, nil
}

// GetNotice reads a notice.
func (db *DB) GetNotice(ctx context.Context, id string) (Notice, error) {
	var n Notice
	var body string
	err := db.read().row(ctx, "SELECT body FROM notices WHERE id = $1", id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return n, fmt.Errorf("notice %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return n, fmt.Errorf("read notice %s: %w", id, err)
	}
	return n, json.Unmarshal([]byte(body), &n)
}

// OpenNotices lists the open notices.
func (db *DB) OpenNotices(ctx context.Context) ([]Notice, error) {
	rows, err := db.read().query(ctx, "SELECT body FROM notices WHERE resolved_at = 0 ORDER BY opened_at, id")
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	defer rows.Close()
	out := []Notice{}
	for rows.Next() {
		var n Notice
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// NoticeIsOpen reports whether a notice with this key is open.
func (db *DB) NoticeIsOpen(ctx context.Context, key string) (bool, error) {
	var n int
	err := db.read().row(ctx, "SELECT COUNT(*) FROM notices WHERE key = $1 AND resolved_at = 0", key).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for a notice about %s: %w", key, err)
	}
	return n > 0, nil
}
