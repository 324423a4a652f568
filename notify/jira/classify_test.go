package jira

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	header := func(k, v string) http.Header { h := http.Header{}; h.Set(k, v); return h }
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string
		class  notify.Class
		after  time.Duration
		words  string
	}{
		{"a refused credential pauses", 401, nil, "", notify.Pause, 0, "Unauthorized"},
		{"a login page with 200 pauses", 200, header("Content-Type", "text/html"), "<html>", notify.Pause, 0, ""},
		{"a redirect pauses", 302, nil, "", notify.Pause, 0, ""},
		{"a CAPTCHA pauses", 403, header("X-Seraph-LoginReason", "AUTHENTICATION_DENIED"), "", notify.Pause, 0, ""},
		{"a CAPTCHA that only the text names pauses", 403, nil, "<html>Please solve the CAPTCHA</html>", notify.Pause, 0, ""},
		{"a missing permission parks", 403, nil, `{"errorMessages":["You may not create issues."],"errors":{}}`, notify.Park, 0, "You may not create issues."},
		{"a 401 of a proxy pauses", 401, header("Content-Type", "text/html"), "<html>", notify.Pause, 0, ""},
		{"a 403 of something between pauses", 403, header("Content-Type", "text/html"), "<html>blocked</html>", notify.Pause, 0, ""},
		{"a 403 without a word pauses", 403, nil, "", notify.Pause, 0, ""},
		{"a 407 of a proxy pauses", 407, nil, "", notify.Pause, 0, ""},
		{"a 404 of Jira parks", 404, nil, `{"errorMessages":["Issue does not exist"],"errors":{}}`, notify.Park, 0, "Issue does not exist"},
		{"a 404 of a proxy may pass", 404, header("Content-Type", "text/html"), "<html>no such site</html>", notify.Retry, 0, ""},
		{"a 400 of a proxy may pass", 400, nil, "Bad Request", notify.Retry, 0, ""},
		{"a wish for ten minutes is honoured", 429, header("Retry-After", "600"), "", notify.Retry, 10 * time.Minute, ""},
		{"a wish for years is asked again after an hour", 429, header("Retry-After", "999999999"), "", notify.Retry, time.Hour, ""},
		{"a required field parks with its sentence", 400, nil, `{"errors":{"cf":"is required"}}`, notify.Park, 0, "cf: is required"},
		{"too large a body parks", 413, nil, "", notify.Park, 0, ""},
		{"a conflict is repeated", 409, nil, "", notify.Retry, 0, ""},
		{"a request that took too long is repeated", 408, nil, "", notify.Retry, 0, ""},
		{"a busy site's wish is honoured", 503, header("Retry-After", "9"), "", notify.Retry, 9 * time.Second, ""},
		{"the wrong dialect parks", 410, nil, "", notify.Park, 0, ""},
		{"a rate limit is honoured", 429, header("Retry-After", "17"), "", notify.Retry, 17 * time.Second, ""},
		{"a rate limit without a wish waits 5 s", 429, nil, "", notify.Retry, 5 * time.Second, ""},
		{"an HTML 429 of a proxy is a rate limit", 429, header("Content-Type", "text/html"), "", notify.Retry, 5 * time.Second, ""},
		{"an HTML 503 of a proxy is repeated", 503, header("Content-Type", "text/html"), "", notify.Retry, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := classify("create issue", tt.status, tt.header, []byte(tt.body))
			if e.Class != tt.class || e.After != tt.after || !strings.Contains(e.Message, tt.words) {
				t.Errorf("got %s after %s: %s", e.Class, e.After, e.Message)
			}
		})
	}
}
