package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/width"
)

// table aligns rows with spaces. Where stdout is no terminal nothing is left out
// and nothing is cut. On a terminal a table that is too wide takes, one after
// another, short forms, then its own steps: columns that go below the row, or
// go away, the least important first. Only then text is cut in the middle, and
// ids never.
type table struct {
	head  []string
	rows  [][]cell
	least map[string]int // columns that may be cut, down to so many
	steps []step
	wraps bool // the last column breaks into several lines instead of being cut
}

// cell is a value, with a shorter form for narrow terminals.
type cell struct{ long, short string }

type step struct {
	column string
	below  bool // it goes on a line of its own below the row, else away
}

const (
	gap = 2
	// wrapAt is how narrow a column that breaks may become.
	wrapAt = 40
	indent = "  "
)

func newTable(head ...string) *table { return &table{head: head, least: map[string]int{}} }

// cut allows a column to be cut down to n columns of the terminal.
func (t *table) cut(column string, n int) *table { t.least[column] = n; return t }

// drop makes leaving the columns out the next step.
func (t *table) drop(columns ...string) *table { return t.then(false, columns) }

// below makes printing the columns below the row the next step.
func (t *table) below(columns ...string) *table { return t.then(true, columns) }

func (t *table) then(below bool, columns []string) *table {
	for _, c := range columns {
		t.steps = append(t.steps, step{c, below})
	}
	return t
}

// wrap lets the last column break into lines. It holds sentences.
func (t *table) wrap() *table { t.wraps = true; return t }

// row adds a row of strings and cells. They are made harmless here, so callers
// pass plain values.
func (t *table) row(cells ...any) {
	out := make([]cell, len(t.head))
	for i := range out {
		if i >= len(cells) {
			continue
		}
		switch c := cells[i].(type) {
		case string:
			out[i] = cell{oneLine(c), oneLine(c)}
		case cell:
			out[i] = cell{oneLine(c.long), oneLine(c.short)}
		default:
			panic(fmt.Sprintf("guardroom: a %T is no cell of a table", c))
		}
	}
	t.rows = append(t.rows, out)
}

func oneLine(s string) string { return strings.ReplaceAll(clean(s), "\n", " ") }

// layout is how a table is printed: its columns from left to right with their
// widths, and those below.
type layout struct {
	short   bool
	columns []int
	widths  []int
	below   []int
}

func (t *table) print(e *env) {
	l := t.fit(e.width)
	t.line(e, l, func(i int) string { return t.head[i] }, false)
	for _, row := range t.rows {
		t.line(e, l, func(i int) string {
			if l.short {
				return row[i].short
			}
			return row[i].long
		}, true)
	}
}

// fit finds the first layout that is narrow enough.
func (t *table) fit(total int) layout {
	all := layout{}
	for i := range t.head {
		all.columns = append(all.columns, i)
	}
	l := t.measure(all)
	if total == 0 || l.sum() <= total {
		return l
	}
	all.short = true
	all.columns = slices.DeleteFunc(all.columns, t.empty)
	for n := 0; ; n++ {
		l = t.measure(all)
		if t.squeeze(&l, total) || n == len(t.steps) {
			return l
		}
		column := slices.Index(t.head, t.steps[n].column)
		left := slices.DeleteFunc(slices.Clone(all.columns), func(i int) bool { return i == column })
		if t.steps[n].below && len(left) < len(all.columns) {
			all.below = append(all.below, column)
			slices.Sort(all.below)
		}
		all.columns = left
	}
}

// empty reports whether nothing is in a column.
func (t *table) empty(i int) bool {
	return !slices.ContainsFunc(t.rows, func(row []cell) bool { return row[i].long != "" })
}

// measure fills in the widths that nothing is cut with.
func (t *table) measure(l layout) layout {
	l.widths = nil
	for _, i := range l.columns {
		w := width.Of(t.head[i])
		for _, row := range t.rows {
			s := row[i].long
			if l.short {
				s = row[i].short
			}
			w = max(w, width.Of(s))
		}
		l.widths = append(l.widths, w)
	}
	return l
}

func (l layout) sum() int {
	sum := gap * max(0, len(l.widths)-1)
	for _, w := range l.widths {
		sum += w
	}
	return sum
}

// squeeze takes from the columns that may be cut, the widest first, and reports
// whether a row fits then.
func (t *table) squeeze(l *layout, total int) bool {
	for over := l.sum() - total; over > 0; over = l.sum() - total {
		widest, spare := -1, 0
		for n, i := range l.columns {
			if s := l.widths[n] - t.floor(i, l.widths[n]); s > 0 && (widest < 0 || l.widths[n] > l.widths[widest]) {
				widest, spare = n, s
			}
		}
		if widest < 0 {
			return false
		}
		l.widths[widest] -= min(over, spare)
	}
	return true
}

// floor is how narrow a column may become.
func (t *table) floor(i, natural int) int {
	if t.wraps && i == len(t.head)-1 {
		return min(natural, wrapAt)
	}
	if n, ok := t.least[t.head[i]]; ok {
		return min(natural, max(n, width.Of(t.head[i])))
	}
	return natural
}

// line prints one row, the headings too.
func (t *table) line(e *env, l layout, text func(column int) string, value bool) {
	var b, under strings.Builder
	at, last := 0, len(t.head)-1
	for n, i := range l.columns {
		c := text(i)
		if w := l.widths[n]; t.wraps && i == last && width.Of(c) > w {
			lines := breakLines(c, w)
			c = lines[0]
			for _, s := range lines[1:] {
				under.WriteString(strings.Repeat(" ", at) + s + "\n")
			}
		} else {
			c = cutMiddle(c, w)
		}
		at += l.widths[n] + gap
		if n < len(l.columns)-1 {
			c += strings.Repeat(" ", l.widths[n]-width.Of(c)+gap)
		}
		if value {
			c = e.paint(t.head[i], c)
		}
		b.WriteString(c)
	}
	if s := strings.TrimRight(b.String(), " "); s != "" {
		e.printf("%s\n%s", s, under.String())
	}
	for _, s := range belowLines(l.below, text, e.width-len(indent)) {
		e.printf("%s%s\n", indent, s)
	}
}

// belowLines puts values beside each other where they fit, and breaks those that
// are longer than a line.
func belowLines(columns []int, text func(int) string, total int) []string {
	var out []string
	for _, i := range columns {
		c := text(i)
		if c == "" {
			continue
		}
		if n := len(out) - 1; n >= 0 && width.Of(out[n])+gap+width.Of(c) <= total {
			out[n] += strings.Repeat(" ", gap) + c
			continue
		}
		out = append(out, breakLines(c, total)...)
	}
	return out
}

// breakLines breaks text at spaces. A word that is longer than a line stays
// whole, so that it can be copied.
func breakLines(s string, n int) []string {
	out := []string{""}
	for word := range strings.SplitSeq(s, " ") {
		last := &out[len(out)-1]
		switch {
		case *last == "":
			*last = word
		case width.Of(*last)+1+width.Of(word) <= n:
			*last += " " + word
		default:
			out = append(out, word)
		}
	}
	return out
}

func cutMiddle(s string, n int) string {
	w := width.Of(s)
	if w <= n {
		return s
	}
	left := (n - 1) / 2
	return width.Head(s, left) + "…" + width.Tail(s, n-1-left)
}

// paint colours severities and states by the 16 basic colours. The word is
// always there too.
func (e *env) paint(column, cell string) string {
	if !e.color {
		return cell
	}
	code := ""
	switch word := strings.TrimSpace(cell); {
	case column == "severity" && strings.HasPrefix(word, "CRITICAL"):
		code = "35;1"
	case column == "severity" && strings.HasPrefix(word, "HIGH"):
		code = "31;1"
	case column == "severity" && strings.HasPrefix(word, "MEDIUM"):
		code = "33"
	case column == "state" || column == "status":
		switch word {
		case "closed", "delivered", "resolved":
			code = "32"
		case "parked", "unknown", "paused":
			code = "31"
		case "acknowledged", "pending":
			code = "33"
		}
	case column == "" && word == "ok":
		code = "32"
	case column == "" && word == "FAIL":
		code = "31;1"
	case column == "" && word == "warn":
		code = "33"
	}
	if code == "" {
		return cell
	}
	return "\x1b[" + code + "m" + cell + "\x1b[0m"
}

// when prints a moment for people: 10:42 UTC (12 min ago), with the date where
// it is not today.
func (e *env) when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	t, now := t.UTC(), e.now()
	s := t.Format("15:04") + " UTC"
	if !t.Truncate(24 * time.Hour).Equal(now.Truncate(24 * time.Hour)) {
		s = t.Format("2006-01-02 15:04") + " UTC"
	}
	return s + " (" + ago(now.Sub(t)) + ")"
}

// at is a moment within a sentence: 10:42 UTC, with the date where it is not today.
func (e *env) at(t time.Time) string {
	t = t.UTC()
	if t.Truncate(24 * time.Hour).Equal(e.now().Truncate(24 * time.Hour)) {
		return t.Format("15:04:05") + " UTC"
	}
	return t.Format("2006-01-02 15:04") + " UTC"
}

// moment is when as a cell: short, how long ago it was, or the date where it is
// older than two days.
func (e *env) moment(t time.Time) cell {
	c := cell{long: e.when(t), short: "never"}
	if !t.IsZero() {
		c.short = ago(e.now().Sub(t))
		if e.now().Sub(t) >= 48*time.Hour {
			c.short = t.UTC().Format("2006-01-02")
		}
	}
	return c
}

// exactly is stamp as a cell.
func (e *env) exactly(t time.Time) cell { return cell{stamp(t), e.moment(t).short} }

// stamp prints a moment exactly.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func ago(d time.Duration) string {
	switch {
	case d < -time.Minute:
		return "in " + span(-d)
	case d < time.Minute:
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
}

// plural counts things: 1 check, 2 checks, 3 deliveries.
func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(one, "y"))
	}
	return fmt.Sprintf("%d %ss", n, one)
}
