package fakepagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// answer is what a request gets, and what it did.
type answer struct {
	status int
	header http.Header
	body   []byte
	effect string
}

func reply(status int, v any, effect string) *answer {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte(`{}`)
	}
	return &answer{status: status, body: body, effect: effect}
}

func accepted(dedupKey, effect string) *answer {
	return reply(http.StatusAccepted, map[string]string{
		"status": "success", "message": "Event processed", "dedup_key": dedupKey,
	}, effect)
}

// failure is an error in the form of the REST API.
func failure(status, code int, message string, details ...string) *answer {
	e := map[string]any{"code": code, "message": message}
	if len(details) > 0 {
		e["errors"] = details
	}
	return reply(status, map[string]any{"error": e}, "")
}

// invalidEvent is an error in the form of the Events API, and a violation.
func (s *Server) invalidEvent(problems ...string) *answer {
	s.violate("refused an event: %s", strings.Join(problems, "; "))
	return reply(http.StatusBadRequest, map[string]any{
		"status": "invalid event", "message": "Event object is invalid", "errors": problems,
	}, "")
}

// refuse is a 4xx that a well-behaved client does not provoke.
func (s *Server) refuse(status int, format string, args ...any) *answer {
	text := fmt.Sprintf(format, args...)
	s.violate("%d: %s", status, text)
	code := map[int]int{http.StatusBadRequest: 2001, http.StatusUnauthorized: 2006, http.StatusNotFound: 2100}[status]
	return failure(status, code, http.StatusText(status), text)
}

func (s *Server) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// answer routes a request. The lock is held.
func (s *Server) answer(r *http.Request, body []byte) *answer {
	if r.URL.Path == "/v2/enqueue" {
		if r.Method != http.MethodPost {
			return s.refuse(http.StatusMethodNotAllowed, "%s on the events endpoint", r.Method)
		}
		return s.enqueue(r, body)
	}
	a := s.rest(r, body)
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("Ratelimit-Limit", "960")
	a.header.Set("Ratelimit-Remaining", "959")
	a.header.Set("Ratelimit-Reset", "60")
	return a
}
