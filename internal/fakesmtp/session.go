package fakesmtp

import (
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one connection.
type session struct {
	server *Server
	conn   *smtp.Conn
	user   string
	from   string
	to     []string
}

var _ smtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	return &session{server: s, conn: c}, nil
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.server.opts.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mech string) (sasl.Server, error) {
	if s.server.opts.Username == "" || mech != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.server.opts.Username || password != s.server.opts.Password {
			return smtp.ErrAuthFailed
		}
		s.user = username
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.opts.Username != "" && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if err := next(&s.server.sender); err != nil {
		return err
	}
	s.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	script := s.server.rcpt[to]
	err := next(&script)
	s.server.rcpt[to] = script
	if err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // go-smtp's own 552 for a message that is too large
	}
	_, encrypted := s.conn.TLSConnectionState()
	m := Message{
		From: s.from, Recipients: s.to, Raw: raw, TLS: encrypted, User: s.user,
		Hello: s.conn.Hostname(), Answered: true,
	}

	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.drops > 0 {
		s.server.drops--
		return s.cut()
	}
	if s.server.cuts > 0 {
		s.server.cuts--
		m.Answered = false
		s.server.messages = append(s.server.messages, m)
		return s.cut()
	}
	if err := next(&s.server.data); err != nil {
		return err
	}
	s.server.messages = append(s.server.messages, m)
	return nil
}

// cut ends the connection under the answer that go-smtp is about to write.
func (s *session) cut() error {
	return errors.Join(errors.New("connection cut by the script"), s.conn.Conn().Close())
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }
