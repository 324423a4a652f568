package jira

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// The limits of Jira, in characters.
const (
	maxSummary = 255
	maxLabel   = 255
	// maxDescription leaves room below 32,767 for what Jira adds.
	maxDescription = 32000
)

// limits says how much of a view a description shows.
type limits struct{ raw, text, findings, rows, runs int }

// sizes returns the limits to try, the most generous first.
func sizes() []limits {
	return []limits{
		{raw: 8000, text: 1000, findings: 20, rows: 20, runs: 5},
		{raw: 2000, text: 600, findings: 20, rows: 20, runs: 3},
		{raw: 0, text: 300, findings: 10, rows: 12, runs: 2},
		{raw: 0, text: 80, findings: 5, rows: 10, runs: 1},
	}
}

func (l limits) facts(v *message.View) []message.Fact { return v.Facts[:min(len(v.Facts), l.rows)] }

func (l limits) lines(v *message.View) []message.Text {
	return v.Findings[:min(len(v.Findings), l.findings)]
}

// follow is an earlier issue of the same incident.
type follow struct{ key, url, reason string }

func (f follow) why() string {
	if f.reason == whyGone {
		return ", which is gone or cannot be seen by guardroom."
	}
	return ", which was closed before the incident was reopened."
}

// rich is a description or a comment in the form of the dialect, with the
// hashes of the whole and of its text alone.
type rich struct {
	value      any
	sent, text string
}

// describe renders v as large as Jira takes it.
func (n *Notifier) describe(v *message.View, follows []follow) rich {
	var r rich
	for _, size := range sizes() {
		var length int
		if n.cloud {
			doc := describeADF(v, size, follows)
			raw, err := encode(doc)
			if err != nil {
				continue // strings and numbers always encode
			}
			r, length = rich{value: doc, sent: digest(string(raw)), text: textOf(raw)}, len(raw)
		} else {
			s := describeWiki(v, size, follows)
			r, length = rich{value: s, sent: digest(s), text: textOfWiki(s)}, utf8.RuneCountInString(s)
		}
		if length <= maxDescription {
			break
		}
	}
	return r
}

// summary is the title: [HIGH] Bitcoin mining from payments-api-3 (INC-42).
func summary(v *message.View) string {
	head := "[" + strings.ToUpper(v.Band.String()) + "] "
	if v.Kind == message.KindTest {
		head = "[TEST] "
	}
	tail := ""
	if v.Number != "" {
		tail = " (" + v.Number + ")"
	}
	room := maxSummary - utf8.RuneCountInString(head+tail)
	one := func(s string) string { return cut(s, room) }
	middle := escape.CutEnd(strings.TrimSpace(v.Headline.Render(one, one)), room)
	return strings.TrimSpace(head + middle + tail)
}

// idLabel is the label by which an issue is found again.
func idLabel(v *message.View) string {
	id := string(v.Incident)
	if id == "" {
		id = v.Delivery
	}
	return "gr-" + labelWord(id)
}

// labelWord returns s as a part of a label: no spaces, nothing that search
// takes for more than a letter. What had to be changed is told apart by a hash.
func labelWord(s string) string {
	lower := strings.ToLower(s)
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, lower)
	if clean == lower && len(clean) <= 100 {
		return clean
	}
	return clean[:min(len(clean), 80)] + "-" + digest(s)[:12]
}

// labels are the labels of the issue, ours and the configured ones.
func (n *Notifier) labels(v *message.View) []string {
	out := []string{"guardroom", idLabel(v)}
	if v.AccountID != "" {
		out = append(out, "aws-"+labelWord(v.AccountID))
	}
	if v.Sample {
		out = append(out, "sample")
	}
	if v.Kind != message.KindIncident && v.Kind != "" {
		out = append(out, "guardroom-"+labelWord(string(v.Kind)))
	}
	for _, l := range n.cfg.Labels {
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// priorityName is what the configuration calls a severity, and what new sites
// call it otherwise.
func (n *Notifier) priorityName(b finding.Band) string {
	for word, name := range n.cfg.Priorities {
		if parsed, ok := finding.ParseBand(word); ok && parsed == b {
			return name
		}
	}
	switch b {
	case finding.Critical:
		return "Highest"
	case finding.High, finding.Medium:
		return b.String()
	}
	return "Low"
}

// priority returns the id of the priority for v (or its name, where Jira tells no
// ids); empty, with a sentence, where
// the project has none of that name.
func (n *Notifier) priority(v *message.View, m *meta) (id, missing string) {
	name := n.priorityName(v.Band)
	if m.Blind {
		return byName + name, ""
	}
	f, ok := m.field("priority")
	if !ok {
		return "", "the project does not offer a priority; it is left out"
	}
	for _, c := range f.Allowed {
		if strings.EqualFold(c.label(), name) {
			return c.ID, ""
		}
	}
	return "", fmt.Sprintf("the project has no priority %q for %s; it is left out", escape.Visible(name), v.Band)
}

// byName marks a priority that is known by its name only.
const byName = "name:"

// priorityRef names a priority in a request.
func priorityRef(id string) map[string]string {
	if name, ok := strings.CutPrefix(id, byName); ok {
		return map[string]string{"name": name}
	}
	return map[string]string{"id": id}
}

// is reports whether a choice is the priority that was sent.
func (c choice) is(id string) bool {
	if name, ok := strings.CutPrefix(id, byName); ok {
		return strings.EqualFold(c.Name, name)
	}
	return c.ID == id
}

// status is the first line: HIGH 8.0, open, INC-42.
func status(v *message.View) string {
	if v.Kind == message.KindTest {
		return "TEST, nothing to be done"
	}
	s := fmt.Sprintf("%s %s, %s", strings.ToUpper(v.Band.String()), v.Severity, v.State)
	if v.Number != "" {
		s += ", " + v.Number
	}
	if v.Verdict != "" && v.MergedInto == "" {
		s += ", " + escape.Visible(v.Verdict.Words())
	}
	if v.MergedInto != "" {
		s += ", merged into " + v.MergedInto
	}
	if v.Sample {
		s += ", sample"
	}
	return s
}

func findingsTitle(v *message.View) string {
	if v.Kind == message.KindDigest {
		return "Incidents"
	}
	return "Findings"
}

func openWords(v *message.View) string {
	if v.Kind == message.KindIncident || v.Kind == "" {
		return "Open the incident"
	}
	return "Open in guardroom"
}

func rawFinding(v *message.View, most int) string {
	if most <= 0 || len(v.RawFinding) == 0 {
		return ""
	}
	lines := strings.Split(string(v.RawFinding[:min(len(v.RawFinding), 4*most)]), "\n")
	for i, l := range lines {
		lines[i] = escape.Visible(l)
	}
	shown := escape.CutEnd(strings.Join(lines, "\n"), most)
	if len(v.RawFinding) > 4*most && !strings.HasSuffix(shown, "…") {
		shown += "…"
	}
	return shown
}

// cut makes what is hidden in s visible, in at most n runes.
func cut(s string, n int) string { return escape.CutEnd(escape.Visible(shorten(s, n)), n) }

// shorten is escape.CutEnd without looking at what comes long after: others
// write as much as they like.
func shorten(s string, n int) string {
	if most := 4 * (n + 1); len(s) > most { // still more than n runes
		s = s[:most]
	}
	return escape.CutEnd(s, n)
}

// webAddress reports an address that may stand behind a link.
func webAddress(s string) bool {
	const longest = 2000
	u, err := url.Parse(s)
	return err == nil && len(s) <= longest && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}
