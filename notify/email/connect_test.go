package email_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakesmtp"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/email"
)

func withLogin(user, password string) func(*email.Config) {
	return func(c *email.Config) { c.Username, c.Password = user, password }
}

func insecure(c *email.Config) { c.TLS, c.Insecure = email.TLSNone, true }

func TestConnecting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   fakesmtp.Options
		change func(*email.Config)
		reason string // empty: it works
		class  notify.Class
	}{
		{"STARTTLS", fakesmtp.Options{}, nil, "", ""},
		{"implicit TLS", fakesmtp.Options{ImplicitTLS: true}, nil, "", ""},
		{"a login over STARTTLS", fakesmtp.Options{Username: "u", Password: "p"}, withLogin("u", "p"), "", ""},
		{"a login over implicit TLS", fakesmtp.Options{ImplicitTLS: true, Username: "u", Password: "p"}, withLogin("u", "p"), "", ""},
		{"no encryption where that is spelled out", fakesmtp.Options{NoTLS: true}, insecure, "", ""},
		{"a login without encryption where that is spelled out", fakesmtp.Options{NoTLS: true, Username: "u", Password: "p"}, func(c *email.Config) {
			insecure(c)
			c.Username, c.Password = "u", "p"
		}, "", ""},
		{"a wrong password pauses", fakesmtp.Options{Username: "u", Password: "p"}, withLogin("u", "wrong"), "auth", notify.Pause},
		{"a server without AUTH pauses", fakesmtp.Options{}, withLogin("u", "p"), "auth", notify.Pause},
		{"a server without STARTTLS gets no mail", fakesmtp.Options{NoTLS: true}, nil, "tls", notify.Pause},
		{"a certificate of an unknown authority pauses", fakesmtp.Options{}, func(c *email.Config) { c.CAFile = "" }, "tls", notify.Pause},
		{"a certificate of another name pauses", fakesmtp.Options{CertificateName: "mail.example.net"}, nil, "tls", notify.Pause},
		{"TLS on a port that speaks plain SMTP pauses", fakesmtp.Options{}, func(c *email.Config) { c.TLS = email.TLSImplicit }, "tls", notify.Pause},
		{"a missing file of authorities pauses", fakesmtp.Options{}, func(c *email.Config) { c.CAFile = "nowhere.pem" }, "invalid", notify.Pause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, tt.opts, tt.change)
			found := d.notifier.Check(t.Context())
			if len(found) != 1 || found[0].OK != (tt.reason == "") || found[0].Message == "" || !found[0].OK && found[0].Hint == "" {
				t.Errorf("Check: %+v", found)
			}
			said, err := d.notifier.Test(t.Context())
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(said, "[TEST]") || !strings.Contains(said, ana) || !strings.Contains(said, raj) {
					t.Errorf("Test says %q", said)
				}
				if sent := d.server.Messages(); len(sent) != 1 {
					t.Errorf("%d mails, want 1", len(sent))
				}
				return
			}
			e := asError(t, err)
			if e.Reason != tt.reason || e.Class != tt.class {
				t.Errorf("got %s/%s: %s; want %s/%s", e.Class, e.Reason, e.Message, tt.class, tt.reason)
			}
			if n := len(d.server.Messages()); n != 0 {
				t.Errorf("%d mails went out", n)
			}
		})
	}
}

func TestNobodyListensIsRetried(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	if err := d.server.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := d.reconcile(incidentView(1, nil))
	if e := asError(t, err); e.Class != notify.Retry || e.Reason != "network" {
		t.Errorf("got %+v", e)
	}
}

func TestAServerThatSaysNothingTimesOut(t *testing.T) {
	t.Parallel()
	port := silentServer(t)
	n := mustNew(t, email.Config{Host: "127.0.0.1", Port: port, From: "a@example.com", To: []string{ana}, Timeout: 50 * time.Millisecond})
	_, err := n.Test(t.Context())
	if e := asError(t, err); e.Class != notify.Retry || e.Reason != "timeout" {
		t.Errorf("got %+v", e)
	}
}

func TestACancelledCallEnds(t *testing.T) {
	t.Parallel()
	port := silentServer(t)
	n := mustNew(t, email.Config{Host: "127.0.0.1", Port: port, From: "a@example.com", To: []string{ana}, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := n.Test(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
}

// silentServer accepts connections and never speaks.
func silentServer(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
		}
		for _, c := range open {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		<-ended
	})
	return l.Addr().(*net.TCPAddr).Port
}

func mustNew(t *testing.T, cfg email.Config) *email.Notifier {
	t.Helper()
	n, err := email.New(cfg, email.Deps{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := func() email.Config {
		return email.Config{Host: "mail.example.com", From: "a@example.com", To: []string{ana}}
	}
	for _, tt := range []struct {
		name   string
		change func(*email.Config)
		want   string
	}{
		{"no TLS without saying insecure", func(c *email.Config) { c.TLS = "none" }, "insecure: true"},
		{"an unknown kind of TLS", func(c *email.Config) { c.TLS = "ssl" }, "starttls, implicit or none"},
		{"no host", func(c *email.Config) { c.Host = "" }, "host"},
		{"a host with a line break", func(c *email.Config) { c.Host = "a\r\nb" }, "host"},
		{"no recipient", func(c *email.Config) { c.To = nil }, "to:"},
		{"a recipient that is no address", func(c *email.Config) { c.To = []string{"ana"} }, "to[0]"},
		{"a recipient with a line break", func(c *email.Config) { c.To = []string{"ana@example.org\r\nBcc: x@example.net"} }, "to[0]"},
		{"a quoted recipient", func(c *email.Config) { c.To = []string{`"a> b"@example.org`} }, "to[0]"},
		{"no sender", func(c *email.Config) { c.From = "" }, "from"},
		{"a user without password", func(c *email.Config) { c.Username = "u" }, "belong together"},
		{"a port that is none", func(c *email.Config) { c.Port = 70000 }, "port"},
		{"a greeting with a line break", func(c *email.Config) { c.Hello = "a\nb" }, "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := good()
			tt.change(&cfg)
			_, err := email.New(cfg, email.Deps{Now: time.Now})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something about %q", err, tt.want)
			}
		})
	}
	if _, err := email.New(good(), email.Deps{Now: time.Now}); err != nil {
		t.Error(err)
	}
}
