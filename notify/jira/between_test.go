package jira

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
)

// A proxy's page with 404 is not Jira's word that the issue is gone, which would
// make a second one.
func TestAPageOfAProxyIsNoDeletedIssue(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]notify.Class{404: notify.Retry, 403: notify.Pause, 407: notify.Pause} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakejira.Options{})
			behind, err := url.Parse(r.fake.URL())
			if err != nil {
				t.Fatal(err)
			}
			var blocks atomic.Bool
			pass := httputil.NewSingleHostReverseProxy(behind)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if blocks.Load() && strings.Contains(q.URL.Path, "/issue/") {
					w.Header().Set("Content-Type", "text/html")
					w.WriteHeader(status)
					_, _ = w.Write([]byte("<html>the filter says no</html>"))
					return
				}
				pass.ServeHTTP(w, q)
			}))
			t.Cleanup(front.Close)
			r.configure(func(c *Config) { c.APIURL = front.URL })
			s := newStory()
			r.show(s.v)
			blocks.Store(true)
			closed := s.close().v
			for range 3 {
				r.clock.pass(spacing)
				_, err := r.try(closed)
				if e := asError(t, err); e.Class != class || e.Hint == "" {
					t.Fatalf("%+v", e)
				}
			}
			blocks.Store(false)
			r.clock.pass(spacing)
			if out := r.show(closed); len(out.Warnings) != 0 {
				t.Errorf("warnings %q", out.Warnings)
			}
			if i := r.only(); i.Status != "Done" {
				t.Errorf("the issue ended as %s", i.Status)
			}
		})
	}
}
