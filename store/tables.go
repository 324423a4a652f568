package store

import (
	"context"
	"fmt"
	"regexp"
)

// The tables that get new rows with almost every finding. A transaction keeps
// such rows back until a statement names their table, or until its end: by then
// many can be written together.
const (
	findingsTable = iota
	revisionsTable
	incidentsTable
	timelineTable
	mergeKeysTable
	actorKeysTable
	deliveriesTable
	tableCount
)

var tableNames = [tableCount]string{"findings", "revisions", "incidents", "timeline", "merge_keys", "actor_keys", "deliveries"}

// tableColumns are the columns of a new row, in the order in which it is added.
var tableColumns = [tableCount]string{
	findingsTable:  findingColumns,
	revisionsTable: "finding_id, updated_at, count, received_at, source, position, freshness, decision, severity, trace, digest, raw",
	incidentsTable: `number, id, state, severity, verdict, silent, owner, updated_at, last_activity, closed_at, revision, merged_into, body,
		sample, account_id, region, opened_at`,
	timelineTable:  "incident, seq, event_at, recorded_at, kind, who, text, from_value, to_value",
	mergeKeysTable: "key, incident, at",
	actorKeysTable: "key, incident, at",
	deliveriesTable: `id, wanted, done, armed, generation, status, attempts, failures, wanted_at, done_at, next_at, failing_since, worker,
		claimed_at, state, reference, url, error, warnings, spacing, urgent, updated_at, kind, subject, destination, created_at`,
}

// tables is a set of them.
type tables uint8

const everyTable tables = 1<<tableCount - 1

func (t tables) has(table int) bool { return t&(1<<table) != 0 }

var tableName = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)`)

// tablesIn returns the tables that a statement reads or writes.
func tablesIn(query string) tables {
	var set tables
	for _, m := range tableName.FindAllStringSubmatch(query, -1) {
		for t, name := range tableNames {
			if m[1] == name {
				set |= 1 << t
			}
		}
	}
	return set
}

// writeWaiting writes the rows that wait for these tables.
func (tx *Tx) writeWaiting(ctx context.Context, set tables) error {
	for t := range tx.waiting {
		if !set.has(t) || len(tx.waiting[t].args) == 0 {
			continue
		}
		if err := tx.waiting[t].flush(ctx, tx.q, tx.db.tableRows[t]); err != nil {
			return fmt.Errorf("store new %s: %w", tableNames[t], err)
		}
	}
	return nil
}
