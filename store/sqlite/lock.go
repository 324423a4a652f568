package sqlite

import (
	"context"
	"database/sql/driver"
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

// turnConnector makes connections whose transactions wait for their turn.
type turnConnector struct {
	driver.Connector
	turn *turns
}

func (c *turnConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &turnConn{cachingConn: conn.(*cachingConn), turn: c.turn}, nil
}

// turnConn holds the turn from the begin of a transaction to its end, and for
// the length of a single statement outside of one.
type turnConn struct {
	*cachingConn
	turn *turns
	inTx bool
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
