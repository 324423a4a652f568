package fakesmtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // go-smtp wants one; ours says nothing
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Options say what kind of server it is. The zero value offers STARTTLS and
// takes mail from everybody.
type Options struct {
	// ImplicitTLS speaks TLS from the first byte, as on port 465.
	ImplicitTLS bool
	// NoTLS offers no STARTTLS at all.
	NoTLS bool
	// CertificateName, if set, is the only name that the certificate is for.
	CertificateName string
	// Username and Password make AUTH PLAIN necessary before MAIL.
	Username, Password string
	// MaxMessageBytes is announced as SIZE and enforced with 552; 0 means 1 MiB.
	MaxMessageBytes int64
}

// Reply is an answer to a command: 450, "4.2.1", "mailbox busy".
type Reply struct {
	Code    int
	Message string
}

// Message is one mail as it was received.
type Message struct {
	From       string   // envelope sender
	Recipients []string // envelope recipients that were accepted
	Raw        []byte   // headers and body, CRLF, dots unstuffed
	TLS        bool     // the connection was encrypted
	User       string   // who authenticated; empty if nobody did
	Hello      string   // the name in EHLO
	Answered   bool     // false: taken, then the connection was cut before the answer
}

// Server is the fake. Its methods are safe for concurrent use.
type Server struct {
	opts     Options
	listener net.Listener
	smtp     *smtp.Server
	served   chan struct{}
	caPEM    []byte

	mu       sync.Mutex
	messages []Message
	sender   []Reply            // scripted answers to MAIL
	rcpt     map[string][]Reply // scripted answers to RCPT, by address
	data     []Reply            // scripted answers after the dot
	cuts     int                // how many more messages to take and cut
	drops    int                // how many more messages to cut without taking them
	sessions int
}

// New returns a server that does not listen yet.
func New(opts Options) *Server {
	if opts.MaxMessageBytes == 0 {
		opts.MaxMessageBytes = 1 << 20
	}
	return &Server{opts: opts, rcpt: map[string][]Reply{}, served: make(chan struct{})}
}

// Start listens on a free port of 127.0.0.1 and serves until Close.
func (s *Server) Start() error {
	authority, err := newAuthority(time.Now(), s.opts.CertificateName)
	if err != nil {
		return err
	}
	s.caPEM = authority.pem
	config := &tls.Config{Certificates: []tls.Certificate{authority.leaf}, MinVersion: tls.VersionTLS12}

	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.Domain = "fakesmtp.invalid"
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = time.Minute, time.Minute
	s.smtp.MaxMessageBytes = s.opts.MaxMessageBytes
	s.smtp.AllowInsecureAuth = s.opts.NoTLS
	if !s.opts.NoTLS && !s.opts.ImplicitTLS {
		s.smtp.TLSConfig = config
	}

	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for fake SMTP: %w", err)
	}
	serve := s.listener
	if s.opts.ImplicitTLS {
		serve = tls.NewListener(serve, config)
	}
	go func() {
		defer close(s.served)
		_ = s.smtp.Serve(serve) // ends with Close
	}()
	return nil
}

// Close ends the server and every connection to it.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	err := s.smtp.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		err = nil // closed before
	}
	// go-smtp knows the listener only once Serve has begun.
	if closeErr := s.listener.Close(); closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	<-s.served
	return err
}

// Host is the name to connect to; the certificate is made for it.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port that Start chose.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// CAPEM is the certificate authority that clients must trust.
func (s *Server) CAPEM() []byte { return slices.Clone(s.caPEM) }

// Messages returns what was received so far, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Sessions is the number of connections that said hello.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// AnswerSender makes the next MAIL commands fail with these replies, one each.
func (s *Server) AnswerSender(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sender = append(s.sender, replies...)
}

// AnswerRecipient makes the next RCPT commands for the address fail with these
// replies, one each.
func (s *Server) AnswerRecipient(address string, replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcpt[address] = append(s.rcpt[address], replies...)
}

// AnswerData makes the next messages fail after the dot with these replies, one
// each; they are not kept.
func (s *Server) AnswerData(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, replies...)
}

// CutAfterDot takes the next n messages and cuts the connection instead of
// answering, so that the sender cannot know.
func (s *Server) CutAfterDot(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts += n
}

// LoseAfterDot cuts the connection after the dot of the next n messages, and
// loses them.
func (s *Server) LoseAfterDot(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops += n
}

// next takes the first reply off a script; nil when there is none.
func next(script *[]Reply) error {
	if len(*script) == 0 {
		return nil
	}
	r := (*script)[0]
	*script = (*script)[1:]
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode{r.Code / 100, 0, 0}, Message: r.Message}
}
