package slack

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
)

// The defect: HTTP status of the call never looked at, ok:false on 200 neither.
func TestDefectHTTPStatusOfSlackUnchecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string
		class  notify.Class
		reason string
	}{
		{"429 asks to come again", 429, http.Header{"Retry-After": {"7"}}, `{"ok":false,"error":"ratelimited"}`, notify.Retry, "rate_limited"},
		{"200 with ok false is no success", 200, nil, `{"ok":false,"error":"invalid_auth"}`, notify.Pause, "auth"},
		{"500 may have posted", 500, nil, "oops", notify.Retry, "unknown_outcome"},
		{"503 with a success in its body is no success", 503, nil, `{"ok":true,"channel":"C0FAKESOC1","ts":"1.2"}`, notify.Retry, "unknown_outcome"},
		{"200 with a page of a proxy", 200, nil, "<html>log in</html>", notify.Retry, "unknown_outcome"},
		{"200 with nothing", 200, nil, "", notify.Retry, "unknown_outcome"},
		{"200 without where", 200, nil, `{"ok":true}`, notify.Retry, "unknown_outcome"},
		{"200 that does not say ok", 200, nil, `{"channel":"C0FAKESOC1","ts":"1.2"}`, notify.Retry, "unknown_outcome"},
		{"a redirect is not followed", 302, http.Header{"Location": {"https://evil.example/"}}, "", notify.Pause, "invalid"},
		{"404 of a proxy may pass", 404, nil, "not here", notify.Retry, "not_found"},
		{"400 of a proxy may pass", 400, nil, "<html>bad request</html>", notify.Retry, "invalid"},
		{"401 of something between pauses", 401, nil, "<html>log in</html>", notify.Pause, "auth"},
		{"403 of something between pauses", 403, nil, "", notify.Pause, "auth"},
		{"407 of a proxy pauses", 407, nil, "<html>proxy login</html>", notify.Pause, "auth"},
		{"413 of a proxy is about this message", 413, nil, "<html>too large</html>", notify.Park, "invalid"},
		{"a word of Slack counts whatever the status", 400, nil, `{"ok":false,"error":"invalid_auth"}`, notify.Pause, "auth"},
		{"a success with 404 is not Slack's", 404, nil, `{"ok":true,"channel":"C0FAKESOC1","ts":"1.2"}`, notify.Retry, "not_found"},
		{"a word that nobody knows is shown", 200, nil, `{"ok":false,"error":"moon_is_full\u202e"}`, notify.Park, "invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), tt.header)
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(srv.Close)
			r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.APIURL = srv.URL })
			e := r.fails(mining(), tt.class)
			if e.Reason != tt.reason || e.Message == "" || e.Safe == "" {
				t.Errorf("%+v", e)
			}
			if e.Class == notify.Retry && tt.status >= 400 && tt.status < 500 && !e.DestinationWide {
				t.Errorf("the other deliveries run into the same: %+v", e)
			}
			if e.Class == notify.Pause && e.Hint == "" {
				t.Error("a person must act, and nothing says how")
			}
			if strings.Contains(tt.body, "moon") && !strings.Contains(e.Message, `(moon_is_full\u202e)`) {
				t.Errorf("the word is not shown: %s", e.Message)
			}
		})
	}
}

func TestEveryWordHasItsClass(t *testing.T) {
	t.Parallel()
	for class, words := range map[string]string{
		"rate":    "ratelimited rate_limited",
		"unknown": "service_unavailable request_timeout internal_error fatal_error",
		"retry":   "team_added_to_org external_channel_migrating update_failed streaming_state_conflict",
		"pause": "invalid_auth not_authed account_inactive token_revoked token_expired missing_scope no_permission not_allowed_token_type " +
			"team_access_not_granted ekm_access_denied org_login_required two_factor_setup_required accesslimited",
		"channel": "channel_not_found not_in_channel is_archived is_inactive restricted_action restricted_action_read_only_channel restricted_action_new",
		"lost":    "message_not_found cant_update_message edit_window_closed thread_not_found",
		"ours": "invalid_blocks invalid_blocks_format invalid_attachments msg_too_long msg_blocks_too_long too_many_attachments no_text block_mismatch " +
			"invalid_metadata_format invalid_metadata_schema metadata_too_large metadata_must_be_sent_from_app invalid_arguments invalid_arg_name invalid_charset invalid_post_type",
		"park": "user_is_restricted some_new_word",
	} {
		for w := range strings.FieldsSeq(words) {
			t.Run(w, func(t *testing.T) {
				t.Parallel()
				c := &client{scale: 1}
				f := c.classify("chat.postMessage", w, "", &answer{header: http.Header{}})
				want := map[string]struct {
					class   notify.Class
					kind    kind
					unknown bool
				}{
					"rate": {notify.Retry, kindOther, false}, "unknown": {notify.Retry, kindOther, true}, "retry": {notify.Retry, kindOther, false},
					"pause": {notify.Pause, kindOther, false}, "channel": {notify.Park, kindChannel, false}, "lost": {notify.Park, kindLost, false},
					"ours": {notify.Park, kindOurs, false}, "park": {notify.Park, kindOther, false},
				}[class]
				k := f.kind
				if k == kindBlind {
					k = kindOther
				}
				if f.out.Class != want.class || k != want.kind || f.unknown != want.unknown {
					t.Errorf("class %s, kind %d, unknown %t; want %+v", f.out.Class, f.kind, f.unknown, want)
				}
				if f.out.Class != notify.Retry && f.out.Hint == "" {
					t.Error("a person must act, and nothing says how")
				}
			})
		}
	}
}

func TestAFaultSaysWhatIsWrongInWordsForPeople(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"channel_not_found":                   "the app sees no such channel in Slack (channel_not_found)",
		"not_in_channel":                      "the app is not in the channel (not_in_channel)",
		"is_archived":                         "the channel is archived (is_archived)",
		"restricted_action_read_only_channel": "the workspace does not let the app post in the channel (restricted_action_read_only_channel)",
		"edit_window_closed":                  "the workspace lets nobody edit the message any more (edit_window_closed)",
		"message_not_found":                   "the message is gone from Slack (message_not_found)",
		"token_revoked":                       "Slack takes the token no longer (token_revoked)",
		"invalid_auth":                        "Slack does not know the token (invalid_auth)",
		"missing_scope":                       "the app lacks a scope for chat.postMessage (missing_scope)",
		"invalid_blocks":                      "Slack does not take the form of the message (invalid_blocks)",
		"some_new_word":                       "Slack refused chat.postMessage (some_new_word)",
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			f := (&client{scale: 1}).classify("chat.postMessage", word, "", &answer{header: http.Header{}})
			if f.out.Message != want {
				t.Errorf("%q, want %q", f.out.Message, want)
			}
		})
	}
}

func TestRetryAfterIsHonouredForTheWholeDestination(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{PostsPerSecond: 0.1, Burst: 1}, func(c *Config) { c.TimeScale = 10 })
	r.show(mining())
	other := mining()
	other.Delivery, other.Incident = "dlv-2", "01jd8x7k3m0000000000000043"
	r.state = nil
	e := r.fails(other, notify.Retry)
	if e.After != time.Second || !e.DestinationWide || e.Reason != "rate_limited" {
		t.Errorf("after %s, destination-wide %t, reason %s; want 10 s at scale 10", e.After, e.DestinationWide, e.Reason)
	}
	if s, _ := decodeState(r.state); s.Begun != nil {
		t.Error("a refused attempt counts as one that may have posted")
	}
	r.clock.pass(10 * time.Second)
	r.show(other)
	if n := len(r.fake.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
	c := &client{scale: 1}
	for wish, want := range map[string]time.Duration{"600": 10 * time.Minute, "999999999": time.Hour} {
		f := c.limited(&answer{header: http.Header{"Retry-After": {wish}}}, "chat.postMessage")
		if f.out.After != want {
			t.Errorf("Slack asked for %s s and gets %s, want %s", wish, f.out.After, want)
		}
	}
	r.fake.Fail(fakeslack.RateLimitedBare)
	if e := r.fails((&story{other}).acknowledge().v, notify.Retry); e.After != time.Second {
		t.Errorf("without Retry-After: %s", e.After)
	}
}

func TestAScopeThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{Scopes: []string{"channels:read"}})
	e := r.fails(mining(), notify.Pause)
	if !strings.Contains(e.Hint, "chat:write") || !strings.Contains(e.Message, "missing_scope") {
		t.Errorf("%+v", e)
	}
}

func TestWithoutAConnectionNothingIsInDoubt(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.fake.Close()
	e := r.fails(mining(), notify.Retry)
	if e.Reason != "network" {
		t.Errorf("reason %s", e.Reason)
	}
	if s, _ := decodeState(r.state); s.Begun != nil {
		t.Error("an attempt without connection counts as one that may have posted")
	}
	if strings.Contains(e.Error(), "xoxb") {
		t.Errorf("the token is shown: %v", e)
	}
}

func TestAHangingSlackEndsInTimeAndIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.Timeout = 2 * time.Second })
	r.fake.Fail(fakeslack.TimeoutAfter)
	if e := r.fails(mining(), notify.Retry); e.Reason != "timeout" || e.After != settle {
		t.Errorf("%+v", e)
	}
	r.settle(mining())
	r.only()
	r.fake.Fail(fakeslack.TimeoutAfter)
	s := newStory().acknowledge()
	r.fails(s.v, notify.Retry)
	r.settle(s.v)
	if n := len(r.replies()); n != 1 {
		t.Errorf("%d lines", n)
	}
	r.noViolations()
}

func TestAnEndedContextEndsTheCall(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := r.n.Reconcile(ctx, notify.Request{View: mining(), Save: func(context.Context, any) error { return nil }})
	if err == nil || len(r.fake.Messages()) != 0 {
		t.Errorf("error %v, messages %d", err, len(r.fake.Messages()))
	}
}
