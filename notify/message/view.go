package message

import (
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// part is a piece of Text.
type part struct {
	s         string
	untrusted bool
}

// Text is a piece of a message in which guardroom's own words and values
// written by others are kept apart. The zero value is empty.
type Text struct{ parts []part }

// Words makes a Text of guardroom's own words. Never pass a value that came
// from a finding, a tag, a person or a vendor.
func Words(s string) Text { return Text{}.Words(s) }

// Value makes a Text of a value that somebody else wrote.
func Value(s string) Text { return Text{}.Value(s) }

// Words returns t followed by words of our own.
func (t Text) Words(s string) Text { return t.add(part{s: s}) }

// Value returns t followed by a value that somebody else wrote.
func (t Text) Value(s string) Text { return t.add(part{s: s, untrusted: true}) }

// Join returns t followed by u.
func (t Text) Join(u Text) Text {
	for _, p := range u.parts {
		t = t.add(p)
	}
	return t
}

func (t Text) add(p part) Text {
	if p.s == "" {
		return t
	}
	parts := make([]part, len(t.parts), len(t.parts)+1)
	copy(parts, t.parts)
	return Text{parts: append(parts, p)}
}

// IsEmpty reports whether nothing would be shown.
func (t Text) IsEmpty() bool { return len(t.parts) == 0 }

// Render returns t with every part passed through its escaper: words for our
// own, value for what others wrote. Both must be given; there is no other way
// to read a Text.
func (t Text) Render(words, value func(string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.untrusted {
			b.WriteString(value(p.s))
		} else {
			b.WriteString(words(p.s))
		}
	}
	return b.String()
}

// Kind says what a View is about.
type Kind string

// The kinds of views.
const (
	KindIncident Kind = "incident"
	KindDigest   Kind = "digest" // stands for many incidents of a storm
	KindNotice   Kind = "notice" // guardroom speaks about itself
	KindTest     Kind = "test"   // destination test
)

// Fact is a labelled value. Labels are ours.
type Fact struct {
	Label string
	Value Text
}

// Event is something that happened to the incident and that is worth a line of
// its own. Seq is the timeline's number and grows by time.
type Event struct {
	Seq  int64
	Kind incident.Kind
	At   time.Time
	Who  Text
	Text Text // one full sentence
	// Alerts marks the few events that must reach people who do not look:
	// broadcast in Slack, mail, page again.
	Alerts bool
	// Became is the state of the incident by it, where a response changed that.
	Became incident.State
}

// Reference is where the same incident is shown by another destination.
type Reference struct {
	Destination string // the configured name
	Type        string // slack, jira, pagerduty, webhook, email
	Label       string // SEC-88
	URL         string
	State       string // delivered, parked, pending
}

// View is everything that a destination may show of one incident at one
// revision. It is a value: renderers do not change it.
type View struct {
	Kind     Kind
	Delivery string      // id of the delivery, stable over the incident's life
	Incident incident.ID // stable key for dedup; for digests and notices their own id
	Number   string      // INC-42
	Revision int64
	Link     string // https link to the incident; empty when none is configured

	Severity    finding.Severity // the incident's (highest)
	Band        finding.Band
	OpeningBand finding.Band // at the time of opening: mail subjects are constant
	State       incident.State
	Sample      bool
	Verdict     incident.Verdict
	MergedInto  string // INC-7 or empty
	MergedLink  string

	Headline  Text   // Bitcoin mining from payments-api-3
	Sentence  Text   // the whole message in one sentence, for notifications
	Meaning   Text   // one sentence: what was seen and what it means
	Why       Text   // why it matters
	DoNext    []Text // at most two lines
	Facts     []Fact // Resource, Account, Region, Actor, Owner, Seen, Exposure, in this order
	Context   []Text // Open, unassigned, 3 findings, 12 min
	Findings  []Text // one line per finding, newest first, at most 20
	Events    []Event
	Elsewhere []Reference
	// Runs are the responses to the incident, and the plans that wait for one,
	// the oldest first.
	Runs []Run

	// Machine-readable values for vendors with fields of their own. Untrusted
	// where the name says so.
	Type           string // finding type (untrusted)
	AccountID      string
	AccountName    string // untrusted
	Region         string
	ResourceARN    string // untrusted
	ResourceKind   finding.ResourceKind
	FindingID      string
	GuardDutyURL   string
	OpenedAt       time.Time
	UpdatedAt      time.Time
	FirstSeen      time.Time
	LastSeen       time.Time
	AcknowledgedBy string // untrusted
	Owner          string // untrusted
	ClosingNote    string // untrusted
	RawFinding     []byte // newest revision of the leading finding, may be nil
	// Data is the JSON form of the incident for webhooks; secrets-free.
	Data any
}
