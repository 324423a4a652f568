package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// count is an upsert of a row that many transactions touch. It waits for the
// end of its transaction, so that the row is locked for a moment only.
type count struct {
	table string // counts are done in the order of table and key
	key   string
	query string
	args  []any
}

func (tx *Tx) count(c count) { tx.counts = append(tx.counts, c) }

func (tx *Tx) flushCounts(ctx context.Context) error {
	slices.SortStableFunc(tx.counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.key, b.key))
	})
	for _, c := range tx.counts {
		if _, err := tx.exec(ctx, c.query, c.args...); err != nil {
			return fmt.Errorf("count %s in %s: %w", c.key, c.table, err)
		}
	}
	tx.counts = nil
	return nil
}

// Suppressed counts a match of a suppression.
func (tx *Tx) Suppressed(name string) {
	tx.count(count{table: "suppressions", key: name, args: []any{name, micros(tx.now)},
		query: `INSERT INTO suppressions (name, matches, last_match) VALUES ($1, 1, $2)
		ON CONFLICT (name) DO UPDATE SET matches = suppressions.matches + 1, last_match = excluded.last_match`})
}

// Ignore counts n events that are not findings.
func (tx *Tx) Ignore(source, detailType string, n int) {
	tx.count(count{table: "ignored", key: source + "\x00" + detailType, args: []any{source, detailType, n, micros(tx.now)},
		query: `INSERT INTO ignored (source, detail_type, count, last_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (source, detail_type) DO UPDATE SET count = ignored.count + excluded.count, last_at = excluded.last_at`})
}

// SawEvent notes that a source gave an event.
func (tx *Tx) SawEvent(name string) {
	at := micros(tx.now)
	tx.count(count{table: "sources", key: name, args: []any{name, at, at, at},
		query: `INSERT INTO sources (name, first_at, last_event, last_look, error) VALUES ($1, $2, $3, $4, '')
		ON CONFLICT (name) DO UPDATE SET last_event = excluded.last_event, last_look = excluded.last_look, error = ''`})
}
