package pagerduty

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

const maxAnswer = 1 << 20

// client makes the calls of both APIs and turns failures into ours.
type client struct {
	http    *http.Client
	timeout time.Duration
	scale   float64
	agent   string
	limited atomic.Int32 // 429 in a row, over all deliveries
}

func newClient(cfg Config, transport http.RoundTripper) *client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 60 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	return &client{
		timeout: cfg.Timeout, scale: cfg.TimeScale, agent: "guardroom",
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a key does not follow to another host
		}},
	}
}

// answer is what came back. Err is set when the body did not come whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// call makes one request. The error is a transport's; an answer of any status
// is none.
func (c *client) call(ctx context.Context, method, target string, header http.Header, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, &notify.Error{Class: notify.Pause, Reason: "invalid", Message: "the URL of PagerDuty cannot be used",
			Safe: "nothing was sent", Hint: "check api_url and rest_url", Err: err}
	}
	maps.Copy(req.Header, header)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		// Nothing may be sent a second time without our knowing.
		req.GetBody = nil
	}
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusTooManyRequests {
		c.limited.Store(0)
	}
	return a, nil
}

// transportError names the failure without the address, which a proxy's
// credentials may be part of.
func transportError(err error) *notify.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := &notify.Error{Class: notify.Retry, Reason: "network", Message: "PagerDuty cannot be reached",
		Safe: "the event may have arrived; sending it again makes no second alert", Hint: "check the network and api_url", Err: err}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		e.Reason, e.Message = "timeout", "PagerDuty did not answer in time"
	}
	return e
}

// Waits after 429, which comes without Retry-After as a rule.
const (
	firstWait = 30 * time.Second
	maxWait   = 5 * time.Minute
)

// rateLimited returns how to come again after a 429: what the vendor asks for,
// or half a minute that doubles while the refusals go on.
func (c *client) rateLimited(a *answer) *notify.Error {
	n := min(c.limited.Add(1)-1, 10)
	wait := min(firstWait<<n, maxWait)
	reset, _ := notify.Seconds(a.header.Get("Ratelimit-Reset"))
	wait = cmp.Or(notify.RetryAfter(a.header, time.Time{}), reset, wait)
	return &notify.Error{Class: notify.Retry, After: time.Duration(float64(wait) / c.scale), Reason: "rate_limited",
		Message: "PagerDuty takes no more requests for now (429)", Safe: "the event was not taken; it is sent again",
		DestinationWide: true}
}

// failure turns an answer that is no success into ours. what says what was
// tried: "send the event".
func (c *client) failure(a *answer, what string) *notify.Error {
	said := vendorWords(a.body)
	e := &notify.Error{Message: fmt.Sprintf("PagerDuty refused to %s (%d %s)", what, a.status, cmp.Or(said, http.StatusText(a.status)))}
	switch {
	case a.status == http.StatusTooManyRequests:
		return c.rateLimited(a)
	case a.status >= 500 || a.status == http.StatusRequestTimeout:
		e.Class, e.Reason = notify.Retry, "server_error"
		e.Message = fmt.Sprintf("PagerDuty failed to %s (%d %s)", what, a.status, cmp.Or(said, http.StatusText(a.status)))
		e.Safe = "it may have arrived; trying again makes no second alert"
		e.After = time.Duration(float64(notify.RetryAfter(a.header, time.Time{})) / c.scale)
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status == http.StatusPaymentRequired:
		e.Class, e.Reason = notify.Pause, "auth"
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "check routing_key or api_token and its rights, and whether the proxy or the network asks for a login, then: guardroom destination test NAME"
	case a.status >= 300 && a.status < 400:
		e.Class, e.Reason = notify.Pause, "invalid"
		e.Message = fmt.Sprintf("the URL of PagerDuty leads elsewhere (%d)", a.status)
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "check api_url, region and the proxy"
	case a.status == http.StatusProxyAuthRequired:
		e.Class, e.Reason = notify.Pause, "auth"
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "give the proxy its login, then: guardroom destination test NAME"
	case said == "" && (a.status == http.StatusNotFound || a.status == http.StatusBadRequest):
		e.Class, e.Reason, e.DestinationWide = notify.Retry, "invalid", true
		if a.status == http.StatusNotFound {
			e.Reason = "not_found"
		}
		e.Message = fmt.Sprintf("the refusal to %s is not PagerDuty's (%d %s)", what, a.status, http.StatusText(a.status))
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "check api_url, region and the proxy"
	case a.status == http.StatusNotFound:
		e.Class, e.Reason = notify.Park, "not_found"
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "check api_url and that the incident still exists, then: guardroom delivery retry"
	case a.status >= 400:
		e.Class, e.Reason = notify.Park, "invalid"
		e.Safe, e.Hint = "nothing was changed in PagerDuty", "correct what PagerDuty names, then: guardroom delivery retry"
	default: // a 2xx that is not the vendor's
		e.Class, e.Reason = notify.Retry, "server_error"
		e.Message = fmt.Sprintf("the answer to %s is not PagerDuty's (%d)", what, a.status)
		e.Safe, e.Hint = "it may not have arrived; it is sent again", "check api_url and the proxy"
	}
	return e
}

// vendorWords reads the words of an error of either API.
func vendorWords(body []byte) string {
	type words struct {
		Message string          `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	var v struct {
		words
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	w := v.words
	if inner := (words{}); len(v.Error) > 0 {
		if json.Unmarshal(v.Error, &inner) == nil {
			w = inner
		} else {
			_ = json.Unmarshal(v.Error, &w.Message) // some proxies answer {"error":"text"}
		}
	}
	parts := []string{w.Message}
	var list []string
	var one string
	if json.Unmarshal(w.Errors, &list) == nil {
		parts = append(parts, list...)
	} else if json.Unmarshal(w.Errors, &one) == nil {
		parts = append(parts, one)
	}
	text := strings.Join(compact(parts), ": ")
	return escape.CutEnd(escape.Visible(text), 500)
}

func compact(in []string) []string {
	out := in[:0]
	for _, s := range in {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
