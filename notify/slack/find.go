package slack

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// settle is how long a request may still be on its way inside Slack after we
// have lost sight of it, and confirm how much later a second look comes before a
// message counts as missing. margin is for clocks that differ.
const (
	settle  = 5 * time.Second
	confirm = 5 * time.Second
	margin  = 60 * time.Second
	// leastWait is what a network and a scheduler need, at any tempo.
	leastWait = 100 * time.Millisecond
)

// wait returns an error to come again, while less than d has passed since t.
func (r *run) wait(t time.Time, d time.Duration) error {
	d = max(r.n.scaled(d), leastWait)
	passed := r.n.now().Sub(t)
	if passed >= d {
		return nil
	}
	return &notify.Error{Class: notify.Retry, Reason: "unknown_outcome", After: min(d, d-passed),
		Message: "an attempt to post was interrupted; guardroom looks for the message before it posts again",
		Safe:    "the message may be there already"}
}

// findRoot looks for the message of a begun attempt: adopts it, or clears the
// attempt so that it is posted again.
func (r *run) findRoot(ctx context.Context) error {
	b := r.s.Begun
	if err := r.wait(b.At, settle); err != nil {
		return err
	}
	var at []posted
	blind, f := r.look(ctx, b.Target, func(channel string) (bool, *failure) {
		args := url.Values{"channel": {channel}, "oldest": {stamp(r.s.Since.Add(-margin))}, "inclusive": {"true"}, "include_all_metadata": {"true"}}
		return r.n.client.search(ctx, "conversations.history", args, func(p page) bool {
			for _, m := range p.Messages {
				if m.root() && m.belongs(rootEvent, r.v.Delivery, 0) && !slices.Contains(r.s.Old, m.TS) {
					at = append(at, posted{channel, m.TS})
				}
			}
			return false // newest come first, and the oldest is ours
		})
	})
	switch {
	case f != nil:
		return f.out
	case len(at) > 0:
		if len(at) > 1 {
			r.s.warn("the incident has more than one message; the first one is kept up to date")
		}
		first := at[len(at)-1]
		return r.adopt(ctx, first.Channel, first.TS)
	case blind != "":
		return r.postBlindly(ctx, blind)
	}
	return r.missing(ctx, &r.s.Begun)
}

// missing clears an attempt of which Slack has nothing, at the second look.
func (r *run) missing(ctx context.Context, slot **attempt) error {
	a := *slot
	if a.Looked.IsZero() {
		a.Looked = r.n.now().UTC()
		if err := r.keep(ctx); err != nil {
			return err
		}
	}
	if err := r.wait(a.Looked, confirm); err != nil {
		return err
	}
	*slot = nil
	return r.keep(ctx)
}

// postBlindly lets a root be posted again although nobody can look, once.
func (r *run) postBlindly(ctx context.Context, why string) error {
	if r.s.Blind > 0 {
		return &notify.Error{Class: notify.Undecided, Reason: "unknown_outcome",
			Message: "it is not known whether Slack has the message, and guardroom cannot look (" + why + ")",
			Safe:    "it was tried twice; there may be none, one or two messages",
			Hint:    fmt.Sprintf("look for %s in the channel; where it is missing: guardroom delivery retry", orElse(r.v.Number, "the message"))}
	}
	r.s.Blind++
	r.s.Begun = nil
	r.s.warn("posted again after an unknown outcome because guardroom cannot look (" + why + "); there may be two messages")
	return r.keep(ctx)
}

// look calls search with the channel's id. It returns why nobody can look there,
// where that is so.
func (r *run) look(ctx context.Context, target string, search func(channel string) (bool, *failure)) (blind string, f *failure) {
	id, why, f := r.n.channelID(ctx, target)
	if f != nil || id == "" {
		return why, f
	}
	whole, f := search(id)
	switch {
	case f != nil && f.cannotLook():
		return orElse(f.word, f.out.Reason), nil
	case f != nil:
		return "", f
	case !whole:
		return "too many messages", nil
	}
	return "", nil
}

// cannotLook reports whether a look was refused for good: by a scope, because of
// the channel, or because whoever stands there for Slack has no such call. It
// must not park what only wanted to look.
func (f *failure) cannotLook() bool {
	return f.kind == kindBlind || f.kind == kindChannel || f.kind == kindAbsent || f.out.Class == notify.Park
}

// findLine looks for the line of a begun attempt. At most one is posted twice,
// and only where nobody can look; a page is never held up for it.
func (r *run) findLine(ctx context.Context) error {
	b := r.s.Line
	if err := r.wait(b.At, settle); err != nil {
		return err
	}
	there := false
	args := url.Values{"channel": {r.s.Channel}, "ts": {r.s.TS}, "oldest": {stamp(b.At.Add(-margin))}, "inclusive": {"true"}, "include_all_metadata": {"true"}}
	blind, f := r.look(ctx, r.s.Channel, func(string) (bool, *failure) {
		return r.n.client.search(ctx, "conversations.replies", args, func(p page) bool {
			there = there || slices.ContainsFunc(p.Messages, func(m found) bool { return m.belongs(lineEvent, r.v.Delivery, b.Seq) })
			return there
		})
	})
	switch {
	case f != nil && f.kind == kindLost:
		r.s.Line = nil // the next act on the root will tell what became of it
		return r.keep(ctx)
	case f != nil:
		return f.out
	case there:
		r.s.Told, r.s.Line, r.s.LineBlind = max(r.s.Told, b.Seq), nil, 0
		return r.keep(ctx)
	case blind == "":
		return r.missing(ctx, &r.s.Line)
	}
	r.s.Line = nil
	if r.s.LineBlind > 0 {
		r.s.Told, r.s.LineBlind = max(r.s.Told, b.Seq), 0
		r.s.warn("a line of the thread may be missing or stand there twice (" + blind + ")")
		return r.keep(ctx)
	}
	r.s.LineBlind++
	r.s.warn("a line of the thread may stand there twice (" + blind + ")")
	return r.keep(ctx)
}

// root reports a message of the channel that is no reply.
func (m found) root() bool {
	return m.Subtype != "thread_broadcast" && (m.ThreadTS == "" || m.ThreadTS == m.TS)
}

func (m found) belongs(event, delivery string, seq int64) bool {
	return m.Metadata != nil && m.Metadata.EventType == event && m.Metadata.EventPayload.Delivery == delivery && m.Metadata.EventPayload.Seq == seq
}

// stamp writes a time as Slack does.
func stamp(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

var idForm = regexp.MustCompile(`^[CDG][A-Z0-9]{6,}$`)

// channelID returns the id of a channel that may be given by name. Where it
// cannot be had, why says so.
func (n *Notifier) channelID(ctx context.Context, target string) (id, why string, f *failure) {
	if idForm.MatchString(target) {
		return target, "", nil
	}
	n.mu.Lock()
	id = n.ids[target]
	n.mu.Unlock()
	if id != "" {
		return id, "", nil
	}
	args := url.Values{"types": {"public_channel,private_channel"}}
	name := strings.TrimPrefix(target, "#")
	whole, f := n.client.search(ctx, "conversations.list", args, func(p page) bool {
		for _, c := range p.Channels {
			if c.Name == name {
				id = c.ID
			}
		}
		return id != ""
	})
	switch {
	case f != nil && f.cannotLook():
		return "", orElse(f.word, f.out.Reason) + " of channels:read; name the channel by its id", nil
	case f != nil:
		return "", "", f
	case id != "":
		n.remember(target, id)
		return id, "", nil
	case !whole:
		return "", "too many channels; name the channel by its id", nil
	}
	return "", "no channel of that name is visible", nil
}
