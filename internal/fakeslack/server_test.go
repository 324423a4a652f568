package fakeslack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// client is a plain client of the fake.
type client struct {
	t *testing.T
	s *Server
}

type said struct {
	OK       bool             `json:"ok"`
	Error    string           `json:"error"`
	Channel  string           `json:"channel"`
	TS       string           `json:"ts"`
	Messages []map[string]any `json:"messages"`
	Next     struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
	status int
	after  string
	err    error
}

func newClient(t *testing.T, opts Options) *client {
	t.Helper()
	if opts.PostsPerSecond == 0 {
		opts.PostsPerSecond = -1
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &client{t, s}
}

func (c *client) send(method, contentType string, body []byte) said {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.s.URL()+method, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+DefaultToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return said{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	out := said{status: resp.StatusCode, after: resp.Header.Get("Retry-After")}
	raw, err := io.ReadAll(resp.Body)
	out.err = err
	_ = json.Unmarshal(raw, &out) // what is no JSON shows by its status
	return out
}

type args map[string]any

func (c *client) call(method string, a args) said {
	c.t.Helper()
	body, err := json.Marshal(a)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.send(method, "application/json", body)
}

// post has what a well-behaved message has, and the changes.
func post(changes args) args {
	a := args{"channel": DefaultChannel, "text": "hello", "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false}
	for k, v := range changes {
		if a[k] = v; v == nil {
			delete(a, k)
		}
	}
	return a
}

func section(text string) args {
	return args{"type": "section", "text": args{"type": "mrkdwn", "text": text, "verbatim": true}}
}

func repeat(n int, b args) []args {
	out := make([]args, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestWhatSlackRefuses(t *testing.T) {
	t.Parallel()
	field := args{"type": "mrkdwn", "text": "x", "verbatim": true}
	button := args{"type": "button", "text": args{"type": "plain_text", "text": "x", "emoji": false}}
	for _, tt := range []struct {
		name  string
		args  args
		error string
	}{
		{"a good message is taken", post(args{"blocks": []args{section("x")}}), ""},
		{"50 blocks are taken", post(args{"blocks": repeat(50, section("x"))}), ""},
		{"51 blocks", post(args{"blocks": repeat(51, section("x"))}), "invalid_blocks"},
		{"3000 characters are taken, counted as runes", post(args{"blocks": []args{section(strings.Repeat("ü", 3000))}}), ""},
		{"3001 characters", post(args{"blocks": []args{section(strings.Repeat("ü", 3001))}}), "invalid_blocks"},
		{"an empty text", post(args{"blocks": []args{section("")}}), "invalid_blocks"},
		{"a section of nothing", post(args{"blocks": []args{{"type": "section"}}}), "invalid_blocks"},
		{"10 fields are taken", post(args{"blocks": []args{{"type": "section", "fields": repeat(10, field)}}}), ""},
		{"11 fields", post(args{"blocks": []args{{"type": "section", "fields": repeat(11, field)}}}), "invalid_blocks"},
		{"a field of 2001", post(args{"blocks": []args{{"type": "section", "fields": []args{{"type": "mrkdwn", "text": strings.Repeat("x", 2001)}}}}}), "invalid_blocks"},
		{"a header in mrkdwn", post(args{"blocks": []args{{"type": "header", "text": field}}}), "invalid_blocks"},
		{"a header of 151", post(args{"blocks": []args{{"type": "header", "text": args{"type": "plain_text", "text": strings.Repeat("x", 151)}}}}), "invalid_blocks"},
		{"11 elements of context", post(args{"blocks": []args{{"type": "context", "elements": repeat(11, field)}}}), "invalid_blocks"},
		{"25 actions are taken", post(args{"blocks": []args{{"type": "actions", "elements": repeat(25, button)}}}), ""},
		{"26 actions", post(args{"blocks": []args{{"type": "actions", "elements": repeat(26, button)}}}), "invalid_blocks"},
		{"a button text of 76", post(args{"blocks": []args{{"type": "actions", "elements": []args{{"type": "button", "text": args{"type": "plain_text", "text": strings.Repeat("x", 76)}}}}}}), "invalid_blocks"},
		{"a button value of 2001", post(args{"blocks": []args{{"type": "actions", "elements": []args{{"type": "button", "text": button["text"], "value": strings.Repeat("x", 2001)}}}}}), "invalid_blocks"},
		{"an alert block", post(args{"blocks": []args{{"type": "alert"}}}), "invalid_blocks"},
		{"a block that nobody knows", post(args{"blocks": []args{{"type": "sektion"}}}), "invalid_blocks"},
		{"a text of another type", post(args{"blocks": []args{{"type": "section", "text": args{"type": "html", "text": "x"}}}}), "invalid_blocks"},
		{"the same block_id twice", post(args{"blocks": []args{{"type": "divider", "block_id": "a"}}, "attachments": []args{{"blocks": []args{{"type": "divider", "block_id": "a"}}}}}), "invalid_blocks"},
		{"a block_id of 256", post(args{"blocks": []args{{"type": "divider", "block_id": strings.Repeat("a", 256)}}}), "invalid_blocks"},
		{"blocks as a string", post(args{"blocks": "[]"}), "invalid_blocks_format"},
		{"bad blocks in an attachment", post(args{"attachments": []args{{"blocks": []args{section("")}}}}), "invalid_blocks"},
		{"an empty attachment", post(args{"attachments": []args{{"color": "#fff"}}}), "no_text"},
		{"101 attachments", post(args{"attachments": repeat(101, args{"text": "x"})}), "too_many_attachments"},
		{"more than 13,200 characters in all", post(args{"blocks": repeat(5, section(strings.Repeat("x", 2700)))}), "msg_blocks_too_long"},
		{"nothing to show", post(args{"text": ""}), "no_text"},
		{"no channel", post(args{"channel": ""}), "channel_not_found"},
		{"an unknown channel", post(args{"channel": "#nowhere"}), "channel_not_found"},
		{"a thread that does not exist", post(args{"thread_ts": "1.000001"}), "thread_not_found"},
		{"metadata without type", post(args{"metadata": args{"event_payload": args{}}}), "invalid_metadata_format"},
		{"metadata that is too large", post(args{"metadata": args{"event_type": "x", "event_payload": args{"x": strings.Repeat("x", 9000)}}}), "metadata_too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			got := c.call("chat.postMessage", tt.args)
			if got.status != http.StatusOK || got.OK != (tt.error == "") || got.Error != tt.error {
				t.Errorf("status %d, ok %t, error %q; want 200 and %q; %q", got.status, got.OK, got.Error, tt.error, c.s.Violations())
			}
			if n := len(c.s.Messages()); (n == 1) != (tt.error == "") {
				t.Errorf("%d messages", n)
			}
		})
	}
}

func TestWhatNobodyShouldSend(t *testing.T) {
	t.Parallel()
	attached := func(text string) args { return post(args{"attachments": []args{{"blocks": []args{section(text)}}}}) }
	first := func(text string) args { return post(args{"blocks": []args{section(text)}}) }
	for _, tt := range []struct {
		name string
		args args
		bad  bool
	}{
		{"a mention at the end of the first block is right", first("x\n<!here>"), false},
		{"a user at the end of its line is right", first("x <@U012>\ny"), false},
		{"a mention before other text", first("<!here> x"), true},
		{"a mention in an attachment", attached("x <!here>"), true},
		{"a mention in the second block", post(args{"blocks": []args{section("x"), section("<!here>")}}), true},
		{"a mention in the fallback text", post(args{"text": "<!here>", "blocks": []args{section("x")}}), true},
		{"a call of the channel", first("x\n<!channel>"), true},
		{"a call of everyone in the text", post(args{"text": "<!everyone>"}), true},
		{"a link is right", first("<https://guardroom.example/|INC-42> x"), false},
		{"a link to elsewhere than the web", first("<javascript:x|y>"), true},
		{"a channel", first("<#C012>"), true},
		{"a bare angle bracket", first("a < b"), true},
		{"a bare closing bracket", first("a > b"), true},
		{"entities are right", first("a &lt; b &amp; c &gt; d"), false},
		{"a bare ampersand", first("a & b"), true},
		{"a right-to-left override", first("a\u202eb"), true},
		{"a control character", attached("a\x1bb"), true},
		{"mrkdwn without verbatim", post(args{"blocks": []args{{"type": "section", "text": args{"type": "mrkdwn", "text": "x"}}}}), true},
		{"plain text with emoji", post(args{"blocks": []args{{"type": "section", "text": args{"type": "plain_text", "text": "x"}}}}), true},
		{"plain text without is right", post(args{"blocks": []args{{"type": "section", "text": args{"type": "plain_text", "text": "x", "emoji": false}}}}), false},
		{"no parse", post(args{"parse": nil}), true},
		{"link_names", post(args{"link_names": true}), true},
		{"links that unfurl", post(args{"unfurl_links": nil}), true},
		{"a broadcast that is no reply", post(args{"reply_broadcast": true}), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			if got := c.call("chat.postMessage", tt.args); !got.OK {
				t.Fatalf("refused: %s", got.Error)
			}
			if got := c.s.Violations(); (len(got) > 0) != tt.bad {
				t.Errorf("violations: %q, want some: %t", got, tt.bad)
			}
		})
	}
}

func TestAnEditKeepsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	p := c.call("chat.postMessage", post(args{"channel": "soc", "blocks": []args{section("a")}, "attachments": []args{{"blocks": []args{section("b")}}}}))
	if p.Channel != DefaultChannel {
		t.Fatalf("channel %q", p.Channel)
	}
	edit := func(a args) said {
		a["channel"], a["ts"], a["parse"] = p.Channel, p.TS, "none"
		return c.call("chat.update", a)
	}
	edit(args{"text": "new"})
	if m := c.s.Messages()[0]; m.Text != "new" || len(m.Blocks) < 5 || len(m.Attachments) < 5 || m.Edits != 1 || !slices.Equal(m.History, []string{"hello"}) {
		t.Errorf("%+v", m)
	}
	edit(args{"text": "newer", "blocks": []args{}, "attachments": []args{}})
	if m := c.s.Messages()[0]; string(m.Blocks) != "[]" || string(m.Attachments) != "[]" {
		t.Errorf("%+v", m)
	}
	if got := edit(args{"text": "x", "blocks": []args{section("<!here>")}}); !got.OK || len(c.s.Violations()) != 1 {
		t.Errorf("%+v, a mention in an edit: %q", got, c.s.Violations())
	}
}

func TestEditsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	own := c.call("chat.postMessage", post(nil))
	gone := c.call("chat.postMessage", post(nil))
	c.s.Delete(gone.Channel, gone.TS)
	foreign := c.s.Say(DefaultChannel, "hi", nil)
	for _, tt := range []struct{ name, channel, ts, want string }{
		{"somebody else's", DefaultChannel, foreign, "cant_update_message"},
		{"a deleted one", DefaultChannel, gone.TS, "message_not_found"},
		{"one that never was", DefaultChannel, "1.000001", "message_not_found"},
		{"by the channel's name", "#soc", own.TS, "channel_not_found"},
		{"in another channel", FallbackChannel, own.TS, "message_not_found"},
	} {
		if got := c.call("chat.update", args{"channel": tt.channel, "ts": tt.ts, "text": "x", "parse": "none"}); got.Error != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got.Error, tt.want)
		}
	}
	c.s.SetChannel(Channel{ID: DefaultChannel, Name: "soc", Archived: true, Member: true})
	if got := c.call("chat.update", args{"channel": DefaultChannel, "ts": own.TS, "text": "x", "parse": "none"}); got.Error != "is_archived" {
		t.Errorf("archived: %q", got.Error)
	}
}

func TestScopesAndMembership(t *testing.T) {
	t.Parallel()
	channels := []Channel{{ID: "C0PUBLIC00", Name: "public"}, {ID: "G0PRIVATE0", Name: "private", Private: true}, {ID: "G0PRIVATE1", Name: "ours", Private: true, Member: true}}
	for _, tt := range []struct {
		scopes, channel, method, want string
	}{
		{"channels:read", "C0PUBLIC00", "chat.postMessage", "missing_scope"},
		{"chat:write", "C0PUBLIC00", "chat.postMessage", "not_in_channel"},
		{"chat:write chat:write.public", "C0PUBLIC00", "chat.postMessage", ""},
		{"chat:write chat:write.public", "private", "chat.postMessage", "channel_not_found"},
		{"chat:write", "ours", "chat.postMessage", ""},
		{"chat:write", "C0PUBLIC00", "conversations.history", "missing_scope"},
		{"channels:history", "C0PUBLIC00", "conversations.history", "not_in_channel"},
		{"channels:history", "G0PRIVATE1", "conversations.history", "missing_scope"},
		{"groups:history", "G0PRIVATE1", "conversations.history", ""},
		{"groups:history", "ours", "conversations.history", "channel_not_found"},
		{"chat:write", "C0PUBLIC00", "conversations.info", "missing_scope"},
		{"channels:read", "C0PUBLIC00", "conversations.info", ""},
		{"channels:read", "", "conversations.list", ""},
		{"", "", "auth.test", ""},
		{"chat:write", "", "users.list", "unknown_method"},
	} {
		t.Run(tt.method+" of "+tt.channel+" with "+tt.scopes, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{Scopes: append([]string{}, strings.Fields(tt.scopes)...), Channels: channels})
			if got := c.call(tt.method, post(args{"channel": tt.channel})); got.Error != tt.want || got.OK != (tt.want == "") {
				t.Errorf("%q, want %q", got.Error, tt.want)
			}
		})
	}
}

func TestTheHistoryHasPagesAndMetadataOnDemand(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	root := c.call("chat.postMessage", post(args{"metadata": args{"event_type": "x", "event_payload": args{"a": "b"}}}))
	c.call("chat.postMessage", post(args{"thread_ts": root.TS, "text": "quiet"}))
	c.call("chat.postMessage", post(args{"thread_ts": root.TS, "text": "loud", "reply_broadcast": true}))
	c.call("chat.postMessage", post(args{"text": "last"}))
	read := func(method string, form url.Values) said {
		form.Set("channel", DefaultChannel)
		return c.send(method, "application/x-www-form-urlencoded", []byte(form.Encode()))
	}
	texts := func(s said) string {
		var out []string
		for _, m := range s.Messages {
			out = append(out, fmt.Sprint(m["text"]))
		}
		return strings.Join(out, " ")
	}
	if got := read("conversations.history", url.Values{}); texts(got) != "last loud hello" || got.Messages[2]["metadata"] != nil || got.Messages[1]["subtype"] != "thread_broadcast" {
		t.Errorf("history: %+v", got.Messages)
	}
	one := read("conversations.history", url.Values{"limit": {"1"}})
	if two := read("conversations.history", url.Values{"limit": {"2"}, "cursor": {one.Next.Cursor}, "include_all_metadata": {"true"}}); texts(two) != "loud hello" || two.Messages[1]["metadata"] == nil || two.Next.Cursor != "" {
		t.Errorf("second page: %+v", two)
	}
	if got := read("conversations.history", url.Values{"oldest": {root.TS}}); texts(got) != "last loud" {
		t.Errorf("after the first: %s", texts(got))
	}
	if got := read("conversations.history", url.Values{"oldest": {root.TS}, "inclusive": {"true"}}); texts(got) != "last loud hello" {
		t.Errorf("from the first on: %s", texts(got))
	}
	if got := read("conversations.history", url.Values{"limit": {"1000"}}); got.OK {
		t.Error("a page of 1000 was given")
	}
	if got := read("conversations.replies", url.Values{"ts": {root.TS}}); texts(got) != "hello quiet loud" {
		t.Errorf("thread: %s", texts(got))
	}
	if got := read("conversations.replies", url.Values{"ts": {"1.000001"}}); got.Error != "thread_not_found" {
		t.Errorf("no thread: %+v", got)
	}
}

func TestOneMessageASecondAndChannel(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	c := newClient(t, Options{PostsPerSecond: 0.5, Burst: 2, TimeScale: 10, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	say := func(channel string) said { return c.call("chat.postMessage", post(args{"channel": channel})) }
	say(DefaultChannel)
	say(DefaultChannel)
	if got := say(DefaultChannel); got.status != http.StatusTooManyRequests || got.after != "2" || got.Error != "ratelimited" {
		t.Errorf("the third at once: %+v", got)
	}
	if got := say(FallbackChannel); !got.OK {
		t.Errorf("another channel: %+v", got)
	}
	pass(200 * time.Millisecond) // two seconds at this scale
	if got := say(DefaultChannel); !got.OK {
		t.Errorf("after the wait: %+v", got)
	}
	if got := say(DefaultChannel); got.OK {
		t.Error("and another one")
	}
	if got := c.s.Violations(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestStampsGrow(t *testing.T) {
	t.Parallel()
	still := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return still }})
	last := ""
	for range 5 {
		got := c.call("chat.postMessage", post(nil))
		if got.TS <= last {
			t.Errorf("%s after %s", got.TS, last)
		}
		last = got.TS
	}
}

func TestFaultsComeBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	for fault, effect := range map[Fault]bool{
		RateLimited: false, RateLimitedBare: false, ServerError: false, ServerErrorAfter: true, InternalError: false, FatalErrorAfter: true,
		ResetBefore: false, ResetAfter: true, HalfResponse: true, Refuse("is_archived"): false,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			c.s.Fail(NoFault, fault)
			if got := c.call("chat.postMessage", post(nil)); !got.OK {
				t.Fatalf("the first fails: %+v", got)
			}
			got := c.call("chat.postMessage", post(nil))
			if got.OK && got.err == nil {
				t.Errorf("it succeeds: %+v", got)
			}
			if n := len(c.s.Messages()); (n == 2) != effect {
				t.Errorf("%d messages", n)
			}
			if fault == RateLimited && got.after != "1" || fault == RateLimitedBare && got.after != "" {
				t.Errorf("Retry-After %q", got.after)
			}
			if got := c.s.Violations(); len(got) != 0 {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestTheSameSeedFailsInTheSamePlaces(t *testing.T) {
	t.Parallel()
	run := func() string {
		c := newClient(t, Options{Faults: Faults{Seed: 7, Rate: 0.5, Kinds: []Fault{ServerError, ServerErrorAfter, RateLimited}}})
		var out []string
		for range 20 {
			out = append(out, fmt.Sprint(c.call("chat.postMessage", post(nil)).status))
		}
		return strings.Join(out, " ")
	}
	a, b := run(), run()
	if a != b || !strings.Contains(a, "200") || !strings.Contains(a, "502") {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestTheHookSeesEveryStage(t *testing.T) {
	t.Parallel()
	stages := make(chan string, 20)
	var s *Server
	c := newClient(t, Options{Hook: func(stage, path string) {
		stages <- fmt.Sprintf("%s %s %d", stage, path, len(s.Messages())) // takes the lock
	}})
	s = c.s
	c.call("chat.postMessage", post(nil))
	for _, want := range []string{"received /api/chat.postMessage 0", "effect /api/chat.postMessage 1", "answered /api/chat.postMessage 1"} {
		if got := <-stages; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheIncomingWebhook(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	say := func(address string, a args) string {
		body, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", resp.StatusCode, raw)
	}
	good := post(args{"channel": nil})
	if got := say(c.s.WebhookURL(), good); got != "200 ok" {
		t.Error(got)
	}
	if got := say(c.s.WebhookURL()+"x", good); got != "404 no_service" {
		t.Error(got)
	}
	if got := say(c.s.WebhookURL(), post(args{"blocks": repeat(51, section("x"))})); got != "400 invalid_blocks" {
		t.Error(got)
	}
	c.s.SetChannel(Channel{ID: DefaultChannel, Name: "soc", Archived: true})
	if got := say(c.s.WebhookURL(), good); got != "410 channel_is_archived" {
		t.Error(got)
	}
	if got := c.s.Messages(); len(got) != 1 || !got[0].Webhook {
		t.Errorf("%+v", got)
	}
}

func TestAnyChannelMakesChannels(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{AnyChannel: true})
	a, b, again := c.call("chat.postMessage", post(args{"channel": "#new"})), c.call("chat.postMessage", post(args{"channel": "C0OTHER000"})), c.call("chat.postMessage", post(args{"channel": "new"}))
	if !a.OK || !idForm.MatchString(a.Channel) || b.Channel != "C0OTHER000" || again.Channel != a.Channel {
		t.Errorf("%+v %+v %+v", a, b, again)
	}
}

func TestATokenThatIsNotKnown(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Token: "xoxb-another"})
	if got := c.call("auth.test", args{}); got.Error != "invalid_auth" || got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
}
