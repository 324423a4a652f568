package durable_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/internal/pgtest"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/store/postgres"
	"github.com/guardroom/guardroom/store/sqlite"
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

// process is one run of a program on a database.
type process struct {
	*durable.Engine
	db   *store.DB
	stop func(grace time.Duration)
}

// opener opens the same database again and again, as one process after the other
// or, on PostgreSQL, as several at once.
type opener func(t *testing.T, executor string, destinations ...string) *process

func onBoth(t *testing.T, test func(t *testing.T, open opener)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "g.db")
		test(t, func(t *testing.T, executor string, destinations ...string) *process {
			t.Helper()
			b, err := sqlite.Open(t.Context(), path, 0)
			if err != nil {
				t.Fatal(err)
			}
			return begin(t, b, durable.Config{SQLite: b.Engine(), Executor: executor, Destinations: destinations})
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		open := onPostgres(t)
		test(t, open)
	})
}

func onPostgres(t *testing.T) opener {
	t.Helper()
	started.Store(true)
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	url := s.Database(t)
	return func(t *testing.T, executor string, destinations ...string) *process {
		t.Helper()
		b, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return begin(t, b, durable.Config{Pool: b.Engine(), Executor: executor, Destinations: destinations})
	}
}

func begin(t *testing.T, b store.Backend, cfg durable.Config) *process {
	t.Helper()
	db, err := store.New(t.Context(), b, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Concurrency, cfg.Poll, cfg.Logger = 4, 10*time.Millisecond, slog.New(slog.DiscardHandler)
	e, err := durable.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Engine: e, db: db}
	var once sync.Once
	p.stop = func(grace time.Duration) {
		once.Do(func() {
			if err := e.Shutdown(grace); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { p.stop(time.Second) })
	return p
}

func (p *process) enqueue(t *testing.T, end error, items ...durable.Item) {
	t.Helper()
	err := p.db.Write(t.Context(), func(tx *store.Tx) error {
		for _, i := range items {
			if err := p.Enqueue(t.Context(), tx.SQL(), i.Destination, i, 0); err != nil {
				return err
			}
		}
		return end
	})
	if !errors.Is(err, end) {
		t.Fatal(err)
	}
}

// desk is a handler that remembers what it was given.
type desk struct {
	mu   sync.Mutex
	seen map[durable.Item]int
	came chan durable.Item
	do   func(ctx context.Context, i durable.Item, time int) error
}

func newDesk() *desk {
	return &desk{seen: map[durable.Item]int{}, came: make(chan durable.Item, 1000)} // more than any test enqueues
}

func (d *desk) handle(ctx context.Context, i durable.Item) error {
	d.mu.Lock()
	d.seen[i]++
	n := d.seen[i]
	d.mu.Unlock()
	d.came <- i
	if d.do != nil {
		return d.do(ctx, i, n)
	}
	return nil
}

func (d *desk) times(i durable.Item) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[i]
}

// wait waits until an item comes.
func (d *desk) wait(t *testing.T, want durable.Item) {
	t.Helper()
	timeout := time.After(5 * time.Minute)
	for {
		select {
		case got := <-d.came:
			if got == want {
				return
			}
		case <-timeout:
			t.Fatalf("%+v did not come", want)
		}
	}
}

func item(destination, id string, generation int64) durable.Item {
	return durable.Item{Destination: destination, Delivery: id, Generation: generation}
}

func TestWorkOfAnAbortedTransactionNeverRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "chat")
		d := newDesk()
		p.enqueue(t, errors.New("aborted"), item("chat", "aborted", 1))
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		p.enqueue(t, nil, item("chat", "kept", 1))
		d.wait(t, item("chat", "kept", 1))
		if n := d.times(item("chat", "aborted", 1)); n != 0 {
			t.Errorf("it ran %d times", n)
		}
	})
}

func TestOnlyANewGenerationRunsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "chat")
		d := newDesk()
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		p.enqueue(t, nil, item("chat", "a", 1))
		d.wait(t, item("chat", "a", 1))
		finished(t, p, "a", 1)
		p.enqueue(t, nil, item("chat", "a", 1)) // no error, and nothing runs
		p.enqueue(t, nil, item("chat", "a", 2))
		d.wait(t, item("chat", "a", 2))
		if n := d.times(item("chat", "a", 1)); n != 1 {
			t.Errorf("the first generation ran %d times", n)
		}
	})
}

// finished waits until the engine has recorded the end of an item.
func finished(t *testing.T, p *process, id string, generation int64) {
	t.Helper()
	query := "SELECT status FROM workflow_status WHERE workflow_uuid = ?"
	if p.db.Dialect() == store.Postgres {
		query = "SELECT status FROM dbos.workflow_status WHERE workflow_uuid = $1"
	}
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		var status string
		err := p.db.Backend().Reader().QueryRow(query, fmt.Sprintf("delivery/%s/%d", id, generation)).Scan(&status)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if status == "SUCCESS" {
			return
		}
		<-time.After(5 * time.Millisecond) // the engine tells nobody
	}
	t.Fatalf("the engine does not record the end of %s", id)
}

func TestAnErrorAndAPanicKeepTheItem(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "chat")
		d := newDesk()
		d.do = func(_ context.Context, _ durable.Item, time int) error {
			switch time {
			case 1:
				return errors.New("the store does not answer")
			case 2:
				panic("attacker's text")
			}
			return nil
		}
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		p.enqueue(t, nil, item("chat", "a", 1))
		finished(t, p, "a", 1)
		if n := d.times(item("chat", "a", 1)); n != 3 {
			t.Errorf("it was handled %d times", n)
		}
	})
}

func TestWhatAStopInterruptsIsTakenUpAtTheNextStart(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		first := open(t, "w", "chat")
		d := newDesk()
		d.do = func(ctx context.Context, _ durable.Item, _ int) error {
			<-ctx.Done() // a call that hangs
			return ctx.Err()
		}
		if err := first.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		first.enqueue(t, nil, item("chat", "hangs", 1))
		d.wait(t, item("chat", "hangs", 1))
		first.stop(10 * time.Millisecond)

		second := open(t, "w", "chat")
		d = newDesk()
		if err := second.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		d.wait(t, item("chat", "hangs", 1))
		finished(t, second, "hangs", 1)
	})
}

func TestASlowDestinationHoldsUpNoOther(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "slow", "quick")
		d := newDesk()
		d.do = func(ctx context.Context, i durable.Item, _ int) error {
			if i.Destination == "slow" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		var items []durable.Item
		for n := range 20 {
			items = append(items, item("slow", fmt.Sprint("s", n), 1))
		}
		for n := range 20 {
			items = append(items, item("quick", fmt.Sprint("q", n), 1))
		}
		p.enqueue(t, nil, items...)
		for n := range 20 {
			finished(t, p, fmt.Sprint("q", n), 1)
		}
		slow := 0
		for n := range 20 {
			slow += d.times(item("slow", fmt.Sprint("s", n), 1))
		}
		if slow > 4 {
			t.Errorf("%d at a time, configured are 4", slow)
		}
		p.stop(10 * time.Millisecond)
	})
}

func TestAnItemForLaterWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "chat")
		d := newDesk()
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		const wait = 700 * time.Millisecond
		if err := p.db.Write(t.Context(), func(tx *store.Tx) error {
			return p.Enqueue(t.Context(), tx.SQL(), "chat", item("chat", "later", 1), wait)
		}); err != nil {
			t.Fatal(err)
		}
		d.wait(t, item("chat", "later", 1))
		if took := time.Since(at); took < wait-50*time.Millisecond {
			t.Errorf("it came after %s", took)
		}
	})
}

func TestFinishedWorkIsPruned(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w", "chat", "other")
		d := newDesk()
		block := make(chan struct{})
		d.do = func(ctx context.Context, i durable.Item, _ int) error {
			if i.Destination == "other" {
				select {
				case <-block:
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		}
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		p.enqueue(t, nil, item("chat", "a", 1), item("chat", "b", 1), item("other", "runs", 1))
		finished(t, p, "a", 1)
		finished(t, p, "b", 1)
		if n, err := p.Prune(time.Hour); n != 0 || err != nil {
			t.Errorf("what is young: %d %v", n, err)
		}
		if n, err := p.Prune(-time.Hour); n != 2 || err != nil {
			t.Errorf("what is old: %d %v", n, err)
		}
		if n, err := p.Prune(-time.Hour); n != 0 || err != nil {
			t.Errorf("a second time: %d %v", n, err)
		}
		close(block)
		finished(t, p, "runs", 1)
	})
}

func TestAWorkerFindsWhatALostOneHadTaken(t *testing.T) {
	t.Parallel()
	open := onPostgres(t)
	lost := open(t, "lost", "chat")
	d := newDesk()
	d.do = func(ctx context.Context, _ durable.Item, _ int) error { <-ctx.Done(); return ctx.Err() }
	if err := lost.Launch(d.handle, nil); err != nil {
		t.Fatal(err)
	}
	lost.enqueue(t, nil, item("chat", "a", 3))
	d.wait(t, item("chat", "a", 3))

	other := open(t, "other", "chat")
	if err := other.Launch(newDesk().handle, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := other.Abandoned(func(name string) bool { return name == "lost" }); err != nil || len(left) != 0 {
		t.Errorf("while it lives: %+v %v", left, err)
	}
	lost.stop(10 * time.Millisecond)
	left, err := other.Abandoned(func(string) bool { return false })
	if err != nil || len(left) != 1 || left[0].Delivery != "a" || left[0].Generation != 3 {
		t.Fatalf("when it is lost: %+v %v", left, err)
	}
	if err := other.Discard(left); err != nil {
		t.Fatal(err)
	}
	if left, err := other.Abandoned(func(string) bool { return false }); err != nil || len(left) != 0 {
		t.Errorf("once it is discarded: %+v %v", left, err)
	}
	if err := other.Discard(nil); err != nil {
		t.Error(err)
	}
}

func TestAProcessWithoutDestinationsTakesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		p := open(t, "w")
		d := newDesk()
		if err := p.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		p.enqueue(t, nil, item("chat", "a", 1))
		p.stop(time.Second)
		next := open(t, "w", "chat")
		if err := next.Launch(d.handle, nil); err != nil {
			t.Fatal(err)
		}
		d.wait(t, item("chat", "a", 1))
		if n := d.times(item("chat", "a", 1)); n != 1 {
			t.Errorf("handled %d times", n)
		}
	})
}

func TestQueuesAreNamedAfterTheirDestinations(t *testing.T) {
	t.Parallel()
	if names := []string{durable.QueueName("a"), durable.QueueName("b")}; !slices.Equal(names, []string{"deliver/a", "deliver/b"}) {
		t.Errorf("%v", names) // the names stand in stores: they must not change
	}
}
