package width

import (
	"testing"
	"unicode/utf8"
)

func TestTextIsMeasuredAsATerminalShowsIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text       string
		cells            int
		head, tail       string // in three cells
		headOne, tailOne string // in one cell
	}{
		{"nothing", "", 0, "", "", "", ""},
		{"letters", "abcde", 5, "abc", "cde", "a", "e"},
		{"what fits stays", "abc", 3, "abc", "abc", "a", "c"},
		{"a wide character takes two", "日本語", 6, "日", "語", "", ""},
		{"an accent takes none", "e\u0301tude", 5, "e\u0301tu", "ude", "e\u0301", "e"},
		{"a family of one picture is one", "👨‍👩‍👧x", 3, "👨‍👩‍👧x", "👨‍👩‍👧x", "", "x"},
		{"colours take none", "\x1b[31mabcd\x1b[0m", 4, "\x1b[31mabc", "bcd\x1b[0m", "\x1b[31ma", "d\x1b[0m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Of(c.text); got != c.cells {
				t.Errorf("takes %d cells, want %d", got, c.cells)
			}
			for _, cut := range []struct {
				n          int
				head, tail string
			}{{3, c.head, c.tail}, {1, c.headOne, c.tailOne}} {
				if got := Head(c.text, cut.n); got != cut.head {
					t.Errorf("the first %d cells are %q, want %q", cut.n, got, cut.head)
				}
				if got := Tail(c.text, cut.n); got != cut.tail {
					t.Errorf("the last %d cells are %q, want %q", cut.n, got, cut.tail)
				}
			}
		})
	}
}

func FuzzAPieceFits(f *testing.F) {
	for _, s := range []string{"abc", "日本語", "e\u0301\x1b[31mx", "\xff\xfe", "\x1b", "👨‍👩‍👧"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = min(max(n, 0), 100)
		for _, piece := range []string{Head(s, n), Tail(s, n)} {
			if utf8.ValidString(s) && !utf8.ValidString(piece) {
				t.Errorf("%q was cut inside a character: %q", s, piece)
			}
		}
		if w := Of(Head(s, n)); w > n {
			t.Errorf("the first %d cells of %q take %d", n, s, w)
		}
	})
}
