package api

import (
	"cmp"
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

// maxRequest bounds the JSON of commands; imports have a limit of their own.
const maxRequest = 1 << 20

// Handler serves the API for requests whose identity is known. Requests without
// one are refused before anything of them is read.
func Handler(s Service, log *slog.Logger) http.Handler {
	h := &handler{s: s, log: log}
	mux := http.NewServeMux()
	for _, o := range h.routes() {
		mux.HandleFunc(o.Method+" "+o.Path, h.guard(o.Role, o.do))
	}
	mux.HandleFunc("/", h.guard(Viewer, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "there is no such call", "see docs/reference/api.md")
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if identity(r) == "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeFault(w, fault.New(fault.Unauthenticated, "this call needs to know who asks", "use the socket of the service, or a token that is valid: guardroom token list"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

type handler struct {
	s   Service
	log *slog.Logger
}

// guard lets those pass who may, recovers and turns errors into answers.
func (h *handler) guard(least Role, do func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel of net/http
				panic(p) // an answer that broke off must not look whole
			}
			if p != nil {
				h.log.Error("a call of the API panicked", "path", r.URL.Path, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				writeFault(w, &fault.Error{Code: fault.Internal, Message: "guardroom's own code broke", Hint: "report this with the log"})
			}
		}()
		if who := identityOf(r); !who.may(least) {
			writeFault(w, fault.New(fault.Denied, fmt.Sprintf("%s may not do this: it needs the role %s, and %s has %s", who.Name, least, who.Name, cmp.Or(who.role(), "none")), "ask somebody who has it, or an admin for a token: guardroom token create NAME --role "+string(least)))
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
	fault.Denied: http.StatusForbidden, fault.Unauthenticated: http.StatusUnauthorized,
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
