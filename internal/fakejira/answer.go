package fakejira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answer is what a request gets, and what it did.
type answer struct {
	status int
	header http.Header
	body   []byte
	effect string
}

func reply(status int, v any, effect string) *answer {
	a := &answer{status: status, effect: effect}
	if v == nil {
		return a
	}
	body, err := json.Marshal(v)
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	a.body = body
	return a
}

// refusal is an error in Jira's form, with messages.
func refusal(status int, messages ...string) *answer {
	return reply(status, map[string]any{"errorMessages": messages, "errors": map[string]string{}}, "")
}

func tooMany(reason string, seconds int) *answer {
	a := refusal(http.StatusTooManyRequests, "Rate limit exceeded.")
	a.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}, "Ratelimit-Reason": {reason}}
	return a
}

// refuse is a 4xx that a well-behaved client does not provoke.
func (s *Server) refuse(status int, format string, args ...any) *answer {
	text := fmt.Sprintf(format, args...)
	s.violate("%d: %s", status, text)
	return refusal(status, text)
}

// badFields is a 400 that names fields. It is no violation: what a project
// demands cannot be known beforehand in every case.
func badFields(errors map[string]string) *answer {
	return reply(http.StatusBadRequest, map[string]any{"errorMessages": []string{}, "errors": errors}, "")
}

func (s *Server) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

const loginPage = "<!DOCTYPE html><html><head><title>Log in</title></head><body><form>Log in</form></body></html>"

// answer checks what holds for every request and routes it. The lock is held.
func (s *Server) answer(r *http.Request, body []byte) *answer {
	if s.login {
		return &answer{status: http.StatusOK, body: []byte(loginPage), header: http.Header{"Content-Type": {"text/html;charset=UTF-8"}}}
	}
	if s.captcha {
		a := refusal(http.StatusForbidden, "Basic Authentication Failure - Reason : AUTHENTICATION_DENIED")
		a.header = http.Header{"X-Seraph-Loginreason": {"AUTHENTICATION_DENIED"}}
		return a
	}
	path := r.URL.EscapedPath()
	if s.opts.Dialect == Cloud {
		path = strings.TrimPrefix(path, "/ex/jira/"+DefaultCloudID)
	}
	base := map[Dialect]string{Cloud: "/rest/api/3/", DataCenter: "/rest/api/2/"}[s.opts.Dialect]
	rest, ok := strings.CutPrefix(path, base)
	if !ok {
		return s.refuse(http.StatusNotFound, "%s is none of the paths of this dialect", path)
	}
	if a := s.authenticate(r); a != nil {
		return a
	}
	if a := s.checkHeaders(r, body); a != nil {
		return a
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		plain, err := url.PathUnescape(p)
		if err != nil {
			return s.refuse(http.StatusBadRequest, "path %q", path)
		}
		parts[i] = plain
	}
	if a := s.limitBurst(r.Method, parts); a != nil {
		return a
	}
	if a := s.permission(r.Method, parts); a != nil {
		return a
	}
	return s.route(r, parts, body)
}

// permission refuses what the account may not do. The search is no write.
func (s *Server) permission(method string, parts []string) *answer {
	write := method != http.MethodGet && parts[0] != "search"
	comment := len(parts) == 3 && parts[2] == "comment"
	if write && (s.readOnly || s.noComments && comment) {
		return refusal(http.StatusForbidden, "You do not have the permission to do this.")
	}
	return nil
}

func (s *Server) authenticate(r *http.Request) *answer {
	ok := false
	if s.opts.Dialect == Cloud {
		email, token, basic := r.BasicAuth()
		ok = basic && email == s.opts.Email && token == s.opts.Token
	} else {
		ok = r.Header.Get("Authorization") == "Bearer "+s.opts.Token
	}
	if ok {
		return nil
	}
	s.violate("401: no valid credential for %s", r.URL.Path)
	return refusal(http.StatusUnauthorized, "Client must be authenticated to access this resource.")
}

func (s *Server) checkHeaders(r *http.Request, body []byte) *answer {
	if got := r.Header.Get("Accept-Language"); !strings.HasPrefix(got, "en") {
		s.violate("Accept-Language is %q; errors would come in the account's language", got)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		return nil
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return s.refuse(http.StatusUnsupportedMediaType, "the content type is %q", r.Header.Get("Content-Type"))
	}
	if r.Header.Get("X-Atlassian-Token") != "no-check" {
		return s.refuse(http.StatusForbidden, "XSRF check failed")
	}
	if !json.Valid(body) {
		return s.refuse(http.StatusBadRequest, "the body is not JSON")
	}
	return nil
}

// route calls what the path names. The lock is held.
func (s *Server) route(r *http.Request, parts []string, body []byte) *answer {
	n := len(parts)
	switch route := r.Method + " " + parts[0]; {
	case route == "GET myself" && n == 1:
		return s.myself()
	case route == "GET serverInfo" && n == 1:
		return reply(http.StatusOK, map[string]any{"baseUrl": s.URL(), "deploymentType": map[Dialect]string{Cloud: "Cloud", DataCenter: "Server"}[s.opts.Dialect]}, "")
	case s.opts.NoMeta && (parts[0] == "project" || n >= 3 && parts[1] == "createmeta"):
		return refusal(http.StatusNotFound, "There is no such call.")
	case parts[0] == "project":
		return s.projects(r, parts)
	case parts[0] == "search":
		return s.searchCall(r, parts, body)
	case route == "POST issue" && n == 1:
		return s.create(body)
	case route == "GET issue" && n >= 3 && parts[1] == "createmeta":
		return s.createMeta(r, parts[2:])
	case parts[0] == "issue" && n >= 2:
		return s.one(r, parts[1], parts[2:], body)
	}
	return s.refuse(http.StatusNotFound, "nothing answers %s %s", r.Method, r.URL.Path)
}

// limitBurst counts requests of one method and endpoint within a second.
func (s *Server) limitBurst(method string, parts []string) *answer {
	if s.opts.Burst <= 0 {
		return nil
	}
	endpoint := parts[0]
	if len(parts) > 2 {
		endpoint += "/" + parts[2]
	}
	if s.within(method+" "+endpoint, time.Second, s.opts.Burst) {
		return nil
	}
	s.violate("429: more than %d requests %s %s within a second", s.opts.Burst, method, endpoint)
	return tooMany("jira-burst-based", 1)
}

// limitWrites counts the writes to one issue within two seconds.
func (s *Server) limitWrites(i *issue) *answer {
	if s.opts.WritesPerIssue < 0 || s.within("issue "+i.ID, 2*time.Second, s.opts.WritesPerIssue) {
		return nil
	}
	s.violate("429: more than %d writes to %s within 2 s", s.opts.WritesPerIssue, i.Key)
	return tooMany("jira-per-issue-on-write", 2)
}

func (s *Server) within(key string, window time.Duration, limit int) bool {
	now := s.opts.Now()
	from := now.Add(-s.opts.scale(window))
	kept := s.windows[key][:0]
	for _, t := range s.windows[key] {
		if t.After(from) {
			kept = append(kept, t)
		}
	}
	if len(kept) >= limit {
		s.windows[key] = kept
		return false
	}
	s.windows[key] = append(kept, now)
	return true
}

func (s *Server) myself() *answer {
	if s.opts.Dialect == Cloud {
		return reply(http.StatusOK, map[string]any{"accountId": "557058:guardroom", "displayName": "guardroom", "emailAddress": s.opts.Email, "active": true}, "")
	}
	return reply(http.StatusOK, map[string]any{"name": "guardroom", "key": "JIRAUSER1", "displayName": "guardroom", "active": true}, "")
}
