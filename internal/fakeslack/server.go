package fakeslack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options describe the workspace that the server plays. The zero value has one
// bot with all the scopes that guardroom can use, and the channels of
// DefaultChannels.
type Options struct {
	// Now is the server's clock; nil: time.Now.
	Now func() time.Time
	// TimeScale divides every period of the limits; 0: 1. A Retry-After is in
	// seconds of the vendor, so a client at the same scale divides it too.
	TimeScale float64
	// Token of the bot; empty: DefaultToken.
	Token string
	// Scopes of the bot; nil: DefaultScopes.
	Scopes []string
	// Channels of the workspace; nil: DefaultChannels.
	Channels []Channel
	// AnyChannel makes a public channel, with the bot in it, of every name and
	// id that is posted to.
	AnyChannel bool
	// PostsPerSecond is the limit for each channel; 0: 1, below 0: none.
	PostsPerSecond float64
	// Burst is how many posts may come at once; 0: 3.
	Burst int
	// CallsPerMinute is the limit for each other method; 0: 50, below 0: none.
	CallsPerMinute float64
	// Faults happen at random.
	Faults Faults
	// Hook, where set, is called for every request: with "received" when it has
	// been read and nothing has happened, with "effect" when it had its effect
	// and was not answered, and with "answered" at the end. No lock is held; the
	// request goes on when Hook returns. A client that has gone away when Hook
	// returns from "received" leaves no effect.
	Hook func(stage, path string)
	// Address to listen on; empty: 127.0.0.1:0.
	Address string
}

// What a workspace of zero Options consists of.
const (
	DefaultToken     = "xoxb-fake-000000000000-guardroom"
	DefaultChannel   = "C0FAKESOC1" // #soc
	FallbackChannel  = "C0FAKEFALL" // #soc-fallback
	webhookPath      = "/services/T0FAKE001/B0FAKE001/fakeWebhookSecretOf24char"
	webhookChannel   = DefaultChannel
	workspaceAddress = "https://example.slack.com/"
)

// DefaultScopes returns the scopes of a bot that was installed by a manifest
// with everything in it.
func DefaultScopes() []string {
	return []string{"chat:write", "chat:write.public", "channels:history", "groups:history", "channels:read", "groups:read"}
}

// DefaultChannels returns #soc and #soc-fallback, both public, with the bot in
// them.
func DefaultChannels() []Channel {
	return []Channel{
		{ID: DefaultChannel, Name: "soc", Member: true},
		{ID: FallbackChannel, Name: "soc-fallback", Member: true},
	}
}

// Channel is a conversation of the workspace.
type Channel struct {
	ID       string
	Name     string // without #
	Private  bool
	Archived bool
	Member   bool // the bot is in it
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	opts  Options
	ln    net.Listener
	http  *http.Server
	ended chan struct{}
	stop  chan struct{}
	once  sync.Once

	mu         sync.Mutex
	faults     *faultSource
	channels   []*Channel
	messages   []*Message
	lastTS     time.Time
	buckets    map[string]*bucket
	transcript []Exchange
	violations []string
	changed    chan struct{}
}

// Exchange is one request with its answer, in the order in which the requests
// were taken.
type Exchange struct {
	At     time.Time
	Method string // chat.postMessage, …; webhook
	Body   string // as received, at most 1 MiB
	Status int    // 0: no answer was given
	Answer string
	Fault  Fault  // what was made to fail, if anything
	Effect string // posted, edited, replied; empty: nothing
}

// New starts a server on the loopback interface.
func New(opts Options) (*Server, error) {
	opts = opts.filled()
	ln, err := net.Listen("tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for the fake Slack: %w", err)
	}
	s := &Server{
		opts: opts, ln: ln, ended: make(chan struct{}), stop: make(chan struct{}),
		faults: newFaultSource(opts.Faults), buckets: map[string]*bucket{}, changed: make(chan struct{}),
	}
	for _, c := range opts.Channels {
		s.channels = append(s.channels, &c)
	}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(ln)
	}()
	return s, nil
}

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Scopes == nil {
		o.Scopes = DefaultScopes()
	}
	if o.Channels == nil {
		o.Channels = DefaultChannels()
	}
	if o.Hook == nil {
		o.Hook = func(string, string) {}
	}
	o.TimeScale = cmp.Or(o.TimeScale, 1)
	o.Token = cmp.Or(o.Token, DefaultToken)
	o.PostsPerSecond = cmp.Or(o.PostsPerSecond, 1)
	o.Burst = cmp.Or(o.Burst, 3)
	o.CallsPerMinute = cmp.Or(o.CallsPerMinute, 50)
	o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	return o
}

// URL is the base of the Web API, with a trailing slash: the api_url of a
// destination.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() + "/api/" }

// WebhookURL is the incoming webhook of DefaultChannel.
func (s *Server) WebhookURL() string { return "http://" + s.ln.Addr().String() + webhookPath }

// Close ends the server and every request that it holds. It may be repeated.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.stop)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close()
		}
	})
	<-s.ended
}

// Transcript returns every exchange so far.
func (s *Server) Transcript() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.transcript)
}

// Violations returns what a well-behaved client would not have sent, one
// sentence each. Injected faults and refusals for want of a scope are none.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Changed returns a channel that is closed at the next exchange.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

const maxBody = 1 << 20

// serve takes one request: reads it whole, lets a fault happen before or after
// the effect, and writes the transcript.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away while sending: nothing arrived
	}
	s.opts.Hook("received", r.URL.Path)
	ex, ans, taken := s.take(r, body)
	if !taken {
		return
	}
	if ex.Effect != "" {
		s.opts.Hook("effect", r.URL.Path)
	}
	s.send(w, r, ex.Fault, ans)
	s.opts.Hook("answered", r.URL.Path)
}

// take does what the request asks for. It reports false when the client gave up
// before.
func (s *Server) take(r *http.Request, body []byte) (Exchange, *answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Context().Err() != nil {
		return Exchange{}, nil, false
	}
	method := methodOf(r)
	ex := Exchange{At: s.opts.Now().UTC(), Method: method, Body: string(body)}
	ex.Fault = s.faults.next(method)
	ans := ex.Fault.before(method)
	if ans == nil && !ex.Fault.silent() {
		ans = s.answer(r, method, body)
		ex.Effect = ans.effect
		ans = ex.Fault.after(ans)
	}
	if ans != nil {
		ex.Status, ex.Answer = ans.status, string(ans.body)
	}
	s.transcript = append(s.transcript, ex)
	close(s.changed)
	s.changed = make(chan struct{})
	return ex, ans, true
}

// send writes the answer, or what the fault leaves of it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, f Fault, a *answer) {
	switch f {
	case ResetBefore, ResetAfter:
		reset(w)
	case TimeoutAfter:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		reset(w)
	case HalfResponse:
		half(w, a)
	default:
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	}
}

// reset cuts the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to cut it
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// half promises the whole answer and gives the first half of it.
func half(w http.ResponseWriter, a *answer) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = fmt.Fprintf(buf, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		a.status, http.StatusText(a.status), len(a.body), a.body[:len(a.body)/2])
	_ = errors.Join(buf.Flush(), conn.Close())
}
