// Package escape holds what every sink does to text that others wrote before
// its own escaping: characters that hide, reorder or control are made visible,
// long values are cut, and names of hosts lose their power to become links.
//
// Strings come in, strings go out. It must never be the only escaper of a sink:
// Slack, HTML, ADF and the rest have special characters of their own.
//
// Read Visible first.
package escape

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with every character that shows nothing, moves others or
// controls a device written out: \n, \x1b, \u202e. That covers C0 and C1
// controls, bidirectional controls, zero-width, tag and private characters,
// variation selectors, line separators, and bytes that are not UTF-8. The
// result is valid UTF-8 on one line. Backslashes that s already has stay as
// they are: the result is for reading, not for parsing back.
func Visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case !hidden(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Terminal returns s fit for a terminal: like Visible, and no character carries
// more than a few combining marks, because a tower of them paints over the
// lines above and below.
func Terminal(s string) string {
	const maxMarks = 3
	s = Visible(s)
	marks := 0
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf || !unicode.Is(unicode.M, r) {
			marks = 0
			return r
		}
		if marks++; marks > maxMarks {
			return -1
		}
		return r
	}, s)
}

// plain reports whether s is printable ASCII, which most values are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// hidden reports whether r must not reach a sink as it is.
func hidden(r rune) bool {
	switch {
	case r == ' ':
		return false
	case r == 0x2800: // a braille pattern without dots: a space that is a symbol
		return true
	case unicode.Is(unicode.Zs, r): // wide and no-break spaces do show something
		return false
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return true // letters and marks by their category, but nothing is drawn
	}
	return !unicode.IsPrint(r)
}

// CutMiddle returns s with at most n runes; what is too much is taken out of
// the middle and replaced by an ellipsis, because the ends of names and ids
// tell them apart. It never splits a rune. n below 1 gives "".
func CutMiddle(s string, n int) string {
	r, long := tooLong(s, n)
	switch {
	case !long:
		return s
	case n < 1:
		return ""
	}
	head := n / 2
	tail := n - 1 - head
	return string(r[:head]) + "…" + string(r[len(r)-tail:])
}

// CutEnd returns s with at most n runes; what is too much is taken off the end
// and replaced by an ellipsis. It never splits a rune. n below 1 gives "".
func CutEnd(s string, n int) string {
	r, long := tooLong(s, n)
	switch {
	case !long:
		return s
	case n < 1:
		return ""
	}
	return strings.TrimRight(string(r[:n-1]), " ") + "…"
}

func tooLong(s string, n int) ([]rune, bool) {
	if len(s) <= n { // bytes are never fewer than runes
		return nil, false
	}
	if utf8.RuneCountInString(s) <= n {
		return nil, false
	}
	return []rune(s), true
}

// Defang returns s with addresses of hosts written so that no client turns them
// into a link and nobody clicks by mistake: evil[.]example, http[:]//. IP
// addresses, versions and single words stay. It may be repeated.
func Defang(s string) string {
	if !strings.ContainsAny(s, ".:\u3002\uff0e\uff61") {
		return s
	}
	s = strings.ReplaceAll(s, "://", "[:]//")
	var b strings.Builder
	b.Grow(len(s) + 8)
	start := -1 // of the running host-like token
	for i, r := range s {
		if hostRune(r) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			b.WriteString(defangToken(s[start:i]))
			start = -1
		}
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			b.WriteByte(s[i]) // keep a broken byte as it is; Visible shows it
			continue
		}
		b.WriteRune(r)
	}
	if start >= 0 {
		b.WriteString(defangToken(s[start:]))
	}
	return b.String()
}

func hostRune(r rune) bool {
	return r == '.' || r == '-' || r == '_' || isFullStop(r) || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r)
}

// isFullStop reports the characters that resolvers read as a dot (IDNA).
func isFullStop(r rune) bool { return r == '\u3002' || r == '\uff0e' || r == '\uff61' }

func defangToken(t string) string {
	t = strings.Map(func(r rune) rune {
		if isFullStop(r) {
			return '.'
		}
		return r
	}, t)
	name := strings.Trim(t, ".")
	last := strings.LastIndexByte(name, '.')
	if last < 0 || !topLevel(name[last+1:]) || noHost(name) {
		return t
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return t
	}
	at := strings.Index(t, name)
	return t[:at] + strings.ReplaceAll(name, ".", "[.]") + t[at+len(name):]
}

// noHost reports names with a full stop that no client takes for a host, because
// there is no such top-level domain and none like it: a call of AWS such as
// EC2.LockSnapshot, and a file such as console.txt.
func noHost(s string) bool {
	first, last, ok := strings.Cut(s, ".")
	if !ok || strings.Contains(last, ".") {
		return false
	}
	switch last {
	case "json", "txt", "gz", "log", "yaml", "jpg":
		return first != ""
	}
	if first == "" || first[0] < 'A' || first[0] > 'Z' {
		return false
	}
	for _, verb := range []string{"Describe", "Get", "List", "Head", "Put", "Create", "Delete", "Modify", "Lock", "Copy", "Run", "Start", "Stop", "Terminate", "Attach", "Detach", "Authorize", "Revoke",
		"Associate", "Disassociate", "Filter", "Lookup", "Assume", "Send", "Register", "Deregister", "Update", "Replace"} {
		if rest, ok := strings.CutPrefix(last, verb); ok && len(rest) > 3 && rest[0] >= 'A' && rest[0] <= 'Z' {
			return true
		}
	}
	return false
}

// topLevel reports whether s could be a top-level domain: two characters or
// more, and not all of them digits.
func topLevel(s string) bool {
	return utf8.RuneCountInString(s) >= 2 && strings.IndexFunc(s, unicode.IsLetter) >= 0
}
