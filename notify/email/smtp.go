package email

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"os"
	"strings"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// This file is the only one that knows the mail library. The library builds
// the MIME message and connects; the transaction itself is ours, because its
// own gives up on everybody when one recipient is refused.

// stage is how far a transaction came when it failed.
type stage string

const (
	stageConnect stage = "connect"
	stageLogin   stage = "log in"
	stageSender  stage = "name the sender"
	stageRcpt    stage = "name the recipient"
	stageData    stage = "send the message"
	stageAnswer  stage = "wait for the answer"
	stageNoop    stage = "say nothing"
)

// stageError is a failure with the stage in which it happened.
type stageError struct {
	stage stage
	err   error
}

func (e *stageError) Error() string { return fmt.Sprintf("%s: %v", e.stage, e.err) }
func (e *stageError) Unwrap() error { return e.err }

// result says what became of each recipient of one transaction.
type result struct {
	accepted []string
	refused  map[string]error // by address; the server's answer to RCPT
}

// maxCAFile bounds the file of authorities.
const maxCAFile = 4 << 20

// tlsConfig reads the authorities anew, so that the file may be replaced.
func (s *settings) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return config, nil
	}
	f, err := os.Open(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without authorities: only ours count
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: %s holds no PEM certificate", s.CAFile)
	}
	config.RootCAs = pool
	return config, nil
}

// connect dials, encrypts and authenticates. The connection dies with ctx; the
// returned function ends it.
func (s *settings) connect(ctx context.Context) (*smtp.Client, func(), error) {
	config, err := s.tlsConfig()
	if err != nil {
		return nil, nil, &stageError{stageConnect, err}
	}
	d := &dialer{caller: ctx}
	if s.TLS == TLSImplicit {
		d.tls = config
	}
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(s.Timeout), gomail.WithHELO(s.Hello), gomail.WithTLSConfig(config),
		gomail.WithDialContextFunc(d.dial),
	}
	switch s.TLS {
	case TLSImplicit:
		options = append(options, gomail.WithSSL())
	case TLSNone:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return nil, nil, &stageError{stageConnect, err}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		d.close()
		return nil, nil, &stageError{stageConnect, err}
	}
	end := func() {
		_ = conn.Quit() // a courtesy; the message is in or it is not
		d.close()
	}
	if err := s.login(conn); err != nil {
		end()
		return nil, nil, &stageError{stageLogin, err}
	}
	return conn, end, nil
}

// dialer makes the connection and keeps hold of it: the library closes it
// neither when its caller gives up nor when its own greeting fails.
type dialer struct {
	caller context.Context // of connect, for which this dialer lives
	tls    *tls.Config     // for implicit TLS
	conn   net.Conn
	stop   func() bool
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.conn = conn
	d.stop = context.AfterFunc(d.caller, func() { _ = conn.Close() }) //nolint:contextcheck // the caller is who gives up
	if d.tls == nil {
		return conn, nil
	}
	encrypted := tls.Client(conn, d.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return encrypted, nil
}

func (d *dialer) close() {
	if d.conn != nil {
		d.stop()
		_ = d.conn.Close()
	}
}

// errNoLogin: the server offers nothing that we can log in with.
var errNoLogin = errors.New("the server offers no way to log in that guardroom knows (PLAIN, LOGIN, CRAM-MD5)")

// login authenticates where a user is configured. The library's own choice
// would begin with mechanisms that tie the password to the connection, which
// many relays announce and fail.
func (s *settings) login(conn *smtp.Client) error {
	if s.Username == "" {
		return nil
	}
	_, offered := conn.Extension("AUTH")
	unencrypted := s.TLS == TLSNone
	for mechanism := range strings.FieldsSeq(offered) {
		switch strings.ToUpper(mechanism) {
		case "PLAIN":
			return conn.Auth(smtp.PlainAuth("", s.Username, s.Password, s.Host, unencrypted))
		case "LOGIN":
			return conn.Auth(smtp.LoginAuth(s.Username, s.Password, s.Host, unencrypted))
		case "CRAM-MD5":
			return conn.Auth(smtp.CRAMMD5Auth(s.Username, s.Password))
		}
	}
	return errNoLogin
}

// probe connects, logs in and asks for nothing.
func (s *settings) probe(ctx context.Context) error {
	conn, end, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := conn.Noop(); err != nil {
		return &stageError{stageNoop, err}
	}
	return nil
}

// send carries one message to the recipients. The result is valid also beside
// an error: who was refused is known before the message goes out. An error of
// stageAnswer means that the mail may be on its way.
func (s *settings) send(ctx context.Context, raw []byte, recipients []string) (result, error) {
	res := result{refused: map[string]error{}}
	conn, end, err := s.connect(ctx)
	if err != nil {
		return res, err
	}
	defer end()
	if err := conn.UpdateDeadline(s.Timeout); err != nil {
		return res, &stageError{stageConnect, err}
	}
	if err := conn.Mail("<" + s.from.Address + ">"); err != nil {
		return res, &stageError{stageSender, err}
	}
	for _, to := range recipients {
		err := conn.Rcpt("<" + to + ">")
		switch {
		case err == nil:
			res.accepted = append(res.accepted, to)
		case replyCode(err) == 0, replyCode(err) == 421: // the connection is gone
			res.accepted = nil
			return res, &stageError{stageRcpt, err}
		default:
			res.refused[to] = err
		}
	}
	if len(res.accepted) == 0 {
		return res, nil
	}
	if err := transmit(conn, raw); err != nil {
		res.accepted = nil
		return res, err
	}
	return res, nil
}

func transmit(conn *smtp.Client, raw []byte) error {
	w, err := conn.Data()
	if err != nil {
		return &stageError{stageData, err}
	}
	// Without the dot that Close writes the server throws the message away, so
	// a connection that breaks here has sent nothing.
	if _, err := w.Write(raw); err != nil {
		return &stageError{stageData, err}
	}
	if err := w.Close(); err != nil {
		return &stageError{stageAnswer, err}
	}
	return nil
}

// compose makes the bytes of a mail. The same input gives the same bytes.
func (s *settings) compose(e envelope, text, html string) ([]byte, error) {
	// The boundary depends on all that stands between its occurrences, so that
	// nobody can write a text that holds it and begins a part of their own.
	sum := sha256.Sum256([]byte(e.messageID + "\x00" + text + "\x00" + html))
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("guardroom-"+hex.EncodeToString(sum[:16])))
	m.FromMailAddress(s.from)
	m.ToMailAddress(cloneAddresses(s.to)...)
	m.Subject(e.subject.String())
	m.SetMessageIDWithValue(e.messageID)
	m.SetDateWithValue(e.date.UTC())
	if e.rootID != e.messageID {
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+e.rootID+">")
		m.SetGenHeader(gomail.HeaderReferences, "<"+e.rootID+">")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetGenHeader("X-Auto-Response-Suppress", "All")  // the same for Exchange
	m.SetGenHeader("List-Id", e.list.String())
	m.SetGenHeader("X-Guardroom-Incident", e.incident.String())
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("compose mail: %w", err)
	}
	return []byte(b.String()), nil
}

func cloneAddresses(list []*mail.Address) []*mail.Address {
	out := make([]*mail.Address, len(list))
	for i, a := range list {
		c := *a
		out[i] = &c
	}
	return out
}
