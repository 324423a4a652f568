package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/sqlite"
	"github.com/guardroom/guardroom/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "g.db"), now)
	})
}

func open(t testing.TB, path string, now func() time.Time) *store.DB {
	t.Helper()
	b, err := sqlite.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.New(t.Context(), b, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestTheEngineWaitsForTheDiskOnceItIsPrepared looks at the setting of every
// connection, those from before among them.
func TestTheEngineWaitsForTheDiskOnceItIsPrepared(t *testing.T) {
	t.Parallel()
	b, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "g.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const normal, full = 1, 2 // https://www.sqlite.org/pragma.html#pragma_synchronous
	look := func(want int) {
		t.Helper()
		var conns []*sql.Conn
		for range 4 {
			conn, err := b.Engine().Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
			var got int
			if err := conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&got); err != nil || got != want {
				t.Errorf("synchronous is %d, want %d: %v", got, want, err)
			}
		}
		for _, conn := range conns {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	look(normal)
	b.EnginePrepared()
	look(full)
	err = b.Write(t.Context(), func(tx *sql.Tx) error {
		var got int
		if err := tx.QueryRow("PRAGMA synchronous").Scan(&got); err != nil {
			return err
		}
		if got != full {
			t.Errorf("the writer's synchronous is %d", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
