package fakejira

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// site is a server and a client that behaves well unless told otherwise.
type site struct {
	*Server
	t   *testing.T
	now time.Time
	mu  sync.Mutex
}

func newSite(t *testing.T, opts Options) *site {
	t.Helper()
	st := &site{t: t, now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	opts.Now = func() time.Time {
		st.mu.Lock()
		defer st.mu.Unlock()
		return st.now
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	st.Server = s
	return st
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) request(method, path, body string) *http.Request {
	s.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = map[Dialect]string{Cloud: "/rest/api/3/", DataCenter: "/rest/api/2/"}[s.opts.Dialect] + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.opts.Dialect == Cloud {
		req.SetBasicAuth(DefaultEmail, DefaultToken)
	} else {
		req.Header.Set("Authorization", "Bearer "+DefaultToken)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Atlassian-Token", "no-check")
	req.Header.Set("Accept-Language", "en")
	return req
}

func (s *site) do(method, path, body string) (int, string) {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(s.request(method, path, body))
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

// doc is a document around blocks.
func doc(blocks string) string { return `{"type":"doc","version":1,"content":[` + blocks + `]}` }

const para = `{"type":"paragraph","content":[{"type":"text","text":"x"}]}`

func (s *site) rich() string {
	if s.opts.Dialect == Cloud {
		return doc(para)
	}
	return `"x"`
}

// create makes an issue with these further fields.
func (s *site) create(more string) (int, string) {
	s.t.Helper()
	return s.do("POST", "issue", `{"fields":{"project":{"key":"SEC"},"issuetype":{"id":"10001"},"summary":"s"`+more+`}}`)
}

func both(t *testing.T, f func(t *testing.T, d Dialect)) {
	for _, d := range []Dialect{Cloud, DataCenter} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			f(t, d)
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		team := Field{ID: "customfield_1", Name: "Team", Required: true, HasDefault: true, Allowed: []Value{{"5", "Blue"}}}
		p := DefaultProjects()
		p[0].Types[0].Fields = append(p[0].Types[0].Fields, team)
		p[0].Types[1].Fields = []Field{{ID: "customfield_2", Name: "Cause", Required: true}}
		for _, tt := range []struct {
			name, fields string
			words        string
		}{
			{"a label with a space", `,"labels":["a b"]`, "contains spaces"},
			{"a label that is no list", `,"labels":"a"`, "not an array"},
			{"an unknown field", `,"customfield_9":1`, "Field 'customfield_9' cannot be set"},
			{"an unknown priority", `,"priority":{"name":"P1"}`, "priority selected is invalid"},
			{"a value that is not allowed", `,"customfield_1":{"id":"6"}`, "valid value for Team"},
			{"a long summary", `,"summary":"` + strings.Repeat("x", 256) + `"`, "255"},
			{"a summary of two lines", `,"summary":"a\nb"`, "newline"},
			{"an empty summary", `,"summary":" "`, "must specify a summary"},
			{"a description of another dialect", `,"description":` + map[Dialect]string{Cloud: `"text"`, DataCenter: doc(para)}[d], "description"},
			{"a description that is too long", `,"description":` + map[Dialect]string{Cloud: doc(strings.Repeat(para+",", 800) + para), DataCenter: `"` + strings.Repeat("x", 32768) + `"`}[d], "description"},
			{"a type that requires a field", `,"issuetype":{"id":"10002"}`, "Cause is required."},
			{"a type that is not there", `,"issuetype":{"id":"7"}`, "issue type"},
			{"a project that is not there", `,"project":{"key":"NOPE"}`, "valid project is required"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, Options{Dialect: d, Projects: p})
				if code, body := s.create(tt.fields); code != 400 || !strings.Contains(body, tt.words) {
					t.Errorf("%d %s", code, body)
				}
				if n := len(s.Issues()); n != 0 {
					t.Errorf("%d issues", n)
				}
			})
		}
	})
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		good      bool
	}{
		{"a paragraph", doc(para), true},
		{"an empty document", doc(""), true},
		{"an expand at the top", doc(`{"type":"expand","attrs":{"title":"t"},"content":[` + para + `]}`), true},
		{"a task list", doc(`{"type":"taskList","attrs":{"localId":"l"},"content":[{"type":"taskItem","attrs":{"localId":"i","state":"TODO"},"content":[{"type":"text","text":"x"}]}]}`), true},
		{"a link", doc(`{"type":"paragraph","content":[{"type":"text","text":"x","marks":[{"type":"link","attrs":{"href":"https://a.example"}}]}]}`), true},
		{"a string", `"x"`, false},
		{"null", `null`, false},
		{"no version", `{"type":"doc","content":[]}`, false},
		{"version 2", `{"type":"doc","version":2,"content":[]}`, false},
		{"a version further down", doc(`{"type":"paragraph","version":1,"content":[]}`), false},
		{"an empty text", doc(`{"type":"paragraph","content":[{"type":"text","text":""}]}`), false},
		{"a text at the top", doc(`{"type":"text","text":"x"}`), false},
		{"an unknown node", doc(`{"type":"marquee","content":[]}`), false},
		{"an unknown mark", doc(`{"type":"paragraph","content":[{"type":"text","text":"x","marks":[{"type":"blink"}]}]}`), false},
		{"an unknown key", doc(`{"type":"paragraph","content":[],"style":"x"}`), false},
		{"an unknown attribute", doc(`{"type":"paragraph","attrs":{"align":"x"},"content":[]}`), false},
		{"an expand in a panel", doc(`{"type":"panel","attrs":{"panelType":"info"},"content":[{"type":"expand","attrs":{"title":"t"},"content":[` + para + `]}]}`), false},
		{"an expand in a cell", doc(`{"type":"table","content":[{"type":"tableRow","content":[{"type":"tableCell","content":[{"type":"expand","content":[` + para + `]}]}]}]}`), false},
		{"a panel of no known type", doc(`{"type":"panel","attrs":{"panelType":"red"},"content":[` + para + `]}`), false},
		{"an empty panel", doc(`{"type":"panel","attrs":{"panelType":"info"},"content":[]}`), false},
		{"a task without an id", doc(`{"type":"taskList","attrs":{"localId":"l"},"content":[{"type":"taskItem","attrs":{"state":"TODO"},"content":[]}]}`), false},
		{"a task of no known state", doc(`{"type":"taskList","attrs":{"localId":"l"},"content":[{"type":"taskItem","attrs":{"localId":"i","state":"OPEN"},"content":[]}]}`), false},
		{"marks in a code block", doc(`{"type":"codeBlock","content":[{"type":"text","text":"x","marks":[{"type":"strong"}]}]}`), false},
		{"a heading of level 7", doc(`{"type":"heading","attrs":{"level":7},"content":[]}`), false},
		{"a link that runs a script", doc(`{"type":"paragraph","content":[{"type":"text","text":"x","marks":[{"type":"link","attrs":{"href":"javascript:x"}}]}]}`), false},
		{"an empty list", doc(`{"type":"bulletList","content":[]}`), false},
	} {
		if err := CheckADF(json.RawMessage(tt.raw)); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestEachDialectHasItsOwnCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d            Dialect
		method, path string
		status       int
	}{
		{Cloud, "POST", "search", 410},
		{Cloud, "GET", "search", 410},
		{DataCenter, "POST", "search/jql", 404},
		{Cloud, "GET", "/rest/api/2/myself", 404},
		{DataCenter, "GET", "/rest/api/3/myself", 404},
		{Cloud, "GET", "/ex/jira/" + DefaultCloudID + "/rest/api/3/myself", 200},
		{DataCenter, "GET", "project", 200},
		{Cloud, "GET", "project", 410},
		{Cloud, "GET", "project/search?query=secur", 200},
		{Cloud, "GET", "issue/createmeta", 404},
		{DataCenter, "GET", "issue/SEC-1", 404},
		{Cloud, "GET", "nothing", 404},
	} {
		s := newSite(t, Options{Dialect: tt.d})
		if code, body := s.do(tt.method, tt.path, "{}"); code != tt.status {
			t.Errorf("%s %s %s: %d %s", tt.d, tt.method, tt.path, code, body)
		}
	}
}

func TestCredentialsAndHeaders(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		s := newSite(t, Options{Dialect: d})
		for header, want := range map[string]int{"Authorization": 401, "X-Atlassian-Token": 403, "Content-Type": 415} {
			req := s.request("POST", "issue", "{}")
			req.Header.Del(header)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("without %s: %d", header, resp.StatusCode)
			}
		}
		if len(s.Violations()) != 3 {
			t.Errorf("violations %q", s.Violations())
		}
		s.LoginPage(true)
		if code, body := s.do("GET", "myself", ""); code != 200 || !strings.HasPrefix(body, "<!DOCTYPE html>") {
			t.Errorf("%d %s", code, body)
		}
	})
}

func TestTheSearchLagsBehind(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		s := newSite(t, Options{Dialect: d, IndexLag: 30 * time.Second, TimeScale: 2})
		path := map[Dialect]string{Cloud: "search/jql", DataCenter: "search"}[d]
		found := func(more string) bool {
			code, body := s.do("POST", path, `{"jql":"labels = \"gr-1\" ORDER BY created","fields":["summary"]`+more+`}`)
			if code != 200 {
				t.Fatalf("%d %s", code, body)
			}
			return strings.Contains(body, "SEC-1")
		}
		if code, body := s.create(`,"labels":["gr-1"]`); code != 201 {
			t.Fatalf("%d %s", code, body)
		}
		s.pass(14 * time.Second)
		if found("") {
			t.Error("a fresh issue was found at once")
		}
		if d == Cloud && !found(`,"reconcileIssues":[10001]`) {
			t.Error("reconcileIssues did not help")
		}
		if code, _ := s.do("GET", "issue/SEC-1", ""); code != 200 {
			t.Errorf("reading by key lags as well: %d", code)
		}
		s.pass(2 * time.Second)
		if !found("") {
			t.Error("it is not found after the lag")
		}
		s.Delete("SEC-1")
		if !found("") {
			t.Error("the index forgot a deleted issue at once")
		}
		s.pass(16 * time.Second)
		if found("") {
			t.Error("the index knows a deleted issue for ever")
		}
		for _, jql := range []string{"", "label = x", "labels = \\\"x", "ORDER BY created"} {
			if code, _ := s.do("POST", path, `{"jql":"`+jql+`"}`); code != 400 {
				t.Errorf("JQL %q: %d", jql, code)
			}
		}
	})
}

func TestDescriptionsComeBackInAnotherForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	sent := doc(`{"type":"paragraph","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"type":"table","content":[{"type":"tableRow","content":[{"type":"tableCell","content":[` + para + `]}]}]}`)
	s.create(`,"description":` + sent)
	read := func() string {
		_, body := s.do("GET", "issue/SEC-1?fields=description", "")
		return body
	}
	first := read()
	if strings.Contains(first, sent) || !strings.Contains(first, `"text":"ab"`) || !strings.Contains(first, `"localId"`) || read() != first {
		t.Errorf("it came back as %s", first)
	}
	if code, body := s.do("PUT", "issue/SEC-1", `{"fields":{"description":`+sent+`}}`); code != 204 {
		t.Fatalf("%d %s", code, body)
	}
	if read() == first {
		t.Error("the ids stayed over a write")
	}
	dc := newSite(t, Options{Dialect: DataCenter})
	dc.create(`,"description":"a\nb \n"`)
	if i := dc.Issues()[0]; i.Description != "a\r\nb" {
		t.Errorf("%q", i.Description)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		s := newSite(t, Options{Dialect: d, WritesPerIssue: 3, Burst: 5})
		s.create("")
		for n := range 5 {
			resp, err := http.DefaultClient.Do(s.request("POST", "issue/SEC-1/comment", `{"body":`+s.rich()+`}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if limited := n >= 3; limited != (resp.StatusCode == 429) || limited && (resp.Header.Get("Retry-After") != "2" || resp.Header.Get("RateLimit-Reason") != "jira-per-issue-on-write") {
				t.Errorf("write %d: %d %v", n, resp.StatusCode, resp.Header)
			}
		}
		if code, _ := s.do("POST", "issue/SEC-1/comment", `{"body":`+s.rich()+`}`); code != 429 {
			t.Errorf("the burst is not limited: %d", code)
		}
		if len(s.Violations()) != 3 || !strings.Contains(s.Violations()[2], "within a second") {
			t.Errorf("violations %q", s.Violations())
		}
		s.pass(2 * time.Second)
		if code, _ := s.do("POST", "issue/SEC-1/comment", `{"body":`+s.rich()+`}`); code != 201 {
			t.Errorf("after the window: %d", code)
		}
	})
}

func TestTheWorkflow(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		w := DefaultWorkflow()
		w.Statuses[1].Transitions[1].Fields = []Field{{ID: "resolution", Name: "Resolution", Required: true, Allowed: Resolutions()}}
		s := newSite(t, Options{Dialect: d, Workflow: w})
		s.create("")
		move := func(id, fields string) int {
			code, _ := s.do("POST", "issue/SEC-1/transitions", `{"transition":{"id":"`+id+`"}`+fields+`}`)
			return code
		}
		if _, body := s.do("GET", "issue/SEC-1/transitions", ""); !strings.Contains(body, `"12"`) || strings.Contains(body, `"22"`) {
			t.Errorf("transitions %s", body)
		}
		for _, step := range []struct {
			id, fields string
			status     int
		}{{"22", "", 400}, {"11", "", 204}, {"11", "", 400}, {"22", "", 400}, {"22", `,"fields":{"resolution":{"id":"1"}}`, 400}, {"22", `,"fields":{"resolution":{"name":"Done"}}`, 204}} {
			if code := move(step.id, step.fields); code != step.status {
				t.Errorf("transition %s%s: %d", step.id, step.fields, code)
			}
		}
		if i := s.Issues()[0]; i.Status != "Done" || i.Resolution != "Done" {
			t.Errorf("%+v", i)
		}
		if _, body := s.do("GET", "issue/SEC-1/transitions?expand=transitions.fields", ""); !strings.Contains(body, `"fields":{}`) {
			t.Errorf("transitions %s", body)
		}
	})
}

func TestMetadataHasTheShapeOfTheDialect(t *testing.T) {
	t.Parallel()
	for d, want := range map[Dialect][2][]string{
		Cloud:      {{`"issueTypes":[`, `"total":2`}, {`"fields":[`, `"total":7`}},
		DataCenter: {{`"values":[`, `"isLast":true`}, {`"values":[`, `"isLast":false`}},
	} {
		s := newSite(t, Options{Dialect: d})
		for n, path := range []string{"issue/createmeta/SEC/issuetypes", "issue/createmeta/SEC/issuetypes/10001"} {
			_, body := s.do("GET", path, "")
			for _, w := range want[n] {
				if !strings.Contains(body, w) {
					t.Errorf("%s %s: %s is not in %s", d, path, w, body)
				}
			}
		}
	}
}

func TestFaultsBeforeAndAfterTheEffect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		f       Fault
		status  int
		created int
	}{{RateLimited, 429, 0}, {RateLimitedBare, 429, 0}, {ServerError, 500, 0}, {ResetBefore, 0, 0}, {ServerErrorAfter, 502, 1}, {ResetAfter, 0, 1}, {HalfResponse, 0, 1}} {
		s := newSite(t, Options{})
		s.Fail(tt.f)
		if code, body := s.create(""); code != tt.status || len(s.Issues()) != tt.created {
			t.Errorf("%s: %d %s, %d issues", tt.f, code, body, len(s.Issues()))
		}
		if len(s.Violations()) != 0 {
			t.Errorf("%s: violations %q", tt.f, s.Violations())
		}
	}
}

func TestTheHookSeesEveryStageWithoutALock(t *testing.T) {
	t.Parallel()
	var s *site
	stages := make(chan string, 3)
	s = newSite(t, Options{Hook: func(stage, path string) {
		stages <- fmt.Sprintf("%s %s with %d issues", stage, path, len(s.Issues()))
	}})
	s.create("")
	for _, want := range []string{"received /rest/api/3/issue with 0 issues", "effect /rest/api/3/issue with 1 issues", "answered /rest/api/3/issue with 1 issues"} {
		if got := <-stages; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWhatPeopleDo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, d Dialect) {
		s := newSite(t, Options{Dialect: d})
		s.create(`,"description":` + s.rich())
		if !s.EditDescription("SEC-1", "mine") || !s.EditSummary("SEC-1", "t") || !s.SetPriority("SEC-1", "Low") || !s.SetStatus("SEC-1", "done") || !s.AddComment("SEC-1", "hm") {
			t.Error("a person may not")
		}
		i, ok := s.Issue("SEC-1")
		if !ok || i.Text != "mine" || i.Summary != "t" || i.Priority != "Low" || i.Status != "Done" || len(i.Comments) != 1 || i.Comments[0].Author != "ana" {
			t.Errorf("%+v", i)
		}
		if key := s.Move("SEC-1", "OPS"); key != "OPS-1" {
			t.Errorf("moved to %q", key)
		}
		if _, body := s.do("GET", "issue/SEC-1?fields=summary", ""); !strings.Contains(body, `"key":"OPS-1"`) || !strings.Contains(body, `"id":"`+i.ID+`"`) {
			t.Errorf("by its former key: %s", body)
		}
		if !s.Delete("OPS-1") || s.Delete("OPS-1") || len(s.Issues()) != 0 {
			t.Error("it cannot be deleted once")
		}
		if code, _ := s.do("GET", "issue/"+i.ID, ""); code != 404 {
			t.Errorf("a deleted issue: %d", code)
		}
	})
}

func FuzzADF(f *testing.F) {
	f.Add([]byte(doc(para)))
	f.Add([]byte(`{"type":"doc","version":1,"content":[{"type":"taskList"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseADF(raw)
		if err != nil {
			return
		}
		// What is taken stays a document after it was normalised.
		if err := CheckADF(json.RawMessage(normalADF(d, 1))); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	})
}

func FuzzJQL(f *testing.F) {
	for _, s := range []string{`labels = "gr-1"`, `project = SEC AND issuetype = "1" ORDER BY created`, `summary ~ "\"x\""`, `creator = currentUser()`, `a`} {
		f.Add(s)
	}
	i := &issue{project: &Project{}, typ: &IssueType{}}
	f.Fuzz(func(_ *testing.T, s string) {
		if match, err := parseJQL(s); err == nil {
			match(i)
		}
	})
}
