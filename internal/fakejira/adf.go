package fakejira

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// adfNode is one node of the Atlassian document format:
// https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
type adfNode struct {
	Type    string         `json:"type"`
	Version int            `json:"version,omitempty"`
	Attrs   map[string]any `json:"attrs,omitempty"`
	Content []adfNode      `json:"content,omitempty"`
	Text    string         `json:"text,omitempty"`
	Marks   []adfMark      `json:"marks,omitempty"`
}

type adfMark struct {
	Type  string         `json:"type"`
	Attrs map[string]any `json:"attrs,omitempty"`
}

// kind says what a node may hold and which attributes it takes. A nil children
// list allows none; least is how many there must be.
type kind struct {
	children []string
	least    int
	attrs    []string
	needs    []string // attributes that must be there
}

// adfKinds is the allow-list of nodes.
func adfKinds() map[string]kind {
	inline := []string{"text", "hardBreak", "mention", "emoji", "date", "status", "inlineCard"}
	with := func(more ...string) []string {
		return append(more, "bulletList", "orderedList", "taskList")
	}
	blocks := with("paragraph", "heading", "panel", "table", "rule", "codeBlock", "blockquote")
	inCell := with("paragraph", "heading", "panel", "rule", "codeBlock", "blockquote", "nestedExpand")
	cell := kind{children: inCell, least: 1, attrs: []string{"colspan", "rowspan", "colwidth", "background", "localId"}}
	return map[string]kind{
		"doc":          {children: append(slices.Clone(blocks), "expand")},
		"paragraph":    {children: inline, attrs: []string{"localId"}},
		"heading":      {children: inline, attrs: []string{"level", "localId"}, needs: []string{"level"}},
		"panel":        {children: with("paragraph", "heading", "codeBlock", "rule"), least: 1, attrs: []string{"panelType", "localId"}, needs: []string{"panelType"}},
		"table":        {children: []string{"tableRow"}, least: 1, attrs: []string{"isNumberColumnEnabled", "layout", "localId", "width", "displayMode"}},
		"tableRow":     {children: []string{"tableCell", "tableHeader"}, least: 1, attrs: []string{"localId"}},
		"tableCell":    cell,
		"tableHeader":  cell,
		"bulletList":   {children: []string{"listItem"}, least: 1, attrs: []string{"localId"}},
		"orderedList":  {children: []string{"listItem"}, least: 1, attrs: []string{"order", "localId"}},
		"listItem":     {children: with("paragraph", "codeBlock"), least: 1, attrs: []string{"localId"}},
		"taskList":     {children: []string{"taskItem", "taskList"}, least: 1, attrs: []string{"localId"}, needs: []string{"localId"}},
		"taskItem":     {children: inline, attrs: []string{"localId", "state"}, needs: []string{"localId", "state"}},
		"blockquote":   {children: with("paragraph", "codeBlock"), least: 1, attrs: []string{"localId"}},
		"codeBlock":    {children: []string{"text"}, attrs: []string{"language", "uniqueId", "localId"}},
		"expand":       {children: append(slices.Clone(blocks), "nestedExpand"), least: 1, attrs: []string{"title", "localId"}},
		"nestedExpand": {children: []string{"paragraph", "heading", "panel", "codeBlock", "bulletList", "orderedList", "rule"}, least: 1, attrs: []string{"title", "localId"}, needs: []string{"title"}},
		"rule":         {attrs: []string{"localId"}},
		"hardBreak":    {attrs: []string{"text", "localId"}},
		"mention":      {attrs: []string{"id", "text", "accessLevel", "userType", "localId"}, needs: []string{"id"}},
		"emoji":        {attrs: []string{"shortName", "id", "text", "localId"}, needs: []string{"shortName"}},
		"date":         {attrs: []string{"timestamp", "localId"}, needs: []string{"timestamp"}},
		"status":       {attrs: []string{"text", "color", "localId", "style"}, needs: []string{"text", "color"}},
		"inlineCard":   {attrs: []string{"url", "data", "localId"}},
	}
}

// CheckADF says what Jira Cloud would refuse in a description or comment.
func CheckADF(raw json.RawMessage) error {
	_, err := parseADF(raw)
	return err
}

// parseADF reads a document and refuses what Jira does not show or take.
func parseADF(raw json.RawMessage) (adfNode, error) {
	var doc adfNode
	if len(raw) == 0 || raw[0] != '{' {
		return doc, errors.New("it is no object")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return doc, err
	}
	if doc.Type != "doc" || doc.Version != 1 {
		return doc, fmt.Errorf("the root is %q, version %d", doc.Type, doc.Version)
	}
	return doc, doc.check(adfKinds())
}

func (n adfNode) check(kinds map[string]kind) error {
	if n.Type == "text" {
		return n.checkText()
	}
	k, ok := kinds[n.Type]
	switch {
	case !ok:
		return fmt.Errorf("unknown node %q", n.Type)
	case n.Text != "":
		return fmt.Errorf("text in a %s", n.Type)
	case len(n.Marks) > 0:
		return fmt.Errorf("marks on a %s", n.Type)
	case n.Version != 0 && n.Type != "doc":
		return fmt.Errorf("version on a %s", n.Type)
	case len(n.Content) < k.least:
		return fmt.Errorf("a %s with %d children", n.Type, len(n.Content))
	}
	for _, a := range k.needs {
		if _, ok := n.Attrs[a]; !ok {
			return fmt.Errorf("a %s without %s", n.Type, a)
		}
	}
	for a := range n.Attrs {
		if !slices.Contains(k.attrs, a) {
			return fmt.Errorf("a %s with %q", n.Type, a)
		}
	}
	if err := n.checkAttrs(); err != nil {
		return err
	}
	for _, c := range n.Content {
		if !slices.Contains(k.children, c.Type) {
			return fmt.Errorf("a %s in a %s", c.Type, n.Type)
		}
		if n.Type == "codeBlock" && len(c.Marks) > 0 {
			return errors.New("marks in a codeBlock")
		}
		if err := c.check(kinds); err != nil {
			return err
		}
	}
	return nil
}

func (n adfNode) checkText() error {
	if n.Text == "" {
		return errors.New("an empty text node")
	}
	if len(n.Content) > 0 || len(n.Attrs) > 0 || n.Version != 0 {
		return errors.New("a text node with children or attributes")
	}
	known := []string{"strong", "em", "code", "link", "strike", "underline", "subsup", "textColor", "backgroundColor"}
	for _, m := range n.Marks {
		if !slices.Contains(known, m.Type) {
			return fmt.Errorf("unknown mark %q", m.Type)
		}
		if m.Type != "link" {
			continue
		}
		href, _ := m.Attrs["href"].(string)
		u, err := url.Parse(href)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" {
			return fmt.Errorf("a link to %q", href)
		}
	}
	return nil
}

func (n adfNode) checkAttrs() error {
	one := func(attr string, of ...string) error {
		if s, _ := n.Attrs[attr].(string); !slices.Contains(of, s) {
			return fmt.Errorf("a %s with %s %v", n.Type, attr, n.Attrs[attr])
		}
		return nil
	}
	switch n.Type {
	case "panel":
		return one("panelType", "info", "note", "warning", "error", "success")
	case "taskItem":
		return one("state", "TODO", "DONE")
	case "heading":
		if l, _ := n.Attrs["level"].(float64); l < 1 || l > 6 {
			return fmt.Errorf("a heading of level %v", n.Attrs["level"])
		}
	}
	return nil
}

// normalADF is the document as Jira returns it: keys in another order, texts
// joined, attributes and ids added. No two writes get the same ids.
func normalADF(doc adfNode, write int) string {
	count := 0
	doc.normalise(func() string {
		count++
		return fmt.Sprintf("%08x-%04x", write, count)
	})
	return doc.encode()
}

func (n *adfNode) normalise(id func() string) {
	set := func(k string, v any) {
		attrs := map[string]any{}
		maps.Copy(attrs, n.Attrs)
		if _, there := attrs[k]; !there {
			attrs[k] = v
		}
		n.Attrs = attrs
	}
	switch n.Type {
	case "table":
		set("isNumberColumnEnabled", false)
		set("layout", "default")
		set("localId", id())
	case "paragraph", "heading", "panel", "expand":
		set("localId", id())
	case "tableCell", "tableHeader":
		set("colspan", 1)
	}
	var kept []adfNode
	for _, c := range n.Content {
		if last := len(kept) - 1; c.Type == "text" && last >= 0 && kept[last].Type == "text" && len(c.Marks)+len(kept[last].Marks) == 0 {
			kept[last].Text += c.Text
			continue
		}
		c.normalise(id)
		kept = append(kept, c)
	}
	n.Content = kept
}

// encode writes keys in alphabetical order, as no client sends them.
func (n adfNode) encode() string {
	raw, err := json.Marshal(n)
	if err != nil {
		return ""
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return ""
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(sorted)
}

// text is what can be read, one block a line.
func (n adfNode) text() string {
	var b strings.Builder
	n.write(&b)
	return strings.TrimSpace(b.String())
}

func (n adfNode) write(b *strings.Builder) {
	b.WriteString(n.Text)
	for _, c := range n.Content {
		c.write(b)
	}
	switch n.Type {
	case "paragraph", "heading", "taskItem", "codeBlock", "rule":
		b.WriteString("\n")
	}
}

func (n *adfNode) tick() bool {
	if n.Type == "taskItem" && n.Attrs["state"] == "TODO" {
		n.Attrs["state"] = "DONE"
		return true
	}
	for i := range n.Content {
		if n.Content[i].tick() {
			return true
		}
	}
	return false
}
