package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Piece is a part of a stream that can be taken on its own.
type Piece struct {
	Body []byte
	Line int // 1-based line of the stream at which the body begins
}

// DamagedError says that the bytes of a stream are no usable data, as against
// bytes that could not be read.
type DamagedError struct {
	Line int // where it was noticed
	Err  error
}

// Error names the damage.
func (e *DamagedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

const (
	pieceBytes = 4 << 20   // what a piece holds before it is handed on
	valueBytes = 256 << 20 // the most that one JSON value may hold
	maxGzip    = 3         // how often gzip may be packed into gzip
	maxOpen    = 1 << 14   // brackets remembered at once
)

// Pieces reads a stream of any length and cuts it where one JSON value ends and
// the next line begins, so that an export of a gigabyte needs the memory of a
// few megabytes. gzip is unpacked. A single value is never cut; one of more
// than 256 MiB is refused. The bytes are not checked: the decoder does that,
// and a damaged value costs no more than its own lines.
//
// yield owns the piece. An error of yield ends Pieces and is returned as it is.
func Pieces(r io.Reader, yield func(Piece) error) error {
	return cutter{piece: pieceBytes, value: valueBytes}.run(r, yield)
}

// cutter holds the limits, which tests make small.
type cutter struct{ piece, value int }

func (c cutter) run(r io.Reader, yield func(Piece) error) error {
	in := &watched{r: r}
	plain, err := unpack(in)
	if err != nil {
		return in.tell(err, 1)
	}
	s := scanner{line: 1}
	for size := min(c.piece, 8<<10); ; size = min(2*size, c.piece, 256<<10) { // most objects are small
		n, err := s.read(plain, size)
		s.scan()
		for s.cut > 0 && s.at >= c.piece {
			if err := s.hand(s.cut, yield); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if blank(s.buf) {
				return nil
			}
			return s.hand(len(s.buf), yield)
		case err != nil:
			// What was read before is still good up to the last cut. Behind it
			// the decoder keeps what it can of damaged data; data that could
			// not be read comes again.
			err = in.tell(err, s.line+bytes.Count(s.buf, []byte{10}))
			n := s.cut
			if damaged := (*DamagedError)(nil); errors.As(err, &damaged) {
				n = len(s.buf)
			}
			if n > 0 {
				if err := s.hand(n, yield); err != nil {
					return err
				}
			}
			return err
		case len(s.buf) > c.value:
			return &DamagedError{Line: s.line, Err: fmt.Errorf("one JSON value holds more than %d bytes: write one finding a line", c.value)}
		case n == 0:
			return in.tell(io.ErrNoProgress, s.line)
		}
	}
}

// unpack unpacks gzip as often as it is packed.
func unpack(r io.Reader) (io.Reader, error) {
	for range maxGzip {
		b := bufio.NewReaderSize(r, 16<<10)
		head, err := b.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
			return b, nil
		}
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("the gzip header is damaged: %w", err)
		}
		r = z
	}
	b := bufio.NewReaderSize(r, 16<<10)
	if head, _ := b.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return nil, errors.New("gzip is packed into gzip too often")
	}
	return b, nil
}

// watched remembers how reading ended, to tell damage from a failing reader.
type watched struct {
	r   io.Reader
	err error
}

// Read reads through.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func (w *watched) tell(err error, line int) error {
	if w.err != nil && !errors.Is(w.err, io.EOF) {
		return fmt.Errorf("read: %w", w.err)
	}
	return &DamagedError{Line: line, Err: fmt.Errorf("the data is damaged: %w", err)}
}

// scanner looks for places to cut.
type scanner struct {
	buf  []byte
	at   int // bytes that were looked at
	cut  int // the last place to cut, 0: none
	line int // the line at which buf begins

	open     []byte // brackets that are open
	last     byte   // the last byte that is not white space
	inString bool
	escaped  bool
	fresh    bool // at the first byte of a line inside a value
}

func (s *scanner) read(r io.Reader, size int) (int, error) {
	if cap(s.buf)-len(s.buf) < size {
		grown := make([]byte, len(s.buf), 2*cap(s.buf)+size)
		copy(grown, s.buf)
		s.buf = grown
	}
	start := len(s.buf)
	for len(s.buf)-start < size {
		n, err := r.Read(s.buf[len(s.buf) : start+size])
		s.buf = s.buf[:len(s.buf)+n]
		if err != nil || n == 0 {
			return len(s.buf) - start, err
		}
	}
	return size, nil
}

// scan looks at the new bytes. Like the decoder it takes a line that begins
// with an opening bracket for a new value, except where a list wants an element
// or a key its value: so a value that was cut off does not swallow the file.
func (s *scanner) scan() {
	for ; s.at < len(s.buf); s.at++ {
		c := s.buf[s.at]
		if s.fresh {
			s.fresh = false
			if (c == '{' || c == '[') && !s.wantsValue() {
				s.open, s.cut = s.open[:0], s.at
			}
		}
		if c == '\n' {
			s.inString, s.escaped = false, false
			if len(s.open) == 0 {
				s.cut = s.at + 1
			} else {
				s.fresh = true
			}
			continue
		}
		if s.inString {
			s.text(c)
			continue
		}
		switch c {
		case ' ', '\t', '\r':
			continue
		case '"':
			s.inString = true
		case '{', '[':
			if len(s.open) < maxOpen {
				s.open = append(s.open, c)
			}
		case '}', ']':
			if len(s.open) > 0 {
				s.open = s.open[:len(s.open)-1]
			}
		}
		s.last = c
	}
}

// text looks at one byte of a string, and passes over those behind it that are
// plain: most bytes of a finding are.
func (s *scanner) text(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inString, s.last = false, c
	default:
		at, buf := s.at+1, s.buf
		for at < len(buf) && buf[at] != '"' && buf[at] != '\\' && buf[at] != '\n' {
			at++
		}
		s.at = at - 1
	}
}

func (s *scanner) wantsValue() bool {
	if s.open[len(s.open)-1] == '[' {
		return s.last == ',' || s.last == '['
	}
	return s.last == ':'
}

// hand gives away the first n bytes.
func (s *scanner) hand(n int, yield func(Piece) error) error {
	piece := Piece{Body: s.buf[:n:n], Line: s.line}
	s.line += bytes.Count(piece.Body, []byte{'\n'})
	s.buf = bytes.Clone(s.buf[n:])
	s.at -= n
	s.cut = 0
	if blank(piece.Body) {
		return nil
	}
	return yield(piece)
}

// blank reports whether there is nothing but white space of JSON.
func blank(b []byte) bool { return len(bytes.TrimLeft(b, " \t\r\n")) == 0 }
