package email

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// How the connection is encrypted.
const (
	TLSStart    = "starttls" // the default: port 587, STARTTLS required
	TLSImplicit = "implicit" // port 465
	TLSNone     = "none"     // port 25; only together with Config.Insecure
)

const defaultTimeout = 20 * time.Second

// Config is one mail destination.
type Config struct {
	Name string // the destination's name, for tests
	Host string
	Port int    // 0: the usual one for TLS
	TLS  string // TLSStart if empty
	// Insecure must be set to send without TLS. With TLS it changes nothing:
	// certificates are always checked.
	Insecure bool
	// CAFile is a PEM file with authorities beside those of the system. It is
	// read at each connection, so that it may be replaced.
	CAFile             string
	Username, Password string // both or neither
	From               string // address, possibly with a name
	To                 []string
	Hello              string        // the name in EHLO; empty: the domain of From
	Timeout            time.Duration // for connecting, and again for sending; 0 means 20 s
}

// settings is a Config that was found good.
type settings struct {
	Config
	from   *mail.Address
	to     []*mail.Address
	domain string // of From: the right side of Message-IDs
}

// check fills defaults and reports everything that is wrong at once.
func check(cfg Config) (settings, error) {
	s := settings{Config: cfg}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("email: "+format, args...)) }

	if s.TLS == "" {
		s.TLS = TLSStart
	}
	ports := map[string]int{TLSStart: 587, TLSImplicit: 465, TLSNone: 25}
	port, known := ports[s.TLS]
	if !known {
		fail("tls: %q is not starttls, implicit or none", s.TLS)
	}
	if s.Port == 0 {
		s.Port = port
	}
	if s.Port < 0 || s.Port > 65535 {
		fail("port: %d is not a port", s.Port)
	}
	if s.TLS == TLSNone && !s.Insecure {
		fail("tls: none sends findings and password in the clear; set insecure: true to allow it")
	}
	if s.Host == "" || !plainToken(s.Host) {
		fail("host: %q is not a host name", s.Host)
	}
	if (s.Username == "") != (s.Password == "") {
		fail("username and password belong together")
	}
	var err error
	if s.from, err = address(s.From); err != nil {
		fail("from: %w", err)
	} else {
		s.domain = strings.ToLower(s.from.Address[strings.LastIndexByte(s.from.Address, '@')+1:])
		if s.Hello == "" {
			s.Hello = s.domain
		}
	}
	if s.Hello != "" && !plainToken(s.Hello) {
		fail("hello: %q is not a host name", s.Hello)
	}
	if len(s.To) == 0 {
		fail("to: at least one address is needed")
	}
	seen := map[string]bool{}
	for i, t := range s.To {
		a, err := address(t)
		if err != nil {
			fail("to[%d]: %w", i, err)
			continue
		}
		if !seen[a.Address] {
			seen[a.Address] = true
			s.to = append(s.to, a)
		}
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	return s, errors.Join(errs...)
}

// address reads one address. What cannot stand in an envelope or a Message-ID
// is refused here, so that nothing later has to ask.
func address(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a mail address", s)
	}
	local, domain, _ := strings.Cut(a.Address, "@")
	if local == "" || !plainToken(local) || !plainToken(domain) || strings.ContainsAny(a.Name, "\r\n\x00") {
		return nil, fmt.Errorf("%q is not an address that every mail server takes", s)
	}
	return a, nil
}

// plainToken reports printable ASCII without the characters that mean
// something in SMTP and in headers.
func plainToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`<>()[]\,;"@`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}
