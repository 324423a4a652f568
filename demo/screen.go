package demo

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/internal/width"
)

// screen writes lines that read well in a terminal of 80 columns, in a log and
// on a phone: time, label, text. What others wrote passes the escaper here, so
// callers hand over plain values.
type screen struct {
	out   io.Writer
	width int
	color bool
	mark  string // the time of day that the next row carries at its left
	err   error  // the first error of out; nothing is written after it
}

// The columns in which captions and texts begin.
const (
	captionAt = 7
	textAt    = 18
	narrowest = 50
	widest    = 100
)

func newScreen(out io.Writer, cells int, color bool) *screen {
	if cells == 0 {
		cells = 80
	}
	return &screen{out: out, width: min(max(cells, narrowest), widest), color: color}
}

// story writes a caption with the time of day.
func (s *screen) story(at time.Duration, caption string) {
	s.blank()
	left := ofDay(at)
	for _, row := range s.wrap(caption, s.width-captionAt) {
		s.write(fmt.Sprintf("%-*s", captionAt, left) + s.paint(bold, row))
		left = ""
	}
	s.mark = ""
}

// at gives the next row a time of day at its left.
func (s *screen) at(at time.Duration) { s.mark = ofDay(at) }

// line writes a labelled text over as many rows as it needs.
func (s *screen) line(label, text string) {
	for _, row := range s.wrap(text, s.width-textAt) {
		left := fmt.Sprintf("%-*s%-*s", captionAt, s.mark, textAt-captionAt, label)
		s.write(s.paint(dim, left) + severities.ReplaceAllStringFunc(row, s.severity))
		label, s.mark = "", ""
	}
}

func ofDay(at time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(at.Hours()), int(at.Minutes())%60)
}

// head writes a heading.
func (s *screen) head(text string) {
	s.blank()
	s.write(s.paint(bold, escape.Terminal(text)))
}

// text writes a paragraph, indented and wrapped.
func (s *screen) text(indent int, text string) {
	for _, row := range s.wrap(text, s.width-indent) {
		s.write(strings.Repeat(" ", indent) + severities.ReplaceAllStringFunc(row, s.severity))
	}
}

// quote writes a row of what a vendor shows, with a bar at its left.
func (s *screen) quote(text string) {
	if strings.TrimSpace(text) == "" {
		s.write(s.paint(dim, "  |"))
		return
	}
	for _, row := range s.wrap(text, s.width-4) {
		s.write(s.paint(dim, "  | ") + severities.ReplaceAllStringFunc(row, s.severity))
	}
}

// command writes something to type, which is never wrapped.
func (s *screen) command(text string) { s.write("  " + s.paint(cyan, escape.Terminal(text))) }

func (s *screen) blank() { s.write("") }

func (s *screen) write(row string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.out, strings.TrimRight(row, " ")+"\n")
	}
}

// wrap breaks a text at spaces, and words that are longer than a row where they
// must. What others wrote loses its power over the terminal first.
func (s *screen) wrap(text string, cells int) []string {
	rows, row := []string{}, ""
	for word := range strings.FieldsSeq(escape.Terminal(text)) {
		switch {
		case row == "":
			row = word
		case width.Of(row)+1+width.Of(word) <= cells:
			row += " " + word
		default:
			rows, row = append(rows, row), word
		}
		for width.Of(row) > cells {
			head := width.Head(row, cells)
			if at := strings.LastIndexAny(head, "/.,:"); at > cells/2 {
				head = head[:at+1]
			}
			rows, row = append(rows, head), row[len(head):]
		}
	}
	return append(rows, row)
}

// The sixteen basic colours only, so that the user's theme decides.
const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	yellow  = "33"
	magenta = "35;1"
	cyan    = "36"
)

func (s *screen) paint(style, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// severities are the words that get a colour beside being written.
var severities = regexp.MustCompile(`\b(CRITICAL|HIGH|MEDIUM|LOW)\b`)

func (s *screen) severity(word string) string {
	switch word {
	case "CRITICAL":
		return s.paint(magenta, word)
	case "HIGH":
		return s.paint(red, word)
	case "MEDIUM":
		return s.paint(yellow, word)
	}
	return word
}
