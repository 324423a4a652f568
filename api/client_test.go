package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

// The tests of this file run one after the other, so that what is left over
// is theirs.

// leavesNothing returns what wants every goroutine ended that began since. On a
// busy machine that takes a moment.
func leavesNothing(t *testing.T) func() {
	t.Helper()
	old := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		for until := time.Now().Add(time.Minute); ; {
			err := goleak.Find(old)
			if err == nil {
				return
			}
			if time.Now().After(until) {
				t.Error(err)
				return
			}
		}
	}
}

func TestStreamArrivesLineByLineAndEndsWhenNobodyReadsOn(t *testing.T) { //nolint:paralleltest // counts goroutines
	defer leavesNothing(t)()
	s := &service{records: 1 << 30}
	n := 0
	err := inProcess(t, s).Lines(t.Context(), "/v1/audit", url.Values{"after": {"5"}}, func(line []byte) bool {
		if n++; n == 1 && !bytes.HasPrefix(line, []byte(`{"seq":6,`)) {
			t.Errorf("the first line is %s", line)
		}
		return n < 3
	})
	if err != nil || n != 3 {
		t.Errorf("%d lines, %v", n, err)
	}
	// Lines has returned: the handler has ended, and what it did is there to read.
	if s.stopped == 0 || s.ended.Err() == nil {
		t.Errorf("the store was read for %d records, and its context is %v", s.stopped, s.ended.Err())
	}
}

func TestStreamEndsWithItsContext(t *testing.T) { //nolint:paralleltest // counts goroutines
	defer leavesNothing(t)()
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{records: 1 << 30}
	// The third record is read when the caller has given up.
	held := 0
	s.hold = func() {
		if held++; held == 3 {
			cancel()
		}
	}
	err := inProcess(t, s).Lines(ctx, "/v1/audit", nil, func([]byte) bool { return true })
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) || s.stopped > 3 {
		t.Errorf("%d records, %v", s.stopped, err)
	}
}

func TestCallThatIsCancelledReturnsWhenItsHandlerHasEnded(t *testing.T) { //nolint:paralleltest // counts goroutines
	defer leavesNothing(t)()
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		ended = true
	})
	// The handler's answer and the end of the context are there at once; either may come back.
	if err := api.InProcess(h, ana).Do(ctx, http.MethodGet, "/v1/status", nil, nil, nil); err != nil && !errors.Is(err, context.Canceled) || !ended {
		t.Errorf("%v, ended %v", err, ended)
	}
}

func TestAnswerThatNobodyReadsEndsToo(t *testing.T) { //nolint:paralleltest // counts goroutines
	defer leavesNothing(t)()
	c := inProcess(t, &service{records: 3})
	for range 10 {
		if err := c.Do(t.Context(), http.MethodGet, "/v1/audit", nil, nil, nil); err != nil {
			t.Error(err)
		}
		var one struct{ Seq int64 }
		if err := c.Do(t.Context(), http.MethodGet, "/v1/audit", nil, nil, &one); err != nil || one.Seq != 1 {
			t.Errorf("%+v, %v", one, err)
		}
	}
}

func TestClientsOfEveryTransportSayTheSame(t *testing.T) {
	t.Parallel()
	s := &service{records: 2}
	h := api.Handler(s, logger(&log{}))
	server := httptest.NewServer(api.Entrance{Shared: "t"}.Guard(h))
	t.Cleanup(server.Close)
	overHTTP, err := api.OverHTTPS(server.URL+"/", "t")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*api.Client{"in process": inProcess(t, s), "over the network": overHTTP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var status api.Status
			if err := c.Do(t.Context(), http.MethodGet, "/v1/status", nil, nil, &status); err != nil || status.Version != "1.2.3" || status.AuditHead.Seq != 100 {
				t.Errorf("%+v, %v", status, err)
			}
			if raw, err := c.Raw(t.Context(), http.MethodGet, "/v1/findings/f/raw", nil, nil); err != nil || string(raw) != `{"id":"f"}` {
				t.Errorf("%s, %v", raw, err)
			}
			if raw, err := c.Raw(t.Context(), http.MethodPost, "/v1/import", url.Values{"position": {"a b&c"}}, strings.NewReader("{}")); err != nil || !bytes.Contains(raw, []byte("INC-7")) {
				t.Errorf("%s, %v", raw, err)
			}
			n := 0
			if err := c.Lines(t.Context(), "/v1/audit", nil, func([]byte) bool { n++; return true }); err != nil || n != 2 {
				t.Errorf("%d lines, %v", n, err)
			}
			err := c.Do(t.Context(), http.MethodPost, "/v1/incidents/7/close", nil, api.IncidentCommand{Verdict: "maybe"}, nil)
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), `"maybe" is not a verdict`) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTokenCrossesNoNetworkInTheClear(t *testing.T) {
	t.Parallel()
	for server, ok := range map[string]bool{
		"https://guardroom.example.com": true, "https://guardroom.example.com:8443/base/": true, "http://localhost:8080": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true,
		"http://guardroom.example.com": false, "http://10.0.0.1": false, "http://localhost.example.com": false, "guardroom.example.com": false, "": false, "ftp://localhost": false, "https://": false,
	} {
		if _, err := api.OverHTTPS(server, "t"); (err == nil) != ok {
			t.Errorf("%q: %v", server, err)
		} else if err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q is no wrong usage: %v", server, err)
		}
	}
}

func TestAnswersOfStrangersAreErrorsThatSaySo(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed with the header %q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, c := range []struct {
		name, says string
		answer     func(w http.ResponseWriter, r *http.Request)
	}{
		{"a page", "answered 502 and no reason", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>bad gateway</html>")
		}},
		{"JSON of another kind", "answered 404 and no reason", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"reason":"x"}}`)
		}},
		{"a redirect", "answered 302 and no reason", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }},
		{"a page with status 200", "read the answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>") }},
		{"half an answer", "read the answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"version":"1`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(c.answer))
			t.Cleanup(server.Close)
			client, err := api.OverHTTPS(server.URL, "t")
			if err != nil {
				t.Fatal(err)
			}
			var status api.Status
			if err := client.Do(t.Context(), http.MethodGet, "/v1/status", nil, nil, &status); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestHalfAStreamIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{\"seq\":1}\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	client, err := api.OverHTTPS(server.URL, "t")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := client.Lines(t.Context(), "/v1/audit", nil, func([]byte) bool { n++; return true }); err == nil || n != 1 {
		t.Errorf("%d lines and no error: an audit that was cut off would look whole", n)
	}
}

func TestServiceThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	overHTTP, err := api.OverHTTPS(server.URL, "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*api.Client{overHTTP, api.OverSocket(t.TempDir() + "/nobody.sock")} {
		if err := c.Do(t.Context(), http.MethodGet, "/v1/status", nil, nil, nil); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", c.Where, err)
		}
	}
}
