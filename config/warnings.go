package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// origin is where the values of a loaded configuration stand. It holds no text
// of the file, so that printing a Config shows no secret.
type origin struct {
	file   string
	places map[string]position
}

type position struct{ line, column int }

func (d *decoder) origin() origin {
	o := origin{file: d.file, places: map[string]position{}}
	for path, t := range d.places {
		if t != nil && t.Position != nil {
			o.places[path] = position{t.Position.Line, max(1, t.Position.Column)}
		}
	}
	return o
}

// Warnings are what is allowed, and what somebody should look at: suppressions
// that have ended, destinations that nothing leads to, secrets in the file,
// switches that are for tests. now decides what has ended.
func (c *Config) Warnings(now time.Time) []Problem {
	var out Problems
	warn := func(path, hint, format string, args ...any) {
		at := c.origin.places[path]
		out = append(out, Problem{File: c.origin.file, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	c.tokens(warn)
	for i, s := range c.Suppress {
		if s.Until.Before(now) {
			warn(fmt.Sprintf("suppress[%d].until", i), "remove the rule, or ask "+s.Owner+" to renew it", "the suppression %q ended on %s and matches nothing any more", s.Name, s.Until)
		}
	}
	used := slices.Clone(c.Watch.To)
	for _, r := range c.Routes {
		used = append(used, r.To...)
	}
	for i, x := range c.Destinations {
		at := fmt.Sprintf("destinations[%d]", i)
		if !slices.Contains(used, x.Name) {
			warn(at+".name", "name it in a route's to", "no route leads to %s", x.Name)
		}
		if x.Webhook != nil && x.Webhook.Insecure {
			warn(at+".webhook.insecure", "use https:// and leave insecure out", "anyone on the way can read what this webhook is sent")
		}
		if x.Email != nil && x.Email.TLS == "none" {
			warn(at+".email.tls", "use starttls", "anyone on the way can read these mails")
		}
	}
	if len(c.Destinations) > 0 && len(c.Routes) == 0 {
		warn("destinations", "add a route", "there are no routes, so that nobody is told about any incident")
	}
	if c.Worker.TimeScale != 1 {
		warn("worker.time_scale", "leave it out", "every wait is divided by %v; that is for tests", c.Worker.TimeScale)
	}
	c.literals(func(path string) {
		warn(path, "write ${env:NAME}, ${file:PATH}, ${ssm:NAME} or ${secretsmanager:NAME} instead", "a secret stands in the file itself")
	})
	return out.sorted()
}

// shortToken is the length below which a token that people chose can be guessed.
const shortToken = 16

// tokens warns about what lets others in: tokens that travel in the clear, and
// tokens that can be guessed.
func (c *Config) tokens(warn func(path, hint, format string, args ...any)) {
	var given []string
	for _, t := range []struct {
		path  string
		value Secret
	}{{"listen.api_token", c.Listen.APIToken}, {"sources.http.bearer_token", c.Sources.HTTP.BearerToken}, {"sources.http.api_key", c.Sources.HTTP.APIKey}} {
		if !t.value.IsSet() {
			continue
		}
		given = append(given, t.path)
		if n := len(t.value.Reveal()); n > 0 && n < shortToken {
			warn(t.path, "make a random one: openssl rand -hex 32", "it is shorter than %d characters and can be guessed", shortToken)
		}
	}
	if len(given) > 0 && c.Listen.Address != "" && c.Listen.TLSCert == "" && !loopback(c.Listen.Address) {
		warn("listen.address", "set tls_cert and tls_key, or listen on 127.0.0.1 behind what ends TLS",
			"without TLS anyone on the way can read %s", strings.Join(given, ", "))
	}
}

// loopback reports whether only this machine reaches an address. A name that is
// not localhost may be anything.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// literals calls do for every secret that is written out. What only may carry a
// secret counts where it does.
func (c *Config) literals(do func(path string)) {
	eachSecret(reflect.ValueOf(c).Elem(), "", func(path string, s Secret) Secret {
		switch {
		case path == "aws.external_id", strings.HasSuffix(path, ".webhook.url"):
			return s
		case path == "store":
			u, err := url.Parse(s.Reference())
			if err != nil || u.User == nil {
				return s
			}
			if password, _ := u.User.Password(); password == "" {
				return s
			}
		}
		list, err := fragments(s.Reference())
		if err == nil && !slices.ContainsFunc(list, func(f fragment) bool { return f.kind != "" }) {
			do(path)
		}
		return s
	})
}
