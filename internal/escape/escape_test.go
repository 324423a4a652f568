package escape_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/guardroom/guardroom/internal/escape"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain text stays as it is", "payments-api-3 (i-0f3c)", "payments-api-3 (i-0f3c)"},
		{"letters of any script stay", "zürich 支付 платежи 🙂", "zürich 支付 платежи 🙂"},
		{"a right-to-left override is written out", "invoice\u202efdp.exe", `invoice\u202efdp.exe`},
		{"isolates are written out", "\u2066a\u2069", `\u2066a\u2069`},
		{"an escape sequence loses its escape", "\x1b[2Jgone", `\x1b[2Jgone`},
		{"C1 controls are written out", "a\u009b31m", `a\u009b31m`},
		{"line breaks stay on the line", "a\r\nb\tc", `a\r\nb\tc`},
		{"NUL and DEL are written out", "a\x00b\x7f", `a\x00b\x7f`},
		{"zero-width characters are written out", "pay\u200bments\ufeff", `pay\u200bments\ufeff`},
		{"tag characters are written out", "a\U000e0041", `a\U000e0041`},
		{"variation selectors are written out", "a\U000e0100\ufe0f", `a\U000e0100\ufe0f`},
		{"line and paragraph separators are written out", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"fillers that look like nothing are written out", "a\u3164b\u2800", `a\u3164b\u2800`},
		{"bytes that are not UTF-8 are written out", "a\xff\xc3", `a\xff\xc3`},
		{"an honest replacement character stays", "a\ufffd", "a\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := escape.Visible(tt.in); got != tt.want {
				t.Errorf("Visible(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestTerminalLimitsTowersOfMarks(t *testing.T) {
	t.Parallel()
	got := escape.Terminal("a" + strings.Repeat("\u0301", 50) + "b\x1b]0;x\a")
	if want := "a" + strings.Repeat("\u0301", 3) + `b\x1b]0;x\x07`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		in          string
		n           int
		middle, end string
	}{
		{"what fits stays", "i-0f3c", 6, "i-0f3c", "i-0f3c"},
		{"the ends of an id survive in the middle cut", "i-0f3c9d2a1b", 7, "i-0…a1b", "i-0f3c…"},
		{"runes are counted, not bytes", "äöüß", 4, "äöüß", "äöüß"},
		{"runes are not split", "äöüßé", 3, "ä…é", "äö…"},
		{"one rune is the ellipsis", "abc", 1, "…", "…"},
		{"no room gives nothing", "abc", 0, "", ""},
		{"less than no room gives nothing", "abc", -5, "", ""},
		{"nothing stays nothing", "", 0, "", ""},
		{"no blank before the ellipsis", "mining from here", 8, "mini…ere", "mining…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := escape.CutMiddle(tt.in, tt.n); got != tt.middle {
				t.Errorf("CutMiddle = %q, want %q", got, tt.middle)
			}
			if got := escape.CutEnd(tt.in, tt.n); got != tt.end {
				t.Errorf("CutEnd = %q, want %q", got, tt.end)
			}
		})
	}
}

func TestDefang(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"a domain", "evil.example", "evil[.]example"},
		{"a domain inside a sentence", "asks for pool.evil.example.", "asks for pool[.]evil[.]example."},
		{"a URL", "see https://evil.example/x?y=z.js", "see https[:]//evil[.]example/x?y=z[.]js"},
		{"a mail address", "a@evil.example", "a@evil[.]example"},
		{"an IPv4 address stays", "203.0.113.7", "203.0.113.7"},
		{"an IPv6 address stays", "2001:db8::1", "2001:db8::1"},
		{"an action stays", "s3:PutBucketPolicy (AccessDenied)", "s3:PutBucketPolicy (AccessDenied)"},
		{"a call of AWS stays", "EC2.GetConsoleScreenshot was not answered", "EC2.GetConsoleScreenshot was not answered"},
		{"a file stays", "console.txt and instance.json", "console.txt and instance.json"},
		{"a host that looks a little like a call", "EC2.GetConsole.example EC2.Get Evil.Com ec2.listing evil.example.txt", "EC2[.]GetConsole[.]example EC2[.]Get Evil[.]Com ec2[.]listing evil[.]example[.]txt"},
		{"a version stays", "curl 8.5.0", "curl 8.5.0"},
		{"the end of a sentence stays", "Nothing. Done.", "Nothing. Done."},
		{"dots that resolvers take for dots", "evil。example", "evil[.]example"},
		{"punycode", "xn--80ak6aa92e.xn--p1ai", "xn--80ak6aa92e[.]xn--p1ai"},
		{"a second time changes nothing", "http[:]//evil[.]example", "http[:]//evil[.]example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := escape.Defang(tt.in); got != tt.want {
				t.Errorf("Defang(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func seeds(f *testing.F) {
	for _, s := range []string{
		"", "payments-api-3", "\u202e\u2066\u200b", "\x1b[31m\x00\xff", "https://evil.example/a.b",
		"a\u0301\u0301\u0301\u0301", "..a..b..", "\U000e0041\ufeff", "évil。example", "\xc3", "http://[2001:db8::1]/",
	} {
		f.Add(s, 5)
	}
}

func FuzzVisible(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string, _ int) {
		for _, got := range []string{escape.Visible(s), escape.Terminal(s)} {
			if !utf8.ValidString(got) {
				t.Fatalf("%q became %q, which is not UTF-8", s, got)
			}
			for _, r := range got {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
					t.Fatalf("%q became %q, which still holds %U", s, got, r)
				}
			}
		}
		if once := escape.Visible(s); escape.Visible(once) != once {
			t.Fatalf("%q is not stable", s)
		}
	})
}

func FuzzCut(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string, n int) {
		for _, got := range []string{escape.CutMiddle(s, n), escape.CutEnd(s, n)} {
			if c := utf8.RuneCountInString(got); c > max(n, 0) {
				t.Fatalf("%q cut to %d has %d runes", s, n, c)
			}
			if utf8.ValidString(s) && !utf8.ValidString(got) {
				t.Fatalf("%q cut to %d is %q: a rune was split", s, n, got)
			}
		}
	})
}

func FuzzDefang(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string, _ int) {
		got := escape.Defang(s)
		if strings.Contains(got, "://") {
			t.Fatalf("%q became %q, which still has a scheme", s, got)
		}
		if again := escape.Defang(got); again != got {
			t.Fatalf("%q became %q, then %q", s, got, again)
		}
	})
}
