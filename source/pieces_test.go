package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
)

func cut(t *testing.T, c cutter, r io.Reader) ([]Piece, error) {
	t.Helper()
	var out []Piece
	err := c.run(r, func(p Piece) error {
		out = append(out, p)
		return nil
	})
	return out, err
}

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStreamsAreCutBetweenValuesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"JSON Lines", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", []string{"{\"a\":1}\n", "{\"a\":2}\n", "{\"a\":3}\n"}},
		{"values that are printed over lines", "{\n \"a\": [\n  1\n ]\n}\n{\n \"b\": 2\n}\n", []string{"{\n \"a\": [\n  1\n ]\n}\n", "{\n \"b\": 2\n}\n"}},
		{"a list whose elements begin their lines", "[\n{\"a\":1},\n{\"a\":2}\n]\n{}\n", []string{"[\n{\"a\":1},\n{\"a\":2}\n]\n", "{}\n"}},
		{"a value that is cut off costs its line", "{\"a\":[1,\n{\"a\":2}\n{\"a\":3}\n", []string{"{\"a\":[1,\n{\"a\":2}\n", "{\"a\":3}\n"}},
		{"an object that is cut off costs its line", "{\"a\":{\"b\n{\"a\":2}\n{\"a\":3}\n", []string{"{\"a\":{\"b\n", "{\"a\":2}\n", "{\"a\":3}\n"}},
		{"brackets in strings are text", "{\"a\":\"}{\\\"[\"}\n{}\n", []string{"{\"a\":\"}{\\\"[\"}\n", "{}\n"}},
		{"no line end at the end", "{}\n{}", []string{"{}\n", "{}"}},
		{"white space only", " \n\n \n", nil},
		{"text that is no JSON", "hello\nworld\n", []string{"hello\n", "world\n"}},
		{"closing brackets without opening ones", "}}]\n{}\n", []string{"}}]\n", "{}\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text)), bytes.NewReader(pack(t, c.text))} {
				pieces, err := cut(t, cutter{piece: 1, value: 1 << 20}, r)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, p := range pieces {
					got = append(got, string(p.Body))
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestPieceSaysAtWhichLineItBegins(t *testing.T) {
	t.Parallel()
	pieces, err := cut(t, cutter{piece: 1, value: 1 << 20}, strings.NewReader("\n{\n}\n{}\n\n\n{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, p := range pieces {
		line := p.Line + strings.Index(string(p.Body), "{")
		lines = append(lines, line)
	}
	if diff := cmp.Diff([]int{2, 4, 7}, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// endless gives the same line for ever, up to n bytes.
type endless struct {
	line []byte
	at   int
	n    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.n)], e.line[e.at:])
	e.at = (e.at + n) % len(e.line)
	e.n -= n
	return n, nil
}

func TestLargeStreamTakesTheMemoryOfAPiece(t *testing.T) {
	t.Parallel()
	line := []byte(`{"a":"` + strings.Repeat("x", 6000) + "\"}\n")
	const total = 256 << 20
	largest, sum := 0, 0
	err := Pieces(&endless{line: line, n: total / len(line) * len(line)}, func(p Piece) error {
		largest, sum = max(largest, cap(p.Body)), sum+len(p.Body)
		return nil
	})
	if err != nil || sum != total/len(line)*len(line) {
		t.Fatalf("%d bytes came through: %v", sum, err)
	}
	if largest > 2*pieceBytes {
		t.Errorf("a piece held %d bytes", largest)
	}
}

func TestDamageAndFailureAreToldApart(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("{\"a\":1}\n", 1000)
	packed := pack(t, lines)
	broken := bytes.Clone(packed)
	broken[len(broken)-5] ^= 0xff // the checksum
	for _, c := range []struct {
		name    string
		r       io.Reader
		damaged bool
	}{
		{"gzip that ends early", bytes.NewReader(packed[:len(packed)-4]), true},
		{"gzip with a wrong checksum", bytes.NewReader(broken), true},
		{"gzip with a broken header", strings.NewReader("\x1f\x8b\x00\x00 and more"), true},
		{"gzip in gzip in gzip in gzip", bytes.NewReader(pack(t, string(pack(t, string(pack(t, string(packed))))))), true},
		{"one value over the limit", &endless{line: []byte("[1,"), n: 1 << 20}, true},
		{"a connection that breaks off", io.MultiReader(strings.NewReader(lines), iotest.ErrReader(errors.New("reset"))), false},
		{"a connection that breaks off inside gzip", io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), iotest.ErrReader(errors.New("reset"))), false},
	} {
		_, err := cut(t, cutter{piece: 100, value: 64 << 10}, c.r)
		var damaged *DamagedError
		if err == nil || errors.As(err, &damaged) != c.damaged {
			t.Errorf("%s: %v, want damage=%v", c.name, err, c.damaged)
		}
	}
}

func TestWhatStoodBeforeTheDamageIsHandedOn(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("{\"a\":1}\n", 100_000)
	packed := pack(t, lines)
	pieces, err := cut(t, cutter{piece: 1000, value: 1 << 20}, bytes.NewReader(packed[:len(packed)-8]))
	n := 0
	for _, p := range pieces {
		n += bytes.Count(p.Body, []byte("\n"))
	}
	if err == nil || n != 100_000 {
		t.Errorf("%d lines of 100,000 came through; error %v", n, err)
	}
}

func TestYieldEndsTheStreamWithItsOwnError(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	n := 0
	err := cutter{piece: 1, value: 100}.run(strings.NewReader("{}\n{}\n{}\n"), func(Piece) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("error %v after %d pieces", err, n)
	}
}

// FuzzPieces checks that no byte is lost or changed, and that cutting makes no
// difference to what the decoder finds where nothing is damaged.
func FuzzPieces(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n[\n{},\n{}\n]\n"))
	f.Add([]byte("{\"a\":\"\n{\"b\":[1,\n{}\n"))
	f.Add([]byte("{\"type\":\"Recon:EC2/Portscan\",\"id\":\"x\"}\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			return
		}
		var joined, last []byte
		lines, inPieces := 1, 0
		err := cutter{piece: 8, value: 1 << 20}.run(bytes.NewReader(text), func(p Piece) error {
			// Pieces of white space are left out.
			at := bytes.Index(text[len(joined):], p.Body)
			if at < 0 || len(bytes.TrimSpace(text[len(joined):len(joined)+at])) > 0 {
				return fmt.Errorf("piece %q does not follow %q", p.Body, joined)
			}
			joined = text[:len(joined)+at+len(p.Body)]
			lines = bytes.Count(joined[:len(joined)-len(p.Body)], []byte("\n")) + 1
			if p.Line != lines {
				return fmt.Errorf("piece %q says line %d, want %d", p.Body, p.Line, lines)
			}
			last = p.Body
			items, err := finding.DecodeAll(p.Body, finding.Limits{})
			inPieces += len(items)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(text[len(joined):])) > 0 {
			t.Fatalf("lost %q behind %q", text[len(joined):], last)
		}
		items, err := finding.DecodeAll(text, finding.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			if item.Rejected != nil && strings.Contains(item.Rejected.Reason, "damaged") {
				return
			}
		}
		if len(items) != inPieces {
			t.Fatalf("%d items as a whole, %d in pieces", len(items), inPieces)
		}
	})
}

func BenchmarkPieces(b *testing.B) {
	line := []byte(`{"a":"` + strings.Repeat("x", 3000) + `","b":{"c":[1,2,3],"d":"` + strings.Repeat("y", 3000) + "\"}}\n")
	b.SetBytes(int64(len(line)) * 1000)
	for b.Loop() {
		if err := Pieces(&endless{line: line, n: len(line) * 1000}, func(Piece) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
