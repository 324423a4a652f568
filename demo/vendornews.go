package demo

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// row is one line for the screen: which channel, whose message, issue or alert,
// and what happened to it. fresh is the short form of something new.
type row struct{ label, who, text, fresh string }

// grouped joins rows that say the same of several.
func grouped(rows []row) []row {
	var out []row
	for _, r := range rows {
		at := slices.IndexFunc(out, func(o row) bool { return o.label == r.label && o.text == r.text && o.who != "" && r.who != "" })
		if at >= 0 {
			who := append(strings.Split(out[at].who, ", "), r.who)
			slices.SortFunc(who, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
			out[at].who = strings.Join(who, ", ")
			continue
		}
		out = append(out, r)
	}
	return out
}

// brief puts everything new into one row: the incident's own row has said what
// it is about.
func brief(rows []row) []row {
	var fresh []string
	var out []row
	for _, r := range rows {
		if r.fresh != "" {
			fresh = append(fresh, r.fresh)
		} else {
			out = append(out, r)
		}
	}
	if len(fresh) == 0 {
		return out
	}
	return slices.Insert(out, 0, row{label: "told", text: strings.Join(fresh, ", ")})
}

// news returns what the vendors show now and did not show at the last call.
func (v *vendors) news() []row {
	return slices.Concat(grouped(v.slackNews()), grouped(v.jiraNews()), grouped(v.pagerNews()))
}

var numberForm = regexp.MustCompile(`\bINC-\d+\b`)

func (v *vendors) slackNews() []row {
	var out []row
	for _, m := range v.slack.All() {
		old, known := v.messages[m.TS]
		v.messages[m.TS] = m
		switch {
		case !known && m.ThreadTS == "":
			head := headline(m)
			v.numbers[m.TS] = numberForm.FindString(head)
			out = append(out, row{label: "slack", text: head + v.mention(m), fresh: channelName + v.mention(m)})
		case !known:
			number := v.numbers[m.ThreadTS]
			text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(plain(m.Text), "\n", " "), number))
			if m.Broadcast {
				text = "thread, also in " + channelName + ": " + text
			} else {
				text = "thread: " + text
			}
			out = append(out, row{label: "slack", who: number, text: text})
		case m.Edits > old.Edits:
			if text := edited(old, m); text != "" {
				if m.ThreadTS != "" {
					text = "thread, " + text
				}
				out = append(out, row{label: "slack", who: cmp.Or(v.numbers[m.TS], v.numbers[m.ThreadTS]), text: text})
			}
		}
	}
	return out
}

// mention says whom a message called when it was posted. An edit takes that
// out, so it is read from what was sent.
func (v *vendors) mention(m fakeslack.Message) string {
	for _, call := range v.slack.Transcript() {
		if call.Effect != "posted" || !strings.Contains(call.Answer, `"`+m.TS+`"`) {
			continue
		}
		for _, form := range []string{"<!here>", `\u003c!here\u003e`, "%3C%21here%3E"} {
			if strings.Contains(call.Body, form) {
				return " @here"
			}
		}
	}
	return ""
}

// edited says what an edit changed that people look for. Times that went on and
// references to other channels are edited in too, and are not worth a row.
func edited(old, m fakeslack.Message) string {
	if isStruck(m) && !isStruck(old) {
		return "edited: struck through, " + firstOf(standing(m))
	}
	number := func(m fakeslack.Message) string { return strings.Join(strings.Fields(headline(m)), " ") }
	if number(m) != number(old) {
		return "edited: " + headline(m)
	}
	before := wholeMessage(old)
	for _, line := range wholeMessage(m) {
		if line != standing(m) && !slices.Contains(before, line) {
			return "edited: " + line
		}
	}
	was := strings.Split(standing(old), separator)
	for part := range strings.SplitSeq(standing(m), separator) {
		if !slices.Contains(was, part) && !passing.MatchString(part) {
			return "edited: " + part
		}
	}
	return ""
}

// separator stands between the parts of a context line.
const separator = " · "

var passing = regexp.MustCompile(`^([A-Z]+-\d+|PagerDuty.*|Slack.*|GuardDuty|\d.* (s|min|h|d)|\d+ more related|related .*|absorbed .*)$`)

func firstOf(context string) string {
	first, _, _ := strings.Cut(context, separator)
	return first
}

func (v *vendors) jiraNews() []row {
	var out []row
	calls := v.jira.Transcript()
	for _, c := range calls[v.calls:] {
		if c.Fault != fakejira.NoFault {
			out = append(out, row{label: "jira", text: "answers 429, too many requests: guardroom waits and comes again"})
		}
	}
	v.calls = len(calls)
	for _, i := range v.jira.Issues() {
		old, known := v.issues[i.Key]
		v.issues[i.Key] = i
		switch {
		case !known:
			out = append(out, row{label: "jira", text: i.Key + " " + i.Summary, fresh: i.Key})
		default:
			out = append(out, issueNews(old, i)...)
		}
	}
	return out
}

func issueNews(old, i fakejira.Issue) []row {
	var parts []string
	if i.Status != old.Status {
		parts = append(parts, old.Status+" -> "+i.Status)
	}
	if i.Summary != old.Summary {
		parts = append(parts, "is now "+i.Summary)
	}
	var out []row
	say := func() {
		if len(parts) > 0 {
			out = append(out, row{label: "jira", who: i.Key, text: strings.Join(parts, "; ")})
		}
		parts = nil
	}
	for _, c := range i.Comments[min(len(old.Comments), len(i.Comments)):] {
		first, _, _ := strings.Cut(c.Text, "\n")
		parts = append(parts, "comment: "+first)
		say()
	}
	say()
	return out // none: a description that was brought up to date
}

func (v *vendors) pagerNews() []row {
	var out []row
	all := v.pager.Alerts()
	say := func(a fakepagerduty.Alert, text string) {
		out = append(out, row{label: "pagerduty", who: numberForm.FindString(a.Summary), text: text})
	}
	for n, a := range all {
		switch {
		case n >= len(v.alerts):
			out = append(out, row{label: "pagerduty", text: "pages: " + a.Summary, fresh: "PagerDuty pages"})
			if a.Status != fakepagerduty.Triggered {
				say(a, string(a.Status))
			}
		case a.Status != v.alerts[n].Status:
			say(a, string(a.Status))
		case a.Triggers > v.alerts[n].Triggers:
			say(a, "pages again")
		}
	}
	v.alerts = all
	return out
}
