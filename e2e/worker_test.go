package e2e

import (
	"database/sql"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pgstore "github.com/guardroom/guardroom/store/postgres"
)

// nameOf is the key of a worker's name in PostgreSQL's locks.
const nameOf = `((classid::bigint << 32) | objid::bigint) = hashtextextended('guardroom worker ' || $1, 0)
	AND objsubid = 1 AND locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func openPostgres(t *testing.T, url string) *sql.DB {
	t.Helper()
	b, err := pgstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.Reader()
}

// loseName ends the session that holds a worker's name, as a failover or a
// proxy that ends idle sessions does.
func loseName(t *testing.T, db *sql.DB, name string) {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_locks WHERE "+nameOf, name).Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d sessions hold the name %s, %v", n, name, err)
	}
}

func column(t *testing.T, db *sql.DB, query string, args ...any) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAWorkerThatLostItsNameKeepsItsWork has the session of a name end, another
// worker start under that name while the first one is inside a call, and the
// first one killed.
func TestAWorkerThatLostItsNameKeepsItsWork(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 1, 0, 1)
	url := postgresURL(t)
	db := openPostgres(t, url)
	settings := settings{store: url, worker: "host", routes: "  - {name: all, to: [pager]}"}
	first, second := newInstance(t, v, settings), newInstance(t, v, settings)
	for _, i := range []*instance{first, second} { // the call lasts, and the lease longer than the test
		i.edit("timeout: 1s", "timeout: 1m", "timeout: 1s", "timeout: 1m", "timeout: 1s", "timeout: 1m", "lease: 30s", "lease: 1h")
	}
	var calls atomic.Int64
	inside, release := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	v.intercept(func(_, stage, _ string) {
		if stage == "received" && calls.Add(1) == 1 {
			close(inside)
			<-release
		}
	})
	first.start()
	if err := first.ready(); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	if ok, err := first.post(t.Context(), makeRevision(1, 1, 8, at, at).body); !ok {
		t.Fatal(err)
	}
	<-inside
	// It notices nothing before the second one has its name.
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	loseName(t, db, "host")
	second.start()
	if err := second.ready(); err != nil {
		t.Fatal(err)
	}
	if ids := column(t, db, "SELECT id FROM workers ORDER BY id"); len(ids) != 2 || !strings.HasPrefix(ids[0], "host/") || !strings.HasPrefix(ids[1], "host/") {
		t.Fatalf("the workers are %v", ids)
	}
	if ok, err := second.post(t.Context(), makeRevision(2, 1, 8, at, at).body); !ok {
		t.Fatal(err)
	}
	await(t, second, "the second worker delivers", func() bool { return len(v.pager.Alerts()) == 1 })
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls: what the first worker has in hand was taken from it", n)
	}
	_ = first.kill(syscall.SIGKILL)
	free()
	await(t, second, "the first worker's delivery is taken up", func() bool {
		return len(column(t, db, "SELECT id FROM deliveries WHERE status = 'delivered'")) == 2
	})
	if n, alerts := calls.Load(), len(v.pager.Alerts()); n > 3 || alerts != 2 {
		t.Errorf("%d calls, %d alerts", n, alerts)
	}
	await(t, second, "the lost worker is forgotten", func() bool { return len(column(t, db, "SELECT id FROM workers")) == 1 })
	if n := column(t, db, "SELECT key FROM notices"); len(n) != 0 {
		t.Errorf("notices: %v", n)
	}
	first.start()
	if err := first.ready(); err != nil {
		t.Fatal(err)
	}
	if ids := column(t, db, "SELECT id FROM workers ORDER BY id"); len(ids) != 2 || !strings.HasPrefix(ids[0], "host-2/") {
		t.Errorf("the workers are %v", ids)
	}
}

// TestAWorkerWatchesItsName has the session of a running worker's name end, and
// then its name taken by another process.
func TestAWorkerWatchesItsName(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	url := postgresURL(t)
	db := openPostgres(t, url)
	i := newInstance(t, v, settings{store: url, worker: "host", scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	loseName(t, db, "host")
	await(t, i, "it takes its name again", func() bool { return strings.Contains(i.out.String(), "it holds it again") })
	at := time.Now().Add(-time.Hour)
	if ok, err := i.post(t.Context(), makeRevision(1, 1, 8, at, at).body); !ok {
		t.Fatal(err)
	}
	await(t, i, "it goes on", func() bool { return len(v.pager.Alerts()) == 1 })
	i.settle()

	other, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(t.Context(), "SELECT pg_advisory_lock(hashtextextended('guardroom worker host', 0))")
		got <- err
	}()
	await(t, i, "the other process waits for the name", func() bool {
		return len(column(t, db, "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")) == 1
	})
	loseName(t, db, "host")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-i.end:
		i.end <- err // for the end of the test
	case <-time.After(patience):
		t.Fatalf("it goes on without its name\n%s", i.out)
	}
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{"level=ERROR", "error: keep the worker's name host", "another process took it", "safe:", "have its supervisor"} {
		if !strings.Contains(i.out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, i.out)
		}
	}
	if ids := column(t, db, "SELECT id FROM workers"); len(ids) != 0 {
		t.Errorf("the workers are %v", ids)
	}
}
