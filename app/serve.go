package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// Entrances are the ways into a running service that its caller built.
type Entrances struct {
	Sources []source.Source
	// Intake is the handler of POST /v1/findings; nil: there is none.
	Intake http.Handler
	// Ready is called once, when everything runs; address is where HTTP is
	// served, empty if it is not.
	Ready func(address string)
}

// Serve runs the service until ctx ends: deliveries, the watch over itself, the
// API, the sources. It stops them in the opposite order, so that nothing comes
// in that would not be worked on, and returns when all have ended.
func (a *App) Serve(ctx context.Context, in Entrances) error {
	if err := a.Deliver(ctx); err != nil {
		return err
	}
	listener, err := a.listenHTTP()
	if err != nil {
		return err
	}
	// The inner parts outlive the entrances.
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	inside, innerCtx := errgroup.WithContext(inner)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	inside.Go(func() error {
		defer stop() // a worker that cannot go on takes nothing in any more
		return a.watch.run(innerCtx)
	})
	inside.Go(func() error { return a.archive.Run(innerCtx) })
	inside.Go(func() error { a.respond(innerCtx); return nil })

	outside, outerCtx := errgroup.WithContext(ctx)
	var ready atomic.Bool
	address := ""
	if listener != nil {
		address = listener.Addr().String()
		outside.Go(func() error { return a.serveHTTP(outerCtx, listener, in.Intake, &ready) })
	}
	if a.db.Dialect() == store.SQLite {
		socket, err := api.ListenSocket(api.SocketPath(a.db.path))
		if err != nil {
			return err
		}
		outside.Go(func() error { return api.ServeSocket(outerCtx, socket, api.Handler(a, a.log)) })
	}
	for _, s := range in.Sources {
		outside.Go(func() error {
			if err := s.Run(outerCtx); err != nil && outerCtx.Err() == nil {
				return fmt.Errorf("source %s: %w", s.Name(), err)
			}
			return nil
		})
	}
	ready.Store(true)
	if in.Ready != nil {
		in.Ready(address)
	}
	err = outside.Wait()
	ready.Store(false)
	stopInner()
	return errors.Join(err, inside.Wait())
}

func (a *App) listenHTTP() (net.Listener, error) {
	address := a.cfg.Listen.Address
	if address == "" {
		return nil, nil
	}
	if cert, key := a.cfg.Listen.TLSCert, a.cfg.Listen.TLSKey; cert != "" {
		// Before anything says that it is ready.
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fault.Wrap(fault.Usage, err, "read listen.tls_cert and listen.tls_key", "nothing was started", "they name PEM files that belong together, which this user may read")
		}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "listen at "+address, "nothing was started", "choose another listen.address, or stop what uses it")
	}
	return l, nil
}

func (a *App) serveHTTP(ctx context.Context, l net.Listener, intake http.Handler, ready *atomic.Bool) error {
	server := &http.Server{Handler: a.httpHandler(intake, ready), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute,
		WriteTimeout: 3 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	return api.Serve(ctx, server, grace, func() error {
		if cert := a.cfg.Listen.TLSCert; cert != "" {
			return server.ServeTLS(l, cert, a.cfg.Listen.TLSKey)
		}
		return server.Serve(l)
	})
}

// httpHandler is what the service shows to the network. Metrics and health say
// nothing about findings; the intake proves its senders by itself; the API answers
// nobody without a token.
func (a *App) httpHandler(intake http.Handler, ready *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.Handle("GET /healthz", &health{write: a.db.TryWrite, now: time.Now})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if _, err := a.db.AuditHead(ctx); err != nil || !ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	h := a.apiHandler()
	if intake != nil {
		mux.Handle("/v1/findings", onlyPost(intake, h))
	}
	mux.Handle("/v1/", h)
	return mux
}

func (a *App) apiHandler() http.Handler {
	used := func(ctx context.Context, name string) error {
		return a.db.Write(ctx, func(tx *store.Tx) error { return tx.UseToken(ctx, name) })
	}
	e := api.Entrance{Shared: a.cfg.Listen.APIToken.Reveal(), ByHash: a.db.TokenByHash, All: a.db.Tokens, Used: used, Now: a.now, Log: a.log}
	return e.Guard(api.Handler(a, a.log))
}

// onlyPost shares a path between the intake (POST) and the API (the rest).
func onlyPost(intake, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			rest.ServeHTTP(w, r)
			return
		}
		intake.ServeHTTP(w, r)
	})
}
