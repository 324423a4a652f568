package slack

import (
	"context"
	"net/url"
	"slices"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// maxRuns is how many runs of an incident have a message in its thread, the
// newest ones.
const maxRuns = 10

// maxRunsLost is how often the message of a run is posted anew because Slack
// does not have it any more, or lets nobody edit it.
const maxRunsLost = 3

// runMessage is the message of a run in the thread. There is one for each run,
// edited in place.
type runMessage struct {
	TS    string   `json:"ts,omitempty"` // empty while there is none that we know
	Hash  string   `json:"hash,omitempty"`
	Begun *attempt `json:"begun,omitempty"`
	Blind int      `json:"blind,omitempty"` // posted again without looking
	Lost  int      `json:"lost,omitempty"`
	// Still: it cannot be kept up to date any more.
	Still bool `json:"still,omitempty"`
}

// shown are the runs that have a message of their own. A plan that waits has
// none: it is a line that calls people.
func (r *run) shown() []message.Run {
	var out []message.Run
	for _, x := range r.v.Runs {
		if x.ID != "" {
			out = append(out, x)
		}
	}
	return out[max(0, len(out)-maxRuns):]
}

// due returns the first run whose message is not as it should be.
func (r *run) dueRun() (message.Run, bool) {
	for _, x := range r.shown() {
		m := r.s.Runs[x.ID]
		if m == nil || m.Begun != nil || !m.Still && (m.TS == "" || m.Hash != r.runHash(x)) {
			return x, true
		}
	}
	return message.Run{}, false
}

// showRun does the one thing that brings the message of a run nearer to x.
func (r *run) showRun(ctx context.Context, x message.Run) error {
	if r.s.Runs == nil {
		r.s.Runs = map[string]*runMessage{}
	}
	m := r.s.Runs[x.ID]
	if m == nil {
		m = &runMessage{}
		r.s.Runs[x.ID] = m
		r.forgetRuns()
	}
	switch {
	case m.Begun != nil:
		return r.findRun(ctx, x, m)
	case m.TS == "":
		return r.postRun(ctx, x, m)
	}
	return r.editRun(ctx, x, m)
}

// forgetRuns drops what is kept of runs that are not shown any more.
func (r *run) forgetRuns() {
	shown := r.shown()
	for id := range r.s.Runs {
		if !slices.ContainsFunc(shown, func(x message.Run) bool { return x.ID == id }) {
			delete(r.s.Runs, id)
		}
	}
}

func (r *run) runCard(x message.Run, ageless bool) card {
	c := r.n.runCard(x, ageless)
	if r.s.Plain {
		return c.simplified()
	}
	return c
}

func (r *run) runHash(x message.Run) string { return r.runCard(x, true).hash() }

func (r *run) postRun(ctx context.Context, x message.Run, m *runMessage) error {
	hash := r.runHash(x)
	if err := r.begin(ctx, &m.Begun, attempt{Hash: hash}); err != nil {
		return err
	}
	out := r.runCard(x, false).message()
	out.Channel, out.ThreadTS, out.Metadata = r.s.Channel, r.s.TS, runMetadata(r.v, x)
	at, f := r.n.client.post(ctx, out)
	if f != nil {
		return r.failed(ctx, f, &m.Begun)
	}
	m.TS, m.Hash, m.Begun, m.Blind = at.TS, hash, nil, 0
	return r.keep(ctx)
}

// editRun brings the message up to date. Should the edit arrive and its answer
// not, the old content is not taken for what is shown.
func (r *run) editRun(ctx context.Context, x message.Run, m *runMessage) error {
	r.acted = true
	if m.Hash != "" {
		m.Hash = ""
		if err := r.keep(ctx); err != nil {
			return err
		}
	}
	hash := r.runHash(x)
	out := r.runCard(x, false).edit()
	out.Channel, out.TS, out.Metadata = r.s.Channel, m.TS, runMetadata(r.v, x)
	f := r.n.client.update(ctx, out)
	switch {
	case f == nil:
		m.Hash = hash
	case f.kind != kindLost:
		return r.failed(ctx, f, nil)
	case m.Lost >= maxRunsLost:
		m.Still = true
		r.s.warn("the message of a run cannot be edited any more (" + f.word + "); it shows an earlier state")
	default: // the thread gets another one
		m.Lost++
		m.TS = ""
	}
	return r.keep(ctx)
}

// findRun looks in the thread for the message of a begun attempt.
func (r *run) findRun(ctx context.Context, x message.Run, m *runMessage) error {
	b := m.Begun
	if err := r.wait(b.At, settle); err != nil {
		return err
	}
	ts := ""
	args := url.Values{"channel": {r.s.Channel}, "ts": {r.s.TS}, "oldest": {stamp(b.At.Add(-margin))}, "inclusive": {"true"}, "include_all_metadata": {"true"}}
	blind, f := r.look(ctx, r.s.Channel, func(string) (bool, *failure) {
		return r.n.client.search(ctx, "conversations.replies", args, func(p page) bool {
			for _, found := range p.Messages {
				if ts == "" && found.isRun(r.v.Delivery, x.ID) {
					ts = found.TS
				}
			}
			return ts != ""
		})
	})
	switch {
	case f != nil && f.kind == kindLost:
		m.Begun = nil // the next act on the root will tell what became of it
		return r.keep(ctx)
	case f != nil:
		return f.out
	case ts != "":
		// What it shows is not known for sure: it may be of an earlier attempt.
		m.TS, m.Hash, m.Begun, m.Blind = ts, "", nil, 0
		return r.keep(ctx)
	case blind == "":
		return r.missing(ctx, &m.Begun)
	}
	if m.Blind > 0 {
		m.Begun, m.Still = nil, true
		r.s.warn("the message of a run may be missing or stand there twice, and is not kept up to date (" + blind + ")")
		return r.keep(ctx)
	}
	m.Blind++
	m.Begun = nil
	r.s.warn("the message of a run may stand in the thread twice (" + blind + ")")
	return r.keep(ctx)
}

func (m found) isRun(delivery, id string) bool {
	return m.Metadata != nil && m.Metadata.EventType == runEvent && m.Metadata.EventPayload.Delivery == delivery && m.Metadata.EventPayload.Run == id
}

// inMessage reports an event that the message of a run tells: that it began, and
// that it ended well.
func (r *run) inMessage(e message.Event) bool {
	if r.n.byWebhook() || len(r.shown()) == 0 {
		return false
	}
	return e.Kind == incident.KindRunStarted || e.Kind == incident.KindRunEnded && !e.Alerts
}
