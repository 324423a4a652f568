package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/email"
	"github.com/guardroom/guardroom/notify/pagerduty"
	"github.com/guardroom/guardroom/notify/webhook"
)

// pace is the vendor's documented limit of requests, for one destination.
type pace struct {
	count  int
	period time.Duration
	burst  int
}

// The documented limits, which rate_limit overrides. Each is kept with a margin:
// in no period, a burst included, is more sent than the vendor allows, and
// requests do not arrive exactly as they were sent.
//   - Slack: one message a second and channel; slackCalls is for its other methods
//     https://docs.slack.dev/apis/web-api/rate-limits/
//   - Jira Cloud: bursts are limited per endpoint without a number; this is far below
//     https://developer.atlassian.com/cloud/jira/platform/rate-limiting/
//   - PagerDuty: about 120 events a minute and integration key
//     https://developer.pagerduty.com/docs/events-api-v2-overview
//
// Webhooks are the customer's own, and mail servers say themselves when it is
// too much.
var paces = map[string]pace{
	"slack":     {1, 1100 * time.Millisecond, 1},
	"jira":      {10, time.Second, 10},
	"pagerduty": {105, time.Minute, 10},
}

// slackCalls is the pace of everything but messages: 50 a minute for the methods
// that are used (tier 3).
var slackCalls = pace{44, time.Minute, 5}

// bySlackMethod gives messages and other calls a pace each: an edit need not
// wait for the second in which a message may be posted.
type bySlackMethod struct{ messages, calls http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bySlackMethod) RoundTrip(r *http.Request) (*http.Response, error) {
	switch path.Base(r.URL.Path) {
	case "chat.update", "auth.test", "conversations.history", "conversations.replies", "conversations.info", "conversations.list":
		return b.calls.RoundTrip(r)
	}
	return b.messages.RoundTrip(r)
}

// paced is the transport of a destination at its pace.
func paced(d config.Destination, gate *notify.Gate, tempo notify.Tempo, next http.RoundTripper) http.RoundTripper {
	if d.Type != "slack" || !d.RateLimit.IsZero() {
		return gate.Limited(next)
	}
	calls := notify.NewGate(slackCalls.count, tempo.Scale(slackCalls.period), slackCalls.burst)
	return bySlackMethod{messages: gate.Limited(next), calls: calls.Limited(next)}
}

func paceOf(d config.Destination) pace {
	if d.RateLimit.IsZero() {
		return paces[d.Type]
	}
	return pace{count: d.RateLimit.Count, period: d.RateLimit.Period, burst: max(1, d.RateLimit.Count/10)}
}

// fewer limits how much work a slow destination is given at a time: a call waits
// for its turn within its own deadline, so no more than half of what the pace
// allows in that time.
func fewer(cfg *config.Config) map[string]int {
	out := map[string]int{}
	tempo := notify.Tempo(cfg.Worker.TimeScale)
	for _, d := range cfg.Destinations {
		if p := paceOf(d); p.count > 0 {
			calls := float64(p.count) * timeoutOf(d).Seconds() / tempo.Scale(p.period).Seconds()
			out[d.Name] = max(1, int(calls/2))
		}
	}
	return out
}

func timeoutOf(d config.Destination) time.Duration { return cmp.Or(d.Timeout.Std(), 10*time.Second) }

func gateOf(d config.Destination, tempo notify.Tempo) *notify.Gate {
	p := paceOf(d)
	return notify.NewGate(p.count, tempo.Scale(p.period), p.burst)
}

// transport is for calls to vendors: the environment's proxy, keep-alive, and
// deadlines for the parts of a call that have none otherwise.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          50,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
	}
}

// clock remembers how far the Date headers of answers were from our own clock,
// so that doctor can tell without a call of its own. It is safe for concurrent
// use.
type clock struct {
	now  func() time.Time
	next http.RoundTripper

	mu   sync.Mutex
	host string
	skew time.Duration
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return res, err
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		c.mu.Lock()
		c.host, c.skew = r.URL.Host, c.now().Sub(at)
		c.mu.Unlock()
	}
	return res, nil
}

// read returns the last difference and whose clock it was; an empty host when
// nobody answered yet.
func (c *clock) read() (host string, skew time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.host, c.skew
}

// httpClient follows no redirects: a credential goes to the configured place
// only.
func httpClient() *http.Client {
	return &http.Client{Transport: transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func buildDestinations(cfg *config.Config, replace map[string]notify.Notifier, vendors http.RoundTripper, now func() time.Time, log *slog.Logger) (map[string]*notify.Destination, error) {
	tempo := notify.Tempo(cfg.Worker.TimeScale)
	out := map[string]*notify.Destination{}
	for _, d := range cfg.Destinations {
		gate := gateOf(d, tempo)
		n := replace[d.Name]
		if n == nil {
			var err error
			if n, err = buildNotifier(d, paced(d, gate, tempo, vendors), cfg.Worker.TimeScale, now, log.With("destination", d.Name)); err != nil {
				return nil, fault.Wrap(fault.Usage, err, fmt.Sprintf("build the destination %s", d.Name), "nothing was sent", "guardroom config check")
			}
		}
		out[d.Name] = &notify.Destination{Name: d.Name, Type: d.Type, Notifier: n, Gate: gate, GiveUpAfter: d.GiveUpAfter.Std()}
	}
	return out, nil
}

// buildNotifier is the list of vendors.
func buildNotifier(d config.Destination, rt http.RoundTripper, scale float64, now func() time.Time, log *slog.Logger) (notify.Notifier, error) {
	timeout := timeoutOf(d)
	switch {
	case d.Type == "slack" && d.Slack != nil:
		return buildSlack(d, rt, timeout, scale, now, log)
	case d.Type == "jira" && d.Jira != nil:
		return buildJira(d, rt, timeout, scale, now, log)
	case d.Type == "pagerduty" && d.PagerDuty != nil:
		return pagerduty.New(pagerduty.Config{PagerDuty: *d.PagerDuty, Destination: d.Name, Timeout: timeout, TimeScale: scale},
			pagerduty.Deps{Now: now, Transport: rt, Log: log})
	case d.Type == "webhook" && d.Webhook != nil:
		// Its transport is its own, because it guards which addresses are
		// dialled; there is no documented pace to keep.
		return webhook.New(webhook.Config{Webhook: *d.Webhook, Destination: d.Name, Timeout: timeout, TimeScale: scale}, webhook.Deps{Now: now})
	case d.Type == "email" && d.Email != nil:
		e := d.Email
		return email.New(email.Config{Name: d.Name, Host: e.Host, Port: e.Port, TLS: e.TLS, Insecure: e.Insecure, CAFile: e.CAFile,
			Username: e.Username, Password: e.Password.Reveal(), From: e.From, To: e.To, Hello: e.Hello, Timeout: timeout}, email.Deps{Now: now, Log: log})
	}
	return nil, fmt.Errorf("the type %q has no section of its own", d.Type)
}

// destinationFault turns a vendor's failure into what a person reads.
func destinationFault(name string, err error) error {
	e := notify.AsError(err)
	return fault.Wrap(fault.Unavailable, nil, name+": "+e.Error(), e.Safe, e.Hint)
}
