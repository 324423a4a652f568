package pagerduty

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// port is one of the two APIs. Each method does one change and returns the
// alert as it is afterwards; it may be repeated with the same arguments.
type port interface {
	// open makes the alert. repeated says that an earlier attempt may have
	// made it already.
	open(ctx context.Context, key string, m content, a alert, repeated bool) (alert, error)
	refresh(ctx context.Context, key string, m content, a alert) (alert, error)
	acknowledge(ctx context.Context, key string, a alert) (alert, error)
	resolve(ctx context.Context, key string, a alert) (alert, error)
}

// maxSteps is more than any View needs: it ends a loop that should not exist.
const maxSteps = 16

// maxDuration of all calls of one Reconcile together.
const maxDuration = time.Minute

// Reconcile implements notify.Notifier. Every call that it makes may be
// repeated: PagerDuty knows an alert by its dedup key.
func (n *Notifier) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	v := req.View
	s, err := decodeState(req.State)
	if err != nil {
		return notify.Outcome{}, &notify.Error{Class: notify.Park, Reason: "invalid", Message: err.Error(),
			Safe: "nothing was sent", Hint: "this delivery was written by another version of guardroom; use that one", Err: err}
	}
	if v.Sample && v.Kind == message.KindIncident && !s.Main.live() && !s.Critical.live() {
		return notify.Outcome{Quiet: "sample findings never page"}, nil
	}
	// What was done is saved also when the time for calls is over.
	parent, save := ctx, req.Save
	req.Save = func(_ context.Context, s any) error { return save(parent, s) }
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	var out notify.Outcome
	known := s.Holder == "" || s.Holder == n.holder()
	stranded := s.moveTo(n.holder())
	if !known { // said once, so it is kept before anything else
		if err := req.Save(ctx, s); err != nil {
			return out, err
		}
	}
	if stranded {
		n.log.WarnContext(ctx, "an alert cannot be reached by the routing key any more", "destination", n.cfg.Destination, "delivery", v.Delivery)
		out.Warnings = append(out.Warnings, "the routing key or service of this destination has changed; the alert made before cannot be updated or resolved any more: resolve it in PagerDuty by hand")
	}
	m := n.content(v)
	begun := s // to tell below whether anything was done
	for i := 0; ; i++ {
		st, more := next(s, n.wanted(v, s))
		if !more {
			break
		}
		if i == maxSteps {
			return out, &notify.Error{Class: notify.Park, Reason: "internal", Message: "the steps for this alert do not come to an end",
				Safe: "the alert may be older than the incident", Hint: "report this with the output of: guardroom delivery show"}
		}
		if err := n.do(ctx, req, &s, st, m); err != nil {
			return out, err
		}
	}
	if n.rest != nil && v.Kind == message.KindIncident {
		if err := n.notes(ctx, req, &s); err != nil {
			return out, err
		}
	}
	n.outcome(&out, s, begun, v)
	return out, nil
}

// do makes one call, with the state saved before and after.
func (n *Notifier) do(ctx context.Context, req notify.Request, s *state, st step, m content) error {
	w := n.wanted(req.View, *s)
	a, key := &s.Main, dedupKey(req.View)
	if st.critical {
		a, key = &s.Critical, key+"/critical"
	}
	var after alert
	var err error
	switch st.act {
	case actOpen:
		repeated := a.Stage == stageBegun
		if !repeated {
			*a = alert{Stage: stageBegun, BegunAt: n.now().UTC(), Earlier: max(a.Number, a.Earlier)}
			if st.critical {
				s.CriticalSeq = w.lastSeq
			}
			if err := req.Save(ctx, *s); err != nil {
				return err
			}
		}
		after, err = n.port.open(ctx, key, m, *a, repeated)
	case actRefresh:
		after, err = n.port.refresh(ctx, key, m, *a)
	case actAcknowledge:
		after, err = n.port.acknowledge(ctx, key, *a)
	case actResolve:
		if !a.Ending {
			a.Ending = true
			if err := req.Save(ctx, *s); err != nil {
				return err
			}
		}
		after, err = n.port.resolve(ctx, key, *a)
	}
	if err != nil {
		return err
	}
	*a = after
	a.Ending = false
	if !st.critical && (st.act == actOpen || st.act == actRefresh) {
		s.Severity = max(s.Severity, w.severity)
		s.ResourceSeq, s.ReopenSeq = max(s.ResourceSeq, w.resourceSeq), max(s.ReopenSeq, w.reopenSeq)
		s.Lost = false
		if st.act == actOpen && s.NotedSeq == 0 {
			s.NotedSeq = w.lastSeq // what happened before stands in the alert itself
		}
	}
	if st.critical && st.act == actOpen {
		// Kept apart from the main alert, which may be lost: the rise was told.
		s.Severity = s.severityTold(w)
	}
	return req.Save(ctx, *s)
}

// severityTold marks the rise as told where no main alert will do it.
func (s *state) severityTold(w wanted) float64 {
	if s.Lost {
		return max(s.Severity, w.severity)
	}
	return s.Severity
}

// outcome says what there is to know.
func (n *Notifier) outcome(out *notify.Outcome, s, before state, v *message.View) {
	if n.rest != nil {
		out.Reference, out.URL = s.Main.Label, s.Main.URL
		if out.Reference == "" {
			out.Reference, out.URL = s.Critical.Label, s.Critical.URL
		}
		out.Warnings = append(out.Warnings, n.rest.takeWarnings()...)
	} else if s.Main.Stage != stageNone || s.Critical.Stage != stageNone {
		out.Reference = dedupKey(v)
	}
	if s.Main.Stage == stageEnded && v.State != incident.Closed {
		out.Warnings = append(out.Warnings, "the incident was resolved in PagerDuty while it goes on here")
	}
	if s.Stranded && v.State == incident.Closed {
		out.Warnings = append(out.Warnings, "an alert made with an earlier routing key may still be open: resolve it in PagerDuty by hand")
	}
	if before != s {
		return
	}
	switch {
	case s.Main.Stage == stageNone && s.Lost:
		out.Quiet = "the alert belongs to an earlier routing key and the incident is acknowledged"
	case s.Main.Stage == stageNone && v.State == incident.Closed:
		out.Quiet = "closed before anything was sent"
	case s.Main.Stage == stageNone:
		out.Quiet = fmt.Sprintf("severity %s is below min_severity %s", band(v), n.min)
	default:
		out.Quiet = "nothing that PagerDuty shows has changed"
	}
}

// dedupKey names the alert. Ids are ours and short; should one ever not be, its
// hash stands in.
func dedupKey(v *message.View) string {
	id := string(v.Incident)
	if id == "" {
		id = v.Delivery
	}
	if len(id) > 200 {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])
	}
	return "guardroom/" + id
}
