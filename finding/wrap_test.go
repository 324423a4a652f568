package finding

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The wrappings, each a function from findings to an input.

func quoted(t testing.TB, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compact(t testing.TB, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func envelope(detail string) string {
	return `{"version":"0","id":"e-1","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"999999999999","time":"2025-03-02T10:22:00Z","region":"eu-central-1","resources":[],"detail":` + detail + `}`
}

func notification(t testing.TB, message string) string {
	return `{"Type":"Notification","MessageId":"n-1","TopicArn":"arn:aws:sns:eu-central-1:111111111111:t","Message":` + quoted(t, message) + `,"Timestamp":"2025-03-02T10:22:00Z"}`
}

func records(t testing.TB, all []string, body func(string) string) string {
	var out []string
	for i, s := range all {
		out = append(out, fmt.Sprintf(`{"messageId":"m-%d","receiptHandle":"r","body":%s,"attributes":{},"eventSource":"aws:sqs","awsRegion":"eu-central-1"}`, i, quoted(t, body(s))))
	}
	return `{"Records":[` + strings.Join(out, ",") + `]}`
}

func zipped(t testing.TB, parts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func each(all []string, f func(string) string) []string {
	var out []string
	for _, s := range all {
		out = append(out, f(s))
	}
	return out
}

func wrappings(t testing.TB) map[string]func([]string) []byte {
	same := func(s string) string { return s }
	return map[string]func([]string) []byte{
		"concatenated": func(all []string) []byte { return []byte(strings.Join(all, "")) },
		"JSON Lines":   func(all []string) []byte { return []byte(strings.Join(all, "\n") + "\n") },
		"CR LF":        func(all []string) []byte { return []byte("\xef\xbb\xbf" + strings.Join(all, "\r\n\r\n")) },
		"indented values": func(all []string) []byte {
			return []byte(strings.Join(each(all, func(s string) string {
				var out bytes.Buffer
				_ = json.Indent(&out, []byte(s), "", "  ")
				return out.String()
			}), "\n"))
		},
		"list":            func(all []string) []byte { return []byte(" [\n" + strings.Join(all, ",\n") + "\n]\n") },
		"gzip":            func(all []string) []byte { return zipped(t, strings.Join(all, "\n")) },
		"gzip in members": func(all []string) []byte { return zipped(t, each(all, func(s string) string { return s + "\n" })...) },
		"EventBridge":     func(all []string) []byte { return []byte(strings.Join(each(all, envelope), "\n")) },
		"partial envelope": func(all []string) []byte {
			return []byte(strings.Join(each(all, func(s string) string { return `{"region":"x","detail":` + s + `}` }), "\n"))
		},
		"GetFindings": func(all []string) []byte { return []byte(`{"findings":[` + strings.Join(all, ",") + `]}`) },
		"get-findings command": func(all []string) []byte {
			return []byte(`{"NextToken":"n","Findings":[` + strings.Join(all, ",") + `]}`)
		},
		"SQS with findings": func(all []string) []byte { return []byte(records(t, all, same)) },
		"SQS with events":   func(all []string) []byte { return []byte(records(t, all, envelope)) },
		"SQS with notifications": func(all []string) []byte {
			return []byte(records(t, all, func(s string) string { return notification(t, envelope(s)) }))
		},
		"list of SQS batches of notifications": func(all []string) []byte {
			return []byte("[" + records(t, all, func(s string) string { return notification(t, envelope(s)) }) + "]")
		},
		"ReceiveMessage": func(all []string) []byte {
			return []byte(`{"Messages":[` + strings.Join(each(all, func(s string) string { return `{"MessageId":"m","Body":` + quoted(t, envelope(s)) + `}` }), ",") + `]}`)
		},
		"SNS to Lambda": func(all []string) []byte {
			return []byte(`{"Records":[` + strings.Join(each(all, func(s string) string {
				return `{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","Message":` + quoted(t, envelope(s)) + `}}`
			}), ",") + `]}`)
		},
		"SNS notifications": func(all []string) []byte {
			return []byte(strings.Join(each(all, func(s string) string { return notification(t, s) }), "\n"))
		},
		"CloudWatch Logs": func(all []string) []byte {
			var events []string
			for i, s := range all {
				events = append(events, fmt.Sprintf(`{"id":"%d","timestamp":1,"message":%s}`, i, quoted(t, envelope(s))))
			}
			data := base64.StdEncoding.EncodeToString(zipped(t, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logEvents":[`+strings.Join(events, ",")+`]}`))
			return []byte(`{"awslogs":{"data":"` + data + `"}}`)
		},
	}
}

func TestEveryWrappingYieldsTheSameFindings(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	var inputs, spelled []string
	var want []*Finding
	for _, name := range names {
		inputs = append(inputs, compact(t, all[name]))
		spelled = append(spelled, string(respell(t, all[name], pascal)))
		want = append(want, plain(one(t, all[name])))
	}
	for name, wrap := range wrappings(t) {
		for spelling, inputs := range map[string][]string{"camelCase": inputs, "PascalCase": spelled} {
			t.Run(name+" "+spelling, func(t *testing.T) {
				t.Parallel()
				items, err := DecodeAll(wrap(inputs), Limits{})
				if err != nil {
					t.Fatal(err)
				}
				var got []*Finding
				for _, it := range items {
					if it.Finding == nil {
						t.Fatalf("not only findings: %s", describe(items))
					}
					got = append(got, plain(it.Finding))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				// A slow reader that gives a byte at a time makes no difference.
				var slow []*Finding
				if err := Decode(&dribble{b: wrap(inputs)}, Limits{}, func(it Item) bool {
					slow = append(slow, plain(it.Finding))
					return true
				}); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, slow); diff != "" {
					t.Errorf("in small pieces (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// dribble gives a few bytes at a time.
type dribble struct{ b []byte }

func (d *dribble) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 7)], d.b)
	d.b = d.b[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestPositionAndMessageIDSayWhereAnItemStood(t *testing.T) {
	t.Parallel()
	f := compact(t, fixtures(t)["dns-request"])
	for _, c := range []struct {
		name, input string
		at          int // index of the item
		want        Position
		wrapping    []string
		message     string
	}{
		{"third line", f + "\n\n" + f, 1, Position{Offset: int64(len(f) + 2), Line: 3}, []string{"json-lines"}, ""},
		{"element of a list", "[" + f + ",\n" + f + "]", 1, Position{Offset: int64(len(f) + 3), Line: 2, Path: "[1]"}, []string{"list"}, ""},
		{"element of a response", `{"Findings":[` + f + ",\n" + f + "]}", 1, Position{Offset: int64(len(f) + 15), Line: 2, Path: "Findings[1]"}, []string{"get-findings"}, ""},
		{"body", records(t, []string{f, f}, envelope), 1, Position{Line: 1, Path: "Records[1].body.detail"}, []string{"sqs", "eventbridge"}, "m-1"},
		{"event", envelope(f), 0, Position{Line: 1, Path: "detail"}, []string{"eventbridge"}, ""},
		{"bare", f, 0, Position{Line: 1}, []string{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items, err := DecodeAll([]byte(c.input), Limits{})
			if err != nil || len(items) <= c.at {
				t.Fatalf("%v %s", err, describe(items))
			}
			it := items[c.at]
			if diff := cmp.Diff(c.want, it.Position); diff != "" {
				t.Errorf("position (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.wrapping, it.Wrapping); diff != "" {
				t.Errorf("wrapping (-want +got):\n%s", diff)
			}
			if it.MessageID != c.message {
				t.Errorf("message %q, want %q", it.MessageID, c.message)
			}
		})
	}
}

func TestWhatIsNoFindingIsIgnoredReferredOrRefused(t *testing.T) {
	t.Parallel()
	f := compact(t, fixtures(t)["dns-request"])
	event := func(detailType, detail string) string {
		return `{"detail-type":"` + detailType + `","source":"aws.guardduty","account":"111111111111","region":"eu-central-1","detail":` + detail + `}`
	}
	deep := f
	for range 6 {
		deep = notification(t, deep)
	}
	for _, c := range []struct{ name, input, want string }{
		{"clean object", event("GuardDuty Malware Protection Object Scan Result", `{"scanStatus":"COMPLETED"}`), "ignored: GuardDuty Malware Protection Object Scan Result"},
		{"agent is silent", event("GuardDuty Runtime Protection Unhealthy", `{}`), "ignored: GuardDuty Runtime Protection Unhealthy"},
		{"a click on archive", event("AWS API Call via CloudTrail", `{"eventSource":"guardduty.amazonaws.com","eventName":"ArchiveFindings"}`), "ignored: AWS API Call via CloudTrail"},
		{"an event in an SQS body", records(t, []string{event("Something New", `{"type":"A:B/C"}`)}, func(s string) string { return s }), "ignored: Something New"},
		{"S3 event", `{"Records":[{"eventSource":"aws:s3","awsRegion":"eu-central-1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"exports"},"object":{"key":"AWSLogs/1/a+b%2Bc.jsonl.gz"}}}]}`, "reference: exports/AWSLogs/1/a b+c.jsonl.gz"},
		{"S3 event by EventBridge", `{"detail-type":"Object Created","source":"aws.s3","region":"eu-central-1","detail":{"bucket":{"name":"exports"},"object":{"key":"AWSLogs/1/a+b%2Bc.jsonl.gz"}}}`, "reference: exports/AWSLogs/1/a+b%2Bc.jsonl.gz"},
		{"S3 event in SNS in SQS", records(t, []string{`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}`}, func(s string) string { return notification(t, s) }), "reference: b/k"},
		{"S3 removal", `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}`, "ignored: S3 ObjectRemoved:Delete"},
		{"S3 test", `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}`, "ignored: s3:TestEvent"},
		{"SNS confirmation", `{"Type":"SubscriptionConfirmation","Message":"You have chosen","SubscribeURL":"https://example.com"}`, "ignored: SNS SubscriptionConfirmation"},
		{"log control message", `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(zipped(t, `{"messageType":"CONTROL_MESSAGE","logEvents":[]}`)) + `"}}`, "ignored: CloudWatch Logs CONTROL_MESSAGE"},
		{"Security Hub finding", `{"SchemaVersion":"2018-10-08","Id":"arn:aws:guardduty:eu-central-1:111111111111:detector/d/finding/f","ProductArn":"arn:aws:securityhub:eu-central-1::product/aws/guardduty","AwsAccountId":"111111111111","Types":["TTPs/A"],"Severity":{"Label":"HIGH"}}`, "rejected: this is a finding of Security Hub"},
		{"Security Hub response", `{"Findings":[{"SchemaVersion":"2018-10-08","Id":"x","ProductArn":"p","AwsAccountId":"111111111111"}]}`, "rejected: this is a finding of Security Hub"},
		{"Security Hub event", event("Security Hub Findings - Imported", `{"findings":[]}`), "rejected: this is a finding of Security Hub"},
		{"ids only", `{"findingIds":["a"]}`, "rejected: only ids"},
		{"too many layers", deep, "rejected: wrapped in more than 5 layers"},
		{"another source", `{"Records":[{"eventSource":"aws:kinesis","kinesis":{"data":""}}]}`, "rejected: eventSource"},
		{"some object", `{"hello":"world"}`, "rejected: not a finding: no type and no known wrapping; its keys are \"hello\""},
		{"an event without a finding", event("GuardDuty Finding", `"nothing"`), "rejected: detail is a text"},
		{"plain text", "hello", "rejected: not JSON"},
		{"a number", "42", "rejected: not an object"},
		{"empty body", records(t, []string{""}, func(s string) string { return s }), "rejected: the text at Records[0].body is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items, err := DecodeAll([]byte(c.input), Limits{})
			if err != nil || len(items) != 1 {
				t.Fatalf("%v %s", err, describe(items))
			}
			if got := describe(items); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %swant %s", got, c.want)
			}
		})
	}
}
