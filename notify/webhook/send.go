package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

const maxAnswer = 64 << 10

// send makes one attempt.
func (n *Notifier) send(ctx context.Context, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url.String(), bytes.NewReader(body))
	if err != nil {
		return &notify.Error{Class: notify.Pause, Reason: "invalid", Message: "the webhook's URL cannot be used",
			Safe: "nothing was sent", Hint: "check url"} // err repeats the URL, which is a secret
	}
	req.Header.Set("User-Agent", "guardroom")
	for name, value := range n.cfg.Headers {
		req.Header.Set(name, value.Reveal())
	}
	at := n.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", n.signer.sign(id, at, body))
	resp, err := n.http.Do(req)
	if err != nil {
		return transportError(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	return n.verdict(resp)
}

// verdict reads the status. Other than with vendors most refusals are tried
// again: the receiver is the customer's own program, and may be mended.
func (n *Notifier) verdict(resp *http.Response) error {
	code := resp.StatusCode
	if code/100 == 2 {
		return nil
	}
	e := &notify.Error{Class: notify.Retry, Reason: "invalid",
		Message: fmt.Sprintf("the webhook's receiver answered %d %s", code, http.StatusText(code)),
		Safe:    "the same message is sent again, with the same webhook-id"}
	switch {
	case code == http.StatusGone:
		e.Class, e.Reason = notify.Pause, "not_found"
		e.Message = "the webhook's receiver is gone (410)"
		e.Safe, e.Hint = "nothing more is sent there", "correct url, then: guardroom destination resume NAME"
		return e
	case code/100 == 3:
		e.Message = fmt.Sprintf("the webhook's receiver redirects (%d), which is not followed", code)
		e.Hint = "set url to the address that it redirects to"
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Reason, e.Hint = "auth", "compare the secret on both sides, and the receiver's clock"
	case code == http.StatusProxyAuthRequired:
		e.Reason, e.Hint = "auth", "give the proxy its login"
	case code == http.StatusNotFound:
		e.Reason, e.Hint = "not_found", "check url"
	case code == http.StatusTooManyRequests:
		e.Reason, e.DestinationWide = "rate_limited", true
	case code >= 500:
		e.Reason = "server_error"
	}
	e.After = time.Duration(float64(notify.RetryAfter(resp.Header, n.now())) / n.cfg.TimeScale)
	return e
}

// transportError drops the URL from the error: it is a secret.
func transportError(err error) *notify.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	e := &notify.Error{Class: notify.Retry, Reason: "network", Message: "the webhook's receiver cannot be reached",
		Safe: "the same message is sent again, with the same webhook-id", Err: err}
	var blocked *blockedError
	var timeout net.Error
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &blocked):
		e.Class, e.Reason, e.Message = notify.Pause, "invalid", "the webhook's address is refused"
		e.Safe, e.Hint = "nothing was sent", "if the receiver is meant to be inside, say allow_private: true"
		e.Err = blocked
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		e.Message, e.Hint = "the webhook receiver's certificate is not accepted", "renew it, or use the name that it is made out to"
		e.Safe = "nothing was sent; it is tried again"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Reason, e.Message = "timeout", "the webhook's receiver did not answer in time"
	}
	return e
}

// Test implements notify.Notifier: it sends a message of type test.
func (n *Notifier) Test(ctx context.Context) (string, error) {
	at := n.now().UTC()
	id := fmt.Sprintf("test-%x", at.UnixNano())
	v := &message.View{Kind: message.KindTest, Delivery: id, Revision: 1, Band: finding.Informational, UpdatedAt: at,
		Headline: message.Words("test from guardroom"),
		Sentence: message.Words("A person asked for this test; there is nothing to do.")}
	body, _, err := n.body(v, msg{id: id, kind: TypeTest, at: at})
	if err != nil {
		return "", err
	}
	if err := n.send(ctx, id, body); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answered 2xx to a message of type test with webhook-id %s; the receiver should now show it", n.url.Host, id), nil
}

// Check implements notify.Notifier: it connects, and sends nothing.
func (n *Notifier) Check(ctx context.Context) []notify.Finding {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	what := "connection to " + n.url.Host
	port := n.url.Port()
	var conn net.Conn
	var err error
	if n.url.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		d := &tls.Dialer{NetDialer: n.guard.dialer(), Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: n.url.Hostname()}}
		conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(n.url.Hostname(), port))
	} else {
		if port == "" {
			port = "80"
		}
		conn, err = n.guard.dialer().DialContext(ctx, "tcp", net.JoinHostPort(n.url.Hostname(), port))
	}
	if err != nil {
		e := transportError(err)
		hint := e.Hint
		if hint == "" {
			hint = "check url, name resolution and the network"
		}
		return []notify.Finding{{What: what, Message: e.Error(), Hint: hint}}
	}
	_ = conn.Close()
	return []notify.Finding{{OK: true, What: what,
		Message: "the receiver can be reached; whether it takes the signature can only be tried: guardroom destination test " + n.cfg.Destination}}
}
