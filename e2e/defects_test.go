package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// defects are what earlier tools of this kind got wrong, with the tests that
// hold the opposite: those here drive the program from outside, those of the
// packages look closer.
var defects = []struct {
	defect string
	tests  []string // package folder, a space, the test
}{
	{"severity exactly 10.0 rejected", []string{"e2e TestDefectSeverityTenRejected", "finding TestSeverityHasNoGapsAndBothEnds"}},
	{"negative severity taken for High", []string{"e2e TestDefectNegativeSeverityTakenForHigh", "finding TestARequiredFieldThatIsMissingOrWrongIsNamed"}},
	{"bands that end at 8.9, Critical never named", []string{"e2e TestDefectPagerDutySeverityAlwaysCritical", "finding TestSeverityHasNoGapsAndBothEnds"}},
	{"PascalCase or camelCase only", []string{"e2e TestDefectOneSpellingOnly", "e2e TestEveryWrappingAndSpellingIsTheSameFinding", "finding TestBothSpellingsReadTheSame"}},
	{"wrong field names for port probe and DNS actions", []string{"e2e TestDefectFieldNamesOfPortProbeAndDNS", "finding TestEachKindReadsAsItsGoldenFileSays"}},
	{"HTTP status of Slack unchecked", []string{"e2e TestDefectHTTPStatusOfSlackUnchecked", "notify/slack TestDefectHTTPStatusOfSlackUnchecked"}},
	{"archive events and findings without severity posted as undefined", []string{"e2e TestDefectPostedAsUndefined", "finding TestWhatIsNoFindingIsIgnoredReferredOrRefused"}},
	{"the same finding posted again on every update", []string{"e2e TestDefectPostedAgainOnEveryUpdate", "notify/slack TestDefectPostedAgainOnEveryUpdate"}},
	{"events dropped while an output is down", []string{"e2e TestDefectDroppedWhileAnOutputIsDown", "e2e TestADeadVendorLosesNothing"}},
	{"PagerDuty severity always critical without a dedup key, never resolved", []string{"e2e TestDefectPagerDutySeverityAlwaysCritical", "notify/pagerduty TestSeverityIsOneOfTheFourWords", "notify/pagerduty TestEventsFollowTheIncident"}},
	{"PagerDuty's EU endpoint configured and thrown away", []string{"notify/pagerduty TestBaseURLs"}},
	{"Jira search used as the only guard against duplicates", []string{"e2e TestDefectJiraSearchAsTheOnlyGuard", "notify/jira TestTheSearchAloneIsNoGuard", "notify/jira TestACrashAtAnySaveLeavesOneIssue"}},
	{"a transition's id in the configuration", []string{"notify/jira TestTransitionsGoByNameAtTheTimeOfTheCall"}},
	{"account shown as a number although its name is known", []string{"e2e TestDefectAccountShownAsANumber"}},
	{"a mention injected through a bucket name", []string{"e2e TestDefectAMentionThroughABucketName", "e2e TestHostileTextHasNoPowerAnywhere", "notify/slack TestDefectAMentionByABucketName"}},
	{"the title three times, full ids and raw Markdown in the first line, an unfurled card", []string{"e2e TestDefectTheTitleThreeTimes", "notify/slack TestGolden"}},
	{"sample findings page, and isolate real instances with the same id", []string{"e2e TestDefectSamplesPage"}},
	{"account id as a number: leading zeros lost", []string{"e2e TestDefectLeadingZerosOfTheAccountLost"}},
	{"the first probe, interface or bucket taken for all", []string{"finding TestEachTrapIsReadAsIntended"}},
	{"minimum severity configured and ignored", []string{"e2e TestDefectMinimumSeverityIgnored"}},
	{"unknown resources dropped without a word", []string{"e2e TestDefectUnknownResourcesDropped"}},
	{"times and threat names declared as numbers, so that every real event fails", []string{"finding TestAWrongTypeInAnyFieldIsAWarningOrAClearRefusal", "finding TestEveryFormOfATimeIsRead"}},
}

// TestEveryDefectHasItsTest looks for the tests that the list names, and has
// every TestDefect… of this package in the list.
func TestEveryDefectHasItsTest(t *testing.T) {
	t.Parallel()
	known := map[string]map[string]bool{}
	for _, d := range defects {
		for _, name := range d.tests {
			dir, test, _ := strings.Cut(name, " ")
			if known[dir] == nil {
				known[dir] = testsOf(t, filepath.Join("..", dir))
			}
			if !known[dir][test] {
				t.Errorf("%q: there is no %s in %s, or it checks nothing", d.defect, test, dir)
			}
		}
	}
	for test := range known["e2e"] {
		if strings.HasPrefix(test, "TestDefect") && !slices.ContainsFunc(defects, func(d struct {
			defect string
			tests  []string
		}) bool {
			return slices.Contains(d.tests, "e2e "+test)
		}) {
			t.Errorf("%s is not in the list of defects", test)
		}
	}
}

// testsOf are the tests of a folder that can fail: they, or a function of their
// package that they call, use their t.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests, %v", dir, err)
	}
	out := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Body == nil {
				continue
			}
			uses := false
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					sel, isMethod := call.Fun.(*ast.SelectorExpr)
					switch {
					case isMethod && (sel.Sel.Name == "Error" || sel.Sel.Name == "Errorf" || sel.Sel.Name == "Fatal" || sel.Sel.Name == "Fatalf"):
						uses = true
					case !isMethod && slices.ContainsFunc(call.Args, func(a ast.Expr) bool { id, ok := a.(*ast.Ident); return ok && id.Name == "t" }):
						uses = true
					}
				}
				return true
			})
			out[fn.Name.Name] = uses
		}
	}
	return out
}

// with is a finding with one part replaced.
func with(t *testing.T, n int, old, by string) []byte {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	return spoil(t, makeRevision(n, 1, 5, at, at).body, old, by)
}

func parse(t *testing.T, i *instance, body []byte) (result, []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.json")
	write(t, path, string(body))
	r := i.run("finding", "parse", "--json", path)
	return r, lines[map[string]any](t, r.out)
}

func TestDefectSeverityTenRejected(t *testing.T) {
	t.Parallel()
	i := newInstance(t, newVendors(t, 20, 0, 1), settings{})
	for _, s := range []string{"10", "10.0", "1e1", "10.000"} {
		if r, got := parse(t, i, with(t, 1, `"severity":5`, `"severity":`+s)); r.code != 0 || len(got) != 1 || got[0]["severity"] != 10.0 || got[0]["severity_label"] != "Critical" {
			t.Errorf("severity %s: exit %d, %v %s", s, r.code, got, r.err)
		}
	}
	for s, want := range map[string]string{"0": "Informational", "0.9": "Informational", "1": "Low", "3.95": "Low", "4": "Medium", "6.9": "Medium", "7": "High", "8.99": "High", "9": "Critical"} {
		if _, got := parse(t, i, with(t, 1, `"severity":5`, `"severity":`+s)); len(got) != 1 || got[0]["severity_label"] != want {
			t.Errorf("severity %s is %v, want %s", s, got, want)
		}
	}
}

func TestDefectNegativeSeverityTakenForHigh(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"-1", "-0.1", "-1e-9", "10.1", "1e400", "-1e400", "null", `"HIGH"`} {
		body := with(t, 1, `"severity":5`, `"severity":`+s)
		if r, got := parse(t, i, body); r.code != 1 || len(got) != 0 || !strings.Contains(r.err, "severity") {
			t.Errorf("severity %s: exit %d, %v %s", s, r.code, got, r.err)
		}
		if a := i.send(bytes.NewReader(body)); a.status != 202 || a.Rejected != 1 || len(a.Reasons) != 1 || !strings.Contains(a.Reasons[0], "severity") {
			t.Errorf("severity %s: answered %d %s", s, a.status, a.text)
		}
	}
	if n := len(v.slack.All()) + len(v.jira.Issues()) + len(v.pager.Alerts()); n != 0 {
		t.Errorf("vendors were told %d things", n)
	}
	checkRejected(t, i, 8)
}

func TestDefectOneSpellingOnly(t *testing.T) {
	t.Parallel()
	i := newInstance(t, newVendors(t, 20, 0, 1), settings{})
	files, err := filepath.Glob("../finding/testdata/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, name := range files {
		if strings.Contains(name, "unknown") {
			continue // what is unknown is not respelled by any tool
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, camel := parse(t, i, b)
		var v map[string]any
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		respelled, err := json.Marshal(pascal(v))
		if err != nil {
			t.Fatal(err)
		}
		_, other := parse(t, i, respelled)
		if len(camel) != 1 || len(other) != 1 {
			t.Errorf("%s: %d and %d findings", name, len(camel), len(other))
			continue
		}
		for _, key := range []string{"id", "type", "account", "region", "severity", "severity_label", "updated_at", "count", "sample", "archived", "role"} {
			if fmt.Sprint(camel[0][key]) != fmt.Sprint(other[0][key]) {
				t.Errorf("%s: %s is %v in one spelling, %v in the other", name, key, camel[0][key], other[0][key])
			}
		}
		for _, key := range []string{"resource", "actor"} {
			if a, b := fmt.Sprint(camel[0][key]), fmt.Sprint(other[0][key]); a != b {
				t.Errorf("%s: %s is\n%s in one spelling,\n%s in the other", name, key, a, b)
			}
		}
	}
}

func TestDefectFieldNamesOfPortProbeAndDNS(t *testing.T) {
	t.Parallel()
	i := newInstance(t, newVendors(t, 20, 0, 1), settings{})
	probe := with(t, 5, `{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"INBOUND","protocol":"TCP","localPortDetails":{"port":22},"remoteIpDetails":{"ipAddressV4":"198.51.100.6"}}}`,
		`{"actionType":"PORT_PROBE","portProbeAction":{"blocked":false,"portProbeDetails":[{"localPortDetails":{"port":9200,"portName":"Elasticsearch"},"localIpDetails":{"ipAddressV4":"10.0.0.9"},"remoteIpDetails":{"ipAddressV4":"198.51.100.21"}},{"localPortDetails":{"port":22,"portName":"SSH"},"remoteIpDetails":{"ipAddressV4":"203.0.113.22"}}]}}`)
	dns := with(t, 1, `{"actionType":"DNS_REQUEST","dnsRequestAction":{"domain":"pool-2.example.com","protocol":"UDP","blocked":false}}`,
		`{"actionType":"DNS_REQUEST","dnsRequestAction":{"domain":"pool.evil.example","domainWithSuffix":"evil.example","protocol":"UDP","blocked":true,"vpcOwnerAccountId":"111111111111"}}`)
	for name, c := range map[string]struct {
		body []byte
		want []string
	}{
		"port probe": {probe, []string{`"ips":["198.51.100.21","203.0.113.22"]`, `"kind":"port_probe"`, "9200", "Elasticsearch"}},
		"DNS":        {dns, []string{`"domains":["pool.evil.example"]`, `"ips":[]`, `"kind":"dns_request"`, `"blocked":true`}},
	} {
		path := filepath.Join(t.TempDir(), "in.json")
		write(t, path, string(c.body))
		out := i.must("finding", "parse", "--json", path)
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %s in %s", name, w, out)
			}
		}
	}
}

// told waits for the end of deliveries and returns everything that each vendor
// shows, for a word in it.
func told(t *testing.T, i *instance, v *vendors) map[string]string {
	t.Helper()
	i.settle()
	out := map[string]string{}
	for _, m := range v.slack.All() {
		out["slack"] += m.Text + string(m.Blocks) + string(m.Attachments) + "\n"
	}
	for _, e := range v.jira.Issues() {
		out["jira"] += e.Summary + " " + e.Text + fmt.Sprint(e.Comments) + "\n"
	}
	for _, a := range v.pager.Alerts() {
		out["pagerduty"] += a.Summary + fmt.Sprint(a.Details) + "\n"
	}
	return out
}

func serving(t *testing.T, scale float64, s settings) (*vendors, *instance) {
	t.Helper()
	v := newVendors(t, scale, 0, 1)
	s.scale = scale
	i := newInstance(t, v, s)
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	return v, i
}

func (i *instance) mustPost(body []byte) {
	i.t.Helper()
	if a := i.send(bytes.NewReader(body)); a.status != 202 || a.Accepted != 1 {
		i.t.Fatalf("answered %d %s", a.status, a.text)
	}
}

func TestDefectHTTPStatusOfSlackUnchecked(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{routes: "  - {name: all, to: [chat]}"})
	faults := []fakeslack.Fault{fakeslack.RateLimited, fakeslack.ServerError, fakeslack.RateLimitedBare, fakeslack.InternalError, fakeslack.ResetBefore}
	v.slack.Fail(faults...)
	i.mustPost(with(t, 5, "t3.small", "t3.large"))
	i.settle()
	if n := len(slackRoots(v)); n != 1 {
		t.Errorf("after %d refused calls there are %d messages", len(faults), n)
	}
	if d := lines[delivery](t, i.must("delivery", "list", "--json"))[0]; d.Attempts <= len(faults) || d.Status != "delivered" {
		t.Errorf("the delivery is %+v", d)
	}
}

func TestDefectPostedAsUndefined(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	for _, body := range []string{
		`{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.guardduty","account":"111111111111","region":"eu-west-1","detail":{"eventSource":"guardduty.amazonaws.com","eventName":"ArchiveFindings"}}`,
		`{"version":"0","detail-type":"GuardDuty Malware Protection Object Scan Result","source":"aws.guardduty","account":"111111111111","region":"eu-west-1","detail":{"scanStatus":"COMPLETED"}}`,
		string(with(t, 1, `"severity":5,`, ``)), string(with(t, 2, `"severity":5`, `"severity":null`)), `{"detail-type":"GuardDuty Finding","detail":{}}`, `{"type":"A:B/C"}`,
	} {
		if a := i.send(strings.NewReader(body)); a.status != 202 || a.Accepted != 0 || a.Ignored+a.Rejected != 1 {
			t.Errorf("answered %d %s to %.200s", a.status, a.text, body)
		}
	}
	// A finding with as little as there can be is told without holes.
	i.mustPost([]byte(`{"id":"least","type":"Recon:EC2/Portscan","accountId":"222222222222","region":"eu-west-1","severity":5,"updatedAt":"` + time.Now().UTC().Format(time.RFC3339) + `"}`))
	for name, text := range told(t, i, v) {
		for _, bad := range []string{"undefined", "<nil>", "null", "NaN", "%!", "0001-01-01", "[object"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s shows %q: %s", name, bad, text)
			}
		}
	}
	if len(slackRoots(v)) != 1 || len(jiraIssues(v)) != 1 || len(pagerAlerts(v)) != 1 {
		t.Errorf("%d messages, %d issues, %d alerts", len(slackRoots(v)), len(jiraIssues(v)), len(pagerAlerts(v)))
	}
}

func TestDefectPostedAgainOnEveryUpdate(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	first := time.Now().Add(-6 * time.Hour)
	for n := range 4 { // every six hours, as GuardDuty does, each shown before the next comes
		i.mustPost(makeRevision(1, n+1, 8, first, first.Add(time.Duration(n)*time.Hour)).body)
		i.settle()
	}
	if n := len(v.slack.Messages()); n != 1 || len(v.jira.Issues()) != 1 || len(v.pager.Alerts()) != 1 {
		t.Errorf("%d messages, %d issues, %d alerts", n, len(v.jira.Issues()), len(v.pager.Alerts()))
	}
	if n := len(v.slack.All()); n > 1 {
		t.Errorf("mere counts made %d lines in the thread", n-1)
	}
	if n := len(v.jira.Issues()[0].Comments); n != 0 {
		t.Errorf("mere counts made %d comments", n)
	}
	checkVendors(t, i, v)
	// The same events once more, in any order, change nothing at all.
	before := len(v.slack.Transcript()) + len(v.jira.Transcript()) + len(v.pager.Transcript())
	for _, n := range []int{2, 0, 3, 1} {
		if a := i.send(bytes.NewReader(makeRevision(1, n+1, 8, first, first.Add(time.Duration(n)*time.Hour)).body)); a.Known != 1 {
			t.Errorf("answered %s", a.text)
		}
	}
	i.settle()
	if after := len(v.slack.Transcript()) + len(v.jira.Transcript()) + len(v.pager.Transcript()); after != before {
		t.Errorf("events that were known made %d calls", after-before)
	}
}

func TestDefectDroppedWhileAnOutputIsDown(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	v.slack.SetFaults(fakeslack.Faults{Rate: 1, Kinds: []fakeslack.Fault{fakeslack.ServerError}})
	v.jira.SetFaults(fakejira.Faults{Rate: 1, Kinds: []fakejira.Fault{fakejira.ResetBefore}})
	i := newInstance(t, v, settings{scale: 50})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		i.mustPost(with(t, n*len(kinds), "t3.small", "t3.large"))
	}
	await(t, i, "PagerDuty is told", func() bool { return len(pagerAlerts(v)) == 4 })
	// Not even a restart forgets what is owed.
	_ = i.kill(syscall.SIGKILL)
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	v.slack.SetFaults(fakeslack.Faults{})
	v.jira.SetFaults(fakejira.Faults{})
	i.settle()
	if len(slackRoots(v)) != 4 || len(jiraIssues(v)) != 4 {
		t.Errorf("%d messages, %d issues, want 4 of each", len(slackRoots(v)), len(jiraIssues(v)))
	}
	checkVendors(t, i, v)
}

func TestDefectPagerDutySeverityAlwaysCritical(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	want := map[string]string{}
	for n, s := range []struct{ severity, word string }{{"0.5", "info"}, {"2", "info"}, {"5", "warning"}, {"8.9", "error"}, {"9", "critical"}, {"10", "critical"}} {
		i.mustPost(spoil(t, with(t, n*len(kinds), `"severity":5`, `"severity":`+s.severity), "Something was seen", "Seen "+s.word))
		want[fmt.Sprintf("INC-%d", n+1)] = s.word
	}
	i.settle()
	keys := map[string]bool{}
	for _, a := range v.pager.Alerts() {
		keys[a.DedupKey] = true
		found := false
		for number, word := range want {
			if strings.Contains(a.Summary+fmt.Sprint(a.Details), number) {
				found = true
				if a.Severity != word {
					t.Errorf("%s is %s, want %s", number, a.Severity, word)
				}
			}
		}
		if !found {
			t.Errorf("the alert names no incident: %s %v", a.Summary, a.Details)
		}
	}
	if len(keys) != 6 || keys[""] {
		t.Errorf("the keys are %v", keys)
	}
	i.must("incident", "close", "INC-5", "--verdict", "benign", "--note", "a test")
	i.settle()
	resolved := 0
	for _, a := range v.pager.Alerts() {
		if a.Status == "resolved" {
			resolved++
		}
	}
	if resolved != 1 || len(v.pager.Alerts()) != 6 {
		t.Errorf("%d of %d are resolved", resolved, len(v.pager.Alerts()))
	}
}

func TestDefectJiraSearchAsTheOnlyGuard(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	// Three updates come while the answer to the creation is lost and the search
	// does not know the issue yet.
	v.jira.Fail(fakejira.NoFault, fakejira.NoFault, fakejira.NoFault, fakejira.NoFault, fakejira.TimeoutAfter)
	first := time.Now().Add(-6 * time.Hour)
	for n := range 6 {
		i.mustPost(makeRevision(1, n+1, 8, first, first.Add(time.Duration(n)*time.Minute)).body)
		if n == 0 {
			v.jira.SetFaults(fakejira.Faults{Rate: 0.5, Seed: 3, WritesOnly: true, Kinds: []fakejira.Fault{fakejira.TimeoutAfter, fakejira.ServerErrorAfter, fakejira.ResetAfter}})
		}
	}
	await(t, i, "there is an issue", func() bool { return len(v.jira.Issues()) > 0 })
	v.jira.SetFaults(fakejira.Faults{})
	i.settle()
	release(t, i, v)
	if n := len(v.jira.Issues()); n != 1 {
		t.Errorf("%d issues", n)
	}
	checkVendors(t, i, v)
}

func TestDefectAccountShownAsANumber(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	i.mustPost(with(t, 5, "t3.small", "t3.large"))
	for name, text := range told(t, i, v) {
		if !strings.Contains(text, "payments-prod") {
			t.Errorf("%s does not name the account: %s", name, text)
		}
	}
	if m := v.slack.Messages()[0]; !strings.Contains(m.Text, "payments-prod") {
		t.Errorf("the notification does not name the account: %s", m.Text)
	}
	for _, args := range [][]string{{"incident", "list"}, {"incident", "show", "INC-1"}} {
		if out := i.must(args...); !strings.Contains(out, "payments-prod") {
			t.Errorf("%v does not name the account:\n%s", args, out)
		}
	}
}

func TestDefectAMentionThroughABucketName(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	for _, f := range hostileFindings(t, time.Now().Add(-time.Hour), 8) {
		i.mustPost(f)
	}
	i.settle()
	mention := regexp.MustCompile(`<[!@#][^>]*>`)
	for _, m := range v.slack.All() {
		var all []string
		for _, raw := range []json.RawMessage{m.Blocks, m.Attachments} {
			if len(raw) == 0 {
				continue
			}
			var parts any
			if err := json.Unmarshal(raw, &parts); err != nil {
				t.Fatal(err)
			}
			walkSlack(parts, func(_, s string) { all = append(all, mention.FindAllString(s, -1)...) })
		}
		all = append(all, mention.FindAllString(m.Text, -1)...)
		for _, s := range all {
			if s != "<!here>" {
				t.Errorf("a message calls %s", s)
			}
		}
		if len(all) > 2 { // once where it is shown and once for the notification
			t.Errorf("a message calls %d times: %v", len(all), all)
		}
	}
	if len(v.slack.Messages()) != 4 {
		t.Errorf("%d messages", len(v.slack.Messages()))
	}
	for _, s := range v.slack.Violations() {
		t.Errorf("Slack refused or noted: %s", s)
	}
}

func TestDefectTheTitleThreeTimes(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	i.mustPost(with(t, 5, "t3.small", "t3.large"))
	i.settle()
	m := v.slack.Messages()[0]
	if n := strings.Count(string(m.Blocks)+string(m.Attachments), "Something was seen"); n > 1 {
		t.Errorf("the title stands %d times in the message", n)
	}
	for _, text := range []string{m.Text, v.jira.Issues()[0].Summary, v.pager.Alerts()[0].Summary} {
		if regexp.MustCompile(`[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-|arn:aws|\*\*`).MatchString(text) {
			t.Errorf("the first line is for machines: %s", text)
		}
	}
	for _, e := range v.slack.Transcript() {
		if e.Method == "chat.postMessage" && (!strings.Contains(e.Body, `"unfurl_links":false`) || !strings.Contains(e.Body, `"unfurl_media":false`)) {
			t.Errorf("links unfold: %.300s", e.Body)
		}
	}
}

func TestDefectSamplesPage(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	i.mustPost(with(t, 1, `"archived":false`, `"archived":false,"additionalInfo":{"sample":true}`))
	i.mustPost(with(t, 2, `"archived":false`, `"archived":false,"additionalInfo":{"type":"default","value":"{\"sample\":true}"}`))
	i.mustPost(with(t, 3, `"title":"`, `"title":"[SAMPLE] `))
	i.mustPost(with(t, 4, `"archived":false`, `"archived":true`))
	i.settle()
	if n := len(v.slack.All()) + len(v.jira.Issues()) + len(v.pager.Alerts()); n != 0 {
		t.Errorf("vendors were told %d things", n)
	}
	if n := len(lines[findingLine](t, i.must("finding", "list", "--json"))); n != 4 {
		t.Errorf("%d findings are recorded", n)
	}
	// For a test they are shown, marked, and still page nobody.
	path := filepath.Join(t.TempDir(), "in.json")
	write(t, path, string(with(t, 6, `"archived":false`, `"archived":false,"additionalInfo":{"sample":true}`)))
	i.must("finding", "import", path, "--samples", "--wait")
	if len(v.pager.Alerts()) != 0 || len(v.slack.Messages()) != 1 || !strings.Contains(strings.ToLower(v.slack.Messages()[0].Text), "sample") {
		t.Errorf("%d alerts, messages %+v", len(v.pager.Alerts()), v.slack.Messages())
	}
	if m := v.slack.Messages(); len(m) > 0 && strings.Contains(string(m[0].Blocks)+string(m[0].Attachments)+m[0].Text, "<!here>") {
		t.Error("a sample calls people")
	}
}

func TestDefectLeadingZerosOfTheAccountLost(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	i.mustPost(bytes.ReplaceAll(with(t, 5, "t3.small", "t3.large"), []byte("111111111111"), []byte("000123456789")))
	for name, text := range told(t, i, v) {
		if !strings.Contains(text, "000123456789") {
			t.Errorf("%s shows another account: %s", name, text)
		}
	}
	if out := i.must("finding", "list", "--json", "--account", "000123456789"); !strings.Contains(out, `"000123456789"`) {
		t.Errorf("the list by account has %q", out)
	}
}

func TestDefectMinimumSeverityIgnored(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50, routes: "  - {name: worse, when: 'severity >= 7', to: [chat, tickets]}\n  - {name: all, to: [pager]}"})
	i.edit("min_severity: informational", "min_severity: medium")
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for n, s := range []string{"2", "3.9", "4", "6.9", "7", "9.5"} {
		i.mustPost(with(t, n*len(kinds), `"severity":5`, `"severity":`+s))
	}
	i.settle()
	if len(slackRoots(v)) != 2 || len(jiraIssues(v)) != 2 || len(pagerAlerts(v)) != 4 {
		t.Errorf("%d messages, %d issues, %d alerts, want 2, 2 and 4", len(slackRoots(v)), len(jiraIssues(v)), len(pagerAlerts(v)))
	}
}

func TestDefectUnknownResourcesDropped(t *testing.T) {
	t.Parallel()
	v, i := serving(t, 50, settings{})
	for _, name := range []string{"unknown-everything", "s3-bucket", "kubernetes-api-call", "container-malware", "rds-limitless", "recovery-point"} {
		b, err := os.ReadFile("../finding/testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		i.mustPost(b)
	}
	i.settle()
	if len(slackRoots(v)) != 6 || len(jiraIssues(v)) != 6 || len(pagerAlerts(v)) != 6 {
		t.Errorf("%d messages, %d issues, %d alerts, want 6 of each", len(slackRoots(v)), len(jiraIssues(v)), len(pagerAlerts(v)))
	}
	checkVendors(t, i, v)
}
