package slack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/internal/fakeslack"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	soc := func(change func(*fakeslack.Channel)) []fakeslack.Channel {
		c := fakeslack.Channel{ID: fakeslack.DefaultChannel, Name: "soc", Member: true}
		if change != nil {
			change(&c)
		}
		return []fakeslack.Channel{c}
	}
	all := fakeslack.DefaultScopes()
	for _, tt := range []struct {
		name     string
		scopes   []string
		channels []fakeslack.Channel
		channel  string
		want     []string
	}{
		{"everything is right", all, soc(nil), "soc", []string{"ok token", "ok scope chat:write", "ok channel soc", "ok recovery in soc"}},
		{"by id", all, soc(nil), fakeslack.DefaultChannel, []string{"ok token", "ok scope chat:write", "ok channel C0FAKESOC1", "ok recovery in C0FAKESOC1"}},
		{"the token may not post", []string{"channels:read", "channels:history"}, soc(nil), "soc",
			[]string{"ok token", "bad scope chat:write", "ok channel soc", "ok recovery in soc"}},
		{"the channel does not exist", all, soc(nil), "#sock", []string{"ok token", "ok scope chat:write", "bad channel #sock"}},
		{"an id that does not exist", all, soc(nil), "C0FAKE9999", []string{"ok token", "ok scope chat:write", "bad channel C0FAKE9999"}},
		{"the channel is archived", all, soc(func(c *fakeslack.Channel) { c.Archived = true }), "soc", []string{"ok token", "ok scope chat:write", "bad channel soc"}},
		{"the app is not in it and may not post", []string{"chat:write", "channels:read"}, soc(func(c *fakeslack.Channel) { c.Member = false }), "soc",
			[]string{"ok token", "ok scope chat:write", "bad channel soc"}},
		{"a message could not be found again", []string{"chat:write", "channels:read"}, soc(nil), "soc",
			[]string{"ok token", "ok scope chat:write", "ok channel soc", "bad recovery in soc"}},
		{"the app may post and cannot read", all, soc(func(c *fakeslack.Channel) { c.Member = false }), "soc",
			[]string{"ok token", "ok scope chat:write", "ok channel soc", "bad recovery in soc"}},
		{"a name cannot be resolved", []string{"chat:write", "channels:history"}, soc(nil), "soc", []string{"ok token", "ok scope chat:write", "bad channel soc"}},
		{"an id cannot be looked at", []string{"chat:write", "channels:history"}, soc(nil), fakeslack.DefaultChannel,
			[]string{"ok token", "ok scope chat:write", "ok channel C0FAKESOC1", "ok recovery in C0FAKESOC1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{Scopes: tt.scopes, Channels: tt.channels}, func(c *Config) { c.Channel = tt.channel })
			var got []string
			for _, f := range r.n.Check(t.Context()) {
				word := map[bool]string{true: "ok", false: "bad"}[f.OK]
				got = append(got, fmt.Sprintf("%s %s", word, f.What))
				if f.Message == "" || f.OK == (f.Hint != "") {
					t.Errorf("message %q, hint %q", f.Message, f.Hint)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := len(r.fake.Messages()); n != 0 {
				t.Errorf("checking posted %d messages", n)
			}
		})
	}
}

func TestCheckLooksAtTheFallbackToo(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.Fallback = "gone" })
	got := r.n.Check(t.Context())
	last := got[len(got)-1]
	if last.OK || last.What != "channel gone" {
		t.Errorf("%+v", last)
	}
}

func TestCheckWithARevokedToken(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{Token: "xoxb-other"})
	got := r.n.Check(t.Context())
	if len(got) != 1 || got[0].OK || !strings.Contains(got[0].Message, "invalid_auth") || got[0].Hint == "" || strings.Contains(fmt.Sprint(got), fakeslack.DefaultToken) {
		t.Errorf("%+v", got)
	}
}
