package fakesmtp_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/internal/fakesmtp"
)

func start(t *testing.T, opts fakesmtp.Options) *fakesmtp.Server {
	t.Helper()
	s := fakesmtp.New(opts)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// dial connects with the standard library's client, as an independent reader.
func dial(t *testing.T, s *fakesmtp.Server, starttls bool) *smtp.Client {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
	if err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, s.Host())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if starttls {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(s.CAPEM())
		if err := c.StartTLS(&tls.Config{RootCAs: pool, ServerName: s.Host()}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func send(c *smtp.Client, to ...string) error {
	if err := c.Mail("a@example.com"); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("Subject: x\r\n\r\n.dot\r\n")); err != nil {
		return err
	}
	return w.Close()
}

func TestServerKeepsWhatWasSentOverTLS(t *testing.T) {
	t.Parallel()
	s := start(t, fakesmtp.Options{Username: "u", Password: "p"})
	c := dial(t, s, true)
	if err := send(c, "b@example.com"); code(err) != 530 {
		t.Fatalf("without AUTH: %v, want 530", err)
	}
	if err := c.Auth(smtp.PlainAuth("", "u", "p", s.Host())); err != nil {
		t.Fatal(err)
	}
	if err := send(c, "b@example.com", "c@example.com"); err != nil {
		t.Fatal(err)
	}
	got := s.Messages()
	if len(got) != 1 {
		t.Fatalf("%d messages, want 1", len(got))
	}
	m := got[0]
	if !m.TLS || m.User != "u" || !m.Answered || strings.Join(m.Recipients, ",") != "b@example.com,c@example.com" {
		t.Errorf("got %+v", m)
	}
	if string(m.Raw) != "Subject: x\r\n\r\n.dot\r\n" {
		t.Errorf("raw %q", m.Raw)
	}
}

func TestServerAnswersByTheScript(t *testing.T) {
	t.Parallel()
	s := start(t, fakesmtp.Options{NoTLS: true})
	c := dial(t, s, false)
	if ok, _ := c.Extension("STARTTLS"); ok {
		t.Error("STARTTLS is offered")
	}
	s.AnswerSender(fakesmtp.Reply{Code: 451, Message: "later"})
	s.AnswerRecipient("b@example.com", fakesmtp.Reply{Code: 550, Message: "unknown"})
	s.AnswerData(fakesmtp.Reply{Code: 552, Message: "too big"})
	for _, want := range []int{451, 550, 552, 0} {
		if err := send(c, "b@example.com"); code(err) != want {
			t.Errorf("got %v, want %d", err, want)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Messages()); n != 1 {
		t.Errorf("%d messages kept, want 1", n)
	}
}

func TestServerCutsAfterTheDot(t *testing.T) {
	t.Parallel()
	s := start(t, fakesmtp.Options{NoTLS: true})
	s.LoseAfterDot(1)
	s.CutAfterDot(1)
	for _, want := range []int{0, 1} {
		if err := send(dial(t, s, false), "b@example.com"); err == nil || code(err) != 0 {
			t.Errorf("got %v, want a broken connection", err)
		}
		if n := len(s.Messages()); n != want {
			t.Errorf("%d messages kept, want %d", n, want)
		}
	}
	if s.Messages()[0].Answered {
		t.Error("the message counts as answered")
	}
}

func code(err error) int {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code
	}
	return 0
}
