package fakepagerduty

import (
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

// Options describe the account that the server plays. The zero value has one
// routing key, one token, one user, one service and four priorities: see the
// Default constants.
type Options struct {
	// Now is the server's clock; nil: time.Now.
	Now func() time.Time
	// RoutingKeys that are known; empty: DefaultRoutingKey.
	RoutingKeys []string
	// AcceptUnknownKeys answers 202 to unknown keys of the right form and
	// drops the event, which the vendor is said to do at times.
	AcceptUnknownKeys bool
	// Tokens of the REST API; empty: DefaultToken.
	Tokens []string
	// Users by e-mail address; empty: DefaultUser.
	Users []string
	// Services by id; empty: DefaultService.
	Services []string
	// Priorities of the account; nil: P1 to P4, P5 last. An empty, non-nil
	// slice is an account without priorities.
	Priorities []Priority
	// EventsPerMinute is the limit for each routing key; 0: none. An event
	// above it is answered 429 and is a violation.
	EventsPerMinute int
	// Faults happen at random.
	Faults Faults
	// Address to listen on; empty: 127.0.0.1:0.
	Address string
	// Hook is called as a request goes on: "received" before its effect,
	// "effect" after it and before the answer, "answered" at the end. It is
	// called without locks held and may block; nil: none.
	Hook func(stage, path string)
}

// What an account of zero Options consists of.
const (
	DefaultRoutingKey = "0123456789abcdef0123456789abcdef"
	DefaultToken      = "u+fakeTokenOfTwentyC"
	DefaultUser       = "oncall@example.com"
	DefaultService    = "PSVC001"
)

// Priority is one of the account's priorities.
type Priority struct {
	ID   string `json:"id"`
	Name string `json:"name"`
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
	alerts     []*Alert
	incidents  []*Incident
	transcript []Exchange
	violations []string
	windows    map[string]*window
	changed    chan struct{}
}

// Exchange is one request with its answer, in the order in which the requests
// were taken.
type Exchange struct {
	At     time.Time
	Method string
	Path   string // with query
	Body   string // as received, at most 1 MiB
	Status int    // 0: no answer was given
	Answer string
	Fault  Fault  // what was made to fail, if anything
	Effect string // what it did: triggered, deduplicated, dropped: …, created, …; empty: nothing
}

// New starts a server on the loopback interface.
func New(opts Options) (*Server, error) {
	opts = opts.filled()
	ln, err := net.Listen("tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for the fake PagerDuty: %w", err)
	}
	s := &Server{
		opts: opts, ln: ln, ended: make(chan struct{}), stop: make(chan struct{}),
		faults: newFaultSource(opts.Faults), windows: map[string]*window{}, changed: make(chan struct{}),
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
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	fill := func(list *[]string, value string) {
		if len(*list) == 0 {
			*list = []string{value}
		}
	}
	fill(&o.RoutingKeys, DefaultRoutingKey)
	fill(&o.Tokens, DefaultToken)
	fill(&o.Users, DefaultUser)
	fill(&o.Services, DefaultService)
	if o.Priorities == nil {
		o.Priorities = []Priority{{"PRI0001", "P1"}, {"PRI0002", "P2"}, {"PRI0003", "P3"}, {"PRI0004", "P4"}, {"PRI0005", "P5"}}
	}
	return o
}

// URL is the base of both APIs, without a trailing slash.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() }

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
// sentence each. Injected faults are none.
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

const (
	maxEvent = 512 << 10
	maxBody  = 1 << 20
)

// serve takes one request: reads it whole, lets a fault happen before or after
// the effect, and writes the transcript.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away while sending: nothing arrived
	}
	s.hook("received", r)
	s.mu.Lock()
	if r.Context().Err() != nil { // given up before it was taken
		s.mu.Unlock()
		return
	}
	ex := Exchange{At: s.opts.Now().UTC(), Method: r.Method, Path: r.URL.RequestURI(), Body: string(body)}
	ex.Fault = s.faults.next(r.Method)
	ans := ex.Fault.before()
	if ans == nil && !ex.Fault.silent() {
		ans = s.answer(r, body)
		ex.Effect = ans.effect
		ans = ex.Fault.after(ans)
	}
	if ans != nil {
		ex.Status, ex.Answer = ans.status, string(ans.body)
	}
	s.transcript = append(s.transcript, ex)
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.hook("effect", r)
	s.send(w, r, ex.Fault, ans)
	s.hook("answered", r)
}

func (s *Server) hook(stage string, r *http.Request) {
	if s.opts.Hook != nil {
		s.opts.Hook(stage, r.URL.Path)
	}
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
		w.Header().Set("Content-Type", "application/json")
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
