package email

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// columns is where lines of the text part end.
const columns = 72

// body is what one mail says: the view, and what happened since the last mail.
type body struct {
	view *message.View
	news []message.Event
	date time.Time // of the mail
}

// clock prints when an event was, with the date when that is not the mail's.
func (b body) clock(t time.Time) string {
	t = t.UTC()
	if t.Format(time.DateOnly) == b.date.UTC().Format(time.DateOnly) {
		return t.Format("15:04") + " UTC"
	}
	return t.Format("2006-01-02 15:04") + " UTC"
}

// newsSayWhy reports whether the closing note is told as news already.
func (b body) newsSayWhy() bool {
	return slices.ContainsFunc(b.news, func(e message.Event) bool { return e.Kind == incident.KindClosed })
}

// plain renders t for a text part: values are shown, never interpreted.
func plain(t message.Text) string {
	return t.Render(func(s string) string { return s }, harmless)
}

// harmless is what a value of others goes through on its way into a mail. Mail
// clients make links of whatever looks like one, so no host name stays alive:
// the only links in a mail are ours.
func harmless(s string) string { return escape.Visible(escape.Defang(s)) }

// textPart is the complete message, readable in any client.
func textPart(b body) string {
	v := b.view
	var w textWriter
	// The first line is what clients show beside the subject.
	w.paragraph("", "", plain(v.Sentence))
	if len(b.news) > 0 {
		w.heading("What happened")
		for _, e := range b.news {
			when := b.clock(e.At) + "  "
			w.line(when, strings.Repeat(" ", len(when)), plain(e.Text))
		}
		w.blank()
	}
	w.paragraph("", "", plain(v.Meaning))
	if len(v.DoNext) > 0 {
		w.heading("Do next")
		for _, t := range v.DoNext {
			w.line("- ", "  ", plain(t))
		}
		w.blank()
	}
	for _, f := range v.Facts {
		w.line(pad(f.Label), pad(""), plain(f.Value))
	}
	if len(v.Facts) > 0 {
		w.blank()
	}
	if !v.Why.IsEmpty() {
		if v.Kind == message.KindIncident {
			w.heading("Why it matters")
		}
		w.paragraph("", "", plain(v.Why))
	}
	if v.ClosingNote != "" && !b.newsSayWhy() {
		w.heading("Closing note")
		w.paragraph("", "", harmless(v.ClosingNote))
	}
	if len(v.Findings) > 0 {
		w.heading(findingsHeading(v))
		for _, t := range v.Findings {
			w.line("- ", "  ", plain(t))
		}
		w.blank()
	}
	for _, l := range links(v) {
		w.line(pad(l.label), pad(""), l.url)
	}
	w.blank()
	w.paragraph("", "", contextText(v, plain))
	w.paragraph("", "", signature)
	return strings.TrimRight(w.String(), "\n") + "\n"
}

const signature = "Sent by guardroom. Replies to this mail are read by nobody."

func findingsHeading(v *message.View) string {
	if v.Kind == message.KindDigest {
		return "Incidents"
	}
	return "Findings"
}

// severityWord is the word with the number; tests have none.
func severityWord(v *message.View) string {
	switch v.Kind {
	case message.KindTest:
		return ""
	case message.KindIncident:
		return strings.ToUpper(v.Band.String()) + " " + v.Severity.String()
	}
	return strings.ToUpper(v.Band.String())
}

func contextText(v *message.View, render func(message.Text) string) string {
	parts := make([]string, 0, len(v.Context)+1)
	if v.Number != "" {
		parts = append(parts, v.Number)
	}
	for _, t := range v.Context {
		parts = append(parts, render(t))
	}
	return strings.Join(parts, " · ")
}

// link is a link of ours with a label of ours.
type link struct{ label, url string }

// links returns the links that a reader may follow. Anything but https is left
// out, whoever made it.
func links(v *message.View) []link {
	all := []link{{"Incident", v.Link}, {"Merged", v.MergedLink}, {"GuardDuty", v.GuardDutyURL}}
	for _, r := range v.Elsewhere {
		if label := escape.Visible(r.Destination); label != "" {
			all = append(all, link{label, r.URL})
		}
	}
	good := all[:0]
	for _, l := range all {
		if strings.HasPrefix(l.url, "https://") && strings.IndexFunc(l.url, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || r == '<' || r == '>' || r == '"' || r == '\''
		}) < 0 {
			good = append(good, l)
		}
	}
	return good
}

const labelWidth = 11

func pad(label string) string {
	label = escape.CutEnd(label, labelWidth-1)
	return label + strings.Repeat(" ", labelWidth-utf8.RuneCountInString(label))
}

// textWriter wraps lines at columns.
type textWriter struct{ strings.Builder }

func (w *textWriter) heading(s string) { w.WriteString(s + "\n") }

func (w *textWriter) blank() {
	if s := w.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		w.WriteString("\n")
	}
}

func (w *textWriter) paragraph(first, rest, s string) {
	if s == "" {
		return
	}
	w.line(first, rest, s)
	w.blank()
}

// line writes s behind first, wrapped; continued lines stand behind rest. A
// word that is longer than a line stays whole: it may be a link.
func (w *textWriter) line(first, rest, s string) {
	current, used := first, utf8.RuneCountInString(first)
	empty := true
	for word := range strings.FieldsSeq(s) {
		n := utf8.RuneCountInString(word)
		if !empty && used+1+n > columns {
			w.WriteString(strings.TrimRight(current, " ") + "\n")
			current, used, empty = rest, utf8.RuneCountInString(rest), true
		}
		if !empty {
			current += " "
			used++
		}
		current += word
		used += n
		empty = false
	}
	w.WriteString(strings.TrimRight(current, " ") + "\n")
}
