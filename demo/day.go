package demo

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is one delivery of the story.
type Event struct {
	At      time.Duration // offset from the start of the day
	Source  string
	Body    []byte
	Caption string // one line of story; may be empty
}

type object = map[string]any

const (
	payments = "111111111111"
	lake     = "222222222222"
	sandbox  = "333333333333"
	region   = "eu-central-1"
	intruder = "203.0.113.50" // the actor that links several incidents
	scanner  = "198.51.100.77"
)

// beat is one line of the script. The same id twice is the same finding.
type beat struct {
	minute   int
	id       string
	account  string
	typ      string
	severity float64
	resource object
	action   object
	count    int
	caption  string
	tweak    func(finding object)
}

// Day returns the events of the day that begins at start, sorted by At. The
// same start gives the same bytes.
func Day(start time.Time) []Event {
	start = start.UTC()
	var out []Event
	first := map[string]int{}
	for i, b := range append(script(), later()...) {
		if _, ok := first[b.id]; !ok {
			first[b.id] = b.minute
		}
		at := time.Duration(b.minute) * time.Minute
		out = append(out, Event{At: at, Source: "eventbridge", Caption: b.caption,
			Body: envelope(i, start.Add(at), b.account, "GuardDuty Finding",
				b.finding(start.Add(time.Duration(first[b.id])*time.Minute), start.Add(at)))})
		if b.id == "ssh-web" && b.count == 40 {
			out = append(out, Event{At: at, Source: "eventbridge", Body: out[len(out)-1].Body, Caption: "The same event is delivered twice"})
		}
	}
	last := 600 * time.Minute
	return append(out,
		Event{At: last, Source: "eventbridge", Body: []byte(`{"detail-type":"GuardDuty Finding","detail":{"id":`), Caption: "A broken input"},
		Event{At: last + time.Minute, Source: "eventbridge", Caption: "Somebody archives in the console",
			Body: envelope(9999, start.Add(last+time.Minute), payments, "AWS API Call via CloudTrail", object{
				"eventSource": "guardduty.amazonaws.com", "eventName": "ArchiveFindings", "awsRegion": region,
				"requestParameters": object{"detectorId": detector, "findingIds": []string{findingID("ssh-web")}}})})
}

func envelope(n int, at time.Time, account, kind string, detail object) []byte {
	b, err := json.Marshal(object{"version": "0", "id": fmt.Sprintf("00000000-0000-4000-8000-%012d", n),
		"detail-type": kind, "source": "aws.guardduty", "account": account, "time": at.Format(time.RFC3339),
		"region": region, "resources": []string{}, "detail": detail})
	if err != nil {
		panic(err) // only strings, numbers, lists and maps are marshalled
	}
	return b
}
