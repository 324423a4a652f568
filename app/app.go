package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/guardduty"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// Mode is what this process is.
type Mode string

// The modes.
const (
	ModeServe   Mode = "serve"   // the service
	ModeImport  Mode = "import"  // finding import --wait: delivers, then ends
	ModeCommand Mode = "command" // one call of the command line; delivers nothing
	ModeLambda  Mode = "lambda"  // a Lambda function
)

// Options are what the configuration does not say.
type Options struct {
	Mode    Mode
	Version string
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger
	// Wait for a SQLite file that another process holds.
	Wait time.Duration
	// NoVendors builds no destination: their secrets need not be there. What
	// must be told is enqueued all the same.
	NoVendors bool
	// Enrichers beside those that the configuration asks for.
	Enrichers []triage.Enricher
	// Notifiers replace the configured destinations' own, for tests.
	Notifiers map[string]notify.Notifier
	// Keepers keep the audit head outside, beside the file and the log.
	Keepers []audit.Keeper
	// Responses replace AWS for responses, and Confirm GuardDuty's confirmation of
	// a finding, for tests and the demo.
	Responses awscalls.AWS
	Confirm   Confirmer
	// Checks are further checks of doctor (AWS).
	Checks []func(ctx context.Context) []api.Check
}

// App is guardroom, built from its configuration.
type App struct {
	cfg     *config.Config
	opts    Options
	db      *database
	engine  *durable.Engine
	ids     *ids
	flow    *Flow
	command *Commands
	metrics *Metrics
	views   *views
	deliver *notify.Deliverer
	watch   *watcher
	triager *triage.Triager
	cloud   *cloud.Cloud
	ours    *cloud.Ours
	clock   *clock
	archive *guardduty.Archiver
	desk    *desk
	runs    *runs
	late    *lateness
	types   map[string]string
	now     func() time.Time
	log     *slog.Logger

	delivering bool
}

// New opens the store and builds every part from the configuration. It starts
// nothing: Deliver does. After an error nothing is left open.
func New(ctx context.Context, cfg *config.Config, opts Options) (_ *App, err error) {
	a := &App{cfg: cfg, opts: opts, now: opts.Now, log: opts.Log, types: map[string]string{}}
	if a.now == nil {
		a.now = func() time.Time { return time.Now().UTC() }
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.ids = newIDs(a.now)
	a.clock = &clock{now: a.now, next: transport()}
	a.cloud = cloud.New(cfg.AWS, cfg.Accounts, cloud.Deps{Now: a.now, Log: a.log})
	more := []string{cfg.Respond.Forensics.Account}
	for _, s := range cfg.Sources.GuardDuty {
		more = append(more, s.Accounts...)
	}
	a.ours = a.cloud.Ours(more...)
	for _, d := range cfg.Destinations {
		a.types[d.Name] = d.Type
	}
	if a.db, err = openDatabase(ctx, cfg.Store.Reveal(), workerName(cfg, opts.Mode), opts.Wait, a.now); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := a.build(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) build(ctx context.Context) (err error) {
	names := make([]string, 0, len(a.cfg.Destinations))
	for _, d := range a.cfg.Destinations {
		names = append(names, d.Name)
	}
	tempo := notify.Tempo(a.cfg.Worker.TimeScale)
	engine := a.db.engine
	engine.Executor, engine.Destinations, engine.Logger = a.db.executor, names, a.log
	engine.Concurrency, engine.Fewer, engine.Poll = a.cfg.Worker.Concurrency, fewer(a.cfg), pollOf(a.db.Dialect())
	if a.engine, err = durable.Open(ctx, engine); err != nil {
		return err
	}
	a.db.prepared()
	a.metrics = NewMetrics(a.db.DB, a.now)
	a.views = &views{store: a.db.DB, baseURL: a.cfg.BaseURL, types: a.types, now: a.now}
	notes := &notices{store: a.db.DB, engine: a.engine, newID: a.ids.New, to: a.cfg.Watch.To, all: names}

	if a.triager, err = buildTriage(a.cfg, a.types, append(a.cloud.Enrichers(), a.opts.Enrichers...), a.now, a.log); err != nil {
		return describe("build triage", err)
	}
	a.flow = &Flow{store: a.db.DB, triager: a.triager, engine: a.engine, now: a.now, newID: a.ids.New, observe: a.metrics, log: a.log,
		config: flowConfig{DigestAbove: digestLimits(a.cfg), Minute: tempo.Scale(time.Minute), Synchronous: a.opts.Mode == ModeLambda && a.db.Dialect() == store.SQLite}}
	a.archive = guardduty.NewArchiver(a.cfg, a.cloud, a.db.DB, guardduty.Deps{Now: a.now, Log: a.log, TimeScale: a.cfg.Worker.TimeScale})
	a.command = &Commands{store: a.db.DB, engine: a.engine, newID: a.ids.New, types: a.types, allow: allowCreate, archive: a.archive}
	destinations := map[string]*notify.Destination{}
	if !a.opts.NoVendors {
		if destinations, err = buildDestinations(a.cfg, a.opts.Notifiers, a.clock, a.now, a.log); err != nil {
			return err
		}
	}
	a.deliver = &notify.Deliverer{Destinations: destinations, Views: a.views, Worker: a.db.executor, Tempo: tempo, Now: a.now, Observer: a.metrics, Logger: a.log,
		Ledger: &ledger{store: a.db.DB, engine: a.engine, newID: a.ids.New, tempo: tempo, types: a.types, notice: notes.open}}
	if err := a.buildResponses(ctx, tempo); err != nil {
		return err
	}
	a.late = &lateness{store: a.db.DB, desk: a.desk, notices: notes, tempo: tempo, now: a.now}
	a.watch, err = a.buildWatch(ctx, notes, tempo)
	return err
}

// pollOf is how often queues are looked at: a look costs SQLite next to
// nothing, and PostgreSQL a round trip.
func pollOf(d store.Dialect) time.Duration {
	if d == store.SQLite {
		return 10 * time.Millisecond
	}
	return 25 * time.Millisecond
}

func digestLimits(cfg *config.Config) map[string]int {
	out := map[string]int{}
	for _, d := range cfg.Destinations {
		if d.DigestAbove != nil {
			out[d.Name] = *d.DigestAbove
		}
	}
	return out
}

func (a *App) buildWatch(ctx context.Context, notes *notices, tempo notify.Tempo) (*watcher, error) {
	w := &watcher{store: a.db.DB, engine: a.engine, runs: a.runs, notices: notes, newID: a.ids.New, now: a.now, log: a.log,
		worker: store.Worker{ID: a.db.executor, Mode: string(a.opts.Mode), Version: a.opts.Version, StartedAt: a.now()},
		lease:  tempo.Scale(a.cfg.Worker.Lease.Std()), call: tempo.Limit(notify.ReconcileLimit), headEvery: a.cfg.Audit.Head.Interval.Std(),
		undeliveredAfter: a.cfg.Watch.UndeliveredAfter.Std(), heartbeatURL: a.cfg.Watch.HeartbeatURL.Reveal(),
		keepName: a.db.keepName, ended: a.db.ended, nameEvery: max(tempo.Scale(2*time.Second), 100*time.Millisecond),
		heartbeatEvery: a.cfg.Watch.HeartbeatInterval.Std(), client: httpClient(), retention: a.Prune, paused: a.command.takeUpPaused, silentAfter: silences(a.cfg)}
	w.keepers = slices.Clone(a.opts.Keepers)
	head := a.cfg.Audit.Head
	if head.S3 != "" {
		k, err := cloud.NewS3Keeper(a.cloud, head.S3)
		if err != nil {
			return nil, err
		}
		w.keepers = append(w.keepers, k)
	}
	switch {
	case head.File != "":
		w.keepers = append(w.keepers, audit.FileKeeper{Path: head.File})
	case len(w.keepers) == 0 && a.db.path != "":
		w.keepers = append(w.keepers, audit.FileKeeper{Path: a.db.path + ".audit-heads"})
	}
	if head.Log || len(w.keepers) == 0 {
		w.keepers = append(w.keepers, audit.LogKeeper{Log: a.log})
	}
	if a.opts.Mode == ModeServe {
		return w, nil
	}
	// A command that changed nothing has no head to write down.
	written, err := a.db.AuditHead(ctx)
	w.kept = slices.Repeat([]int64{written.Seq}, len(w.keepers))
	return w, err
}

// silences says for how long each source may be silent.
func silences(cfg *config.Config) map[string]time.Duration {
	out := map[string]time.Duration{}
	set := func(name string, own config.Duration) {
		out[name] = cfg.Watch.SilentAfter.Std()
		if own > 0 {
			out[name] = own.Std()
		}
	}
	for _, s := range cfg.Sources.SQS {
		set("sqs:"+s.Name, s.SilentAfter)
	}
	for _, s := range cfg.Sources.GuardDuty {
		set("guardduty:"+s.Name, s.SilentAfter)
	}
	for _, s := range cfg.Sources.S3 {
		set("s3:"+s.Name, s.SilentAfter)
	}
	if cfg.Sources.HTTP.Enabled() {
		set("http", 0)
	}
	return out
}

// Deliver starts to deliver in this process, beginning with what an earlier run
// of it left.
func (a *App) Deliver(ctx context.Context) error {
	if err := a.watch.beat(ctx); err != nil {
		return err
	}
	if err := a.watch.recover(ctx); err != nil {
		return err
	}
	var carryOut durable.RunHandler
	if a.opts.Mode == ModeServe {
		if err := a.watch.recoverRuns(ctx); err != nil {
			return err
		}
		carryOut = a.runs.carryOut
	}
	err := a.engine.Launch(func(ctx context.Context, item durable.Item) error {
		return a.deliver.Deliver(ctx, item.Destination, item.Delivery, item.Generation)
	}, carryOut)
	a.delivering = err == nil
	return err
}

// Close ends what runs, writes the last audit head outside, and closes the
// store. Deliveries and runs under way get grace to finish; what is left is taken
// up by the next start, but for what a run opened for seconds: that is closed now,
// where AWS lets it. It takes grace, 2 s and leaveLimit at most.
func (a *App) Close(ctx context.Context) error {
	var errs []error
	if a.runs != nil {
		a.runs.stop()
		defer a.runs.end()
	}
	if a.engine != nil {
		errs = append(errs, describe("stop the durable engine", a.engine.Shutdown(grace)))
	}
	if a.runs != nil {
		a.runs.closeLeft(ctx)
	}
	if a.watch != nil {
		errs = append(errs, describe("write the last audit head", a.watch.keepHead(ctx)))
		if a.delivering {
			errs = append(errs, a.db.Gone(ctx, a.db.executor))
		}
	}
	if a.db != nil {
		a.db.release()
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}

const grace = 10 * time.Second

// Take implements source.Intake.
func (a *App) Take(ctx context.Context, in source.Input) (source.Receipt, error) {
	return a.flow.Take(ctx, in)
}

// Park implements source.Parker.
func (a *App) Park(ctx context.Context, in source.Input, reason string) error {
	return a.flow.Park(ctx, in, reason)
}

// Store is the open store, for the parts that cmd builds on top.
func (a *App) Store() *store.DB { return a.db.DB }

// Socket is where the command line reaches this service; empty on PostgreSQL.
func (a *App) Socket() string {
	if a.db.path == "" {
		return ""
	}
	return api.SocketPath(a.db.path)
}

// StorePath is the SQLite file; empty on PostgreSQL.
func (a *App) StorePath() string { return a.db.path }

// Metrics are the Prometheus metrics.
func (a *App) Metrics() *Metrics { return a.metrics }

// Beat keeps this worker's heartbeat until ctx ends, for a process that delivers
// and does not watch: others must not take its deliveries for lost.
func (a *App) Beat(ctx context.Context) {
	tick := time.NewTicker(a.watch.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := a.watch.beat(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("the heartbeat could not be stored", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Watch runs guardroom's watch over itself until ctx ends.
func (a *App) Watch(ctx context.Context) error { return a.watch.run(ctx) }

// DestinationNames are the configured destinations in order of their names.
func (a *App) DestinationNames() []string { return slices.Sorted(maps.Keys(a.types)) }

// HeadFile is where the audit heads are kept in a file, or empty.
func (a *App) HeadFile() string {
	for _, k := range a.watch.keepers {
		if f, ok := k.(audit.FileKeeper); ok {
			abs, err := filepath.Abs(f.Path)
			if err != nil {
				return f.Path
			}
			return abs
		}
	}
	return ""
}
