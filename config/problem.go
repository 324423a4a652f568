package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"github.com/guardroom/guardroom/internal/escape"
)

// Problem is one thing that is wrong in a configuration file, at its place.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // 1-based; 0: the file as a whole
	Column  int    `json:"column,omitempty"` // 1-based, in runes
	Path    string `json:"path,omitempty"`   // destinations[1].slack.token
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	source  string // the offending line; empty when it may hold a secret
}

// String renders the problem for people: place, message, the line with a caret,
// hint.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.source != "" {
		line := escape.Terminal(p.source)
		indent := strings.Repeat(" ", max(0, min(p.Column-1, utf8.RuneCountInString(line))))
		fmt.Fprintf(&b, "\n    %s\n    %s^", line, indent)
	}
	if p.Hint != "" {
		b.WriteString("\n  hint: " + p.Hint)
	}
	return b.String()
}

// at sets the place.
func (p *Problem) at(t *token.Token) {
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, max(1, t.Position.Column)
	}
}

// Problems are all that is wrong in a file, in the order of their places.
type Problems []Problem

// Error implements error.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return p
}
