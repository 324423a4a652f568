package proxy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is one element of an XML answer, with its name and attributes as they
// were written.
type node struct {
	name     string
	attrs    []xml.Attr
	text     string
	children []*node
}

// parse reads an answer.
func parse(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	root := &node{}
	stack := []*node{root}
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read XML: %w", err)
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local, attrs: t.Copy().Attr}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) == 1 {
				return nil, errors.New("read XML: an element ends that did not begin")
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 || len(stack) != 1 {
		return nil, errors.New("read XML: not one document")
	}
	return root.children[0], nil
}

// print writes an answer.
func (n *node) print() []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	n.write(&b)
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer) {
	b.WriteString("<" + n.name)
	for _, a := range n.attrs {
		name := a.Name.Local
		if a.Name.Space != "" {
			name = a.Name.Space + ":" + name
		}
		b.WriteString(" " + name + `="`)
		_ = xml.EscapeText(b, []byte(a.Value)) // a buffer takes everything
		b.WriteString(`"`)
	}
	b.WriteString(">")
	if len(n.children) == 0 {
		_ = xml.EscapeText(b, []byte(n.text))
	}
	for _, c := range n.children {
		c.write(b)
	}
	b.WriteString("</" + n.name + ">")
}

// at is the first element on a path of names, a/b/c; nil: none.
func (n *node) at(path string) *node {
	for name := range strings.SplitSeq(path, "/") {
		if n == nil {
			return nil
		}
		var found *node
		for _, c := range n.children {
			if c.name == name {
				found = c
				break
			}
		}
		n = found
	}
	return n
}

// get is the text of the element on a path; empty: none.
func (n *node) get(path string) string {
	if n = n.at(path); n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// items are the members of a set on a path.
func (n *node) items(path string) []*node {
	set := n.at(path)
	if set == nil {
		return nil
	}
	var out []*node
	for _, c := range set.children {
		if c.name == "item" {
			out = append(out, c)
		}
	}
	return out
}

// set writes the text of the element on a path, and makes what is missing.
func (n *node) set(path, text string) {
	for name := range strings.SplitSeq(path, "/") {
		next := n.at(name)
		if next == nil {
			next = &node{name: name}
			n.children = append(n.children, next)
		}
		n = next
	}
	n.text, n.children = text, nil
}

// remove takes the children with a name away.
func (n *node) remove(name string) {
	var kept []*node
	for _, c := range n.children {
		if c.name != name {
			kept = append(kept, c)
		}
	}
	n.children = kept
}

// deep is the text of the first element with a name, wherever it is.
func (n *node) deep(name string) string {
	if n.name == name {
		return strings.TrimSpace(n.text)
	}
	for _, c := range n.children {
		if s := c.deep(name); s != "" {
			return s
		}
	}
	return ""
}

// leaf is an element with a text.
func leaf(name, text string) *node { return &node{name: name, text: text} }

// branch is an element with children.
func branch(name string, children ...*node) *node { return &node{name: name, children: children} }
