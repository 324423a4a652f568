package demo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

func TestTheScreenLaysOutTimeLabelAndText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := newScreen(&b, 60, false)
	s.story(7*time.Hour+5*time.Minute, "A caption that is longer than one row of a narrow terminal can hold.")
	s.line("slack", "HIGH 8.0 INC-1 Bitcoin mining from web-1 in a very long account name")
	s.at(7*time.Hour + 6*time.Minute)
	s.line("jira", "SEC-1")
	s.line("jira", "SEC-2")
	want := `
07:05  A caption that is longer than one row of a narrow
       terminal can hold.
       slack      HIGH 8.0 INC-1 Bitcoin mining from web-1
                  in a very long account name
07:06  jira       SEC-1
       jira       SEC-2
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTheScreenTakesThePowerOfOtherPeoplesTextAway(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := newScreen(&b, 0, false)
	evil := "\x1b[2Jgone \u202egnp\x07 " + strings.Repeat("a/b.", 60)
	s.story(0, evil)
	s.line("slack", evil)
	s.quote(evil)
	s.text(2, evil)
	s.head("x\x1b")
	for row := range strings.SplitSeq(b.String(), "\n") {
		if w := ansi.StringWidth(row); w > 80 {
			t.Errorf("%d columns: %q", w, row)
		}
		if i := strings.IndexFunc(row, func(r rune) bool { return r < ' ' || r == '\u202e' }); i >= 0 {
			t.Errorf("a control character in %q", row)
		}
	}
	if !strings.Contains(b.String(), `\x1b[2Jgone \u202egnp`) {
		t.Errorf("not written out: %q", b.String())
	}
}

func TestColourIsAddedToWordsThatAreWrittenAnyway(t *testing.T) {
	t.Parallel()
	draw := func(color bool) string {
		var b strings.Builder
		s := newScreen(&b, 0, color)
		s.line("slack", "CRITICAL and HIGH and MEDIUM and LOW and HIGHER")
		s.command("guardroom incident list")
		return b.String()
	}
	plainly, coloured := draw(false), draw(true)
	if strings.Contains(plainly, "\x1b") {
		t.Errorf("colour without being asked: %q", plainly)
	}
	if diff := cmp.Diff(plainly, ansi.Strip(coloured)); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"\x1b[31mHIGH\x1b[0m", "\x1b[33mMEDIUM\x1b[0m", " HIGHER"} {
		if !strings.Contains(coloured, want) {
			t.Errorf("%q is not in %q", want, coloured)
		}
	}
}

func TestTheScreenStopsAtAnErrorOfItsOutput(t *testing.T) {
	t.Parallel()
	w := &limited{left: 10}
	s := newScreen(w, 0, false)
	for range 5 {
		s.head("something longer than ten")
	}
	if !errors.Is(s.err, errFull) || w.calls != 2 {
		t.Errorf("%v after %d calls", s.err, w.calls)
	}
}

var errFull = errors.New("full")

type limited struct{ left, calls int }

func (l *limited) Write(b []byte) (int, error) {
	l.calls++
	if l.left -= len(b); l.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}
