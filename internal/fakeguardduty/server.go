package fakeguardduty

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Home is the account of credentials that no AssumeRole gave; it is moto's
// default as well.
const Home = "123456789012"

// Options say how a Server behaves. The zero value works.
type Options struct {
	// Fallback is the base URL that answers everything but GuardDuty, and STS
	// too when it is set; empty: other services are refused.
	Fallback string
	// ExternalID that every AssumeRole must carry; empty: none is asked for.
	ExternalID string
	// ShiftingPages makes page tokens mere offsets into a list that changes
	// under the reader. Otherwise a token stands for the list as it was.
	ShiftingPages bool
	// Heedless lists findings in the order of Put, whatever bounds and order are
	// asked for, as simple stand-ins do.
	Heedless bool
	// Now is the clock of Date headers and of findings put without a time.
	Now func() time.Time
}

// Server is a running fake. It is safe for concurrent use.
type Server struct {
	URL string

	opts  Options
	http  *httptest.Server
	proxy *httputil.ReverseProxy

	mu        sync.Mutex
	keys      map[string]string // access key -> account
	detectors []*detector
	pages     map[string][]string // stable page tokens
	faults    []*Fault
	calls     []Call
	refused   []string
	sessions  int
}

type detector struct {
	id, account, region string
	frequency           string
	status              string
	findings            map[string]*stored
}

type stored struct {
	id        string
	raw       json.RawMessage // camelCase, as the wire has it
	updatedAt time.Time
	severity  float64
	archived  bool
	sequence  int // order of Put, for equal times
}

// Call is one call that reached GuardDuty or STS.
type Call struct {
	Operation string // ListFindings
	Account   string
	Region    string
	IDs       int    // finding ids in the request
	Status    int    // the answer
	Body      string // the request
}

// Fault makes calls fail.
type Fault struct {
	Operation  string // empty: every one
	Account    string // empty: every one
	Region     string // empty: every one
	Times      int    // how often; negative: always
	Status     int
	Code       string // TooManyRequestsException
	Message    string
	RetryAfter string
	// Before runs before the call is answered, outside of the server's lock.
	// With Status 0 the call then goes on as always.
	Before func()
}

// Start runs a server until Close.
func Start(opts Options) (*Server, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{opts: opts, keys: map[string]string{}, pages: map[string][]string{}}
	if opts.Fallback != "" {
		to, err := url.Parse(opts.Fallback)
		if err != nil {
			return nil, fmt.Errorf("read the fallback's URL: %w", err)
		}
		s.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		}}
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL
	return s, nil
}

// Close ends the server.
func (s *Server) Close() { s.http.Close() }

// AddDetector enables GuardDuty in a region of an account and returns the id.
func (s *Server) AddDetector(account, region string) string {
	sum := sha256.Sum256([]byte(account + "/" + region))
	id := hex.EncodeToString(sum[:16])
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.detectors, func(d *detector) bool { return d.id == id }) {
		s.detectors = append(s.detectors, &detector{id: id, account: account, region: region, frequency: "SIX_HOURS", status: "ENABLED", findings: map[string]*stored{}})
	}
	return id
}

// Put stores a finding of a detector in the wire's camelCase, or replaces it. It
// must carry an id and an RFC 3339 updatedAt.
func (s *Server) Put(detectorID string, raw json.RawMessage) error {
	var head struct {
		ID        string    `json:"id"`
		UpdatedAt time.Time `json:"updatedAt"`
		Severity  float64   `json:"severity"`
		Service   struct {
			Archived bool `json:"archived"`
		} `json:"service"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("read the finding: %w", err)
	}
	if head.ID == "" || head.UpdatedAt.IsZero() {
		return fmt.Errorf("the finding needs an id and updatedAt")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.detector(detectorID)
	if d == nil {
		return fmt.Errorf("there is no detector %s", detectorID)
	}
	s.sessions++
	d.findings[head.ID] = &stored{id: head.ID, raw: slices.Clone(raw), updatedAt: head.UpdatedAt, severity: head.Severity, archived: head.Service.Archived, sequence: s.sessions}
	return nil
}

// Archive archives a finding as a person does in the console: updatedAt stays.
func (s *Server) Archive(detectorID, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.detector(detectorID)
	if d == nil || d.findings[id] == nil {
		return fmt.Errorf("there is no finding %s in detector %s", id, detectorID)
	}
	return d.findings[id].archive()
}

// Archived reports whether a finding is archived.
func (s *Server) Archived(detectorID, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.detector(detectorID)
	return d != nil && d.findings[id] != nil && d.findings[id].archived
}

// archive sets service.archived and leaves every other byte's meaning alone.
func (f *stored) archive() error {
	var object, service map[string]json.RawMessage
	if err := json.Unmarshal(f.raw, &object); err != nil {
		return err
	}
	if len(object["service"]) > 0 {
		if err := json.Unmarshal(object["service"], &service); err != nil {
			return err
		}
	}
	if service == nil {
		service = map[string]json.RawMessage{}
	}
	service["archived"] = json.RawMessage("true")
	var err error
	if object["service"], err = json.Marshal(service); err != nil {
		return err
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return err
	}
	f.raw, f.archived = raw, true
	return nil
}

// Fail adds a fault; faults apply in the order in which they were added.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls returns what was asked so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Refused returns one line for each request that the real service would not
// have understood. A correct client leaves it empty.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

func (s *Server) detector(id string) *detector {
	for _, d := range s.detectors {
		if d.id == id {
			return d
		}
	}
	return nil
}

// credential reads the access key, the region and the service out of the
// signature.
var credential = regexp.MustCompile(`Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request`)

type request struct {
	account, region, service string
	operation                string
	detector                 string
	body                     []byte
}

const maxBody = 1 << 20

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		if s.proxy != nil {
			s.proxy.ServeHTTP(w, r)
			return
		}
		fail(w, s.opts.Now(), http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token", "")
		return
	}
	req := request{region: m[2], service: m[3]}
	if req.service != "guardduty" && req.service != "sts" {
		s.other(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, s.opts.Now(), http.StatusRequestEntityTooLarge, "BadRequestException", "the request is too large", "")
		return
	}
	req.body = body
	s.mu.Lock()
	req.account = s.keys[m[1]]
	s.mu.Unlock()
	if req.account == "" {
		req.account = Home
	}
	if req.service == "sts" {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.sts(w, r, req)
		return
	}
	s.guardduty(w, r, req)
}

func (s *Server) other(w http.ResponseWriter, r *http.Request) {
	if s.proxy == nil {
		s.refuse("%s %s is not GuardDuty", r.Method, r.URL.Path)
		fail(w, s.opts.Now(), http.StatusNotFound, "UnknownOperationException", "this fake speaks GuardDuty and STS only", "")
		return
	}
	s.proxy.ServeHTTP(w, r)
}

func (s *Server) refuse(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, fmt.Sprintf(format, args...))
}

// note records a call with its answer.
func (s *Server) note(req request, ids, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{Operation: req.operation, Account: req.account, Region: req.region, IDs: ids, Status: status, Body: string(req.body)})
}

// fault returns the first fault that applies.
func (s *Server) fault(req request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || (f.Operation != "" && f.Operation != req.operation) || (f.Account != "" && f.Account != req.account) || (f.Region != "" && f.Region != req.region) {
			continue
		}
		f.Times = max(f.Times-1, -1)
		return f
	}
	return nil
}

// broken answers with a fault if one applies.
func (s *Server) broken(w http.ResponseWriter, req request) bool {
	f := s.fault(req)
	if f == nil {
		return false
	}
	if f.Before != nil {
		f.Before()
	}
	if f.Status == 0 {
		return false
	}
	s.note(req, 0, f.Status)
	fail(w, s.opts.Now(), f.Status, f.Code, f.Message, f.RetryAfter)
	return true
}

func fail(w http.ResponseWriter, now time.Time, status int, code, message, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("X-Amzn-Errortype", code)
	write(w, now, status, map[string]string{"message": message, "__type": strings.TrimSuffix(code, "Exception")})
}

func write(w http.ResponseWriter, now time.Time, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	// A client that is gone is not our matter.
	_ = json.NewEncoder(w).Encode(body)
}
