package sqlite

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
)

// turns is a fair lock: whoever asked first gets it first. SQLite lets one
// connection write at a time and makes the others sleep and try again, so that
// a busy writer can starve another for seconds; within one process taking turns
// avoids that.
type turns struct{ ch chan struct{} }

func newTurns() *turns { return &turns{ch: make(chan struct{}, 1)} }

// take blocks until it is our turn or ctx ends. Goroutines that wait on a
// channel are served in the order in which they came.
func (t *turns) take(ctx context.Context) error {
	select {
	case t.ch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turns) done() { <-t.ch }

// turnConnector makes connections whose transactions wait for their turn. Until
// it is prepared they do not wait for the disk: the durable engine makes its
// tables in more than a hundred transactions, each of which it may do again. What
// a power cut takes of them is the end, never the middle, and the first durable
// commit makes all before it durable: https://www.sqlite.org/pragma.html#pragma_synchronous
type turnConnector struct {
	durable, hasty driver.Connector
	turn           *turns
	prepared       atomic.Bool
}

func (c *turnConnector) Connect(ctx context.Context) (driver.Conn, error) {
	hasty := !c.prepared.Load()
	from := c.durable
	if hasty {
		from = c.hasty
	}
	conn, err := from.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &turnConn{cachingConn: conn.(*cachingConn), turn: c.turn, of: c, hasty: hasty}, nil
}

// Driver implements driver.Connector.
func (c *turnConnector) Driver() driver.Driver { return c.durable.Driver() }

// turnConn holds the turn from the begin of a transaction to its end, and for
// the length of a single statement outside of one.
type turnConn struct {
	*cachingConn
	turn  *turns
	inTx  bool
	of    *turnConnector
	hasty bool // does not wait for the disk
}

// ResetSession implements driver.SessionResetter, which database/sql calls before
// it uses a connection again: a hasty one is thrown away once all is prepared.
func (c *turnConn) ResetSession(ctx context.Context) error {
	if c.hasty && c.of.prepared.Load() {
		return driver.ErrBadConn
	}
	return c.cachingConn.ResetSession(ctx)
}

func (c *turnConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.turn.take(ctx); err != nil {
		return nil, err
	}
	tx, err := c.cachingConn.BeginTx(ctx, opts)
	if err != nil {
		c.turn.done()
		return nil, err
	}
	c.inTx = true
	return &turnTx{Tx: tx, conn: c}, nil
}

func (c *turnConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !c.inTx {
		if err := c.turn.take(ctx); err != nil {
			return nil, err
		}
		defer c.turn.done()
	}
	return c.cachingConn.ExecContext(ctx, query, args)
}

type turnTx struct {
	driver.Tx
	conn  *turnConn
	ended bool
}

func (t *turnTx) Commit() error   { defer t.end(); return t.Tx.Commit() }
func (t *turnTx) Rollback() error { defer t.end(); return t.Tx.Rollback() }

func (t *turnTx) end() {
	if !t.ended {
		t.ended = true
		t.conn.inTx = false
		t.conn.turn.done()
	}
}
