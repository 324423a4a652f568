package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
)

// The order of locks, the same everywhere: finding ids, merge keys, incidents,
// deliveries, then what flush does. On SQLite transactions exclude each other
// anyway, and these functions do nothing.

// LockFindings takes the locks of finding ids, the first ones in the order of
// locks.
func (tx *Tx) LockFindings(ctx context.Context, ids []finding.ID) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = "finding/" + string(id)
	}
	return tx.lock(ctx, keys)
}

// LockKeys takes the locks of merge keys, and of the ARNs by which findings and
// attack sequences name each other, after those of findings.
func (tx *Tx) LockKeys(ctx context.Context, keys, arns []string) error {
	locks := make([]string, 0, len(keys)+len(arns))
	for _, k := range keys {
		locks = append(locks, "key/"+k)
	}
	for _, a := range arns {
		locks = append(locks, "arn/"+a)
	}
	return tx.lock(ctx, locks)
}

// LockIncidents takes the locks of the incidents that hold these findings, keys
// and ARNs now, in the order of their numbers. Without it, two transactions that
// touch the same incidents in another order would run into each other; with it
// that remains possible only where one of them moves an incident, and the
// database then runs one of them again.
func (tx *Tx) LockIncidents(ctx context.Context, ids []finding.ID, keys, arns []string) error {
	if tx.db.Dialect() != Postgres {
		return nil
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = audit.Clean(string(id))
	}
	_, err := tx.exec(ctx, `SELECT number FROM incidents WHERE number IN (
		SELECT incident FROM findings WHERE id = ANY($1)
		UNION SELECT incident FROM merge_keys WHERE key = ANY($2)
		UNION SELECT incident FROM findings WHERE arn = ANY($3)
		UNION SELECT incident FROM sequence_members WHERE finding_arn = ANY($3)) ORDER BY number FOR UPDATE`,
		names, cleaned(keys), cleaned(arns))
	if err != nil {
		return fmt.Errorf("lock incidents: %w", err)
	}
	return nil
}

// lock takes advisory locks in the order of their names, in one call.
func (tx *Tx) lock(ctx context.Context, keys []string) error {
	if tx.db.Dialect() != Postgres || len(keys) == 0 {
		return nil
	}
	keys = cleaned(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	// OFFSET 0 keeps the sorting in front of the locking.
	if _, err := tx.exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) FROM
		(SELECT k FROM unnest($1::text[]) WITH ORDINALITY AS t (k, n) ORDER BY n OFFSET 0) AS sorted`, keys); err != nil {
		return fmt.Errorf("lock %d keys: %w", len(keys), err)
	}
	return nil
}

func cleaned(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = audit.Clean(s)
	}
	return out
}
