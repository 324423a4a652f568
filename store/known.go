package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// known is what a transaction has read and keeps up to date itself, so that it
// need not ask again. Every other statement that writes one of the tables makes
// it forget: see exec. Names are as the database has them: see clean.
type known struct {
	findings map[string]knownFinding
	keys     map[string]int64 // merge key -> incident; 0: nobody holds it
	members  map[string]int64 // ARN of a finding -> incident of the attack sequence; 0: none
	actors   map[string][]actorEntry
	since    int64 // the entries of actors are not older
}

type knownFinding struct {
	Finding
	exists bool
}

// actorEntry is one of the newest incidents of an actor. merged is the one into
// which it was merged; 0: none.
type actorEntry struct{ incident, at, merged int64 }

const maxActorEntries = 5

// forget drops what a statement may have changed that writes these tables.
func (k *known) forget(set tables) {
	if set.has(findingsTable) {
		k.findings = nil
	}
	if set.has(mergeKeysTable) {
		k.keys = nil
	}
	if set.has(actorKeysTable) || set.has(incidentsTable) {
		k.actors = nil
	}
}

func (k *known) finding(id finding.ID, f Finding, exists bool) {
	if k.findings == nil {
		k.findings = map[string]knownFinding{}
	}
	k.findings[audit.Clean(string(id))] = knownFinding{f, exists}
}

// findingNow returns what is known of a finding. What others may have changed
// meanwhile is not: on PostgreSQL, that a finding exists.
func (tx *Tx) findingNow(id finding.ID) (f knownFinding, ok bool) {
	f, ok = tx.known.findings[audit.Clean(string(id))]
	return f, ok && (!f.exists || tx.db.Dialect() == SQLite)
}

// actor notes that an actor acted in an incident, if the actor's entries are
// known.
func (k *known) actor(key string, e actorEntry) {
	key = audit.Clean(key)
	list, ok := k.actors[key]
	if !ok || e.at < k.since {
		return
	}
	if i := slices.IndexFunc(list, func(o actorEntry) bool { return o.incident == e.incident }); i >= 0 {
		list[i].at = max(list[i].at, e.at)
	} else {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b actorEntry) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.incident, a.incident))
	})
	k.actors[key] = list[:min(len(list), maxActorEntries)]
}

// Ahead names what a transaction will ask about one by one.
type Ahead struct {
	Findings []finding.ID
	ARNs     []string // of findings, which an attack sequence may name
	Keys     []string // merge keys
	Actors   []string // actor keys
	Since    time.Time
}

// few is how many findings are not worth reading ahead.
const few = 4

// ReadAhead reads by four statements what many would read. It belongs behind the
// locks. On PostgreSQL it does nothing: there, others may change meanwhile what
// no lock holds, and what was read early would be overwritten late.
func (tx *Tx) ReadAhead(ctx context.Context, a Ahead) error {
	if tx.db.Dialect() != SQLite || len(a.Findings) < few {
		return nil
	}
	if err := tx.findingsAhead(ctx, a.Findings); err != nil {
		return err
	}
	var err error
	if tx.known.members, err = tx.numbersAhead(ctx, "SELECT finding_arn, incident FROM sequence_members WHERE finding_arn IN (SELECT value FROM json_each($1))", a.ARNs); err != nil {
		return err
	}
	if tx.known.keys, err = tx.numbersAhead(ctx, "SELECT key, incident FROM merge_keys WHERE key IN (SELECT value FROM json_each($1))", a.Keys); err != nil {
		return err
	}
	return tx.actorsAhead(ctx, a.Actors, a.Since)
}

func (tx *Tx) findingsAhead(ctx context.Context, ids []finding.ID) error {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = audit.Clean(string(id))
		tx.known.finding(id, Finding{}, false)
	}
	list, err := tx.findings(ctx, "WHERE id IN (SELECT value FROM json_each($1))", jsonList(names))
	if err != nil {
		return err
	}
	for _, f := range list {
		tx.known.finding(f.ID, f, true)
	}
	return nil
}

func (tx *Tx) numbersAhead(ctx context.Context, query string, names []string) (map[string]int64, error) {
	out := make(map[string]int64, len(names))
	names = cleaned(names)
	for _, n := range names {
		out[n] = 0
	}
	rows, err := tx.query(ctx, query, jsonList(names))
	if err != nil {
		return nil, fmt.Errorf("read ahead: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return nil, fmt.Errorf("read ahead: %w", err)
		}
		out[name] = n
	}
	return out, rows.Err()
}

// actorsAhead reads the newest entries of each actor as one text, because a
// limit for each needs a subquery, which has one value.
func (tx *Tx) actorsAhead(ctx context.Context, keys []string, since time.Time) error {
	tx.known.actors, tx.known.since = make(map[string][]actorEntry, len(keys)), micros(since)
	keys = cleaned(keys)
	for _, k := range keys {
		tx.known.actors[k] = nil
	}
	rows, err := tx.query(ctx, `SELECT k.value, (SELECT group_concat(newest.incident || ' ' || newest.at || ' ' ||
		(SELECT merged_into FROM incidents WHERE number = newest.incident), ' ')
		FROM (SELECT incident, at FROM actor_keys WHERE key = k.value AND at >= $1 ORDER BY at DESC, incident DESC LIMIT 5) AS newest)
		FROM json_each($2) AS k`, micros(since), jsonList(keys))
	if err != nil {
		return fmt.Errorf("read ahead the incidents of actors: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var text *string
		if err := rows.Scan(&key, &text); err != nil {
			return fmt.Errorf("read ahead the incidents of actors: %w", err)
		}
		if text == nil {
			continue
		}
		words := strings.Fields(*text)
		list := make([]actorEntry, 0, maxActorEntries)
		for ; len(words) >= 3; words = words[3:] {
			var e actorEntry
			for i, to := range []*int64{&e.incident, &e.at, &e.merged} {
				if *to, err = strconv.ParseInt(words[i], 10, 64); err != nil {
					return fmt.Errorf("read ahead the incidents of actors: %w", err)
				}
			}
			list = append(list, e)
		}
		tx.known.actors[key] = list
	}
	return rows.Err()
}

// jsonList is how a list goes to SQLite as one parameter.
func jsonList(names []string) string {
	b, _ := json.Marshal(names) // texts always encode
	return string(b)
}

// numbers are the incident numbers that a transaction takes. On SQLite, which has
// one writer, they are counted here after the first.
type numbers struct {
	last    incident.Number
	written incident.Number
}

func (tx *Tx) writeNumbers(ctx context.Context) error {
	if tx.numbers.last == tx.numbers.written {
		return nil
	}
	if _, err := tx.exec(ctx, "UPDATE incident_numbers SET last = $1 WHERE one = 1", int64(tx.numbers.last)); err != nil {
		return fmt.Errorf("store the last incident number: %w", err)
	}
	tx.numbers.written = tx.numbers.last
	return nil
}
