package config

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// destinations checks each destination and what its vendor needs.
func (d *decoder) destinations(c *Config) {
	d.names("destinations", len(c.Destinations), func(i int) string { return c.Destinations[i].Name }, label)
	for i, x := range c.Destinations {
		at := fmt.Sprintf("destinations[%d]", i)
		if x.Timeout.Std() > time.Minute {
			d.failAt(at+".timeout", "10s is a good value", "at most 1m")
		}
		if *x.DigestAbove < 0 {
			d.failAt(at+".digest_above", "0 switches digests off", "this must not be negative")
		}
		switch {
		case x.Slack != nil:
			d.slack(x.Slack, at+".slack")
		case x.Jira != nil:
			d.jira(x.Jira, at+".jira")
		case x.PagerDuty != nil:
			d.pagerDuty(x.PagerDuty, at+".pagerduty")
		case x.Webhook != nil:
			d.webhook(x.Webhook, at+".webhook")
		case x.Email != nil:
			d.email(x.Email, at+".email")
		}
	}
}

// sections checks that exactly the section is set that the type names.
func (d *decoder) sections(x Destination, at string) {
	if x.Type == "" || d.wrong(at+".type") {
		return
	}
	v := reflect.ValueOf(x)
	for i := range v.NumField() {
		name := yamlName(v.Type().Field(i))
		if v.Field(i).Kind() != reflect.Pointer || v.Field(i).Type().Elem().Kind() != reflect.Struct {
			continue
		}
		set := !v.Field(i).IsNil()
		switch {
		case name == x.Type && !set:
			d.failAt(at+"."+name, fmt.Sprintf("write %s: below type, and its keys one level deeper", name), "type %s needs a section of that name", name)
		case name != x.Type && set:
			d.failAt(at+"."+name, "a destination has one section; make a second destination of it", "the type is %s, so that this section does nothing", x.Type)
		}
	}
}

// given reports a secret that is set, or that was and is wrong.
func (d *decoder) given(path string, s Secret) bool { return s.IsSet() || d.bad[path] }

// mention is some people; one of the whole channel is not among them.
var mention = regexp.MustCompile(`^<(!here|@[UW][A-Z0-9]{2,30}|!subteam\^S[A-Z0-9]{2,30})>$`)

func (d *decoder) slack(s *Slack, at string) {
	d.url(at+".api_url", s.APIURL)
	d.secretURL(at+".webhook_url", s.WebhookURL)
	hook, token := d.given(at+".webhook_url", s.WebhookURL), d.given(at+".token", s.Token)
	switch {
	case hook && token:
		d.failAt(at+".webhook_url", "a token can edit messages and use threads; a webhook cannot", "there is a token as well; use one of the two")
	case hook && s.Channel != "":
		d.failAt(at+".channel", "leave it out, or use a token", "a webhook always posts to its own channel")
	case hook && s.Fallback != "":
		d.failAt(at+".fallback", "leave it out, or use a token", "a webhook always posts to its own channel")
	case !hook && !token:
		d.failAt(at+".token", "make a bot token (xoxb-…) with the scope chat:write; or set webhook_url", "a token, or a webhook_url, must be set")
	case !hook && s.Channel == "":
		d.failAt(at+".channel", "the id of the channel (C…) survives a renaming", "a token needs a channel")
	}
	if strings.Contains(s.Token.Reveal(), " ") {
		d.failAt(at+".token", "a bot token begins with xoxb-", "a token has no spaces")
	}
	for prefix, what := range map[string]string{"xapp-": "an app-level token", "xoxp-": "a user's token", "xoxe": "a token for configuration or refreshing"} {
		if strings.HasPrefix(s.Token.Reveal(), prefix) {
			d.failAt(at+".token", "a bot token begins with xoxb-", "this is %s", what)
		}
	}
	for key, channel := range map[string]string{"channel": s.Channel, "fallback": s.Fallback} {
		if strings.ContainsAny(channel, " \t\n,") {
			d.failAt(at+"."+key, "", "%q is not one channel", channel)
		}
	}
	if !mention.MatchString(s.Mention.Who) {
		d.failAt(at+".mention.who", "write \"<!here>\", \"<@U012AB3CD>\" or \"<!subteam^S012AB3CD>\"; the whole channel is never called", "%q is nobody that can be called", s.Mention.Who)
	}
}

func (d *decoder) jira(j *Jira, at string) {
	d.url(at+".api_url", j.APIURL)
	host := ""
	if u, err := url.Parse(j.APIURL); err == nil {
		host = u.Hostname()
	}
	vendor := host == "atlassian.net" || host == "api.atlassian.com" || strings.HasSuffix(host, ".atlassian.net")
	token, apiToken := d.given(at+".token", j.Token), d.given(at+".api_token", j.APIToken)
	basic := apiToken && j.Email != ""
	switch {
	case j.API == "cloud" || j.API == "auto" && vendor:
		if j.Email == "" {
			d.failAt(at+".email", "it is the e-mail address of the user who made the API token", "Jira Cloud needs email")
		}
		if !apiToken {
			d.failAt(at+".api_token", "make one at id.atlassian.com under Security", "Jira Cloud needs api_token")
		}
		if token {
			d.failAt(at+".token", "leave it out", "personal access tokens are for Server and Data Center")
		}
	case j.API == "datacenter" && !token:
		d.failAt(at+".token", "make a personal access token in your Jira profile", "Jira Server and Data Center need token")
	case j.API == "auto" && !basic && !token && !apiToken:
		d.failAt(at+".token", "Cloud takes email and api_token, Server and Data Center take token", "there is nothing to log in with")
	case j.API == "auto" && apiToken && j.Email == "":
		d.failAt(at+".email", "it is the e-mail address of the user who made the API token", "api_token needs email")
	case j.API == "auto" && basic && token:
		d.failAt(at+".token", "keep what belongs to this Jira, or set api", "email and api_token are set as well")
	case j.API == "datacenter" && basic:
		d.failAt(at+".api_token", "leave email and api_token out", "API tokens are for Jira Cloud")
	}
	if j.Email != "" && !mailbox(j.Email) {
		d.failAt(at+".email", "", "%q is not a mail address", j.Email)
	}
	for i, l := range j.Labels {
		if l == "" || strings.ContainsAny(l, " \t\n") || len(l) > 255 {
			d.failAt(fmt.Sprintf("%s.labels[%d]", at, i), "use a dash", "a label has no spaces")
		}
	}
	for name := range j.Fields {
		if slices.Contains([]string{"project", "issuetype", "summary", "description", "labels"}, name) {
			d.failAt(at+".fields."+name, "leave it out; project, issue_type and labels are keys of their own", "guardroom writes this field itself")
		}
	}
}

var (
	routingKey = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	reserved   = []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Host", "Trailer", "Upgrade",
		"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}
)

func (d *decoder) pagerDuty(p *PagerDuty, at string) {
	d.url(at+".api_url", p.APIURL)
	d.url(at+".rest_url", p.RESTURL)
	if d.wrong(at + ".mode") {
		return
	}
	if p.Mode == "events" {
		key := p.RoutingKey.Reveal()
		switch {
		case !d.given(at+".routing_key", p.RoutingKey):
			d.failAt(at+".routing_key", "it is the Integration Key of an Events API v2 integration of the service", "mode events needs routing_key")
		case key != "" && len(key) != 32:
			d.failAt(at+".routing_key", "take the Integration Key of an Events API v2 integration", "this has %d characters; a routing key has 32", len(key))
		case !routingKey.MatchString(key):
			d.failAt(at+".routing_key", "take the Integration Key of an Events API v2 integration", "this has characters other than letters and digits")
		}
		for key, set := range map[string]bool{"api_token": p.APIToken.IsSet(), "service_id": p.ServiceID != "", "from": p.From != "", "priorities": len(p.Priorities) > 0} {
			if set {
				d.failAt(at+"."+key, "leave it out, or set mode: incidents", "this does nothing in mode events")
			}
		}
		return
	}
	if !d.given(at+".api_token", p.APIToken) {
		d.failAt(at+".api_token", "make a REST API key", "mode incidents needs api_token")
	}
	if p.ServiceID == "" {
		d.failAt(at+".service_id", "it stands at the end of the service's address: P…", "mode incidents needs service_id")
	}
	if !mailbox(p.From) || strings.Contains(p.From, "<") {
		d.failAt(at+".from", "it is the e-mail address of a user of the account", "mode incidents needs from")
	}
	if p.RoutingKey.IsSet() {
		d.failAt(at+".routing_key", "leave it out, or set mode: events", "this does nothing in mode incidents")
	}
}

func (d *decoder) webhook(w *Webhook, at string) {
	if raw := w.URL.Reveal(); raw != "" {
		u, err := url.Parse(raw)
		switch {
		case err != nil || !urlWith(raw, "http", "https"):
			d.failAt(at+".url", "write https://host/path", "this is not an https URL")
		case u.Scheme == "http" && !w.Insecure:
			d.failAt(at+".url", "use https://, or say insecure: true", "this is http://, over which anyone between can read findings")
		case u.Fragment != "":
			d.failAt(at+".url", "leave out what begins with #", "this has a fragment, which is never sent")
		}
	}
	for key, s := range map[string]Secret{"secret": w.Secret, "previous_secret": w.PreviousSecret} {
		if problem := signingSecret(s.Reveal()); s.Reveal() != "" && problem != "" {
			d.failAt(at+"."+key, "guardroom destination secret makes one", "%s", problem)
		}
	}
	for name := range w.Headers {
		if slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
			d.failAt(join(at+".headers", name), "leave it out", "guardroom sets this header itself")
		}
	}
}

// signingSecret says what is wrong with a secret of Standard Webhooks, without
// repeating any of it.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func signingSecret(s string) string {
	encoded, ok := strings.CutPrefix(s, "whsec_")
	if !ok {
		return "a secret begins with whsec_"
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err != nil:
		return "what follows whsec_ is not base64"
	case len(key) < 24 || len(key) > 64:
		return fmt.Sprintf("this has %d bytes; a secret has 24 to 64", len(key))
	}
	return ""
}

func (d *decoder) email(e *Email, at string) {
	if e.Host != "" && !hostName(e.Host) {
		d.failAt(at+".host", "write mail.example.com; the port is a key of its own", "%q is not the name of a host", e.Host)
	}
	if e.Port < 0 || e.Port > 65535 {
		d.failAt(at+".port", "587 is usual", "%d is not a port", e.Port)
	}
	if e.TLS == "none" && !e.Insecure {
		d.failAt(at+".tls", "use starttls; or say insecure: true as well", "none sends findings and password in the clear")
	}
	if e.Username != "" && !d.given(at+".password", e.Password) {
		d.failAt(at+".password", "set both or neither", "username needs password")
	}
	if e.Username == "" && e.Password.IsSet() {
		d.failAt(at+".username", "set both or neither", "password needs username")
	}
	if e.From != "" && !mailbox(e.From) {
		d.failAt(at+".from", "write guardroom@example.com or Guardroom <guardroom@example.com>", "%q is not a mail address", e.From)
	}
	for i, to := range e.To {
		if !mailbox(to) {
			d.failAt(fmt.Sprintf("%s.to[%d]", at, i), "write soc@example.com", "%q is not a mail address", to)
		}
	}
	if e.Hello != "" && !plainToken(e.Hello) {
		d.failAt(at+".hello", "", "%q is not the name of a host", e.Hello)
	}
}
