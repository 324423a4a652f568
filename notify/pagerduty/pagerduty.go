package pagerduty

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/notify"
)

// Config is one configured PagerDuty destination.
type Config struct {
	config.PagerDuty
	// Destination is the configured name, for messages.
	Destination string
	// Timeout of each call; 0: 15 s.
	Timeout time.Duration
	// TimeScale divides every wait that is asked for; 0: 1.
	TimeScale float64
}

// Deps is what the notifier needs from outside. The zero value works.
type Deps struct {
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: one of its own, with the environment's proxy
	Log       *slog.Logger      // nil: no log
}

// Notifier is one PagerDuty service. It is safe for concurrent use.
type Notifier struct {
	cfg  Config
	now  func() time.Time
	log  *slog.Logger
	min  finding.Band
	port port
	rest *rest // nil in mode events
}

var _ notify.Notifier = (*Notifier)(nil)

// The modes of config.PagerDuty.
const (
	modeEvents    = "events"
	modeIncidents = "incidents"
)

// New returns a notifier. It makes no call. An error lists everything that is
// wrong with the configuration.
func New(cfg Config, deps Deps) (*Notifier, error) {
	cfg.Mode = cmp.Or(cfg.Mode, modeEvents)
	cfg.Region = cmp.Or(cfg.Region, "us")
	cfg.PageAgainAt = cmp.Or(cfg.PageAgainAt, "critical")
	cfg.MinSeverity = cmp.Or(cfg.MinSeverity, "low")
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.TimeScale = cmp.Or(cfg.TimeScale, 1)
	if problems := cfg.problems(); len(problems) > 0 {
		return nil, fmt.Errorf("pagerduty: %s", strings.Join(problems, "; "))
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{cfg: cfg, now: deps.Now, log: deps.Log}
	n.min, _ = finding.ParseBand(cfg.MinSeverity)
	c := newClient(cfg, deps.Transport)
	if cfg.Mode == modeEvents {
		n.port = &events{client: c, url: eventsBase(cfg.PagerDuty) + "/v2/enqueue", key: cfg.RoutingKey.Reveal()}
		return n, nil
	}
	n.rest = newRest(cfg, c, deps.Now)
	n.port = n.rest
	return n, nil
}

func (c Config) problems() []string {
	var out []string
	say := func(bad bool, text string) {
		if bad {
			out = append(out, text)
		}
	}
	switch c.Mode {
	case modeEvents:
		say(keyProblem(c.RoutingKey.Reveal()) != "", "routing_key "+keyProblem(c.RoutingKey.Reveal()))
	case modeIncidents:
		say(c.APIToken.Reveal() == "", "mode incidents needs api_token")
		say(c.ServiceID == "", "mode incidents needs service_id")
		_, err := mail.ParseAddress(c.From)
		say(err != nil || strings.ContainsAny(c.From, "<> \r\n"), "mode incidents needs from, the e-mail address of a user of the account")
	default:
		say(true, fmt.Sprintf("mode is %q; use events or incidents", c.Mode))
	}
	say(c.Region != "us" && c.Region != "eu", fmt.Sprintf("region is %q; use us or eu", c.Region))
	say(c.PageAgainAt != "critical" && c.PageAgainAt != "never", fmt.Sprintf("page_again_at is %q; use critical or never", c.PageAgainAt))
	if _, ok := finding.ParseBand(c.MinSeverity); !ok {
		say(true, fmt.Sprintf("min_severity is %q; use informational, low, medium, high or critical", c.MinSeverity))
	}
	for word := range c.Priorities {
		if _, ok := finding.ParseBand(word); !ok {
			say(true, fmt.Sprintf("priorities names the severity %q; use low, medium, high or critical", word))
		}
	}
	for name, raw := range map[string]string{"api_url": c.APIURL, "rest_url": c.RESTURL} {
		u, err := url.Parse(raw)
		say(raw != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"), name+" is not an http(s) URL")
	}
	say(c.TimeScale < 0, "time scale is negative")
	return out
}

// keyProblem says what is wrong with the form of a routing key, without
// repeating any of it.
func keyProblem(key string) string {
	if len(key) != 32 {
		return fmt.Sprintf("has %d characters; an integration key of Events API v2 has 32", len(key))
	}
	for _, r := range key {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "has characters other than letters and digits"
		}
	}
	return ""
}

// eventsBase returns the Events API without path. The configured URL may carry
// the path of the vendor's documentation or not.
func eventsBase(c config.PagerDuty) string {
	if c.APIURL != "" {
		return trimBase(c.APIURL)
	}
	if c.Region == "eu" {
		return "https://events.eu.pagerduty.com"
	}
	return "https://events.pagerduty.com"
}

// restBase returns the REST API without trailing slash.
func restBase(c config.PagerDuty) string {
	switch {
	case c.RESTURL != "":
		return trimBase(c.RESTURL)
	case c.APIURL != "":
		return trimBase(c.APIURL)
	case c.Region == "eu":
		return "https://api.eu.pagerduty.com"
	}
	return "https://api.pagerduty.com"
}

func trimBase(raw string) string {
	s := strings.TrimRight(raw, "/")
	return strings.TrimRight(strings.TrimSuffix(s, "/v2/enqueue"), "/")
}

// Test sends a real event of severity info and resolves it. The vendor's answer
// 202 means accepted, not shown, so a person has to look.
func (n *Notifier) Test(ctx context.Context) (string, error) {
	key := fmt.Sprintf("guardroom/test/%x", n.now().UnixNano())
	m := testMessage(n.cfg.Destination, n.now())
	a, err := n.port.open(ctx, key, m, alert{Stage: stageBegun, BegunAt: n.now()}, false)
	if err != nil {
		return "", err
	}
	if a, err = n.port.resolve(ctx, key, a); err != nil {
		return "", err
	}
	if n.rest != nil {
		return fmt.Sprintf("incident %s %q was created and resolved in PagerDuty: see %s", a.Label, m.title, a.URL), nil
	}
	return fmt.Sprintf("PagerDuty accepted %q (info) and its resolve; a resolved alert of that name must now show in the service's alerts table, and if none does, the key is of another service or an event rule drops it", m.title), nil
}
