package fakeslack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// answer is what a request gets, and what it did.
type answer struct {
	status int
	header http.Header
	body   []byte
	effect string
}

// encode writes JSON as the client did: < and & as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte(`{}`)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func reply(v map[string]any, effect string) *answer {
	v["ok"] = true
	return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body: encode(v), effect: effect}
}

func text(status int, s string) *answer {
	return &answer{status: status, header: http.Header{"Content-Type": {"text/plain"}}, body: []byte(s)}
}

// webhookStatus is how an incoming webhook answers an error's word:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
func webhookStatus(word string) int {
	switch word {
	case "action_prohibited":
		return http.StatusForbidden
	case "channel_not_found", "no_service", "no_team":
		return http.StatusNotFound
	case "channel_is_archived":
		return http.StatusGone
	case "rollup_error", "internal_error", "fatal_error":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// word is an error: HTTP 200 with ok:false, or the webhook's form.
func word(method, w string) *answer {
	if method == methodWebhook {
		return text(webhookStatus(w), w)
	}
	a := reply(map[string]any{}, "")
	a.body = encode(map[string]any{"ok": false, "error": w})
	return a
}

// limited is HTTP 429.
func limited(after string) *answer {
	a := word("", "ratelimited")
	a.status = http.StatusTooManyRequests
	if after != "" {
		a.header.Set("Retry-After", after)
	}
	return a
}

// refuse is an error that a well-behaved client does not provoke.
func (s *Server) refuse(method, w, format string, args ...any) *answer {
	s.violate(method+": "+w+": "+format, args...)
	return word(method, w)
}

func (s *Server) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

const methodWebhook = "webhook"

func methodOf(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/services/") {
		return methodWebhook
	}
	return strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/")
}

// answer routes a request. The lock is held.
func (s *Server) answer(r *http.Request, method string, body []byte) *answer {
	if r.Method != http.MethodPost {
		return s.refuse(method, "invalid_post_type", "%s instead of POST", r.Method)
	}
	if method == methodWebhook {
		return s.webhook(r, body)
	}
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !found || token == "":
		return word(method, "not_authed")
	case token != s.opts.Token:
		return word(method, "invalid_auth")
	}
	args, problem := arguments(r, body)
	if problem != "" {
		return s.refuse(method, "invalid_form_data", "%s", problem)
	}
	a := s.call(method, args)
	a.header.Set("X-OAuth-Scopes", strings.Join(s.opts.Scopes, ","))
	return a
}

func (s *Server) call(method string, args map[string]json.RawMessage) *answer {
	switch method {
	case "chat.postMessage":
		return s.postMessage(args)
	case "chat.update":
		return s.update(args)
	case "conversations.history":
		return s.history(args)
	case "conversations.replies":
		return s.replies(args)
	case "conversations.info":
		return s.info(args)
	case "conversations.list":
		return s.list(args)
	case "auth.test":
		return s.authTest()
	}
	return s.refuse(method, "unknown_method", "not a method that this server has")
}

// arguments reads a JSON body or a form. Values of a form become JSON: strings,
// or what they hold where Slack expects JSON.
func arguments(r *http.Request, body []byte) (map[string]json.RawMessage, string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	args := map[string]json.RawMessage{}
	switch {
	case err != nil:
		return nil, "no content type"
	case kind == "application/json":
		if err := json.Unmarshal(body, &args); err != nil {
			return nil, "the body is not a JSON object: " + err.Error()
		}
		return args, ""
	case kind != "application/x-www-form-urlencoded":
		return nil, "content type " + kind
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, "the body is not a form: " + err.Error()
	}
	for k, v := range form {
		if slices.Contains([]string{"blocks", "attachments", "metadata"}, k) {
			args[k] = json.RawMessage(v[0])
			continue
		}
		args[k] = encode(v[0])
	}
	return args, ""
}

// str reads a string, a number or a boolean as a string.
func str(args map[string]json.RawMessage, key string) string {
	raw, found := args[key]
	if !found || string(raw) == "null" {
		return ""
	}
	var v string
	if json.Unmarshal(raw, &v) == nil {
		return v
	}
	return string(raw)
}

func truth(args map[string]json.RawMessage, key string) bool {
	v := str(args, key)
	return v == "true" || v == "1"
}

// need returns the refusal for want of scopes; any one of them will do.
func (s *Server) need(scopes ...string) *answer {
	for _, sc := range scopes {
		if slices.Contains(s.opts.Scopes, sc) {
			return nil
		}
	}
	a := reply(map[string]any{}, "")
	a.body = encode(map[string]any{"ok": false, "error": "missing_scope", "needed": scopes[0], "provided": strings.Join(s.opts.Scopes, ",")})
	return a
}
