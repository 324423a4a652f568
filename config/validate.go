package config

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/guardroom/guardroom/internal/spelling"
)

// required reports the fields that must be there (tag required) and are not.
func (d *decoder) required(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.required(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.required(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := yamlName(f)
			if name == "" {
				continue
			}
			at := join(path, name)
			if f.Tag.Get("required") != "" && empty(v.Field(i)) {
				d.failAt(at, "", "%s must be set", name)
				continue
			}
			d.required(v.Field(i), at)
		}
	}
}

func empty(v reflect.Value) bool {
	if v.Kind() == reflect.String {
		return strings.TrimSpace(v.String()) == ""
	}
	return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}

// validate reports everything that is wrong with what was decoded.
func (d *decoder) validate(c *Config, opts LoadOptions) {
	for i, x := range c.Destinations {
		d.sections(x, fmt.Sprintf("destinations[%d]", i))
	}
	d.required(reflect.ValueOf(c).Elem(), "")
	d.store(c.Store)
	d.url("base_url", c.BaseURL)
	d.listen(c)
	d.aws(c)
	d.sources(c)
	d.names("triage.enrich.lists", len(c.Triage.Enrich.Lists), func(i int) string { return c.Triage.Enrich.Lists[i].Name }, nil)
	d.rules(c, opts.CheckCondition)
	d.respond(c, opts.CheckCondition)
	d.destinations(c)
	d.watch(c)
}

func (d *decoder) store(s Secret) {
	if s.Reveal() == "" {
		return
	}
	path, isFile := strings.CutPrefix(s.Reveal(), "sqlite:")
	isURL := strings.HasPrefix(s.Reveal(), "postgres://") || strings.HasPrefix(s.Reveal(), "postgresql://")
	switch {
	case isFile && strings.TrimPrefix(path, "//") == "":
		d.failAt("store", "write sqlite:guardroom.db", "the store's address names no file")
	case isURL && !urlWith(s.Reveal(), "postgres", "postgresql"):
		d.failAt("store", "write postgres://user:password@host/database; special characters in the password are written as %XX", "the store's address is not a URL that can be read")
	case !isFile && !isURL:
		d.failAt("store", "write sqlite:guardroom.db or postgres://user@host/database", "the store's address is neither sqlite:PATH nor a postgres:// URL")
	}
}

func (d *decoder) listen(c *Config) {
	l := c.Listen
	if l.Address != "" {
		_, port, err := net.SplitHostPort(l.Address)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
			d.failAt("listen.address", "write 127.0.0.1:8080, or :8080 for every address of this machine", "%q is not host:port", l.Address)
		}
	}
	if l.TLSCert != "" && l.TLSKey == "" {
		d.failAt("listen.tls_key", "set both or neither", "tls_cert needs tls_key")
	}
	if l.TLSKey != "" && l.TLSCert == "" {
		d.failAt("listen.tls_cert", "set both or neither", "tls_key needs tls_cert")
	}
	if l.Address != "" {
		return
	}
	for path, set := range map[string]bool{"listen.tls_cert": l.TLSCert != "", "listen.api_token": l.APIToken.IsSet(), "sources.http": c.Sources.HTTP.Enabled()} {
		if set {
			d.failAt(path, "set listen.address, for example 127.0.0.1:8080", "this needs listen.address")
		}
	}
}

func (d *decoder) aws(c *Config) {
	d.region("aws.region", c.AWS.Region)
	d.url("aws.endpoint_url", c.AWS.EndpointURL)
	d.role("aws.read_role", c.AWS.ReadRole)
	d.names("accounts", len(c.Accounts), func(i int) string { return c.Accounts[i].ID }, nil)
	for i, a := range c.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		d.account(at+".id", a.ID)
		d.regions(at+".regions", a.Regions)
	}
}

func (d *decoder) sources(c *Config) {
	d.httpSource(c.Sources.HTTP)
	sqs, guardDuty, s3 := c.Sources.SQS, c.Sources.GuardDuty, c.Sources.S3
	d.names("sources.sqs", len(sqs), func(i int) string { return sqs[i].Name }, label)
	d.names("sources.guardduty", len(guardDuty), func(i int) string { return guardDuty[i].Name }, label)
	d.names("sources.s3", len(s3), func(i int) string { return s3[i].Name }, label)
	for i, s := range sqs {
		at := fmt.Sprintf("sources.sqs[%d]", i)
		d.url(at+".queue_url", s.QueueURL)
		d.region(at+".region", s.Region)
		if v := s.Visibility.Std(); v < time.Second || v > 12*time.Hour {
			d.failAt(at+".visibility", "60s is a good value", "SQS takes 1s to 12h")
		}
	}
	for i, s := range guardDuty {
		at := fmt.Sprintf("sources.guardduty[%d]", i)
		for j, id := range s.Accounts {
			d.account(fmt.Sprintf("%s.accounts[%d]", at, j), id)
		}
		d.regions(at+".regions", s.Regions)
		d.role(at+".role", s.Role)
		if s.Overlap.Std() < time.Minute {
			d.failAt(at+".overlap", "15m is a good value", "AWS shows findings late; at least 1m")
		}
		if !(s.MinSeverity >= 0 && s.MinSeverity <= 10) {
			d.failAt(at+".min_severity", "4 leaves out low findings", "a severity is a number from 0 to 10")
		}
	}
	for i, s := range s3 {
		at := fmt.Sprintf("sources.s3[%d]", i)
		d.bucket(at+".url", s.URL)
		d.region(at+".region", s.Region)
	}
	for i, name := range c.Sources.FollowBuckets {
		if !bucketName.MatchString(name) {
			d.failAt(fmt.Sprintf("sources.follow_buckets[%d]", i), "write the name without s3:// and without a path", "%q is not the name of a bucket", name)
		}
	}
}

func (d *decoder) httpSource(h HTTPSource) {
	if !headerName.MatchString(h.APIKeyHeader) {
		d.failAt("sources.http.api_key_header", "X-Api-Key is what EventBridge API destinations use most", "%q is not the name of a header", h.APIKeyHeader)
	}
	for i, arn := range h.SNSTopics {
		if !topicARN.MatchString(arn) {
			d.failAt(fmt.Sprintf("sources.http.sns_topics[%d]", i), "write arn:aws:sns:eu-central-1:111122223333:findings", "%q is not the ARN of an SNS topic", arn)
		}
	}
	for i, host := range h.SNSCertificateHosts {
		if host == "" || strings.ContainsAny(host, "/ ") {
			d.failAt(fmt.Sprintf("sources.http.sns_certificate_hosts[%d]", i), "write the name without https://", "%q is not the name of a host", host)
		}
	}
}

// rules checks suppressions and routes.
func (d *decoder) rules(c *Config, check func(string) error) {
	d.names("suppress", len(c.Suppress), func(i int) string { return c.Suppress[i].Name }, oneLine)
	for i, s := range c.Suppress {
		d.condition(fmt.Sprintf("suppress[%d].when", i), s.When, check)
	}
	d.names("routes", len(c.Routes), func(i int) string { return c.Routes[i].Name }, oneLine)
	for i, r := range c.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		d.condition(at+".when", r.When, check)
		d.known(at+".to", r.To, c)
		if len(r.To) == 0 && !r.Stop {
			d.failAt(at+".to", "name a destination, or say stop: true to tell nobody", "this route leads nowhere")
		}
	}
}

// condition shows what is wrong with a condition under the line that holds it.
func (d *decoder) condition(path, source string, check func(string) error) {
	if check == nil || d.wrong(path) || strings.TrimSpace(source) == "" {
		return
	}
	err := check(source)
	if err == nil {
		return
	}
	p := Problem{File: d.file, Path: path, Message: err.Error()}
	p.at(d.place(path))
	var placed interface {
		Place() (line, column int, message, hint string)
	}
	if errors.As(err, &placed) {
		var line, column int
		line, column, p.Message, p.Hint = placed.Place()
		d.pointInto(&p, d.values[path], source, line, column)
	}
	d.problems = append(d.problems, p)
}

// pointInto moves the place of a problem from the beginning of a text to line
// and column in it, where the text stands in the file as it is.
func (d *decoder) pointInto(p *Problem, node ast.Node, source string, line, column int) {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) || node == nil {
		return
	}
	start := p.Line - 1
	if _, block := node.(*ast.LiteralNode); block {
		start += line
	}
	if start < 0 || start >= len(d.lines) {
		return
	}
	if offset := strings.Index(d.lines[start], lines[line-1]); offset >= 0 && lines[line-1] != "" {
		p.Line = start + 1
		p.Column = len([]rune(d.lines[start][:offset])) + max(1, column)
	}
}

func (d *decoder) watch(c *Config) {
	if c.Audit.Head.Interval.Std() > time.Minute {
		d.failAt("audit.head.interval", "what happened since the last write cannot be proved", "at most 1m")
	}
	if c.Audit.Head.S3 != "" {
		d.bucket("audit.head.s3", c.Audit.Head.S3)
	}
	d.known("watch.to", c.Watch.To, c)
	d.secretURL("watch.heartbeat_url", c.Watch.HeartbeatURL)
	if c.Worker.Lease.Std() < time.Second {
		d.failAt("worker.lease", "1m is a good value", "at least 1s")
	}
	if c.Worker.Concurrency > 1000 {
		d.failAt("worker.concurrency", "8 is a good value", "at most 1000")
	}
}

// known checks names of destinations.
func (d *decoder) known(path string, names []string, c *Config) {
	var all []string
	for _, x := range c.Destinations {
		all = append(all, x.Name)
	}
	seen := map[string]bool{}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		hint := "destinations: " + strings.Join(all, ", ")
		if n := spelling.Nearest(name, all); n != "" {
			hint = "did you mean " + n + "?"
		}
		if len(all) == 0 {
			hint = "there are no destinations yet"
		}
		found := false
		for _, n := range all {
			found = found || n == name
		}
		switch {
		case !found:
			d.failAt(at, hint, "there is no destination %q", name)
		case seen[name]:
			d.failAt(at, "keep one of them", "%q is there twice", name)
		}
		seen[name] = true
	}
}

// names checks that the names (or ids) in a list are there once, and their form.
func (d *decoder) names(path string, n int, name func(int) string, form func(string) string) {
	key := "name"
	if path == "accounts" {
		key = "id"
	}
	seen := map[string]int{}
	for i := range n {
		at := fmt.Sprintf("%s[%d].%s", path, i, key)
		s := name(i)
		if s == "" {
			continue
		}
		first, twice := seen[s]
		switch {
		case twice:
			d.failAt(at, "give each its own", "%s[%d] has the same %s %q", path, first, key, s)
		case form != nil && form(s) != "":
			d.failAt(at, "", "%s", form(s))
		}
		if !twice {
			seen[s] = i
		}
	}
}
