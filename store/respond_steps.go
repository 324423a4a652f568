package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// PutStep keeps the record of a step, by its name. It fails with
// playbook.ErrFenced when the run is of another epoch, that is another worker's.
func (tx *Tx) PutStep(ctx context.Context, run respond.RunID, epoch int64, r playbook.Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep step %s of run %s: %w", r.Name, run, err)
	}
	var version int64
	err = tx.row(ctx, "UPDATE runs SET version = version + 1 WHERE id = $1 AND epoch = $2 RETURNING version", string(run), epoch).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		err = playbook.ErrFenced
		if _, missing := tx.GetRun(ctx, run); missing != nil {
			err = missing
		}
	}
	if err != nil {
		return fmt.Errorf("keep step %s of run %s: %w", r.Name, run, err)
	}
	_, err = tx.exec(ctx, `INSERT INTO steps (run, name, seq, version, state, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (run, name) DO UPDATE SET version = excluded.version, state = excluded.state, body = excluded.body`,
		string(run), r.Name, version, version, string(r.State), string(body))
	if err != nil {
		return fmt.Errorf("keep step %s of run %s: %w", r.Name, run, err)
	}
	return nil
}

// Steps lists the records of a run's steps in the order in which they were begun.
func (c q) Steps(ctx context.Context, run respond.RunID) ([]playbook.Record, error) {
	return bodies[playbook.Record](ctx, c, "steps of run "+string(run), "SELECT body FROM steps WHERE run = $1 ORDER BY seq", string(run))
}

// Steps lists the records of a run's steps in the order in which they were begun.
func (db *DB) Steps(ctx context.Context, run respond.RunID) ([]playbook.Record, error) {
	return db.read().Steps(ctx, run)
}

// StepsSince lists the records that changed after a version of the run, the
// longest ago first, and returns the version that the run has now. It rises with
// everything that happens in a run, so that a watcher asks again with the one
// that it got, and looks no further where it is the same.
func (c q) StepsSince(ctx context.Context, run respond.RunID, version int64) ([]playbook.Record, int64, error) {
	var now int64
	err := c.row(ctx, "SELECT version FROM runs WHERE id = $1", string(run)).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, fmt.Errorf("run %s: %w", run, ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the version of run %s: %w", run, err)
	}
	if now <= version {
		return []playbook.Record{}, now, nil
	}
	// What is kept between the two statements comes again next time.
	list, err := bodies[playbook.Record](ctx, c, "changed steps of run "+string(run),
		"SELECT body FROM steps WHERE run = $1 AND version > $2 ORDER BY version", string(run), version)
	return list, now, err
}

// StepsSince lists the records that changed after a version of the run, and
// returns the version that the run has now.
func (db *DB) StepsSince(ctx context.Context, run respond.RunID, version int64) ([]playbook.Record, int64, error) {
	return db.read().StepsSince(ctx, run, version)
}

// Standing is what a run must know before each change: whether another worker
// has it, whether it was aborted (its row says so, or a message of
// playbook.AbortTopic), and whether responses are switched off.
func (c q) Standing(ctx context.Context, run respond.RunID, epoch int64) (playbook.Standing, error) {
	var now int64
	var aborted, off int
	var who, why string
	err := c.row(ctx, `SELECT runs.epoch, CASE WHEN runs.aborted_at > 0 OR EXISTS (SELECT 1 FROM run_messages m WHERE m.run = runs.id AND m.topic = $1) THEN 1 ELSE 0 END,
		s.off, s.who, s.why FROM runs JOIN respond_switch s ON s.one = 1 WHERE runs.id = $2`, playbook.AbortTopic, string(run)).Scan(&now, &aborted, &off, &who, &why)
	if errors.Is(err, sql.ErrNoRows) {
		return playbook.Standing{}, fmt.Errorf("run %s: %w", run, ErrNotFound)
	}
	if err != nil {
		return playbook.Standing{}, fmt.Errorf("ask how run %s stands: %w", run, err)
	}
	st := playbook.Standing{Fenced: now != epoch, Aborted: aborted != 0}
	if off != 0 {
		st.Off = Switch{Off: true, Who: who, Why: why}.String()
	}
	return st, nil
}

// Standing is what a run must know before each change.
func (db *DB) Standing(ctx context.Context, run respond.RunID, epoch int64) (playbook.Standing, error) {
	return db.read().Standing(ctx, run, epoch)
}

// SendMessage sends a message to a run.
func (tx *Tx) SendMessage(ctx context.Context, run respond.RunID, topic string, body json.RawMessage) error {
	var version int64
	err := tx.row(ctx, "UPDATE runs SET version = version + 1 WHERE id = $1 RETURNING version", string(run)).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("send %s to run %s: %w", topic, run, err)
	}
	_, err = tx.exec(ctx, "INSERT INTO run_messages (run, topic, seq, at, body) VALUES ($1, $2, $3, $4, $5)",
		string(run), topic, version, micros(tx.now), string(body))
	if err != nil {
		return fmt.Errorf("send %s to run %s: %w", topic, run, err)
	}
	return nil
}

// RunMessages lists the messages of a topic with a higher number than after, in
// the order in which they were sent.
func (c q) RunMessages(ctx context.Context, run respond.RunID, topic string, after int64) ([]playbook.Message, error) {
	rows, err := c.query(ctx, "SELECT seq, body FROM run_messages WHERE run = $1 AND topic = $2 AND seq > $3 ORDER BY seq", string(run), topic, after)
	if err != nil {
		return nil, fmt.Errorf("read messages to run %s: %w", run, err)
	}
	defer rows.Close()
	out := []playbook.Message{}
	for rows.Next() {
		var m playbook.Message
		var body string
		if err := rows.Scan(&m.Seq, &body); err != nil {
			return nil, fmt.Errorf("read messages to run %s: %w", run, err)
		}
		m.Body = json.RawMessage(body)
		out = append(out, m)
	}
	return out, rows.Err()
}

// RunMessages lists the messages of a topic with a higher number than after.
func (db *DB) RunMessages(ctx context.Context, run respond.RunID, topic string, after int64) ([]playbook.Message, error) {
	return db.read().RunMessages(ctx, run, topic, after)
}

// Journal returns the journal of a run for the worker that took it in an epoch.
// Each Put is one transaction, in which after is called once the record is
// written (nil: nothing): what it writes is durable together with the record. It
// may be called again when the database asks for it.
func (db *DB) Journal(run respond.RunID, epoch int64, after func(tx *Tx, r playbook.Record) error) playbook.Journal {
	return journal{db: db, run: run, epoch: epoch, after: after}
}

type journal struct {
	db    *DB
	run   respond.RunID
	epoch int64
	after func(tx *Tx, r playbook.Record) error
}

var _ playbook.Journal = journal{}

// Records implements playbook.Journal.
func (j journal) Records(ctx context.Context) ([]playbook.Record, error) {
	return j.db.Steps(ctx, j.run)
}

// Put implements playbook.Journal.
func (j journal) Put(ctx context.Context, r playbook.Record) error {
	return j.db.Write(ctx, func(tx *Tx) error {
		if err := tx.PutStep(ctx, j.run, j.epoch, r); err != nil {
			return err
		}
		if j.after == nil {
			return nil
		}
		return j.after(tx, r)
	})
}

// Standing implements playbook.Journal.
func (j journal) Standing(ctx context.Context) (playbook.Standing, error) {
	return j.db.Standing(ctx, j.run, j.epoch)
}

// Messages implements playbook.Journal.
func (j journal) Messages(ctx context.Context, topic string, after int64) ([]playbook.Message, error) {
	return j.db.RunMessages(ctx, j.run, topic, after)
}
