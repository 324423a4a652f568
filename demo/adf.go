package demo

import (
	"encoding/json"
	"fmt"
	"strings"
)

// document is what people see of an issue's description, row by row. Parts that
// Jira folds are named and their beginning is shown; raw JSON is only named.
func document(adf string) []string {
	var doc adfNode
	if json.Unmarshal([]byte(adf), &doc) != nil {
		return nil
	}
	return doc.rows()
}

// folded is how many rows of a part that Jira folds are shown.
const folded = 5

// adfNode is a node of the Atlassian document format.
type adfNode struct {
	Type    string    `json:"type"`
	Text    string    `json:"text"`
	Content []adfNode `json:"content"`
	Attrs   struct {
		Title string `json:"title"`
		State string `json:"state"`
	} `json:"attrs"`
}

func (n adfNode) rows() []string {
	switch n.Type {
	case "paragraph":
		return []string{n.text()}
	case "heading":
		return []string{"", n.text()}
	case "tableRow":
		var cells []string
		for _, c := range n.Content {
			cells = append(cells, c.text())
		}
		return []string{strings.Join(cells, ": ")}
	case "taskItem":
		box := "[ ] "
		if n.Attrs.State == "DONE" {
			box = "[x] "
		}
		return []string{box + n.text()}
	case "listItem":
		return []string{"- " + n.text()}
	case "expand":
		rows := n.inside()
		if more := len(rows) - folded; more > 0 {
			rows = append(rows[:folded:folded], fmt.Sprintf("(%d more)", more))
		}
		return append([]string{"", "v " + n.Attrs.Title}, rows...)
	case "codeBlock":
		return []string{"(the finding as GuardDuty sent it)"}
	case "rule":
		return []string{"----"}
	}
	return n.inside()
}

func (n adfNode) inside() []string {
	var out []string
	for _, c := range n.Content {
		out = append(out, c.rows()...)
	}
	return out
}

func (n adfNode) text() string {
	var b strings.Builder
	b.WriteString(n.Text)
	for _, c := range n.Content {
		b.WriteString(c.text())
	}
	return b.String()
}
