package fakewebhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options describe the receiver.
type Options struct {
	// Secret that it verifies with: whsec_ and base64. Required.
	Secret string
	// Now is the receiver's clock; nil: time.Now.
	Now func() time.Time
	// Tolerance of the time stamp; 0: five minutes.
	Tolerance time.Duration
	// Rate is the share of requests that fail at random, 0 to 1, by Seed.
	Rate float64
	Seed uint64
	// Address to listen on; empty: 127.0.0.1:0.
	Address string
}

// Answer is what happens to one request. The zero value is an ordinary 204.
type Answer struct {
	Status     int    // 0: 204
	RetryAfter string // header, as it is
	Location   string // header, as it is
	// Take lets the message have its effect whatever the status.
	Take bool
	// Reset cuts the connection instead of answering; Hang never answers.
	Reset, Hang bool
}

// Message is one that was taken in.
type Message struct {
	ID       string
	At       time.Time // webhook-timestamp of the attempt that was taken
	Type     string
	Body     []byte
	Header   http.Header
	Attempts int // how often this id came, this one included
}

// Server is the receiver. It is safe for concurrent use.
type Server struct {
	opts  Options
	key   []byte
	ln    net.Listener
	http  *http.Server
	ended chan struct{}
	stop  chan struct{}
	once  sync.Once

	mu         sync.Mutex
	random     *rand.Rand
	queue      []Answer
	messages   []Message
	violations []string
	requests   int
}

// New starts a receiver on the loopback interface.
func New(opts Options) (*Server, error) {
	enc, ok := strings.CutPrefix(opts.Secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(enc)
	if !ok || err != nil || len(key) == 0 {
		return nil, errors.New("the secret of a fake webhook is not whsec_ and base64")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Tolerance == 0 {
		opts.Tolerance = 5 * time.Minute
	}
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for the fake webhook: %w", err)
	}
	s := &Server{opts: opts, key: key, ln: ln, ended: make(chan struct{}), stop: make(chan struct{}),
		random: rand.New(rand.NewPCG(opts.Seed, 0x9e3779b97f4a7c15))}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(ln)
	}()
	return s, nil
}

// URL is where messages are taken.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() + "/hook" }

// Close ends the receiver and every request that it holds. It may be repeated.
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

// Next makes the next requests be answered so, before chance has a say.
func (s *Server) Next(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, answers...)
}

// SetRate replaces the share of requests that fail at random.
func (s *Server) SetRate(rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Rate = rate
}

// Messages returns what was taken, once for each webhook-id, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Requests returns how many requests came, whatever became of them.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Violations returns what a careful receiver had to refuse.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

const maxBody = 1 << 20

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests++
	a := s.choose()
	if err := s.verify(r, body); err != nil {
		s.violations = append(s.violations, err.Error())
		s.mu.Unlock()
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if a.Take || a.Status == 0 || a.Status/100 == 2 {
		s.take(r, body)
	}
	s.mu.Unlock()
	switch {
	case a.Hang:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		panic(http.ErrAbortHandler) // the documented way to cut a connection
	case a.Reset:
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	if a.Status == 0 {
		a.Status = http.StatusNoContent
	}
	w.WriteHeader(a.Status)
}

// choose says what happens to the next request.
func (s *Server) choose() Answer {
	if len(s.queue) > 0 {
		a := s.queue[0]
		s.queue = s.queue[1:]
		return a
	}
	if s.opts.Rate <= 0 || s.random.Float64() >= s.opts.Rate {
		return Answer{}
	}
	faults := []Answer{
		{Status: 500}, {Status: 503, Take: true}, {Status: 429, RetryAfter: "1"}, {Status: 404},
		{Status: 500, Reset: true}, {Reset: true, Take: true},
	}
	return faults[s.random.IntN(len(faults))]
}

// verify checks headers and signature: Standard Webhooks, "verifying".
func (s *Server) verify(r *http.Request, body []byte) error {
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	if r.Method != http.MethodPost {
		return fmt.Errorf("method is %s", r.Method)
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return errors.New("content type is not application/json")
	}
	if id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("webhook-id is %q", id)
	}
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("webhook-timestamp is %q", stamp)
	}
	if d := s.opts.Now().Sub(time.Unix(sec, 0)).Abs(); d > s.opts.Tolerance {
		return fmt.Errorf("webhook-timestamp is off by %s", d)
	}
	h := hmac.New(sha256.New, s.key)
	_, _ = fmt.Fprintf(h, "%s.%s.%s", id, stamp, body)
	want := []byte(base64.StdEncoding.EncodeToString(h.Sum(nil)))
	for sig := range strings.SplitSeq(r.Header.Get("webhook-signature"), " ") {
		if got, ok := strings.CutPrefix(sig, "v1,"); ok && hmac.Equal([]byte(got), want) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %s fits", id)
}

// take remembers the message, or that its id came again.
func (s *Server) take(r *http.Request, body []byte) {
	id := r.Header.Get("webhook-id")
	for i := range s.messages {
		if s.messages[i].ID == id {
			s.messages[i].Attempts++
			return
		}
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.Type == "" {
		s.violations = append(s.violations, fmt.Sprintf("the body of %s has no type", id))
	}
	sec, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	s.messages = append(s.messages, Message{ID: id, At: time.Unix(sec, 0).UTC(), Type: head.Type, Body: body, Header: r.Header.Clone(), Attempts: 1})
}
