package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wrapping is one of the ways in which a finding comes.
type wrapping struct {
	name string
	wrap func(f []byte) []byte
}

func quote(t testing.TB, b []byte) string {
	t.Helper()
	q, err := json.Marshal(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return string(q)
}

func wrappings(t testing.TB) []wrapping {
	event := func(f []byte) []byte {
		return fmt.Appendf(nil, `{"version":"0","id":"e","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"999999999999","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":%s}`, f)
	}
	sns := func(f []byte) []byte {
		return fmt.Appendf(nil, `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:111111111111:t","Message":%s,"Timestamp":"2026-01-01T00:00:00.000Z"}`, quote(t, f))
	}
	batch := func(f []byte) []byte {
		return fmt.Appendf(nil, `{"Records":[{"messageId":"m","receiptHandle":"r","body":%s,"attributes":{"ApproximateReceiveCount":"1"},"eventSource":"aws:sqs","awsRegion":"eu-west-1"}]}`, quote(t, f))
	}
	text := func(format string) func([]byte) []byte {
		return func(f []byte) []byte { return fmt.Appendf(nil, format, f) }
	}
	return []wrapping{
		{"bare", text("%s")},
		{"bare on many lines", func(f []byte) []byte {
			var out bytes.Buffer
			if err := json.Indent(&out, f, "\t", "  "); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}},
		{"array", text("[%s]")},
		{"array of arrays", text("[[%s]]")},
		{"event", event},
		{"body in SQS", func(f []byte) []byte { return sns(event(f)) }},
		{"raw delivery", sns},
		{"SQS to Lambda", func(f []byte) []byte { return batch(f) }},
		{"event in SQS to Lambda", func(f []byte) []byte { return batch(event(f)) }},
		{"event in SNS in SQS to Lambda", func(f []byte) []byte { return batch(sns(event(f))) }},
		{"SNS to Lambda", func(f []byte) []byte {
			return fmt.Appendf(nil, `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","Message":%s}}]}`, quote(t, event(f)))
		}},
		{"ReceiveMessage", func(f []byte) []byte {
			return fmt.Appendf(nil, `{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":%s}]}`, quote(t, event(f)))
		}},
		{"GetFindings as the API answers", text(`{"findings":[%s]}`)},
		{"GetFindings as the command prints", text(`{"Findings":[%s],"NextToken":"n"}`)},
		{"GetFindings as Go prints", text(`{"Findings":[%s],"ResultMetadata":{}}`)},
		{"log group", func(f []byte) []byte {
			data := packed(t, fmt.Appendf(nil, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":1,"message":%s}]}`, quote(t, event(f))))
			return []byte(`{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(data) + `"}}`)
		}},
		{"lines", text("\n%s\n\n")},
		{"lines of Windows with a byte order mark", text("\xef\xbb\xbf%s\r\n")},
		{"gzip", func(f []byte) []byte { return packed(t, append(f, '\n')) }},
		{"gzip in gzip", func(f []byte) []byte { return packed(t, packed(t, f)) }},
		{"event in a list in gzip", func(f []byte) []byte { return packed(t, append(append([]byte("["), event(f)...), ']')) }},
	}
}

// spellings are one finding as each tool writes it: the names of the wire, those
// of the SDKs, and times as text, as seconds, as milliseconds.
func spellings(t testing.TB) map[string][]byte {
	t.Helper()
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	wire := string(makeRevision(3, 4, 7, at, at).body)
	stamp := at.Format("2006-01-02T15:04:05.000Z")
	if strings.Count(wire, stamp) != 4 {
		t.Fatalf("%s does not have four times", wire)
	}
	times := func(s string) []byte { return []byte(strings.ReplaceAll(wire, `"`+stamp+`"`, s)) }
	out := map[string][]byte{
		"wire":                              []byte(wire),
		"wire, no fraction":                 times(`"` + at.Format(time.RFC3339) + `"`),
		"wire, zone of India":               times(`"` + at.In(time.FixedZone("", 19800)).Format("2006-01-02 15:04:05.000000-07:00") + `"`),
		"wire, seconds":                     times(fmt.Sprint(at.Unix())),
		"wire, seconds with a fraction":     times(fmt.Sprintf("%d.0", at.Unix())),
		"wire, seconds in exponent":         times(fmt.Sprintf("%.12e", float64(at.Unix()))),
		"wire, milliseconds":                times(fmt.Sprint(at.UnixMilli())),
		"wire, seconds as text":             times(fmt.Sprintf("%q", fmt.Sprint(at.Unix()))),
		"wire, severity with a fraction":    []byte(strings.Replace(wire, `"severity":7`, `"severity":7.0`, 1)),
		"wire, count as text, flag as text": []byte(strings.NewReplacer(`"count":4`, `"count":"4"`, `"archived":false`, `"archived":"false"`).Replace(wire)),
	}
	for name, f := range map[string][]byte{"SDK": out["wire"], "SDK, seconds": out["wire, seconds with a fraction"]} {
		var v any
		dec := json.NewDecoder(bytes.NewReader(f))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(pascal(v))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

// pascal writes every key with a capital first letter.
func pascal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[strings.ToUpper(k[:1])+k[1:]] = pascal(e)
		}
		return out
	case []any:
		for n := range v {
			v[n] = pascal(v[n])
		}
	}
	return v
}

// TestEveryWrappingAndSpellingIsTheSameFinding writes one finding in every
// spelling and wrapping into files: the program prints the same of each, and
// takes only the first.
func TestEveryWrappingAndSpellingIsTheSameFinding(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{routes: "  - {name: nobody, to: [], stop: true}"})
	dir := filepath.Join(i.dir, "in")
	mkdir(t, dir)
	names := []string{}
	for spelling, f := range spellings(t) {
		for n, w := range wrappings(t) {
			name := fmt.Sprintf("%s %02d %s.json", strings.ReplaceAll(spelling, " ", "-"), n, w.name)
			names = append(names, name)
			write(t, filepath.Join(dir, name), string(w.wrap(bytes.Clone(f))))
		}
	}
	var want map[string]any
	out := lines[map[string]any](t, i.must("finding", "parse", "--json", dir))
	if len(out) != len(names) {
		t.Fatalf("%d findings are printed of %d files", len(out), len(names))
	}
	for n, got := range out {
		// What was assumed or taken as something else is said; the finding is the same.
		delete(got, "warnings")
		if n == 0 {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("one of the files reads differently (-first +this):\n%s", diff)
		}
	}
	type imported struct{ Accepted, Known, Ignored, Rejected int }
	got := lines[imported](t, i.must("finding", "import", dir, "--json"))[0]
	if got != (imported{Accepted: 1, Known: len(names) - 1}) {
		t.Errorf("of %d files: %+v", len(names), got)
	}
	// And by HTTP into the same store.
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if a := i.send(bytes.NewReader(b)); a.status != 202 || a.Known != 1 || a.Accepted+a.Rejected+a.Ignored != 0 {
			t.Errorf("%s: answered %d %s", name, a.status, a.text)
		}
	}
	if n := len(lines[findingLine](t, i.must("finding", "list", "--json"))); n != 1 {
		t.Errorf("%d findings are stored", n)
	}
	if out := i.must("audit", "export"); strings.Contains(out, "contradict") {
		t.Error("a spelling was taken for another content of the same revision")
	}
}

// TestWhatIsNoFindingIsNeitherTakenNorLost sends the events that come beside
// findings: they are counted and told to nobody.
func TestWhatIsNoFindingIsNeitherTakenNorLost(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, detail string }{
		{"GuardDuty Malware Protection Object Scan Result", `{"scanStatus":"COMPLETED","scanResultDetails":{"scanResultStatus":"NO_THREATS_FOUND"}}`},
		{"GuardDuty Malware Protection Resource Status Warning", `{}`},
		{"GuardDuty Malware Protection Post Scan Action Failed", `{}`},
		{"GuardDuty Runtime Protection Unhealthy", `{}`},
		{"AWS API Call via CloudTrail", `{"eventSource":"guardduty.amazonaws.com","eventName":"ArchiveFindings"}`},
		{"Something that comes next year", `{"type":"A:B/C","severity":8}`},
	} {
		body := fmt.Sprintf(`{"version":"0","id":"1","detail-type":%q,"source":"aws.guardduty","account":"111111111111","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":%s}`, c.kind, c.detail)
		if a := i.send(strings.NewReader(body)); a.status != 202 || a.Ignored != 1 || a.Accepted+a.Known+a.Rejected != 0 {
			t.Errorf("%s: answered %d %s", c.kind, a.status, a.text)
		}
	}
	if got := i.metrics(t).value("guardroom_findings_total", "decision", "ignored"); got != 6 {
		t.Errorf("%v events are counted as ignored, want 6", got)
	}
	if n := len(v.slack.All()) + len(v.jira.Issues()) + len(v.pager.Alerts()); n != 0 {
		t.Errorf("vendors were told %d things", n)
	}
}

// TestCollectedSamplesThroughTheProgram has the program print the collected
// samples, where they are beside the checkout.
func TestCollectedSamplesThroughTheProgram(t *testing.T) {
	t.Parallel()
	dir := samples()
	if dir == "" {
		t.Log("no folder shared/data/findings beside the checkout: the collected samples were not read")
		return
	}
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{})
	r := i.run("finding", "parse", "--json", dir)
	type line struct {
		ID, Type, SeverityLabel string
		Severity                *float64
	}
	if got := lines[line](t, r.out); len(got) != 28 || r.code != 1 {
		t.Errorf("%d findings, exit %d, want 28 and 1", len(got), r.code)
	}
	type refusal struct {
		Error struct{ Message, Code, File string }
	}
	refused := lines[refusal](t, r.err)
	if len(refused) != 2 {
		t.Fatalf("%d refusals: %s", len(refused), r.err)
	}
	for n, want := range []struct{ file, reason string }{{"damaged.json", "updatedAt is missing"}, {"partial-envelope.json", "accountId is missing"}} {
		if e := refused[n].Error; !strings.HasSuffix(e.File, want.file) || !strings.Contains(e.Message, want.reason) {
			t.Errorf("refused: %+v, want %s with %q", e, want.file, want.reason)
		}
	}
	plain := i.run("finding", "parse", dir)
	if plain.code != 1 || strings.Count(plain.err, "refused: ") != 2 {
		t.Errorf("for people: exit %d, %s", plain.code, plain.err)
	}
	checkTerminal(t, "finding parse", plain.out)
}

// samples looks for the collected samples beside the checkout.
func samples() string {
	dir, err := filepath.Abs(".")
	for err == nil {
		path := filepath.Join(dir, "shared", "data", "findings")
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return ""
}
