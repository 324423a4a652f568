package jira

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

func hostileView(value string) *message.View {
	return &message.View{
		Kind: message.KindIncident, Number: "INC-42", State: incident.Open, Severity: 8, Band: 3,
		Meaning: message.Words("GuardDuty reports ").Value(value), Why: message.Value(value),
		DoNext:   []message.Text{message.Value(value)},
		Facts:    []message.Fact{{Label: "Resource", Value: message.Value(value)}},
		Findings: []message.Text{message.Value(value)}, RawFinding: []byte(value),
		Link: "https://guardroom.example/i/42",
	}
}

// faults lists what Jira would refuse in a document.
func faults(n node, top bool) []string {
	var list []string
	if n.Type == "text" && n.Text == "" {
		list = append(list, "an empty text node")
	}
	for _, c := range n.Content {
		if c.Type == "expand" && !top {
			list = append(list, "an expand below the top level")
		}
		if n.Type == "codeBlock" && len(c.Marks) > 0 {
			list = append(list, "marks in a code block")
		}
		if c.Type == "taskItem" && (c.Attrs["localId"] == nil || c.Attrs["state"] == nil) {
			list = append(list, "a task without id or state")
		}
		list = append(list, faults(c, false)...)
	}
	return list
}

func FuzzDescribeADF(f *testing.F) {
	for _, s := range []string{"", "i-0f3c", "[~admin]", `{"type":"doc"}`, "\x00\xff", strings.Repeat("x", 40000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc := describeADF(hostileView(s), sizes()[0], nil)
		if doc.Type != "doc" || doc.Version != 1 {
			t.Errorf("the root is %s, version %d", doc.Type, doc.Version)
		}
		for _, fault := range faults(doc, true) {
			t.Errorf("value %q makes %s", s, fault)
		}
		if _, err := json.Marshal(doc); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDescribeWiki(f *testing.F) {
	f.Add("[~admin]{noformat}{panel}")
	f.Fuzz(func(t *testing.T, s string) {
		got := describeWiki(hostileView(s), sizes()[0], nil)
		if n := strings.Count(got, "{noformat}"); n != 0 && n != 2 {
			t.Errorf("value %q makes %d noformat marks", s, n)
		}
		if n := strings.Count(got, "{panel}"); n != 2 {
			t.Errorf("value %q makes %d panel marks", s, n)
		}
	})
}
