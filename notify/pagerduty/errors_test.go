package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify"
)

func asError(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *notify.Error", err)
	}
	return e
}

func TestAnswersAreClassed(t *testing.T) {
	t.Parallel()
	invalid := `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.severity' is bad\u202e"]}`
	for _, tt := range []struct {
		name   string
		status int
		header string
		body   string
		class  notify.Class // empty: success
		reason string
		after  time.Duration
		says   string
	}{
		{"202 is success whatever follows", 202, "", `half of an ans`, "", "", 0, ""},
		{"another 2xx with the vendor's words is success", 200, "", `{"status":"success"}`, "", "", 0, ""},
		{"a 200 of somebody else is tried again", 200, "", `<html>log in</html>`, notify.Retry, "server_error", 0, "not PagerDuty's"},
		{"400 is parked with the vendor's errors", 400, "", invalid, notify.Park, "invalid", 0, `'payload.severity' is bad\u202e`},
		{"401 pauses the destination", 401, "", `{"error":{"message":"no"}}`, notify.Pause, "auth", 0, "no"},
		{"403 pauses the destination", 403, "", ``, notify.Pause, "auth", 0, "Forbidden"},
		{"404 of PagerDuty is parked", 404, "", `{"error":{"message":"Not Found","code":2100}}`, notify.Park, "not_found", 0, ""},
		{"404 of a proxy may pass", 404, "", `<html>no such site</html>`, notify.Retry, "not_found", 0, "not PagerDuty's"},
		{"400 of a proxy may pass", 400, "", `Bad Request`, notify.Retry, "invalid", 0, "not PagerDuty's"},
		{"401 of a proxy pauses the destination", 401, "", `<html>log in</html>`, notify.Pause, "auth", 0, ""},
		{"407 of a proxy pauses the destination", 407, "", ``, notify.Pause, "auth", 0, ""},
		{"413 is parked", 413, "", ``, notify.Park, "invalid", 0, ""},
		{"a redirect is not followed", 302, "Location: http://127.0.0.1:1/", ``, notify.Pause, "invalid", 0, "elsewhere"},
		{"429 without headers waits half a minute", 429, "", ``, notify.Retry, "rate_limited", 30 * time.Second, ""},
		{"429 with Retry-After waits as told", 429, "Retry-After: 7", ``, notify.Retry, "rate_limited", 7 * time.Second, ""},
		{"429 that asks for ten minutes gets them", 429, "Retry-After: 600", ``, notify.Retry, "rate_limited", 10 * time.Minute, ""},
		{"429 that asks for years is asked again after an hour", 429, "Retry-After: 999999999", ``, notify.Retry, "rate_limited", time.Hour, ""},
		{"503 with Retry-After waits as told", 503, "Retry-After: 9", ``, notify.Retry, "server_error", 9 * time.Second, ""},
		{"429 of the REST API waits for its reset", 429, "ratelimit-reset: 11", ``, notify.Retry, "rate_limited", 11 * time.Second, ""},
		{"500 is tried again", 500, "", `{"error":"oops"}`, notify.Retry, "server_error", 0, "oops"},
		{"503 is tried again", 503, "", ``, notify.Retry, "server_error", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if name, value, ok := strings.Cut(tt.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprint(w, tt.body)
			}))
			defer srv.Close()
			r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.APIURL = srv.URL })
			_, err := r.try(sampleView())
			if tt.class == "" {
				if err != nil {
					t.Errorf("error %v, want success", err)
				}
				return
			}
			e := asError(t, err)
			if e.Class != tt.class || e.Reason != tt.reason || e.After != tt.after {
				t.Errorf("class %s, reason %s, after %v; want %s, %s, %v", e.Class, e.Reason, e.After, tt.class, tt.reason, tt.after)
			}
			if !strings.Contains(e.Error(), tt.says) {
				t.Errorf("message %q does not say %q", e.Error(), tt.says)
			}
			if e.Safe == "" || strings.Contains(e.Error(), fakepagerduty.DefaultRoutingKey) {
				t.Errorf("bad message: %+v", e)
			}
		})
	}
}

func TestEveryFaultEndsInOneAlert(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"events", "incidents"} {
		for _, fault := range fakepagerduty.AllFaults() {
			t.Run(mode+" "+string(fault), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, fakepagerduty.Options{}, func(c *Config) {
					c.Mode = mode
					if fault == fakepagerduty.TimeoutAfter {
						c.Timeout = 2 * time.Second // for the calls that are answered too
					}
				})
				s := newStory()
				for _, stage := range []func(*story) *story{func(s *story) *story { return s }, (*story).acknowledge, (*story).close} {
					stage(s)
					if mode == "incidents" && s.v.Revision == 1 {
						r.fake.Fail(fakepagerduty.NoFault) // the list of priorities
					}
					r.fake.Fail(fault)
					for i := 0; ; i++ {
						_, err := r.try(s.v)
						if err == nil {
							break
						}
						if e := asError(t, err); e.Class != notify.Retry || i > 5 {
							t.Fatalf("attempt %d: %s %v", i, e.Class, err)
						}
					}
				}
				if n := len(r.fake.Alerts()) + len(r.fake.Incidents()); n != 1 {
					t.Errorf("%d alerts, want 1", n)
				}
				for _, in := range r.fake.Incidents() {
					if in.Status != fakepagerduty.Resolved || len(in.Notes) != 2 {
						t.Errorf("the incident ended as %s with the notes %q", in.Status, in.Notes)
					}
				}
				for _, a := range r.fake.Alerts() {
					if a.Status != fakepagerduty.Resolved {
						t.Errorf("the alert ended as %s", a.Status)
					}
				}
				r.noViolations()
			})
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.APIURL = srv.URL })
	_, err := r.try(sampleView())
	if e := asError(t, err); e.Class != notify.Retry || e.Reason != "network" {
		t.Errorf("%s %s, want a retry because of the network", e.Class, e.Reason)
	}
}

func TestACrashAtAnySaveLeavesOneAlert(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"events", "incidents"} {
		for at := 1; at <= 12; at++ {
			t.Run(fmt.Sprintf("%s, save %d", mode, at), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, fakepagerduty.Options{}, func(c *Config) { c.Mode = mode })
				r.failSave = at
				s := newStory()
				for _, stage := range []func(*story) *story{func(s *story) *story { return s }, (*story).acknowledge,
					func(s *story) *story { return s.raise(9.3) }, (*story).close} {
					stage(s)
					if _, err := r.try(s.v); err != nil {
						if !errors.Is(err, errSave) {
							t.Fatal(err)
						}
						r.show(s.v)
					}
				}
				seen := map[string]int{}
				for _, a := range r.fake.Alerts() {
					seen[a.DedupKey+" "+string(a.Status)]++
				}
				for _, in := range r.fake.Incidents() {
					seen[in.Key+" "+string(in.Status)]++
					unique := map[string]bool{}
					for _, n := range in.Notes {
						unique[n] = true
					}
					if len(unique) != len(in.Notes) {
						t.Errorf("a note stands there twice: %q", in.Notes)
					}
				}
				if diff := cmp.Diff(map[string]int{mainKey + " resolved": 1, critKey + " resolved": 1}, seen); diff != "" {
					t.Errorf("alerts (-want +got):\n%s", diff)
				}
				r.noViolations()
			})
		}
	}
}

func TestAStateOfAnotherVersionIsParked(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakepagerduty.Options{})
	for _, raw := range []string{`{"version":99}`, `[`} {
		r.state = []byte(raw)
		_, err := r.try(sampleView())
		if e := asError(t, err); e.Class != notify.Park {
			t.Errorf("state %s: %s, want parked", raw, e.Class)
		}
	}
}
