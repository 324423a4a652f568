package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/triage"
)

var _ triage.Index = (*Tx)(nil)

// candidate loads what triage wants to know of an incident and locks it,
// following merges to the incident that lives on.
func (tx *Tx) candidate(ctx context.Context, n int64) (triage.Candidate, bool, error) {
	return tx.follow(ctx, "WHERE number = $1 FOR UPDATE", n)
}

// maxHops bounds the way along merges; a longer one cannot be made by absorbing
// open incidents in any sensible life.
const maxHops = 64

func (tx *Tx) follow(ctx context.Context, where string, n int64) (triage.Candidate, bool, error) {
	for hops := 0; n > 0 && hops < maxHops; hops++ {
		c, merged, err := scanCandidate(tx.row(ctx, "SELECT "+candidateColumns+" FROM incidents "+where, n))
		if errors.Is(err, sql.ErrNoRows) {
			return triage.Candidate{}, false, nil
		}
		if err != nil {
			return triage.Candidate{}, false, fmt.Errorf("read %s: %w", incident.Number(n), err)
		}
		if merged == 0 {
			return c, true, nil
		}
		n = merged
	}
	return triage.Candidate{}, false, nil
}

const candidateColumns = "number, id, state, severity, verdict, last_activity, closed_at, sample, merged_into"

func scanCandidate(s scanner) (c triage.Candidate, merged int64, err error) {
	var id, state, verdict string
	var severity float64
	var number, activity, closed int64
	var sample int
	if err := s.Scan(&number, &id, &state, &severity, &verdict, &activity, &closed, &sample, &merged); err != nil {
		return c, 0, err
	}
	return triage.Candidate{ID: incident.ID(id), Number: incident.Number(number), State: incident.State(state), Severity: finding.Severity(severity),
		Verdict: incident.Verdict(verdict), LastActivity: timeOf(activity), ClosedAt: timeOf(closed), Sample: sample != 0}, merged, nil
}

func (tx *Tx) candidateOf(ctx context.Context, what, query, arg string) (triage.Candidate, bool, error) {
	var n int64
	err := tx.row(ctx, query, arg).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && n == 0) {
		return triage.Candidate{}, false, nil
	}
	if err != nil {
		return triage.Candidate{}, false, fmt.Errorf("look for the incident of %s: %w", what, err)
	}
	return tx.candidate(ctx, n)
}

// IncidentOfFinding implements triage.Index.
func (tx *Tx) IncidentOfFinding(ctx context.Context, id finding.ID) (triage.Candidate, bool, error) {
	if f, ok := tx.findingNow(id); ok {
		return tx.candidate(ctx, int64(f.Incident)) // looked for a moment ago in this transaction
	}
	return tx.candidateOf(ctx, "a finding", "SELECT incident FROM findings WHERE id = $1", string(id))
}

// IncidentOfKey implements triage.Index.
func (tx *Tx) IncidentOfKey(ctx context.Context, key string) (triage.Candidate, bool, error) {
	if n, ok := tx.known.keys[audit.Clean(key)]; ok {
		return tx.candidate(ctx, n)
	}
	return tx.candidateOf(ctx, "a merge key", "SELECT incident FROM merge_keys WHERE key = $1", key)
}

// SequenceOf implements triage.Index.
func (tx *Tx) SequenceOf(ctx context.Context, findingARN string) (triage.Candidate, bool, error) {
	if findingARN == "" {
		return triage.Candidate{}, false, nil
	}
	if n, ok := tx.known.members[audit.Clean(findingARN)]; ok {
		return tx.candidate(ctx, n)
	}
	return tx.candidateOf(ctx, "an attack sequence", "SELECT incident FROM sequence_members WHERE finding_arn = $1", findingARN)
}

// IncidentOfARN returns the incident of the finding with this ARN.
func (tx *Tx) IncidentOfARN(ctx context.Context, findingARN string) (triage.Candidate, bool, error) {
	return tx.candidateOf(ctx, "a finding's ARN", "SELECT incident FROM findings WHERE arn = $1 AND incident > 0 ORDER BY id LIMIT 1", findingARN)
}

// IncidentsOfActor implements triage.Index. It locks nothing: a link changes
// only the incident that gets it, and the newest incidents of a busy actor are
// in many hands.
func (tx *Tx) IncidentsOfActor(ctx context.Context, key string, since time.Time) ([]incident.Number, error) {
	list, ok := tx.known.actors[audit.Clean(key)]
	if !ok || tx.known.since != micros(since) {
		var err error
		if list, err = tx.actorEntries(ctx, key, since); err != nil {
			return nil, fmt.Errorf("look for incidents of an actor: %w", err)
		}
	}
	alive := make([]incident.Number, 0, len(list))
	for _, e := range list {
		n := incident.Number(e.incident)
		if e.merged != 0 {
			c, ok, err := tx.follow(ctx, "WHERE number = $1", e.merged)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			n = c.Number
		}
		if !slices.Contains(alive, n) {
			alive = append(alive, n)
		}
	}
	return alive, nil
}

func (tx *Tx) actorEntries(ctx context.Context, key string, since time.Time) ([]actorEntry, error) {
	rows, err := tx.query(ctx, `SELECT number, at, merged_into FROM actor_keys JOIN incidents ON number = actor_keys.incident
		WHERE key = $1 AND at >= $2 ORDER BY at DESC, actor_keys.incident DESC LIMIT 5`, key, micros(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []actorEntry
	for rows.Next() {
		var e actorEntry
		if err := rows.Scan(&e.incident, &e.at, &e.merged); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// SetKeys makes an incident the holder of its merge keys and remembers its
// actors and, for an attack sequence, the findings that it names. at is when the
// activity under them happened.
//
// A key stays with an open incident whose activity is later: an old finding that
// arrives late must not draw the new ones away from where they belong.
func (tx *Tx) SetKeys(ctx context.Context, n incident.Number, keys, actors, members []string, at time.Time) error {
	for _, k := range keys {
		if err := tx.setKey(ctx, k, int64(n), micros(at)); err != nil {
			return fmt.Errorf("store a merge key of %s: %w", n, err)
		}
	}
	if err := tx.setActors(ctx, int64(n), actors, micros(at)); err != nil {
		return fmt.Errorf("store the actors of %s: %w", n, err)
	}
	for _, arn := range members {
		if _, err := tx.exec(ctx, `INSERT INTO sequence_members (finding_arn, incident) VALUES ($1, $2)
			ON CONFLICT (finding_arn) DO UPDATE SET incident = excluded.incident`, arn, int64(n)); err != nil {
			return fmt.Errorf("store a member of the sequence in %s: %w", n, err)
		}
		delete(tx.known.members, audit.Clean(arn))
	}
	return nil
}

func (tx *Tx) setActors(ctx context.Context, n int64, actors []string, at int64) error {
	actors = cleaned(actors)
	slices.Sort(actors)
	isNew := tx.opened[n] // it has none yet
	delete(tx.opened, n)
	for _, k := range slices.Compact(actors) {
		if isNew {
			tx.waiting[actorKeysTable].add(k, n, at)
		} else if err := tx.setActor(ctx, k, n, at); err != nil {
			return err
		}
		tx.known.actor(k, actorEntry{incident: n, at: at})
	}
	return nil
}

func (tx *Tx) setActor(ctx context.Context, key string, n, at int64) error {
	s := tx.db.statement(`INSERT INTO actor_keys (key, incident, at) VALUES ($1, $2, $3)
		ON CONFLICT (key, incident) DO UPDATE SET at = excluded.at WHERE actor_keys.at < excluded.at`)
	if err := tx.writeWaiting(ctx, s.tables); err != nil {
		return err
	}
	_, err := tx.execKnown(ctx, s, []any{key, n, at})
	return err
}

func (tx *Tx) setKey(ctx context.Context, key string, n, at int64) error {
	key = audit.Clean(key)
	if holder, ok := tx.known.keys[key]; ok && holder == 0 {
		tx.waiting[mergeKeysTable].add(key, n, at)
		tx.known.keys[key] = n
		return nil
	}
	s := tx.db.statement(`INSERT INTO merge_keys (key, incident, at) VALUES ($1, $2, $3)
		ON CONFLICT (key) DO UPDATE SET incident = excluded.incident, at = excluded.at
		WHERE merge_keys.at <= excluded.at OR EXISTS
		(SELECT 1 FROM incidents WHERE number = merge_keys.incident AND state = 'closed' AND number <> excluded.incident)`)
	if err := tx.writeWaiting(ctx, s.tables); err != nil {
		return err
	}
	delete(tx.known.keys, key) // who holds it afterwards is for the statement to say
	_, err := tx.execKnown(ctx, s, []any{key, n, at})
	return err
}

// MoveKeys gives the merge keys of one incident to another.
func (tx *Tx) MoveKeys(ctx context.Context, from, to incident.Number) error {
	if _, err := tx.exec(ctx, "UPDATE merge_keys SET incident = $1 WHERE incident = $2", int64(to), int64(from)); err != nil {
		return fmt.Errorf("move the merge keys of %s: %w", from, err)
	}
	return nil
}
