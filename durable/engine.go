package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // DBOS asks for it, also with a handle of our own
	"github.com/jackc/pgx/v5/pgxpool"
)

// Version is pinned: the engine's default is a hash of the binary, so that
// every upgrade would leave the work in flight to nobody.
const Version = "guardroom-1"

const (
	appName      = "guardroom"
	deliveryName = "guardroom.delivery"
)

// Item is one piece of work: bring this delivery up to date, if it is still of
// this generation.
type Item struct {
	Destination string `json:"destination"`
	Delivery    string `json:"delivery"`
	Generation  int64  `json:"generation"`
	// NotBefore is set by Enqueue for short waits, in milliseconds since 1970.
	NotBefore int64 `json:"not_before,omitempty"`
}

// shortWait is the longest that an item waits in the hands of its worker. The
// engine itself looks after waiting items once a second only.
const shortWait = 900 * time.Millisecond

// Handler does the work of an item. It is called at least once for every item,
// may be called for items that are void by now, and returns an error only when
// the store did not answer or ctx ended: the item is then kept, and handled again
// by this process or, after a stop, by a later one.
type Handler func(ctx context.Context, item Item) error

// Config is how an engine runs.
type Config struct {
	// SQLite or Pool is the database that the store uses.
	SQLite *sql.DB
	Pool   *pgxpool.Pool
	// Executor names this process and is never shared. Launch goes on with what
	// an earlier process of the same executor left.
	Executor string
	// Destinations get a queue each, so that a slow one holds up no other.
	Destinations []string
	// Concurrency is the number of items of one destination at a time, and
	// Fewer says for which destinations it is less.
	Concurrency int
	Fewer       map[string]int
	// Poll is how often queues are looked at.
	Poll   time.Duration
	Logger *slog.Logger
}

// Engine is DBOS with guardroom's queues.
type Engine struct {
	ctx      dbos.Context
	cfg      Config
	handler  Handler
	runs     RunHandler
	launched bool
	// slots bound what runs at a time, by destination. The engine counts what it
	// runs a moment late, so that a queue that is looked at again meanwhile gets more.
	slots map[string]chan struct{}

	// stop ends the handlers under way at shutdown; what they leave undone is
	// taken up at the next start.
	stop context.CancelFunc
	base context.Context //nolint:containedctx // it is the lifetime of the handlers
}

// Open connects the engine to the database and brings its own tables up to
// date. Work is enqueued from then on; it runs after Launch.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	c, err := dbos.NewContext(ctx, dbos.Config{
		AppName: appName, SQLiteSystemDB: cfg.SQLite, SystemDBPool: cfg.Pool,
		ApplicationVersion: Version, ExecutorID: cfg.Executor, Logger: slog.New(quiet{cfg.Logger.Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("open the durable engine: %w", err)
	}
	e := &Engine{ctx: c, cfg: cfg}
	e.base, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	dbos.RegisterWorkflow(c, e.deliver, dbos.WithWorkflowName(deliveryName), dbos.WithMaxRecoveryAttempts(1000))
	dbos.RegisterWorkflow(c, e.respond, dbos.WithWorkflowName(runName), dbos.WithMaxRecoveryAttempts(1000))
	return e, nil
}

// QueueName is the queue of a destination.
func QueueName(destination string) string { return "deliver/" + destination }

// Enqueue adds an item inside the caller's transaction, not before `after`. The
// destination's queue need not be run by this process.
func (e *Engine) Enqueue(_ context.Context, tx *sql.Tx, destination string, item Item, after time.Duration) error {
	opts := []dbos.EnqueueOption{
		dbos.WithEnqueueTransaction(tx),
		dbos.WithEnqueueWorkflowID(workflowID(item)),
		dbos.WithEnqueueApplicationVersion(Version),
	}
	switch {
	case after > shortWait:
		opts = append(opts, dbos.WithEnqueueDelay(after))
	case after > 0:
		item.NotBefore = time.Now().Add(after).UnixMilli()
	}
	if _, err := dbos.Enqueue[string](e.ctx, QueueName(destination), deliveryName, item, opts...); err != nil {
		return fmt.Errorf("enqueue delivery %s: %w", item.Delivery, err)
	}
	return nil
}

// Launch starts to run items with handler, and runs of playbooks with runs
// unless that is nil, beginning with what an earlier run of this executor left.
// It returns when the queues run.
func (e *Engine) Launch(handler Handler, runs RunHandler) error {
	e.handler, e.runs = handler, runs
	names := make([]string, 0, len(e.cfg.Destinations))
	concurrency := map[string]int{}
	e.slots = map[string]chan struct{}{}
	for _, d := range e.cfg.Destinations {
		most := e.cfg.Concurrency
		if n, ok := e.cfg.Fewer[d]; ok {
			most = min(n, most)
		}
		most = max(1, most)
		names = append(names, QueueName(d))
		concurrency[QueueName(d)], e.slots[d] = most, make(chan struct{}, most)
	}
	if runs != nil {
		names = append(names, runQueue)
		concurrency[runQueue] = runsAtOnce
	}
	if len(names) == 0 {
		// To the engine an empty list means every queue, not none.
		names = []string{"none"}
	}
	dbos.ListenQueues(e.ctx, names...)
	for _, name := range names {
		_, err := dbos.RegisterQueue(e.ctx, name, dbos.WithWorkerConcurrency(max(1, concurrency[name])),
			dbos.WithQueueBasePollingInterval(e.cfg.Poll), dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate))
		if err != nil {
			return fmt.Errorf("register the queue %s: %w", name, err)
		}
	}
	if err := dbos.Launch(e.ctx); err != nil {
		return fmt.Errorf("start the durable engine: %w", err)
	}
	e.launched = true
	return nil
}

// deliver is the workflow of one item. It has no steps: the delivery's row is
// the checkpoint, and the handler may run again from the start at any time.
func (e *Engine) deliver(run dbos.Context, item Item) (string, error) {
	if slot := e.slots[item.Destination]; slot != nil {
		select {
		case slot <- struct{}{}:
			defer func() { <-slot }()
		case <-e.base.Done():
		}
	}
	if wait := time.Until(time.UnixMilli(item.NotBefore)); wait > 0 {
		select {
		case <-time.After(min(wait, shortWait)): // a clock that was set back must not hold it
		case <-e.base.Done():
		}
	}
	item.NotBefore = 0
	return e.until(run, func() error { return e.handle(item) }, "delivery", item.Delivery)
}

// until works on an item until that ends without an error.
func (e *Engine) until(run dbos.Context, work func() error, what, id string) (string, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := work()
		if err == nil {
			return "", nil
		}
		if e.base.Err() != nil || errors.Is(err, ErrLeft) {
			// The engine does not record an outcome once it is being shut down:
			// the item stays with this executor, for its next start or for a
			// worker that finds it abandoned.
			<-run.Done()
			return "", err
		}
		e.cfg.Logger.Warn("work could not be done and waits", what, id, "error", err)
		select {
		case <-time.After(pause):
		case <-e.base.Done():
		}
	}
}

// handle turns a panic into an error, so that the item is kept: to the engine a
// panic would end it.
func (e *Engine) handle(item Item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.cfg.Logger.Error("the work on a delivery panicked", "delivery", item.Delivery, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panicked: %v", p)
		}
	}()
	return e.handler(e.base, item)
}

// Abandoned returns the items that executors have in hand which are neither this
// one nor alive, at most a few hundred. The caller gives each that still counts a
// new generation, and discards all of them afterwards.
func (e *Engine) Abandoned(alive func(executor string) bool) ([]Abandoned, error) {
	list, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterName(deliveryName), dbos.WithFilterStatus(dbos.WorkflowStatusPending),
		dbos.WithFilterLimit(1000), dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, fmt.Errorf("list work in hand: %w", err)
	}
	var out []Abandoned
	for _, w := range list {
		if w.ExecutorID == e.cfg.Executor || alive(w.ExecutorID) {
			continue
		}
		item, err := itemOf(w.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Abandoned{Item: item, id: w.ID})
	}
	return out, nil
}

// Abandoned is an item that its executor left. Its Destination is not known.
type Abandoned struct {
	Item
	id string
}

// Discard ends abandoned items, so that nobody finds them again.
func (e *Engine) Discard(list []Abandoned) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.id
	}
	return e.discard(ids)
}

func (e *Engine) discard(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := dbos.CancelWorkflows(e.ctx, ids); err != nil {
		return fmt.Errorf("discard abandoned work: %w", err)
	}
	return nil
}

// workflowID names an item. A generation is never used twice, so neither is an
// id.
func workflowID(i Item) string { return fmt.Sprintf("delivery/%s/%d", i.Delivery, i.Generation) }

// itemOf reads a name that workflowID made.
func itemOf(id string) (Item, error) {
	parts := strings.Split(id, "/")
	if len(parts) == 3 && parts[0] == "delivery" {
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			return Item{Delivery: parts[1], Generation: n}, nil
		}
	}
	return Item{}, fmt.Errorf("%q is no work item of guardroom", id)
}

// Shutdown stops taking items, lets those under way finish for at most grace,
// and ends them then. What is unfinished is taken up at the next start.
func (e *Engine) Shutdown(grace time.Duration) error {
	if !e.launched {
		e.stop()
		return dbos.Shutdown(e.ctx, time.Second)
	}
	timer := time.AfterFunc(grace, e.stop)
	defer timer.Stop()
	err := dbos.Shutdown(e.ctx, grace+2*time.Second)
	e.stop()
	return err
}

// Prune deletes finished items older than age from the engine's tables, at most
// a few thousand at a time. It reports how many.
func (e *Engine) Prune(age time.Duration) (int, error) {
	deliveries, err := e.prune(deliveryName, age)
	if err != nil {
		return 0, err
	}
	runs, err := e.prune(runName, age)
	return deliveries + runs, err
}

func (e *Engine) prune(name string, age time.Duration) (int, error) {
	list, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterName(name),
		dbos.WithFilterStatus(dbos.WorkflowStatusSuccess, dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled),
		dbos.WithFilterCompletedBefore(time.Now().Add(-age)), dbos.WithFilterLimit(2000),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return 0, fmt.Errorf("list finished work: %w", err)
	}
	ids := make([]string, len(list))
	for i, w := range list {
		ids[i] = w.ID
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := dbos.DeleteWorkflows(e.ctx, ids); err != nil {
		return 0, fmt.Errorf("delete finished work: %w", err)
	}
	return len(ids), nil
}

// quiet lowers the engine's own news to debug; its warnings stay.
type quiet struct{ slog.Handler }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || stopped(r) {
		r.Level = slog.LevelDebug
		if !q.Enabled(ctx, slog.LevelDebug) {
			return nil
		}
	}
	return q.Handler.Handle(ctx, r)
}

// stopped reports whether a record only says that the engine was told to stop
// while it looked at a queue.
func stopped(r slog.Record) (is bool) {
	r.Attrs(func(a slog.Attr) bool {
		is = a.Key == "error" && strings.Contains(a.Value.String(), context.Canceled.Error())
		return !is
	})
	return is
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
