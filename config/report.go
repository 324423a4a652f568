package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// fail reports a problem at node. Which lines may be shown is decided in
// finish, when all secrets are known.
func (d *decoder) fail(node ast.Node, path, hint, format string, args ...any) {
	p := Problem{File: d.file, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if node != nil {
		p.at(node.GetToken())
		if _, scalar := text(node); !scalar {
			// Nobody looks into it, and there may be secrets in it.
			d.hide(node.GetToken(), node)
			d.hide(d.places[path], node)
		}
	}
	d.bad[path] = true
	d.problems = append(d.problems, p)
}

// failAt reports a problem of the value at path, or where it would stand. A
// value that was found wrong already is not reported again.
func (d *decoder) failAt(path, hint, format string, args ...any) {
	if d.wrong(path) {
		return
	}
	d.bad[path] = true
	p := Problem{File: d.file, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	p.at(d.place(path))
	d.problems = append(d.problems, p)
}

// wrong reports a path that was found wrong already, or that is inside of one.
func (d *decoder) wrong(path string) bool {
	for path != "" && !d.bad[path] {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return path != ""
}

// place is the token of a path, or of the nearest one around it.
func (d *decoder) place(path string) *token.Token {
	for path != "" && d.places[path] == nil {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return d.places[path]
}

// finish returns the problems in the order of their places, with the lines that
// may be shown.
func (d *decoder) finish() Problems {
	for i := range d.problems {
		p := &d.problems[i]
		n := p.Line - 1
		switch {
		case p.source != "" || n < 0 || n >= len(d.lines) || d.broken:
		case !d.hidden[p.Line]:
			p.source = d.lines[n]
		case d.heads[p.Line] > 0:
			if runes := []rune(d.lines[n]); d.heads[p.Line] <= len(runes) {
				head, rest := string(runes[:d.heads[p.Line]]), strings.TrimSpace(string(runes[d.heads[p.Line]:]))
				switch rest {
				case "", "[]", "{}", "true", "false", "null":
					p.source = d.lines[n] // the value is below, or hides nothing
				default:
					p.source = head + " " + mask
				}
			}
		}
	}
	return d.problems.sorted()
}

// hide keeps the lines of a key's value out of every message. Of the first one
// the key may be shown, if nothing stands before it.
func (d *decoder) hide(key *token.Token, value ast.Node) {
	if key == nil || key.Position == nil {
		return
	}
	from, to := key.Position.Line, len(d.lines)
	last := key
	ast.Walk(visitor(func(n ast.Node) {
		if t := n.GetToken(); t != nil && t.Position != nil && t.Position.Offset > last.Position.Offset {
			last = t
		}
	}), value)
	for t := last.Next; t != nil; t = t.Next {
		if t.Position != nil && t.Type != token.StringType || t.Position != nil && t.Position.Column > 0 {
			to = max(last.Position.Line, t.Position.Line-1)
			break
		}
	}
	for line := from; line <= to; line++ {
		d.hidden[line] = true
	}
	if n := from - 1; n < len(d.lines) {
		runes := []rune(d.lines[n])
		end := key.Position.Column + len([]rune(key.Value)) // of the colon
		if start := key.Position.Column - 1; start >= 0 && end <= len(runes) && strings.Trim(string(runes[:start]), " -") == "" && string(runes[start:end]) == key.Value+":" {
			d.heads[from] = end
		}
	}
}

type visitor func(ast.Node)

// Visit implements ast.Visitor.
func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}
