package message

import (
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// Input is what Build needs to know about an incident.
type Input struct {
	Incident *incident.Incident // required; not changed
	Timeline []incident.Entry   // the entries so far, ascending by Seq
	Delivery string             // id of the delivery that the view is for

	// Explanation is the type catalogue's, for the type of the leading finding.
	Explanation Explanation

	Link       string // https link to the incident, or empty
	MergedLink string // https link to the incident that absorbed this one, or empty
	Elsewhere  []Reference
	RawFinding []byte // newest revision of the leading finding, may be nil
	// Runs are the responses, and the plans that wait for one, the oldest first.
	Runs []Run
	Now  time.Time
}

// Explanation says what a finding type means. While Known is set the sentences
// are guardroom's own; otherwise they were derived from a type that nobody has
// described, and count as written by others.
type Explanation struct {
	Title       string   // Bitcoin mining
	Preposition string   // from, on, in, of: joins Title and the resource
	Seen        string   // one sentence: what was seen and what it means
	Why         string   // one sentence: why it matters
	First       []string // what to check first; the first two are shown
	Known       bool
}

// The longest pieces that go into a view, in runes. Vendors cut again to limits
// of their own.
const (
	maxName     = 60
	maxTitle    = 160
	maxSentence = 300
	maxNote     = 500
	maxFindings = 20
	maxDoNext   = 2
)

// Build makes everything that a destination may show of in.Incident at its
// present revision. It does no I/O and gives the same view for the same input.
func Build(in Input) *View {
	inc := in.Incident
	v := &View{
		Kind:     KindIncident,
		Delivery: in.Delivery,
		Incident: inc.ID,
		Number:   inc.Number.String(),
		Revision: inc.Revision,
		Link:     in.Link,

		Severity:    inc.Severity,
		Band:        inc.Severity.Band(),
		OpeningBand: openingBand(inc, in.Timeline),
		State:       inc.State,
		Sample:      inc.Sample,
		Verdict:     inc.Verdict,
		MergedLink:  in.MergedLink,
		Elsewhere:   in.Elsewhere,
		Runs:        in.Runs,

		Type:           inc.Lead.Type,
		AccountID:      inc.Account.ID,
		AccountName:    inc.Account.Name,
		Region:         inc.Region,
		ResourceARN:    inc.Lead.Resource.ARN,
		ResourceKind:   inc.Lead.Resource.Kind,
		FindingID:      string(inc.Lead.FindingID),
		GuardDutyURL:   guardDutyURL(inc.Partition, inc.Region, inc.Lead.FindingID, inc.Lead.Type),
		OpenedAt:       inc.OpenedAt,
		UpdatedAt:      inc.UpdatedAt,
		FirstSeen:      inc.FirstSeen,
		LastSeen:       inc.LastSeen,
		AcknowledgedBy: inc.AcknowledgedBy,
		Owner:          inc.Owner,
		ClosingNote:    inc.Note,
		RawFinding:     in.RawFinding,
	}
	if inc.MergedInto > 0 {
		v.MergedInto = inc.MergedInto.String()
	}
	v.Headline = headline(inc, in.Explanation)
	v.Sentence = sentence(inc, in.Explanation)
	v.Meaning = meaning(inc, in.Explanation)
	v.Why = said(in.Explanation.Why, in.Explanation.Known)
	v.DoNext = doNext(inc, in.Explanation)
	v.Facts = facts(inc, in.Runs, in.Now)
	v.Context = contextLine(inc, in.Elsewhere, in.Now)
	v.Findings = findingLines(inc, in.Now)
	v.Events = events(inc, in.Timeline, in.Runs, in.Now)
	v.Data = incidentData(inc, v, in.Timeline)
	return v
}

// said returns s as our own words when they are ours.
func said(s string, ours bool) Text {
	if ours {
		return Words(s)
	}
	return value(s, maxSentence)
}

// value returns a value of others, cut at its end and defanged.
func value(s string, n int) Text { return Value(escape.CutEnd(escape.Defang(s), n)) }

// name returns a name of others, cut in its middle.
func name(s string) Text { return Value(escape.CutMiddle(s, maxName)) }

// openingBand is the band that the incident had when it was opened. The
// incident itself only remembers the highest.
func openingBand(inc *incident.Incident, timeline []incident.Entry) finding.Band {
	for _, e := range timeline {
		said := e.From
		switch e.Kind {
		case incident.KindOpened:
			said = e.To
		case incident.KindSeverityRaised:
		default:
			continue
		}
		if b, _, ok := parseSeverity(said); ok {
			return b
		}
	}
	return inc.Severity.Band()
}

// headline is what and where: Bitcoin mining from payments-api-3.
func headline(inc *incident.Incident, x Explanation) Text {
	if inc.Sample {
		return Words("Sample: ").Join(bareHeadline(inc, x))
	}
	return bareHeadline(inc, x)
}

func bareHeadline(inc *incident.Incident, x Explanation) Text {
	if !described(x) {
		return foreignTitle(inc)
	}
	if short := shortResource(inc); !short.IsEmpty() {
		return Words(x.Title + " " + preposition(x, inc.Lead.Role) + " ").Join(short)
	}
	return Words(x.Title + " in ").Join(shortAccount(inc))
}

// described reports whether the headline is made of our own words.
func described(x Explanation) bool { return x.Known && x.Title != "" }

// preposition stands between title and resource. Passwords are guessed on a
// resource or from it, under the same type: its role tells.
func preposition(x Explanation, role finding.Role) string {
	switch {
	case role == finding.RoleActor && strings.Contains(x.Title, "brute force"):
		return "from"
	case x.Preposition == "":
		return "on"
	}
	return x.Preposition
}

// foreignTitle is the headline of a type that the catalogue does not have:
// GuardDuty's own title, with the resource where the title does not name it.
func foreignTitle(inc *incident.Incident) Text {
	title := strings.TrimSpace(strings.TrimPrefix(inc.Lead.Title, "[SAMPLE]"))
	title = strings.TrimRight(title, ". ")
	var t Text
	switch {
	case title != "":
		t = value(title, maxTitle)
	case inc.Lead.Type != "":
		t = Value(escape.CutMiddle(inc.Lead.Type, maxTitle))
	default:
		t = Words("A finding without a type")
	}
	r := inc.Lead.Resource
	if titleNames(inc) {
		if r.Name != "" && !mentions(title, r.Name) {
			return t.Words(" (").Join(name(r.Name)).Words(")")
		}
		return t
	}
	if short := shortResource(inc); !short.IsEmpty() {
		return t.Words(" on ").Join(short)
	}
	return t.Words(" in ").Join(shortAccount(inc))
}

// titleNames reports whether GuardDuty's own title says which resource it is.
func titleNames(inc *incident.Incident) bool {
	r := inc.Lead.Resource
	return mentions(inc.Lead.Title, r.ID) || mentions(inc.Lead.Title, r.Name)
}

func mentions(title, s string) bool { return s != "" && strings.Contains(title, s) }

// sentence is the whole message in one line, for notifications and readers
// that show nothing else.
func sentence(inc *incident.Incident, x Explanation) Text {
	word := severityWord(inc.Severity.Band())
	if inc.Sample {
		word += ", sample"
	}
	t := Words(word + ": ").Join(bareHeadline(inc, x))
	r := inc.Lead.Resource
	said := !described(x) && titleNames(inc)
	if r.Name != "" && r.ID != "" && r.ID != r.Name && !sequence(inc) && !said {
		t = t.Words(" (").Join(name(r.ID)).Words(")")
	}
	if !shortResource(inc).IsEmpty() {
		t = t.Words(" in ").Join(shortAccount(inc))
	}
	if inc.Region != "" {
		t = t.Words(", ").Join(name(inc.Region))
	}
	return t.Words(". " + inc.Number.String() + ", " + stateWords(inc) + ".")
}

// meaning is what was seen.
func meaning(inc *incident.Incident, x Explanation) Text {
	switch {
	case x.Known && x.Seen != "":
		return Words(x.Seen)
	case inc.Lead.Description != "":
		return Words("GuardDuty says: ").Join(value(inc.Lead.Description, maxSentence))
	case x.Seen != "":
		return value(x.Seen, maxSentence)
	case inc.Lead.Type != "":
		return Words("GuardDuty reports ").Join(name(inc.Lead.Type)).Words(", a type that guardroom cannot explain.")
	}
	return Words("GuardDuty reports a finding without type and description.")
}

// doNext is left out as soon as somebody has taken the incident.
func doNext(inc *incident.Incident, x Explanation) []Text {
	if inc.State != incident.Open {
		return nil
	}
	if inc.Sample {
		return []Text{Words("Nothing: this is a sample finding, made for a test.")}
	}
	var lines []Text
	for _, s := range x.First {
		if s != "" && len(lines) < maxDoNext {
			lines = append(lines, said(s, x.Known))
		}
	}
	if len(lines) == 0 {
		lines = append(lines, Words("Read the finding in GuardDuty, then what the resource did at that time."))
	}
	return lines
}

// severityWord is the band as headlines write it.
func severityWord(b finding.Band) string { return strings.ToUpper(b.String()) }

// stateWords says where the incident stands, in the middle of a sentence.
func stateWords(inc *incident.Incident) string {
	if inc.State == incident.Closed {
		if inc.MergedInto > 0 {
			return "closed, merged into " + inc.MergedInto.String()
		}
		if w := verdictWords(inc.Verdict); w != "" {
			return "closed as " + w
		}
		return "closed"
	}
	switch inc.State {
	case incident.Acknowledged, incident.Contained:
		return string(inc.State)
	}
	return "open"
}

// verdictWords returns the verdict as people say it, and nothing for a word
// that is none of ours.
func verdictWords(v incident.Verdict) string {
	switch v {
	case incident.FalsePositive:
		return "false positive"
	case incident.Malicious, incident.Benign, incident.Test, incident.Unknown, incident.Merged:
		return string(v)
	}
	return ""
}
