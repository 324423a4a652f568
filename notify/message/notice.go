package message

import (
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// Topic is what guardroom has to say about itself.
type Topic string

// The topics of notices.
const (
	SilentSource        Topic = "silent_source"        // no event for longer than expected
	ParkedDelivery      Topic = "parked_delivery"      // needs a person before it can go on
	UndeliveredIncident Topic = "undelivered_incident" // a destination does not show it yet
	PausedDestination   Topic = "paused_destination"   // the whole destination is broken
	LostWorker          Topic = "lost_worker"          // a worker has no heartbeat
	LateRun             Topic = "late_run"             // a response takes much longer than its plan said
	NotClosed           Topic = "not_closed"           // what a response opened could not be closed
)

// NoticeInput is what BuildNotice needs to know. The text fields may hold words
// of vendors and count as written by others.
type NoticeInput struct {
	Delivery string
	ID       incident.ID // stable over the notice's life, for dedup
	Revision int64       // raised when the notice changes or is resolved
	Topic    Topic
	Subject  string // the source, destination, delivery, incident or worker spoken about
	Message  string // what failed, the vendor's own word in parentheses
	Safe     string // what is true now
	Hint     string // one next command or page
	Link     string
	Since    time.Time
	Resolved time.Time // zero while it lasts
	Now      time.Time
}

// NoticeData is the JSON form of a notice in webhooks.
type NoticeData struct {
	ID         incident.ID `json:"id"`
	Revision   int64       `json:"revision"`
	Topic      Topic       `json:"topic"`
	Subject    string      `json:"subject"`
	Summary    string      `json:"summary"`
	Message    string      `json:"message,omitempty"`
	Safe       string      `json:"safe,omitempty"`
	Hint       string      `json:"hint,omitempty"`
	URL        string      `json:"url,omitempty"`
	Since      time.Time   `json:"since,omitzero"`
	ResolvedAt time.Time   `json:"resolved_at,omitzero"`
}

// BuildNotice makes the message in which guardroom speaks about itself, to a
// destination that still works. A resolved notice has the state closed.
func BuildNotice(in NoticeInput) *View {
	resolved := !in.Resolved.IsZero()
	severity := noticeSeverity(in.Topic)
	v := &View{
		Kind: KindNotice, Delivery: in.Delivery, Incident: in.ID, Revision: in.Revision, Link: in.Link,
		Severity: severity, Band: severity.Band(), OpeningBand: severity.Band(),
		State: incident.Open, OpenedAt: in.Since, UpdatedAt: in.Now,
		FirstSeen: in.Since, LastSeen: in.Now,
	}
	v.Headline = noticeHeadline(in.Topic, in.Subject)
	v.Meaning = value(in.Message, maxSentence)
	if in.Safe != "" {
		v.Why = Words("Safe: ").Join(value(in.Safe, maxSentence))
	}
	if !in.Since.IsZero() {
		v.Facts = []Fact{{Label: "Since", Value: Words(clock(in.Since, in.Now))}}
	}
	if resolved {
		v.State = incident.Closed
		v.LastSeen = in.Resolved
		v.Sentence = Words("Resolved: ").Join(v.Headline).Words(".")
		v.Context = []Text{Words("Resolved " + clock(in.Resolved, in.Now)), Words("lasted " + length(in.Resolved.Sub(in.Since)))}
	} else {
		v.Sentence = Words(severityWord(v.Band) + ": ").Join(v.Headline)
		if v.Meaning.IsEmpty() {
			v.Sentence = v.Sentence.Words(".")
		} else {
			v.Sentence = v.Sentence.Words(": ").Join(ended(in.Message, maxSentence))
		}
		if in.Hint != "" {
			v.DoNext = []Text{value(in.Hint, maxSentence)}
		}
		v.Context = []Text{Words("Open"), Words(length(in.Now.Sub(in.Since)))}
	}
	v.Data = &NoticeData{
		ID: in.ID, Revision: in.Revision, Topic: in.Topic, Subject: in.Subject, Summary: raw(v.Sentence),
		Message: in.Message, Safe: in.Safe, Hint: in.Hint, URL: in.Link, Since: in.Since, ResolvedAt: in.Resolved,
	}
	return v
}

// noticeHeadline stays the same over the life of the notice.
func noticeHeadline(topic Topic, subject string) Text {
	words := "guardroom reports on"
	switch topic {
	case SilentSource:
		words = "guardroom hears nothing from source"
	case ParkedDelivery:
		words = "guardroom parked a delivery to"
	case UndeliveredIncident:
		words = "guardroom could not deliver"
	case PausedDestination:
		words = "guardroom paused destination"
	case LostWorker:
		words = "guardroom lost worker"
	case LateRun:
		words = "guardroom is late with"
	case NotClosed:
		words = "guardroom could not close what it opened in"
	}
	if subject == "" {
		return Words(words)
	}
	return Words(words + " ").Join(Value(escape.CutMiddle(subject, maxName)))
}

// noticeSeverity: findings that do not come in or do not get out are as bad as
// what they may hide; a single stuck delivery is seen elsewhere.
func noticeSeverity(topic Topic) finding.Severity {
	switch topic {
	case PausedDestination, UndeliveredIncident, LostWorker, LateRun, NotClosed:
		return 7
	}
	return 5
}

// TestData is the JSON form of a destination test in webhooks.
type TestData struct {
	ID          incident.ID `json:"id"`
	Destination string      `json:"destination"`
	Summary     string      `json:"summary"`
	SentAt      time.Time   `json:"sent_at"`
}

// BuildTest makes the message of `destination test`: real in every respect but
// that it says what it is. Two tests in one second share an id.
func BuildTest(destination string, now time.Time) *View {
	now = now.UTC()
	id := incident.ID("test-" + now.Format("20060102150405"))
	v := &View{
		Kind: KindTest, Delivery: string(id), Incident: id, Revision: 1,
		State: incident.Open, OpenedAt: now, UpdatedAt: now, FirstSeen: now, LastSeen: now,
	}
	v.Headline = Words("Test message from guardroom")
	v.Sentence = Words("Test: guardroom can reach the destination ").Join(name(destination)).
		Words(". Nothing has happened, and nothing is to be done.")
	v.Meaning = Words("Somebody asked guardroom to test the destination ").Join(name(destination)).Words(".")
	v.Why = Words("Nothing has happened; incidents will look like this message.")
	v.Facts = []Fact{{Label: "Sent", Value: Words(now.Format("2006-01-02 15:04:05") + " UTC")}}
	v.Context = []Text{Words("Test"), Words("nothing to be done")}
	v.Data = &TestData{ID: id, Destination: destination, Summary: raw(v.Sentence), SentAt: now}
	return v
}
