package app

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/guardroom/guardroom/internal/pgtest"
)

// postgres starts the package's server with the first test that needs it.
var postgresServer = sync.OnceValues(pgtest.Start)

var started atomic.Bool

func postgresURL(t testing.TB) string {
	t.Helper()
	started.Store(true)
	s, err := postgresServer()
	if err != nil {
		t.Fatal(err)
	}
	return s.Database(t)
}

func TestMain(m *testing.M) {
	if os.Getenv(mortalEnv) != "" {
		os.Exit(mortalMain())
	}
	code := m.Run()
	if started.Load() {
		if s, err := postgresServer(); err == nil {
			s.Stop()
		}
	}
	os.Exit(code)
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, store func() string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, func() string { return "" }) })
	t.Run("postgres", func(t *testing.T) { test(t, func() string { return postgresURL(t) }) })
}
