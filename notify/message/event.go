package message

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// guardroomItself is the author of what no person did.
const guardroomItself = "guardroom"

// events returns the entries that are worth a line of their own, in the order
// of the timeline. What only says "updated" is not among them.
func events(inc *incident.Incident, timeline []incident.Entry, runs []Run, now time.Time) []Event {
	var list []Event
	speaker := speaker{inc: inc, lastClosed: lastClosed(timeline), runs: runs, now: now}
	for _, e := range timeline {
		speaker.letOut(e)
		text, spoken := speaker.sentence(e)
		if !spoken {
			continue
		}
		list = append(list, Event{
			Seq: e.Seq, Kind: e.Kind, At: e.EventAt, Who: who(e.Who), Text: text, Alerts: alerts(e) || speaker.calls(e), Became: became(e),
		})
	}
	return list
}

// became is what a response made of the incident.
func became(e incident.Entry) incident.State {
	switch e.Kind {
	case incident.KindContained, incident.KindReleased, incident.KindDrift:
		return incident.State(e.To)
	}
	return ""
}

// alerts reports what must reach people who do not look.
func alerts(e incident.Entry) bool {
	switch e.Kind {
	case incident.KindSeverityRaised:
		// From 7.0 to 8.0 is High before and after: nothing to wake up for.
		from, _, known := parseSeverity(e.From)
		to, _, ok := parseSeverity(e.To)
		return !known || !ok || to > from
	case incident.KindContained, incident.KindReopened, incident.KindPlanWaits, incident.KindPlanExpires, incident.KindDrift, incident.KindReleased,
		incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen:
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
	runs           []Run
	now            time.Time
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
		return s.joined(e), true
	case incident.KindContained:
		return s.held("Contained", e), true
	case incident.KindClosed:
		return s.closed(e), true
	case incident.KindReopened:
		s.acknowledgedBy = ""
		return because(who(e.Who).Words(" reopened the incident"), reason(e.Text, "reopened")), true
	case incident.KindDeliveryParked:
		return parked(e), true
	case incident.KindReleased:
		return s.held("Released", e), true
	}
	return s.response(e)
}

// letOut forgets who had the incident: nobody has seen this yet.
func (s *speaker) letOut(e incident.Entry) {
	if e.Kind == incident.KindDrift && e.To == string(incident.Open) {
		s.acknowledgedBy = ""
	}
}

func (s *speaker) acknowledged(e incident.Entry) Text {
	before := e.From
	if before == "" || before == string(incident.Open) {
		before = s.acknowledgedBy
	}
	s.acknowledgedBy = e.Who
	if before != "" && before != e.Who {
		return who(e.Who).Words(" took over from ").Join(who(before)).Words(".")
	}
	return who(e.Who).Words(" acknowledged the incident.")
}

func assigned(e incident.Entry) Text {
	switch {
	case e.To == "":
		return who(e.Who).Words(" left the incident unassigned.")
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
	if current && s.inc.MergedInto > 0 {
		return t.Words(": merged into " + s.inc.MergedInto.String() + ".")
	}
	w := verdictWords(verdict)
	if w != "" {
		t = t.Words(" as " + w)
	}
	note := after(e.Text, "closed as "+w)
	if current && s.inc.Note != "" {
		note = s.inc.Note
	}
	return because(t, note)
}

// because adds what a person gave as the reason. A colleague's links are meant
// to be links, so it is not defanged here.
func because(t Text, why string) Text {
	why = strings.TrimSpace(why)
	if why == "" {
		return t.Words(".")
	}
	return t.Words(": ").Join(stop(why, Value(escape.CutEnd(why, maxNote))))
}

// after returns what a timeline text says after "words: ", or nothing where it
// does not begin so.
func after(text, words string) string {
	rest, found := strings.CutPrefix(text, words+": ")
	if !found {
		return ""
	}
	return rest
}

// reason is like after, for texts that are the reason where they do not begin
// with the words.
func reason(text, words string) string {
	if text == words {
		return ""
	}
	if rest := after(text, words); rest != "" {
		return rest
	}
	return text
}

// joined names the resource as people do, where the incident still knows it.
func (s *speaker) joined(e incident.Entry) Text {
	for _, r := range s.inc.Resources {
		if e.To != "" && r.ID == e.To && r.Name != "" && r.Name != r.ID {
			return Words("Another resource joined: ").Join(name(r.Name)).Words(" (").Join(name(r.ID)).Words(").")
		}
	}
	if e.To != "" {
		return Words("Another resource joined: ").Join(name(e.To)).Words(".")
	}
	return told("Another resource joined", e.Text)
}

func parked(e incident.Entry) Text {
	if e.To == "" {
		return told("A delivery is parked", e.Text)
	}
	t := Words("The delivery to ").Join(name(e.To)).Words(" is parked")
	why := reason(e.Text, "the delivery to "+e.To+" is parked")
	if why == "" {
		return t.Words(".")
	}
	return t.Words(": ").Join(ended(why, maxSentence))
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
	if utf8.RuneCountInString(s) > n {
		return value(s, n) // cut, it ends with an ellipsis
	}
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
