package fakeslack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Message is what a channel shows.
type Message struct {
	Channel     string // id
	TS          string
	ThreadTS    string // empty for a root
	Text        string
	Blocks      json.RawMessage // as sent; null or empty: none
	Attachments json.RawMessage
	Metadata    json.RawMessage
	Broadcast   bool // a reply that the channel shows too
	Bot         bool // guardroom's own
	Webhook     bool // came by the incoming webhook
	Edits       int
	Deleted     bool
	// History has the texts before each edit, oldest first.
	History []string
}

// Messages returns the messages that are no replies, in the order in which they
// were posted, with deleted ones left out.
func (s *Server) Messages() []Message {
	return s.filter(func(m *Message) bool { return m.ThreadTS == "" && !m.Deleted })
}

// Replies returns the thread of a root, in order.
func (s *Server) Replies(channel, ts string) []Message {
	return s.filter(func(m *Message) bool { return m.Channel == channel && m.ThreadTS == ts && !m.Deleted })
}

// All returns every message there ever was, replies and deleted ones too.
func (s *Server) All() []Message { return s.filter(func(*Message) bool { return true }) }

func (s *Server) filter(keep func(*Message) bool) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.messages {
		if keep(m) {
			c := *m
			c.History = slices.Clone(m.History)
			out = append(out, c)
		}
	}
	return out
}

// Limits: https://docs.slack.dev/reference/block-kit and the method pages.
const (
	maxText        = 40_000
	maxAttachments = 100
	maxWhole       = 13_200 // undocumented: https://github.com/slackapi/bolt-js/issues/2509
	maxMetadata    = 8 << 10
)

var idForm = regexp.MustCompile(`^[CDG][A-Z0-9]{6,}$`)

// find returns the channel by id, or by name where names are taken.
func (s *Server) find(channel string, names bool) *Channel {
	name := strings.TrimPrefix(channel, "#")
	for _, c := range s.channels {
		if c.ID == channel || names && c.Name == name {
			return c
		}
	}
	if !s.opts.AnyChannel || !names || name == "" {
		return nil
	}
	c := &Channel{ID: channel, Name: name, Member: true}
	if !idForm.MatchString(channel) {
		c.ID = fmt.Sprintf("C0FAKE%04d", len(s.channels))
	}
	s.channels = append(s.channels, c)
	return c
}

// open returns the channel when the bot may post there, or the refusal.
func (s *Server) open(method, channel string, names bool) (*Channel, *answer) {
	if channel == "" {
		return nil, s.refuse(method, "channel_not_found", "no channel")
	}
	c := s.find(channel, names)
	switch {
	case c == nil, c.Private && !c.Member:
		return nil, word(method, "channel_not_found")
	case c.Archived:
		return nil, word(method, "is_archived")
	case !c.Member && !slices.Contains(s.opts.Scopes, "chat:write.public"):
		return nil, word(method, "not_in_channel")
	}
	return c, nil
}

func (s *Server) postMessage(args map[string]json.RawMessage) *answer {
	const method = "chat.postMessage"
	if a := s.need("chat:write"); a != nil {
		return a
	}
	c, a := s.open(method, str(args, "channel"), true)
	if a != nil {
		return a
	}
	if wait := s.overPosts(c.ID); wait != "" {
		return limited(wait)
	}
	if w, why := checkMessage(args); w != "" {
		return s.refuse(method, w, "%s", why)
	}
	m := newMessage(c.ID, args)
	if m.ThreadTS != "" {
		root := s.message(c.ID, m.ThreadTS)
		if root == nil || root.ThreadTS != "" {
			return word(method, "thread_not_found")
		}
	} else if m.Broadcast {
		s.violate("%s: reply_broadcast on a message that is no reply", method)
	}
	s.judge(method, args, true)
	s.add(m)
	effect := "posted"
	if m.ThreadTS != "" {
		effect = "replied"
	}
	return reply(map[string]any{"channel": c.ID, "ts": m.TS, "message": m.public(true)}, effect)
}

func newMessage(channel string, args map[string]json.RawMessage) *Message {
	m := &Message{Channel: channel, Bot: true, ThreadTS: str(args, "thread_ts"), Broadcast: truth(args, "reply_broadcast")}
	m.take(args)
	return m
}

// take replaces what the arguments name and keeps the rest.
func (m *Message) take(args map[string]json.RawMessage) {
	if t, found := args["text"]; found && string(t) != "null" {
		m.Text = str(args, "text")
		if utf8.RuneCountInString(m.Text) > maxText {
			m.Text = string([]rune(m.Text)[:maxText])
		}
	}
	for key, to := range map[string]*json.RawMessage{"blocks": &m.Blocks, "attachments": &m.Attachments, "metadata": &m.Metadata} {
		if raw, found := args[key]; found && string(raw) != "null" {
			*to = raw
		}
	}
}

// add gives the message a ts, which grows from one message to the next.
func (s *Server) add(m *Message) {
	now := s.opts.Now().Truncate(time.Microsecond)
	if !now.After(s.lastTS) {
		now = s.lastTS.Add(time.Microsecond)
	}
	s.lastTS = now
	m.TS = timestamp(now)
	s.messages = append(s.messages, m)
}

func timestamp(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

func (s *Server) message(channel, ts string) *Message {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts && !m.Deleted {
			return m
		}
	}
	return nil
}

func (s *Server) update(args map[string]json.RawMessage) *answer {
	const method = "chat.update"
	if a := s.need("chat:write"); a != nil {
		return a
	}
	if wait := s.overCalls(method); wait != "" {
		return limited(wait)
	}
	channel := str(args, "channel")
	if !idForm.MatchString(channel) {
		return s.refuse(method, "channel_not_found", "%q is no channel id", channel)
	}
	c, a := s.open(method, channel, false)
	if a != nil {
		return a
	}
	m := s.message(c.ID, str(args, "ts"))
	switch {
	case m == nil:
		return word(method, "message_not_found")
	case !m.Bot || m.Webhook:
		return s.refuse(method, "cant_update_message", "the message is somebody else's")
	}
	after := *m
	after.take(args)
	// What was left out is kept, so the whole is what must be within the limits.
	if w, why := checkMessage(after.arguments()); w != "" {
		return s.refuse(method, w, "%s", why)
	}
	s.judge(method, args, false)
	after.History = append(slices.Clone(m.History), m.Text)
	after.Edits++
	*m = after
	return reply(map[string]any{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": m.public(true)}, "edited")
}

func (m *Message) arguments() map[string]json.RawMessage {
	args := map[string]json.RawMessage{"text": encode(m.Text)}
	for key, raw := range map[string]json.RawMessage{"blocks": m.Blocks, "attachments": m.Attachments, "metadata": m.Metadata} {
		if len(raw) > 0 {
			args[key] = raw
		}
	}
	return args
}

// public is the message as the API shows it.
func (m *Message) public(metadata bool) map[string]any {
	v := map[string]any{"type": "message", "ts": m.TS, "text": m.Text}
	if m.Bot {
		v["bot_id"], v["app_id"] = "B0FAKEBOT1", "A0FAKEAPP1"
	} else {
		v["user"] = "U0FAKEHUMAN"
	}
	if m.ThreadTS != "" {
		v["thread_ts"] = m.ThreadTS
	}
	if m.Broadcast {
		v["subtype"] = "thread_broadcast"
	}
	for key, raw := range map[string]json.RawMessage{"blocks": m.Blocks, "attachments": m.Attachments} {
		if len(raw) > 0 {
			v[key] = raw
		}
	}
	if metadata && len(m.Metadata) > 0 {
		v["metadata"] = m.Metadata
	}
	return v
}

// webhook is an incoming webhook: text answers, errors by status.
func (s *Server) webhook(r *http.Request, body []byte) *answer {
	if r.URL.Path != webhookPath {
		return word(methodWebhook, "no_service")
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return s.refuse(methodWebhook, "invalid_payload", "content type %q", r.Header.Get("Content-Type"))
	}
	args := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &args); err != nil {
		return s.refuse(methodWebhook, "invalid_payload", "not a JSON object: %v", err)
	}
	c := s.find(webhookChannel, false)
	switch {
	case c == nil:
		return word(methodWebhook, "channel_not_found")
	case c.Archived:
		return word(methodWebhook, "channel_is_archived")
	}
	if wait := s.overPosts(c.ID); wait != "" {
		a := text(http.StatusTooManyRequests, "rate_limited")
		a.header.Set("Retry-After", wait)
		return a
	}
	if w, why := checkMessage(args); w != "" {
		return s.refuse(methodWebhook, w, "%s", why)
	}
	s.judge(methodWebhook, args, true)
	m := newMessage(c.ID, args)
	m.Webhook, m.ThreadTS, m.Broadcast = true, "", false
	s.add(m)
	a := text(http.StatusOK, "ok")
	a.effect = "posted"
	return a
}
