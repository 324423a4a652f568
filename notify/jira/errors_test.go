package jira

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
)

// withFields is a site whose issue type has these fields besides the usual.
func withFields(fields ...fakejira.Field) fakejira.Options {
	p := fakejira.DefaultProjects()
	p[0].Types[0].Fields = append(p[0].Types[0].Fields, fields...)
	return fakejira.Options{Projects: p}
}

// without is a site whose issue type lacks these fields.
func without(ids ...string) fakejira.Options {
	p := fakejira.DefaultProjects()
	var kept []fakejira.Field
	for _, f := range p[0].Types[0].Fields {
		if !strings.Contains(strings.Join(ids, " "), f.ID) {
			kept = append(kept, f)
		}
	}
	p[0].Types[0].Fields = kept
	return fakejira.Options{Projects: p}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		opts    fakejira.Options
		change  func(*Config)
		prepare func(*room)
		class   notify.Class
		reason  string
		after   time.Duration
		words   string // in the message or the hint
	}{
		{name: "a wrong token pauses the destination", prepare: func(r *room) { r.fake.SetToken("other") }, class: notify.Pause, reason: "auth"},
		{name: "a login page pauses the destination", prepare: func(r *room) { r.fake.LoginPage(true) }, class: notify.Pause, reason: "not_json", words: "single sign-on"},
		{name: "a CAPTCHA pauses the destination", prepare: func(r *room) { r.fake.Captcha(true) }, class: notify.Pause, reason: "auth", words: "CAPTCHA"},
		{name: "an account that may not create parks", prepare: func(r *room) { r.fake.ReadOnly(true) }, class: notify.Park, reason: "permission", words: "give the account the permission"},
		{name: "the wrong dialect is a project that is not there", change: func(c *Config) { c.API = "datacenter" }, class: notify.Park, reason: "not_found"},
		{name: "a project that does not exist parks", change: func(c *Config) { c.Project = "NOPE" }, class: notify.Park, reason: "not_found", words: `there is no project "NOPE"`},
		{name: "a type that does not exist parks with those that do", change: func(c *Config) { c.IssueType = "Epic" }, class: notify.Park, reason: "not_found", words: "Task, Bug"},
		{name: "a required field parks with Jira's sentence", opts: withFields(fakejira.Field{ID: "customfield_10050", Name: "Team", Required: true}),
			class: notify.Park, reason: "invalid", words: "customfield_10050: Team is required."},
		{name: "a configured field that is not on the screen parks", change: func(c *Config) { c.Fields = map[string]any{"customfield_7": "x"} },
			class: notify.Park, reason: "invalid", words: "customfield_7: Field 'customfield_7' cannot be set"},
		{name: "a description that is not on the screen parks", opts: without("description"), class: notify.Park, reason: "invalid", words: "description: Field 'description' cannot be set"},
		{name: "a rate limit waits as Jira asks", prepare: func(r *room) { r.fake.Fail(fakejira.RateLimited) }, class: notify.Retry, reason: "rate_limited", after: time.Second},
		{name: "a rate limit without a wish waits 5 s", prepare: func(r *room) { r.fake.Fail(fakejira.RateLimitedBare) }, class: notify.Retry, reason: "rate_limited", after: 5 * time.Second},
		{name: "a rate limit waits at the tempo", change: func(c *Config) { c.TimeScale = 10 }, prepare: func(r *room) { r.fake.Fail(fakejira.RateLimitedBare) }, class: notify.Retry, reason: "rate_limited", after: 500 * time.Millisecond},
		{name: "a broken server is tried again", prepare: func(r *room) { r.fake.Fail(fakejira.ServerError) }, class: notify.Retry, reason: "server_error"},
		{name: "a server that is away is tried again", prepare: func(r *room) { r.fake.Close() }, class: notify.Retry, reason: "network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			change := tt.change
			if change == nil {
				change = func(*Config) {}
			}
			r := newRoom(t, tt.opts, change)
			if tt.prepare != nil {
				tt.prepare(r)
			}
			_, err := r.try(sampleView())
			e := asError(t, err)
			if e.Class != tt.class || e.Reason != tt.reason || e.After != tt.after && tt.after > 0 || e.DestinationWide {
				t.Errorf("%+v", e)
			}
			if !strings.Contains(e.Message+"\n"+e.Hint, tt.words) {
				t.Errorf("message %q, hint %q", e.Message, e.Hint)
			}
			if tt.class != notify.Retry && len(r.fake.Issues()) != 0 {
				t.Errorf("issues %+v", r.fake.Issues())
			}
			if s, err := decodeState(r.state); err != nil || s.Attempt != nil {
				t.Errorf("an attempt is pending although nothing can exist: %s", r.state)
			}
		})
	}
}

func TestOptionalFieldsAreLeftOutOneByOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		opts     fakejira.Options
		warnings int
		labels   int
		priority string
	}{
		{"labels that are not on the screen", without("labels"), 1, 0, "High"},
		{"a priority that is not on the screen", without("priority"), 1, 3, ""},
		{"both", without("labels", "priority"), 2, 0, ""},
		{"a site without priorities", fakejira.Options{Priorities: []fakejira.Value{}}, 1, 3, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				opts := tt.opts
				opts.Dialect = d
				r := newRoom(t, opts)
				out := r.show(sampleView())
				if i := r.only(); len(i.Labels) != tt.labels || i.Priority != tt.priority || len(out.Warnings) != tt.warnings {
					t.Errorf("labels %q, priority %q, warnings %q", i.Labels, i.Priority, out.Warnings)
				}
				r.show(newStory().raise(9.5).v)
				r.noViolations()
			})
		})
	}
}

// refusing answers creations as a site does whose metadata promise more than its
// screens hold.
type refusing struct {
	next    http.RoundTripper
	answers []string
}

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/issue") && len(r.answers) > 0 {
		body := r.answers[0]
		r.answers = r.answers[1:]
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.WriteString(body)
		return w.Result(), nil
	}
	return r.next.RoundTrip(req)
}

func TestFieldsThatTheMetadataPromisedInVain(t *testing.T) {
	t.Parallel()
	cannot := func(ids ...string) string {
		var parts []string
		for _, id := range ids {
			parts = append(parts, fmt.Sprintf(`%q:"Field '%s' cannot be set. It is not on the appropriate screen, or unknown."`, id, id))
		}
		return `{"errorMessages":[],"errors":{` + strings.Join(parts, ",") + `}}`
	}
	r := newRoom(t, fakejira.Options{})
	try := func(answers ...string) (notify.Outcome, error) {
		n, err := New(r.cfg, Deps{Now: r.clock.Now, Transport: &refusing{next: http.DefaultTransport, answers: answers}})
		if err != nil {
			t.Fatal(err)
		}
		r.n, r.state = n, nil
		return r.try(sampleView())
	}
	out, err := try(cannot("labels", "priority"), cannot("priority"), cannot("properties"))
	if err != nil || len(out.Warnings) != 3 {
		t.Errorf("warnings %q, %v", out.Warnings, err)
	}
	if i := r.only(); len(i.Labels) != 0 || len(i.Properties) != 0 {
		t.Errorf("issue %+v", i)
	}
	for _, id := range []string{"summary", "description", "issuetype"} {
		if _, err := try(cannot(id, "priority"), cannot(id, "priority")); asError(t, err).Class != notify.Park {
			t.Errorf("%s: %v", id, err)
		}
	}
	r.cfg.Fields = map[string]any{"priority": map[string]any{"id": "2"}}
	if _, err := try(cannot("priority")); asError(t, err).Class != notify.Park {
		t.Errorf("a configured priority was dropped: %v", err)
	}
	r.only()
}

func TestWithoutLabelsTheTitleFindsTheIssue(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		opts := without("labels")
		opts.Dialect, opts.IndexLag = d, 12*time.Second
		r := newRoom(t, opts)
		failCreate(r, fakejira.ResetAfter)
		if out := r.show(sampleView()); out.Reference != r.only().Key || r.creates() != 1 {
			t.Errorf("outcome %+v after %d creates", out, r.creates())
		}
		r.noViolations()
	})
}

func TestConfiguredFieldsAreGiven(t *testing.T) {
	t.Parallel()
	opts := withFields(fakejira.Field{ID: "customfield_10050", Name: "Team", Required: true, Allowed: []fakejira.Value{{ID: "5", Name: "Blue"}}})
	r := newRoom(t, opts, func(c *Config) {
		c.Fields = map[string]any{"customfield_10050": map[string]any{"id": "5"}}
		c.Labels = []string{"soc"}
		c.Priorities = map[string]string{"HIGH": "lowest"}
	})
	r.show(sampleView())
	if i := r.only(); string(i.Fields["customfield_10050"]) != `{"id":"5"}` || i.Priority != "Lowest" || !strings.Contains(strings.Join(i.Labels, " "), "soc") {
		t.Errorf("issue %+v", i)
	}
}

func TestTheProjectIsFoundByKeyIDOrName(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		for _, project := range []string{"SEC", "sec", "10000", "Security operations"} {
			for _, typ := range []string{"Task", "task", "10001"} {
				r := newRoom(t, fakejira.Options{Dialect: d}, func(c *Config) { c.Project, c.IssueType = project, typ })
				r.show(sampleView())
				if i := r.only(); i.Project != "SEC" || i.Type != "Task" {
					t.Errorf("%s, %s: %+v", project, typ, i)
				}
				r.noViolations()
				r.fake.Close()
			}
		}
	})
}

func TestAnAddressForTokensWithScopes(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	r.configure(func(c *Config) { c.APIURL = r.fake.ScopedURL() + "/" })
	out := r.show(sampleView())
	if out.URL != r.fake.URL()+"/browse/SEC-1" {
		t.Errorf("people are sent to %q", out.URL)
	}
	r.noViolations()
}

func TestACredentialNeverFollowsARedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer other.Close()
	site := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer site.Close()
	r := newRoom(t, fakejira.Options{}, func(c *Config) { c.APIURL = site.URL })
	_, err := r.try(sampleView())
	if e := asError(t, err); e.Class != notify.Pause || e.Reason != "redirect" || followed.Load() {
		t.Errorf("%+v, followed: %v", e, followed.Load())
	}
}

func TestAnAnswerWithoutEndIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(`{"a":1} `, 4096))); err != nil {
				return
			}
		}
	}))
	defer site.Close()
	r := newRoom(t, fakejira.Options{}, func(c *Config) { c.APIURL = site.URL })
	if _, err := r.try(sampleView()); asError(t, err).Class != notify.Retry {
		t.Error(err)
	}
}

func TestADeletedIssueIsMadeOnceMore(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: 50 * time.Second})
		s := newStory()
		r.show(s.acknowledge().v)
		r.fake.Delete("SEC-1")
		// The creation's outcome is unknown, and the search still knows the
		// deleted one.
		r.fake.Fail(fakejira.NoFault, fakejira.NoFault, fakejira.ResetAfter)
		out := r.show(s.raise(9.5).v)
		if i := r.only(); i.Key != "SEC-2" || out.Reference != "SEC-2" || len(out.Warnings) != 1 || !strings.Contains(i.Text, "SEC-1") || len(i.Comments) != 0 {
			t.Errorf("outcome %+v, issue %+v", out, i)
		}
		r.fake.Delete("SEC-2")
		if _, err := r.settle(s.happens("note").v); asError(t, err).Class != notify.Park {
			t.Errorf("a third one: %v", err)
		}
		if n := len(r.fake.Issues()); n != 0 {
			t.Errorf("%d issues", n)
		}
		r.noViolations()
	})
}

func TestADeletedIssueOfAClosedIncidentStaysDeleted(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	r.fake.Delete("SEC-1")
	if out := r.show(s.close().v); out.Quiet == "" || len(r.fake.Issues()) != 0 {
		t.Errorf("outcome %+v", out)
	}
	r.show(s.reopen().v)
	if i := r.only(); i.Key != "SEC-2" {
		t.Errorf("issue %+v", i)
	}
}

func TestAMovedIssueIsFollowed(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	if key := r.fake.Move("SEC-1", "OPS"); key != "OPS-1" {
		t.Fatalf("moved to %q", key)
	}
	if out := r.show(s.acknowledge().v); out.Reference != "OPS-1" || len(r.only().Comments) != 1 {
		t.Errorf("outcome %+v", out)
	}
}

func TestAnotherAddress(t *testing.T) {
	t.Parallel()
	t.Run("of the same site keeps the issue", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, fakejira.Options{})
		s := newStory()
		r.show(s.v)
		r.configure(func(c *Config) { c.APIURL = r.fake.ScopedURL() })
		r.show(s.acknowledge().v)
		if i := r.only(); len(i.Comments) != 1 {
			t.Errorf("issue %+v", i)
		}
	})
	t.Run("of another site begins anew", func(t *testing.T) {
		t.Parallel()
		r, other := newRoom(t, fakejira.Options{}), newRoom(t, fakejira.Options{})
		s := newStory()
		r.show(s.v)
		other.n.now, other.state = r.clock.Now, r.state
		stranger := newStory()
		stranger.v.Incident, stranger.v.Number = "another", "INC-1"
		foreign := &room{t: t, clock: other.clock, fake: other.fake, cfg: other.cfg}
		foreign.configure()
		foreign.show(stranger.v) // has the id that the former site gave ours
		out := other.show(s.acknowledge().v)
		if len(other.fake.Issues()) != 2 || out.Reference != "SEC-2" || len(out.Warnings) != 1 {
			t.Errorf("outcome %+v", out)
		}
	})
}

func TestNewNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Jira: config.Jira{APIURL: "ftp://x", API: "v9", Labels: []string{"a b"},
		Priorities: map[string]string{"grave": "x"}, Fields: map[string]any{"summary": "x"}}}, Deps{})
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, words := range []string{"api_url", "api is", "token", "project is missing", "issue_type is missing", `"a b"`, `"grave"`, "fields sets summary"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q is not in %v", words, err)
		}
	}
}

func TestTheDialect(t *testing.T) {
	t.Parallel()
	secret := config.NewSecret("x")
	for _, tt := range []struct {
		name  string
		cfg   config.Jira
		cloud bool
	}{
		{"an atlassian.net host is Cloud", config.Jira{APIURL: "https://acme.atlassian.net", API: "auto"}, true},
		{"the address for scopes is Cloud", config.Jira{APIURL: "https://api.atlassian.com/ex/jira/1"}, true},
		{"another host with a personal access token is Data Center", config.Jira{APIURL: "https://jira.acme.example", Token: secret}, false},
		{"another host with e-mail and API token is Cloud", config.Jira{APIURL: "http://127.0.0.1:1", Email: "a@b.example", APIToken: secret}, true},
		{"a host that only begins like Cloud is not", config.Jira{APIURL: "https://acme.atlassian.net.evil.example", Token: secret}, false},
		{"the configuration decides", config.Jira{APIURL: "https://acme.atlassian.net", API: "datacenter"}, false},
	} {
		if got := isCloud(tt.cfg); got != tt.cloud {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for raw, want := range map[string]string{"https://a.example/": "https://a.example", "https://a.example/jira/rest/api/2/": "https://a.example/jira", "https://a.example/rest/api/3": "https://a.example"} {
		if got := trimBase(raw); got != want {
			t.Errorf("trimBase(%q) = %q", raw, got)
		}
	}
}

func TestAnAccountThatMayNotWriteParksAndLosesNoComment(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		r.show(s.v)
		r.fake.ReadOnly(true)
		_, err := r.settle(s.acknowledge().v)
		if e := asError(t, err); e.Class != notify.Park || e.Reason != "permission" {
			t.Errorf("%+v", e)
		}
		r.fake.ReadOnly(false)
		if out := r.show(s.v); len(out.Warnings) != 0 || len(r.only().Comments) != 1 || r.only().Writes != 2 {
			t.Errorf("warnings %q, issue %+v", out.Warnings, r.only())
		}
	})
}

func TestRefusedCommentsDoNotKeepTheIssueBack(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	s := newStory()
	r.show(s.v)
	r.fake.NoComments(true)
	if out := r.show(s.acknowledge().v); len(out.Warnings) != 1 || r.only().Writes != 2 || len(r.only().Comments) != 0 {
		t.Errorf("warnings %q, issue %+v", out.Warnings, r.only())
	}
	r.fake.NoComments(false)
	if out := r.show(s.happens(incident.KindFindingUpdated).v); len(out.Warnings) != 0 || len(r.only().Comments) != 1 {
		t.Errorf("warnings %q, issue %+v", out.Warnings, r.only())
	}
}

func TestRepeatedLimitsWithoutAWishWaitLonger(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		r.fake.Fail(fakejira.RateLimitedBare)
		if _, err := r.try(sampleView()); asError(t, err).After != want*time.Second {
			t.Errorf("%v, want %d s", asError(t, err).After, want)
		}
	}
	r.show(sampleView())
	r.fake.Fail(fakejira.RateLimitedBare)
	if _, err := r.try(newStory().acknowledge().v); asError(t, err).After != 5*time.Second {
		t.Errorf("after a success: %v", err)
	}
}
