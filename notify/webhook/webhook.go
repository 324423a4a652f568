package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
)

// Config is one configured webhook.
type Config struct {
	config.Webhook
	// Destination is the configured name, for messages.
	Destination string
	// Timeout of each call; 0: 15 s.
	Timeout time.Duration
	// TimeScale divides every wait that is asked for; 0: 1.
	TimeScale float64
}

// Deps is what the notifier needs from outside. The zero value works.
type Deps struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: no log
}

// Notifier is one endpoint. It is safe for concurrent use.
type Notifier struct {
	cfg    Config
	now    func() time.Time
	log    *slog.Logger
	url    *url.URL
	signer signer
	http   *http.Client
	guard  guard
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a notifier. It makes no call. An error lists everything that is
// wrong with the configuration and repeats no secret.
func New(cfg Config, deps Deps) (*Notifier, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.TimeScale = cmp.Or(cfg.TimeScale, 1)
	n := &Notifier{cfg: cfg, now: deps.Now, log: deps.Log, guard: guard{allowPrivate: cfg.AllowPrivate}}
	if n.now == nil {
		n.now = time.Now
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	var problems []string
	add := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s %v", what, err))
		}
	}
	var err error
	n.url, err = parseURL(cfg.URL.Reveal(), cfg.Insecure)
	add("url", err)
	n.signer, err = newSigner(cfg.Secret.Reveal(), cfg.PreviousSecret.Reveal())
	add("secret", err)
	add("headers", checkHeaders(cfg.Webhook))
	if cfg.TimeScale < 0 {
		problems = append(problems, "time scale is negative")
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("webhook: %s", strings.Join(problems, "; "))
	}
	n.http = &http.Client{
		Transport: n.guard.transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return n, nil
}

func parseURL(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("is not a URL of the form https://host/path")
	case u.Scheme == "http" && !insecure:
		return nil, fmt.Errorf("is http://; use https://, or say insecure: true")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("is not https://")
	case u.Fragment != "":
		return nil, fmt.Errorf("has a fragment (#…), which is never sent")
	}
	return u, nil
}

// reserved headers are ours or the transport's.
var reserved = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host", "Trailer", "Upgrade",
	"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

func checkHeaders(c config.Webhook) error {
	var bad []string
	for name, value := range c.Headers {
		token := name != "" && strings.IndexFunc(name, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
		}) < 0
		control := strings.IndexFunc(value.Reveal(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0
		if !token || control || slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
			bad = append(bad, fmt.Sprintf("%q", name))
		}
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return fmt.Errorf("%s cannot be set (reserved, or not a header)", strings.Join(bad, ", "))
	}
	return nil
}

// deliveryState is what is kept for one delivery.
type deliveryState struct {
	Version  int   `json:"version"`
	Opened   bool  `json:"opened,omitempty"`
	Seq      int64 `json:"seq,omitempty"`      // last entry that was spoken
	Revision int64 `json:"revision,omitempty"` // newest that was shown
	// Begun is the message that was about to be sent, with the revision that
	// its first attempt showed.
	Begun         string `json:"begun,omitempty"`
	BegunRevision int64  `json:"begun_revision,omitempty"`
}

const stateVersion = 1

// maxDuration of all calls of one Reconcile together.
const maxDuration = time.Minute

// Reconcile implements notify.Notifier. It sends each spoken event once by the
// same webhook-id at every attempt, and the newest revision where no event
// carried it.
func (n *Notifier) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	s, err := decodeState(req.State)
	if err != nil {
		return notify.Outcome{}, &notify.Error{Class: notify.Park, Reason: "invalid", Message: err.Error(),
			Safe: "nothing was sent", Hint: "this delivery was written by another version of guardroom; use that one", Err: err}
	}
	// What was sent is saved also when the time for calls is over.
	parent, save := ctx, req.Save
	req.Save = func(_ context.Context, s any) error { return save(parent, s) }
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	var out notify.Outcome
	sent := false
	for {
		m, more := next(req.View, s)
		if !more {
			break
		}
		body, warnings, err := n.body(req.View, m)
		if err != nil {
			return out, err
		}
		out.Warnings = warnings
		if s.Begun != m.id {
			s.Begun, s.BegunRevision = m.id, req.View.Revision
			if err := req.Save(ctx, s); err != nil {
				return out, err
			}
		}
		if err := n.send(ctx, m.id, body); err != nil {
			return out, err
		}
		s.done(m)
		if err := req.Save(ctx, s); err != nil {
			return out, err
		}
		sent, out.Reference = true, m.id
		n.log.DebugContext(ctx, "webhook message sent", "destination", n.cfg.Destination, "delivery", req.View.Delivery, "message", m.id)
	}
	if !sent {
		out.Quiet = "this revision was sent already"
	}
	return out, nil
}

// done takes over what a message told. A receiver that took the first attempt
// ignores the later ones, so only what the first one showed counts as shown.
func (s *deliveryState) done(m msg) {
	s.Opened = true
	s.Seq = max(s.Seq, m.seq)
	s.Revision = max(s.Revision, s.BegunRevision)
	s.Begun, s.BegunRevision = "", 0
}

func decodeState(raw json.RawMessage) (deliveryState, error) {
	s := deliveryState{Version: stateVersion}
	if len(raw) == 0 || string(raw) == "null" {
		return s, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read the delivery's state: %w", err)
	}
	if s.Version != stateVersion {
		return s, fmt.Errorf("the delivery's state has version %d; this program writes %d", s.Version, stateVersion)
	}
	return s, nil
}
