package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	mux.HandleFunc("/", h.guard(Viewer, func(w http.ResponseWriter, r *http.Request) error {
		if allow := methodsOf(mux, r); len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return &methodError{f: fault.New(fault.Usage, r.Method+" is no method of this path", "use "+strings.Join(allow, " or "))}
		}
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

// methodsOf are the methods by which a path is there.
func methodsOf(mux *http.ServeMux, r *http.Request) (allow []string) {
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		with := r.Clone(r.Context())
		with.Method = m
		if _, pattern := mux.Handler(with); pattern != "/" {
			allow = append(allow, m)
		}
	}
	return allow
}

// methodError is the failure of a request by a method that its path does not have.
type methodError struct{ f *fault.Error }

// Error implements error.
func (e *methodError) Error() string { return e.f.Error() }

// Unwrap returns the failure as people see it.
func (e *methodError) Unwrap() error { return e.f }

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
			writeStatus(w, asFault(err), statusOf(err))
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

// statusOf is the HTTP status of an error: most have that of their code.
func statusOf(err error) int {
	if _, is := errors.AsType[*methodError](err); is {
		return http.StatusMethodNotAllowed
	}
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return http.StatusRequestEntityTooLarge
	}
	return cmp.Or(statuses[asFault(err).Code], http.StatusInternalServerError)
}

func writeFault(w http.ResponseWriter, f *fault.Error) { writeStatus(w, f, statusOf(f)) }

func writeStatus(w http.ResponseWriter, f *fault.Error, status int) {
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
		return unreadable(err, "read the request", "")
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
	if wrong, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		return fault.New(fault.Usage, fmt.Sprintf("read the request: %s is %s and not %s", cmp.Or(wrong.Field, "the body"), article(wrong.Value), article(kindOf(wrong.Type))), "see docs/reference/api.md")
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, "read the request", "nothing was changed", "see docs/reference/api.md")
	}
	return nil
}

// unreadable says why a body could not be read, with the limit where it has one.
func unreadable(err error, what, hint string) error {
	if large, is := errors.AsType[*http.MaxBytesError](err); is {
		return fault.Wrap(fault.Usage, tooLarge{large}, what, "nothing of it was taken", hint)
	}
	return fault.Wrap(fault.Usage, err, what, "nothing of it was taken", hint)
}

// tooLarge says how much a body may hold.
type tooLarge struct{ *http.MaxBytesError }

// Error implements error.
func (e tooLarge) Error() string { return fmt.Sprintf("it is larger than %d bytes", e.Limit) }

// Unwrap returns net/http's own, by which the status is found.
func (e tooLarge) Unwrap() error { return e.MaxBytesError }

// kindOf is what JSON calls a Go type.
func kindOf(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the others are objects
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return "number"
	}
	return "object"
}

func article(word string) string {
	switch {
	case strings.HasPrefix(word, "true"), strings.HasPrefix(word, "null"):
		return word
	case strings.IndexAny(word[:min(1, len(word))], "aeiou") == 0:
		return "an " + word
	}
	return "a " + word
}

// longestText is how many characters a note or a reason has at most: it is shown
// in incidents, channels and tickets.
const longestText = 10_000

// readable refuses a text that nobody would read.
func readable(text string) error {
	if n := utf8.RuneCountInString(text); n > longestText {
		return fault.New(fault.Usage, fmt.Sprintf("the text has %d characters, and may have %d", n, longestText), "nothing was changed; keep the long form elsewhere and name it here")
	}
	return nil
}

// some is never nil, so that JSON has [] for a list without elements.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
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
	if n < 0 && p.err == nil {
		p.err = fault.New(fault.Usage, fmt.Sprintf("%s=%d is below zero", name, n), "leave it out, or use a number from 0 on")
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
