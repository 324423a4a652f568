package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/width"
)

// table aligns rows with spaces. On a terminal the widest column is cut in the
// middle until a row fits; elsewhere nothing is cut.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

// row adds a row. Cells are made harmless here, so callers pass plain values.
func (t *table) row(cells ...string) {
	out := make([]string, len(t.head))
	for i := range out {
		if i < len(cells) {
			out[i] = strings.ReplaceAll(clean(cells[i]), "\n", " ")
		}
	}
	t.rows = append(t.rows, out)
}

const gap = 2

func (t *table) print(e *env) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], width.Of(c))
		}
	}
	if e.width > 0 {
		fit(widths, e.width)
	}
	for n, row := range append([][]string{t.head}, t.rows...) {
		var b strings.Builder
		for i, c := range row {
			c = cutMiddle(c, widths[i])
			if i < len(row)-1 {
				c += strings.Repeat(" ", widths[i]-width.Of(c)+gap)
			}
			if n > 0 && i < len(row) {
				c = e.paint(t.head[i], c)
			}
			b.WriteString(c)
		}
		e.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// fit takes columns from the widest one until the row fits.
func fit(widths []int, total int) {
	for {
		sum, widest := gap*(len(widths)-1), 0
		for i, w := range widths {
			sum += w
			if w > widths[widest] {
				widest = i
			}
		}
		if sum <= total || widths[widest] <= 8 {
			return
		}
		widths[widest] -= min(sum-total, widths[widest]-8)
	}
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
