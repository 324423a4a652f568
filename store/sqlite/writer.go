package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// A group is committed when nobody waits any more or it has this many members:
// enough to share one fsync, few enough that the first one does not wait long.
const maxGroup = 128

var errClosed = errors.New("the store is closed")

// job is one caller's transaction.
type job struct {
	ctx  context.Context
	fn   func(*sql.Tx) error
	done chan error
}

// writer runs the transactions of all callers on one connection. Those that
// wait at the same time share one commit; each runs under a savepoint, so that
// one that fails leaves the others as they are.
type writer struct {
	db   *sql.DB
	turn *turns
	jobs chan *job

	closing chan struct{}
	once    sync.Once
	stopped chan struct{}
}

func newWriter(db *sql.DB, turn *turns) *writer {
	w := &writer{db: db, turn: turn, jobs: make(chan *job, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w
}

// do runs fn and returns after the commit. A context that ends while fn waits
// for its turn withdraws it; once it runs, the outcome is awaited.
func (w *writer) do(ctx context.Context, fn func(*sql.Tx) error) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed
	}
	select {
	case err := <-j.done:
		return err
	case <-w.stopped:
		select {
		case err := <-j.done:
			return err
		default:
			return errClosed
		}
	}
}

func (w *writer) close() {
	w.once.Do(func() { close(w.closing) })
	<-w.stopped
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case j := <-w.jobs:
			w.group(j)
		case <-w.closing:
			for {
				select {
				case j := <-w.jobs:
					w.group(j)
				default:
					return
				}
			}
		}
	}
}

// group runs first and whoever waits beside it in one transaction.
func (w *writer) group(first *job) {
	if err := w.turn.take(context.Background()); err != nil {
		first.done <- err
		return
	}
	defer w.turn.done()
	// The transaction belongs to all of its members, so no member's context
	// may end it.
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		first.done <- fmt.Errorf("begin: %w", err)
		return
	}
	var members []*job
	for j := first; j != nil; j = w.next(len(members)) {
		if err := j.ctx.Err(); err != nil {
			j.done <- err
			continue
		}
		err, poisoned := w.member(ctx, tx, j)
		if poisoned {
			// SQLite ends the whole transaction by itself on a full disk and
			// the like: nothing of this group was written.
			_ = tx.Rollback()
			for _, m := range append(members, j) {
				m.done <- err
			}
			return
		}
		if err != nil {
			j.done <- err
			continue
		}
		members = append(members, j)
	}
	if len(members) == 0 {
		_ = tx.Rollback()
		return
	}
	err = tx.Commit()
	if err != nil {
		_ = tx.Rollback()
		err = fmt.Errorf("commit: %w", err)
	}
	for _, j := range members {
		j.done <- err
	}
}

// next returns a job that waits already, or nil.
func (w *writer) next(n int) *job {
	if n >= maxGroup {
		return nil
	}
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
}

// member runs one job under a savepoint. A panic in it is its own failure. It
// reports poisoned when the transaction itself is gone.
func (w *writer) member(ctx context.Context, tx *sql.Tx, j *job) (err error, poisoned bool) { //nolint:revive // the error is the answer, the flag its footnote
	if _, err := tx.ExecContext(ctx, "SAVEPOINT member"); err != nil {
		return err, true
	}
	err = call(j.fn, tx)
	if err != nil {
		if _, back := tx.ExecContext(ctx, "ROLLBACK TO member"); back != nil {
			return err, true
		}
	}
	if _, rel := tx.ExecContext(ctx, "RELEASE member"); rel != nil {
		return errors.Join(err, rel), true
	}
	return err, false
}

func call(fn func(*sql.Tx) error, tx *sql.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a transaction panicked: %v", p)
		}
	}()
	return fn(tx)
}
