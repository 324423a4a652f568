package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/postgres"
	"github.com/guardroom/guardroom/store/sqlite"
)

// database is an open store with what the engine needs of it.
type database struct {
	*store.DB
	engine   durable.Config // SQLite or Pool
	path     string         // of the SQLite file
	executor string         // the identity of this process, see store.Worker
	prepared func()         // to be called when the engine has made its tables
	release  func()
	// Only where other processes may share the store:
	keepName func(ctx context.Context) (taken bool, err error)
	ended    func(ctx context.Context, run string) (bool, error)
}

// StoreKind tells what a store's address means: sqlite with a path, or
// postgres with a URL.
func StoreKind(address string) (kind store.Dialect, where string, err error) {
	switch {
	case strings.HasPrefix(address, "sqlite:"):
		path := strings.TrimPrefix(address, "sqlite:")
		if rest, ok := strings.CutPrefix(path, "//"); ok {
			path = rest // sqlite:///var/lib/x.db
		}
		if path == "" {
			return "", "", fault.New(fault.Usage, "the store's address names no file", "write sqlite:guardroom.db")
		}
		return store.SQLite, path, nil
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		return store.Postgres, address, nil
	}
	return "", "", fault.New(fault.Usage, "the store's address is neither sqlite:PATH nor postgres://…", "write sqlite:guardroom.db or postgres://user@host/database")
}

// StoreFile is a SQLite file's one name, by whatever link it is opened: the
// socket of its service stands beside it.
func StoreFile(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

// openDatabase opens the store. worker names this process on PostgreSQL; an
// empty one is made up. wait is how long to wait for a SQLite file that another
// process holds.
func openDatabase(ctx context.Context, address, worker string, wait time.Duration, now func() time.Time) (*database, error) {
	kind, where, err := StoreKind(address)
	if err != nil {
		return nil, err
	}
	if kind == store.SQLite {
		b, err := sqlite.Open(ctx, where, wait)
		if err != nil {
			return nil, err
		}
		db, err := store.New(ctx, b, now)
		if err != nil {
			_ = b.Close()
			return nil, err
		}
		// One process at a time has the file, so its name never changes.
		return &database{DB: db, engine: durable.Config{SQLite: b.Engine()}, path: StoreFile(where), executor: "local",
			prepared: b.EnginePrepared, release: func() {}}, nil
	}
	b, err := postgres.Open(ctx, where)
	if err != nil {
		return nil, err
	}
	db, err := store.New(ctx, b, now)
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	out := &database{DB: db, engine: durable.Config{Pool: b.Engine()}, prepared: func() {}, release: func() {}}
	name, err := b.HoldName(ctx, worker)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	out.executor, out.release, out.keepName, out.ended = name.ID(), name.Release, name.Keep, b.Ended
	return out, nil
}

// workerName is the configured name, or the machine's.
func workerName(cfg *config.Config, mode Mode) string {
	name := cfg.Worker.ID
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "guardroom"
		}
		name = host
	}
	if mode != ModeServe {
		// Short-lived processes do not stand in for the service.
		name += "/" + string(mode)
	}
	return name
}

// ids makes ULIDs that rise within this process. It is safe for concurrent use.
type ids struct {
	mu      sync.Mutex
	now     func() time.Time
	entropy io.Reader
}

func newIDs(now func() time.Time) *ids {
	return &ids{now: now, entropy: ulid.Monotonic(rand.Reader, 0)}
}

// New returns a ULID in lower case.
func (g *ids) New() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(g.now()), g.entropy)
	if err != nil {
		// The monotonic counter of this millisecond ran over; a fresh random
		// part is as unique.
		id = ulid.MustNew(ulid.Timestamp(g.now()), rand.Reader)
	}
	return strings.ToLower(id.String())
}

// describe wraps an error of a phase of opening.
func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Logger is the configured log on w.
func Logger(cfg config.Log, w io.Writer, terminal bool) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(cfg.Level, "info"))); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" || (cfg.Format != "text" && !terminal) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
