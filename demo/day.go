package demo

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Event is one moment of the day: something arrives, somebody acts, or a vendor
// has trouble.
type Event struct {
	At      time.Duration // after the start of the day, which is midnight UTC
	Caption string        // the story in one or two sentences; may be empty
	Source  string        // the way by which Body came, as guardroom names its sources
	Body    []byte        // what a source received; nil where nothing arrived
	// Confirmed says that it was read from GuardDuty itself.
	Confirmed bool
	Act       *Act
	Outage    *Outage
}

// Act is what a person does to the incident of a finding.
type Act struct {
	Who     string
	Do      Verb
	Finding string // id of the finding whose incident it is
	Text    string // the note, or the closing note, or the new owner
	Verdict string // of Close
}

// Verb is what a person can do.
type Verb string

// The verbs of the story.
const (
	Acknowledge Verb = "acknowledge"
	Assign      Verb = "assign"
	Note        Verb = "note"
	Close       Verb = "close"
)

// Outage makes a vendor answer the next requests with an error.
type Outage struct {
	Vendor   string // jira
	Requests int
}

// The ways in, as guardroom names them.
const (
	byQueue  = "sqs:findings"           // EventBridge to SQS
	byTopic  = "sqs:findings-of-sns"    // EventBridge to SNS to SQS
	byPoll   = "guardduty:organization" // GetFindings
	byExport = "s3:export"              // gzip JSON Lines
)

// beat is one line of the script. The same id twice is the same finding at
// another revision.
type beat struct {
	at       string // 07:10
	caption  string
	id       string
	account  string
	typ      string
	severity float64
	resource object
	action   object
	count    int
	title    string
	tweak    func(finding object)
	source   string // empty: byQueue
	revised  string // when the revision was made, where it arrives later: 06:45
	twice    string // caption of a second delivery of the same bytes

	raw    []byte // instead of a finding
	act    *Act
	outage *Outage
}

// Day returns the events of the day that begins at start, sorted by At. The
// same start gives the same bytes.
func Day(start time.Time) []Event {
	start = start.UTC()
	b := builder{start: start, first: map[string]time.Time{}}
	for _, s := range script(start) {
		b.add(s)
	}
	b.flush()
	return b.events
}

type builder struct {
	start  time.Time
	first  map[string]time.Time // finding -> when it was created
	events []Event
	export []beat // gathered for one export object
}

func (b *builder) add(s beat) {
	if s.source == byExport {
		b.export = append(b.export, s)
		return
	}
	b.flush()
	e := Event{At: clock(s.at), Caption: s.caption, Source: s.source, Body: s.raw, Act: s.act, Outage: s.outage}
	if e.Source == "" {
		e.Source = byQueue
	}
	if s.id != "" {
		e.Body, e.Confirmed = b.wrap(s), e.Source == byPoll
	}
	b.events = append(b.events, e)
	if s.twice != "" {
		again := e
		again.At, again.Caption = e.At+20*time.Second, s.twice
		b.events = append(b.events, again)
	}
}

// flush delivers the export object that was gathered, if there is one.
func (b *builder) flush() {
	if len(b.export) == 0 {
		return
	}
	first := b.export[0]
	b.events = append(b.events, Event{At: clock(first.at), Caption: first.caption, Source: byExport, Body: b.exported()})
	b.export = nil
}

// wrap puts a finding into what its source would have received.
func (b *builder) wrap(s beat) []byte {
	f := b.finding(s)
	switch s.source {
	case byPoll:
		return encode(object{"Findings": []any{pascal(f)}})
	case byTopic:
		return encode(object{"Type": "Notification", "MessageId": digest("sns/"+s.id+s.at, 32), "TopicArn": arn("sns", payments, "findings"),
			"Message": string(envelope(len(b.events), b.start.Add(clock(s.at)), s.account, "GuardDuty Finding", f))})
	}
	return envelope(len(b.events), b.start.Add(clock(s.at)), s.account, "GuardDuty Finding", f)
}

func (b *builder) exported() []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	for _, s := range b.export {
		_, _ = w.Write(append(encode(b.finding(s)), '\n')) // a buffer takes everything
	}
	_ = w.Close()
	return out.Bytes()
}

// finding is the finding of a beat as GuardDuty publishes it.
func (b *builder) finding(s beat) object {
	updated := b.start.Add(clock(s.at))
	if s.revised != "" {
		updated = b.start.Add(clock(s.revised))
	}
	created, known := b.first[s.id]
	if !known {
		created = updated
		b.first[s.id] = created
	}
	f := object{"schemaVersion": "2.0", "accountId": s.account, "region": region, "partition": "aws", "id": FindingID(s.id), "arn": findingARN(s.account, s.id),
		"type": s.typ, "severity": s.severity, "title": s.title, "description": s.title + " GuardDuty has seen it " + times(max(s.count, 1)) + ".",
		"createdAt": stamp(created), "updatedAt": stamp(updated), "resource": s.resource,
		"service": object{"serviceName": "guardduty", "detectorId": detector, "archived": false, "resourceRole": "TARGET", "count": max(s.count, 1),
			"eventFirstSeen": stamp(created.Add(-7 * time.Minute)), "eventLastSeen": stamp(updated.Add(-3 * time.Minute))}}
	if s.action != nil {
		f["service"].(object)["action"] = s.action
	}
	if s.tweak != nil {
		s.tweak(f)
	}
	return f
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// clock reads a time of day. The script is part of the program: what cannot be
// read is a bug of it, which the tests find.
func clock(s string) time.Duration {
	t, err := time.Parse("15:04", s)
	if err != nil {
		panic(err)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

func envelope(n int, at time.Time, account, kind string, detail object) []byte {
	return encode(object{"version": "0", "id": fmt.Sprintf("00000000-0000-4000-8000-%012d", n), "detail-type": kind, "source": "aws.guardduty",
		"account": account, "time": at.Format(time.RFC3339), "region": region, "resources": []string{}, "detail": detail})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, numbers, lists and maps are marshalled
	}
	return b
}

// pascal spells a finding as GetFindings of the SDKs prints it.
func pascal(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, x := range v {
			out[strings.ToUpper(k[:1])+k[1:]] = pascal(x)
		}
		return out
	case []object:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = pascal(x)
		}
		return out
	}
	return v
}
