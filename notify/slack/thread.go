package slack

import (
	"context"
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/notify/message"
)

// maxLines of one message in the thread. Events that pile up while Slack cannot
// be reached are told together.
const maxLines = 10

// maxEventText is the longest sentence in the thread: a person's note in it, or the
// command that approves a plan, which must not be cut.
const maxEventText = 420

// tell posts the events to the thread, as one message.
func (r *run) tell(ctx context.Context, events []message.Event) error {
	last := events[len(events)-1].Seq
	if err := r.begin(ctx, &r.s.Line, attempt{Seq: last}); err != nil {
		return err
	}
	c := r.n.line(r.v, events, r.raised(events))
	if r.s.Plain {
		c = c.simplified()
	}
	m := c.message()
	m.Channel, m.ThreadTS, m.Metadata = r.s.Channel, r.s.TS, lineMetadata(r.v, last)
	for _, e := range events {
		m.ReplyBroadcast = m.ReplyBroadcast || e.Alerts && !r.v.Sample
	}
	if _, f := r.n.client.post(ctx, m); f != nil {
		return r.failed(ctx, f, &r.s.Line)
	}
	r.s.Told, r.s.Line, r.s.LineBlind = max(r.s.Told, last), nil, 0
	return r.keep(ctx)
}

// line lays out events for the thread. What alerts is also shown in the channel,
// so it names the incident.
func (n *Notifier) line(v *message.View, events []message.Event, raised bool) card {
	var rows, spoken []string
	alerts := false
	shown := important(events)
	for _, e := range shown {
		s := mrkdwn(e.Text, maxEventText)
		if e.Alerts {
			s, alerts = "*"+s+"*", true
		}
		rows, spoken = append(rows, s), append(spoken, plain(e.Text, maxEventText))
	}
	if left := len(events) - len(shown); left > 0 {
		more := fmt.Sprintf("and %d more", left)
		rows, spoken = append(rows, more), append(spoken, more)
	}
	if number := line(v.Number, 40); alerts && number != "" {
		rows[0] = linked(linkURL(v.Link, maxLink), number) + " " + rows[0]
		spoken[0] = number + " " + spoken[0]
	}
	body := strings.Join(rows, "\n")
	if mention := n.mention(v, true); raised && mention != "" {
		body += " " + mention
	}
	return card{text: strings.Join(spoken, "\n"), simple: body, blocks: []block{section(body)}}
}

// important returns at most maxLines events in their order: what alerts, then
// what is newest.
func important(events []message.Event) []message.Event {
	room := maxLines
	keep := make([]bool, len(events))
	for _, alerts := range []bool{true, false} {
		for i := len(events) - 1; i >= 0 && room > 0; i-- {
			if events[i].Alerts == alerts {
				keep[i] = true
				room--
			}
		}
	}
	var out []message.Event
	for i, e := range events {
		if keep[i] {
			out = append(out, e)
		}
	}
	return out
}
