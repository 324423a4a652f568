package store

import (
	"context"
	"fmt"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// OpenFindings calls yield for each finding of an incident that is not closed,
// archived or not, in the order of incidents. It reads through the index on
// states, so what is closed costs nothing.
func (db *DB) OpenFindings(ctx context.Context, yield func(id finding.ID, account, region, detector string)) error {
	return db.read().places(ctx, `SELECT f.id, f.account_id, f.region, f.detector_id FROM incidents i JOIN findings f ON f.incident = i.number
		WHERE i.state IN ('open', 'acknowledged', 'contained') ORDER BY i.number, f.id`, yield)
}

// ToArchive calls yield for each finding that guardroom must still archive in
// GuardDuty: it was marked so when its incident was closed, the incident is
// still closed, GuardDuty has shown this revision itself, so that nobody who may
// only write to a queue gets one archived, and has not shown it as archived.
func (db *DB) ToArchive(ctx context.Context, yield func(id finding.ID, account, region, detector string)) error {
	return db.read().places(ctx, `SELECT f.id, f.account_id, f.region, f.detector_id FROM findings f JOIN incidents i ON i.number = f.incident
		WHERE f.archived_by_us = 1 AND f.confirmed = 1 AND f.archived = 0 AND i.state = 'closed' ORDER BY f.id`, yield)
}

func (c q) places(ctx context.Context, query string, yield func(id finding.ID, account, region, detector string)) error {
	rows, err := c.query(ctx, query)
	if err != nil {
		return fmt.Errorf("list findings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, account, region, detector string
		if err := rows.Scan(&id, &account, &region, &detector); err != nil {
			return fmt.Errorf("list findings: %w", err)
		}
		yield(finding.ID(id), account, region, detector)
	}
	return rows.Err()
}

// Archived notes that guardroom archived these findings in GuardDuty. A finding
// that is no longer marked, because a newer revision came meanwhile, is left
// alone.
func (db *DB) Archived(ctx context.Context, ids []finding.ID) error {
	return db.Write(ctx, func(tx *Tx) error {
		for _, id := range ids {
			n, err := tx.exec(ctx, "UPDATE findings SET archived = 1, archived_confirmed = 1 WHERE id = $1 AND archived_by_us = 1 AND archived = 0", string(id))
			if err != nil {
				return fmt.Errorf("note finding %s as archived: %w", id, err)
			}
			if n > 0 {
				tx.Audit(audit.Record{Who: incident.Guardroom, Action: "finding.archived", Object: "finding/" + string(id),
					Before: "false", After: "true", Why: "its incident was closed"})
			}
		}
		return nil
	})
}

// GiveUpArchiving takes the mark from findings that GuardDuty will not archive:
// it does not know them any more.
func (db *DB) GiveUpArchiving(ctx context.Context, ids []finding.ID, why string) error {
	return db.Write(ctx, func(tx *Tx) error {
		for _, id := range ids {
			n, err := tx.exec(ctx, "UPDATE findings SET archived_by_us = 0 WHERE id = $1 AND archived_by_us = 1 AND archived = 0", string(id))
			if err != nil {
				return fmt.Errorf("give up archiving finding %s: %w", id, err)
			}
			if n > 0 {
				tx.Audit(audit.Record{Who: incident.Guardroom, Action: "finding.archive_given_up", Object: "finding/" + string(id), Why: why})
			}
		}
		return nil
	})
}

// UnmarkArchive takes back what was not archived yet: the incident is open
// again, so its findings must stay visible in GuardDuty, and their archiving by
// others is an event again.
func (tx *Tx) UnmarkArchive(ctx context.Context, number incident.Number) error {
	_, err := tx.exec(ctx, "UPDATE findings SET archived_by_us = 0 WHERE incident = $1 AND archived = 0", int64(number))
	if err != nil {
		return fmt.Errorf("take back the archiving of %s: %w", number, err)
	}
	return nil
}
