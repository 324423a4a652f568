package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Backend is what differs between the databases. The folders sqlite and
// postgres implement it.
type Backend interface {
	// Write runs fn in a transaction and returns after the commit. fn may be
	// run again when the database asks for it, so it must have no effect
	// outside of tx. Concurrent calls may share one commit; a failing fn never
	// spoils its neighbours'.
	Write(ctx context.Context, fn func(tx *sql.Tx) error) error
	// Reader is the pool for reads. It must not be used for writing.
	Reader() *sql.DB
	// Dialect names the database.
	Dialect() Dialect
	// Backup writes a consistent copy of the live database to path, which must
	// not exist.
	Backup(ctx context.Context, path string) error
	// Place says where the database is, without secrets.
	Place() string
	// Close ends all work; Write calls under way are finished first.
	Close() error
}

// Dialect is the kind of database.
type Dialect string

// The databases.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// DB is an open store. It is safe for concurrent use.
type DB struct {
	backend Backend
	now     func() time.Time

	statements sync.Map // sql as written -> statement

	auditRows rows
	tableRows [tableCount]rows // of those that wait for the end of a transaction
}

// New returns the store over an open backend, after bringing its schema up to
// date. A schema that is newer than this program is refused.
func New(ctx context.Context, backend Backend, now func() time.Time) (*DB, error) {
	db := &DB{backend: backend, now: now,
		auditRows: newRows("audit", "seq, at, who, action, object, before, after, why, prev, hash")}
	for t, columns := range tableColumns {
		db.tableRows[t] = newRows(tableNames[t], columns)
	}
	if err := db.migrate(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// Dialect names the database behind the store.
func (db *DB) Dialect() Dialect { return db.backend.Dialect() }

// Place says where the database is, without secrets.
func (db *DB) Place() string { return db.backend.Place() }

// Backend returns what the durable engine needs to share the database.
func (db *DB) Backend() Backend { return db.backend }

// Close closes the database after the writes under way.
func (db *DB) Close() error { return db.backend.Close() }

// Backup writes a consistent copy of the live store to path.
func (db *DB) Backup(ctx context.Context, path string) error { return db.backend.Backup(ctx, path) }

// Write runs fn in one transaction and returns after the commit, when all of
// it is durable, or with an error, when none of it is. fn may run again after a
// serialization failure; it must keep its effects inside tx and must not block
// on anything else.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.backend.Write(ctx, func(sqltx *sql.Tx) error {
		tx := &Tx{q: q{db: db, run: sqltx}, sql: sqltx, now: db.now()}
		tx.q.tx = tx
		if err := fn(tx); err != nil {
			return errors.Join(tx.failed, err)
		}
		return tx.flush(ctx)
	})
}

// TryWrite finds out whether the store can be written, by a transaction that
// changes nothing. It blocks as long as a Write does, and may be repeated.
func (db *DB) TryWrite(ctx context.Context) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, "UPDATE audit_head SET seq = seq WHERE one = 1")
		return err
	})
}

// Tx is one transaction. It is not safe for concurrent use.
type Tx struct {
	q
	sql    *sql.Tx
	now    time.Time
	audit  []pendingAudit
	counts []count

	waiting [tableCount]batch      // new rows that are not written yet
	added   map[revisionKey][]byte // digests of the revisions among them
	failed  error                  // of writing them before a read that cannot say so
	known   known                  // what was read already
	numbers numbers
	opened  map[int64]bool   // incidents that are new in this transaction and have no keys yet
	pauses  map[string]Pause // once they were read
}

// SQL returns the transaction for the durable engine, which enqueues in it.
func (tx *Tx) SQL() *sql.Tx { return tx.sql }

// Now is the time of this transaction.
func (tx *Tx) Now() time.Time { return tx.now }

// flush does what is kept for the end: rows that are cheaper together, and what
// many transactions touch, counts and then the head of the audit chain.
func (tx *Tx) flush(ctx context.Context) error {
	if tx.failed != nil {
		return tx.failed
	}
	if err := tx.writeNumbers(ctx); err != nil {
		return err
	}
	if err := tx.writeWaiting(ctx, everyTable); err != nil {
		return err
	}
	if err := tx.flushCounts(ctx); err != nil {
		return err
	}
	return tx.flushAudit(ctx)
}

// runner is what *sql.DB and *sql.Tx have in common.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// q runs the statements of this package in a transaction or on the read pool.
type q struct {
	db  *DB
	run runner
	tx  *Tx // nil on the read pool
}

func (db *DB) read() q { return q{db: db, run: db.backend.Reader()} }

func (c q) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s := c.db.statement(query)
	if c.tx != nil {
		if err := c.tx.writeWaiting(ctx, s.tables); err != nil {
			return 0, err
		}
		c.tx.known.forget(s.tables)
	}
	return c.execKnown(ctx, s, args)
}

// execKnown runs a statement of which the caller knows what it changes.
func (c q) execKnown(ctx context.Context, s statement, args []any) (int64, error) {
	res, err := c.run.ExecContext(ctx, s.text, clean(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c q) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s := c.db.statement(query)
	if c.tx != nil {
		if err := c.tx.writeWaiting(ctx, s.tables); err != nil {
			return nil, err
		}
	}
	return c.run.QueryContext(ctx, s.text, clean(args)...)
}

func (c q) row(ctx context.Context, query string, args ...any) *sql.Row {
	s := c.db.statement(query)
	if c.tx != nil {
		// A row has no way to say it; the end of the transaction does.
		c.tx.failed = errors.Join(c.tx.failed, c.tx.writeWaiting(ctx, s.tables))
	}
	return c.run.QueryRowContext(ctx, s.text, clean(args)...)
}

// clean makes texts fit for both databases: PostgreSQL refuses NUL and bytes
// that are no UTF-8, and a name that an attacker chose must not keep a finding
// out of the store. Both become U+FFFD.
func clean(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = audit.Clean(s)
		}
	}
	return args
}

var (
	placeholder = regexp.MustCompile(`\$(\d+)`)
	indexedBy   = regexp.MustCompile(` INDEXED BY \w+`)
)

// statement is a query in the dialect of the database.
type statement struct {
	text   string
	tables tables // those that it reads or writes, of those whose new rows may wait
}

func (db *DB) statement(query string) statement {
	if s, ok := db.statements.Load(query); ok {
		return s.(statement)
	}
	s := statement{text: db.translate(query), tables: tablesIn(query)}
	db.statements.Store(query, s)
	return s
}

// translate returns the query in the dialect of the database. SQLite binds plain
// question marks faster than numbered ones, so statements whose parameters
// stand in order get those. FOR UPDATE means nothing to SQLite, whose
// transactions already exclude each other; INDEXED BY means nothing to
// PostgreSQL, which knows how many rows a filter leaves.
func (db *DB) translate(query string) string {
	if db.backend.Dialect() != SQLite {
		return indexedBy.ReplaceAllString(query, "")
	}
	inOrder, next := true, 1
	for _, m := range placeholder.FindAllStringSubmatch(query, -1) {
		if m[1] != strconv.Itoa(next) {
			inOrder = false
		}
		next++
	}
	s := strings.ReplaceAll(query, " FOR UPDATE", "")
	if inOrder {
		return placeholder.ReplaceAllString(s, "?")
	}
	return placeholder.ReplaceAllString(s, "?$1")
}

// ErrNewerSchema is wrapped by the error of New for a store that a newer
// guardroom has migrated.
var ErrNewerSchema = errors.New("the store was written by a newer guardroom")

// migrate brings the schema up to date, one numbered file per transaction.
func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	err = db.backend.Write(ctx, func(tx *sql.Tx) error {
		if db.backend.Dialect() == Postgres {
			// Several workers may start at once.
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(7203518)"); err != nil {
				return err
			}
		}
		if err := db.refuseForeign(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"); err != nil {
			return err
		}
		version, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		if version > len(files) {
			return fault.Wrap(fault.Conflict, ErrNewerSchema,
				fmt.Sprintf("the store has schema %d and this guardroom knows %d", version, len(files)),
				"nothing was changed", "install the newer guardroom, or use another store")
		}
		for i := version; i < len(files); i++ {
			if err := db.apply(ctx, tx, files[i]); err != nil {
				return fmt.Errorf("apply %s: %w", files[i], err)
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM meta WHERE key = 'schema'"); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ('schema', '"+strconv.Itoa(len(files))+"')") //nolint:gosec // a number of ours
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare the store: %w", err)
	}
	return nil
}

// refuseForeign refuses a SQLite file that holds tables of something else. A
// PostgreSQL database may well be shared.
func (db *DB) refuseForeign(ctx context.Context, tx *sql.Tx) error {
	if db.backend.Dialect() != SQLite {
		return nil
	}
	var tables, ours int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(name = 'meta'), 0) FROM sqlite_master
		WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`).Scan(&tables, &ours)
	if err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return fault.New(fault.Usage, db.Place()+" is the database of another program", "name another file in store:; guardroom makes it")
	}
	return nil
}

func schemaVersion(ctx context.Context, tx *sql.Tx) (int, error) {
	var s string
	err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'schema'").Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Corrupt, fmt.Sprintf("the store's schema version is %q, which is no number", s), "restore the last backup")
	}
	return n, nil
}

func (db *DB) apply(ctx context.Context, tx *sql.Tx, file string) error {
	b, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	words := strings.NewReplacer("{{blob}}", "BLOB", "{{seq}}", "INTEGER PRIMARY KEY", "{{key}}", "INTEGER PRIMARY KEY",
		"{{keyed}}", " WITHOUT ROWID",
		"{{numbers}}", "CREATE TABLE incident_numbers (one INTEGER PRIMARY KEY, last BIGINT NOT NULL)")
	if db.backend.Dialect() == Postgres {
		words = strings.NewReplacer("{{blob}}", "BYTEA", "{{seq}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{{key}}", "BIGINT PRIMARY KEY",
			"{{keyed}}", "", "{{numbers}}", "CREATE SEQUENCE incident_numbers")
	}
	for statement := range strings.SplitSeq(words.Replace(string(b)), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w in %q", err, firstLine(statement))
		}
	}
	return nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// micros turns a time into what the database keeps; a zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf is the reverse of micros.
func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
