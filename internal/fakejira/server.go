package fakejira

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
	issues     []*issue
	numbers    map[string]int // last number by project key
	lastID     int
	login      bool
	captcha    bool
	readOnly   bool
	noComments bool
	transcript []Exchange
	violations []string
	windows    map[string][]time.Time
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
	Effect string // what it did: created SEC-1, edited SEC-1, …; empty: nothing
}

// New starts a server on the loopback interface.
func New(opts Options) (*Server, error) {
	opts = opts.filled()
	ln, err := net.Listen("tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for the fake Jira: %w", err)
	}
	s := &Server{
		opts: opts, ln: ln, ended: make(chan struct{}), stop: make(chan struct{}),
		faults: newFaultSource(opts.Faults), numbers: map[string]int{}, lastID: 10000,
		windows: map[string][]time.Time{}, changed: make(chan struct{}),
	}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(ln)
	}()
	return s, nil
}

// URL is the site's address, without a trailing slash.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() }

// ScopedURL is the address under which Cloud takes tokens with scopes.
func (s *Server) ScopedURL() string { return s.URL() + "/ex/jira/" + DefaultCloudID }

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

const maxBody = 1 << 20

// serve takes one request: reads it whole, lets a fault happen before or after
// the effect, and writes the transcript.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away while sending: nothing arrived
	}
	s.opts.Hook("received", r.URL.Path)
	f, ans, taken := s.take(r, body)
	if !taken {
		return
	}
	s.opts.Hook("effect", r.URL.Path)
	s.send(w, r, f, ans)
	s.opts.Hook("answered", r.URL.Path)
}

// take does what the request asks for. taken is false for a request whose
// client went away before.
func (s *Server) take(r *http.Request, body []byte) (f Fault, ans *answer, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Context().Err() != nil {
		return NoFault, nil, false
	}
	ex := Exchange{At: s.opts.Now().UTC(), Method: r.Method, Path: r.URL.RequestURI(), Body: string(body)}
	ex.Fault = s.faults.next(r.Method)
	ans = ex.Fault.before()
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
	return ex.Fault, ans, true
}

// send writes the answer, or what the fault leaves of it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, f Fault, a *answer) {
	switch f {
	case ResetBefore, ResetAfter:
		reset(w)
		return
	case TimeoutAfter:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		reset(w)
		return
	case HalfResponse:
		half(w, a)
		return
	}
	maps.Copy(w.Header(), a.header)
	if w.Header().Get("Content-Type") == "" && len(a.body) > 0 {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
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
	length := max(len(a.body), 2) // an answer without a body is not whole either
	_, _ = fmt.Fprintf(buf, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		a.status, http.StatusText(a.status), length, a.body[:len(a.body)/2])
	_ = errors.Join(buf.Flush(), conn.Close())
}
