package jira

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// returned returns the hashes of a description as Jira gave it: of the whole,
// and of its text alone. A task that somebody ticked counts as unchanged, for
// ticking is what tasks are for.
func (n *Notifier) returned(raw json.RawMessage) (whole, text string) {
	if len(raw) == 0 || string(raw) == "null" {
		return digest(""), digest("")
	}
	if !n.cloud {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return digest(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))), textOfWiki(s)
		}
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return digest(string(raw)), ""
	}
	untick(v)
	canonical, err := json.Marshal(v) // keys in order
	if err != nil {
		return digest(string(raw)), ""
	}
	return digest(string(canonical)), textOf(raw)
}

func untick(v any) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			untick(c)
		}
	case map[string]any:
		if attrs, ok := v["attrs"].(map[string]any); ok && v["type"] == "taskItem" {
			attrs["state"] = "TODO"
		}
		untick(v["content"])
	}
}

// textOf is the hash of a document's text without its spaces.
func textOf(raw json.RawMessage) string {
	var b strings.Builder
	var doc node
	if json.Unmarshal(raw, &doc) == nil {
		doc.writeText(&b)
	}
	return digest(bare(b.String()))
}

func textOfWiki(s string) string { return digest(bare(s)) }

func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

func (n node) writeText(b *strings.Builder) {
	b.WriteString(n.Text)
	for _, c := range n.Content {
		c.writeText(b)
	}
}

// keepTicks carries over which tasks people ticked, by their text.
func keepTicks(doc node, was json.RawMessage) node {
	var old node
	if json.Unmarshal(was, &old) != nil {
		return doc
	}
	ticked := map[string]bool{}
	old.walk(func(n *node) {
		if n.Type == "taskItem" && n.Attrs["state"] == "DONE" {
			ticked[taskText(*n)] = true
		}
	})
	doc.walk(func(n *node) {
		if n.Type == "taskItem" && ticked[taskText(*n)] {
			n.Attrs["state"] = "DONE"
		}
	})
	return doc
}

func (n *node) walk(f func(*node)) {
	f(n)
	for i := range n.Content {
		n.Content[i].walk(f)
	}
}

func taskText(n node) string {
	var b strings.Builder
	n.writeText(&b)
	return strings.TrimSpace(b.String())
}
