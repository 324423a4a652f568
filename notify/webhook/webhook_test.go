package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakewebhook"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

func state(s incident.State) func(*message.View) { return func(v *message.View) { v.State = s } }

func TestMessagesFollowTheIncident(t *testing.T) {
	t.Parallel()
	first := sampleView()
	acked := after(first, incident.KindAcknowledged, state(incident.Acknowledged))
	raised := after(acked, incident.KindSeverityRaised, func(v *message.View) { v.Severity = 9.1 })
	updated := after(raised, incident.KindFindingUpdated)
	contained := after(updated, incident.KindContained, state(incident.Contained))
	closed := after(contained, incident.KindClosed, state(incident.Closed), func(v *message.View) { v.Verdict = incident.Malicious })
	reopened := after(closed, incident.KindReopened, state(incident.Open))
	merged := after(reopened, incident.KindClosed, state(incident.Closed), func(v *message.View) { v.Verdict, v.MergedInto = incident.Merged, "INC-7" })
	for _, tt := range []struct {
		name  string
		views []*message.View
		want  []string
	}{
		{"each spoken event is a message, anything else an update",
			[]*message.View{first, acked, raised, updated, contained, closed, reopened, merged},
			[]string{"d-1-opened incident.opened", "d-1-e2 incident.acknowledged", "d-1-e3 incident.severity_raised", "d-1-r4 incident.updated",
				"d-1-e5 incident.contained", "d-1-e6 incident.closed", "d-1-e7 incident.reopened", "d-1-e8 incident.merged"}},
		{"a revision is sent once", []*message.View{first, first, updated, updated},
			[]string{"d-1-opened incident.opened", "d-1-e2 incident.acknowledged", "d-1-e3 incident.severity_raised"}},
		{"only the newest of many revisions is sent", []*message.View{first, after(after(after(first, ""), ""), "")},
			[]string{"d-1-opened incident.opened", "d-1-r4 incident.updated"}},
		{"one that is closed already is opened first", []*message.View{after(first, incident.KindClosed, state(incident.Closed))},
			[]string{"d-1-opened incident.opened", "d-1-e2 incident.closed"}},
		{"an older view that comes late says nothing", []*message.View{acked, first},
			[]string{"d-1-opened incident.opened", "d-1-e2 incident.acknowledged"}},
		{"a digest", []*message.View{{Kind: message.KindDigest, Delivery: "d-2", Revision: 1}, {Kind: message.KindDigest, Delivery: "d-2", Revision: 1}},
			[]string{"d-2-r1 digest"}},
		{"a notice and its end", []*message.View{{Kind: message.KindNotice, Delivery: "d.3", Revision: 1}, {Kind: message.KindNotice, Delivery: "d.3", Revision: 2}},
			[]string{"d_3-r1 notice", "d_3-r2 notice"}},
		{"a test", []*message.View{{Kind: message.KindTest, Delivery: "d-4"}}, []string{"d-4-r0 test"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t, fakewebhook.Options{})
			for _, v := range tt.views {
				h.show(v)
			}
			if diff := cmp.Diff(tt.want, h.got()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			h.noViolations()
		})
	}
}

func TestStatusesAreClassed(t *testing.T) {
	t.Parallel()
	date := clock.Add(90 * time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	for _, tt := range []struct {
		answer fakewebhook.Answer
		class  notify.Class // empty: success
		reason string
		after  time.Duration
	}{
		{fakewebhook.Answer{Status: 200}, "", "", 0},
		{fakewebhook.Answer{Status: 202}, "", "", 0},
		{fakewebhook.Answer{Status: 204}, "", "", 0},
		{fakewebhook.Answer{Status: 301, Location: "https://elsewhere.example/"}, notify.Retry, "invalid", 0},
		{fakewebhook.Answer{Status: 307, Location: "http://169.254.169.254/"}, notify.Retry, "invalid", 0},
		{fakewebhook.Answer{Status: 400}, notify.Retry, "invalid", 0},
		{fakewebhook.Answer{Status: 401}, notify.Retry, "auth", 0},
		{fakewebhook.Answer{Status: 403}, notify.Retry, "auth", 0},
		{fakewebhook.Answer{Status: 407}, notify.Retry, "auth", 0},
		{fakewebhook.Answer{Status: 404}, notify.Retry, "not_found", 0},
		{fakewebhook.Answer{Status: 410}, notify.Pause, "not_found", 0},
		{fakewebhook.Answer{Status: 429, RetryAfter: "12"}, notify.Retry, "rate_limited", 12 * time.Second},
		{fakewebhook.Answer{Status: 429, RetryAfter: "soon"}, notify.Retry, "rate_limited", 0},
		{fakewebhook.Answer{Status: 429, RetryAfter: "99999999999"}, notify.Retry, "rate_limited", time.Hour},
		{fakewebhook.Answer{Status: 503, RetryAfter: date}, notify.Retry, "server_error", 90 * time.Second},
		{fakewebhook.Answer{Status: 502}, notify.Retry, "server_error", 0},
		{fakewebhook.Answer{Reset: true}, notify.Retry, "network", 0},
		{fakewebhook.Answer{Hang: true, Take: true}, notify.Retry, "timeout", 0},
	} {
		t.Run(fmt.Sprintf("%d %s reset %t hang %t", tt.answer.Status, tt.answer.RetryAfter, tt.answer.Reset, tt.answer.Hang), func(t *testing.T) {
			t.Parallel()
			h := newHook(t, fakewebhook.Options{}, func(c *Config) {
				if tt.answer.Hang {
					c.Timeout = 2 * time.Second // for the calls that are answered too
				}
			})
			h.fake.Next(tt.answer)
			_, err := h.try(sampleView())
			if tt.class == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := asError(t, err)
			if e.Class != tt.class || e.Reason != tt.reason || e.After != tt.after {
				t.Errorf("%s, %s, after %v; want %s, %s, %v", e.Class, e.Reason, e.After, tt.class, tt.reason, tt.after)
			}
			if strings.Contains(e.Error(), "/hook") || e.Safe == "" {
				t.Errorf("message %q repeats the URL or says nothing of what is safe", e.Error())
			}
			h.show(sampleView())
			if diff := cmp.Diff([]string{"d-1-opened incident.opened"}, h.got()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNewestStateFollowsARepeatedEvent(t *testing.T) {
	t.Parallel()
	h := newHook(t, fakewebhook.Options{})
	first := sampleView()
	h.show(first)
	acked := after(first, incident.KindAcknowledged, state(incident.Acknowledged))
	h.fake.Next(fakewebhook.Answer{Status: 500, Take: true}) // it was taken, and we do not know
	if _, err := h.try(acked); err == nil {
		t.Fatal("no error")
	}
	h.show(after(acked, incident.KindFindingUpdated))
	want := []string{"d-1-opened incident.opened", "d-1-e2 incident.acknowledged", "d-1-r3 incident.updated"}
	if diff := cmp.Diff(want, h.got()); diff != "" {
		t.Errorf("a receiver that remembers ids would miss revision 3 (-want +got):\n%s", diff)
	}
}

func TestACrashAtAnySaveSendsNothingUnderAnotherID(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 6; at++ {
		t.Run(fmt.Sprintf("save %d", at), func(t *testing.T) {
			t.Parallel()
			h := newHook(t, fakewebhook.Options{})
			h.failSave = at
			first := sampleView()
			acked := after(first, incident.KindAcknowledged, state(incident.Acknowledged))
			for _, v := range []*message.View{first, acked, after(acked, "")} {
				if _, err := h.try(v); err != nil {
					if !errors.Is(err, errSave) {
						t.Fatal(err)
					}
					h.show(v)
				}
			}
			want := []string{"d-1-opened incident.opened", "d-1-e2 incident.acknowledged", "d-1-r3 incident.updated"}
			if diff := cmp.Diff(want, h.got()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLateRunsAndOpenDoorsHaveTypesOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHook(t, fakewebhook.Options{})
	v := sampleView()
	h.show(v)
	for _, k := range []incident.Kind{incident.KindRunStarted, incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain} {
		v = after(v, k)
		h.show(v)
	}
	want := []string{"d-1-opened incident.opened", "d-1-e2 incident.run_started", "d-1-e3 incident.not_contained", "d-1-e4 incident.run_late", "d-1-e5 incident.left_open", "d-1-e6 incident.closed_again"}
	if diff := cmp.Diff(want, h.got()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	schema := compiled(t)
	for _, m := range h.fake.Messages() {
		body, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(body); err != nil {
			t.Errorf("%s: %v", m.Type, err)
		}
	}
	h.noViolations()
}

func TestRandomFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	kinds := []incident.Kind{incident.KindAcknowledged, incident.KindSeverityRaised, incident.KindContained, incident.KindFindingUpdated, ""}
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			h := newHook(t, fakewebhook.Options{Seed: seed, Rate: 0.4})
			chance := rand.New(rand.NewPCG(seed, 1))
			v, spoken := sampleView(), 1
			for range 15 {
				k := kinds[chance.IntN(len(kinds))]
				if typeOf(k) != "" {
					spoken++
				}
				v = after(v, k)
				if chance.IntN(4) == 0 {
					h.failSave = h.saves + 1 + chance.IntN(2)
				}
				_, _ = h.try(v)
			}
			h.failSave = 0
			h.fake.SetRate(0)
			h.show(v)
			events, newest := 0, ""
			for _, m := range h.fake.Messages() {
				if m.Type != TypeUpdated {
					events++
				}
				newest = string(m.Body)
			}
			if events != spoken {
				t.Errorf("%d events came, want %d", events, spoken)
			}
			if want := fmt.Sprintf(`"revision":%d,`, v.Revision); !strings.Contains(newest, want) {
				t.Errorf("the last message does not carry %s: %s", want, newest)
			}
			h.noViolations()
		})
	}
}

func TestNewRefusesAWrongConfiguration(t *testing.T) {
	t.Parallel()
	good := config.Webhook{URL: config.NewSecret("https://hooks.example/secret-path"), Secret: config.NewSecret(secretA)}
	for _, tt := range []struct {
		name   string
		change func(*config.Webhook)
		says   string
	}{
		{"http without insecure", func(c *config.Webhook) { c.URL = config.NewSecret("http://hooks.example/secret-path") }, "insecure"},
		{"another scheme", func(c *config.Webhook) { c.URL = config.NewSecret("file:///secret-path") }, "url"},
		{"no host", func(c *config.Webhook) { c.URL = config.NewSecret("/secret-path") }, "url"},
		{"no secret", func(c *config.Webhook) { c.Secret = config.Secret{} }, "not set"},
		{"a secret without prefix", func(c *config.Webhook) { c.Secret = config.NewSecret("secret-path") }, "whsec_"},
		{"a secret that is no base64", func(c *config.Webhook) { c.Secret = config.NewSecret("whsec_secret-path!") }, "base64"},
		{"a short secret", func(c *config.Webhook) { c.Secret = config.NewSecret("whsec_c2hvcnQ=") }, "24 to 64"},
		{"a bad previous secret", func(c *config.Webhook) { c.PreviousSecret = config.NewSecret("x") }, "previous_secret"},
		{"a reserved header", func(c *config.Webhook) { c.Headers = map[string]config.Secret{"webhook-ID": config.NewSecret("1")} }, "webhook-ID"},
		{"a header with a line break", func(c *config.Webhook) {
			c.Headers = map[string]config.Secret{"X-A": config.NewSecret("secret-path\r\nX-B: 1")}
		}, "X-A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := good
			tt.change(&c)
			_, err := New(Config{Webhook: c}, Deps{})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret-path") {
				t.Errorf("error %v; want one that says %q and no secret", err, tt.says)
			}
		})
	}
	if _, err := New(Config{Webhook: good}, Deps{}); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}

func TestTestAndCheck(t *testing.T) {
	t.Parallel()
	h := newHook(t, fakewebhook.Options{}, func(c *Config) { c.Headers = map[string]config.Secret{"X-Team": config.NewSecret("soc")} })
	for _, f := range h.n.Check(t.Context()) {
		if !f.OK {
			t.Errorf("check: %+v", f)
		}
	}
	if h.fake.Requests() != 0 {
		t.Error("a check sent something")
	}
	said, err := h.n.Test(t.Context())
	if err != nil || !strings.Contains(said, "webhook-id test-") {
		t.Errorf("test says %q, %v", said, err)
	}
	if m := h.fake.Messages(); len(m) != 1 || m[0].Type != TypeTest || m[0].Header.Get("X-Team") != "soc" {
		t.Errorf("messages %+v", m)
	}
	h.fake.Close()
	if f := h.n.Check(t.Context()); len(f) != 1 || f[0].OK || f[0].Hint == "" {
		t.Errorf("check of a dead receiver: %+v", f)
	}
}
