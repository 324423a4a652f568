package slack

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// Our own limits, in characters as Slack counts them: a message is read on a
// phone. Together they stay below 6,000.
const (
	maxSentence = 600
	maxHeadline = 300
	maxMeaning  = 400
	maxOutcome  = 300
	maxField    = 200
	maxLabel    = 40
	maxShown    = 10 // fields
	maxStep     = 300
	maxSteps    = 2
	maxContext  = 400
	maxList     = 2000 // the lines of a digest
	maxLine     = 180
	maxLink     = 300
	maxDeepLink = 400 // into the AWS console
	maxOther    = 150 // into other destinations
	maxOthers   = 3
)

// Colours of the bar: hex, never Slack's names, so that golden files and the
// console agree.
const (
	grey   = "#707070"
	amber  = "#daa038"
	red    = "#a30200"
	violet = "#5b1a8e" // differs from red for those who cannot tell red from green
	blue   = "#1264a3"
	green  = "#2eb886"
)

// colour is by severity while the incident is open, by state afterwards.
func colour(v *message.View) string {
	switch {
	case v.Kind == message.KindTest:
		return grey
	case v.State == incident.Acknowledged:
		return amber
	case v.State == incident.Contained:
		return blue
	case v.State == incident.Closed:
		return green
	}
	switch band(v) {
	case finding.Critical:
		return violet
	case finding.High:
		return red
	case finding.Medium:
		return amber
	}
	return grey
}

// band trusts the number where the View has both.
func band(v *message.View) finding.Band { return max(v.Band, v.Severity.Band()) }

// dressing is what a root message has beside its View.
type dressing struct {
	mention   string // markup; empty: nobody
	continues string // note that it continues an earlier message; empty: it does not
	ageless   bool   // without how long ago it was, which changes by itself
}

// root lays out a root message: the headline above, the rest beside a bar of
// colour.
func (n *Notifier) root(v *message.View, d dressing) card {
	top := headline(v) + below(v)
	if d.mention != "" {
		top += "\n" + d.mention
	}
	rest := attachment{Color: colour(v)}
	if f := fields(v); len(f) > 0 {
		rest.Blocks = append(rest.Blocks, block{Type: "section", Fields: f})
	}
	if s := list(v); s != "" {
		rest.Blocks = append(rest.Blocks, section(s))
	}
	if s := doNext(v); s != "" {
		rest.Blocks = append(rest.Blocks, section(s))
	}
	if s := smallPrint(v, d); s != "" {
		rest.Blocks = append(rest.Blocks, block{Type: "context", Elements: []textObject{markup(s, maxSectionText)}})
	}
	c := card{text: orElse(plain(v.Sentence, maxSentence), "guardroom"), blocks: []block{section(top)}}
	if len(rest.Blocks) > 0 {
		c.attachments = []attachment{rest}
	}
	c.simple = simple(v, d)
	return c
}

// headline is the first line: how bad, which, what.
func headline(v *message.View) string {
	s := mark(v)
	if number := line(v.Number, 40); number != "" {
		s += "  " + linked(linkURL(v.Link, maxLink), number)
	}
	room := maxHeadline - utf8.RuneCountInString(mark(v)) - utf8.RuneCountInString(v.Number) - 6
	what := mrkdwn(v.Headline, room)
	if v.Number == "" {
		what = "  " + what
	} else {
		what = " " + what
	}
	s += strings.TrimRight(what, " ")
	if v.State == incident.Closed {
		s = "~" + s + "~"
	}
	return s
}

// mark is how bad it is, in a word.
func mark(v *message.View) string {
	word := strings.ToUpper(band(v).String())
	switch {
	case v.Kind == message.KindTest:
		return "*Test*"
	case v.Kind == message.KindDigest:
		return "*" + word + " at most*"
	case v.Kind == message.KindNotice:
		return "*" + word + "*"
	case v.Sample:
		return "*" + word + " " + v.Severity.String() + ", sample*"
	}
	return "*" + word + " " + v.Severity.String() + "*"
}

// below is what the first line means, or how it ended.
func below(v *message.View) string {
	var lines []string
	add := func(s string) {
		if s != "" {
			lines = append(lines, s)
		}
	}
	if v.Kind == message.KindIncident && v.State == incident.Closed {
		add(ending(v))
	} else {
		add(mrkdwn(v.Meaning, maxMeaning))
	}
	if v.Kind == message.KindNotice || v.Kind == message.KindTest {
		add(mrkdwn(v.Why, maxOutcome))
	}
	if len(lines) == 0 {
		return ""
	}
	return "\n" + strings.Join(lines, "\n")
}

// ending is the verdict with the note of the person who gave it.
func ending(v *message.View) string {
	if v.MergedInto != "" {
		return "*Merged* into " + linked(linkURL(v.MergedLink, maxLink), line(v.MergedInto, 40))
	}
	s := "*Closed*"
	if w := verdict(v.Verdict); w != "" {
		s = "*Closed as " + w + "*"
	}
	if strings.TrimSpace(v.ClosingNote) != "" {
		s += ": " + mrkdwn(message.Value(v.ClosingNote), maxOutcome)
	}
	return s
}

func verdict(v incident.Verdict) string {
	switch v {
	case incident.FalsePositive:
		return "false positive"
	case incident.Malicious, incident.Benign, incident.Test, incident.Unknown, incident.Merged:
		return string(v)
	}
	return ""
}

// fields are the facts, two columns wide. Account and region share one.
func fields(v *message.View) []textObject {
	var out []textObject
	for i := 0; i < len(v.Facts) && len(out) < min(maxShown, maxFields); i++ {
		f := v.Facts[i]
		if f.Label == "Account" && i+1 < len(v.Facts) && v.Facts[i+1].Label == "Region" {
			f = message.Fact{Label: "Account / region", Value: f.Value.Words(" / ").Join(v.Facts[i+1].Value)}
			i++
		}
		if value := mrkdwn(f.Value, maxField); value != "" {
			out = append(out, markup("*"+orElse(line(f.Label, maxLabel), "-")+"*\n"+value, maxFieldText))
		}
	}
	return out
}

// list is the incidents that a digest stands for.
func list(v *message.View) string {
	if v.Kind != message.KindDigest {
		return ""
	}
	var lines []string
	room := maxList
	for i, t := range v.Findings {
		s := "• " + mrkdwn(t, maxLine)
		if room -= utf8.RuneCountInString(s) + 1; room < 20 && i < len(v.Findings)-1 {
			lines = append(lines, "• …")
			break
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

// doNext is left out as soon as somebody has taken the incident.
func doNext(v *message.View) string {
	if v.State != incident.Open {
		return ""
	}
	var lines []string
	for _, t := range v.DoNext[:min(len(v.DoNext), maxSteps)] {
		if s := mrkdwn(t, maxStep); s != "" {
			lines = append(lines, s)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "*Do next:* " + strings.Join(lines, "\n")
}

// age is the item of the small print that changes while nothing happens.
var age = regexp.MustCompile(`^(under 1 min|\d+ (min|h|d))$`)

// smallPrint is the last row, with links to where else the incident is shown.
func smallPrint(v *message.View, d dressing) string {
	var items []string
	room, links := maxContext, maxOthers
	for _, t := range v.Context {
		s := mrkdwn(t, maxLine)
		if s == "" || d.ageless && age.MatchString(s) {
			continue
		}
		if room -= utf8.RuneCountInString(s) + 3; room < 0 {
			items = append(items, "…")
			break
		}
		if at, label := elsewhere(v, t); at != "" && links > 0 {
			links--
			s = linked(at, label)
		}
		items = append(items, s)
	}
	if at := linkURL(v.GuardDutyURL, maxDeepLink); at != "" {
		items = append(items, linked(at, "GuardDuty"))
	}
	if d.continues != "" {
		items = append(items, d.continues)
	}
	return strings.Join(items, " · ")
}

// safeLabel is a label that cannot mean anything in markup.
var safeLabel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 .#/-]{0,59}$`)

// elsewhere returns the address of what an item of the small print names.
func elsewhere(v *message.View, item message.Text) (at, label string) {
	same := func(s string) string { return s }
	name := item.Render(same, same) // compared, and shown only in a safe form
	if !safeLabel.MatchString(name) {
		return "", ""
	}
	for _, r := range v.Elsewhere {
		if name == r.Label || r.Type == "pagerduty" && name == "PagerDuty" {
			return linkURL(r.URL, maxOther), name
		}
	}
	return "", ""
}

// simple is the message without any layout. A page in ugly text beats no page.
func simple(v *message.View, d dressing) string {
	parts := []string{orElse(mrkdwn(v.Sentence, maxSentence), "guardroom"), mrkdwn(v.Meaning, maxMeaning)}
	if v.State == incident.Closed && v.Kind == message.KindIncident {
		parts[1] = ending(v)
	}
	parts = append(parts, doNext(v), entities(linkURL(v.Link, maxLink)), d.continues, d.mention)
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n")
}

func orElse(s, other string) string {
	if strings.TrimSpace(s) == "" {
		return other
	}
	return s
}

// mention returns whom a message calls: nobody for samples, tests and what is
// closed, and nobody where somebody has the incident already, unless it became
// worse since.
func (n *Notifier) mention(v *message.View, worse bool) string {
	taken := v.State == incident.Acknowledged || v.State == incident.Contained
	if v.Sample || v.Kind == message.KindTest || v.State == incident.Closed || taken && !worse || band(v) < n.mentionAt {
		return ""
	}
	return n.cfg.Mention.Who
}
