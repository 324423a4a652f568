package finding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errTooLarge says that the whole input is larger than Limits.MaxBytes.
var errTooLarge = errors.New("input is larger than the limit")

// input is a window on a stream of JSON values. Positions inside the window are
// relative to its first byte that is not consumed.
type input struct {
	r     io.Reader // nil when everything is in buf
	buf   []byte
	pos   int   // the first byte of buf that is not consumed
	base  int64 // offset of buf[pos] in the stream
	line  int   // 1-based line of buf[pos]
	left  int64 // bytes that may still be read
	err   error // why reading ended; io.EOF at the normal end
	stack []byte
}

func newInput(r io.Reader, limit int64) *input {
	return &input{r: r, line: 1, left: limit}
}

func bytesInput(b []byte) *input {
	return &input{buf: b, line: 1, err: io.EOF}
}

// rest returns what is in the window.
func (in *input) rest() []byte { return in.buf[in.pos:] }

// consume moves the window by n bytes.
func (in *input) consume(n int) {
	in.line += bytes.Count(in.buf[in.pos:in.pos+n], []byte{'\n'})
	in.base += int64(n)
	in.pos += n
}

// fill reads more behind the window. It reports false at the end of the stream
// and after an error, which stays in in.err.
func (in *input) fill() bool {
	if in.err != nil {
		return false
	}
	if in.pos > 0 {
		in.buf = in.buf[:copy(in.buf, in.buf[in.pos:])]
		in.pos = 0
	}
	if cap(in.buf)-len(in.buf) < 4<<10 {
		grown := make([]byte, len(in.buf), max(16<<10, 2*cap(in.buf)))
		copy(grown, in.buf)
		in.buf = grown
	}
	for range 100 {
		n, err := in.r.Read(in.buf[len(in.buf):cap(in.buf)])
		in.buf = in.buf[:len(in.buf)+n]
		in.left -= int64(n)
		switch {
		case in.left < 0:
			// What stands in the window up to the limit is still good.
			in.buf = in.buf[:len(in.buf)+int(max(in.left, -int64(n)))]
			in.err = errTooLarge
			return n+int(in.left) > 0
		case err != nil:
			in.err = err
			return n > 0
		case n > 0:
			return true
		}
	}
	in.err = io.ErrNoProgress
	return false
}

// peek makes n bytes available, as far as the stream has them.
func (in *input) peek(n int) []byte {
	for len(in.rest()) < n && in.fill() {
	}
	return in.rest()
}

// skipSpace consumes white space between values. It reports false at the end.
func (in *input) skipSpace() bool {
	for {
		b := in.rest()
		i := 0
		for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' || b[i] == 0x1e) {
			i++ // 0x1e separates the records of RFC 7464
		}
		in.consume(i)
		if i < len(b) {
			return true
		}
		if !in.fill() {
			return false
		}
	}
}

// The states of the strict framer: what it wants to see next.
const (
	wantValue = iota
	wantValueOrEnd
	wantKey
	wantKeyOrEnd
	wantColon
	wantCommaOrEnd
	inKey
	inText
	inScalar
)

// maxStack bounds the memory that nesting alone can take.
const maxStack = 1 << 14

// frame returns the length of the object or list at the start of the window. It
// checks the grammar down to the tokens, so that a value that was cut off does
// not swallow the lines behind it; the inside of strings and numbers is left to
// the parser. The error says what is wrong, and is not about reading.
func (in *input) frame() (int, error) {
	stack := in.stack[:0]
	defer func() { in.stack = stack[:0] }()
	state := wantValue
	i := 0
	for {
		b := in.rest()
		for i < len(b) {
			c := b[i]
			if state == inText || state == inKey {
				for i < len(b) && !stringStop[b[i]] {
					i++
				}
				if i == len(b) {
					break
				}
				switch b[i] {
				case '"':
					i++
					if state == inKey {
						state = wantColon
					} else {
						state = wantCommaOrEnd
					}
				case '\\':
					if i+1 >= len(b) {
						if !in.fill() {
							return i, in.cut()
						}
						b = in.rest()
						if i+1 >= len(b) {
							return i, in.cut()
						}
					}
					if b[i+1] == '\n' {
						return i, errors.New("a line ends inside a string")
					}
					i += 2
				default:
					return i, errors.New("a string holds a control character or is not closed")
				}
				continue
			}
			if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
				if state == inScalar {
					state = wantCommaOrEnd
				}
				i++
				continue
			}
			if state == inScalar {
				if scalarByte(c) {
					i++
					continue
				}
				state = wantCommaOrEnd
			}
			switch c {
			case '{', '[':
				if state != wantValue && state != wantValueOrEnd {
					return i, unexpected(c, state)
				}
				if len(stack) == maxStack {
					return i, errors.New("nested far too deeply")
				}
				stack = append(stack, c)
				if c == '{' {
					state = wantKeyOrEnd
				} else {
					state = wantValueOrEnd
				}
			case '}', ']':
				open := stack[len(stack)-1]
				if open+2 != c || state != wantCommaOrEnd &&
					!(c == '}' && state == wantKeyOrEnd) && !(c == ']' && state == wantValueOrEnd) {
					return i, unexpected(c, state)
				}
				stack = stack[:len(stack)-1]
				if len(stack) == 0 {
					return i + 1, nil
				}
				state = wantCommaOrEnd
			case '"':
				switch state {
				case wantKey, wantKeyOrEnd:
					state = inKey
				case wantValue, wantValueOrEnd:
					state = inText
				default:
					return i, unexpected(c, state)
				}
			case ',':
				if state != wantCommaOrEnd {
					return i, unexpected(c, state)
				}
				if stack[len(stack)-1] == '{' {
					state = wantKey
				} else {
					state = wantValue
				}
			case ':':
				if state != wantColon {
					return i, unexpected(c, state)
				}
				state = wantValue
			default:
				if !scalarByte(c) || state != wantValue && state != wantValueOrEnd {
					return i, unexpected(c, state)
				}
				state = inScalar
			}
			i++
		}
		if !in.fill() {
			return i, in.cut()
		}
	}
}

func (in *input) cut() error {
	return errors.New("the JSON ends in the middle")
}

func unexpected(c byte, state int) error {
	want := [...]string{"a value", "a value", "a key", "a key", "a colon", "a comma or an end"}[state]
	return fmt.Errorf("%s was expected where %q stands", want, c)
}

func scalarByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// stringStop marks the bytes that end a run of plain text in a string.
var stringStop = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// broken returns the length of a damaged value at the start of the window: up
// to the bracket that closes it, or to the line where the next value begins. A
// value may go on in the next line when that begins with white space, a quote,
// a comma or a closing bracket; with elements also when it begins with an
// opening bracket where a list wants an element.
func (in *input) broken(elements bool) int {
	stack := in.stack[:0]
	defer func() { in.stack = stack[:0] }()
	var last byte // the last byte that is not white space
	inString, escaped, fresh := false, false, false
	beyond := 0 // brackets that are open beyond those on the stack
	for i := 0; ; i++ {
		b := in.rest()
		if i >= len(b) {
			if !in.fill() {
				return len(in.rest())
			}
			b = in.rest()
		}
		c := b[i]
		if fresh {
			fresh = false
			switch c {
			case ' ', '\t', '\r', '\n', '"', '}', ']', ',':
			default:
				list := len(stack) > 0 && stack[len(stack)-1] == '[' && (last == ',' || last == '[')
				if !elements || !list {
					return i
				}
			}
		}
		if c == '\n' {
			if beyond > 0 {
				return i
			}
			fresh, inString, escaped = true, false, false
			continue
		}
		if inString {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				inString = false
			}
			last = c
			continue
		}
		switch c {
		case ' ', '\t', '\r':
			continue
		case '"':
			inString = true
		case '{', '[':
			if len(stack) == maxStack {
				beyond++
			} else {
				stack = append(stack, c)
			}
		case '}', ']':
			if beyond > 0 {
				beyond--
				break
			}
			if len(stack) > 0 {
				stack = stack[:len(stack)-1]
			}
			if len(stack) == 0 {
				return i + 1
			}
		}
		last = c
	}
}

// restOfLine returns the length of the window up to the end of its line.
func (in *input) restOfLine() int {
	from := 0
	for {
		b := in.rest()
		if i := bytes.IndexByte(b[from:], '\n'); i >= 0 {
			return from + i
		}
		from = len(b)
		if !in.fill() {
			return len(in.rest())
		}
	}
}
