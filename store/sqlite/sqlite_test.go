package sqlite_test

import (
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
