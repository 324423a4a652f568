package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

func TestWhatIsAskedWronglyIsRefusedInWordsOfTheAPI(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 10_001)
	for _, c := range []struct {
		name, method, target, body string
		status                     int
		want, allow                string
	}{
		{"a method that a path does not have", "DELETE", "/v1/incidents/7", "", 405, "DELETE is no method of this path", "GET"},
		{"a command by GET", "GET", "/v1/import", "", 405, "GET is no method of this path", "POST"},
		{"a path of both", "PUT", "/v1/plans", "", 405, "PUT is no method of this path", "GET, POST"},
		{"a path that is not there", "GET", "/v1/nothing", "", 404, "there is no such call", ""},
		{"a text for a number", "POST", "/v1/plans", `{"incident":7,"dry_run":"yes"}`, 400, "dry_run is a string and not true or false", ""},
		{"a number for a text", "POST", "/v1/plans", `{"incident":7,"playbook":3}`, 400, "playbook is a number and not a string", ""},
		{"no incident number", "POST", "/v1/plans", `{"incident":true}`, 400, "true is not an incident number", ""},
		{"a body that is too large", "POST", "/v1/plans", `{"playbook":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "larger than 1048576 bytes", ""},
		{"a limit below zero", "GET", "/v1/plans?limit=-1", "", 400, "limit=-1 is below zero", ""},
		{"a record below zero", "GET", "/v1/audit?after=-5", "", 400, "after=-5 is below zero", ""},
		{"a wait below zero", "GET", "/v1/runs/run_1/events?wait=-5", "", 400, "wait=-5 is below zero", ""},
		{"a note that nobody would read", "POST", "/v1/incidents/7/note", `{"text":"` + long + `"}`, 400, "the text has 10001 characters, and may have 10000", ""},
		{"a reason that nobody would read", "POST", "/v1/runs/run_1/abort", `{"reason":"` + long + `"}`, 400, "the text has 10001 characters", ""},
		{"a reason of an approval", "POST", "/v1/plans/pln_1/approve", `{"digest":"7b3e91c4","reason":"` + long + `"}`, 400, "the text has 10001 characters", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &service{}
			w := ask(t, s, api.Self(), c.method, c.target, c.body)
			if f := failureOf(t, w); w.Code != c.status || !strings.Contains(f.Error.Message, c.want) || strings.Contains(f.Error.Message, "Go ") || w.Header().Get("Allow") != c.allow {
				t.Errorf("%d %q, Allow %q", w.Code, f.Error.Message, w.Header().Get("Allow"))
			}
			if len(s.told) > 0 {
				t.Errorf("it did %v", s.told)
			}
		})
	}
}

func TestAnIncidentIsNamedAsPeopleSayItInABodyToo(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"incident":"INC-7"}`, `{"incident":"7"}`, `{"incident":7}`} {
		if w := ask(t, &service{}, api.Self(), http.MethodPost, "/v1/plans", body); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", body, w.Code, w.Body.String())
		}
	}
}

func TestAPlanWhoseBytesWereChangedIsNotShown(t *testing.T) {
	t.Parallel()
	s := &service{tampered: true}
	w := ask(t, s, api.Self(), http.MethodGet, "/v1/plans/pln_1", "")
	if f := failureOf(t, w); w.Code != http.StatusUnprocessableEntity || f.Error.Code != fault.Corrupt || !strings.Contains(f.Error.Message, "pln_1 have the digest") || f.Error.Hint == "" {
		t.Errorf("%d %s", w.Code, w.Body.String())
	}
}

// What reads evidence again takes as long as it takes: the deadlines of ordinary
// answers must not end it, nor make it believe that the asker has gone.
func TestEvidenceIsReadForLongerThanAnOrdinaryAnswerMayTake(t *testing.T) {
	t.Parallel()
	const deadline = time.Second
	long := func(ctx context.Context) error {
		select {
		case <-time.After(3 * deadline):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s := &service{slow: long, export: func(w io.Writer) error {
		_, err := io.WriteString(w, "archive")
		return err
	}}
	var l log
	server := httptest.NewUnstartedServer(api.Entrance{Shared: "t"}.Guard(api.Handler(s, logger(&l))))
	server.Config.WriteTimeout, server.Config.ReadTimeout = deadline, deadline
	server.Start()
	t.Cleanup(server.Close)
	for path, want := range map[string]string{"/v1/incidents/7/evidence/verify": `"items"`, "/v1/incidents/7/evidence/export": "archive", "/v1/audit/verify": `"records":9`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "bearer t")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %q %v", path, res.StatusCode, body, err)
		}
	}
}

func TestAReceiptHasNoGapsInJSON(t *testing.T) {
	t.Parallel()
	var got map[string]any
	w := ask(t, &service{}, api.Self(), http.MethodPost, "/v1/import", "{}")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got["reasons"] == nil || got["references"] == nil || got["accepted"] != 2.0 {
		t.Errorf("%v %s", err, w.Body.String())
	}
}
