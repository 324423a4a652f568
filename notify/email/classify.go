package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/textproto"
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// replyCode returns the server's three digits, or 0 when err is none of its
// answers: then the network failed.
func replyCode(err error) int {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code
	}
	return 0
}

// word is the server's own answer, fit to be shown.
func word(err error) string {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return escape.CutEnd(escape.Visible(fmt.Sprintf("%d %s", reply.Code, strings.ReplaceAll(reply.Msg, "\n", " "))), 200)
	}
	return escape.CutEnd(escape.Visible(err.Error()), 200)
}

// classify turns a failure of connect, probe or send into one of ours. After
// RFC 5321, 4.2.1: 4yz asks to come again, 5yz not to.
func (s *settings) classify(err error) *notify.Error {
	var st *stageError
	if !errors.As(err, &st) {
		return &notify.Error{Class: notify.Retry, Reason: "internal", Message: "send mail: " + word(err), Err: err}
	}
	e := &notify.Error{
		Class:   notify.Retry,
		Reason:  "server_error",
		Message: fmt.Sprintf("mail server %s: %s failed (%s)", s.Host, st.stage, word(st.err)),
		Safe:    "the mail was not sent",
		Err:     err,
	}
	code := replyCode(st.err)
	switch {
	case st.stage == stageConnect && code == 0:
		s.classifyConnect(e, st.err)
	case code == 0 && st.stage == stageLogin && !isNetwork(st.err):
		pause(e, "auth", "check username, password and the mechanisms of the mail server")
	case code == 0 && st.stage == stageAnswer:
		e.Reason = "unknown_outcome"
		e.Safe = "the mail may have been sent; it goes out again under the same Message-ID, so that most clients show it once"
	case code == 0:
		networkReason(e, st.err)
	case code == 530, code == 534, code == 535, code == 538, st.stage == stageLogin && code >= 500:
		pause(e, "auth", "check username and password, then: guardroom destination test "+s.Name)
	case code < 500:
		e.Reason = "rate_limited"
		if code == 421 || code == 451 {
			e.Reason = "server_error"
		}
	case st.stage == stageSender && code != 552:
		pause(e, "invalid", "let the mail server accept the address in from: "+s.from.Address)
	case st.stage == stageConnect:
		pause(e, "invalid", "ask the owner of the mail server why it refuses this machine")
	default: // 5yz to DATA or after the dot: this message is not wanted
		e.Class, e.Reason = notify.Park, "invalid"
		e.Hint = "read the server's answer; when mended: guardroom delivery retry"
	}
	return e
}

func pause(e *notify.Error, reason, hint string) {
	e.Class, e.Reason, e.Hint = notify.Pause, reason, hint
}

// classifyConnect tells what a person must mend from what passes by itself.
func (s *settings) classifyConnect(e *notify.Error, err error) {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		record       tls.RecordHeaderError
		path         *fs.PathError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &hostname):
		pause(e, "tls", "the certificate cannot be trusted: set ca_file, or host to the name in the certificate")
	case errors.As(err, &record):
		pause(e, "tls", "the server does not speak TLS on this port: use tls: starttls with 587, or tls: implicit with 465")
	case strings.Contains(err.Error(), "does not support STARTTLS"): // the library has no type for it
		pause(e, "tls", "the server offers no STARTTLS: use its submission port (587), or tls: implicit with 465")
	case errors.As(err, &path), strings.Contains(err.Error(), "ca_file"):
		pause(e, "invalid", "set ca_file to a readable PEM file")
	default:
		networkReason(e, err)
	}
}

func networkReason(e *notify.Error, err error) {
	e.Reason = "network"
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		e.Reason = "timeout"
	}
}

func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "EOF")
}
