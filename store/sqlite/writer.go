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
// wait at the same time share one commit; each but the first runs under a
// savepoint, so that one that fails leaves the others as they are.
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

// group runs first and whoever waits beside it in one transaction. When SQLite
// ends that transaction by itself (a full disk, an I/O error), the member that
// met it fails, and those that had run before it run again, each by itself.
func (w *writer) group(first *job) {
	again := w.together(first, true)
	for _, j := range again {
		if left := w.together(j, false); len(left) > 0 {
			panic("a transaction with one member left another") // our own invariant
		}
	}
}

// together runs one transaction. It returns the members whose work was undone
// through no fault of theirs; all others have their answer.
func (w *writer) together(first *job, open bool) (undone []*job) {
	// The transaction belongs to all of its members, so no member's context
	// may end it.
	ctx := context.Background()
	if err := w.turn.take(ctx); err != nil {
		first.done <- err
		return nil
	}
	defer w.turn.done()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		first.done <- fmt.Errorf("begin: %w", err)
		return nil
	}
	var members []*job
	next := func() *job {
		if !open {
			return nil
		}
		return w.next(len(members))
	}
	for j := first; j != nil; j = next() {
		if err := j.ctx.Err(); err != nil {
			j.done <- err
			continue
		}
		if len(members) == 0 {
			// The first one is alone so far: what it does is undone with the
			// transaction, without a savepoint, which would copy every page
			// that it changes.
			if err := call(j.fn, tx); err != nil {
				_ = tx.Rollback()
				j.done <- err
				return nil
			}
			members = append(members, j)
			continue
		}
		err, poisoned := w.member(ctx, tx, j)
		if poisoned {
			_ = tx.Rollback()
			j.done <- err
			return members
		}
		if err != nil {
			j.done <- err
			continue
		}
		members = append(members, j)
	}
	if len(members) == 0 {
		_ = tx.Rollback()
		return nil
	}
	if err = tx.Commit(); err != nil {
		_ = tx.Rollback()
		err = fmt.Errorf("commit: %w", err)
	}
	for _, j := range members {
		j.done <- err
	}
	return nil
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
