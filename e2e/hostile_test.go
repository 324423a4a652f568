package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/internal/fakesmtp"
	"github.com/guardroom/guardroom/internal/fakewebhook"
)

// What somebody who is attacked from could have named things.
const (
	hostileBucket = "<!channel> <@U0123> <https://evil.example/|click> @here"
	hostileTag    = "*bold* _it_ ~no~ `code` :tada: https://evil.example/phish [click](https://evil.example/)"
	hostileAgent  = "\x1b[31mred\x1b]8;;https://evil.example\x07 \u202egnp.exe\u2066 \u009b2J\x7f"
	hostileTitle  = "{noformat} [~admin] {color:red}x{color} !https://evil.example/p.png! h1. big\n\nresolved: nothing happened\r\nBcc: thief@evil.example"
	hostileUser   = "bob\r\nBcc: thief@evil.example\r\nContent-Type: text/html\r\n\r\n<b>x</b><img src=https://evil.example/p.png>"
)

// hostileFindings are findings in which everything that an attacker may choose
// is hostile. Their ids tell them apart.
func hostileFindings(t testing.TB, at time.Time, severity float64) [][]byte {
	t.Helper()
	make := func(id, typ, resource, service string) []byte {
		body := fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-west-1","partition":"aws","id":%q,`+
			`"arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/d/finding/%s","type":%q,"severity":%g,"title":TITLE,"description":TITLE,`+
			`"createdAt":%q,"updatedAt":%q,"resource":%s,"service":{"serviceName":"guardduty","detectorId":"d","count":1,"eventFirstSeen":%q,"eventLastSeen":%q,%s}}`,
			id, id, typ, severity, at.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339), resource, at.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339), service)
		for name, value := range map[string]string{"TITLE": hostileTitle, "BUCKET": hostileBucket, "TAG": hostileTag, "AGENT": hostileAgent, "USER": hostileUser} {
			body = bytes.ReplaceAll(body, []byte(name), []byte(quote(t, []byte(value))))
		}
		if !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		return body
	}
	return [][]byte{
		make("hostile-bucket", "Discovery:S3/MaliciousIPCaller", `{"resourceType":"S3Bucket","s3BucketDetails":[{"name":BUCKET,"arn":BUCKET,"type":"Destination","tags":[{"key":TAG,"value":TAG}],"owner":{"id":USER}}],"accessKeyDetails":{"accessKeyId":BUCKET,"principalId":USER,"userName":USER,"userType":"IAMUser"}}`,
			`"action":{"actionType":"AWS_API_CALL","awsApiCallAction":{"api":TITLE,"serviceName":BUCKET,"userAgent":AGENT,"callerType":"Remote IP","errorCode":TAG,"remoteIpDetails":{"ipAddressV4":"198.51.100.7","country":{"countryName":TAG},"city":{"cityName":USER},"organization":{"asn":"64500","asnOrg":BUCKET,"isp":TITLE,"org":AGENT}},"affectedResources":{"AWS::S3::Bucket":BUCKET}}}`),
		make("hostile-instance", "CryptoCurrency:EC2/BitcoinTool.B!DNS", `{"resourceType":"Instance","instanceDetails":{"instanceId":BUCKET,"instanceType":TAG,"imageDescription":AGENT,"tags":[{"key":"Name","value":TAG},{"key":AGENT,"value":USER}],"networkInterfaces":[{"privateDnsName":TITLE,"publicDnsName":USER,"securityGroups":[{"groupId":BUCKET,"groupName":TAG}]}]}}`,
			`"action":{"actionType":"DNS_REQUEST","dnsRequestAction":{"domain":BUCKET,"protocol":TAG}},"evidence":{"threatIntelligenceDetails":[{"threatListName":TITLE,"threatNames":[USER,AGENT]}]}`),
		make("hostile-workload", "PrivilegeEscalation:Kubernetes/PrivilegedContainer", `{"resourceType":"EKSCluster","eksClusterDetails":{"name":TAG,"arn":BUCKET},"kubernetesDetails":{"kubernetesUserDetails":{"username":USER,"groups":[TITLE]},"kubernetesWorkloadDetails":{"name":BUCKET,"type":TAG,"namespace":USER,"containers":[{"name":AGENT,"image":TITLE}]}}}`,
			`"action":{"actionType":"KUBERNETES_API_CALL","kubernetesApiCallAction":{"requestUri":TITLE,"verb":TAG,"userAgent":AGENT,"sourceIPs":["198.51.100.8",BUCKET],"namespace":USER,"remoteIpDetails":{"ipAddressV4":TITLE}}},"runtimeDetails":{"process":{"name":AGENT,"executablePath":TITLE,"user":USER},"context":{"commandLineExample":AGENT}}`),
		make("hostile-type", "Hostile:EC2/<!channel>*bold*{noformat}[~admin]", `{"resourceType":"<!channel>"}`, `"resourceRole":"<!here>"`),
	}
}

// TestHostileTextHasNoPowerAnywhere sends findings that are hostile in every
// field to every kind of destination, and shows them on the terminal.
func TestHostileTextHasNoPowerAnywhere(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 100, 0, 1)
	old, err := fakejira.New(fakejira.Options{Dialect: fakejira.DataCenter, TimeScale: 100, IndexLag: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(old.Close)
	secret := "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	hook, err := fakewebhook.New(fakewebhook.Options{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	post := fakesmtp.New(fakesmtp.Options{})
	if err := post.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = post.Close() })
	i := newInstance(t, v, settings{scale: 100, routes: "  - {name: all, to: [chat, tickets, pager, old, hook, post, plain]}"})
	ca := filepath.Join(i.dir, "ca.pem")
	write(t, ca, string(post.CAPEM()))
	i.edit("\nroutes:\n", fmt.Sprintf(`
  - {name: old, type: jira, digest_above: 0, jira: {api_url: %q, api: datacenter, token: %q, project: %s, issue_type: %s}}
  - {name: hook, type: webhook, digest_above: 0, webhook: {url: %q, secret: %q, insecure: true, allow_private: true}}
  - {name: post, type: email, digest_above: 0, email: {host: %q, port: %d, ca_file: %q, from: "guardroom <g@example.com>", to: [soc@example.com]}}
  - {name: plain, type: slack, digest_above: 0, slack: {webhook_url: %q}}
routes:
`, old.URL(), fakejira.DefaultToken, fakejira.DefaultProject, fakejira.DefaultIssueType, hook.URL(), secret, post.Host(), post.Port(), ca, v.slack.WebhookURL()))
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	for _, f := range hostileFindings(t, at, 5) {
		if ok, err := i.post(t.Context(), f); !ok {
			t.Fatal(err)
		}
	}
	for _, body := range []string{"no JSON \x1b[31m \u202e \u009b", `{"type":"\u001b[31m` + "\u202e" + `:EC2/X","id":"\u001b]0;x\u0007","severity":"\u001b"}`} {
		if a := i.send(strings.NewReader(body)); a.status != 202 || a.Rejected != 1 {
			t.Errorf("answered %d %s", a.status, a.text)
		}
	}
	i.settle()
	i.must("incident", "note", "INC-1", hostileBucket+hostileAgent+hostileTitle)
	i.must("incident", "assign", "INC-1", hostileUser)
	i.must("incident", "close", "INC-2", "--verdict", "benign", "--note", hostileTag+hostileTitle)
	i.settle()

	t.Run("Slack", func(t *testing.T) {
		all := v.slack.All()
		if len(all) < 8 {
			t.Errorf("%d messages", len(all))
		}
		for _, m := range all {
			harmlessSlack(t, m)
		}
		for _, s := range v.slack.Violations() {
			t.Errorf("a limit was broken: %s", s)
		}
	})
	t.Run("Jira Cloud", func(t *testing.T) {
		for _, issue := range v.jira.Issues() {
			harmlessADF(t, issue.Description)
			harmlessText(t, "summary", issue.Summary)
			for _, c := range issue.Comments {
				harmlessADF(t, c.Body)
			}
		}
		if n := len(v.jira.Issues()); n != 4 {
			t.Errorf("%d issues", n)
		}
	})
	t.Run("Jira Data Center", func(t *testing.T) {
		for _, issue := range old.Issues() {
			harmlessText(t, "summary", issue.Summary)
			harmlessWiki(t, issue.Description)
			for _, c := range issue.Comments {
				harmlessWiki(t, c.Body)
			}
		}
		if n := len(old.Issues()); n != 4 {
			t.Errorf("%d issues", n)
		}
		for _, s := range append(old.Violations(), v.jira.Violations()...) {
			t.Errorf("a limit was broken: %s", s)
		}
	})
	t.Run("PagerDuty", func(t *testing.T) {
		for _, a := range v.pager.Alerts() {
			harmlessText(t, "summary", a.Summary)
			harmlessText(t, "source", a.Source)
		}
		if n := len(v.pager.Alerts()); n != 4 {
			t.Errorf("%d alerts", n)
		}
		for _, s := range v.pager.Violations() {
			t.Errorf("a limit was broken: %s", s)
		}
	})
	t.Run("webhook", func(t *testing.T) {
		if len(hook.Messages()) < 4 || len(hook.Violations()) > 0 {
			t.Errorf("%d messages, %v", len(hook.Messages()), hook.Violations())
		}
		for _, m := range hook.Messages() {
			if !json.Valid(m.Body) {
				t.Errorf("not JSON: %s", m.Body)
			}
			for name := range m.Header {
				if strings.EqualFold(name, "Bcc") {
					t.Error("a header was smuggled in")
				}
			}
		}
	})
	t.Run("mail", func(t *testing.T) {
		if len(post.Messages()) < 4 {
			t.Errorf("%d mails", len(post.Messages()))
		}
		for _, m := range post.Messages() {
			harmlessMail(t, m)
		}
	})
	t.Run("terminal", func(t *testing.T) { harmlessTerminal(t, i, at) })
	if strings.ContainsAny(i.out.String(), "\x1b\u202e\u009b\x07") {
		t.Errorf("the log has what a terminal obeys: %q", i.out.String())
	}
}

// harmlessText is for one line that is shown as it is.
func harmlessText(t *testing.T, what, s string) {
	t.Helper()
	if strings.ContainsAny(s, "\r\n\x1b\x07\u202e\u2066\u009b\x7f") {
		t.Errorf("%s has a control character: %q", what, s)
	}
}

// harmlessSlack wants no mention, no link that is not ours, and nothing of
// others outside of code spans in markup.
func harmlessSlack(t *testing.T, m fakeslack.Message) {
	t.Helper()
	spans := regexp.MustCompile("`[^`\n]*`")
	check := func(kind, s string) {
		if strings.Contains(s, "<!") || strings.Contains(s, "<@") || strings.Contains(s, "<#") {
			t.Errorf("a mention in %s: %q", kind, s)
		}
		if strings.ContainsAny(s, "\x1b\x07\u202e\u2066\u009b\x7f\r") {
			t.Errorf("a control character in %s: %q", kind, s)
		}
		outside := s
		if kind == "mrkdwn" {
			outside = spans.ReplaceAllString(s, "")
		}
		if kind == "plain_text" {
			return
		}
		for _, bad := range []string{"evil.example", "*bold*", "_it_", "~no~", ":tada:"} {
			if kind == "text" && bad != "evil.example" {
				continue // a notification shows no markup
			}
			if strings.Contains(outside, bad) {
				t.Errorf("%q stands outside of code in %s: %q", bad, kind, s)
			}
		}
	}
	check("text", m.Text)
	for _, raw := range []json.RawMessage{m.Blocks, m.Attachments} {
		if len(raw) == 0 {
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		walkSlack(v, check)
	}
}

func walkSlack(v any, check func(kind, s string)) {
	switch v := v.(type) {
	case map[string]any:
		kind, _ := v["type"].(string)
		for k, e := range v {
			s, ok := e.(string)
			switch {
			case !ok:
				walkSlack(e, check)
			case k == "text" && (kind == "mrkdwn" || kind == "plain_text"):
				check(kind, s)
			case k == "fallback" || k == "text":
				check("text", s)
			case k == "url" && strings.Contains(s, "evil"):
				check("mrkdwn", s)
			}
		}
	case []any:
		for _, e := range v {
			walkSlack(e, check)
		}
	}
}

// harmlessADF wants a document in which the words of others are text alone.
func harmlessADF(t *testing.T, doc string) {
	t.Helper()
	if err := fakejira.CheckADF(json.RawMessage(doc)); err != nil {
		t.Errorf("%v in %.300s", err, doc)
		return
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			switch kind := v["type"]; kind {
			case "mention", "inlineCard", "blockCard", "embedCard", "media", "mediaInline", "emoji", "status":
				if strings.Contains(fmt.Sprint(v), "evil") || kind == "mention" {
					t.Errorf("a node of type %v: %v", kind, v)
				}
			case "link":
				if attrs, _ := v["attrs"].(map[string]any); strings.Contains(fmt.Sprint(attrs["href"]), "evil") {
					t.Errorf("a link to %v", attrs["href"])
				}
			case "text":
				if s, _ := v["text"].(string); strings.ContainsAny(s, "\x1b\x07\u202e\u2066\u009b\x7f") {
					t.Errorf("a control character in %q", s)
				}
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatal(err)
	}
	walk(v)
}

// harmlessWiki wants every opening of macros, mentions and links of others
// escaped.
func harmlessWiki(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsAny(s, "\x1b\x07\u202e\u2066\u009b\x7f") {
		t.Errorf("a control character in %q", s)
	}
	// Between the two marks everything is text, and there are no more of them.
	if parts := strings.Split(s, "{noformat}"); len(parts) == 3 {
		s = parts[0] + parts[2]
	} else if len(parts) != 1 {
		t.Errorf("%d marks of noformat in %q", len(parts)-1, s)
	}
	for _, bad := range []string{`\[~admin`, `\{noformat\} \[`, `\{color:red`, `!https?:`, `\|click`, `\]\(https`} {
		for _, at := range regexp.MustCompile(bad).FindAllStringIndex(s, -1) {
			if at[0] == 0 || s[at[0]-1] != '\\' {
				t.Errorf("%s has power in %q", bad, s[max(0, at[0]-60):min(len(s), at[1]+60)])
			}
		}
	}
	if strings.Contains(s, "https://evil.example") || strings.Contains(s, "\nresolved: nothing happened") {
		t.Errorf("an address or a line of others: %q", s)
	}
}

func harmlessMail(t *testing.T, m fakesmtp.Message) {
	t.Helper()
	if len(m.Recipients) != 1 || m.Recipients[0] != "soc@example.com" {
		t.Errorf("sent to %v", m.Recipients)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Bcc") != "" || len(msg.Header["Subject"]) != 1 || len(msg.Header["Content-Type"]) != 1 || len(msg.Header["To"]) != 1 {
		t.Errorf("headers are %v", msg.Header)
	}
	for name, values := range msg.Header {
		for _, s := range values {
			if strings.ContainsAny(s, "\x1b\u202e\x07") {
				t.Errorf("header %s has a control character: %q", name, s)
			}
		}
	}
	for _, bad := range []string{"<img", "<b>x</b>", "href=https://evil", "href=\"https://evil"} {
		if bytes.Contains(m.Raw, []byte(bad)) {
			t.Errorf("the mail has %q", bad)
		}
	}
}

// harmlessTerminal runs everything that shows something.
func harmlessTerminal(t *testing.T, i *instance, at time.Time) {
	t.Helper()
	commands := [][]string{{"incident", "list", "--all"}, {"incident", "show", "INC-1"}, {"incident", "show", "INC-2"}, {"incident", "show", "INC-3"}, {"incident", "show", "INC-4"},
		{"finding", "list"}, {"finding", "rejected", "list"}, {"delivery", "list"}, {"destination", "list"}, {"rule", "list"}, {"audit", "tail", "-n", "500"}}
	for _, f := range []string{"hostile-bucket", "hostile-instance", "hostile-workload", "hostile-type"} {
		commands = append(commands, []string{"finding", "show", f}, []string{"finding", "explain", f})
	}
	type rejected struct{ ID string }
	for _, r := range lines[rejected](t, i.must("finding", "rejected", "list", "--json")) {
		commands = append(commands, []string{"finding", "rejected", "show", r.ID})
	}
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--json", "--limit", "500")) {
		commands = append(commands, []string{"delivery", "show", d.ID})
	}
	folder := filepath.Join(i.dir, "files")
	mkdir(t, folder)
	name := filepath.Join(folder, "a\x1b[31m\u202eb.json")
	write(t, name, string(bytes.Join(append(hostileFindings(t, at, 5), []byte("\x1b[2J no JSON")), []byte("\n"))))
	commands = append(commands, []string{"finding", "parse", folder}, []string{"finding", "import", name}, []string{"rule", "test", i.config, name},
		[]string{"finding", "show", "\x1b[31m"}, []string{"incident", "show", "\x1b[31m\u202e"}, []string{"destination", "test", "\x1b[31m"}, []string{"--store", "sqlite:\x1b[31m/x", "incident", "list"})
	for _, args := range commands {
		r := i.run(args...)
		what := strings.Join(args, " ")
		checkTerminal(t, what, r.out)
		checkTerminal(t, what+" (stderr)", r.err)
		for line := range strings.Lines(r.out) {
			if strings.HasPrefix(line, "resolved: nothing happened") || strings.HasPrefix(line, "Bcc:") {
				t.Errorf("%s: others wrote a line of its output: %q", what, line)
			}
		}
	}
}

// The secrets of TestSecretsAreNeverShown.
const (
	secretPath   = "/services/T000/B000/secretsecretsecret1"
	secretHook   = "/in/secretsecretsecret2"
	secretHome   = "/ping/secretsecretsecret3"
	secretAPI    = "secretsecretsecret4"
	secretMail   = "secretsecretsecret5"
	secretHeader = "secretsecretsecret6"
)

// TestSecretsAreNeverShown runs the service at its loudest against vendors that
// work, that refuse and that are not there, and looks through everything that it
// and its commands print.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 100, 0.3, 5)
	dead := "http://" + freeAddress(t)
	i := newInstance(t, v, settings{scale: 100, routes: "  - {name: all, to: [chat, tickets, pager, hook, plain, post, gone, locked]}",
		more: fmt.Sprintf("watch: {heartbeat_url: %q, heartbeat_interval: 1s}", dead+secretHome)})
	i.edit("level: warn", "level: debug", fmt.Sprintf("listen: {address: %q}", i.address), fmt.Sprintf("listen: {address: %q, api_token: %q}", i.address, secretAPI),
		"\nroutes:\n", fmt.Sprintf(`
  - {name: hook, type: webhook, webhook: {url: %q, secret: "whsec_c2VjcmV0c2VjcmV0c2VjcmV0N3NlY3JldHNlY3JldA==", insecure: true, allow_private: true, headers: {X-Key: %s}}}
  - {name: plain, type: slack, slack: {webhook_url: %q}}
  - {name: post, type: email, email: {host: 127.0.0.1, port: 1, username: u, password: %s, from: g@example.com, to: [soc@example.com]}}
  - {name: gone, type: slack, slack: {token: xoxb-secretsecretsecret8, channel: "#soc", api_url: %q}}
  - {name: locked, type: jira, jira: {api_url: %q, api: cloud, email: x@example.com, api_token: secretsecretsecret9, project: SEC, issue_type: Task}}
routes:
`, dead+secretHook, secretHeader, dead+secretPath, secretMail, v.slack.URL(), v.jira.URL()))
	secrets := []string{"secretsecretsecret", "c2VjcmV0c2VjcmV0", fakeslack.DefaultToken, fakepagerduty.DefaultRoutingKey, fakejira.DefaultToken, intakeToken}
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	for n := range 6 {
		if ok, err := i.post(t.Context(), makeRevision(n, 1, 8, first, first).body); !ok {
			t.Fatal(err)
		}
	}
	if a := i.send(strings.NewReader("{}"), "Authorization", "Bearer "+secretAPI); a.status != 401 {
		t.Errorf("the token of the API opened the intake: %d", a.status)
	}
	await(t, i, "every destination was tried", func() bool {
		tried := map[string]bool{}
		for _, d := range lines[delivery](t, i.must("delivery", "list", "--json", "--limit", "500")) {
			if d.Attempts > 0 || d.Status == "paused" {
				tried[d.Destination] = true
			}
		}
		return len(tried) == 8
	})
	seen := map[string]string{}
	for _, args := range [][]string{
		{"delivery", "list"}, {"delivery", "list", "--json"}, {"destination", "list"}, {"destination", "list", "--json"}, {"incident", "show", "INC-1"}, {"incident", "show", "INC-1", "--json"},
		{"audit", "export"}, {"audit", "tail"}, {"config", "show"}, {"config", "show", "--json"}, {"config", "check"}, {"doctor"}, {"doctor", "--json"},
		{"destination", "test", "hook"}, {"destination", "test", "plain"}, {"destination", "test", "post"}, {"destination", "test", "gone"}, {"destination", "test", "locked"}, {"destination", "test", "chat", "--json"}, {"rule", "list"},
	} {
		r := i.run(args...)
		seen[strings.Join(args, " ")] = r.out + r.err
	}
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--json", "--limit", "500")) {
		r := i.run("delivery", "show", d.ID, "--json")
		seen["delivery show "+d.Destination] += r.out + r.err
	}
	seen["/metrics"] = i.metrics(t).text
	await(t, i, "the dead heartbeat is in the log", func() bool { return strings.Contains(i.out.String(), "heartbeat") })
	_ = i.kill(syscall.SIGTERM)
	seen["the log"] = i.out.String()
	for _, m := range v.slack.All() {
		seen["Slack"] += m.Text + string(m.Blocks) + string(m.Attachments)
	}
	for _, e := range v.jira.Issues() {
		seen["Jira"] += e.Summary + e.Description + fmt.Sprint(e.Comments)
	}
	// Without the service, and with a configuration that is wrong.
	i.edit("type: pagerduty", "type: pagerdut")
	r := i.run("config", "check")
	seen["a wrong configuration"] = r.out + r.err
	for what, text := range seen {
		if text == "" {
			t.Errorf("%s printed nothing", what)
		}
		for _, s := range secrets {
			if at := strings.Index(text, s); at >= 0 {
				t.Errorf("%s shows a secret: %q", what, text[max(0, at-200):min(len(text), at+60)])
			}
		}
	}
	if len(seen["the log"]) < 1000 {
		t.Errorf("the log at its loudest is %q", seen["the log"])
	}
}

// TestTheAPIOverTheNetworkNeedsItsToken has the command line act through a
// service elsewhere.
func TestTheAPIOverTheNetworkNeedsItsToken(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	get := func(path, token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	// No token is configured: there is no API on the network.
	for _, path := range []string{"/v1/incidents", "/v1/audit", "/v1/status"} {
		if got := get(path, "anything"); got != http.StatusNotFound {
			t.Errorf("%s without an API answered %d", path, got)
		}
	}
	_ = i.kill(syscall.SIGTERM)
	i.edit(fmt.Sprintf("listen: {address: %q}", i.address), fmt.Sprintf("listen: {address: %q, api_token: %q}", i.address, secretAPI))
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/incidents", "/v1/findings", "/v1/audit", "/v1/status", "/v1/nothing"} {
		for _, token := range []string{"", "x", secretAPI + "x", intakeToken} {
			if got := get(path, token); got != http.StatusUnauthorized && got != http.StatusForbidden {
				t.Errorf("%s with token %q answered %d", path, token, got)
			}
		}
	}
	if got := get("/v1/incidents", secretAPI); got != http.StatusOK {
		t.Errorf("with the token the answer is %d", got)
	}
	first := time.Now().Add(-time.Hour)
	if ok, err := i.post(t.Context(), makeRevision(1, 1, 8, first, first).body); !ok {
		t.Fatal(err)
	}
	elsewhere := func(token string, args ...string) result {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"--server", "http://" + i.address}, args...)...)
		cmd.Env = append(os.Environ(), "GUARDROOM_TOKEN="+token)
		cmd.Dir = t.TempDir()
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()
		return result{out: out.String(), err: errs.String(), code: cmd.ProcessState.ExitCode()}
	}
	if r := elsewhere(secretAPI, "incident", "list", "--json"); r.code != 0 || !strings.Contains(r.out, `"number":1`) {
		t.Errorf("list ended with %d: %s%s", r.code, r.out, r.err)
	}
	if r := elsewhere(secretAPI, "incident", "ack", "INC-1"); r.code != 0 || !strings.Contains(r.out, "acknowledged") {
		t.Errorf("ack ended with %d: %s%s", r.code, r.out, r.err)
	}
	for _, token := range []string{"", "wrong-wrong"} {
		if r := elsewhere(token, "incident", "close", "INC-1", "--verdict", "benign", "--note", "x"); r.code == 0 || !strings.Contains(r.err, "error:") || strings.Contains(r.out+r.err, secretAPI) || (token != "" && strings.Contains(r.out+r.err, token)) {
			t.Errorf("with token %q it ended with %d: %s%s", token, r.code, r.out, r.err)
		}
	}
	if out := i.must("incident", "show", "INC-1", "--json"); !strings.Contains(out, `"state":"acknowledged"`) {
		t.Errorf("the incident is %s", out)
	}
	// Who may only speak over the network names no files of that machine.
	target := filepath.Join(i.dir, "stolen.db")
	if r := elsewhere(secretAPI, "store", "backup", target); r.code == 0 {
		t.Error("a backup was written from elsewhere")
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("there is a file")
	}
}
