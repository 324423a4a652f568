// Package width measures text as a terminal shows it: in cells, of which wide
// characters take two and escape sequences none. It knows nothing of colours or
// tables. The usual libraries for this build tables of all characters whenever the
// program starts, which took a third of the time of every command.
package width

import "github.com/clipperhouse/displaywidth"

var options = displaywidth.Options{ControlSequences: true}

// Of is the number of cells that s takes.
func Of(s string) int { return options.String(s) }

// Head is the beginning of s that fits into n cells.
func Head(s string, n int) string {
	used := 0
	g := options.StringGraphemes(s)
	at := 0
	for g.Next() {
		if used += g.Width(); used > n {
			return s[:at]
		}
		at += len(g.Value())
	}
	return s
}

// Tail is the end of s that fits into n cells.
func Tail(s string, n int) string {
	over := Of(s) - n
	g := options.StringGraphemes(s)
	at := 0
	for over > 0 && g.Next() {
		over -= g.Width()
		at += len(g.Value())
	}
	return s[at:]
}
