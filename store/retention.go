package store

import (
	"context"
	"fmt"
	"time"
)

// Retention says what may go. Zero times keep everything.
type Retention struct {
	ClosedBefore   time.Time // raw revisions of incidents that were closed before
	RejectedBefore time.Time
	// ResponsesBefore is for plans and runs of incidents that were closed before
	// and of which there is no evidence: others are kept as long as the evidence,
	// whose records are never removed.
	ResponsesBefore time.Time
}

// Prune empties the raw form of old revisions, and removes old rejected inputs
// and the plans and runs of old incidents, at most `max` of each. Revision keys stay for ever, so that an old finding
// delivered again is still known; so do incidents and the audit chain. It
// returns how many rows changed.
func (db *DB) Prune(ctx context.Context, r Retention, max int) (int, error) {
	var total int64
	err := db.Write(ctx, func(tx *Tx) error {
		total = 0
		if !r.ClosedBefore.IsZero() {
			// What belongs to no incident (suppressed, recorded) ages by its
			// reception.
			n, err := tx.exec(ctx, `UPDATE revisions SET raw = NULL, trace = '' WHERE seq IN (
				SELECT revisions.seq FROM revisions JOIN findings ON findings.id = revisions.finding_id
				LEFT JOIN incidents ON incidents.number = findings.incident
				WHERE revisions.raw IS NOT NULL AND revisions.received_at < $1
				AND (findings.incident = 0 OR (incidents.closed_at > 0 AND incidents.closed_at < $2)) LIMIT $3)`,
				micros(r.ClosedBefore), micros(r.ClosedBefore), max)
			if err != nil {
				return fmt.Errorf("prune revisions: %w", err)
			}
			total += n
			if n, err = tx.exec(ctx, `DELETE FROM confirmed_findings WHERE id IN (SELECT findings.id FROM findings JOIN confirmed_findings c ON c.id = findings.id
				JOIN incidents ON incidents.number = findings.incident WHERE incidents.closed_at > 0 AND incidents.closed_at < $1 LIMIT $2)`, micros(r.ClosedBefore), max); err != nil {
				return fmt.Errorf("prune what GuardDuty said: %w", err)
			}
			total += n
		}
		if !r.RejectedBefore.IsZero() {
			n, err := tx.exec(ctx, "DELETE FROM rejected WHERE id IN (SELECT id FROM rejected WHERE at < $1 LIMIT $2)", micros(r.RejectedBefore), max)
			if err != nil {
				return fmt.Errorf("prune rejected inputs: %w", err)
			}
			total += n
		}
		if !r.ResponsesBefore.IsZero() {
			n, err := tx.pruneResponses(ctx, r.ResponsesBefore, max)
			if err != nil {
				return fmt.Errorf("prune plans and runs: %w", err)
			}
			total += n
		}
		return nil
	})
	return int(total), err
}
