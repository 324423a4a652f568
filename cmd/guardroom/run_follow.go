package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// follower asks how a run stands, again and again, also while the service is away.
// It never keeps a store open that a service may want.
type follower struct {
	e      *env
	run    respond.RunID
	paused func() // called before it says something
	pause  time.Duration
	// patience is how long the service may be away.
	patience time.Duration

	client *client
	answer bool // it answered once: the run is there, and we may see it
	away   time.Time
}

// waitSeconds is how long one question about a run may wait for its answer.
const waitSeconds = "4"

// longestAnswer is how long an answer may take before it counts as lost.
const longestAnswer = 30 * time.Second

// ask blocks until something happened after a version, or a few seconds are over.
// An error that may pass is waited for, once there was an answer.
func (f *follower) ask(ctx context.Context, version int64) (ev api.RunEvent, err error) {
	for {
		ev, err = f.try(ctx, version)
		switch {
		case ctx.Err() != nil:
			return ev, ctx.Err()
		case err == nil:
			if !f.away.IsZero() {
				f.say("the service is there")
			}
			f.answer, f.away = true, time.Time{}
			return ev, nil
		case !f.answer || !mayPass(err):
			return ev, err
		}
		f.close()
		if f.away.IsZero() {
			f.away = time.Now()
			f.say("the service does not answer: waiting for it, at most %s; Ctrl-C ends the watching only", respond.Length(f.patience))
		}
		if time.Since(f.away) > f.patience {
			return ev, fault.Wrap(fault.Unavailable, err, "the service did not come back within "+respond.Length(f.patience),
				"what the run has done is kept; it goes on when the service does", "guardroom run watch "+string(f.run))
		}
		select {
		case <-time.After(f.pause):
		case <-ctx.Done():
			return ev, ctx.Err()
		}
	}
}

func (f *follower) try(ctx context.Context, version int64) (ev api.RunEvent, err error) {
	if f.client == nil {
		if f.client, err = f.connect(ctx); err != nil {
			return ev, err
		}
	}
	wait := waitSeconds
	if f.holds() {
		wait = "0"
		defer f.close()
	}
	one, cancel := context.WithTimeout(ctx, longestAnswer)
	defer cancel()
	return ev, f.client.Do(one, "GET", runPath(string(f.run))+"/events", query("since", strconv.FormatInt(version, 10), "wait", wait), nil, &ev)
}

// connect speaks to the service. Where none runs beside a SQLite file that is
// opened for the first answer alone.
func (f *follower) connect(ctx context.Context) (*client, error) {
	if !f.answer || f.e.Server != "" {
		return f.e.connect(ctx, opening{mode: app.ModeCommand})
	}
	cfg, err := f.e.load(ctx, storeSecrets)
	if err != nil {
		return nil, err
	}
	kind, where, err := app.StoreKind(cfg.Store.Reveal())
	if err != nil {
		return nil, err
	}
	if kind != store.SQLite {
		return f.e.connect(ctx, opening{mode: app.ModeCommand})
	}
	if cl := overSocket(ctx, where); cl != nil {
		return &client{Client: cl, close: func() error { return nil }}, nil
	}
	return nil, fault.New(fault.Unavailable, "no service runs here", "guardroom serve")
}

// holds reports whether this process has the store that a service needs.
func (f *follower) holds() bool {
	return f.client.app != nil && f.client.app.Store().Dialect() == store.SQLite
}

func (f *follower) close() {
	if f.client != nil {
		_ = f.client.close()
		f.client = nil
	}
}

func (f *follower) say(format string, args ...any) {
	if f.e.JSON {
		return
	}
	f.paused()
	f.e.say("%s", fmt.Sprintf(format, args...))
}

// mayPass reports whether an error is one of a service that restarts, and none
// about who asks for what.
func mayPass(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Usage, fault.NotFound, fault.Denied, fault.Corrupt:
		return false
	}
	return true
}
