package email_test

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakesmtp"
)

// hostile values are what somebody could write into a tag or a bucket's name.
var hostile = []string{
	"x\r\nBcc: thief@example.net\r\n\r\nbody",
	"x\nSubject: other",
	"x\x00y\x1b[31m",
	"=?utf-8?q?hidden=0D=0ABcc:_thief@example.net?=",
	"=?utf-8?b?QmNj?=",
	"\u202egnp.exe\u2066\u200b\U000e0041",
	`<script>alert(1)</script><img src="https://evil.example/p.png">`,
	`" onmouseover="x" <a href="https://evil.example/">click</a>`,
	"https://evil.example/login",
	"\r\n.\r\nMAIL FROM:<x@example.net>\r\n",
	"--guardroom-ffd89b1d0c23b8c48bd8e2e544022f10--",
	strings.Repeat("long ", 400),
	strings.Repeat("w", 5000),
	"\xff\xfe broken",
	"   ", "",
}

func TestHostileValuesStayText(t *testing.T) {
	t.Parallel()
	for i, value := range hostile {
		d := newDesk(t, fakesmtp.Options{}, nil)
		d.mustReconcile(incidentView(1, poison(value)))
		d.mustReconcile(incidentView(2, func(inc *incident.Incident) {
			poison(value)(inc)
			inc.State, inc.Verdict = incident.Closed, incident.Benign
		}, event(2, incident.KindAcknowledged, value, value, value, value), event(3, incident.KindClosed, value, value, value, value)))
		for _, m := range d.server.Messages() {
			checkHarmless(t, i, m.Raw)
		}
	}
}

func TestABoundaryThatWasSeenBeginsNoPart(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.mustReconcile(incidentView(1, nil))
	_, after, _ := strings.Cut(d.mails()[0].Header.Get("Content-Type"), "boundary=")
	d.state = nil // the same mail again, so that nothing but the text could change the boundary
	d.mustReconcile(incidentView(1, poison("--"+after)))
	checkHarmless(t, 0, d.server.Messages()[1].Raw)
}

func poison(s string) func(*incident.Incident) {
	return func(inc *incident.Incident) {
		inc.Account.Name, inc.Account.Owner, inc.Account.Environment, inc.Region = s, s, s, s
		inc.Lead.Resource.Name, inc.Lead.Resource.ID, inc.Lead.Resource.ARN = s, s+"-id", s
		inc.Lead.Type, inc.Lead.Title, inc.Lead.Description = s, s, s
		inc.Lead.Action, inc.Lead.Exposure, inc.Lead.Warnings = s, s, []string{s}
		inc.Lead.Actor = incident.Actor{IPs: []string{s}, Domains: []string{s}, ASN: s, Org: s, Country: s, UserName: s, Lists: []string{s}}
		inc.Findings[0].Type = s
		inc.Owner, inc.AcknowledgedBy, inc.ClosedBy = s, s, s
	}
}

func checkHarmless(t *testing.T, i int, raw []byte) {
	t.Helper()
	head, _, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		t.Fatalf("value %d: no end of headers", i)
	}
	names := map[string]bool{
		"Auto-Submitted": true, "Date": true, "In-Reply-To": true, "List-Id": true, "Mime-Version": true, "Message-Id": true, "References": true,
		"Subject": true, "X-Auto-Response-Suppress": true, "X-Guardroom-Incident": true, "From": true, "To": true, "Content-Type": true,
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("value %d: %v\n%s", i, err, head)
	}
	for name, values := range m.Header {
		if !names[name] || len(values) != 1 {
			t.Errorf("value %d: header %s: %q", i, name, values)
		}
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") || len(bytes.TrimSpace(line)) == 0 {
			t.Errorf("value %d: header line %q", i, line)
		}
	}
	subject, text, page := decoded(t, m)
	if strings.Contains(subject, "=?") || !strings.HasPrefix(subject, "[HIGH] INC-42 ") {
		t.Errorf("value %d: subject %q", i, subject)
	}
	for _, s := range []string{subject, text, page} {
		for _, r := range s {
			if r != '\n' && r != '\r' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("value %d: %U got through", i, r)
			}
		}
	}
	if strings.Contains(text, "https://evil") || strings.Contains(page, "https://evil") {
		t.Errorf("value %d: a link of others is alive", i)
	}
	checkPage(t, i, page)
}

// checkPage parses the page as a client would: no element and no attribute may
// be there but those that we write.
func checkPage(t *testing.T, i int, page string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]bool{}
	for e := range strings.FieldsSeq("html head meta title style body div table tbody tr td th p ul li a s br") {
		elements[e] = true
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !elements[n.Data] {
			t.Errorf("value %d: element <%s>", i, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !oursAlone(a.Val) {
				t.Errorf("value %d: <%s %s=%q>", i, n.Data, a.Key, a.Val)
			}
		}
	}
}

func oursAlone(link string) bool {
	for _, host := range []string{"https://guardroom.example.com/", "https://console.aws.amazon.com/", "https://jira.example.com/"} {
		if strings.HasPrefix(link, host) {
			return true
		}
	}
	return false
}
