package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// ErrHeld is wrapped by the error of Open when another process has the store.
var ErrHeld = errors.New("another process holds the store")

// Backend is an open SQLite file. It implements store.Backend.
type Backend struct {
	path   string
	lock   *flock.Flock
	turn   *turns
	write  *sql.DB
	read   *sql.DB
	engine *sql.DB
	writer *writer

	engineConns *turnConnector
}

var _ store.Backend = (*Backend)(nil)

// Open opens or creates the file at path and takes its lock, which is held
// until Close. It blocks for at most wait for the lock; with wait 0 it does not
// block. A held lock is an error that wraps ErrHeld.
func Open(ctx context.Context, path string, wait time.Duration) (*Backend, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open the store "+path, "", "name a folder that this user may write to in store:")
	}
	// One file has one lock, by whatever link it is opened.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	b := &Backend{path: path, lock: flock.New(path+".lock", flock.SetPermissions(0o600)), turn: newTurns()}
	if err := b.acquire(ctx, wait); err != nil {
		return nil, err
	}
	if err := b.open(ctx); err != nil {
		_ = b.Close()
		return nil, explain(err, path)
	}
	return b, nil
}

func (b *Backend) acquire(ctx context.Context, wait time.Duration) error {
	held, err := b.lock.TryLock()
	if err == nil && !held && wait > 0 {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		held, err = b.lock.TryLockContext(ctx, 20*time.Millisecond)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "lock the store "+b.path, "nothing was changed", "check that this user may write to "+filepath.Dir(b.path))
	}
	if !held {
		return fault.Wrap(fault.Conflict, ErrHeld, "open the store "+b.path,
			"the other process goes on", "use the commands as usual: they speak to the running service; or stop it first")
	}
	return nil
}

func (b *Backend) open(ctx context.Context) error {
	// As durable as fsync, without waiting for the file's timestamps; SQLite's
	// usual builds do it, this one must be told. Where there is no such call,
	// nothing changes.
	_, _ = sqlite.Fdatasync(true)
	if err := create(b.path); err != nil {
		return fault.Wrap(fault.Unavailable, err, "open the store", "nothing was changed", "name a file that this user may write to in store:")
	}
	writing := dsnConnector(b.path, "_txlock=immediate")
	writing.steady = true
	b.write = sql.OpenDB(writing)
	b.write.SetMaxOpenConns(1)
	if err := b.write.PingContext(ctx); err != nil {
		return err
	}
	b.read = sql.OpenDB(dsnConnector(b.path, "_pragma=query_only(1)"))
	b.read.SetMaxOpenConns(max(4, runtime.NumCPU()))
	b.read.SetMaxIdleConns(2)
	b.engineConns = &turnConnector{durable: dsnConnector(b.path, "_txlock=immediate"),
		hasty: dsnConnector(b.path, "_txlock=immediate", "_pragma=synchronous(NORMAL)"), turn: b.turn}
	b.engine = sql.OpenDB(b.engineConns)
	b.engine.SetMaxOpenConns(4)
	b.engine.SetMaxIdleConns(2)
	b.writer = newWriter(b.write, b.turn)
	return nil
}

// create makes the file with tight permissions, so that SQLite does not make it
// with loose ones.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path string, extra ...string) string {
	params := append([]string{
		"_pragma=busy_timeout(10000)",
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
		"_pragma=foreign_keys(1)",
		"_pragma=cache_size(-16000)",
		"_pragma=temp_store(MEMORY)",
		"_pragma=journal_size_limit(67108864)",
		// Accepting changes the same pages of every index again and again: a
		// longer log writes each back once where a short one does many times.
		"_pragma=wal_autocheckpoint(4000)",
	}, extra...)
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(params, "&")
}

// Write implements store.Backend.
func (b *Backend) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return explain(b.writer.do(ctx, fn), b.path)
}

// Reader implements store.Backend.
func (b *Backend) Reader() *sql.DB { return b.read }

// Engine returns the handle for the durable engine. Its transactions take
// turns with ours.
func (b *Backend) Engine() *sql.DB { return b.engine }

// EnginePrepared says that the engine has made its tables. From then on its
// transactions are durable like ours.
func (b *Backend) EnginePrepared() { b.engineConns.prepared.Store(true) }

// Dialect implements store.Backend.
func (b *Backend) Dialect() store.Dialect { return store.SQLite }

// Place implements store.Backend.
func (b *Backend) Place() string { return "sqlite:" + b.path }

// Path is the database file.
func (b *Backend) Path() string { return b.path }

// Backup implements store.Backend by VACUUM INTO, which reads one snapshot and
// lets writers go on.
func (b *Backend) Backup(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return fault.New(fault.Conflict, path+" exists already", "name a file that does not exist")
	}
	tmp := path + ".part"
	_ = os.Remove(tmp)
	conn, err := b.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only(0)"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only(1)") }()
	if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", tmp); err != nil {
		_ = os.Remove(tmp)
		return fault.Wrap(fault.Unavailable, err, "write the backup "+path, "the store is untouched", "check the space and permissions of "+filepath.Dir(path))
	}
	if err := os.Chmod(tmp, 0o600); err != nil {
		return err
	}
	if err := syncFile(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name in it durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close implements store.Backend.
func (b *Backend) Close() error {
	var errs []error
	if b.writer != nil {
		b.writer.close()
	}
	for _, db := range []*sql.DB{b.engine, b.read, b.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	errs = append(errs, b.lock.Unlock())
	return errors.Join(errs...)
}

// SQLite's result codes that people can do something about:
// https://www.sqlite.org/rescode.html
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// explain turns SQLite's trouble, and the operating system's at opening, into
// what a person can do about it.
func explain(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fault.Wrap(fault.Unavailable, err, "open the store "+path, "nothing was changed", "give this user read and write permission on the file and its folder")
	}
	var se *sqlite.Error
	if err == nil || !errors.As(err, &se) {
		return err
	}
	const safe = "nothing of this was committed; what was acknowledged before is kept"
	switch se.Code() & 0xff {
	case codeBusy, codeLocked:
		return fault.Wrap(fault.Unavailable, err, "write to the store: another program keeps "+path+" locked", safe, "end the program that has the file open; sqlite3 and backup tools are usual ones")
	case codeFull:
		return fault.Wrap(fault.Unavailable, err, "write to the store: the disk is full ("+path+")", safe, "free some space; senders will come again")
	case codeReadOnly, codeCantOpen:
		return fault.Wrap(fault.Unavailable, err, "write to the store: it is read-only ("+path+")", safe, "give this user write permission on the file and its folder")
	case codeIOErr:
		return fault.Wrap(fault.Unavailable, err, "write to the store ("+path+")", safe, "check the disk; a full one shows like this too")
	case codeCorrupt, codeNotADB:
		return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("%s is damaged or no guardroom store", path), "the file was not touched", "restore the last backup, or name another store")
	}
	return err
}
