package slack

import (
	"context"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// byWebhook announces what has changed. A webhook can neither edit nor answer in
// a thread nor look, so there is a new message for each of the few changes that
// matter, and at most one too many after an unknown outcome.
func (r *run) byWebhook(ctx context.Context) (notify.Outcome, error) {
	if r.s.Begun != nil {
		if err := r.repeatBlindly(ctx); err != nil {
			return notify.Outcome{}, err
		}
	}
	for range maxActs {
		events, due := r.due()
		if !due {
			break
		}
		if err := r.announce(ctx, events); err != nil {
			return notify.Outcome{}, err
		}
	}
	out := notify.Outcome{Warnings: slices.Clone(r.s.Warnings)}
	if !r.acted {
		out.Quiet = "nothing has happened that a webhook announces"
	}
	return out, nil
}

// due returns the untold events that a webhook announces, and whether there is
// anything to announce at all.
func (r *run) due() ([]message.Event, bool) {
	var out []message.Event
	for _, e := range r.untold() {
		switch e.Kind {
		case incident.KindContained, incident.KindClosed, incident.KindReopened, incident.KindPlanWaits, incident.KindPlanExpires, incident.KindDrift,
			incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain:
			out = append(out, e)
		case incident.KindSeverityRaised, incident.KindRunEnded:
			if e.Alerts {
				out = append(out, e)
			}
		}
	}
	// Notices and digests have no events; a notice ends by being closed.
	ended := r.v.Kind != message.KindIncident && r.v.State == incident.Closed && !r.s.Closed
	return out, !r.s.Opened || ended || len(out) > 0
}

func (r *run) announce(ctx context.Context, events []message.Event) error {
	d := dressing{}
	if !r.s.Opened || r.raised(events) {
		d.mention = r.n.mention(r.v, r.s.Opened)
	}
	c := r.n.root(r.v, d)
	if r.s.Opened && len(events) > 0 {
		told := r.n.line(r.v, events, false)
		c.text = told.text
		c.attachments = slices.Insert(c.attachments, 0, attachment{Color: colour(r.v), Blocks: told.blocks})
		c.simple = told.simple + "\n" + c.simple
	}
	if r.s.Plain {
		c = c.simplified()
	}
	if err := r.begin(ctx, &r.s.Begun, attempt{Seq: r.lastSeq()}); err != nil {
		return err
	}
	if f := r.n.client.webhook(ctx, r.n.cfg.WebhookURL.Reveal(), c.message()); f != nil {
		return r.failed(ctx, f, &r.s.Begun)
	}
	r.s.Told = max(r.s.Told, r.s.Begun.Seq)
	r.s.Opened, r.s.Closed = true, r.v.State == incident.Closed
	r.s.Begun, r.s.Since, r.s.Blind = nil, time.Time{}, 0
	return r.keep(ctx)
}

// repeatBlindly lets a message with an unknown outcome be sent once more.
func (r *run) repeatBlindly(ctx context.Context) error {
	if err := r.wait(r.s.Begun.At, settle); err != nil {
		return err
	}
	return r.postBlindly(ctx, "a webhook cannot")
}
