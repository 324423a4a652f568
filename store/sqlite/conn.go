package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// dsnConnector opens connections with our settings.
func dsnConnector(path string, extra ...string) *connector {
	return &connector{dsn: dsn(path, extra...), driver: &sqlite.Driver{}}
}

type connector struct {
	dsn    string
	driver *sqlite.Driver
	// steady connections finish each statement although its context ends.
	steady bool
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks an interface that the store needs"), conn.Close())
	}
	return &cachingConn{fullConn: full, steady: c.steady, cache: map[string]*cached{}}, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }

// fullConn is what database/sql uses of the driver's connections.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// cachingConn keeps the statements that it has run prepared. Parsing them anew
// each time took 40 % of the time of accepting a finding, the engine's included,
// whose statements pass here as well.
//
// database/sql never uses a connection from two goroutines at a time.
type cachingConn struct {
	fullConn
	steady bool
	cache  map[string]*cached
}

type cached struct {
	stmt driver.Stmt
	busy bool // its rows are being read
}

const maxCached = 300

// Close implements driver.Conn.
func (c *cachingConn) Close() error {
	for _, s := range c.cache {
		_ = s.stmt.Close()
	}
	clear(c.cache)
	return c.fullConn.Close()
}

// prepared returns the cached statement for query, or nil when it cannot be
// used: what changes the schema or the connection is not worth keeping, and one
// whose rows are still open must not be started again.
func (c *cachingConn) prepared(ctx context.Context, query string) *cached {
	if s, ok := c.cache[query]; ok {
		if s.busy {
			return nil
		}
		return s
	}
	if len(c.cache) >= maxCached || !repeats(query) {
		return nil
	}
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil // the plain way reports it
	}
	s := &cached{stmt: stmt}
	c.cache[query] = s
	return s
}

// repeats reports whether a statement is of a kind that is run again and again.
func repeats(query string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(query), " ")
	word, _, _ = strings.Cut(word, "\n")
	switch strings.ToUpper(word) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK":
		return true
	}
	return false
}

// context keeps SQLite from ending a whole transaction because one statement of
// it was interrupted; on the writer it holds the work of others too. See
// https://www.sqlite.org/c3ref/interrupt.html
func (c *cachingConn) context(ctx context.Context) context.Context {
	if c.steady {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// ExecContext implements driver.ExecerContext.
func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx = c.context(ctx)
	s := c.prepared(ctx, query)
	if s == nil {
		return c.fullConn.ExecContext(ctx, query, args)
	}
	return s.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx = c.context(ctx)
	s := c.prepared(ctx, query)
	if s == nil {
		return c.fullConn.QueryContext(ctx, query, args)
	}
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &cachedRows{Rows: rows, of: s}, nil
}

// cachedRows gives the statement back when they are closed.
type cachedRows struct {
	driver.Rows
	of *cached
}

// Close implements driver.Rows.
func (r *cachedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
