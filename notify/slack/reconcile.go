package slack

import (
	"context"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// maxDuration of all calls of one Reconcile together, and maxActs more than any
// View needs: it ends a loop that should not exist.
const (
	maxDuration = time.Minute
	maxActs     = 16
)

// run is one Reconcile.
type run struct {
	n     *Notifier
	v     *message.View
	s     state
	save  func(context.Context, any) error // survives the end of the time for calls
	acted bool                             // Slack was asked to change something
}

// Reconcile implements notify.Notifier. Slack has no key that keeps a message
// from being posted twice, so that an attempt begins in the state, and one whose
// outcome nobody knows is looked for before it is repeated.
func (n *Notifier) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	s, err := decodeState(req.State)
	if err != nil {
		return notify.Outcome{}, &notify.Error{Class: notify.Park, Reason: "invalid", Message: err.Error(),
			Safe: "nothing was sent", Hint: "this delivery was written by another version of guardroom; use that one", Err: err}
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	r := &run{n: n, v: req.View, s: s, save: func(_ context.Context, s any) error { return req.Save(parent, s) }}
	if n.byWebhook() {
		return r.byWebhook(ctx)
	}
	for range maxActs + 4*len(r.shown()) {
		done, err := r.act(ctx)
		if err != nil {
			return notify.Outcome{}, err
		}
		if done {
			return r.outcome(ctx), nil
		}
	}
	return notify.Outcome{}, &notify.Error{Class: notify.Park, Reason: "internal", Message: "the steps for this message do not come to an end",
		Safe: "the message may be older than the incident", Hint: "report this with the output of: guardroom delivery show"}
}

// act does the one thing that brings Slack nearer to the View, and reports true
// when there is nothing left. It is asked again with the new state, so that a
// crash between two calls needs no thought of its own.
func (r *run) act(ctx context.Context) (done bool, err error) {
	switch {
	case r.s.TS == "" && r.s.Begun != nil:
		return false, r.findRoot(ctx)
	case r.s.TS == "":
		return false, r.post(ctx)
	case r.s.Hash != r.hash():
		return false, r.edit(ctx)
	case r.s.Line != nil:
		return false, r.findLine(ctx)
	}
	if x, due := r.dueRun(); due {
		return false, r.showRun(ctx, x)
	}
	if events := r.untold(); len(events) > 0 {
		return false, r.tell(ctx, events)
	}
	return true, nil
}

func (r *run) keep(ctx context.Context) error { return r.save(ctx, r.s) }

// card is the root message as it should be now.
func (r *run) card(d dressing) card {
	d.continues = r.continues()
	c := r.n.root(r.v, d)
	if r.s.Plain {
		return c.simplified()
	}
	return c
}

// hash is of what the root shows, without what changes by itself.
func (r *run) hash() string { return r.card(dressing{ageless: true}).hash() }

func (r *run) continues() string {
	if len(r.s.Old) == 0 {
		return ""
	}
	const words = "continues an earlier message"
	return linked(linkURL(r.s.Earlier, maxOther), words)
}

// post makes the root message.
func (r *run) post(ctx context.Context) error {
	target := r.s.Target
	if target == "" {
		target = r.n.cfg.Channel
	}
	mention := ""
	if len(r.s.Old) == 0 || r.raised(r.untold()) {
		mention = r.n.mention(r.v, len(r.s.Old) > 0)
	}
	if err := r.begin(ctx, &r.s.Begun, attempt{Target: target, Seq: r.lastSeq(), Hash: r.hash()}); err != nil {
		return err
	}
	m := r.card(dressing{mention: mention}).message()
	m.Channel, m.Metadata = target, rootMetadata(r.v)
	at, f := r.n.client.post(ctx, m)
	if f != nil {
		return r.failed(ctx, f, &r.s.Begun)
	}
	r.n.remember(target, at.Channel)
	return r.adopt(ctx, at.Channel, at.TS)
}

// begin saves that something is about to be posted, and when.
func (r *run) begin(ctx context.Context, slot **attempt, a attempt) error {
	a.At = r.n.now().UTC()
	if slot == &r.s.Begun && r.s.Since.IsZero() {
		r.s.Since = a.At
	}
	*slot = &a
	r.acted = true
	return r.keep(ctx)
}

// adopt takes a message for the root that the begun attempt made.
func (r *run) adopt(ctx context.Context, channel, ts string) error {
	b := r.s.Begun
	r.s.Channel, r.s.TS, r.s.Target, r.s.Hash = channel, ts, b.Target, b.Hash
	r.s.Told = max(r.s.Told, b.Seq)
	r.s.Begun, r.s.Since, r.s.Blind = nil, time.Time{}, 0
	return r.keep(ctx)
}

// edit brings the root message up to date. Mentions in an edit call nobody, so
// there is none in it.
func (r *run) edit(ctx context.Context) error {
	r.acted = true
	if r.s.Hash != "" {
		// Should the edit arrive and its answer not, the next Reconcile must
		// not take the old content for what is shown.
		r.s.Hash = ""
		if err := r.keep(ctx); err != nil {
			return err
		}
	}
	hash := r.hash()
	m := r.card(dressing{}).edit()
	m.Channel, m.TS, m.Metadata = r.s.Channel, r.s.TS, rootMetadata(r.v)
	if f := r.n.client.update(ctx, m); f != nil {
		return r.failed(ctx, f, nil)
	}
	r.s.Hash = hash
	return r.keep(ctx)
}

// failed says what a failure means for the message. The slot is the attempt that
// was begun; it stays only where nobody knows the outcome. A nil error means
// that there is another way to go on.
func (r *run) failed(ctx context.Context, f *failure, slot **attempt) error {
	if f.unknown && slot != nil {
		f.out.After = max(f.out.After, r.n.scaled(settle), leastWait)
		if f.out.Reason == "server_error" || f.out.Reason == "network" {
			f.out.Reason = "unknown_outcome"
		}
		return f.out
	}
	if slot != nil {
		*slot = nil
	}
	wayOut := r.wayOut(ctx, f)
	if err := r.keep(ctx); err != nil {
		return err
	}
	if wayOut {
		return nil
	}
	return f.out
}

// wayOut changes the state so that the next act is another one, where there is
// another one.
func (r *run) wayOut(ctx context.Context, f *failure) bool {
	const mostMoves = 3
	mostLost := 1
	if f.word == "edit_window_closed" {
		mostLost = 5 // the workspace lets no message be edited for long
	}
	switch f.kind {
	case kindOurs:
		if r.s.Plain {
			return false
		}
		r.s.Plain = true
		r.s.warn("Slack refused the layout (" + f.word + "); the message is plain text")
		r.n.log.ErrorContext(ctx, "slack refused a layout", "destination", r.n.cfg.Destination, "delivery", r.v.Delivery, "error", f.word)
		return true
	case kindLost:
		if r.s.TS == "" || r.s.Lost >= mostLost {
			return false
		}
		r.s.Lost++
		r.s.warn("the message was gone (" + f.word + "); a new one continues it")
		r.s.forget(r.n.permalink(ctx, r.s.Channel, r.s.TS))
		return true
	case kindChannel:
		at := r.s.Target
		if at == "" {
			at = r.n.cfg.Channel
		}
		next := r.otherChannel(at)
		if f.word == "channel_not_found" && r.s.TS != "" && !idForm.MatchString(at) {
			next = at // of the same name, with another id: the token is of another workspace now
		}
		if next == "" || r.s.Moves >= mostMoves {
			return false
		}
		r.s.Moves++
		r.s.warn("the channel " + escape.CutEnd(escape.Visible(at), 80) + " cannot be used (" + f.word + "); the message is in " + escape.CutEnd(escape.Visible(next), 80))
		if r.s.TS != "" {
			r.s.forget(r.n.permalink(ctx, r.s.Channel, r.s.TS))
		}
		r.s.Target = next
		return true
	}
	return false
}

// otherChannel is the configured channel when the message lives elsewhere, the
// fallback when it lives there, and nothing when there is none.
func (r *run) otherChannel(at string) string {
	if at != r.n.cfg.Channel && at != r.n.cfg.Fallback {
		return r.n.cfg.Channel // the configuration has changed since
	}
	if at == r.n.cfg.Channel && r.n.cfg.Fallback != at {
		return r.n.cfg.Fallback
	}
	return ""
}

// untold returns the events that the thread has not told yet, in order.
func (r *run) untold() []message.Event {
	var out []message.Event
	for _, e := range r.v.Events {
		if e.Seq > r.s.Told && !e.Text.IsEmpty() && !r.inMessage(e) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b message.Event) int { return int(a.Seq - b.Seq) })
	return out
}

func (r *run) lastSeq() int64 {
	last := r.s.Told
	for _, e := range r.v.Events {
		last = max(last, e.Seq)
	}
	return last
}

// raised reports a rise to another severity that calls people.
func (r *run) raised(events []message.Event) bool {
	return slices.ContainsFunc(events, func(e message.Event) bool { return e.Kind == incident.KindSeverityRaised && e.Alerts })
}

func (r *run) outcome(ctx context.Context) notify.Outcome {
	out := notify.Outcome{
		Reference: r.s.Channel + "/" + r.s.TS, URL: r.n.permalink(ctx, r.s.Channel, r.s.TS), Warnings: slices.Clone(r.s.Warnings),
	}
	if !r.acted {
		out.Quiet = "nothing that Slack shows has changed"
	}
	return out
}
