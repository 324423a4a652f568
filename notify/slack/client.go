package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const maxAnswer = 4 << 20 // a page of history with its blocks

// client makes the calls and turns failures into ours. It repeats nothing by
// itself.
type client struct {
	http    *http.Client
	base    string // with a trailing slash
	token   string
	timeout time.Duration
	scale   float64
	channel string // as configured, for hints
}

func newClient(cfg Config, transport http.RoundTripper) *client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 60 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	return &client{
		base: cfg.APIURL, token: cfg.Token.Reveal(), timeout: cfg.Timeout, scale: cfg.TimeScale, channel: cfg.Channel,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a token does not follow to another host
		}},
	}
}

// answer is what came back. err is set when the body did not come whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// send makes one request. A failure here is a transport's.
func (c *client) send(ctx context.Context, target, token, contentType string, body []byte) (*answer, *failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, badAddress()
	}
	req.GetBody = nil // nothing is sent a second time without our knowing
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "guardroom")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportFailure(err, connected.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return a, nil
}

// call is one method of the Web API: https://docs.slack.dev/apis/web-api
// Most errors come with HTTP 200 and ok:false.
func (c *client) call(ctx context.Context, method, contentType string, body []byte, into any) (*answer, *failure) {
	a, f := c.send(ctx, c.base+method, c.token, contentType, body)
	if f != nil {
		return nil, f
	}
	var said struct {
		OK       *bool  `json:"ok"`
		Error    string `json:"error"`
		Needed   string `json:"needed"`
		Provided string `json:"provided"`
	}
	whole := a.err == nil && json.Unmarshal(a.body, &said) == nil && said.OK != nil
	refused := whole && !*said.OK
	if refusedWith := a.status >= 400 && a.status < 500 && refused && said.Error != ""; !refusedWith {
		if f := c.statusFailure(a, method); f != nil {
			return nil, f
		}
	}
	if !whole {
		return nil, notSlack(a, method)
	}
	if refused {
		return nil, c.classify(method, said.Error, said.Needed, a)
	}
	if into != nil && json.Unmarshal(a.body, into) != nil {
		return nil, notSlack(a, method)
	}
	return a, nil
}

func (c *client) write(ctx context.Context, method string, m outgoing, into any) *failure {
	_, f := c.call(ctx, method, "application/json; charset=utf-8", encode(m), into)
	return f
}

// read calls a method that only reads. Those take forms.
func (c *client) read(ctx context.Context, method string, args url.Values, into any) (*answer, *failure) {
	return c.call(ctx, method, "application/x-www-form-urlencoded", []byte(args.Encode()), into)
}

// posted is where a message is.
type posted struct {
	Channel string `json:"channel"`
	TS      string `json:"ts"`
}

func (c *client) post(ctx context.Context, m outgoing) (posted, *failure) {
	var p posted
	if f := c.write(ctx, "chat.postMessage", m, &p); f != nil {
		return posted{}, f
	}
	if p.Channel == "" || p.TS == "" {
		return posted{}, notSlack(&answer{status: http.StatusOK}, "chat.postMessage")
	}
	return p, nil
}

func (c *client) update(ctx context.Context, m outgoing) *failure {
	return c.write(ctx, "chat.update", m, nil)
}

// identity is whom the token belongs to.
type identity struct {
	URL  string `json:"url"`
	Team string `json:"team"`
	User string `json:"user"`
}

// authTest returns the identity and the scopes, nil where Slack does not say.
func (c *client) authTest(ctx context.Context) (identity, []string, *failure) {
	var who identity
	a, f := c.read(ctx, "auth.test", url.Values{}, &who)
	if f != nil {
		return identity{}, nil, f
	}
	return who, scopesOf(a.header), nil
}

// found is a message as the history has it.
type found struct {
	TS       string    `json:"ts"`
	ThreadTS string    `json:"thread_ts"`
	Subtype  string    `json:"subtype"`
	Metadata *metadata `json:"metadata"`
}

type page struct {
	Messages []found   `json:"messages"`
	Channels []channel `json:"channels"`
	HasMore  bool      `json:"has_more"`
	Next     struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

type channel struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Archived bool   `json:"is_archived"`
	Member   bool   `json:"is_member"`
	Private  bool   `json:"is_private"`
}

// maxPages bounds a search. What lies beyond was not found, and not missing.
const maxPages = 25

// search turns the pages until one is enough. It reports false when there were
// more pages than it turns.
func (c *client) search(ctx context.Context, method string, args url.Values, enough func(page) bool) (whole bool, f *failure) {
	args.Set("limit", "200")
	for range maxPages {
		var p page
		if _, f := c.read(ctx, method, args, &p); f != nil {
			return false, f
		}
		if enough(p) || p.Next.Cursor == "" {
			return true, nil
		}
		args.Set("cursor", p.Next.Cursor)
	}
	return false, nil
}

func (c *client) info(ctx context.Context, id string) (channel, *failure) {
	var v struct {
		Channel channel `json:"channel"`
	}
	_, f := c.read(ctx, "conversations.info", url.Values{"channel": {id}}, &v)
	return v.Channel, f
}

// readable tries whether the history of a channel may be read.
func (c *client) readable(ctx context.Context, id string) *failure {
	_, f := c.read(ctx, "conversations.history", url.Values{"channel": {id}, "limit": {"1"}}, nil)
	return f
}
