package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// ask makes one request as who.
func ask(t *testing.T, s *service, who api.Identity, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	var l log
	r := httptest.NewRequestWithContext(api.WithIdentity(t.Context(), who), method, target, strings.NewReader(body))
	w := httptest.NewRecorder()
	api.Handler(s, logger(&l)).ServeHTTP(w, r)
	return w
}

func failureOf(t *testing.T, w *httptest.ResponseRecorder) api.Failure {
	t.Helper()
	var f api.Failure
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
		t.Fatalf("%v in %q", err, w.Body.String())
	}
	return f
}

// examples has a good request for each operation, and what must be in its
// answer.
var examples = map[string]struct{ target, body, want string }{
	"GET /v1/status":                      {"/v1/status", "", `"version":"1.2.3"`},
	"GET /v1/incidents":                   {"/v1/incidents", "", `"incidents":[{`},
	"GET /v1/incidents/{n}":               {"/v1/incidents/INC-7", "", `"text":"opened"`},
	"POST /v1/incidents/{n}/{verb}":       {"/v1/incidents/7/ack", "", `"number":7`},
	"GET /v1/findings":                    {"/v1/findings", "", `"findings":[{"id":"f"`},
	"GET /v1/findings/{id}":               {"/v1/findings/f", "", `"revisions":[{`},
	"GET /v1/findings/{id}/explain":       {"/v1/findings/f/explain", "", `"reason":"<all>"`},
	"GET /v1/findings/{id}/raw":           {"/v1/findings/f/raw", "", `{"id":"f"}`},
	"GET /v1/revisions":                   {"/v1/revisions", "", `"raw":{"id":"f"}}` + "\n"},
	"POST /v1/import":                     {"/v1/import", "{}", `{"accepted":2,"known":0,"ignored":0,"rejected":0,"suppressed":0,"incidents":["INC-7"],"references":[],"reasons":[]}`},
	"GET /v1/rejected":                    {"/v1/rejected", "", `"rejected":[{"id":"r"`},
	"GET /v1/rejected/{id}":               {"/v1/rejected/r", "", `"body":"e2Jyb2tlbg=="`},
	"GET /v1/deliveries":                  {"/v1/deliveries", "", `"deliveries":[{"id":"d"`},
	"GET /v1/deliveries/unfinished":       {"/v1/deliveries/unfinished", "", `{"armed":2,"stuck":1}`},
	"GET /v1/deliveries/{id}":             {"/v1/deliveries/d", "", `"id":"d"`},
	"POST /v1/deliveries/retry":           {"/v1/deliveries/retry", `{"destination":"soc","status":["parked","unknown"]}`, `"count":5`},
	"POST /v1/deliveries/{id}/{verb}":     {"/v1/deliveries/d/retry", "{}", `"id":"d"`},
	"GET /v1/destinations":                {"/v1/destinations", "", `"name":"soc"`},
	"POST /v1/destinations/{name}/{verb}": {"/v1/destinations/soc/test", "", `"message":"look into #soc"`},
	"GET /v1/rules":                       {"/v1/rules", "", `"matches":12`},
	"GET /v1/audit":                       {"/v1/audit", "", `"seq":1`},
	"POST /v1/audit/verify":               {"/v1/audit/verify", "", `"records":9`},
	"POST /v1/store/backup":               {"/v1/store/backup", `{"path":"/b.db"}`, `"message":"wrote /b.db"`},
	"POST /v1/store/prune":                {"/v1/store/prune", "", `"count":3`},
	"GET /v1/doctor":                      {"/v1/doctor", "", `"ok":true`},
	"GET /v1/openapi.json":                {"/v1/openapi.json", "", `"openapi": "3.1.0"`},
	"GET /v1/playbooks":                   {"/v1/playbooks", "", `"name":"ec2-contain"`},
	"GET /v1/plans":                       {"/v1/plans", "", `"plans":[{"id":"pln_1"`},
	"POST /v1/plans":                      {"/v1/plans", `{"incident":7}`, `"digest":"7b3e91c4`},
	"GET /v1/plans/{id}":                  {"/v1/plans/pln_1", "", `"canonical":"{\"id\":\"pln_1\",`},
	"POST /v1/plans/{id}/approve":         {"/v1/plans/pln_1/approve", `{"digest":"7b3e91c4","reason":"agreed"}`, `"id":"pln_1"`},
	"POST /v1/plans/{id}/reject":          {"/v1/plans/pln_1/reject", `{"reason":"no"}`, `"id":"pln_1"`},
	"GET /v1/runs":                        {"/v1/runs", "", `"runs":[{"id":"run_1"`},
	"GET /v1/runs/{id}":                   {"/v1/runs/run_1", "", `"version":1}`},
	"GET /v1/runs/{id}/events":            {"/v1/runs/run_1/events?since=4", "", `"version":5}`},
	"POST /v1/runs/{id}/abort":            {"/v1/runs/run_1/abort", `{"reason":"wrong host"}`, `"aborted_by":"ana"`},
	"POST /v1/runs/{id}/undo":             {"/v1/runs/run_1/undo", "", `"id":"pln_1"`},
	"GET /v1/respond":                     {"/v1/respond", "", `"off":true`},
	"POST /v1/respond/off":                {"/v1/respond/off", `{"reason":"drill"}`, `"off":true`},
	"POST /v1/respond/on":                 {"/v1/respond/on", `{"reason":"over"}`, `"off":false`},
	"GET /v1/incidents/{n}/evidence":      {"/v1/incidents/7/evidence", "", `"content":"{\"items\":[]}"`},

	"POST /v1/incidents/{n}/evidence/verify": {"/v1/incidents/7/evidence/verify", "", `"good":true`},
	"POST /v1/incidents/{n}/evidence/export": {"/v1/incidents/7/evidence/export", "", "the archive"},
	"GET /v1/tokens":                         {"/v1/tokens", "", `"tokens":[{"name":"ana","role":"approver"`},
	"POST /v1/tokens":                        {"/v1/tokens", `{"name":"raj","role":"viewer"}`, `"secret":"grt_secret"`},
	"POST /v1/tokens/{name}/revoke":          {"/v1/tokens/ana/revoke", "", `"message":"the token of ana`},
}

func TestEveryOperation(t *testing.T) {
	t.Parallel()
	for _, o := range api.Operations() {
		name := o.Method + " " + o.Path
		e, ok := examples[name]
		if !ok {
			t.Errorf("%s has no example here", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("answers what is asked", func(t *testing.T) {
				t.Parallel()
				w := ask(t, &service{records: 2}, ana, o.Method, e.target, e.body)
				if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), e.want) {
					t.Errorf("%d %s", w.Code, w.Body.String())
				}
			})
			t.Run("refuses who is nobody", func(t *testing.T) {
				t.Parallel()
				s := &service{}
				w := ask(t, s, api.Identity{}, o.Method, e.target, e.body)
				if f := failureOf(t, w); w.Code != http.StatusUnauthorized || f.Error.Code != fault.Unauthenticated || len(s.told) > 0 || w.Header().Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%d %+v %v", w.Code, f, s.told)
				}
			})
			t.Run("asks for its role", func(t *testing.T) {
				t.Parallel()
				if !slices.Contains(api.Roles(), o.Role) {
					t.Fatalf("%q is no role", o.Role)
				}
				for _, role := range append([]api.Role{"", "root"}, api.Roles()...) {
					s := &service{records: 1}
					w := ask(t, s, api.Identity{Name: "raj", Role: role, Own: true}, o.Method, e.target, e.body)
					if role.Includes(o.Role) {
						if f := w.Body.String(); w.Code == http.StatusForbidden && !strings.Contains(f, "over the network") {
							t.Errorf("%s: %d %s", role, w.Code, f)
						}
						continue
					}
					if f := failureOf(t, w); w.Code != http.StatusForbidden || f.Error.Code != fault.Denied || len(s.told) > 0 || !strings.Contains(f.Error.Message, string(o.Role)) {
						t.Errorf("%s: %d %+v %v", role, w.Code, f, s.told)
					}
				}
			})
			t.Run("says when the store does not answer", func(t *testing.T) {
				t.Parallel()
				if slices.Contains([]string{"/v1/doctor", "/v1/openapi.json", "/v1/playbooks"}, o.Path) {
					return // they report troubles, or need no store
				}
				w := ask(t, &service{broken: errors.New("the disk is full")}, ana, o.Method, e.target, e.body)
				if f := failureOf(t, w); w.Code != http.StatusInternalServerError || f.Error.Code != fault.Internal || f.Error.Message != "the disk is full" {
					t.Errorf("%d %+v", w.Code, f)
				}
			})
			t.Run("is not there by another verb", func(t *testing.T) {
				t.Parallel()
				for _, method := range []string{"PUT", "DELETE", "PATCH"} {
					s := &service{}
					if w := ask(t, s, ana, method, e.target, e.body); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" || len(s.told) > 0 {
						t.Errorf("%s: %d %s %v", method, w.Code, w.Body.String(), s.told)
					}
				}
			})
		})
	}
}

func TestWhatIsRefusedSaysWhyAndDoesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, request, body string
		status              int
		code                fault.Code
		says                string
	}{
		{"no such path", "GET /v1/nothing", "", 404, fault.NotFound, "no such call"},
		{"another version", "GET /v2/status", "", 404, fault.NotFound, "no such call"},
		{"an unknown incident", "GET /v1/incidents/INC-8", "", 404, fault.NotFound, "INC-8"},
		{"an incident that is no number", "GET /v1/incidents/seven", "", 400, fault.Usage, `"seven" is not an incident number`},
		{"an incident with a minus", "POST /v1/incidents/-7/ack", "", 400, fault.Usage, "not an incident number"},
		{"an unknown incident's command", "POST /v1/incidents/8/ack", "", 404, fault.NotFound, "INC-8"},
		{"a verb that incidents do not have", "POST /v1/incidents/7/delete", "", 404, fault.NotFound, `told to "delete"`},
		{"a verdict that is none", "POST /v1/incidents/7/close", `{"verdict":"maybe"}`, 400, fault.Usage, `"maybe" is not a verdict`},
		{"no verdict", "POST /v1/incidents/7/close", "", 400, fault.Usage, "is not a verdict"},
		{"an unknown field", "POST /v1/incidents/7/note", `{"text":"x","txt":"y"}`, 400, fault.Usage, `unknown field "txt"`},
		{"JSON of the wrong kind", "POST /v1/incidents/7/note", `["x"]`, 400, fault.Usage, "the body is an array and not an object"},
		{"JSON that is cut", "POST /v1/incidents/7/note", `{"text":"x`, 400, fault.Usage, "unexpected EOF"},
		{"two commands in one", "POST /v1/incidents/7/note", `{"text":"x"} {"text":"y"}`, 400, fault.Usage, "more follows"},
		{"a command of 2 MB", "POST /v1/incidents/7/note", `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, 413, fault.Usage, "larger than 1048576 bytes"},
		{"a severity that is none", "GET /v1/incidents?min_severity=loud", "", 400, fault.Usage, `"loud" is not a severity`},
		{"a state that is none", "GET /v1/incidents?state=open,opne", "", 400, fault.Usage, `"opne" is not a state`},
		{"a limit that is no number", "GET /v1/incidents?limit=many", "", 400, fault.Usage, `limit="many" is not a number`},
		{"a time that is none", "GET /v1/incidents?since=yesterday", "", 400, fault.Usage, `since="yesterday" is not an RFC 3339 time`},
		{"an unknown finding", "GET /v1/findings/nope", "", 404, fault.NotFound, "no finding nope"},
		{"an unknown finding's explanation", "GET /v1/findings/nope/explain", "", 404, fault.NotFound, "no finding nope"},
		{"an unknown finding's raw form", "GET /v1/findings/nope/raw", "", 404, fault.NotFound, "no finding nope"},
		{"a raw form that is older than the retention", "GET /v1/findings/old/raw", "", 404, fault.NotFound, "is gone"},
		{"findings of an incident that is no number", "GET /v1/findings?incident=x", "", 400, fault.Usage, "not an incident number"},
		{"findings after no time", "GET /v1/findings?after_at=x", "", 400, fault.Usage, "after_at"},
		{"revisions since no time", "GET /v1/revisions?since=x", "", 400, fault.Usage, "since"},
		{"an import from a line that is no number", "POST /v1/import?line=x", "{}", 400, fault.Usage, `line="x"`},
		{"an unknown rejected input", "GET /v1/rejected/nope", "", 404, fault.NotFound, "there is no rejected input nope"},
		{"rejected inputs up to no number", "GET /v1/rejected?limit=x", "", 400, fault.Usage, "limit"},
		{"an unknown delivery", "GET /v1/deliveries/nope", "", 404, fault.NotFound, "there is no delivery nope"},
		{"an unknown delivery's command", "POST /v1/deliveries/nope/retry", "", 404, fault.NotFound, "nope"},
		{"a verb that deliveries do not have", "POST /v1/deliveries/d/burn", "", 404, fault.NotFound, `told to "burn"`},
		{"a reason in an unknown field", "POST /v1/deliveries/d/drop", `{"reason":"x"}`, 400, fault.Usage, "unknown field"},
		{"deliveries of an unknown incident", "GET /v1/deliveries?incident=8", "", 404, fault.NotFound, "there is no INC-8"},
		{"deliveries of an incident that is no number", "GET /v1/deliveries?incident=x", "", 400, fault.Usage, "not an incident number"},
		{"a status that is none", "GET /v1/deliveries?status=parkd", "", 400, fault.Usage, `"parkd" is not a status`},
		{"a retry of everything everywhere", "POST /v1/deliveries/retry", `{"status":["parked"]}`, 400, fault.Usage, "name a destination"},
		{"an unknown destination", "POST /v1/destinations/nope/test", "", 404, fault.NotFound, "nope"},
		{"a verb that destinations do not have", "POST /v1/destinations/soc/delete", "", 404, fault.NotFound, `told to "delete"`},
		{"a tail that is no number", "GET /v1/audit?tail=x", "", 400, fault.Usage, "tail"},
		{"a plan for nothing", "POST /v1/plans", "{}", 400, fault.Usage, "for an incident"},
		{"a plan for an unknown incident", "POST /v1/plans", `{"incident":8}`, 404, fault.NotFound, "there is no INC-8"},
		{"an unknown plan", "GET /v1/plans/pln_9", "", 404, fault.NotFound, "there is no plan pln_9"},
		{"a plan that cannot be read", "GET /v1/plans/pln_torn", "", 422, fault.Corrupt, "read plan pln_torn"},
		{"plans in a state that is none", "GET /v1/plans?state=waiting,wating", "", 400, fault.Usage, `"wating" is not a state`},
		{"plans of an incident that is no number", "GET /v1/plans?incident=x", "", 400, fault.Usage, "not an incident number"},
		{"an approval without a digest", "POST /v1/plans/pln_1/approve", `{"reason":"x"}`, 400, fault.Usage, "digest"},
		{"an approval with seven digits", "POST /v1/plans/pln_1/approve", `{"digest":"7b3e91c","reason":"x"}`, 400, fault.Usage, "eight digits"},
		{"an approval without a reason", "POST /v1/plans/pln_1/approve", `{"digest":"7b3e91c4","reason":" "}`, 400, fault.Usage, "reason"},
		{"an approval of an unknown plan", "POST /v1/plans/pln_9/approve", `{"digest":"7b3e91c4","reason":"x"}`, 404, fault.NotFound, "there is no plan pln_9"},
		{"a rejection without a reason", "POST /v1/plans/pln_1/reject", "", 400, fault.Usage, "reason"},
		{"a rejection of an unknown plan", "POST /v1/plans/pln_9/reject", `{"reason":"x"}`, 404, fault.NotFound, "there is no plan pln_9"},
		{"an unknown run", "GET /v1/runs/run_9", "", 404, fault.NotFound, "there is no run run_9"},
		{"an unknown run's events", "GET /v1/runs/run_9/events", "", 404, fault.NotFound, "there is no run run_9"},
		{"events since no number", "GET /v1/runs/run_1/events?since=x", "", 400, fault.Usage, "since"},
		{"runs in a state that is none", "GET /v1/runs?state=walking", "", 400, fault.Usage, `"walking" is not a state`},
		{"an abort without a reason", "POST /v1/runs/run_1/abort", "", 400, fault.Usage, "reason"},
		{"an abort of an unknown run", "POST /v1/runs/run_9/abort", `{"reason":"x"}`, 404, fault.NotFound, "there is no run run_9"},
		{"an undo of an unknown run", "POST /v1/runs/run_9/undo", "", 404, fault.NotFound, "there is no run run_9"},
		{"a switch without a reason", "POST /v1/respond/off", "", 400, fault.Usage, "reason"},
		{"evidence of an unknown incident", "GET /v1/incidents/8/evidence", "", 404, fault.NotFound, "there is no INC-8"},
		{"evidence of an incident that is no number", "POST /v1/incidents/x/evidence/verify", "", 400, fault.Usage, "not an incident number"},
		{"an export of an incident that is no number", "POST /v1/incidents/x/evidence/export", "", 400, fault.Usage, "not an incident number"},
		{"a token without a name", "POST /v1/tokens", `{"role":"viewer"}`, 400, fault.Usage, "no name for a token"},
		{"a token whose name could be a path", "POST /v1/tokens", `{"name":"../ana","role":"viewer"}`, 400, fault.Usage, "no name for a token"},
		{"a token in guardroom's name", "POST /v1/tokens", `{"name":"guardroom","role":"admin"}`, 400, fault.Usage, "uses itself"},
		{"a token in the shared token's name", "POST /v1/tokens", `{"name":"token","role":"admin"}`, 400, fault.Usage, "uses itself"},
		{"a token of no role", "POST /v1/tokens", `{"name":"raj","role":"root"}`, 400, fault.Usage, `"root" is no role`},
		{"a token that has expired", "POST /v1/tokens", `{"name":"raj","role":"viewer","expires_at":"2020-01-01T00:00:00Z"}`, 400, fault.Usage, "expired already"},
		{"an unknown token's end", "POST /v1/tokens/raj/revoke", "", 404, fault.NotFound, "there is no token raj"},
		{"a backup to nowhere", "POST /v1/store/backup", "{}", 400, fault.Usage, "file name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &service{}
			method, target, _ := strings.Cut(c.request, " ")
			w := ask(t, s, ana, method, target, c.body)
			f := failureOf(t, w)
			if w.Code != c.status || f.Error.Code != c.code || !strings.Contains(f.Error.Message, c.says) {
				t.Errorf("%d %+v", w.Code, f)
			}
			if len(s.told) > 0 {
				t.Errorf("it did %q all the same", s.told)
			}
		})
	}
}

func TestCommandsReachTheServiceWithWhoAskedForThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ target, body, told string }{
		{"/v1/incidents/7/ack", "", "ack by ana"},
		{"/v1/incidents/inc-7/assign", `{"owner":"raj"}`, "assign raj by ana"},
		{"/v1/incidents/7/note", ` {"text":"<b>"} `, "note <b> by ana"},
		{"/v1/incidents/7/close", `{"verdict":"False Positive","text":"ours"}`, "close false_positive ours by ana"},
		{"/v1/incidents/7/reopen", `{"text":"again"}`, "reopen again by ana"},
		{"/v1/deliveries/d/retry", "", "retry by ana"},
		{"/v1/deliveries/d/drop", `{"why":"gone"}`, "drop gone by ana"},
		{"/v1/deliveries/retry", `{"destination":"soc"}`, "retry all [] at soc by ana"},
		{"/v1/deliveries/retry", `{"destination":"soc","status":["parked","unknown"]}`, "retry all [parked unknown] at soc by ana"},
		{"/v1/destinations/soc/pause", `{"why":"moving"}`, "pause soc moving by ana"},
		{"/v1/destinations/soc/resume", "", "resume soc by ana"},
		{"/v1/destinations/soc/test", "", "test soc"},
		{"/v1/plans", `{"incident":7,"playbook":"ec2-contain","resource":"i-1","dry_run":true}`, "plan {Incident:INC-7 Playbook:ec2-contain Resource:i-1 DryRun:true} by ana"},
		{"/v1/plans/pln_1/approve", `{"digest":"7b3e91c4","reason":"agreed"}`, "approve 7b3e91c4 agreed {Name:ana How:socket Own:false}"},
		{"/v1/plans/pln_1/reject", `{"reason":"no"}`, "reject no by ana"},
		{"/v1/runs/run_1/abort", `{"reason":"wrong host"}`, "abort wrong host by ana"},
		{"/v1/runs/run_1/undo", "", "undo run_1 by ana"},
		{"/v1/respond/off", `{"reason":"drill"}`, "off true drill by ana"},
		{"/v1/respond/on", `{"reason":"over"}`, "off false over by ana"},
		{"/v1/incidents/7/evidence/verify", "", "verify INC-7 by ana"},
		{"/v1/incidents/7/evidence/export", "", "export INC-7 by ana"},
		{"/v1/tokens", `{"name":"raj@example.com","role":"approver"}`, "token raj@example.com approver by ana"},
		{"/v1/tokens/ana/revoke", "", "revoke ana by ana"},
		{"/v1/store/backup", `{"path":"/b.db"}`, "backup /b.db"},
		{"/v1/store/prune", "", "prune"},
	} {
		t.Run(c.told, func(t *testing.T) {
			t.Parallel()
			s := &service{}
			r := httptest.NewRequestWithContext(api.WithIdentity(t.Context(), ana), http.MethodPost, c.target, strings.NewReader(c.body))
			// Nothing in the request says who asks.
			r.Header.Set("X-Forwarded-User", "mallory")
			r.SetBasicAuth("mallory", "x")
			w := httptest.NewRecorder()
			api.Handler(s, logger(&log{})).ServeHTTP(w, r)
			if diff := cmp.Diff([]string{c.told}, s.told); diff != "" || w.Code != http.StatusOK {
				t.Errorf("%d %s\n%s", w.Code, w.Body.String(), diff)
			}
		})
	}
}

func TestFaultsKeepTheirThreePartsAndGetTheirStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[fault.Code]int{
		fault.Internal: 500, fault.Usage: 400, fault.NotFound: 404, fault.Conflict: 409, fault.Unavailable: 503, fault.Corrupt: 422, fault.Denied: 403,
		fault.Unauthenticated: 401, "something new": 500,
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			s := &service{broken: &fault.Error{Code: code, Message: "it is <so>", Safe: "all is kept", Hint: "do that"}}
			w := ask(t, s, ana, http.MethodGet, "/v1/incidents", "")
			var want api.Failure
			want.Error.Code, want.Error.Message, want.Error.Safe, want.Error.Hint = code, "it is <so>", "all is kept", "do that"
			if diff := cmp.Diff(want, failureOf(t, w)); diff != "" || w.Code != status || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %v\n%s", w.Code, w.Header(), diff)
			}
			var back *fault.Error
			if err := inProcess(t, s).Do(t.Context(), http.MethodGet, "/v1/incidents", nil, nil, nil); !errors.As(err, &back) ||
				back.Code != code || back.Message != "it is <so>" || back.Safe != "all is kept" || back.Hint != "do that" {
				t.Errorf("the client made %#v of it", err)
			}
		})
	}
}

func TestPanicIsAnsweredAndLoggedAndTellsTheCallerNothing(t *testing.T) {
	t.Parallel()
	var l log
	h := api.Handler(&service{panics: true}, logger(&l))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(api.WithIdentity(t.Context(), ana), http.MethodGet, "/v1/status", nil))
	if f := failureOf(t, w); w.Code != http.StatusInternalServerError || f.Error.Message != "guardroom's own code broke" {
		t.Errorf("%d %+v", w.Code, f)
	}
	if strings.Contains(w.Body.String(), "secret") || !strings.Contains(l.String(), "a defect with") || !strings.Contains(l.String(), "fake_test.go") {
		t.Errorf("answered %s\nlogged %s", w.Body.String(), l.String())
	}
}

func TestParametersBecomeFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target string
		want   any
	}{
		{"/v1/incidents?account=1&region=r&owner=o&since=2027-03-01T13:00:00%2B01:00&before=9&limit=5&state=open,%20acknowledged&state=closed&min_severity=HIGH",
			store.IncidentFilter{Account: "1", Region: "r", Owner: "o", Since: noon, Before: 9, Limit: 5,
				States: []incident.State{incident.Open, incident.Acknowledged, incident.Closed}, MinSeverity: 7}},
		{"/v1/findings?account=1&region=r&type=t&decision=d&since=2027-03-01T12:00:00Z&incident=INC-7&limit=5&after_at=2027-03-01T12:00:00Z&after_id=x",
			store.FindingFilter{Account: "1", Region: "r", Type: "t", Decision: "d", Since: noon, Incident: 7, Limit: 5, After: store.Cursor{At: noon, ID: "x"}}},
		{"/v1/deliveries?destination=soc&behind=true&status=parked,unknown&incident=7&limit=5&after_at=2027-03-01T12:00:00Z&after_id=x",
			store.DeliveryFilter{Destination: "soc", Behind: true, Statuses: []notify.Status{notify.Parked, notify.Unknown}, Subject: "i7", Limit: 5,
				After: store.Cursor{At: noon, ID: "x"}}},
		{"/v1/plans?incident=INC-7&state=waiting,refused&before=pln_5&limit=5",
			store.PlanFilter{Incident: 7, States: []respond.PlanState{respond.PlanWaiting, respond.PlanRefused}, Before: "pln_5", Limit: 5}},
		{"/v1/runs?incident=7&state=part%20failed&before=run_5&limit=5",
			store.RunFilter{Incident: 7, States: []respond.RunState{respond.RunPartFailed}, Before: "run_5", Limit: 5}},
		{"/v1/audit?after=5&limit=2", []int64{5, 2}},
		{"/v1/audit?tail=10", []int64{90, 0}},
		{"/v1/audit?tail=1000", []int64{0, 0}},
		{"/v1/rejected?before=q", "q"},
		{"/v1/revisions?since=2027-03-01T12:00:00.5Z", noon.Add(500 * time.Millisecond)},
	} {
		t.Run(c.target, func(t *testing.T) {
			t.Parallel()
			s := &service{}
			if w := ask(t, s, ana, http.MethodGet, c.target, ""); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body.String())
			}
			if diff := cmp.Diff(c.want, s.asked, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeverityWordsMeanTheirBands(t *testing.T) {
	t.Parallel()
	for word, least := range map[string]float64{"low": 1, "medium": 4, "high": 7, "critical": 9, "informational": 0} {
		s := &service{}
		ask(t, s, ana, http.MethodGet, "/v1/incidents?min_severity="+word, "")
		f, ok := s.asked.(store.IncidentFilter)
		if band := finding.Severity(least).Band(); !ok || f.MinSeverity != least || !strings.EqualFold(band.String(), word) {
			t.Errorf("%s: %v, %s", word, s.asked, band)
		}
	}
}

func TestImportHandsOverTheBodyAsItIs(t *testing.T) {
	t.Parallel()
	s := &service{}
	body := "{\"a\":1}\x00\xff\n"
	w := ask(t, s, ana, http.MethodPost, "/v1/import?position=f.json&line=12&as_history=1&samples=true", body)
	in := s.input
	if w.Code != http.StatusOK || string(in.Body) != body || in.Source != "import" || in.Position != "f.json" || in.FirstLine != 12 || !in.AsHistory || !in.ShowSamples || in.Confirmed || in.ReceivedAt.IsZero() {
		t.Errorf("%d %+v", w.Code, in)
	}
}

func TestStreamThatBreaksEndsWithTheError(t *testing.T) {
	t.Parallel()
	broken := &fault.Error{Code: fault.Corrupt, Message: "record 2 cannot be read", Hint: "guardroom audit verify"}
	for _, path := range []string{"/v1/audit", "/v1/revisions"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := &service{records: 3, streams: broken}
			w := ask(t, s, ana, http.MethodGet, path, "")
			lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
			if w.Code != http.StatusOK || len(lines) != 2 || !strings.HasPrefix(lines[1], `{"error":{`) || w.Header().Get("Content-Type") != "application/x-ndjson" {
				t.Fatalf("%d %q", w.Code, lines)
			}
			n := 0
			err := inProcess(t, s).Lines(t.Context(), path, nil, func([]byte) bool { n++; return true })
			if f := fault.Of(err); n != 1 || f.Code != fault.Corrupt || f.Message != broken.Message || f.Hint != broken.Hint {
				t.Errorf("%d lines, then %v", n, err)
			}
			// Before the first line there is a status to say it with.
			if w := ask(t, &service{broken: broken}, ana, http.MethodGet, "/v1/audit", ""); w.Code != http.StatusUnprocessableEntity {
				t.Errorf("%d %s", w.Code, w.Body.String())
			}
		})
	}
}

func TestBackupIsRefusedOverTheNetwork(t *testing.T) {
	t.Parallel()
	s := &service{}
	w := ask(t, s, api.Identity{Name: "token", Role: api.Admin}, http.MethodPost, "/v1/store/backup", `{"path":"/etc/cron.d/x"}`)
	if f := failureOf(t, w); w.Code != http.StatusForbidden || f.Error.Code != fault.Denied || len(s.told) > 0 {
		t.Errorf("%d %+v %v", w.Code, f, s.told)
	}
}

func TestNotFoundOfTheStoreIsNotFoundWhereverItWasWrapped(t *testing.T) {
	t.Parallel()
	err := errors.Join(context.DeadlineExceeded, store.ErrNotFound)
	if f := api.NewFailure(err); f.Error.Code != fault.NotFound {
		t.Errorf("%+v", f)
	}
}
