package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
)

// restarting answers about a run, except for the calls in between.
func restarting(t *testing.T, from, to int64, answer http.HandlerFunc) (*env, *bytes.Buffer) {
	t.Helper()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		if n >= from && n < to {
			answer(w, r)
			return
		}
		ev := api.RunEvent{Run: respond.RunRow{ID: "run_1", State: respond.RunRunning}, Version: n}
		if n >= to {
			ev.Run.State = respond.RunCompleted
		}
		ev.Progress = respond.ProgressOf(ev.Run, respond.PlanRow{}, nil, nil, time.Now())
		_ = newEncoder(w).Encode(ev)
	}))
	t.Cleanup(server.Close)
	e, out := screen(0)
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.Server, e.TokenFile = server.URL, token
	return e, out
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

func TestWatchingOutlivesARestartOfTheService(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"the connection is cut": hangUp,
		"a proxy answers":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, out := restarting(t, 3, 6, answer)
			if err := e.watch(t.Context(), "run_1"); err != nil || e.failed != 0 {
				t.Fatal(err, e.failed)
			}
			s := out.String()
			if strings.Count(s, "the service does not answer: waiting for it, at most 10 m") != 1 || strings.Count(s, "the service is there") != 1 || !strings.Contains(s, "+ completed    run_1") {
				t.Error(s)
			}
		})
	}
}

func TestWatchingEndsWhereWaitingDoesNotHelp(t *testing.T) {
	t.Parallel()
	e, _ := restarting(t, 1, 9, hangUp)
	if err := e.watch(t.Context(), "run_1"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a service that never answered: %v", err)
	}
	e, _ = restarting(t, 2, 1000, hangUp)
	f := &follower{e: e, run: "run_1", paused: func() {}, pause: time.Millisecond, patience: 50 * time.Millisecond}
	if _, err := f.ask(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	_, err := f.ask(t.Context(), 0)
	if got := fault.Of(err); got.Code != fault.Unavailable || !strings.Contains(got.Message, "did not come back") || got.Hint != "guardroom run watch run_1" {
		t.Errorf("a service that stays away: %+v", got)
	}
	e, _ = restarting(t, 2, 1000, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_ = newEncoder(w).Encode(api.NewFailure(fault.New(fault.Denied, "your token has ended", "")))
	})
	if err := e.watch(t.Context(), "run_1"); fault.CodeOf(err) != fault.Denied {
		t.Errorf("somebody who may not look any more: %v", err)
	}
}
