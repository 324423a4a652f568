package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

type whoKey struct{}

// Identity is who asks, as the entrance found out.
type Identity struct {
	Name string
	// Local says that the asker is a user of this machine, who may name files
	// on it.
	Local bool
}

// WithIdentity returns a context in which requests are made by who. Entrances
// call it; nothing in a request does.
func WithIdentity(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, whoKey{}, who)
}

func identityOf(r *http.Request) Identity {
	who, _ := r.Context().Value(whoKey{}).(Identity)
	return who
}

func identity(r *http.Request) string { return identityOf(r).Name }

// maxRequest bounds the JSON of commands; imports have a limit of their own.
const maxRequest = 1 << 20

// Handler serves the API for requests whose identity is known. Requests without
// one are refused.
func Handler(s Service, log *slog.Logger) http.Handler {
	h := &handler{s: s, log: log}
	mux := http.NewServeMux()
	for _, r := range h.routes() {
		mux.HandleFunc(r.Method+" "+r.Path, h.guard(r.do))
	}
	mux.HandleFunc("/", h.guard(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "there is no such call", "see docs/reference/api.md")
	}))
	return mux
}

// Operation is one call of the API.
type Operation struct {
	Method, Path, Summary string
	do                    func(http.ResponseWriter, *http.Request) error
}

type handler struct {
	s   Service
	log *slog.Logger
}

func (h *handler) routes() []Operation {
	return []Operation{
		{"GET", "/v1/status", "version, counts, sources, workers, notices", h.status},
		{"GET", "/v1/incidents", "list incidents, newest first", h.incidents},
		{"GET", "/v1/incidents/{n}", "one incident with timeline, findings and deliveries", h.incident},
		{"POST", "/v1/incidents/{n}/{verb}", "ack, assign, note, merge, close, reopen", h.incidentVerb},
		{"GET", "/v1/findings", "list findings, newest received first", h.findings},
		{"GET", "/v1/findings/{id}", "one finding with its revisions", h.finding},
		{"GET", "/v1/findings/{id}/explain", "why it was suppressed, merged and routed", h.explain},
		{"GET", "/v1/findings/{id}/raw", "the newest revision as received", h.raw},
		{"GET", "/v1/revisions", "stream revisions since a time, with their raw form", h.revisions},
		{"POST", "/v1/import", "take findings in any wrapping", h.importFindings},
		{"GET", "/v1/rejected", "list rejected inputs", h.rejected},
		{"GET", "/v1/rejected/{id}", "one rejected input with its body", h.rejectedOne},
		{"GET", "/v1/deliveries", "list deliveries", h.deliveries},
		{"GET", "/v1/deliveries/unfinished", "how many deliveries are under way and how many wait for a person", h.unfinished},
		{"GET", "/v1/deliveries/{id}", "one delivery", h.delivery},
		{"POST", "/v1/deliveries/retry", "free every delivery to a destination that is parked, or has the given statuses", h.retryAll},
		{"POST", "/v1/deliveries/{id}/{verb}", "retry, drop", h.deliveryVerb},
		{"GET", "/v1/destinations", "list destinations", h.destinations},
		{"POST", "/v1/destinations/{name}/{verb}", "test, pause, resume", h.destinationVerb},
		{"GET", "/v1/rules", "suppressions and routes with their use", h.rules},
		{"GET", "/v1/audit", "stream audit records", h.audit},
		{"POST", "/v1/audit/verify", "check the audit chain", h.verify},
		{"POST", "/v1/store/backup", "copy the live store to a file", h.backup},
		{"POST", "/v1/store/prune", "remove what is older than the retention", h.prune},
		{"GET", "/v1/doctor", "check the parts from inside the process", h.doctor},
	}
}

// Operations lists the calls, for the generated reference.
func Operations() []Operation { return (&handler{}).routes() }

// guard authenticates, recovers and turns errors into answers.
func (h *handler) guard(do func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a sentinel of net/http
				h.log.Error("a call of the API panicked", "path", r.URL.Path, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				writeFault(w, &fault.Error{Code: fault.Internal, Message: "guardroom's own code broke", Hint: "report this with the log"})
			}
		}()
		if identity(r) == "" {
			writeFault(w, fault.New(fault.Denied, "this call needs to know who asks", "use the socket of the service, or a token"))
			return
		}
		if err := do(w, r); err != nil {
			writeFault(w, asFault(err))
		}
	}
}

func asFault(err error) *fault.Error {
	f := fault.Of(err)
	if f.Code == fault.Internal && errors.Is(err, store.ErrNotFound) {
		f = &fault.Error{Code: fault.NotFound, Message: err.Error()}
	}
	return f
}

var statuses = map[fault.Code]int{
	fault.Internal: http.StatusInternalServerError, fault.Usage: http.StatusBadRequest, fault.NotFound: http.StatusNotFound,
	fault.Conflict: http.StatusConflict, fault.Unavailable: http.StatusServiceUnavailable, fault.Corrupt: http.StatusUnprocessableEntity,
	fault.Denied: http.StatusForbidden,
}

// Failure is the JSON form of an error.
type Failure struct {
	Error struct {
		Message string     `json:"message"`
		Safe    string     `json:"safe,omitempty"`
		Hint    string     `json:"hint,omitempty"`
		Code    fault.Code `json:"code"`
	} `json:"error"`
}

// NewFailure returns err in its JSON form.
func NewFailure(err error) Failure {
	var out Failure
	f := asFault(err)
	out.Error.Message, out.Error.Safe, out.Error.Hint, out.Error.Code = f.Error(), f.Safe, f.Hint, f.Code
	return out
}

func writeFault(w http.ResponseWriter, f *fault.Error) {
	status, ok := statuses[f.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(NewFailure(f))
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// read decodes a command's JSON strictly; an empty body leaves v as it is.
func read(r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return fault.Wrap(fault.Usage, err, "read the request", "", "")
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	err = dec.Decode(v)
	if err == nil && dec.More() {
		err = errors.New("more follows the JSON object")
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, "read the request", "nothing was changed", "see docs/reference/api.md")
	}
	return nil
}

func number(r *http.Request) (incident.Number, error) {
	n, err := incident.ParseNumber(r.PathValue("n"))
	if err != nil {
		return 0, fault.New(fault.Usage, err.Error(), "guardroom incident list")
	}
	return n, nil
}

// missing says that something is not in the store, and where to look; other
// errors stay what they are.
func missing(err error, what, hint string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "there is no "+what, hint)
	}
	return err
}

// params reads query parameters and keeps the first error.
type params struct {
	r   *http.Request
	err error
}

func (p *params) text(name string) string { return p.r.URL.Query().Get(name) }

func (p *params) list(name string) []string {
	var out []string
	for _, v := range p.r.URL.Query()[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func (p *params) number(name string) int64 {
	v := p.text(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil && p.err == nil {
		p.err = fault.New(fault.Usage, fmt.Sprintf("%s=%q is not a number", name, v), "")
	}
	return n
}

func (p *params) time(name string) time.Time {
	v := p.text(name)
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil && p.err == nil {
		p.err = fault.New(fault.Usage, fmt.Sprintf("%s=%q is not an RFC 3339 time", name, v), "")
	}
	return t
}

func (p *params) flag(name string) bool {
	v := p.text(name)
	return v == "1" || v == "true"
}
