package fakepagerduty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newServer(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// call sends body as JSON and returns the status and what came of the answer.
func call(t *testing.T, s *Server, method, path, body string, header ...string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

func trigger(change ...func(map[string]any)) string {
	p := map[string]any{"summary": "s", "source": "a", "severity": "error"}
	e := map[string]any{"routing_key": DefaultRoutingKey, "event_action": "trigger", "dedup_key": "k", "payload": p}
	for _, c := range change {
		c(e)
	}
	raw, _ := json.Marshal(e)
	return string(raw)
}

func payloadOf(e map[string]any) map[string]any { return e["payload"].(map[string]any) }

func TestEventsThatTheVendorRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		body   string
		status int
		says   string
	}{
		{"a good one", trigger(), 202, "success"},
		{"severity in capitals", trigger(func(e map[string]any) { payloadOf(e)["severity"] = "HIGH" }), 400, "payload.severity"},
		{"no source", trigger(func(e map[string]any) { delete(payloadOf(e), "source") }), 400, "payload.source"},
		{"no summary", trigger(func(e map[string]any) { payloadOf(e)["summary"] = "" }), 400, "payload.summary"},
		{"a summary of 1,024 characters", trigger(func(e map[string]any) { payloadOf(e)["summary"] = strings.Repeat("ü", 1024) }), 202, ""},
		{"a summary of 1,025", trigger(func(e map[string]any) { payloadOf(e)["summary"] = strings.Repeat("x", 1025) }), 400, "1024"},
		{"a dedup key of 256", trigger(func(e map[string]any) { e["dedup_key"] = strings.Repeat("x", 256) }), 400, "255"},
		{"no payload", trigger(func(e map[string]any) { delete(e, "payload") }), 400, "payload"},
		{"a short routing key", trigger(func(e map[string]any) { e["routing_key"] = "short" }), 400, "32"},
		{"an unknown routing key", trigger(func(e map[string]any) { e["routing_key"] = strings.Repeat("z", 32) }), 400, "Invalid routing key"},
		{"an unknown action", trigger(func(e map[string]any) { e["event_action"] = "open" }), 400, "event_action"},
		{"a time that is none", trigger(func(e map[string]any) { payloadOf(e)["timestamp"] = "yesterday" }), 400, "timestamp"},
		{"acknowledge without a key", `{"routing_key":"` + DefaultRoutingKey + `","event_action":"acknowledge"}`, 400, "dedup_key"},
		{"no JSON", `{`, 400, "JSON"},
		{"more than 512 KB", trigger(func(e map[string]any) { e["x"] = strings.Repeat("x", maxEvent) }), 413, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Options{})
			status, body, err := call(t, s, "POST", "/v2/enqueue", tt.body)
			if err != nil || status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%d %s, %v; want %d that says %q", status, body, err, tt.status, tt.says)
			}
			if got := len(s.Violations()) > 0; got != (tt.status >= 400) {
				t.Errorf("violations %q", s.Violations())
			}
		})
	}
}

func TestMeaningOfTheActions(t *testing.T) {
	t.Parallel()
	second := strings.Repeat("b", 32)
	s := newServer(t, Options{RoutingKeys: []string{DefaultRoutingKey, second}})
	for i, tt := range []struct{ key, action, effect string }{
		{DefaultRoutingKey, "resolve", "dropped: nothing open"},
		{DefaultRoutingKey, "trigger", "triggered"},
		{second, "acknowledge", "dropped: nothing open"},
		{DefaultRoutingKey, "trigger", "deduplicated"},
		{DefaultRoutingKey, "acknowledge", "acknowledged"},
		{DefaultRoutingKey, "trigger", "deduplicated"},
		{DefaultRoutingKey, "resolve", "resolved"},
		{DefaultRoutingKey, "acknowledge", "dropped: nothing open"},
		{DefaultRoutingKey, "trigger", "triggered"},
	} {
		status, _, err := call(t, s, "POST", "/v2/enqueue", trigger(func(e map[string]any) { e["routing_key"], e["event_action"] = tt.key, tt.action }))
		if err != nil || status != 202 {
			t.Fatalf("event %d: %d, %v", i, status, err)
		}
		if got := s.Transcript()[i].Effect; got != tt.effect {
			t.Errorf("event %d, %s: %q, want %q", i, tt.action, got, tt.effect)
		}
	}
	if a := s.Alerts(); len(a) != 2 || a[0].Status != Resolved || a[0].Silent != 1 || a[0].Triggers != 3 || a[1].Status != Triggered {
		t.Errorf("alerts %+v", a)
	}
}

func TestFaultsComeBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	for fault, want := range map[Fault]struct {
		status  int
		effects int
		fails   bool
	}{
		NoFault: {202, 1, false}, RateLimited: {429, 0, false}, ServerError: {500, 0, false}, ServerErrorAfter: {502, 1, false},
		ResetBefore: {0, 0, true}, ResetAfter: {0, 1, true}, HalfResponse: {202, 1, true},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Options{})
			s.Fail(fault)
			status, _, err := call(t, s, "POST", "/v2/enqueue", trigger())
			if status != want.status || (err != nil) != want.fails || len(s.Alerts()) != want.effects {
				t.Errorf("%d, %v, %d alerts; want %+v", status, err, len(s.Alerts()), want)
			}
		})
	}
}

func TestRandomFaultsRepeatBySeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) []Fault {
		f := newFaultSource(Faults{Seed: seed, Rate: 0.5})
		var out []Fault
		for range 50 {
			out = append(out, f.next("POST"))
		}
		return out
	}
	if diff := cmp.Diff(run(7), run(7)); diff != "" {
		t.Errorf("the same seed gives other faults:\n%s", diff)
	}
	if cmp.Equal(run(7), run(8)) {
		t.Error("other seeds give the same faults")
	}
}

func TestTheRateOfEvents(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	s := newServer(t, Options{EventsPerMinute: 2, Now: func() time.Time { return now }})
	var got []int
	for i := range 4 {
		if i == 3 {
			now = now.Add(time.Minute)
		}
		status, _, err := call(t, s, "POST", "/v2/enqueue", trigger())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{202, 202, 429, 202}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if len(s.Violations()) != 1 {
		t.Errorf("violations %q", s.Violations())
	}
}

func TestRESTCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	auth := []string{"Authorization", "Token token=" + DefaultToken}
	from := append([]string{"From", DefaultUser}, auth...)
	create := func(extra string) string {
		return fmt.Sprintf(`{"incident":{"type":"incident","title":"t","service":{"id":%q,"type":"service_reference"}%s}}`, DefaultService, extra)
	}
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"no token", "GET", "/priorities", "", nil, 401},
		{"a write without From", "POST", "/incidents", create(""), auth, 400},
		{"no title", "POST", "/incidents", `{"incident":{"type":"incident"}}`, from, 400},
		{"an unknown priority", "POST", "/incidents", create(`,"priority":{"id":"X","type":"priority_reference"}`), from, 400},
		{"details that are no text", "POST", "/incidents", create(`,"body":{"type":"incident_body","details":{"a":1}}`), from, 400},
		{"a creation", "POST", "/incidents", create(`,"incident_key":"k"`), from, 201},
		{"a second open one with that key", "POST", "/incidents", create(`,"incident_key":"k"`), from, 400},
		{"the list by key", "GET", "/incidents?incident_key=k&statuses[]=triggered", "", auth, 200},
		{"one", "GET", "/incidents/Q0000001", "", auth, 200},
		{"one that is not there", "GET", "/incidents/Q9", "", auth, 404},
		{"a note without words", "POST", "/incidents/Q0000001/notes", `{"note":{"content":" "}}`, from, 400},
		{"a note", "POST", "/incidents/Q0000001/notes", `{"note":{"content":"n"}}`, from, 201},
		{"an unknown status", "PUT", "/incidents/Q0000001", `{"incident":{"type":"incident","status":"closed"}}`, from, 400},
		{"a resolve", "PUT", "/incidents/Q0000001", `{"incident":{"type":"incident","status":"resolved"}}`, from, 200},
		{"a change after it", "PUT", "/incidents/Q0000001", `{"incident":{"type":"incident","status":"acknowledged"}}`, from, 400},
		{"the key is free again", "POST", "/incidents", create(`,"incident_key":"k"`), from, 201},
		{"a service", "GET", "/services/" + DefaultService, "", auth, 200},
		{"users", "GET", "/users?query=oncall", "", auth, 200},
		{"another path", "GET", "/teams", "", auth, 404},
	} { // in order: each begins where the one before ended
		status, body, err := call(t, s, tt.method, tt.path, tt.body, tt.header...)
		if err != nil || status != tt.status {
			t.Errorf("%s: %d %s, %v; want %d", tt.name, status, body, err, tt.status)
		}
	}
	if got := s.Incidents(); len(got) != 2 || len(got[0].Notes) != 1 || got[0].Status != Resolved {
		t.Errorf("incidents %+v", got)
	}
}
