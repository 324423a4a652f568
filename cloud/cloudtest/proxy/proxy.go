package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Home is the account of credentials that no AssumeRole gave, as moto has it.
const Home = "123456789012"

// Timing is how long what moto gives at once takes. Zero: it stays at once, and
// its answers are not touched.
type Timing struct {
	Snapshot   time.Duration // pending until then, with its progress
	Copy       time.Duration // of a snapshot
	Volume     time.Duration // creating
	Attachment time.Duration // attaching
	Instance   time.Duration // pending
	Checks     time.Duration // after it runs: the status checks
	Metadata   time.Duration // options pending
	Invocation time.Duration // of a command, until it can be asked about
}

// Options say how a Proxy behaves. Upstream is required.
type Options struct {
	// Upstream is moto's URL, or that of a fake of GuardDuty with moto behind it.
	Upstream string
	// Now is the clock of all that takes time; nil: time.Now.
	Now func() time.Time
	// Timing is how long things take.
	Timing Timing
	// Problem is told what no test may overlook: an operation that moto does not
	// implement. It must be safe for concurrent use; nil: only Problems has them.
	Problem func(message string)
	// Agent does what a command of Systems Manager says; nil: it succeeds at
	// once and prints nothing.
	Agent func(Command) Result
	// Screenshot is the picture of every running instance's console; nil: a
	// small one.
	Screenshot []byte
}

// Proxy is a running proxy. It is safe for concurrent use.
type Proxy struct {
	// URL is the endpoint for the SDK.
	URL string

	opts     Options
	served   map[string]service
	upstream *url.URL
	send     *http.Client
	server   *http.Server
	ended    chan struct{}

	mu       sync.Mutex
	calls    []Call
	rules    []*activeRule
	problems []string
	accounts map[string]string // access key -> account
	keys     map[string]string // account -> an access key
	state    state
}

// state is what the proxy knows beyond moto, by ids, which are unique.
type state struct {
	seq       int
	snapshots map[string]*snapshot
	volumes   map[string]*volume
	attached  map[string]time.Time // volume and instance -> attached from then on
	instances map[string]time.Time // running from then on
	metadata  map[string]time.Time // options applied from then on
	goes      map[string]string    // interfaces: true where they go with their instance
	ended     map[string]bool      // instances that were terminated
	images    map[string]map[int32][]byte
	locked    map[string]bool // uploads of objects with a lock of their own
	tokens    map[string]*remembered
	agents    map[string]*Agent
	sessions  []*Session
	events    []Event
	commands  []*command
	stale     map[string]answer
}

// Start runs a proxy until Close.
func Start(o Options) (*Proxy, error) {
	upstream, err := url.Parse(o.Upstream)
	if err != nil || upstream.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a moto server", o.Upstream)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy: %w", err)
	}
	p := &Proxy{
		URL: "http://" + l.Addr().String(), opts: o, served: services(), upstream: upstream, ended: make(chan struct{}),
		send: &http.Client{
			Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		accounts: map[string]string{}, keys: map[string]string{},
		state: state{snapshots: map[string]*snapshot{}, volumes: map[string]*volume{}, attached: map[string]time.Time{}, instances: map[string]time.Time{},
			metadata: map[string]time.Time{}, goes: map[string]string{}, ended: map[string]bool{}, images: map[string]map[int32][]byte{}, locked: map[string]bool{}, tokens: map[string]*remembered{}, agents: map[string]*Agent{}, stale: map[string]answer{}},
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(p.ended)
		_ = p.server.Serve(l) // it ends by Close
	}()
	return p, nil
}

// Close ends the proxy and waits for it.
func (p *Proxy) Close() {
	_ = p.server.Close()
	<-p.ended
	p.send.CloseIdleConnections()
}

func (p *Proxy) now() time.Time { return p.opts.Now().UTC() }

// problem keeps what no test may overlook.
func (p *Proxy) problem(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	p.mu.Lock()
	p.problems = append(p.problems, message)
	p.mu.Unlock()
	if p.opts.Problem != nil {
		p.opts.Problem(message)
	}
}

// Problems are what no test may overlook, in the order in which they came.
func (p *Proxy) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// answer is what goes back to the SDK.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// motoLimit is how long moto may take for one answer.
const motoLimit = time.Minute

// ServeHTTP answers one request: rules, then fakes and guards, then moto, then
// what has to be rewritten in its answer. A request that has come is carried out
// although its caller is gone by then, as AWS does.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := p.read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if req.service != "sqs" { // one that waits for messages has nobody to give them to
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), motoLimit)
		defer cancel()
		req.http = r.WithContext(ctx)
	}
	call := p.begin(req)
	fault := p.fault(call)
	if fault.Hold != nil {
		fault.Hold(call)
	}
	if fault.Lost == BeforeIt {
		p.end(call.N, answer{})
		cut(w)
	}
	a := fault.refuse(req)
	if a.status == 0 {
		req.fails = fault.EndsInError
		if fault.PageSize > 0 {
			req.page = req.form.Get("NextToken")
			*req = *req.as(req.without("NextToken", "MaxResults"))
		}
		a = p.answer(req)
	}
	a = p.spoil(req, fault, a)
	p.end(call.N, a)
	if fault.Acted != nil {
		fault.Acted(call)
	}
	if fault.Lost == AfterIt {
		cut(w)
	}
	maps.Copy(w.Header(), a.header)
	body := a.body
	if fault.Half {
		body = body[:len(body)/2]
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
	if fault.Half {
		cut(w)
	}
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok && w.Header().Get("Content-Length") != "" {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// answer is the answer without what a rule does to it.
func (p *Proxy) answer(req *request) answer {
	old, replayed := p.replay(req)
	if replayed {
		return old.answer
	}
	a := p.serve(req)
	p.remember(req, old, a)
	return a
}

func (p *Proxy) serve(req *request) answer {
	s, known := p.served[req.name()]
	if known && s.fake != nil {
		return s.fake(p, req)
	}
	if known && s.deaf && req.dryRun {
		a, _ := req.dry()
		return a
	}
	if known && s.guard != nil && !req.dryRun {
		if refused := s.guard(p, req); refused.status != 0 {
			return refused
		}
	}
	a := p.forward(req)
	if known && s.after != nil && a.ok() {
		a = s.after(p, req, a)
	}
	return a
}

// service says what is done about an operation besides sending it on.
type service struct {
	fake  func(*Proxy, *request) answer         // answers in moto's place
	guard func(*Proxy, *request) answer         // refuses, or changes the request; a status of 0 goes on
	after func(*Proxy, *request, answer) answer // learns from moto's answer, and rewrites it
	deaf  bool                                  // moto does it although it is a dry run
}

// hop are the headers that belong to one connection.
var hop = []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Proxy-Connection"}

// forward has moto answer.
func (p *Proxy) forward(req *request) answer {
	to := *p.upstream
	to.Path, to.RawPath, to.RawQuery = req.http.URL.Path, req.http.URL.RawPath, req.http.URL.RawQuery
	out, err := http.NewRequestWithContext(req.http.Context(), req.http.Method, to.String(), bytes.NewReader(req.body))
	if err != nil {
		return req.refuse(http.StatusBadGateway, "InternalFailure", err.Error())
	}
	out.Header = req.http.Header.Clone()
	for _, h := range hop {
		out.Header.Del(h)
	}
	out.Host = req.http.Host
	resp, err := p.send.Do(out)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			p.problem("%s: moto does not answer: %v", req.name(), err)
		}
		return req.refuse(http.StatusBadGateway, "InternalFailure", "moto does not answer")
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return req.refuse(http.StatusBadGateway, "InternalFailure", err.Error())
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: body}
	for _, h := range hop {
		a.header.Del(h)
	}
	if resp.StatusCode >= 500 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		p.problem("%s: moto answered %d with HTML", req.name(), resp.StatusCode)
	}
	return a
}
