package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/postgres"
)

func TestTransactionsThatLockEachOtherRunAgain(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), time.Now)
	ctx := t.Context()
	if err := db.Write(ctx, func(tx *store.Tx) error {
		for _, n := range []incident.Number{1, 2} {
			i := &incident.Incident{ID: incident.ID(n.String()), Number: n, State: incident.Open}
			if err := tx.PutIncident(ctx, i, true, nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// Each takes its first lock, waits until the other one has its own, and
	// wants the other's.
	var met, wg sync.WaitGroup
	met.Add(2)
	var runs atomic.Int64
	for _, order := range [][]incident.Number{{1, 2}, {2, 1}} {
		wg.Go(func() {
			first := true
			err := db.Write(ctx, func(tx *store.Tx) error {
				runs.Add(1)
				tx.Audit(audit.Record{Who: "w", Action: "raised"})
				for at, n := range order {
					i, err := tx.Incident(ctx, n)
					if err != nil {
						return err
					}
					if at == 0 && first {
						first = false
						met.Done()
						met.Wait()
					}
					i.FindingCount++
					if err := tx.PutIncident(ctx, i, false, nil); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range []incident.Number{1, 2} {
		if i, err := db.GetIncident(ctx, n); err != nil || i.FindingCount != 2 {
			t.Errorf("%s was raised %d times, %v", n, i.FindingCount, err)
		}
	}
	if r, err := db.VerifyAudit(ctx, nil); err != nil || !r.OK() || r.Records != 2 {
		t.Errorf("audit: %+v %v", r, err)
	}
	if runs.Load() < 3 { // it may find the other one there again
		t.Errorf("%d runs for two transactions of which one had to run again", runs.Load())
	}
}

func TestSeveralWorkersMayStartAtOnce(t *testing.T) {
	t.Parallel()
	url := database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			b, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			db, err := store.New(t.Context(), b, time.Now)
			if err != nil {
				t.Error(errors.Join(err, b.Close()))
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestWorkersNeverShareAName(t *testing.T) {
	t.Parallel()
	url := database(t)
	b, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	first, err := b.HoldName(t.Context(), "host")
	if err != nil || first.String() != "host" {
		t.Fatal(first, err)
	}
	second, err := b.HoldName(t.Context(), "host")
	if err != nil || second.String() != "host-2" {
		t.Fatal(second, err)
	}
	defer second.Release()
	first.Release()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		again, err := b.HoldName(t.Context(), "host")
		if err != nil {
			t.Fatal(err)
		}
		again.Release()
		if again.String() == "host" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the name of a worker that ended is not free: got %s", again)
		}
	}
}

func TestTroubleIsClear(t *testing.T) {
	t.Parallel()
	url := database(t)
	db := open(t, url, time.Now)
	for name, c := range map[string]struct {
		query string
		code  fault.Code
		words string
	}{
		"a standby":       {"SET TRANSACTION READ ONLY; INSERT INTO cursors (name, value, updated_at) VALUES ('a', 'b', 0)", fault.Unavailable, "read-only"},
		"a full disk":     {"DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$", fault.Unavailable, "disk is full"},
		"a missing right": {"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '42501'; END $$", fault.Denied, "write to the store"},
		"a restart":       {"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '57P01'; END $$", fault.Unavailable, "stopping"},
	} {
		err := db.Backend().Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(c.query); return err })
		if f := fault.Of(err); err == nil || f.Code != c.code || f.Hint == "" || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v (%s)", name, err, f.Code)
		}
	}
	_, err := postgres.Open(t.Context(), "postgres://guardroom:topsecret@127.0.0.1:1/none?connect_timeout=2")
	if f := fault.Of(err); f.Code != fault.Unavailable || f.Hint == "" || strings.Contains(err.Error()+f.Hint, "topsecret") {
		t.Errorf("no server: %v", err)
	}
	_, err = postgres.Open(t.Context(), "postgres://guardroom:topsecret@[bad")
	if f := fault.Of(err); f.Code != fault.Usage || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("no URL: %v", err)
	}
	if p := postgres.Place("postgres://u:topsecret@h:5/d?password=topsecret"); p != "postgres://h:5/d" {
		t.Errorf("the place is %s", p)
	}
}

func TestABackupCanBeRead(t *testing.T) {
	t.Parallel()
	url := database(t)
	db := open(t, url+"&pool_max_conns=14", time.Now)
	if err := db.SetCursor(t.Context(), "c", "1"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.dump")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), "PGDMP") || !strings.Contains(string(b), "incident_numbers") {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := db.Backup(t.Context(), path); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("a file that exists: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ended, path+"2"); err == nil {
		t.Error("a cancelled backup")
	}
	if left, err := filepath.Glob(path + "2*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
