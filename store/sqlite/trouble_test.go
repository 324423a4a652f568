package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/sqlite"
)

// clear checks that an error tells a person what failed and what to do.
func clear(t *testing.T, err error, code fault.Code, words string) {
	t.Helper()
	f := fault.Of(err)
	if err == nil || f.Code != code || f.Hint == "" || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v (%s, hint %q), want %s with %q", err, f.Code, f.Hint, code, words)
	}
}

func TestASecondProcessIsToldThatTheStoreIsHeld(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "g.db")
	first := open(t, path, time.Now)
	link := filepath.Join(folder, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		_, err := sqlite.Open(t.Context(), p, 0)
		if !errors.Is(err, sqlite.ErrHeld) {
			t.Errorf("%s: got %v", p, err)
		}
		clear(t, err, fault.Conflict, "another process")
	}
	// One that waits gets it when the first one ends.
	done := make(chan error, 1)
	go func() {
		b, err := sqlite.Open(context.Background(), path, time.Minute)
		if err == nil {
			err = b.Close()
		}
		done <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the first one ended: %v", err)
	}
}

func TestAFileOfAnotherProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("CREATE TABLE notes (text TEXT)"); err != nil {
		t.Fatal(err)
	}
	b, err := sqlite.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = store.New(t.Context(), b, time.Now)
	clear(t, err, fault.Usage, "another program")
	var n int
	if err := other.QueryRow("SELECT COUNT(*) FROM sqlite_master").Scan(&n); err != nil || n != 1 {
		t.Errorf("it has %d tables now, %v", n, err)
	}

	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), text, 0)
	clear(t, err, fault.Corrupt, "no guardroom store")
}

func TestAFullDiskSpoilsNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.db")
	db := open(t, path, time.Now)
	pages := func(n int) {
		t.Helper()
		// Outside of a transaction: on the connection that writes.
		if err := db.Backend().Write(t.Context(), func(tx *sql.Tx) error {
			var now int
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&now)
		}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(id string, size int) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Audit(audit.Record{Who: "w", Action: "a", Object: id})
			return tx.PutFinding(t.Context(), store.Finding{ID: finding.ID(id), Title: strings.Repeat("x", size)}, true)
		})
	}
	if err := put("before", 10); err != nil {
		t.Fatal(err)
	}
	pages(1) // SQLite takes the present size where it is larger
	// The large one meets the end of the disk; small ones that share its commit
	// may still fit, and each gets a true answer.
	var wg sync.WaitGroup
	var stored atomic.Int64
	for n := range 20 {
		wg.Go(func() {
			id := fmt.Sprint("n", n)
			err := put(id, 10+n%2*200_000)
			if err != nil {
				clear(t, err, fault.Unavailable, "disk is full")
			} else {
				stored.Add(1)
			}
			if _, ok, readErr := db.GetFinding(t.Context(), finding.ID(id)); ok != (err == nil) || readErr != nil {
				t.Errorf("%s was answered with %v and is there: %v, %v", id, err, ok, readErr)
			}
		})
	}
	wg.Wait()
	if stored.Load() > 10 {
		t.Errorf("%d were stored on a full disk", stored.Load())
	}
	pages(1 << 30)
	if err := put("after", 200_000); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if _, ok, err := db.GetFinding(t.Context(), "before"); !ok || err != nil {
		t.Errorf("what was acknowledged: %v %v", ok, err)
	}
	if r, err := db.VerifyAudit(t.Context(), nil); err != nil || !r.OK() || r.Records != stored.Load()+2 {
		t.Errorf("audit: %+v %v", r, err)
	}
}

func TestAReadOnlyStoreSaysSo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.db")
	db := open(t, path, time.Now)
	if err := db.Backend().Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("PRAGMA query_only = 1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	clear(t, db.SetCursor(t.Context(), "c", "1"), fault.Unavailable, "read-only")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, time.Now).SetCursor(t.Context(), "c", "1"); err != nil {
		t.Errorf("once it is writable: %v", err)
	}
	_, err := sqlite.Open(t.Context(), filepath.Join("/proc", "guardroom", "g.db"), 0)
	clear(t, err, fault.Unavailable, "open the store")
}

func TestALockOfAnotherProgramSaysSo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.db")
	db := open(t, path, time.Now)
	other, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// Our own patience is ten seconds; the test has less.
	if err := db.Backend().Write(t.Context(), func(tx *sql.Tx) error {
		var ms int
		return tx.QueryRow("PRAGMA busy_timeout = 50").Scan(&ms)
	}); err != nil {
		t.Fatal(err)
	}
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	clear(t, db.SetCursor(t.Context(), "c", "1"), fault.Unavailable, "another program")
	if v, err := db.Cursor(t.Context(), "c"); err != nil || v != "" {
		t.Errorf("reading goes on: %q %v", v, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.SetCursor(t.Context(), "c", "1"); err != nil {
		t.Errorf("when it is gone: %v", err)
	}
}

func TestTheEngineAndTheWriterTakeTurns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.db")
	b, err := sqlite.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.New(t.Context(), b, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := b.Engine().Exec("CREATE TABLE engine (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 25 {
				if err := db.SetCursor(t.Context(), fmt.Sprint(w), fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for n := range 25 {
				tx, err := b.Engine().Begin()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := tx.Exec("INSERT INTO engine (n) VALUES (?)", n); err != nil {
					t.Error(err)
				}
				end := tx.Commit
				if n%5 == 0 {
					end = tx.Rollback
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var n int
	if err := b.Reader().QueryRow("SELECT COUNT(*) FROM engine").Scan(&n); err != nil || n != 80 {
		t.Errorf("%d rows, %v", n, err)
	}
	if _, err := b.Reader().Exec("DELETE FROM engine"); err == nil {
		t.Error("the pool for reads wrote")
	}
}

func TestABackupOfALiveStoreIsWhole(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db := open(t, filepath.Join(folder, "g.db"), time.Now)
	ctx, stop := context.WithCancel(t.Context())
	var written atomic.Int64
	busy := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
					tx.Audit(audit.Record{Who: "w", Action: "a", Object: "o"})
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				if written.Add(1) == 20 {
					close(busy)
				}
			}
		})
	}
	<-busy
	backup := filepath.Join(folder, "copy.db")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	stop()
	wg.Wait()
	clear(t, db.Backup(t.Context(), backup), fault.Conflict, "exists")
	clear(t, db.Backup(t.Context(), filepath.Join(folder, "none", "x.db")), fault.Unavailable, "write the backup")
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v %v", info.Mode(), err)
	}
	copied := open(t, backup, time.Now)
	r, err := copied.VerifyAudit(t.Context(), nil)
	if err != nil || !r.OK() || r.Records < 20 {
		t.Errorf("the chain in the backup: %+v %v", r, err)
	}
}

func TestAClosedStoreRefusesWrites(t *testing.T) {
	t.Parallel()
	b, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "g.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var ok, refused atomic.Int64
	for range 50 {
		wg.Go(func() {
			if err := b.Write(context.Background(), func(*sql.Tx) error { return nil }); err != nil {
				refused.Add(1)
			} else {
				ok.Add(1)
			}
		})
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if ok.Load()+refused.Load() != 50 {
		t.Error("a caller was left without an answer")
	}
	if err := b.Write(context.Background(), func(*sql.Tx) error { return nil }); err == nil {
		t.Error("it wrote")
	}
}
