package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

func newBody(s string) io.Reader { return strings.NewReader(s) }

func TestWhatStepsKeepForThemselvesIsNotShown(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/v1/runs/run_1", "/v1/runs/run_1/events", "/v1/plans/pln_1", "/v1/plans"} {
		if w := ask(t, &service{}, ana, http.MethodGet, target, ""); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "user data") || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body.String())
		}
	}
}

func TestEventsWaitForANewVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query string
		still       int
		version     int64
		steps       int
	}{
		{"what is new already is told at once", "since=4&wait=4", 0, 5, 1},
		{"what comes meanwhile is told", "since=4&wait=4", 2, 5, 1},
		{"without a wait there is one look", "since=4", 2, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, &service{still: c.still}, ana, http.MethodGet, "/v1/runs/run_1/events?"+c.query, "")
			var e api.RunEvent
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Version != c.version || len(e.Steps) != c.steps || e.Run.ID != "run_1" {
				t.Errorf("%v %s", err, w.Body.String())
			}
		})
	}
}

func TestAnExportThatBreaksOffDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	s := &service{export: func(w io.Writer) error {
		_, err := io.WriteString(w, "the first half")
		return errors.Join(err, errors.New("the bucket is gone"))
	}}
	var l log
	h := api.Handler(s, logger(&l))
	server := httptest.NewServer(api.Entrance{Shared: "t"}.Guard(h))
	t.Cleanup(server.Close)
	overHTTP, err := api.OverHTTPS(server.URL, "t")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*api.Client{"in process": api.InProcess(h, ana), "over the network": overHTTP} {
		body, err := c.Stream(t.Context(), http.MethodPost, "/v1/incidents/7/evidence/export", nil)
		if err != nil {
			continue // it broke before the first byte came over
		}
		b, err := io.ReadAll(body)
		if err == nil {
			t.Errorf("%s: %q came, and no error", name, b)
		}
		_ = body.Close()
	}
	if !strings.Contains(l.String(), "the bucket is gone") {
		t.Errorf("the log does not say why: %s", l.String())
	}
}

func TestAnExportThatHasNothingSaysSo(t *testing.T) {
	t.Parallel()
	s := &service{export: func(io.Writer) error { return nil }}
	w := ask(t, s, ana, http.MethodPost, "/v1/incidents/7/evidence/export", "")
	if f := failureOf(t, w); w.Code != http.StatusNotFound || f.Error.Code != fault.NotFound {
		t.Errorf("%d %+v", w.Code, f)
	}
	w = ask(t, &service{}, ana, http.MethodPost, "/v1/incidents/7/evidence/export", "")
	if w.Header().Get("Content-Type") != "application/x-tar" || w.Body.String() != "the archive" {
		t.Errorf("%v %q", w.Header(), w.Body.String())
	}
}
