package postgres_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/pgtest"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/postgres"
	"github.com/guardroom/guardroom/store/storetest"
)

var (
	server  = sync.OnceValues(pgtest.Start)
	started atomic.Bool
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started.Load() {
		if s, err := server(); err == nil {
			s.Stop()
		}
	}
	os.Exit(code)
}

// database returns the URL of an empty database.
func database(t testing.TB) string {
	t.Helper()
	started.Store(true)
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return s.Database(t)
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		t.Helper()
		return open(t, database(t), now)
	})
}

func open(t testing.TB, url string, now func() time.Time) *store.DB {
	t.Helper()
	b, err := postgres.Open(t.Context(), url)
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
