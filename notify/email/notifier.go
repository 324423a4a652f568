package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// Deps are what the notifier needs from outside.
type Deps struct {
	Now func() time.Time // the clock; required
	Log *slog.Logger     // nil: nothing is logged
}

// Notifier is one mail destination.
type Notifier struct {
	settings
	now func() time.Time
	log *slog.Logger
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a notifier, or an error that lists everything that is wrong with
// cfg. It does no I/O.
func New(cfg Config, deps Deps) (*Notifier, error) {
	s, err := check(cfg)
	if deps.Now == nil {
		err = errors.Join(err, errors.New("email: a clock is needed"))
	}
	if err != nil {
		return nil, err
	}
	log := deps.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Notifier{settings: s, now: deps.Now, log: log}, nil
}

// state is what is saved between calls.
type state struct {
	Subject string   `json:"subject,omitempty"` // of the thread, from its first mail
	Opened  bool     `json:"opened,omitempty"`  // the first mail is out
	Closed  bool     `json:"closed,omitempty"`  // the last mail said that it is closed
	Told    int64    `json:"told,omitempty"`    // Seq of the newest event that a mail covered
	Last    int64    `json:"last,omitempty"`    // revision of the last mail
	Begun   *attempt `json:"begun,omitempty"`   // a mail that may be on its way
}

// attempt is a mail from the moment in which its sending begins. A repeat after
// a crash has the same Message-ID and Date.
type attempt struct {
	MessageID string    `json:"message_id"`
	Revision  int64     `json:"revision"`
	UpTo      int64     `json:"up_to"` // Seq of the newest event that it covers
	Closed    bool      `json:"closed,omitempty"`
	At        time.Time `json:"at"`
	Sent      []string  `json:"sent,omitempty"`    // recipients that have it
	Refused   []string  `json:"refused,omitempty"` // recipients that cannot have it
}

// maxMails bounds the mails of one call; a call comes again for the rest.
const maxMails = 3

// Reconcile implements notify.Notifier. It sends at most a mail that was begun
// before and a mail for what has happened since.
func (n *Notifier) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	var st state
	if len(req.State) > 0 {
		if err := json.Unmarshal(req.State, &st); err != nil {
			return notify.Outcome{}, &notify.Error{
				Class: notify.Park, Reason: "invalid", Message: "the saved state of this delivery cannot be read",
				Safe: "no mail was sent", Hint: "guardroom delivery show tells what was sent before", Err: err,
			}
		}
	}
	out := notify.Outcome{Quiet: "nothing that is worth a mail has happened since the last one"}
	for range maxMails {
		if st.Begun == nil {
			why := begin(&st, req.View, n.domain, n.now())
			if why != "" {
				if out.Reference == "" {
					out.Quiet = why
				}
				return out, nil
			}
			if err := req.Save(ctx, &st); err != nil {
				return out, err
			}
		}
		warnings, err := n.deliver(ctx, &st, req)
		out.Warnings = append(out.Warnings, warnings...)
		if err != nil {
			return out, err
		}
		out.Reference, out.Quiet = "<"+st.Begun.MessageID+">", ""
		finish(&st)
		if err := req.Save(ctx, &st); err != nil {
			return out, err
		}
	}
	return out, nil
}

// begin notes the next mail in st.Begun, or says why there is none.
func begin(st *state, v *message.View, domain string, now time.Time) (quiet string) {
	closed := v.State == incident.Closed
	a := &attempt{Revision: v.Revision, UpTo: newest(v), Closed: closed, At: now.UTC().Truncate(time.Second)}
	if !st.Opened {
		if closed && v.MergedInto != "" {
			return "merged into " + v.MergedInto + " before it was told"
		}
		a.MessageID = rootID(v, domain)
		st.Subject = subject(v).String()
		st.Begun = a
		return ""
	}
	if !worthAMail(*st, v) {
		return "nothing that is worth a mail has happened since the last one"
	}
	a.MessageID = replyID(v, v.Revision, domain)
	if v.Revision == st.Last {
		// Not raised by what happened: the event's number tells the mails apart.
		a.MessageID = strings.Replace(a.MessageID, "@", fmt.Sprintf(".%d@", a.UpTo), 1)
	}
	st.Begun = a
	return ""
}

// worthAMail: severity raised, a plan that waits, contained, a run that failed,
// evidence ready, no longer contained, a run that is late, what it left open,
// reopened, closed. Everything else is told by the next of these.
func worthAMail(st state, v *message.View) bool {
	if (v.State == incident.Closed) != st.Closed {
		return true
	}
	if v.Kind != message.KindIncident {
		return false
	}
	return slices.ContainsFunc(v.Events, func(e message.Event) bool {
		return e.Seq > st.Told && mailed(e)
	})
}

func mailed(e message.Event) bool {
	switch e.Kind {
	case incident.KindSeverityRaised, incident.KindRunEnded:
		return e.Alerts // not from 7.0 to 8.0, and no run that ended well
	case incident.KindContained, incident.KindReopened, incident.KindClosed, incident.KindPlanWaits, incident.KindEvidenceReady,
		incident.KindReleased, incident.KindDrift, incident.KindProven,
		incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain:
		return true
	}
	return false
}

func newest(v *message.View) int64 {
	if len(v.Events) == 0 {
		return 0
	}
	return v.Events[len(v.Events)-1].Seq
}

// finish notes that the begun mail is out.
func finish(st *state) {
	st.Opened = true
	st.Closed = st.Begun.Closed
	st.Told = max(st.Told, st.Begun.UpTo)
	st.Last = st.Begun.Revision
	st.Begun = nil
}

// deliver brings the begun mail to everybody who does not have it yet, and
// saves who has.
func (n *Notifier) deliver(ctx context.Context, st *state, req notify.Request) (warnings []string, err error) {
	a := st.Begun
	var missing []string
	for _, to := range n.to {
		if !slices.Contains(a.Sent, to.Address) && !slices.Contains(a.Refused, to.Address) {
			missing = append(missing, to.Address)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	raw, err := n.mail(st, req.View)
	if err != nil {
		return nil, &notify.Error{Class: notify.Park, Reason: "invalid", Message: err.Error(), Safe: "the mail was not sent", Err: err}
	}
	res, sendErr := n.send(ctx, raw, missing)
	a.Sent = append(a.Sent, res.accepted...)
	var later error
	for _, to := range missing {
		refusal := res.refused[to]
		switch {
		case refusal == nil:
		case replyCode(refusal) < 500:
			later = refusal
		default:
			a.Refused = append(a.Refused, to)
			warnings = append(warnings, fmt.Sprintf("%s was refused (%s)", to, word(refusal)))
		}
	}
	nobody := len(a.Sent) == 0 && len(a.Refused) == len(n.to)
	if nobody {
		a.Refused = nil // forgotten, so that a retry by a person asks again
	}
	if len(res.accepted)+len(res.refused) > 0 {
		if err := req.Save(ctx, st); err != nil {
			return warnings, err
		}
	}
	switch {
	case sendErr != nil:
		e := n.classify(sendErr)
		n.log.WarnContext(ctx, "mail was not sent", "destination", n.Name, "delivery", req.View.Delivery,
			"incident", req.View.Number, "reason", e.Reason, "error", e.Message)
		return warnings, e
	case later != nil:
		return warnings, &notify.Error{
			Class: notify.Retry, Reason: "rate_limited",
			Message: fmt.Sprintf("mail server %s: a recipient must wait (%s)", n.Host, word(later)),
			Safe:    fmt.Sprintf("%d of %d recipients have the mail", len(a.Sent), len(n.to)),
			Err:     later,
		}
	case nobody:
		return warnings, n.nobody(warnings)
	}
	return warnings, nil
}

// nobody is the error when every recipient was refused.
func (n *Notifier) nobody(warnings []string) error {
	return &notify.Error{
		Class: notify.Park, Reason: "not_found",
		Message: fmt.Sprintf("mail server %s refused every recipient: %s", n.Host, strings.Join(warnings, "; ")),
		Safe:    "the mail was not sent",
		Hint:    "correct to: of destination " + n.Name + ", then: guardroom delivery retry",
	}
}

// mail composes the begun mail from the newest view: what it covers is as it
// was when it began, how things stand is as of now.
func (n *Notifier) mail(st *state, v *message.View) ([]byte, error) {
	a := st.Begun
	b := body{view: v, date: a.At}
	if st.Opened {
		for _, e := range v.Events {
			if e.Seq > st.Told && e.Seq <= a.UpTo {
				b.news = append(b.news, e)
			}
		}
	}
	e := envelope{
		subject: headerOf(st.Subject), messageID: a.MessageID, rootID: rootID(v, n.domain), date: a.At,
		list: n.listID(), incident: incidentHeader(v),
	}
	return n.compose(e, textPart(b), htmlPart(b))
}

func (n *Notifier) listID() headerValue {
	return headerOf("guardroom incidents <guardroom." + n.domain + ">")
}

// incidentHeader is for filters: the number that people say, or the id where
// there is none.
func incidentHeader(v *message.View) headerValue {
	if v.Number != "" {
		return headerOf(v.Number)
	}
	return headerOf(string(v.Incident))
}

// Test implements notify.Notifier.
func (n *Notifier) Test(ctx context.Context) (string, error) {
	v := message.BuildTest(n.Name, n.now())
	var st state
	begin(&st, v, n.domain, n.now())
	raw, err := n.mail(&st, v)
	if err != nil {
		return "", err
	}
	all := make([]string, len(n.to))
	for i, a := range n.to {
		all[i] = a.Address
	}
	res, err := n.send(ctx, raw, all)
	if err != nil {
		return "", n.classify(err)
	}
	var refused []string
	for _, to := range all {
		if err := res.refused[to]; err != nil {
			refused = append(refused, fmt.Sprintf("%s was refused (%s)", to, word(err)))
		}
	}
	if len(refused) > 0 {
		e := &notify.Error{
			Class: notify.Park, Reason: "not_found",
			Message: "the test mail did not reach everybody: " + strings.Join(refused, "; "),
			Safe:    fmt.Sprintf("%d of %d recipients have the test mail", len(res.accepted), len(all)),
			Hint:    "correct to: of destination " + n.Name,
		}
		return "", e
	}
	return fmt.Sprintf("A mail with the subject %q is on its way from %s to %s.", st.Subject, n.from.Address, strings.Join(all, ", ")), nil
}

// Check implements notify.Notifier: it connects, encrypts, logs in and leaves.
func (n *Notifier) Check(ctx context.Context) []notify.Finding {
	what := fmt.Sprintf("mail server %s:%d", n.Host, n.Port)
	if err := n.probe(ctx); err != nil {
		e := n.classify(err)
		hint := e.Hint
		if hint == "" {
			hint = "check host, port and the way to the mail server"
		}
		return []notify.Finding{{What: what, Message: e.Message, Hint: hint}}
	}
	how := map[string]string{TLSStart: "with STARTTLS", TLSImplicit: "with TLS", TLSNone: "without encryption"}[n.TLS]
	if n.Username != "" {
		how += ", logged in"
	}
	return []notify.Finding{{OK: true, What: what, Message: "reached " + how}}
}
