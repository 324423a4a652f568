package message

import (
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// guardroomItself is the author of what no person did.
const guardroomItself = "guardroom"

// events returns the entries that are worth a line of their own, in the order
// of the timeline. What only says "updated" is not among them.
func events(inc *incident.Incident, timeline []incident.Entry) []Event {
	var list []Event
	speaker := speaker{inc: inc, lastClosed: lastClosed(timeline)}
	for _, e := range timeline {
		text, spoken := speaker.sentence(e)
		if !spoken {
			continue
		}
		list = append(list, Event{
			Seq: e.Seq, Kind: e.Kind, At: e.EventAt, Who: who(e.Who), Text: text, Alerts: alerts(e.Kind),
		})
	}
	return list
}

// alerts reports the kinds that must reach people who do not look.
func alerts(k incident.Kind) bool {
	switch k {
	case incident.KindSeverityRaised, incident.KindContained, incident.KindReopened:
		return true
	case incident.KindDeliveryParked:
		return true // another destination is blind: told once, to all who read this one
	}
	return false
}

func lastClosed(timeline []incident.Entry) int64 {
	var seq int64
	for _, e := range timeline {
		if e.Kind == incident.KindClosed {
			seq = e.Seq
		}
	}
	return seq
}

func who(s string) Text {
	if s == "" || s == guardroomItself {
		return Words(guardroomItself)
	}
	return name(s)
}

// speaker turns entries into sentences; it remembers who had the incident.
type speaker struct {
	inc            *incident.Incident
	lastClosed     int64
	acknowledgedBy string
}

func (s *speaker) sentence(e incident.Entry) (Text, bool) {
	switch e.Kind {
	case incident.KindAcknowledged:
		return s.acknowledged(e), true
	case incident.KindAssigned:
		return assigned(e), true
	case incident.KindSeverityRaised:
		return raised(e), true
	case incident.KindResourceJoined:
		if e.To != "" {
			return Words("Another resource joined: ").Join(name(e.To)).Words("."), true
		}
		return told("Another resource joined", e.Text), true
	case incident.KindContained:
		return told("Contained", e.Text), true
	case incident.KindClosed:
		return s.closed(e), true
	case incident.KindReopened:
		s.acknowledgedBy = ""
		return told("Reopened", e.Text), true
	case incident.KindDeliveryParked:
		return told("A delivery is parked", e.Text), true
	case incident.KindReleased:
		return told("Released", e.Text), true
	}
	return Text{}, false
}

func (s *speaker) acknowledged(e incident.Entry) Text {
	before := s.acknowledgedBy
	s.acknowledgedBy = e.Who
	if before != "" && before != e.Who {
		return who(e.Who).Words(" took over from ").Join(who(before)).Words(".")
	}
	return who(e.Who).Words(" acknowledged the incident.")
}

func assigned(e incident.Entry) Text {
	switch {
	case e.To == "":
		return told("Assigned", e.Text)
	case e.To == e.Who:
		return who(e.Who).Words(" took the incident.")
	}
	return who(e.Who).Words(" assigned the incident to ").Join(who(e.To)).Words(".")
}

func raised(e incident.Entry) Text {
	_, to, ok := parseSeverity(e.To)
	if !ok {
		return told("Severity raised", e.Text)
	}
	t := Words("Severity rose")
	if _, from, ok := parseSeverity(e.From); ok {
		t = t.Words(" from " + from)
	}
	return t.Words(" to " + to + ".")
}

func (s *speaker) closed(e incident.Entry) Text {
	t := who(e.Who).Words(" closed the incident")
	verdict := incident.Verdict(e.To)
	if verdictWords(verdict) == "" && e.Seq == s.lastClosed {
		verdict = s.inc.Verdict
	}
	current := e.Seq == s.lastClosed && s.inc.State == incident.Closed
	switch w := verdictWords(verdict); {
	case current && s.inc.MergedInto > 0:
		t = t.Words(": merged into " + s.inc.MergedInto.String())
	case w != "":
		t = t.Words(" as " + w)
	}
	if current && s.inc.Note != "" {
		// A note is a colleague's: its links are meant to be links.
		return t.Words(": ").Join(stop(s.inc.Note, Value(escape.CutEnd(strings.TrimSpace(s.inc.Note), maxNote))))
	}
	return t.Words(".")
}

// told is a word of ours followed by the entry's own text, which may hold
// values of others.
func told(words, text string) Text {
	text = strings.TrimSpace(text)
	if text == "" {
		return Words(words + ".")
	}
	if len(text) >= len(words) && strings.EqualFold(text[:len(words)], words) {
		return ended(text, maxSentence)
	}
	return Words(words + ": ").Join(ended(text, maxSentence))
}

// ended is a text of others that ends like a sentence.
func ended(s string, n int) Text {
	s = strings.TrimSpace(s)
	return stop(s, value(s, n))
}

// stop adds the full stop that the text behind t does not have.
func stop(s string, t Text) Text {
	s = strings.TrimSpace(s)
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return t
	}
	return t.Words(".")
}

// parseSeverity reads what a timeline entry holds as a severity: a number or a
// band's name. The words are ours, whatever was read.
func parseSeverity(s string) (b finding.Band, words string, ok bool) {
	s = strings.TrimSpace(s)
	if b, ok := finding.ParseBand(s); ok {
		return b, b.String(), true
	}
	f, err := strconv.ParseFloat(lastField(s), 64)
	if err != nil {
		return 0, "", false
	}
	sev, err := finding.CheckSeverity(f)
	if err != nil {
		return 0, "", false
	}
	return sev.Band(), sev.Label() + " " + sev.String(), true
}

// lastField returns 8.0 of "High 8.0".
func lastField(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[len(f)-1]
	}
	return ""
}
