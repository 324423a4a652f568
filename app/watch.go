package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// watcher is how guardroom watches itself: its worker's heartbeat and those of
// the others, silent sources, undelivered incidents, the audit head outside.
type watcher struct {
	store     *store.DB
	engine    *durable.Engine
	runs      *runs
	notices   *notices
	newID     func() string
	keepers   []audit.Keeper
	now       func() time.Time
	log       *slog.Logger
	worker    store.Worker
	lease     time.Duration
	paused    func(ctx context.Context, destination string) (int, error)
	call      time.Duration // the longest that a call to a vendor may take
	headEvery time.Duration

	// Only where other processes may share the store:
	keepName  func(ctx context.Context) (taken bool, err error)
	ended     func(ctx context.Context, run string) (bool, error)
	nameEvery time.Duration

	silentAfter      map[string]time.Duration // source -> how long may it be silent
	undeliveredAfter time.Duration
	heartbeatURL     string
	heartbeatEvery   time.Duration
	client           *http.Client
	retention        func(ctx context.Context) (int, error)

	keeping sync.Mutex
	kept    []int64 // by keeper: the number of the last head that it wrote
}

// run watches until ctx ends, or until this worker cannot go on.
func (w *watcher) run(outer context.Context) error {
	ctx, stop := context.WithCancelCause(outer)
	defer stop(nil)
	clock := &clockWatch{store: w.store, wall: w.now, mono: time.Now, rearm: w.rearm, log: w.log}
	type job struct {
		every time.Duration
		do    func(context.Context) error
		what  string
	}
	jobs := []job{
		{max(w.lease/3, 100*time.Millisecond), w.beat, "store the heartbeat"},
		{max(w.lease/2, time.Second), w.takeOver, "look for lost workers"},
		{w.headEvery, w.keepHead, "write the audit head outside"},
		{max(w.lease/2, time.Second), w.look, "look after sources and deliveries"},
		{5 * time.Second, clock.look, "compare the clocks"},
		{time.Hour, w.tidy, "tidy up"},
	}
	if w.heartbeatURL != "" {
		jobs = append(jobs, job{w.heartbeatEvery, w.callHome, "call the heartbeat's URL"})
	}
	if w.keepName != nil {
		jobs = append(jobs, job{w.nameEvery, func(ctx context.Context) error { return w.keep(ctx, stop) }, "keep the worker's name"},
			job{w.nameEvery, w.earlier, "look for earlier runs of this worker"})
	}
	done := make(chan struct{}, len(jobs))
	for _, j := range jobs {
		go func() {
			defer func() { done <- struct{}{} }()
			tick := time.NewTicker(j.every)
			defer tick.Stop()
			for {
				if err := j.do(ctx); err != nil && ctx.Err() == nil {
					w.log.Warn("guardroom could not look after itself", "what", j.what, "error", err)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	for range jobs {
		<-done
	}
	if outer.Err() == nil {
		return context.Cause(ctx)
	}
	return nil
}

func (w *watcher) beat(ctx context.Context) error { return w.store.Beat(ctx, w.worker) }

func (w *watcher) rearm(ctx context.Context, tx *store.Tx, list []notify.Delivery) error {
	r := raiser{store: w.store, engine: w.engine, newID: w.newID, tx: tx}
	for _, d := range list {
		d.Arm(tx.Now())
		if err := tx.PutDelivery(ctx, d, false); err != nil {
			return err
		}
		if err := r.enqueue(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// keepHead writes the head of the audit chain outside when it moved. A keeper
// that fails holds up no other, and is asked again next time.
func (w *watcher) keepHead(ctx context.Context) error {
	h, err := w.store.AuditHead(ctx)
	if err != nil {
		return err
	}
	w.keeping.Lock()
	defer w.keeping.Unlock()
	if w.kept == nil {
		w.kept = make([]int64, len(w.keepers))
	}
	var errs []error
	for i, k := range w.keepers {
		if w.kept[i] == h.Seq {
			continue
		}
		if err := k.Keep(ctx, h); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k, err))
			continue
		}
		w.kept[i] = h.Seq
	}
	return errors.Join(errs...)
}

// look opens and resolves notices about sources, destinations and workers.
func (w *watcher) look(ctx context.Context) error {
	sources, err := w.store.Sources(ctx)
	if err != nil {
		return err
	}
	// A sender that never came, unlike a queue, is not looked for by anybody:
	// its silence counts from here.
	for name, limit := range w.silentAfter {
		if limit > 0 && !slices.ContainsFunc(sources, func(s store.Source) bool { return s.Name == name }) {
			if err := w.store.Looked(ctx, name, ""); err != nil {
				return err
			}
		}
	}
	for _, s := range sources {
		limit := w.silentAfter[s.Name]
		if limit <= 0 {
			continue
		}
		last := s.LastEvent
		if last.IsZero() {
			last = s.FirstAt
		}
		silent := w.now().Sub(last)
		n := store.Notice{Key: "silent/" + s.Name, Topic: string(message.SilentSource), Subject: s.Name,
			Message: fmt.Sprintf("no event for %s", silent.Round(time.Minute)), Hint: "guardroom doctor"}
		if s.Error != "" {
			n.Message += ": " + s.Error
		}
		if err := w.state(ctx, n, "", silent > limit); err != nil {
			return err
		}
	}
	if err := w.lookDeliveries(ctx); err != nil {
		return err
	}
	return w.lookWorkers(ctx)
}

func (w *watcher) lookDeliveries(ctx context.Context) error {
	behind, err := w.store.OldestBehind(ctx)
	if err != nil {
		return err
	}
	counts, err := w.store.CountDeliveries(ctx)
	if err != nil {
		return err
	}
	pauses, err := w.store.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, name := range w.notices.all {
		// A resume that was cut short, or that a claim did not see.
		if _, is := pauses[name]; !is && counts[name][notify.Paused] > 0 {
			if _, err := w.paused(ctx, name); err != nil {
				return err
			}
		}
		at, is := behind[name]
		late := w.now().Sub(at)
		n := store.Notice{Key: "undelivered/" + name, Topic: string(message.UndeliveredIncident), Subject: name,
			Message: fmt.Sprintf("the oldest waits for %s", late.Round(time.Second)), Safe: "incidents are kept", Hint: "guardroom delivery list --destination " + name}
		if err := w.state(ctx, n, name, w.undeliveredAfter > 0 && is && late > w.undeliveredAfter); err != nil {
			return err
		}
		// Notices about parked deliveries are opened where they park; they end
		// here, when none is left.
		if counts[name][notify.Parked]+counts[name][notify.Unknown] == 0 {
			if err := w.state(ctx, store.Notice{Key: "parked/" + name}, name, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// state opens or resolves a notice according to what is the case.
func (w *watcher) state(ctx context.Context, n store.Notice, about string, is bool) error {
	open, err := w.store.NoticeIsOpen(ctx, n.Key)
	if err != nil || open == is {
		return err
	}
	if !is {
		return w.notices.resolve(ctx, n.Key)
	}
	return w.store.Write(ctx, func(tx *store.Tx) error { return w.notices.open(ctx, tx, n, about) })
}

func (w *watcher) tidy(ctx context.Context) error {
	for {
		n, err := w.engine.Prune(time.Hour)
		if err != nil {
			return err
		}
		if n == 0 || ctx.Err() != nil {
			break
		}
	}
	n, err := w.retention(ctx)
	if err == nil && n > 0 {
		w.log.Info("removed what is older than the retention", "count", n)
	}
	return err
}

// callHome tells a watchdog outside that this process lives and its store
// answers.
func (w *watcher) callHome(ctx context.Context) error {
	if _, err := w.store.AuditHead(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.heartbeatURL, nil)
	if err != nil {
		return redact(err, w.heartbeatURL)
	}
	res, err := w.client.Do(req)
	if err != nil {
		return redact(err, w.heartbeatURL)
	}
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the heartbeat's URL answered %s", res.Status)
	}
	return nil
}

// redact takes a secret out of an error's text.
func redact(err error, secret string) error {
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), secret, "***"))
}
