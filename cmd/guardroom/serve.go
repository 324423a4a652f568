package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/term"

	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
)

// ServeCmd runs the service.
type ServeCmd struct{}

// Help says what it needs.
func (ServeCmd) Help() string {
	return "Takes findings from the configured sources, delivers, watches over itself and answers the command line\nbeside the store. Ctrl-C or SIGTERM stop it in order: intake first, then deliveries; nothing is lost."
}

// logger is the configured log, on stderr.
func (e *env) logger(cfg *config.Config) *slog.Logger {
	f, ok := e.stderr.(*os.File)
	return app.Logger(cfg.Log, e.stderr, ok && term.IsTerminal(int(f.Fd()))) //nolint:gosec // a descriptor
}

// build builds the program.
func (e *env) build(ctx context.Context, cfg *config.Config, opts app.Options) (*app.App, error) {
	opts.Version, opts.Log = version, e.logger(cfg)
	return app.New(ctx, cfg, opts)
}

// Run serves until it is told to stop.
func (c *ServeCmd) Run(ctx context.Context, e *env) (err error) {
	started := time.Now()
	if os.Getenv("GOGC") == "" {
		// The service waits most of its time: it rather collects garbage twice as
		// often than holds the room of its busiest second (docs/reference/performance.md).
		debug.SetGCPercent(50)
	}
	cfg, err := e.load(ctx, allSecrets)
	if err != nil {
		return err
	}
	log := e.logger(cfg)
	for _, w := range cfg.Warnings(e.now()) {
		log.Warn("the configuration has a weak spot", "path", w.Path, "problem", w.Message, "hint", w.Hint)
	}
	a, err := e.build(ctx, cfg, app.Options{Mode: app.ModeServe, Wait: heldFor})
	if err != nil {
		return err
	}
	defer func() {
		log.Info("stopping: what is under way is finished or handed back")
		err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
		log.Info("stopped")
	}()
	in, err := a.Entrances(ctx)
	if err != nil {
		return err
	}
	in.Ready = func(address string) {
		log.Info("ready", "version", version, "store", a.Store().Place(), "listen", address, "socket", a.Socket(), "sources", len(in.Sources),
			"destinations", len(cfg.Destinations), "delivery", a.DeliveryMode(), "startup_ms", time.Since(started).Milliseconds())
		go debug.FreeOSMemory() // what the start alone needed
	}
	return a.Serve(ctx, in)
}

// LambdaCmd runs as a Lambda function.
type LambdaCmd struct{}

// Help says when it is chosen.
func (LambdaCmd) Help() string {
	return "Chosen by itself where AWS_LAMBDA_RUNTIME_API is set. Takes EventBridge events, SQS batches and SNS.\nWith a PostgreSQL store it accepts and a guardroom serve delivers; without, it delivers within the\ninvocation and a vendor's error fails the record, so that the source repeats it."
}

// Run handles invocations until the runtime ends.
func (c *LambdaCmd) Run(ctx context.Context, e *env) (err error) {
	cfg, err := e.load(ctx, allSecrets)
	if err != nil {
		return err
	}
	if e.StoreAddr == "" && cfg.Store.Reveal() == config.Default().Store.Reveal() {
		// Only the temporary folder can be written there.
		cfg.Store = config.NewSecret("sqlite:" + filepath.Join(os.TempDir(), "guardroom.db"))
	}
	a, err := e.build(ctx, cfg, app.Options{Mode: app.ModeLambda})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	e.logger(cfg).Info("ready", "version", version, "store", a.Store().Place(), "delivery", a.DeliveryMode())
	return a.Lambda(ctx)
}
