package slack

import (
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

func TestAnIncidentIsOneMessageThatIsEdited(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	out := r.show(s.v)
	first := r.only()
	if want := first.Channel + "/" + first.TS; out.Reference != want || !strings.HasPrefix(out.URL, "https://example.slack.com/archives/"+first.Channel+"/p") {
		t.Errorf("reference %q, want %q; URL %q", out.Reference, want, out.URL)
	}
	for _, change := range []func(*story) *story{(*story).acknowledge, (*story).contain, (*story).close, (*story).reopen} {
		r.show(change(s).v)
	}
	m := r.only()
	if m.TS != first.TS || m.Edits != 4 {
		t.Errorf("ts %s, edits %d; want %s, 4", m.TS, m.Edits, first.TS)
	}
	if got := len(r.replies()); got != 4 {
		t.Errorf("%d lines in the thread, want 4", got)
	}
	r.noViolations()
}

// The defect: the same finding again on every update.
func TestDefectPostedAgainOnEveryUpdate(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	for i := range 50 {
		r.show(s.update(strings.Repeat("x", i+1)).v)
	}
	if m := r.only(); m.Edits != 49 || len(r.replies()) != 0 {
		t.Errorf("%d edits, %d lines", m.Edits, len(r.replies()))
	}
}

func TestARevisionThatChangesNothingVisibleMakesNoCall(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	before := len(r.fake.Transcript())
	later := *s.v
	later.Revision = 9
	later.Context = append([]message.Text{}, s.v.Context[:5]...)
	later.Context = append(later.Context, message.Words("3 h")) // only the age is another one
	r.restart()
	out := r.show(&later)
	if out.Quiet == "" {
		t.Error("nothing was done, and the outcome does not say so")
	}
	for _, ex := range r.fake.Transcript()[before:] {
		if ex.Method != "auth.test" {
			t.Errorf("a call of %s", ex.Method)
		}
	}
}

func TestOnlyTheFirstPostAndARiseCallPeople(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	if m := r.only(); !strings.Contains(string(m.Blocks), `\n<!here>"`) {
		t.Errorf("the first post calls nobody: %s", m.Blocks)
	}
	r.show(s.acknowledge().v)
	if m := r.only(); strings.Contains(string(m.Blocks), "<!here>") {
		t.Errorf("an edit calls people: %s", m.Blocks)
	}
	r.show(s.raise(9.4).v)
	lines := r.replies()
	last := lines[len(lines)-1]
	if !last.Broadcast || !strings.HasSuffix(strings.TrimSuffix(string(last.Blocks), `","verbatim":true}}]`), "<!here>") {
		t.Errorf("the rise is not told to the channel with a mention: %+v", last)
	}
	if lines[0].Broadcast || strings.Contains(string(lines[0].Blocks), "<!") {
		t.Errorf("an acknowledgement reaches the channel: %s", lines[0].Blocks)
	}
	r.noViolations()
}

func TestWhoIsCalled(t *testing.T) {
	t.Parallel()
	with := func(change func(*message.View)) *message.View {
		v := mining()
		change(v)
		return v
	}
	for _, tt := range []struct {
		name    string
		mention [2]string // at, who
		view    *message.View
		want    string
	}{
		{"high calls here by default", [2]string{}, mining(), "<!here>"},
		{"medium calls nobody by default", [2]string{}, with(func(v *message.View) { v.Severity, v.Band = 6.9, finding.Medium }), ""},
		{"a group is called from medium upward", [2]string{"medium", "<!subteam^S012AB>"}, with(func(v *message.View) { v.Severity, v.Band = 5, finding.Medium }), "<!subteam^S012AB>"},
		{"never is never", [2]string{"never", ""}, with(func(v *message.View) { v.Severity, v.Band = 10, finding.Critical }), ""},
		{"a sample calls nobody", [2]string{}, with(func(v *message.View) { v.Sample = true }), ""},
		{"a test calls nobody", [2]string{"informational", ""}, message.BuildTest("soc", start), ""},
		{"what is closed already calls nobody", [2]string{}, newStory().close().v, ""},
		{"what somebody has already calls nobody", [2]string{}, newStory().acknowledge().v, ""},
		{"a paused destination calls", [2]string{}, notice(time.Time{}), "<!here>"},
		{"a resolved notice does not", [2]string{}, notice(start), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.Mention.At, c.Mention.Who = tt.mention[0], tt.mention[1] })
			r.show(tt.view)
			if got := string(r.only().Blocks); (tt.want == "") == strings.Contains(got, "<!") || !strings.Contains(got, tt.want) {
				t.Errorf("want %q in %s", tt.want, got)
			}
			r.noViolations()
		})
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"a mention of the whole channel", func(c *Config) { c.Mention.Who = "<!channel>" }},
		{"a mention of everyone", func(c *Config) { c.Mention.Who = "<!everyone>" }},
		{"a mention with more behind it", func(c *Config) { c.Mention.Who = "<!here> <!channel>" }},
		{"a severity that is none", func(c *Config) { c.Mention.At = "urgent" }},
		{"no channel", func(c *Config) { c.Channel = "#" }},
		{"token and webhook", func(c *Config) { c.WebhookURL = c.Token }},
		{"an address that is none", func(c *Config) { c.APIURL = "slack.com/api" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := r.cfg
			tt.change(&cfg)
			if _, err := New(cfg, Deps{}); err == nil {
				t.Error("it was taken")
			} else if strings.Contains(err.Error(), fakeslack.DefaultToken) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

func TestTheAddressMayEndInASlashOrNot(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.APIURL = strings.TrimRight(c.APIURL, "/") })
	r.show(mining())
	r.only()
}

// The defect: a mention injected through a bucket name.
func TestDefectAMentionByABucketName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"<!channel>", "<!here>", "<!everyone>", "<@U0123ABC>", "<!subteam^S0123>", "&lt;!channel&gt;", "<http://evil.example|click>",
		"`<!channel>`", "a`\n<!here>", "@here", "@channel", "#general", "\u202e<!channel>", strings.Repeat("`<!here>", 500),
	} {
		r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.Mention.At = "never" })
		v := hostile()
		v.Headline, v.Sentence, v.Meaning = message.Words("Policy changed on ").Value(name), message.Value(name), message.Value(name)
		v.Facts = []message.Fact{{Label: "Resource", Value: message.Value(name)}}
		v.Context = []message.Text{message.Value(name)}
		v.ClosingNote, v.AcknowledgedBy = name, name
		s := &story{v}
		r.show(s.v)
		s.happens(incident.KindResourceJoined, false, message.Words("Another resource joined: ").Value(name).Words("."))
		r.show(s.v)
		s.v.Meaning = message.Value(name)
		r.show(s.close().v)
		for _, m := range append(r.replies(), r.only()) {
			all := m.Text + string(m.Blocks) + string(m.Attachments)
			for _, bad := range []string{"<!", "<@", "<#", "<http://evil"} {
				if strings.Contains(all, bad) {
					t.Errorf("%q became %s in %s", name, bad, all)
				}
			}
		}
		r.noViolations()
	}
}

func TestEventsThatPileUpAreToldTogether(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	for range 14 {
		s.happens(incident.KindResourceJoined, false, message.Words("Another resource joined: ").Value("i-0aaa").Words("."))
	}
	r.show(s.raise(9.1).v)
	lines := r.replies()
	if len(lines) != 1 || !lines[0].Broadcast || !strings.Contains(lines[0].Text, "and 5 more") {
		t.Errorf("lines: %+v", lines)
	}
	r.show(s.v)
	if got := len(r.replies()); got != 1 {
		t.Errorf("%d lines after nothing happened", got)
	}
}

func TestAResolvedNoticeIsAnEdit(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.show(notice(time.Time{}))
	v := notice(start)
	v.Revision = 2
	r.show(v)
	if m := r.only(); m.Edits != 1 || !strings.Contains(string(m.Blocks), "~*HIGH*") {
		t.Errorf("edits %d: %s", m.Edits, m.Blocks)
	}
	r.noViolations()
}

func TestADeletedMessageIsContinuedOnce(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	first := r.only()
	r.fake.Delete(first.Channel, first.TS)
	out := r.show(s.acknowledge().v)
	m := r.only()
	if m.TS == first.TS || !strings.Contains(string(m.Attachments), "continues an earlier message") || len(out.Warnings) != 1 {
		t.Errorf("message %+v, warnings %q", m, out.Warnings)
	}
	if strings.Contains(string(m.Blocks), "<!here>") {
		t.Error("the new message calls people again")
	}
	r.fake.Delete(m.Channel, m.TS)
	e := r.fails(s.close().v, notify.Park)
	if e.Reason != "not_found" || len(r.fake.Messages()) != 0 {
		t.Errorf("reason %s, messages %d", e.Reason, len(r.fake.Messages()))
	}
	r.noViolations()
}

func TestASomebodyElsesMessageIsNotEdited(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	// Another app has copied our metadata, and our own attempt was lost.
	r.fake.Fail(fakeslack.ResetBefore)
	r.fails(mining(), notify.Retry)
	r.clock.pass(time.Second)
	foreign := r.fake.Say(fakeslack.DefaultChannel, "hello", encode(rootMetadata(mining())))
	r.settle(newStory().acknowledge().v)
	all := r.fake.Messages()
	if len(all) != 2 || all[0].TS != foreign || all[0].Text != "hello" || !all[1].Bot {
		t.Errorf("messages: %+v", all)
	}
}

func TestTheFallbackIsUsedWhereTheChannelCannotBe(t *testing.T) {
	t.Parallel()
	archived := func(c *fakeslack.Channel) { c.Archived = true }
	for _, tt := range []struct {
		name   string
		change func(*fakeslack.Channel)
		before bool // the channel is broken before the first post
	}{
		{"an archived channel", archived, true},
		{"a channel that was archived later", archived, false},
		{"a private channel without the app", func(c *fakeslack.Channel) { c.Private, c.Member = true, false }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			broken := fakeslack.Channel{ID: fakeslack.DefaultChannel, Name: "soc", Member: true}
			tt.change(&broken)
			r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.Fallback = fakeslack.FallbackChannel })
			s := newStory()
			if tt.before {
				r.fake.SetChannel(broken)
			}
			r.show(s.v)
			r.fake.SetChannel(broken)
			out := r.show(s.acknowledge().v)
			all := r.fake.Messages()
			m := all[len(all)-1]
			if m.Channel != fakeslack.FallbackChannel || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "soc") {
				t.Errorf("channel %s, warnings %q", m.Channel, out.Warnings)
			}
			if want := map[bool]int{true: 1, false: 2}[tt.before]; len(all) != want {
				t.Errorf("%d messages, want %d", len(all), want)
			}
			r.show(s.close().v)
			if n := len(r.fake.Messages()); n != len(all) {
				t.Errorf("%d messages after another edit", n)
			}
			// Without a fallback somebody must look.
			r2 := newRoom(t, fakeslack.Options{})
			r2.fake.SetChannel(broken)
			if e := r2.fails(mining(), notify.Park); e.Hint == "" || e.Reason != "not_found" {
				t.Errorf("%+v", e)
			}
			r.noViolations()
		})
	}
}

func TestALayoutThatSlackRefusesBecomesPlainText(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.Refuse("invalid_blocks"))
	s := newStory()
	out := r.show(s.v)
	m := r.only()
	if len(m.Blocks) != 0 || !strings.Contains(m.Text, "INC-42") || !strings.HasSuffix(m.Text, "<!here>") || len(out.Warnings) != 1 {
		t.Errorf("text %q, blocks %s, warnings %q", m.Text, m.Blocks, out.Warnings)
	}
	r.show(s.acknowledge().v)
	if m := r.only(); m.Edits != 1 || len(r.replies()) != 1 {
		t.Errorf("edits %d, lines %d", m.Edits, len(r.replies()))
	}
	r.noViolations()
	r.fake.Fail(fakeslack.Refuse("msg_too_long"))
	r.fails(s.close().v, notify.Park)
}

func TestALayoutRefusedLaterTakesTheBlocksAway(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	r.fake.Fail(fakeslack.Refuse("msg_blocks_too_long"))
	r.show(s.update("now").v)
	if m := r.only(); string(m.Blocks) != "[]" || string(m.Attachments) != "[]" || m.Text == "" {
		t.Errorf("blocks %s, attachments %s", m.Blocks, m.Attachments)
	}
}

func TestTestPostsARealMessage(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	said, err := r.n.Test(t.Context())
	if err != nil || !strings.Contains(said, "#soc") || !strings.Contains(said, "https://example.slack.com/archives/"+fakeslack.DefaultChannel) {
		t.Errorf("%q, %v", said, err)
	}
	if m := r.only(); !strings.Contains(m.Text, "Test: ") {
		t.Errorf("text %q", m.Text)
	}
	r.noViolations()
	r.fake.SetToken("xoxb-another")
	if _, err := r.n.Test(t.Context()); notify.AsError(err).Class != notify.Pause {
		t.Errorf("a test with a revoked token: %v", err)
	}
}

func TestAStateOfAnotherVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	for _, raw := range []string{`{"version":99}`, `{"version":"x"}`, `[]`} {
		r.state = []byte(raw)
		r.fails(mining(), notify.Park)
		if _, err := AllowCreate(r.state); err == nil {
			t.Errorf("%s: AllowCreate took it", raw)
		}
	}
	if n := len(r.fake.Transcript()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
