package finding

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// nodeKind is the kind of a JSON value.
type nodeKind uint8

const (
	jsonNull nodeKind = iota
	jsonFalse
	jsonTrue
	jsonNumber
	jsonString
	jsonList
	jsonObject
)

// String returns the word for the kind in a warning.
func (k nodeKind) String() string {
	return [...]string{"null", "a boolean", "a boolean", "a number", "a text", "a list", "an object"}[k]
}

// node is one JSON value. Its children follow it directly, each followed by
// its own children, so that after leads from one child to the next.
type node struct {
	kind             nodeKind
	escaped          bool // the text holds a backslash
	keyEscaped       bool
	keyStart, keyEnd int32
	start, end       int32 // of the value; of a string without its quotes
	after            int32 // the index behind the last descendant
	count            int32 // children
	parent           int32 // -1 for the root
}

// tree is one parsed JSON text. It is used again for the next one: the strings
// that were taken from it stay valid, the values do not.
type tree struct {
	src      string
	nodes    []node
	depth    int // limit
	root     int32
	warnings []string
	inner    *tree // for JSON inside a text
}

// spare returns a tree for JSON that stands in a text of this one.
func (t *tree) spare() *tree {
	if t.inner == nil {
		t.inner = &tree{}
	}
	return t.inner
}

var errEnd = errors.New("the JSON ends in the middle")

// parse reads the one JSON value in src. Invalid UTF-8 must have been replaced.
func (t *tree) parse(src string, maxDepth int) error {
	t.src, t.nodes, t.depth, t.root, t.warnings = src, t.nodes[:0], maxDepth, 0, nil
	if len(src) > 1<<30 {
		return errors.New("larger than 1 GiB")
	}
	i, err := t.value(t.space(0), -1, 0)
	if err != nil {
		return err
	}
	if i = t.space(i); i < len(src) {
		return fmt.Errorf("text behind the end of the JSON at byte %d", i)
	}
	return nil
}

func (t *tree) space(i int) int {
	for i < len(t.src) {
		switch t.src[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// value parses the value at byte i into a new node and returns the byte behind it.
func (t *tree) value(i int, parent int32, depth int) (int, error) {
	if i >= len(t.src) {
		return i, errEnd
	}
	at := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{start: int32(i), parent: parent})
	var err error
	var end int
	kind, escaped, count := jsonNull, false, int32(0)
	switch c := t.src[i]; c {
	case '{', '[':
		if depth >= t.depth {
			return i, fmt.Errorf("nested deeper than %d levels", t.depth)
		}
		if c == '{' {
			kind = jsonObject
			count, end, err = t.object(i+1, at, depth+1)
		} else {
			kind = jsonList
			count, end, err = t.list(i+1, at, depth+1)
		}
		i = end
	case '"':
		kind = jsonString
		t.nodes[at].start++
		end, escaped, err = t.text(i + 1)
		i = end + 1
	case 't':
		kind = jsonTrue
		end, err = t.literal(i, "true")
		i = end
	case 'f':
		kind = jsonFalse
		end, err = t.literal(i, "false")
		i = end
	case 'n':
		end, err = t.literal(i, "null")
		i = end
	default:
		kind = jsonNumber
		end, err = t.number(i)
		i = end
	}
	if err != nil {
		return i, err
	}
	n := &t.nodes[at]
	n.kind, n.escaped, n.count, n.end, n.after = kind, escaped, count, int32(end), int32(len(t.nodes))
	return i, nil
}

func (t *tree) object(i int, at int32, depth int) (count int32, end int, err error) {
	i = t.space(i)
	if i < len(t.src) && t.src[i] == '}' {
		return 0, i + 1, nil
	}
	for {
		if i >= len(t.src) {
			return 0, i, errEnd
		}
		if t.src[i] != '"' {
			return 0, i, fmt.Errorf("a key was expected at byte %d", i)
		}
		keyStart := i + 1
		keyEnd, escaped, err := t.text(keyStart)
		if err != nil {
			return 0, i, err
		}
		i = t.space(keyEnd + 1)
		if i >= len(t.src) {
			return 0, i, errEnd
		}
		if t.src[i] != ':' {
			return 0, i, fmt.Errorf("a colon was expected at byte %d", i)
		}
		child := len(t.nodes)
		if i, err = t.value(t.space(i+1), at, depth); err != nil {
			return 0, i, err
		}
		n := &t.nodes[child]
		n.keyStart, n.keyEnd, n.keyEscaped = int32(keyStart), int32(keyEnd), escaped
		count++
		i = t.space(i)
		if i >= len(t.src) {
			return 0, i, errEnd
		}
		switch t.src[i] {
		case ',':
			i = t.space(i + 1)
		case '}':
			return count, i + 1, nil
		default:
			return 0, i, fmt.Errorf("a comma or an end was expected at byte %d", i)
		}
	}
}

func (t *tree) list(i int, at int32, depth int) (count int32, end int, err error) {
	i = t.space(i)
	if i < len(t.src) && t.src[i] == ']' {
		return 0, i + 1, nil
	}
	for {
		if i, err = t.value(i, at, depth); err != nil {
			return 0, i, err
		}
		count++
		i = t.space(i)
		if i >= len(t.src) {
			return 0, i, errEnd
		}
		switch t.src[i] {
		case ',':
			i = t.space(i + 1)
		case ']':
			return count, i + 1, nil
		default:
			return 0, i, fmt.Errorf("a comma or an end was expected at byte %d", i)
		}
	}
}

// text finds the end of the string whose first byte is at i.
func (t *tree) text(i int) (end int, escaped bool, err error) {
	s := t.src
	for i < len(s) {
		if !stringStop[s[i]] {
			i++
			continue
		}
		switch s[i] {
		case '"':
			return i, escaped, nil
		case '\\':
			escaped = true
			if i+1 >= len(s) {
				return i, false, errEnd
			}
			switch s[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if i+6 > len(s) {
					return i, false, errEnd
				}
				for _, c := range []byte(s[i+2 : i+6]) {
					if hexDigit(c) < 0 {
						return i, false, fmt.Errorf("bad escape in a string at byte %d", i)
					}
				}
				i += 6
			default:
				return i, false, fmt.Errorf("bad escape in a string at byte %d", i)
			}
		default:
			return i, false, fmt.Errorf("control character in a string at byte %d", i)
		}
	}
	return i, false, errEnd
}

func (t *tree) literal(i int, word string) (int, error) {
	if strings.HasPrefix(t.src[i:], word) {
		return i + len(word), nil
	}
	return i, fmt.Errorf("unknown word at byte %d", i)
}

// number checks the grammar of RFC 8259.
func (t *tree) number(i int) (int, error) {
	s, start := t.src, i
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	bad := func() (int, error) { return start, fmt.Errorf("no JSON value at byte %d", start) }
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return bad()
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return bad()
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return bad()
		}
	}
	return i, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unescape resolves the escapes of a checked string. With nul, a NUL stays the
// six characters that it was written with: databases and terminals that end
// text at a NUL would show less than was received.
func unescape(s string, nul bool) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			j := strings.IndexByte(s[i:], '\\')
			if j < 0 {
				j = len(s) - i
			}
			b = append(b, s[i:i+j]...)
			i += j
			continue
		}
		i += 2
		switch c := s[i-1]; c {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r := hexRune(s[i:])
			i += 4
			if r == 0 && nul {
				b = append(b, `\u0000`...)
				continue
			}
			if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(s[i:], `\u`) {
				if low := hexRune(s[i+2:]); low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
					i += 6
				}
			}
			b = utf8.AppendRune(b, r) // a lone surrogate becomes U+FFFD
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func hexRune(s string) rune {
	var r rune
	for i := range 4 {
		r = r<<4 | rune(hexDigit(s[i]))
	}
	return r
}
