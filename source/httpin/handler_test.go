package httpin_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/httpin"
	"github.com/guardroom/guardroom/source/sourcetest"
)

const bearer = "correct horse battery staple"

func handler(in *sourcetest.Intake, change func(*config.HTTPSource, *httpin.Deps)) *httpin.Handler {
	cfg := config.HTTPSource{BearerToken: config.NewSecret(bearer), APIKey: config.NewSecret("the-key"), APIKeyHeader: "X-Guardroom-Key"}
	var deps httpin.Deps
	if change != nil {
		change(&cfg, &deps)
	}
	return httpin.New(cfg, in, deps)
}

func auth(more ...string) []string {
	return append([]string{"Authorization", "Bearer " + bearer}, more...)
}

func pack(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestSendersProveThemselvesByTokenOrKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"the bearer token", []string{"Authorization", "Bearer " + bearer}, 202},
		{"the bearer token in another spelling of the scheme", []string{"Authorization", "bearer " + bearer}, 202},
		{"the key of an API destination", []string{"X-Guardroom-Key", "the-key"}, 202},
		{"nothing", nil, 401},
		{"another token", []string{"Authorization", "Bearer wrong"}, 401},
		{"an empty token", []string{"Authorization", "Bearer "}, 401},
		{"the token as basic", []string{"Authorization", "Basic " + bearer}, 401},
		{"the token as key", []string{"X-Guardroom-Key", bearer}, 401},
		{"the key as token", []string{"Authorization", "Bearer the-key"}, 401},
		{"the key in another header", []string{"X-Api-Key", "the-key"}, 401},
		{"an SNS message where no topic is configured", []string{"X-Amz-Sns-Message-Type", "Notification"}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var in sourcetest.Intake
			w := post(handler(&in, nil), sourcetest.Event("a"), c.headers...)
			if w.Code != c.status {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, c.status)
			}
			in.Look(func(k sourcetest.Kept) {
				if took := k.Findings["a"] == 1; took != (c.status == 202) {
					t.Errorf("taken: %v", took)
				}
			})
		})
	}
}

func TestNothingConfiguredLetsNobodyIn(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	h := httpin.New(config.HTTPSource{}, &in, httpin.Deps{})
	for _, headers := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer"}, {"X-Api-Key", ""}} {
		if w := post(h, sourcetest.Event("a"), headers...); w.Code != http.StatusUnauthorized {
			t.Errorf("headers %q: answered %d", headers, w.Code)
		}
	}
}

func TestAnswerIsTheReceipt(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	h := handler(&in, nil)
	body := sourcetest.Event("a") + "\n" + sourcetest.Event("a") + "\n" + `{"detail-type":"AWS API Call via CloudTrail","detail":{}}` + "\n"
	w := post(h, body, auth()...)
	var got httpin.Receipt
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := httpin.Receipt{Accepted: 1, Known: 1, Ignored: 1, Incidents: []string{}, Reasons: []string{}}
	if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusAccepted {
		t.Errorf("answered %d with (-want +got)\n%s", w.Code, diff)
	}
}

func TestBodyWithoutAFindingIsAnsweredAsTakenSoThatItIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"hello", `{"hello":"world"}`, "\xff\xfe{", strings.Repeat("[", 10000)} {
		var in sourcetest.Intake
		w := post(handler(&in, nil), body, auth()...)
		var got httpin.Receipt
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusAccepted || got.Rejected == 0 || len(got.Reasons) == 0 {
			t.Errorf("%.20q: answered %d %+v, want 202 with a rejected one and its reason", body, w.Code, got)
		}
	}
}

func TestUnreadableBodiesAndOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	good := pack(t, []byte(sourcetest.Event("a")))
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
	}{
		{"an empty body", "", nil, 400},
		{"a body of white space", " \n ", nil, 400},
		{"gzip that was cut off", string(good[:len(good)-9]), nil, 400},
		{"gzip with a broken header", "\x1f\x8bxxxx", nil, 400},
		{"gzip in gzip in gzip in gzip", string(pack(t, pack(t, pack(t, good)))), nil, 400},
		{"another encoding", "x", []string{"Content-Encoding", "br"}, 415},
		{"gzip that says so", string(good), []string{"Content-Encoding", "gzip"}, 202},
		{"gzip that does not say so", string(good), nil, 202},
		{"gzip in gzip", string(pack(t, good)), nil, 202},
		{"plain text that says gzip", sourcetest.Event("a"), []string{"Content-Encoding", "gzip"}, 202},
	} {
		var in sourcetest.Intake
		if w := post(handler(&in, nil), c.body, auth(c.headers...)...); w.Code != c.status {
			t.Errorf("%s: answered %d %s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		var in sourcetest.Intake
		w := httptest.NewRecorder()
		handler(&in, nil).ServeHTTP(w, httptest.NewRequest(method, "/v1/findings", nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s: answered %d, want 405 with Allow: POST", method, w.Code)
		}
	}
}

func TestNothingIsAcknowledgedThatWasNotCommitted(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(context.Context, source.Input) error{
		"an intake that fails":  func(context.Context, source.Input) error { return errors.New("disk full: /secret/path") },
		"an intake that panics": func(context.Context, source.Input) error { panic("boom") },
		"an intake that hangs":  func(ctx context.Context, _ source.Input) error { <-ctx.Done(); return ctx.Err() },
	} {
		in := sourcetest.Intake{Before: before}
		h := handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) { d.TakeLimit = 50 * time.Millisecond })
		w := post(h, sourcetest.Event("a"), auth()...)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: answered %d %s, want 503 with Retry-After and without the cause", name, w.Code, w.Body)
		}
	}
}

func TestLargeBodiesAreRefusedInBoundedMemory(t *testing.T) {
	// Not parallel: it counts what is allocated.
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for range 48 {
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var in sourcetest.Intake
	server := httptest.NewServer(handler(&in, func(c *config.HTTPSource, _ *httpin.Deps) { c.MaxBody = 1 << 20 }))
	t.Cleanup(server.Close)
	for name, body := range map[string]io.Reader{
		"50 MB with a length":    bytes.NewReader(make([]byte, 50<<20)),
		"50 MB without a length": io.MultiReader(bytes.NewReader(make([]byte, 50<<20))),
		"a bomb of 48 MB":        bytes.NewReader(bomb.Bytes()),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			// The server closed before the client had sent everything.
			if !strings.Contains(err.Error(), "broken pipe") && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: answered %s, want 413", name, resp.Status)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
			t.Errorf("%s: took %d MB", name, grown>>20)
		}
	}
	in.Look(func(k sourcetest.Kept) {
		if k.Tries > 0 {
			t.Error("the intake was called")
		}
	})
}

func TestSlowBodyIsGivenUpOn(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	server := httptest.NewServer(handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) { d.ReadLimit = 100 * time.Millisecond }))
	t.Cleanup(server.Close)
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "POST /v1/findings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", bearer); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answered %s, want 408", resp.Status)
	}
}

func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	t.Parallel()
	var in sourcetest.Intake
	body := &watchedBody{}
	r := httptest.NewRequest(http.MethodPost, "/v1/findings", body)
	w := httptest.NewRecorder()
	handler(&in, nil).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || body.read {
		t.Errorf("answered %d, body read: %v", w.Code, body.read)
	}
}

type watchedBody struct{ read bool }

func (b *watchedBody) Read([]byte) (int, error) { b.read = true; return 0, io.EOF }

func TestTooManyAtOnceAreAskedToComeAgain(t *testing.T) {
	t.Parallel()
	inside, goOn := make(chan struct{}), make(chan struct{})
	in := sourcetest.Intake{Before: func(context.Context, source.Input) error {
		inside <- struct{}{}
		<-goOn
		return nil
	}}
	h := handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) { d.MaxConcurrent, d.Patience = 1, time.Millisecond })
	first := make(chan int, 1)
	go func() { first <- post(h, sourcetest.Event("a"), auth()...).Code }()
	<-inside
	if w := post(h, sourcetest.Event("b"), auth()...); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the second was answered %d, want 503 with Retry-After", w.Code)
	}
	close(goOn)
	if code := <-first; code != http.StatusAccepted {
		t.Errorf("the first was answered %d", code)
	}
}

func TestRefusalsAreLoggedAtALimitedRate(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var in sourcetest.Intake
	h := handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) {
		d.Log, d.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
	})
	for range 1000 {
		post(h, "x")
	}
	now = now.Add(time.Minute)
	post(h, "x")
	if n := strings.Count(log.String(), "request was refused"); n != 2 || !strings.Contains(log.String(), "not_logged=999") {
		t.Errorf("%d lines for 1,001 refusals:\n%.2000s", n, log.String())
	}
}
