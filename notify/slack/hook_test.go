package slack

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// hooked is a room whose destination is the incoming webhook.
func hooked(t testing.TB, opts fakeslack.Options, change ...func(*Config)) *room {
	t.Helper()
	r := newRoom(t, opts)
	r.restart(append([]func(*Config){r.byWebhook()}, change...)...)
	return r
}

func TestAWebhookAnnouncesOnlyWhatMatters(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{})
	s := newStory()
	var got []string
	step := func(name string, f func() *story) {
		before := len(r.fake.Messages())
		if f != nil {
			f()
		}
		r.show(s.v)
		r.show(s.v) // a second time is never a second message
		got = append(got, fmt.Sprintf("%s %d", name, len(r.fake.Messages())-before))
	}
	step("opened", nil)
	step("updated", func() *story { return s.update("8 times") })
	step("joined", func() *story {
		return s.happens(incident.KindResourceJoined, false, message.Words("Another resource joined."))
	})
	step("acknowledged", s.acknowledge)
	step("raised a little", func() *story { return s.raise(8.5) })
	step("raised", func() *story { return s.raise(9.4) })
	step("contained", s.contain)
	step("closed", s.close)
	step("reopened", s.reopen)
	step("merged", s.merge)
	want := "opened 1, updated 0, joined 0, acknowledged 0, raised a little 0, raised 1, contained 1, closed 1, reopened 1, merged 1"
	if all := strings.Join(got, ", "); all != want {
		t.Errorf("got  %s\nwant %s", all, want)
	}
	messages := r.fake.Messages()
	if m := messages[1]; m.Text != "INC-42 Severity rose from High 8.5 to Critical 9.4." || !strings.Contains(string(m.Blocks), "<!here>") {
		t.Errorf("the rise: %q %s", m.Text, m.Blocks)
	}
	for _, m := range append(messages[2:], messages[0]) {
		if calls := strings.Contains(string(m.Blocks), "<!here>"); calls != (m.TS == messages[0].TS) {
			t.Errorf("calls people: %t: %s", calls, m.Text)
		}
	}
	r.noViolations()
}

func TestAWebhookTellsNoticesAndTheirEnd(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{})
	r.show(notice(time.Time{}))
	again := notice(time.Time{})
	again.Revision = 2
	r.show(again)
	r.show(notice(start))
	r.show(notice(start))
	if all := r.fake.Messages(); len(all) != 2 || !strings.HasPrefix(all[1].Text, "Resolved: ") {
		t.Errorf("messages: %+v", all)
	}
	r.noViolations()
}

func TestAWebhookRepeatsOnceWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.ResetAfter)
	r.fails(mining(), notify.Retry)
	r.restart()
	r.fails(mining(), notify.Retry) // not before it has settled
	r.clock.pass(settle)
	out := r.show(mining())
	if len(r.fake.Messages()) != 2 || len(out.Warnings) != 1 {
		t.Errorf("%d messages, warnings %q", len(r.fake.Messages()), out.Warnings)
	}

	r = hooked(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.ResetAfter, fakeslack.HalfResponse)
	r.fails(mining(), notify.Retry)
	r.clock.pass(settle)
	r.fails(mining(), notify.Retry)
	r.clock.pass(settle)
	r.fails(mining(), notify.Undecided)
	if n := len(r.fake.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
	raw, err := AllowCreate(r.state)
	if err != nil {
		t.Fatal(err)
	}
	r.state = raw
	r.show(mining())
	if n := len(r.fake.Messages()); n != 3 {
		t.Errorf("%d messages after a person said that there is none", n)
	}
}

func TestWhatAWebhookAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		word   string
		class  notify.Class
		reason string
	}{
		{"no_service", notify.Pause, "auth"}, {"no_team", notify.Pause, "auth"}, {"invalid_token", notify.Pause, "auth"},
		{"action_prohibited", notify.Pause, "auth"}, {"channel_not_found", notify.Pause, "not_found"}, {"channel_is_archived", notify.Pause, "not_found"},
		{"user_not_found", notify.Pause, "not_found"}, {"rollup_error", notify.Retry, "unknown_outcome"}, {"odd_word", notify.Park, "invalid"},
	} {
		t.Run(tt.word, func(t *testing.T) {
			t.Parallel()
			r := hooked(t, fakeslack.Options{})
			r.fake.Fail(fakeslack.Refuse(tt.word))
			e := r.fails(mining(), tt.class)
			if e.Reason != tt.reason || strings.Contains(e.Error()+e.Hint, "fakeWebhookSecret") {
				t.Errorf("%+v", e)
			}
			if tt.class != notify.Retry && !strings.Contains(e.Message, tt.word) {
				t.Errorf("the word is not shown: %s", e.Message)
			}
		})
	}
}

func TestARefusalThatIsNotSlacksIsNotHeldAgainstOneMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		class  notify.Class
		wide   bool
	}{
		{401, "<html>log in</html>", notify.Pause, false},
		{403, "Forbidden", notify.Pause, false},
		{403, "no_such_word_yet", notify.Pause, false},
		{404, "<html>not here</html>", notify.Retry, true},
		{407, "", notify.Pause, false},
		{400, "Bad Request", notify.Retry, true},
		{404, "no_service", notify.Pause, false},
		{400, "odd_word", notify.Park, false},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.body), func(t *testing.T) {
			t.Parallel()
			c := &client{scale: 1, timeout: 5 * time.Second, http: http.DefaultClient}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(srv.Close)
			f := c.webhook(t.Context(), srv.URL, outgoing{})
			if f == nil || f.out.Class != tt.class || f.out.DestinationWide != tt.wide || f.unknown {
				t.Errorf("%+v, %+v", f, f.out)
			}
		})
	}
}

func TestAWebhookSendsPlainTextWhereTheLayoutIsRefused(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.Refuse("invalid_blocks"))
	out := r.show(mining())
	if m := r.only(); len(m.Blocks) != 0 || !strings.Contains(m.Text, "INC-42") || len(out.Warnings) != 1 {
		t.Errorf("%+v, %q", m, out.Warnings)
	}
	r.noViolations()
}

func TestAWebhookWaitsAsLongAsItIsAsked(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{PostsPerSecond: 0.2, Burst: 1})
	s := newStory()
	r.show(s.v)
	e := r.fails(s.close().v, notify.Retry)
	if e.After != 5*time.Second || !e.DestinationWide {
		t.Errorf("%+v", e)
	}
	r.clock.pass(e.After)
	r.show(s.v)
	if n := len(r.fake.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestTheTestOfAWebhook(t *testing.T) {
	t.Parallel()
	r := hooked(t, fakeslack.Options{})
	if said, err := r.n.Test(t.Context()); err != nil || !strings.Contains(said, "test message") {
		t.Errorf("%q, %v", said, err)
	}
	r.only()
	got := r.n.Check(t.Context())
	if len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Message, "new message per change") {
		t.Errorf("%+v", got)
	}
	r.noViolations()
}

// TestRandomLivesByWebhook ends each life with at most one message too many for
// each unknown outcome, and none too few.
func TestRandomLivesByWebhook(t *testing.T) {
	t.Parallel()
	kinds := []fakeslack.Fault{fakeslack.RateLimited, fakeslack.ResetBefore, fakeslack.ResetAfter, fakeslack.ServerErrorAfter, fakeslack.HalfResponse}
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := hooked(t, fakeslack.Options{Faults: fakeslack.Faults{Seed: seed, Rate: 0.3, Kinds: kinds}})
			chance := rand.New(rand.NewPCG(seed, 2))
			s := newStory()
			for i := range 10 {
				if i > 0 {
					live(s, chance)
				}
				for range 30 {
					_, err := r.try(s.v)
					if err == nil {
						break
					}
					e := notify.AsError(err)
					if e.Class == notify.Undecided {
						r.state, err = AllowCreate(r.state)
						if err != nil {
							t.Fatal(err)
						}
					}
					r.clock.pass(max(e.After, time.Second))
				}
			}
			unknown := 0
			for _, ex := range r.fake.Transcript() {
				if ex.Fault != fakeslack.NoFault && ex.Fault != fakeslack.RateLimited {
					unknown++
				}
			}
			want := 1
			for _, e := range s.v.Events {
				if e.Alerts || e.Kind == incident.KindClosed {
					want++
				}
			}
			if n := len(r.fake.Messages()); n < want || n > want+unknown {
				t.Errorf("%d messages for %d changes and %d unknown outcomes", n, want, unknown)
			}
			r.noViolations()
		})
	}
}
