package finding

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits bound what Decode accepts. The zero value means DefaultLimits.
type Limits struct {
	MaxBytes    int64 // of the whole input, after gunzip
	MaxFinding  int   // bytes of one finding
	MaxFindings int   // findings in one input
	MaxDepth    int   // nesting of JSON
}

// DefaultLimits are far above what GuardDuty sends.
var DefaultLimits = Limits{MaxBytes: 1 << 30, MaxFinding: 4 << 20, MaxFindings: 5_000_000, MaxDepth: 200}

// Item is one thing that Decode met. Exactly one of Finding, Rejected, Ignored
// and Reference is set.
type Item struct {
	Finding   *Finding
	Rejected  *Rejected
	Ignored   *Ignored
	Reference *Reference
	// Position says where in the input the item stands.
	Position Position
	// Wrapping names the layers around the item, outermost first, for example
	// ["gzip", "json-lines", "eventbridge"].
	Wrapping []string
	// MessageID is the id of the SQS record that held the item, if any.
	MessageID string
}

// Position is a place in an input. Zero fields are unknown.
type Position struct {
	Offset int64  // bytes from the start of the (unzipped) input
	Line   int    // 1-based
	Path   string // where inside the value: Records[3].body.detail
}

// Rejected is an input that should have been a finding and is not usable.
type Rejected struct {
	Reason string // one sentence that names the field
	Raw    []byte // the rejected part, cut to 1 MiB
}

// Ignored is an event of GuardDuty that is not a finding.
type Ignored struct {
	DetailType string // its detail-type, or a word of ours for it
	Raw        []byte // cut to 64 KiB
}

// Reference is a pointer to an S3 object that holds findings (an S3 event).
type Reference struct{ Bucket, Key, Region string }

const (
	maxRejectedRaw = 1 << 20
	maxIgnoredRaw  = 64 << 10
	// maxLayers bounds the wrappings around a finding. gzip and JSON Lines at
	// the outside do not count. The deepest that occurs is a list of SQS batches
	// of SNS notifications of EventBridge events, or the same with CloudWatch
	// Logs: five.
	maxLayers = 5
	// maxGzip bounds how often gzip may be packed into gzip.
	maxGzip = 3
)

var errTooMany = errors.New("more findings than the limit")

// Decode reads any wrapping of findings from r and calls yield for each item
// in the order of the input, until yield returns false. It returns an error
// only when r itself fails to read or breaks a limit; everything that is wrong
// with the content is yielded as Rejected, damaged gzip included. It holds one
// top-level JSON value in memory at a time.
//
// Wrappings are recognised by looking: gzip (also several members), JSON Lines
// and values one after the other, lists, EventBridge events and parts of them,
// responses of GetFindings, batches of SQS and SNS for Lambda, SNS
// notifications, S3 events (yielded as Reference), CloudWatch Logs
// subscriptions. They may be nested five deep, not counting gzip and JSON Lines
// at the outside. Keys are matched without regard to case.
//
// After a damaged value decoding goes on in the line behind it; in a list only
// the damaged element is lost.
func Decode(r io.Reader, limits Limits, yield func(Item) bool) error {
	d := newDecoder(limits, yield)
	return d.stream(newInput(r, d.limits.MaxBytes), nil)
}

// DecodeAll is Decode for an input that is in memory already. The items do not
// refer to b.
func DecodeAll(b []byte, limits Limits) ([]Item, error) {
	var items []Item
	d := newDecoder(limits, func(it Item) bool {
		items = append(items, it)
		return true
	})
	if int64(len(b)) > d.limits.MaxBytes {
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, d.limits.MaxBytes)
	}
	err := d.stream(bytesInput(b), nil)
	return items, err
}

// decoder is one call of Decode.
type decoder struct {
	limits    Limits
	yield     func(Item) bool
	findings  int
	refused   int
	rescanned int
	err       error
	free      []*tree
}

func newDecoder(l Limits, yield func(Item) bool) *decoder {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultLimits.MaxBytes
	}
	if l.MaxFinding <= 0 {
		l.MaxFinding = DefaultLimits.MaxFinding
	}
	if l.MaxFindings <= 0 {
		l.MaxFindings = DefaultLimits.MaxFindings
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultLimits.MaxDepth
	}
	return &decoder{limits: l, yield: yield}
}

// place is where the decoder stands: what is around the value at hand.
type place struct {
	at        Position
	wrapping  []string
	layers    int
	messageID string
	account   string // from the nearest envelope
	region    string
	event     bool // inside an EventBridge envelope that says: a finding
}

func (p place) in(layer string) place {
	p.wrapping = append(slices.Clip(p.wrapping), layer)
	p.layers++
	return p
}

func (p place) below(path string) place {
	switch {
	case p.at.Path == "" || path == "":
		p.at.Path += path
	case path[0] == '[':
		p.at.Path += path
	default:
		p.at.Path += "." + path
	}
	return p
}

// stream decodes the outermost layers: gzip, marks of encodings, JSON Lines.
func (d *decoder) stream(in *input, wrapping []string) error {
	for range maxGzip {
		head := in.peek(2)
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			break
		}
		wrapping = append(wrapping, "gzip")
		z, err := gzip.NewReader(&rest{in: in})
		if err != nil {
			d.rejected(place{wrapping: wrapping, at: Position{Line: 1}}, "the gzip header is damaged: "+err.Error(), nil)
			return d.ended(in)
		}
		in = newInput(&unzip{z: z, from: in}, d.limits.MaxBytes)
	}
	switch head := in.peek(3); {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		in.consume(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		d.rejected(place{wrapping: wrapping, at: Position{Line: 1}}, "the text is UTF-16: send UTF-8", nil)
		return d.ended(in)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		d.rejected(place{wrapping: wrapping, at: Position{Line: 1}}, "gzip is packed into gzip too often", nil)
		return d.ended(in)
	}
	d.values(in, place{wrapping: wrapping})
	return d.ended(in)
}

// ended returns why decoding ended, nil at the normal end.
func (d *decoder) ended(in *input) error {
	switch {
	case errors.Is(d.err, errStop):
		return nil
	case d.err != nil:
		return d.err
	case in.err == nil || errors.Is(in.err, io.EOF):
		return nil
	case errors.Is(in.err, errTooLarge):
		return fmt.Errorf("%w of %d bytes", errTooLarge, d.limits.MaxBytes)
	case damagedGzip(in.err):
		d.rejected(place{wrapping: []string{"gzip"}, at: Position{Offset: in.base, Line: in.line}}, "the gzip data is damaged: "+in.err.Error(), nil)
		if d.err != nil && !errors.Is(d.err, errStop) {
			return d.err
		}
		return nil
	}
	return fmt.Errorf("read findings: %w", in.err)
}

func damagedGzip(err error) bool {
	var g *gzipError
	return errors.As(err, &g)
}

// gzipError is an error of the compressed data, as against one of the reader.
type gzipError struct{ error }

// Unwrap returns the error of the gzip reader.
func (e *gzipError) Unwrap() error { return e.error }

// unzip tells damaged data from a reader that failed.
type unzip struct {
	z    *gzip.Reader
	from *input
}

// Read unpacks all members, one after the other.
func (u *unzip) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if u.from.err != nil && !errors.Is(u.from.err, io.EOF) {
		return n, u.from.err
	}
	return n, &gzipError{err}
}

// rest reads what is left of an input.
type rest struct{ in *input }

// Read gives the window first and then reads through.
func (r *rest) Read(p []byte) (int, error) {
	if len(r.in.rest()) == 0 && !r.in.fill() {
		if r.in.err != nil {
			return 0, r.in.err
		}
		return 0, io.EOF
	}
	n := copy(p, r.in.rest())
	r.in.pos += n
	return n, nil
}

// values decodes the JSON values of an input, one after the other. A damaged one
// is rejected, and decoding goes on in the line behind it.
func (d *decoder) values(in *input, p place) {
	wrapping := p.wrapping
	lines := append(slices.Clip(wrapping), "json-lines")
	for first := true; d.err == nil && in.skipSpace(); first = false {
		p := p
		if p.at.Line == 0 {
			p.at.Offset, p.at.Line = in.base, in.line
		}
		b := in.rest()
		if b[0] != '{' && b[0] != '[' {
			if !first {
				p.wrapping = lines
			}
			n := in.restOfLine()
			reason := "not JSON: a value begins with { or ["
			if t := d.tree(); t.parse(strings.TrimSpace(string(in.rest()[:min(n, maxRejectedRaw)])), 1) == nil {
				reason = "not an object: " + t.rootValue().kind().String() + " stands alone"
			}
			d.rejected(p, reason, in.rest()[:n])
			in.consume(n)
			continue
		}
		n, err := in.frame()
		if in.err != nil && !errors.Is(in.err, io.EOF) && err != nil {
			return // the reader failed; ended says so
		}
		if err == nil {
			if !first || in.more(n) {
				p.wrapping = lines
			}
			d.whole(in.rest()[:n], p) // after more, which may move the window
			in.consume(n)
			continue
		}
		d.damaged(in, n, err, first, p, lines)
	}
}

// maxRescan bounds the bytes that are read again because a value that opened
// many lines before turned out to be damaged.
const maxRescan = 64 << 20

// damaged rejects the damaged value at the start of the window and consumes
// it. The framer gave up after scanned bytes.
func (d *decoder) damaged(in *input, scanned int, err error, first bool, p place, lines []string) {
	wide := in.broken(true)
	if !first || in.more(wide) {
		p.wrapping = lines
	}
	if d.elements(in.rest()[:wide], p) {
		in.consume(wide)
		return
	}
	n := in.broken(false)
	if d.rescanned += max(scanned, wide) - n; d.rescanned > maxRescan {
		// Somebody opens brackets without end: give up on the lines between.
		n = max(n, wide, bytes.LastIndexByte(in.rest()[:min(scanned, len(in.rest()))], '\n'))
	}
	d.rejected(p, "damaged JSON: "+err.Error(), in.rest()[:n])
	in.consume(n)
}

// more reports whether another value follows behind n bytes.
func (in *input) more(n int) bool {
	for {
		for _, c := range in.rest()[n:] {
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				return true
			}
		}
		n = len(in.rest())
		if !in.fill() {
			return false
		}
	}
}

// whole decodes one framed object or list.
func (d *decoder) whole(text []byte, p place) {
	if text[0] == '[' || len(text) > d.limits.MaxFinding {
		if d.elements(text, p) {
			return
		}
		if text[0] == '{' {
			d.rejected(p, fmt.Sprintf("larger than %d bytes", d.limits.MaxFinding), text)
		}
		return
	}
	src := string(text)
	if !utf8.ValidString(src) {
		src = strings.ToValidUTF8(src, "\uFFFD")
	}
	t := d.tree()
	if err := t.parse(src, d.limits.MaxDepth); err != nil {
		d.release(t)
		if !d.elements(text, p) {
			d.rejected(p, "damaged JSON: "+err.Error(), text)
		}
		return
	}
	d.object(t.rootValue(), p)
	d.release(t)
}

// text decodes the JSON values in a text that was inside another value.
func (d *decoder) text(s string, p place) {
	if p.layers > maxLayers {
		d.rejected(p, fmt.Sprintf("wrapped in more than %d layers", maxLayers), []byte(s))
		return
	}
	if len(s) <= d.limits.MaxFinding && strings.HasPrefix(s, "{") {
		// Nearly always one good object: no need to look for its end first. A
		// tree has replaced what was no UTF-8 before.
		t := d.tree()
		if t.parse(s, d.limits.MaxDepth) == nil {
			d.object(t.rootValue(), p)
			d.release(t)
			return
		}
		d.release(t)
	}
	in := bytesInput([]byte(s))
	if !in.skipSpace() {
		d.rejected(p, "the text at "+p.at.Path+" is empty", nil)
		return
	}
	d.values(in, p)
}

func (d *decoder) tree() *tree {
	if n := len(d.free); n > 0 {
		t := d.free[n-1]
		d.free = d.free[:n-1]
		return t
	}
	return &tree{nodes: make([]node, 0, 512)}
}

func (d *decoder) release(t *tree) {
	if cap(t.nodes) < 1<<16 {
		t.src, t.warnings = "", nil
		if t.inner != nil {
			t.inner.src = ""
		}
		d.free = append(d.free, t)
	}
}

// errStop says that yield does not want more.
var errStop = errors.New("stopped by the caller")

func (d *decoder) emit(it Item, p place) {
	if d.err != nil {
		return
	}
	it.Position, it.Wrapping, it.MessageID = p.at, p.wrapping, p.messageID
	if it.Wrapping == nil {
		it.Wrapping = []string{}
	}
	if it.Finding != nil {
		if d.findings++; d.findings > d.limits.MaxFindings {
			d.err = fmt.Errorf("%w of %d", errTooMany, d.limits.MaxFindings)
			return
		}
	}
	if !d.yield(it) {
		d.err = errStop
	}
}

func (d *decoder) rejected(p place, reason string, raw []byte) {
	d.refused++
	d.emit(Item{Rejected: &Rejected{Reason: reason, Raw: bytes.Clone(raw[:min(len(raw), maxRejectedRaw)])}}, p)
}

func (d *decoder) ignored(p place, detailType string, v value) {
	raw := v.raw()
	d.emit(Item{Ignored: &Ignored{DetailType: detailType, Raw: []byte(raw[:min(len(raw), maxIgnoredRaw)])}}, p)
}
