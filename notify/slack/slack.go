package slack

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// Config is one configured Slack destination.
type Config struct {
	config.Slack
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

// Notifier is one Slack channel. It is safe for concurrent use.
type Notifier struct {
	cfg       Config
	now       func() time.Time
	log       *slog.Logger
	client    *client
	mentionAt finding.Band // above every band: never

	mu        sync.Mutex
	workspace string            // https://example.slack.com/; empty: not known yet
	asked     time.Time         // when the workspace was asked for last
	ids       map[string]string // channel names to ids, as posting has told
}

var _ notify.Notifier = (*Notifier)(nil)

const (
	defaultAPI = "https://slack.com/api/"
	never      = finding.Critical + 1
)

// whoForm is a mention that calls some people. One that calls the whole channel
// or workspace is not among them.
var whoForm = regexp.MustCompile(`^(<!here>|<@[UW][A-Z0-9]{2,30}>|<!subteam\^S[A-Z0-9]{2,30}>)$`)

// New returns a notifier. It makes no call. An error lists everything that is
// wrong with the configuration.
func New(cfg Config, deps Deps) (*Notifier, error) {
	cfg.APIURL = strings.TrimRight(cmp.Or(cfg.APIURL, defaultAPI), "/") + "/"
	cfg.Mention.At = cmp.Or(cfg.Mention.At, "high")
	cfg.Mention.Who = cmp.Or(cfg.Mention.Who, "<!here>")
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.TimeScale = cmp.Or(cfg.TimeScale, 1)
	if problems := cfg.problems(); len(problems) > 0 {
		return nil, fmt.Errorf("slack: %s", strings.Join(problems, "; "))
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{cfg: cfg, now: deps.Now, log: deps.Log, mentionAt: never, ids: map[string]string{}}
	if b, ok := finding.ParseBand(cfg.Mention.At); ok {
		n.mentionAt = b
	}
	n.client = newClient(cfg, deps.Transport)
	return n, nil
}

func (c Config) problems() []string {
	var out []string
	say := func(bad bool, text string) {
		if bad {
			out = append(out, text)
		}
	}
	hook, token := c.WebhookURL.Reveal(), c.Token.Reveal()
	say(hook == "" && token == "", "token and channel, or webhook_url, are needed")
	say(hook != "" && token != "", "token and webhook_url exclude each other")
	say(hook != "" && c.Fallback != "", "fallback needs token; a webhook has one channel")
	say(token != "" && strings.TrimPrefix(c.Channel, "#") == "", "token needs channel")
	say(strings.ContainsAny(token, " \r\n\t"), "token has characters that no token has")
	_, ok := finding.ParseBand(c.Mention.At)
	say(!ok && c.Mention.At != "never", "mention.at is none of informational, low, medium, high, critical, never")
	say(!whoForm.MatchString(c.Mention.Who), "mention.who is none of <!here>, <@U…>, <!subteam^S…>; the whole channel is never called")
	for name, raw := range map[string]string{"api_url": c.APIURL, "webhook_url": cmp.Or(hook, defaultAPI)} {
		u, err := url.Parse(raw)
		say(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https", name+" is not an http(s) URL")
	}
	say(c.TimeScale < 0, "time scale is negative")
	return out
}

func (n *Notifier) byWebhook() bool { return n.cfg.WebhookURL.Reveal() != "" }

// Test posts a real message that says it is a test.
func (n *Notifier) Test(ctx context.Context) (string, error) {
	v := message.BuildTest(n.cfg.Destination, n.now())
	c := n.root(v, dressing{})
	if n.byWebhook() {
		if f := n.client.webhook(ctx, n.cfg.WebhookURL.Reveal(), c.message()); f != nil {
			return "", f.out
		}
		return "a test message is in the channel that the webhook belongs to", nil
	}
	m := c.message()
	m.Channel, m.Metadata = n.cfg.Channel, rootMetadata(v)
	posted, f := n.client.post(ctx, m)
	if f != nil {
		return "", f.out
	}
	n.remember(n.cfg.Channel, posted.Channel)
	where := "a test message is in Slack, channel " + escape.Visible(n.cfg.Channel)
	if link := n.permalink(ctx, posted.Channel, posted.TS); link != "" {
		where += ": " + link
	}
	return where, nil
}

// scaled divides a wait by the time scale.
func (n *Notifier) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / n.cfg.TimeScale)
}

// remember keeps the id that a channel's name turned out to have.
func (n *Notifier) remember(name, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id != "" && len(n.ids) < 100 {
		n.ids[name] = id
	}
}

// permalink returns where to look at a message; empty while the workspace's
// address cannot be had. It asks Slack once.
func (n *Notifier) permalink(ctx context.Context, channel, ts string) string {
	n.mu.Lock()
	base, due := n.workspace, n.asked.IsZero() || n.now().Sub(n.asked) > 10*time.Minute
	if base == "" && due {
		n.asked = n.now()
	}
	n.mu.Unlock()
	if base == "" && due {
		if who, _, f := n.client.authTest(ctx); f == nil {
			base = linkURL(who.URL, 200)
			n.mu.Lock()
			n.workspace = base
			n.mu.Unlock()
		}
	}
	if base == "" || channel == "" || ts == "" {
		return ""
	}
	return strings.TrimRight(base, "/") + "/archives/" + url.PathEscape(channel) + "/p" + url.PathEscape(strings.ReplaceAll(ts, ".", ""))
}
