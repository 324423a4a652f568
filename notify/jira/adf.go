package jira

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// maxRaw is how many runes of the raw finding a description shows; Jira takes
// 32,767 characters in all.
const maxRaw = 8000

const footer = "Kept up to date by guardroom. Notes belong in comments."

// node is one node of the Atlassian document format, version 1:
// https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
type node struct {
	Type    string         `json:"type"`
	Version int            `json:"version,omitempty"`
	Attrs   map[string]any `json:"attrs,omitempty"`
	Content []node         `json:"content,omitempty"`
	Text    string         `json:"text,omitempty"`
	Marks   []mark         `json:"marks,omitempty"`
}

type mark struct {
	Type  string         `json:"type"`
	Attrs map[string]any `json:"attrs,omitempty"`
}

// block is a node around others; empty text nodes, which Jira refuses, are
// left out.
func block(kind string, content ...node) node {
	kept := make([]node, 0, len(content))
	for _, n := range content {
		if n.Type != "text" || n.Text != "" {
			kept = append(kept, n)
		}
	}
	return node{Type: kind, Content: kept}
}

func (n node) with(key string, value any) node {
	n.Attrs = map[string]any{key: value}
	return n
}

func text(s string, marks ...mark) node { return node{Type: "text", Text: s, Marks: marks} }

func paragraph(s string) node { return block("paragraph", text(s)) }

func heading(s string) node { return block("heading", text(s)).with("level", 3) }

// plain renders t for a text node, in which nothing is markup.
func plain(t message.Text) string { return t.Render(escape.Visible, escape.Visible) }

// describeADF is the description of v on Cloud.
func describeADF(v *message.View) node {
	doc := node{Type: "doc", Version: 1}
	add := func(nodes ...node) { doc.Content = append(doc.Content, nodes...) }
	add(block("panel", paragraph(status(v)), paragraph(plain(v.Meaning))).with("panelType", panelType(v)))
	if rows := adfRows(v.Facts); len(rows) > 0 {
		add(block("table", rows...))
	}
	if !v.Why.IsEmpty() {
		add(heading("Why it matters"), paragraph(plain(v.Why)))
	}
	if len(v.DoNext) > 0 {
		add(heading("Do next"), adfTasks(v))
	}
	if len(v.Findings) > 0 {
		add(adfFindings(v.Findings))
	}
	if raw := rawFinding(v); raw != "" {
		code := block("codeBlock", text(raw)).with("language", "json")
		add(block("expand", code).with("title", "Raw finding"))
	}
	last := block("paragraph", text(footer))
	if v.Link != "" {
		link := mark{Type: "link", Attrs: map[string]any{"href": v.Link}}
		last.Content = append(last.Content, text(" "), text("Open the incident", link))
	}
	add(node{Type: "rule"}, last)
	return doc
}

func adfRows(facts []message.Fact) []node {
	rows := make([]node, 0, len(facts))
	for _, f := range facts {
		rows = append(rows, block("tableRow",
			block("tableHeader", paragraph(f.Label)), block("tableCell", paragraph(plain(f.Value)))))
	}
	return rows
}

// adfTasks gives ids that are the same at every rendering, so that an
// unchanged list compares equal.
func adfTasks(v *message.View) node {
	list := block("taskList").with("localId", "guardroom-next")
	for i, t := range v.DoNext {
		item := block("taskItem", text(plain(t)))
		item.Attrs = map[string]any{"localId": fmt.Sprintf("guardroom-next-%d", i+1), "state": "TODO"}
		list.Content = append(list.Content, item)
	}
	return list
}

func adfFindings(lines []message.Text) node {
	list := block("bulletList")
	for _, t := range lines {
		list.Content = append(list.Content, block("listItem", paragraph(plain(t))))
	}
	return block("expand", list).with("title", "Findings")
}

// panelType is the colour; the severity is always written as a word too.
func panelType(v *message.View) string {
	switch {
	case v.State == incident.Closed:
		return "success"
	case v.Band >= finding.High:
		return "error"
	case v.Band == finding.Medium:
		return "warning"
	}
	return "info"
}

// status is the first line: HIGH 8.0, open, INC-42.
func status(v *message.View) string {
	s := fmt.Sprintf("%s %s, %s", strings.ToUpper(v.Band.String()), v.Severity, v.State)
	if v.Number != "" {
		s += ", " + v.Number
	}
	if v.MergedInto != "" {
		s += ", merged into " + v.MergedInto
	}
	return s
}

func rawFinding(v *message.View) string {
	lines := strings.Split(string(v.RawFinding), "\n")
	for i, l := range lines {
		lines[i] = escape.Visible(l)
	}
	return escape.CutEnd(strings.Join(lines, "\n"), maxRaw)
}
