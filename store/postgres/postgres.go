package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// Backend is an open PostgreSQL database. It implements store.Backend.
type Backend struct {
	pool *pgxpool.Pool
	// engine is a pool of its own for the durable engine, which closes it.
	engine *pgxpool.Pool
	db     *sql.DB
	place  string
	url    string
	run    string // this process, among all that ever worked on the store
}

var _ store.Backend = (*Backend)(nil)

// Open connects to the database that rawURL names. It blocks until a connection
// stands or ctx ends.
func Open(ctx context.Context, rawURL string) (*Backend, error) {
	place := Place(rawURL)
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		// The driver's message may repeat the password.
		return nil, fault.New(fault.Usage, "the store's URL is not one that PostgreSQL understands", "write postgres://user@host:5432/database")
	}
	if cfg.MaxConns < 12 {
		cfg.MaxConns = 12
	}
	run, err := newRun()
	if err != nil {
		return nil, err
	}
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return markRun(ctx, c, run) }
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", place, err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fault.Wrap(fault.Unavailable, err, "connect to "+place, "nothing was changed", "check that the database runs and that the user may connect")
	}
	engine, err := pgxpool.NewWithConfig(ctx, cfg.Copy())
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to %s: %w", place, err)
	}
	db := stdlib.OpenDBFromPool(pool)
	return &Backend{pool: pool, engine: engine, db: db, place: place, url: rawURL, run: run}, nil
}

// Place returns the URL without its secrets.
func Place(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "postgres"
	}
	return "postgres://" + u.Host + u.Path
}

const maxAttempts = 12

// Write implements store.Backend.
func (b *Backend) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := b.once(ctx, fn)
		if err == nil || attempt == maxAttempts || !again(err, attempt) {
			return b.explain(err)
		}
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) << min(attempt, 7))) //nolint:gosec // jitter
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (b *Backend) once(ctx context.Context, fn func(tx *sql.Tx) error) (err error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a transaction panicked: %v", p)
		}
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// again reports whether the database asks to run the transaction once more:
// https://www.postgresql.org/docs/15/errcodes-appendix.html
func again(err error, attempt int) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return false
	}
	switch pe.Code {
	case "40001", "40P01", "55P03":
		return true
	case "23505":
		// Two transactions inserted the same new key; the second one finds it
		// at its next attempt. If it does not, it is our own mistake.
		return attempt <= 2
	}
	return false
}

// explain turns the server's trouble into what a person can do about it. Codes:
// https://www.postgresql.org/docs/15/errcodes-appendix.html
func (b *Backend) explain(err error) error {
	if err == nil || errors.As(err, new(*fault.Error)) {
		return err
	}
	const safe = "what was acknowledged before is kept; senders will come again"
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		var ce *pgconn.ConnectError
		if errors.As(err, &ce) || pgconn.Timeout(err) && !errors.Is(err, context.Canceled) {
			return fault.Wrap(fault.Unavailable, err, "reach the store "+b.place, safe, "check that the database runs and that the user may connect")
		}
		return err
	}
	switch {
	case pe.Code == "53100":
		return fault.Wrap(fault.Unavailable, err, "write to the store "+b.place+": the server's disk is full", safe, "free some space on the database server")
	case pe.Code == "25006":
		return fault.Wrap(fault.Unavailable, err, "write to the store "+b.place+": the server is read-only", safe, "name the primary, not a standby, in store:")
	case pe.Code == "53300":
		return fault.Wrap(fault.Unavailable, err, "reach the store "+b.place+": the server has no free connection", safe, "raise max_connections, or run fewer workers; each needs up to 25")
	case pe.Code == "42501":
		return fault.Wrap(fault.Denied, err, "write to the store "+b.place, safe, "grant the user all rights on the schema of guardroom's tables")
	case strings.HasPrefix(pe.Code, "57P"), strings.HasPrefix(pe.Code, "08"):
		return fault.Wrap(fault.Unavailable, err, "reach the store "+b.place+": the server is stopping or starting", safe, "wait, or check the database server")
	}
	return err
}

// Reader implements store.Backend.
func (b *Backend) Reader() *sql.DB { return b.db }

// Engine is the pool for the durable engine, which closes it when it ends.
func (b *Backend) Engine() *pgxpool.Pool { return b.engine }

// Dialect implements store.Backend.
func (b *Backend) Dialect() store.Dialect { return store.Postgres }

// Place implements store.Backend.
func (b *Backend) Place() string { return b.place }

// Backup implements store.Backend with pg_dump in its custom format.
func (b *Backend) Backup(ctx context.Context, path string) error {
	tool, err := exec.LookPath("pg_dump")
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "back up "+b.place, "the store is untouched", "install PostgreSQL's client programs, or use your database's own backups")
	}
	if _, err := os.Stat(path); err == nil {
		return fault.New(fault.Conflict, path+" exists already", "name a file that does not exist")
	}
	tmp := path + ".part"
	address, password := libpq(b.url)
	cmd := exec.CommandContext(ctx, tool, "--format=custom", "--file="+tmp, "--dbname="+address) //nolint:gosec // our own arguments
	cmd.Env = os.Environ()
	if password != "" {
		cmd.Env = append(cmd.Env, "PGPASSWORD="+password) // not as an argument: those show in process lists
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.Remove(tmp)
		return fault.Wrap(fault.Unavailable, err, "back up "+b.place+": "+strings.TrimSpace(string(out)), "the store is untouched", "pg_dump must be at least as new as the server")
	}
	if err := os.Chmod(tmp, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// libpq returns the URL as PostgreSQL's own programs take it, without the
// password and without the parameters that only our driver knows:
// https://pkg.go.dev/github.com/jackc/pgx/v5/pgxpool#ParseConfig
func libpq(rawURL string) (address, password string) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", ""
	}
	q := u.Query()
	password = q.Get("password")
	if p, ok := u.User.Password(); ok {
		password = p
		u.User = url.User(u.User.Username())
	}
	q.Del("password")
	for name := range q {
		if strings.HasPrefix(name, "pool_") || strings.HasSuffix(name, "_cache_capacity") || name == "default_query_exec_mode" {
			q.Del(name)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), password
}

// Close implements store.Backend.
func (b *Backend) Close() error {
	err := b.db.Close()
	b.engine.Close()
	b.pool.Close()
	return err
}
