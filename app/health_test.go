package app

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// A store that reads well and takes nothing more, as on a full disk.
func TestHealthAndDoctorSayThatTheStoreCannotBeWritten(t *testing.T) {
	t.Parallel()
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	var ready atomic.Bool
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.httpHandler(nil, &ready).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
		return w
	}
	if w := get(); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("while all is well: %d %s", w.Code, w.Body)
	}
	other, err := sql.Open("sqlite", a.db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE UPDATE ON audit_head BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"); err != nil {
		t.Fatal(err)
	}
	if w := get(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "cannot be written") {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
	said := false
	for _, c := range of(a.Doctor(t.Context()), "store") {
		said = said || !c.OK && c.What == "writing" && strings.Contains(c.Message, "full") && c.Hint != ""
	}
	if !said {
		t.Errorf("doctor says %+v", of(a.Doctor(t.Context()), "store"))
	}
}

func TestHealthTriesTheStoreOnceInAWhile(t *testing.T) {
	t.Parallel()
	now, tries := time.Now(), 0
	h := &health{now: func() time.Time { return now }, write: func(context.Context) error { tries++; return errors.New("full") }}
	for range 10 {
		if h.check() == nil {
			t.Error("it says that all is well")
		}
	}
	now = now.Add(healthEvery)
	h.write = func(context.Context) error { tries++; return nil }
	if err := h.check(); err != nil || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
