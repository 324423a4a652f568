package jira

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/notify"
)

// Config is one configured Jira destination.
type Config struct {
	config.Jira
	// Destination is the configured name, for messages.
	Destination string
	// Timeout of each call; 0: 10 s.
	Timeout time.Duration
	// TimeScale divides every wait; 0: 1.
	TimeScale float64
}

// Deps is what the notifier needs from outside. The zero value works.
type Deps struct {
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: one of its own, with the environment's proxy
	Log       *slog.Logger      // nil: no log
}

// Notifier is one Jira project. It is safe for concurrent use.
type Notifier struct {
	cfg    Config
	now    func() time.Time
	log    *slog.Logger
	client *client
	cloud  bool
	site   string // hash of the address, to notice that it changed
	meta   *metaCache
	people atomic.Pointer[string] // the address that people use, once asked for
	latest atomic.Pointer[string] // key of the latest issue that was made here
}

var _ notify.Notifier = (*Notifier)(nil)

// The values of config.Jira.API.
const (
	apiAuto       = "auto"
	apiCloud      = "cloud"
	apiDataCenter = "datacenter"
)

const (
	defaultTimeout = 10 * time.Second
	// defaultSettle is for how long an issue that was made may stay out of the
	// search's sight:
	// https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile
	defaultSettle = 65 * time.Second
)

// New returns a notifier. It makes no call. An error lists everything that is
// wrong with the configuration.
func New(cfg Config, deps Deps) (*Notifier, error) {
	cfg.API = cmp.Or(strings.ToLower(cfg.API), apiAuto)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.TimeScale = cmp.Or(cfg.TimeScale, 1)
	cfg.SearchSettle = cmp.Or(cfg.SearchSettle, config.Duration(defaultSettle))
	cfg.APIURL = trimBase(cfg.APIURL)
	cloud := isCloud(cfg.Jira)
	if problems := cfg.problems(cloud); len(problems) > 0 {
		return nil, fmt.Errorf("jira: %s", strings.Join(problems, "; "))
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.Sum256([]byte("guardroom jira " + strings.ToLower(cfg.APIURL)))
	return &Notifier{
		cfg: cfg, now: deps.Now, log: deps.Log, cloud: cloud, site: hex.EncodeToString(sum[:12]),
		client: newClient(cfg, cloud, deps.Transport), meta: newMetaCache(),
	}, nil
}

// trimBase returns the site without trailing slash and without the path of the
// API, which the vendor's documentation shows with it.
func trimBase(raw string) string {
	s := strings.TrimRight(strings.TrimSpace(raw), "/")
	for _, api := range []string{"/rest/api/2", "/rest/api/3", "/rest/api/latest", "/rest"} {
		s = strings.TrimSuffix(s, api)
	}
	return strings.TrimRight(s, "/")
}

// isCloud says which dialect is spoken. Where the host's name does not tell,
// the kind of credential does: only Cloud has API tokens of an e-mail address.
func isCloud(c config.Jira) bool {
	switch c.API {
	case apiCloud:
		return true
	case apiDataCenter:
		return false
	}
	if u, err := url.Parse(c.APIURL); err == nil {
		if host := strings.ToLower(u.Hostname()); strings.HasSuffix(host, ".atlassian.net") || host == "api.atlassian.com" {
			return true
		}
	}
	return c.Email != "" && c.APIToken.IsSet() && !c.Token.IsSet()
}

func (c Config) problems(cloud bool) []string {
	var out []string
	say := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	u, err := url.Parse(c.APIURL)
	say(c.APIURL == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https", "api_url is not an http(s) URL")
	say(err == nil && u.User != nil, "api_url holds a credential; use email and api_token, or token")
	say(!slices.Contains([]string{apiAuto, apiCloud, apiDataCenter}, c.API), "api is %q; use auto, cloud or datacenter", c.API)
	say(cloud && (c.Email == "" || c.APIToken.Reveal() == ""), "Cloud needs email and api_token")
	say(!cloud && c.Token.Reveal() == "", "Server and Data Center need token, a personal access token")
	say(strings.TrimSpace(c.Project) == "", "project is missing")
	say(strings.TrimSpace(c.IssueType) == "", "issue_type is missing")
	for _, l := range c.Labels {
		say(l == "" || strings.ContainsAny(l, " \t\r\n") || len(l) > maxLabel, "the label %q is empty, too long or has spaces", l)
	}
	for word := range c.Priorities {
		_, ok := finding.ParseBand(word)
		say(!ok, "priorities names the severity %q; use informational, low, medium, high or critical", word)
	}
	for _, ours := range []string{"project", "issuetype", "summary", "description", "labels"} {
		_, there := c.Fields[ours]
		say(there, "fields sets %s, which guardroom writes; use project, issue_type and labels", ours)
	}
	say(c.TimeScale < 0, "time scale is negative")
	say(c.SearchSettle.Std() < 0, "search_settle is negative")
	return out
}

// scale returns d at the configured tempo.
func (n *Notifier) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) / n.cfg.TimeScale)
}
