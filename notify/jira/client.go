package jira

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 20

// client makes the calls of both dialects and turns failures into ours.
type client struct {
	http    *http.Client
	base    string // with /rest/api/N
	auth    func(*http.Request)
	timeout time.Duration
	scale   float64
	limited atomic.Int32 // 429 without a wish in a row, over all deliveries
}

// Waits after a 429 that says nothing about them:
// https://jira.atlassian.com/browse/JRACLOUD-82801
const (
	firstWait = 5 * time.Second
	maxWait   = 5 * time.Minute
)

func newClient(cfg Config, cloud bool, transport http.RoundTripper) *client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 60 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	c := &client{
		base: cfg.APIURL + "/rest/api/2", timeout: cfg.Timeout, scale: cfg.TimeScale,
		auth: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+cfg.Token.Reveal()) },
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a credential does not follow to another host
		}},
	}
	if cloud {
		c.base = cfg.APIURL + "/rest/api/3"
		c.auth = func(r *http.Request) { r.SetBasicAuth(cfg.Email, cfg.APIToken.Reveal()) }
	}
	return c
}

// apiError is a call that did not succeed.
type apiError struct {
	fault  *notify.Error
	status int               // 0: no answer came
	fields map[string]string // what Jira says is wrong with which field
	bare   bool              // Jira named nothing but fields
	spoken bool              // the refusal is Jira's own
	cut    bool              // its end did not arrive
	// unknown says that the call may have had its effect all the same.
	unknown bool
}

// Error implements error.
func (e *apiError) Error() string { return e.fault.Error() }

// Unwrap returns the failure in the words of notify.
func (e *apiError) Unwrap() error { return e.fault }

// missing reports that Jira itself says that it is not there. A page of a proxy
// with the same status says nothing about an issue.
func (e *apiError) missing() bool {
	return e != nil && e.status == http.StatusNotFound && e.spoken
}

// asAPI returns err as *apiError, or nil.
func asAPI(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return nil
}

// call makes one request. what names it for people ("create the issue"). in is
// sent as JSON unless nil, the answer is read into out unless nil. Every
// failure is an *apiError.
func (c *client) call(ctx context.Context, what, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return &apiError{fault: &notify.Error{Class: notify.Park, Reason: "invalid", Message: what + ": the request cannot be built", Safe: "nothing was sent", Err: err}}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.transportError(what, err, sent.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refused(what, resp, body, err != nil)
	}
	if looksLikePage(resp.Header, body) {
		// Nothing that Jira does is answered by a page.
		return &apiError{fault: classify(what, resp.StatusCode, resp.Header, body), status: resp.StatusCode}
	}
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(body, out)
	}
	c.limited.Store(0)
	if err != nil {
		return &apiError{status: resp.StatusCode, unknown: true, fault: &notify.Error{Class: notify.Retry, Reason: "server_error",
			Message: what + ": jira's answer cannot be read", Hint: "check api_url and the proxy in front of it", Err: err}}
	}
	return nil
}

func (c *client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		raw, err := encode(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // nothing is sent a second time without our knowing
	c.auth(req)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("X-Atlassian-Token", "no-check")
	req.Header.Set("User-Agent", "guardroom")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// encode writes JSON without turning < into \u003c, so that sizes are what
// Jira counts.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// refused is an answer that is no success. cut: only its beginning arrived.
func (c *client) refused(what string, resp *http.Response, body []byte, cut bool) error {
	fault := classify(what, resp.StatusCode, resp.Header, body)
	if cut && fault.DestinationWide {
		// It only looks like the answer of another.
		fault.Reason, fault.DestinationWide, fault.Hint = "server_error", false, ""
	}
	if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
		fault.After = min(firstWait<<min(c.limited.Add(1)-1, 10), maxWait)
	}
	fault.After = time.Duration(float64(fault.After) / c.scale)
	e := &apiError{fault: fault, status: resp.StatusCode, spoken: ownWords(body), cut: cut}
	e.unknown = resp.StatusCode >= 500 || resp.StatusCode == http.StatusRequestTimeout
	var answer struct {
		ErrorMessages []string          `json:"errorMessages"`
		Errors        map[string]string `json:"errors"`
	}
	if json.Unmarshal(body, &answer) == nil {
		e.fields, e.bare = answer.Errors, len(answer.ErrorMessages) == 0 && len(answer.Errors) > 0
	}
	return e
}

// transportError names the failure without the address, which a proxy's
// credentials may be part of.
func (c *client) transportError(what string, err error, sent bool) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := &notify.Error{Class: notify.Retry, Reason: "network", Message: what + ": jira cannot be reached",
		Safe: "nothing was sent", Hint: "check the network and api_url", Err: err}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		e.Reason, e.Message = "timeout", what+": jira did not answer in time"
	}
	if sent {
		e.Safe = "it may have arrived; it is looked at before it is tried again"
	}
	return &apiError{fault: e, unknown: sent}
}

// looksLikePage reports an answer for browsers.
func looksLikePage(h http.Header, body []byte) bool {
	return strings.Contains(strings.ToLower(h.Get("Content-Type")), "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}
