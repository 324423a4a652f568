package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Finding is the newest revision of a finding with what became of it.
type Finding struct {
	ID            finding.ID           `json:"id"`
	ARN           string               `json:"arn,omitempty"`
	Type          string               `json:"type"`
	AccountID     string               `json:"account"`
	Region        string               `json:"region"`
	Severity      finding.Severity     `json:"severity"`
	Title         string               `json:"title,omitempty"`
	ResourceKind  finding.ResourceKind `json:"resource_kind,omitempty"`
	ResourceID    string               `json:"resource_id,omitempty"`
	UpdatedAt     time.Time            `json:"updated_at"`
	Count         int                  `json:"count"`
	FirstSeen     time.Time            `json:"first_seen,omitzero"`
	LastSeen      time.Time            `json:"last_seen,omitzero"`
	FirstReceived time.Time            `json:"first_received"`
	LastReceived  time.Time            `json:"last_received"`
	Archived      bool                 `json:"archived"`
	Sample        bool                 `json:"sample"`
	Decision      string               `json:"decision"` // incident, suppressed, recorded
	Rule          string               `json:"rule,omitempty"`
	Incident      incident.Number      `json:"incident,omitempty"`
	Revisions     int                  `json:"revisions"`
	Source        string               `json:"source"`
	DetectorID    string               `json:"detector_id,omitempty"`
	ArchivedByUs  bool                 `json:"archived_by_us,omitempty"`
	Confirmed     bool                 `json:"confirmed,omitempty"`
	// ArchivedConfirmed says that GuardDuty itself said so, and not only what
	// came from somewhere that others may write to.
	ArchivedConfirmed bool `json:"archived_confirmed,omitempty"`
}

// Revision is one revision of a finding as it was received, with the trace of
// the decision about it.
type Revision struct {
	Seq        int64            `json:"seq"`
	FindingID  finding.ID       `json:"finding_id"`
	UpdatedAt  time.Time        `json:"updated_at"`
	Count      int              `json:"count"`
	ReceivedAt time.Time        `json:"received_at"`
	Source     string           `json:"source"`
	Position   string           `json:"position,omitempty"`
	Freshness  string           `json:"freshness"`
	Decision   string           `json:"decision"`
	Severity   finding.Severity `json:"severity"`
	Trace      json.RawMessage  `json:"trace,omitempty"`
	Digest     []byte           `json:"-"`
	// Raw is compressed with Pack; Unpack gives the JSON back.
	Raw []byte `json:"-"`
}

const findingColumns = `id, arn, type, account_id, region, severity, title, resource_kind, resource_id, updated_at, count,
	first_seen, last_seen, first_received, last_received, archived, sample, decision, rule, incident, revisions, source,
	detector_id, archived_by_us, confirmed, archived_confirmed`

type scanner interface{ Scan(dest ...any) error }

func scanFinding(s scanner) (Finding, error) {
	var f Finding
	var severity float64
	var id, kind string
	var number, updated, firstSeen, lastSeen, firstReceived, lastReceived int64
	var archived, sample, byUs, confirmed, archivedConfirmed int
	err := s.Scan(&id, &f.ARN, &f.Type, &f.AccountID, &f.Region, &severity, &f.Title, &kind, &f.ResourceID, &updated, &f.Count,
		&firstSeen, &lastSeen, &firstReceived, &lastReceived, &archived, &sample, &f.Decision, &f.Rule, &number, &f.Revisions, &f.Source,
		&f.DetectorID, &byUs, &confirmed, &archivedConfirmed)
	f.ID, f.ResourceKind, f.Severity, f.Incident = finding.ID(id), finding.ResourceKind(kind), finding.Severity(severity), incident.Number(number)
	f.UpdatedAt, f.FirstSeen, f.LastSeen = timeOf(updated), timeOf(firstSeen), timeOf(lastSeen)
	f.FirstReceived, f.LastReceived = timeOf(firstReceived), timeOf(lastReceived)
	f.Archived, f.Sample, f.ArchivedByUs, f.Confirmed = archived != 0, sample != 0, byUs != 0, confirmed != 0
	f.ArchivedConfirmed = archivedConfirmed != 0
	return f, err
}

// Finding returns the newest revision of a finding, and false when it is not
// known.
func (c q) Finding(ctx context.Context, id finding.ID) (Finding, bool, error) {
	f, err := scanFinding(c.row(ctx, "SELECT "+findingColumns+" FROM findings WHERE id = $1", string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return Finding{}, false, nil
	}
	if err != nil {
		return Finding{}, false, fmt.Errorf("read finding %s: %w", id, err)
	}
	return f, true, nil
}

// Finding returns the newest revision of a finding, and false when there is none.
func (tx *Tx) Finding(ctx context.Context, id finding.ID) (Finding, bool, error) {
	if k, ok := tx.findingNow(id); ok {
		return k.Finding, k.exists, nil
	}
	f, ok, err := tx.q.Finding(ctx, id)
	if err == nil {
		tx.known.finding(id, f, ok)
	}
	return f, ok, err
}

// RevisionDigest returns the digest of the stored revision with this key, and
// false when there is none.
func (tx *Tx) RevisionDigest(ctx context.Context, r finding.Revision) ([]byte, bool, error) {
	if d, ok := tx.added[revisionKey{r.ID, micros(r.UpdatedAt), r.Count}]; ok {
		return d, true, nil
	}
	var d []byte
	err := tx.row(ctx, "SELECT digest FROM revisions WHERE finding_id = $1 AND updated_at = $2 AND count = $3",
		string(r.ID), micros(r.UpdatedAt), r.Count).Scan(&d)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look for a revision of finding %s: %w", r.ID, err)
	}
	return d, true, nil
}

// AddRevision stores a revision. Its key must not be stored yet.
func (tx *Tx) AddRevision(_ context.Context, r Revision) error {
	tx.waiting[revisionsTable].add(string(r.FindingID), micros(r.UpdatedAt), r.Count, micros(r.ReceivedAt), r.Source, r.Position, r.Freshness, r.Decision,
		float64(r.Severity), string(r.Trace), r.Digest, r.Raw)
	if tx.added == nil {
		tx.added = map[revisionKey][]byte{}
	}
	tx.added[revisionKey{r.FindingID, micros(r.UpdatedAt), r.Count}] = r.Digest
	return nil
}

// revisionKey tells revisions apart.
type revisionKey struct {
	id      finding.ID
	updated int64
	count   int
}

// PutFinding inserts or replaces the newest revision of a finding.
func (tx *Tx) PutFinding(ctx context.Context, f Finding, isNew bool) error {
	args := []any{string(f.ID), f.ARN, f.Type, f.AccountID, f.Region, float64(f.Severity), f.Title, string(f.ResourceKind),
		f.ResourceID, micros(f.UpdatedAt), f.Count, micros(f.FirstSeen), micros(f.LastSeen), micros(f.FirstReceived), micros(f.LastReceived),
		bit(f.Archived), bit(f.Sample), f.Decision, f.Rule, int64(f.Incident), f.Revisions, f.Source, f.DetectorID, bit(f.ArchivedByUs), bit(f.Confirmed), bit(f.ArchivedConfirmed)}
	if isNew {
		tx.waiting[findingsTable].add(args...)
	} else {
		s := tx.db.statement(`UPDATE findings SET arn = $2, type = $3, account_id = $4, region = $5, severity = $6, title = $7, resource_kind = $8,
			resource_id = $9, updated_at = $10, count = $11, first_seen = $12, last_seen = $13, first_received = $14, last_received = $15,
			archived = $16, sample = $17, decision = $18, rule = $19, incident = $20, revisions = $21, source = $22, detector_id = $23,
			archived_by_us = $24, confirmed = $25, archived_confirmed = $26 WHERE id = $1`)
		if err := tx.writeWaiting(ctx, s.tables); err != nil {
			return err
		}
		if _, err := tx.execKnown(ctx, s, args); err != nil {
			return fmt.Errorf("store finding %s: %w", f.ID, err)
		}
	}
	tx.known.finding(f.ID, f, true)
	return nil
}

// FindingsOf returns the findings of an incident, newest received first, at
// most limit (0: all).
func (c q) FindingsOf(ctx context.Context, number incident.Number, limit int) ([]Finding, error) {
	if limit <= 0 {
		limit = 1 << 30
	}
	return c.findings(ctx, "WHERE incident = $1 ORDER BY last_received DESC, id DESC LIMIT $2", int64(number), limit)
}

func (c q) findings(ctx context.Context, where string, args ...any) ([]Finding, error) {
	rows, err := c.query(ctx, "SELECT "+findingColumns+" FROM findings "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", err)
	}
	defer rows.Close()
	out := []Finding{}
	for rows.Next() {
		f, err := scanFinding(rows)
		if err != nil {
			return nil, fmt.Errorf("list findings: %w", err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// FindingByARN returns the finding with this ARN.
func (c q) FindingByARN(ctx context.Context, arn string) (Finding, bool, error) {
	list, err := c.findings(ctx, "WHERE arn = $1 ORDER BY id LIMIT 1", arn)
	if err != nil || len(list) == 0 {
		return Finding{}, false, err
	}
	return list[0], true, nil
}

// FindingFilter narrows a list of findings. Zero fields do not narrow.
type FindingFilter struct {
	Account, Region, Type string
	Decision              string
	Incident              incident.Number
	Since                 time.Time // received at or after
	// After continues a list behind the last finding of the page before.
	After Cursor
	Limit int
}

// Cursor is a place in a list that is sorted by time and id: that of the last
// row of the page before. The zero Cursor is the beginning.
type Cursor struct {
	At time.Time
	ID string
}

// Findings lists findings, newest received first (among equals the greater id),
// by keyset. A page begins strictly behind f.After, so rows that come in
// meanwhile neither repeat nor shift what follows.
func (db *DB) Findings(ctx context.Context, f FindingFilter) ([]Finding, error) {
	w := where{}
	w.eq("account_id", f.Account)
	w.eq("region", f.Region)
	w.eq("decision", f.Decision)
	if f.Decision != "" && f.Decision != "incident" {
		w.add("decision <> 'incident'") // the condition of the partial index
	}
	if f.Type != "" {
		w.add("type = $?", f.Type)
	}
	if f.Incident != 0 {
		w.add("incident = $?", int64(f.Incident))
	}
	if !f.Since.IsZero() {
		w.add("last_received >= $?", micros(f.Since))
	}
	if !f.After.At.IsZero() {
		w.add("(last_received, id) < ($?, $?)", micros(f.After.At), f.After.ID)
	}
	return db.read().findings(ctx, w.sql()+" ORDER BY last_received DESC, id DESC LIMIT "+w.arg(limit(f.Limit)), w.args...)
}

// Revisions returns the revisions of a finding, the newest one first.
func (db *DB) Revisions(ctx context.Context, id finding.ID, max int) ([]Revision, error) {
	return db.read().revisions(ctx, "WHERE finding_id = $1 ORDER BY updated_at DESC, count DESC LIMIT $2", string(id), limit(max))
}

// NewestRevision returns the newest revision of a finding with its raw form.
func (c q) NewestRevision(ctx context.Context, id finding.ID) (Revision, bool, error) {
	list, err := c.revisions(ctx, "WHERE finding_id = $1 ORDER BY updated_at DESC, count DESC LIMIT 1", string(id))
	if err != nil || len(list) == 0 {
		return Revision{}, false, err
	}
	return list[0], true, nil
}

func (c q) revisions(ctx context.Context, where string, args ...any) ([]Revision, error) {
	rows, err := c.query(ctx, `SELECT seq, finding_id, updated_at, count, received_at, source, position, freshness, decision, severity, trace, digest, raw
		FROM revisions `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	defer rows.Close()
	out := []Revision{}
	for rows.Next() {
		var r Revision
		var id, trace string
		var severity float64
		var updated, received int64
		if err := rows.Scan(&r.Seq, &id, &updated, &r.Count, &received, &r.Source, &r.Position, &r.Freshness, &r.Decision, &severity, &trace, &r.Digest, &r.Raw); err != nil {
			return nil, fmt.Errorf("list revisions: %w", err)
		}
		r.FindingID, r.UpdatedAt, r.ReceivedAt, r.Severity = finding.ID(id), timeOf(updated), timeOf(received), finding.Severity(severity)
		if trace != "" {
			r.Trace = json.RawMessage(trace)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// RevisionsSince calls yield with every revision received since, oldest first,
// for replaying past findings through other rules. Those whose raw form was
// removed by retention are left out.
func (db *DB) RevisionsSince(ctx context.Context, since time.Time, yield func(Revision) bool) error {
	const page = 500
	at, seq := micros(since), int64(0)
	for {
		list, err := db.read().revisions(ctx, "WHERE raw IS NOT NULL AND (received_at, seq) > ($1, $2) ORDER BY received_at, seq LIMIT $3", at, seq, page)
		if err != nil {
			return err
		}
		for _, r := range list {
			if !yield(r) {
				return nil
			}
			at, seq = micros(r.ReceivedAt), r.Seq
		}
		if len(list) < page {
			return nil
		}
	}
}

// MoveFindings gives all findings of one incident to another.
func (tx *Tx) MoveFindings(ctx context.Context, from, to incident.Number) error {
	_, err := tx.exec(ctx, "UPDATE findings SET incident = $1 WHERE incident = $2", int64(to), int64(from))
	if err != nil {
		return fmt.Errorf("move the findings of %s to %s: %w", from, to, err)
	}
	return nil
}

// MarkArchivedByUs remembers that guardroom archives a finding itself, so that
// its archiving is no event.
func (tx *Tx) MarkArchivedByUs(ctx context.Context, id finding.ID) error {
	if _, err := tx.exec(ctx, "UPDATE findings SET archived_by_us = 1 WHERE id = $1", string(id)); err != nil {
		return fmt.Errorf("mark finding %s as archived by us: %w", id, err)
	}
	return nil
}

// Pack compresses raw JSON for the store. It is safe for concurrent use.
func Pack(raw []byte) []byte { return encoder().EncodeAll(raw, nil) }

// Unpack is the reverse of Pack.
func Unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	return decoder().DecodeAll(packed, nil)
}

// NewestRevisionOf reads the newest revision of a finding with its raw form.
func (db *DB) NewestRevisionOf(ctx context.Context, id finding.ID) (Revision, bool, error) {
	return db.read().NewestRevision(ctx, id)
}

// GetFinding reads the newest revision of a finding.
func (db *DB) GetFinding(ctx context.Context, id finding.ID) (Finding, bool, error) {
	return db.read().Finding(ctx, id)
}
