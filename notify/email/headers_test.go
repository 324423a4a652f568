package email

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestIDPartsCannotLeaveTheMessageID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"01jd4b7c9qzj4m6y3r8t2v5w0x": "01jd4b7c9qzj4m6y3r8t2v5w0x",
		"notice/a b>\r\nBcc: x":      "notice-a-b---Bcc--x",
		"":                           "none",
		"ä":                          "-",
	} {
		if got := idPart(in); got != want {
			t.Errorf("idPart(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLinesEndAtTheColumn(t *testing.T) {
	t.Parallel()
	var w textWriter
	w.line("Seen       ", "           ", strings.Repeat("eleven char ", 12))
	w.line("", "", strings.Repeat("x", 100)+" y")
	for line := range strings.Lines(w.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns && !strings.HasPrefix(line, "x") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.Contains(w.String(), "\n           eleven") || !strings.Contains(w.String(), strings.Repeat("x", 100)+"\ny\n") {
		t.Errorf("got:\n%s", w.String())
	}
}

func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"", "Bitcoin mining", "a\r\nBcc: b", "=?utf-8?q?x?=", "\x00\u202e", "==??", "\xff", strings.Repeat("é ", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := headerOf(s).String()
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxSubject {
			t.Fatalf("%q became %q", s, got)
		}
		if strings.Contains(got, "=?") || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q became %q", s, got)
		}
		if got != strings.TrimSpace(got) || strings.Contains(got, "  ") {
			t.Fatalf("%q became %q, which folds badly", s, got)
		}
		if again := headerOf(got).String(); again != got {
			t.Fatalf("%q became %q, then %q", s, got, again)
		}
	})
}
