package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guardroom/guardroom/internal/fault"
)

// A worker's identity has two parts, NAME/RUN. The name is what people know and
// what a restart gets again; the run is random, so that two processes never
// share an identity, even when one of them loses its name without knowing.
//
// Both are advisory locks, which end with their session and so also with a
// killed process. The name is locked by one session; the run is locked, shared,
// by every session of the process, so that others can see whether any is left:
// https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS

const (
	nameLock = "guardroom worker "
	runLock  = "guardroom run "
)

// sessionTimeout ends each conversation about names and runs.
const sessionTimeout = 5 * time.Second

func newRun() (string, error) {
	b := make([]byte, 6)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("name this process: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// markRun marks a new session as one of this process.
func markRun(ctx context.Context, c *pgx.Conn, run string) error {
	if _, err := c.Exec(ctx, "SELECT pg_advisory_lock_shared(hashtextextended($1, 0))", runLock+run); err != nil {
		return fmt.Errorf("mark the session: %w", err)
	}
	return nil
}

// Ended reports whether no session of another process is left in the database,
// by its run. A process whose machine lost its power keeps its sessions for as long as
// the server does not notice.
func (b *Backend) Ended(ctx context.Context, run string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	var free bool
	// The lock of a transaction: it ends with this statement.
	if err := b.pool.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", runLock+run).Scan(&free); err != nil {
		return false, fmt.Errorf("look for sessions of run %s: %w", run, b.explain(err))
	}
	return free, nil
}

// ErrNameTaken is what Keep returns, in a fault, when the name is another's.
var ErrNameTaken = errors.New("the session that held it was lost, and another process took it")

// Name is a name that this process holds. It is safe for concurrent use.
type Name struct {
	b    *Backend
	name string

	mu   sync.Mutex
	conn *pgx.Conn // nil: lost
}

// HoldName claims a name for this process: base, or base-2, base-3, … if base
// is taken. The claim ends with the connection that holds it, so also with a
// killed process, whose successor gets the same name again.
func (b *Backend) HoldName(ctx context.Context, base string) (*Name, error) {
	for i := 1; i <= 64; i++ {
		n := &Name{b: b, name: base}
		if i > 1 {
			n.name = fmt.Sprintf("%s-%d", base, i)
		}
		held, err := n.take(ctx)
		if err != nil {
			return nil, err
		}
		if held {
			return n, nil
		}
	}
	return nil, fault.New(fault.Conflict, "64 workers with the name "+base+" run already", "set worker.id")
}

// take tries to lock the name with a new session.
func (n *Name) take(ctx context.Context) (held bool, err error) {
	conn, err := n.b.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("claim the worker's name %s: %w", n.name, err)
	}
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", nameLock+n.name).Scan(&held); err != nil || !held {
		conn.Release()
		if err != nil {
			err = fmt.Errorf("claim the worker's name %s: %w", n.name, err)
		}
		return false, err
	}
	n.conn = conn.Hijack()
	return true, nil
}

// String is the name.
func (n *Name) String() string { return n.name }

// ID is the identity of this process, NAME/RUN.
func (n *Name) ID() string { return n.name + "/" + n.b.run }

// Keep checks that the name is still held, and takes it again where its session
// was lost. taken reports that this was so. An error that wraps ErrNameTaken is
// final: the process must end and come again under another name. Any other one
// is passing. It blocks for a few seconds at most.
func (n *Name) Keep(ctx context.Context) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		if err := n.conn.Ping(ctx); err == nil {
			return false, nil
		} else if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return false, err // we are told to stop
		}
		n.close()
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), sessionTimeout)
	defer cancel()
	held, err := n.take(ctx)
	if err != nil || held {
		return held, err
	}
	own, another, err := n.holders(ctx)
	switch {
	case err != nil:
		return false, err
	case own:
		return false, fmt.Errorf("the lost session of the worker's name %s still stood and was ended", n.name)
	case !another:
		return false, fmt.Errorf("the lost session of the worker's name %s ends just now", n.name)
	}
	return false, fault.Wrap(fault.Conflict, ErrNameTaken, "keep the worker's name "+n.name,
		"what it has in hand is finished or taken up by another worker", "have its supervisor start it again; where two machines share worker.id, give each its own")
}

// holders looks who holds the name. A session of this process, which we lost
// sight of, is ended: the server may notice a cut line only after hours. A
// session counts as another's by the run that it is marked with, because one
// that is just ending may have given up its mark before the name.
func (n *Name) holders(ctx context.Context) (own, another bool, err error) {
	const query = `WITH advisory AS (
	SELECT pid, mode, (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
	WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), marked AS (
	SELECT n.pid, r.key = hashtextextended($2, 0) AS own FROM advisory n JOIN advisory r ON r.pid = n.pid
	WHERE n.mode = 'ExclusiveLock' AND n.key = hashtextextended($1, 0) AND r.mode = 'ShareLock'
)
SELECT COALESCE(bool_or(CASE WHEN own THEN pg_terminate_backend(pid) END), false), COALESCE(bool_or(NOT own), false) FROM marked`
	if err := n.b.pool.QueryRow(ctx, query, nameLock+n.name, runLock+n.b.run).Scan(&own, &another); err != nil {
		return false, false, fmt.Errorf("look who holds the worker's name %s: %w", n.name, err)
	}
	return own, another, nil
}

// Release gives the name up.
func (n *Name) Release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.close()
}

func (n *Name) close() {
	if n.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = n.conn.Close(ctx)
	n.conn = nil
}
