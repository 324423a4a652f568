package jira

import (
	"fmt"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

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

// plain renders t for a text node, in which nothing is markup. No part of it is
// longer than n runes.
func plain(t message.Text, n int) string {
	one := func(s string) string { return cut(s, n) }
	return t.Render(one, one)
}

// linked is s as a link; as text where the address is none.
func linked(s, address string) node {
	if !webAddress(address) {
		return text(s)
	}
	return text(s, mark{Type: "link", Attrs: map[string]any{"href": address}})
}

// describeADF is the description of v on Cloud.
func describeADF(v *message.View, size limits, follows []follow) node {
	doc := node{Type: "doc", Version: 1}
	add := func(nodes ...node) { doc.Content = append(doc.Content, nodes...) }
	panel := block("panel", block("paragraph", text(status(v))), block("paragraph", text(plain(v.Meaning, size.text)))).with("panelType", panelType(v))
	if v.MergedInto != "" && webAddress(v.MergedLink) {
		panel.Content = append(panel.Content, block("paragraph", text("See "), linked(v.MergedInto, v.MergedLink)))
	}
	for _, f := range follows {
		panel.Content = append(panel.Content, block("paragraph", text("Follows "), linked(f.key, f.url), text(f.why())))
	}
	add(panel)
	if rows := adfRows(size.facts(v), size); len(rows) > 0 {
		add(block("table", rows...))
	}
	add(adfRuns(v, size)...)
	if !v.Why.IsEmpty() {
		add(heading("Why it matters"), paragraph(plain(v.Why, size.text)))
	}
	if len(v.DoNext) > 0 {
		add(heading("Do next"), adfTasks(v, size))
	}
	if lines := size.lines(v); len(lines) > 0 {
		add(adfFindings(findingsTitle(v), lines, size))
	}
	if raw := rawFinding(v, size.raw); raw != "" {
		code := block("codeBlock", text(raw)).with("language", "json")
		add(block("expand", code).with("title", "Raw finding"))
	}
	last := block("paragraph", text(footer))
	if webAddress(v.Link) {
		last.Content = append(last.Content, text(" "), linked(openWords(v), v.Link))
	}
	add(node{Type: "rule"}, last)
	return doc
}

func adfRows(facts []message.Fact, size limits) []node {
	rows := make([]node, 0, len(facts))
	for _, f := range facts {
		rows = append(rows, block("tableRow",
			block("tableHeader", paragraph(f.Label)), block("tableCell", paragraph(plain(f.Value, size.text)))))
	}
	return rows
}

// adfTasks gives ids that are the same at every rendering, so that an
// unchanged list compares equal.
func adfTasks(v *message.View, size limits) node {
	list := block("taskList").with("localId", "guardroom-next")
	for i, t := range v.DoNext {
		item := block("taskItem", text(plain(t, size.text)))
		item.Attrs = map[string]any{"localId": fmt.Sprintf("guardroom-next-%d", i+1), "state": "TODO"}
		list.Content = append(list.Content, item)
	}
	return list
}

func adfFindings(title string, lines []message.Text, size limits) node {
	list := block("bulletList")
	for _, t := range lines {
		list.Content = append(list.Content, block("listItem", paragraph(plain(t, size.text))))
	}
	return block("expand", list).with("title", title)
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
