package pagerduty

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// Limits of https://developer.pagerduty.com/docs/events-api-v2-overview, and
// shorter ones of our own for what is read on a phone.
const (
	maxSummary  = 1024
	maxHeadline = 700
	maxSource   = 500
	maxDetail   = 400
	maxLabel    = 40
	maxDetails  = 16
	maxLinks    = 6
	maxURL      = 2000
	maxTitle    = 255 // of a REST incident
	maxBody     = 4000
)

// content is what both APIs say about a View, with everything that others wrote
// made visible and cut.
type content struct {
	title    string
	source   string
	severity string // critical, error, warning or info
	band     finding.Band
	at       time.Time
	class    string
	kind     string
	group    string
	details  []detail // in the order of reading
	link     string
	links    []link
}

type detail struct{ label, value string }

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// severityOf maps to the four words of the Events API, which refuses any other
// spelling.
func severityOf(b finding.Band) string {
	switch b {
	case finding.Critical:
		return "critical"
	case finding.High:
		return "error"
	case finding.Medium:
		return "warning"
	}
	return "info"
}

// show is what happens to words that others wrote: hidden characters become
// visible, names of hosts do not become links on a phone.
func show(s string) string { return escape.Defang(escape.Visible(s)) }

// name is for ARNs and finding types, which have full stops of their own and
// stay as they are unless somebody made a link or a sentence of them.
func name(s string) string {
	s = strings.TrimSpace(escape.Visible(s))
	if strings.Contains(s, "://") || strings.Contains(s, " ") {
		return escape.Defang(s)
	}
	return s
}

func text(t message.Text, n int) string {
	return escape.CutEnd(strings.TrimSpace(t.Render(escape.Visible, show)), n)
}

func (n *Notifier) content(v *message.View) content {
	b := band(v)
	m := content{
		severity: severityOf(b), band: b, title: title(v, b), source: source(v), at: v.LastSeen,
		class: escape.CutEnd(name(v.Type), maxSource), kind: string(v.ResourceKind), group: group(v),
		link: webLink(v.Link),
	}
	switch {
	case v.Kind == message.KindTest:
		m.severity, m.band = "info", finding.Informational
	case v.Kind == message.KindNotice, v.Kind == message.KindDigest && b < finding.Medium:
		// guardroom's own trouble, and a storm, are worth a look at any hour.
		m.severity, m.band = "warning", finding.Medium
	}
	if m.at.IsZero() {
		m.at = v.UpdatedAt
	}
	m.details = details(v)
	m.links = links(v)
	return m
}

// letOut reports whether what was contained is not any more, by nobody's approval.
func letOut(v *message.View) bool {
	for _, e := range slices.Backward(v.Events) {
		switch {
		case e.Kind == incident.KindDrift && e.Became == incident.Open:
			return v.State == incident.Open || v.State == incident.Acknowledged
		case e.Became != "", e.Kind == incident.KindReopened:
			return false
		}
	}
	return false
}

// title is the first line on the phone: how bad, what, where, which.
func title(v *message.View, b finding.Band) string {
	head := text(v.Headline, maxHeadline)
	if head == "" {
		head = text(v.Sentence, maxHeadline)
	}
	if head == "" {
		head = escape.CutEnd(show(v.Type), maxHeadline)
	}
	if head == "" {
		head = "guardroom"
	}
	switch v.Kind {
	case message.KindTest:
		return "TEST " + head
	case message.KindDigest, message.KindNotice:
		return head
	}
	s := strings.ToUpper(b.String()) + " "
	if letOut(v) {
		s += "NO LONGER CONTAINED: "
	}
	s += head
	if account := accountName(v); account != "" && !strings.HasSuffix(head, " in "+account) {
		s += " in " + escape.CutMiddle(account, 100)
	}
	if v.Number != "" {
		s += " (" + v.Number + ")"
	}
	return escape.CutEnd(s, maxSummary)
}

func accountName(v *message.View) string {
	if v.AccountName != "" {
		return show(v.AccountName)
	}
	return escape.CutEnd(show(v.AccountID), maxLabel)
}

// source is required and must never be empty.
func source(v *message.View) string {
	for _, s := range []string{v.ResourceARN, fact(v, "Resource"), v.FindingID, v.AccountID, string(v.Incident)} {
		if s = name(s); s != "" {
			return escape.CutMiddle(s, maxSource)
		}
	}
	return "guardroom"
}

func fact(v *message.View, label string) string {
	for _, f := range v.Facts {
		if strings.EqualFold(f.Label, label) {
			return text(f.Value, maxDetail)
		}
	}
	return ""
}

func group(v *message.View) string {
	account, region := escape.CutMiddle(accountName(v), 100), escape.CutEnd(escape.Visible(v.Region), maxLabel)
	if account == "" || region == "" {
		return account + region
	}
	return account + "/" + region
}

// details are flat and short, the most useful first.
func details(v *message.View) []detail {
	var out []detail
	seen := map[string]bool{}
	add := func(label, value string) {
		label = labelOf(label)
		if label == "" || value == "" || seen[label] || len(out) == maxDetails {
			return
		}
		seen[label] = true
		out = append(out, detail{label, value})
	}
	add("meaning", text(v.Meaning, maxDetail))
	add("why", text(v.Why, maxDetail))
	for i, t := range v.DoNext {
		add([]string{"next step", "then"}[min(i, 1)], text(t, maxDetail))
	}
	for _, f := range v.Facts {
		add(f.Label, text(f.Value, maxDetail))
	}
	add("owner", escape.CutEnd(show(v.Owner), maxDetail))
	var context []string
	for _, t := range v.Context {
		context = append(context, text(t, maxDetail))
	}
	add("context", escape.CutEnd(strings.Join(context, " · "), maxDetail))
	add("finding type", escape.CutEnd(name(v.Type), maxDetail))
	if v.Kind == message.KindIncident {
		add("incident", v.Number)
	}
	return out
}

// labelOf writes a label as a key: next_step.
func labelOf(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
	return escape.CutEnd(strings.Trim(s, "_"), maxLabel)
}

func links(v *message.View) []link {
	var out []link
	add := func(href, label string) {
		if href = webLink(href); href != "" && len(out) < maxLinks {
			out = append(out, link{href, label})
		}
	}
	label := v.Number
	if label == "" {
		label = "This"
	}
	add(v.Link, label+" in guardroom")
	add(v.GuardDutyURL, "Finding in GuardDuty")
	for _, r := range v.Elsewhere {
		if r.Type != "pagerduty" {
			add(r.URL, strings.TrimSpace(r.Type+" "+escape.CutEnd(show(r.Label), maxLabel)))
		}
	}
	return out
}

// webLink returns raw where it is a clean http(s) URL, else nothing: one bad
// link would lose the whole page.
func webLink(raw string) string {
	if len(raw) > maxURL || !utf8.ValidString(raw) || escape.Visible(raw) != raw || strings.ContainsAny(raw, " \"<>") {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return raw
}

// prose is the content as text, for the body of a REST incident.
func (m content) prose() string {
	var b strings.Builder
	for _, d := range m.details {
		b.WriteString(d.label + ": " + d.value + "\n")
	}
	for _, l := range m.links {
		b.WriteString(l.Text + ": " + l.Href + "\n")
	}
	return escape.CutEnd(strings.TrimSpace(b.String()), maxBody)
}

func testMessage(destination string, now time.Time) content {
	what := "test from guardroom"
	if destination != "" {
		what = "test of destination " + escape.CutEnd(escape.Visible(destination), 100) + " from guardroom"
	}
	return content{
		title: "TEST " + what + " at " + now.UTC().Format("15:04:05") + " UTC", source: "guardroom", severity: "info",
		at: now, details: []detail{{"meaning", "a person asked for this test; there is nothing to do"}},
	}
}

// noteText is the line that a REST incident gets for an entry of the timeline.
func noteText(e message.Event, number string) string {
	s := text(e.Text, 1500)
	if s == "" {
		s = strings.ReplaceAll(string(e.Kind), "_", " ")
	}
	return s + " (" + strings.TrimSpace(number+" "+e.At.UTC().Format("2006-01-02 15:04:05")+" UTC") + ")"
}

// noted are the entries that become notes.
func noted(e message.Event) bool {
	switch e.Kind {
	case incident.KindAcknowledged, incident.KindSeverityRaised, incident.KindContained, incident.KindClosed, incident.KindReopened,
		incident.KindPlanWaits, incident.KindPlanDecided, incident.KindEvidenceReady, incident.KindReleased, incident.KindDrift, incident.KindProven,
		incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain:
		return true
	case incident.KindRunEnded:
		return e.Alerts // one that ended well is told by what it did
	}
	return false
}
