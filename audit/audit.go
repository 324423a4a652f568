package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Record is one decision or change.
type Record struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`     // to the microsecond, UTC
	Who    string    `json:"who"`    // guardroom, or a person
	Action string    `json:"action"` // finding.accepted, incident.closed, …
	Object string    `json:"object"` // INC-42, finding/…, delivery/…
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	Why    string    `json:"why,omitempty"`
	Prev   string    `json:"prev"` // hash of the record before, empty for the first
	Hash   string    `json:"hash"`
}

// domain separates these hashes from all others and names the version of the
// encoding.
const domain = "guardroom audit record 1\n"

// Digest returns the hash of the record as it should be: SHA-256 over the
// domain line, the sequence number and the time in microseconds as 64-bit
// big-endian integers, and the fields in the order of the struct (Prev last),
// each with its length in front.
func (r Record) Digest() string {
	h := sha256.New()
	h.Write([]byte(domain))
	var n [8]byte
	number := func(v int64) {
		binary.BigEndian.PutUint64(n[:], uint64(v)) //nolint:gosec // the bits are what is hashed
		h.Write(n[:])
	}
	number(r.Seq)
	number(r.At.UnixMicro())
	for _, s := range [...]string{r.Who, r.Action, r.Object, r.Before, r.After, r.Why, r.Prev} {
		number(int64(len(s)))
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Seal returns the record as the link that follows head. Its texts are cleaned
// and its time is cut to the microsecond, so that every database and every
// export gives back exactly what was hashed.
func (r Record) Seal(head Head) Record {
	r.Seq = head.Seq + 1
	r.Prev = head.Hash
	r.At = r.At.UTC().Truncate(time.Microsecond)
	for _, s := range [...]*string{&r.Who, &r.Action, &r.Object, &r.Before, &r.After, &r.Why} {
		*s = Clean(*s)
	}
	r.Hash = r.Digest()
	return r
}

// Clean returns s as every database and JSON can hold it: NUL and bytes that are
// not UTF-8 become U+FFFD. Applying it again changes nothing.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Head is the end of the chain at some moment.
type Head struct {
	Seq  int64     `json:"seq"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"` // when this head was written down
}

// Fault is one thing that Verify found.
type Fault struct {
	Seq     int64  `json:"seq"` // the record that is wrong or missing
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// The kinds of faults.
const (
	Changed   = "changed"   // a record's hash does not fit its content
	Removed   = "removed"   // a number is missing
	Reordered = "reordered" // a record follows another one than it says
	Cut       = "cut"       // a head outside names a record that no longer exists
	Rewritten = "rewritten" // a head outside has another hash for a record
)

// Report is the outcome of Verify.
type Report struct {
	Records int64   `json:"records"`
	First   int64   `json:"first"`
	Last    Head    `json:"last"`
	Heads   int     `json:"heads"` // heads outside that were compared
	Faults  []Fault `json:"faults"`
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Faults) == 0 }

const maxFaults = 100

// Verifier checks a chain record by record, in the order of Seq.
type Verifier struct {
	report Report
	heads  map[int64][]Head
	newest int64
	next   int64
	prev   string
}

// NewVerifier returns a verifier that also compares the heads that were written
// down outside of the store. first and anchor say where the chain begins when
// its beginning was exported and pruned: the number of the first record and the
// hash of the one before; for a whole chain 1 and "".
func NewVerifier(first int64, anchor string, heads []Head) *Verifier {
	v := &Verifier{next: first, prev: anchor, heads: map[int64][]Head{}}
	v.report.First, v.report.Heads, v.report.Faults = first, len(heads), []Fault{}
	for _, h := range heads {
		v.heads[h.Seq] = append(v.heads[h.Seq], h)
		v.newest = max(v.newest, h.Seq)
	}
	return v
}

func (v *Verifier) fault(seq int64, kind, format string, args ...any) {
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, Fault{Seq: seq, Kind: kind, Message: fmt.Sprintf(format, args...)})
	}
}

// Add takes the next record.
func (v *Verifier) Add(r Record) {
	v.report.Records++
	for missing := v.next; missing < r.Seq; missing++ {
		v.fault(missing, Removed, "record %d is missing", missing)
		if missing-v.next >= maxFaults {
			break
		}
	}
	gap := r.Seq != v.next
	switch {
	case r.Digest() != r.Hash:
		v.fault(r.Seq, Changed, "record %d (%s %s by %s) was changed: its content has the hash %s and the chain says %s",
			r.Seq, r.Action, r.Object, r.Who, short(r.Digest()), short(r.Hash))
	case !gap && r.Prev != v.prev:
		v.fault(r.Seq, Reordered, "record %d (%s %s) does not follow record %d: it names %s before it and that is %s",
			r.Seq, r.Action, r.Object, r.Seq-1, short(r.Prev), short(v.prev))
	}
	for _, h := range v.heads[r.Seq] {
		if h.Hash != r.Hash {
			v.fault(r.Seq, Rewritten, "record %d has the hash %s; the head written down outside on %s says %s: the chain was rewritten at or before it",
				r.Seq, short(r.Hash), h.At.Format(time.RFC3339), short(h.Hash))
		}
	}
	v.next, v.prev = r.Seq+1, r.Hash
	v.report.Last = Head{Seq: r.Seq, Hash: r.Hash, At: r.At}
}

// Report ends the check. head is what the store itself says is its end.
func (v *Verifier) Report(head Head) Report {
	last := v.next - 1
	if head.Seq > last {
		v.fault(head.Seq, Removed, "the store's own head names record %d and the last one is %d", head.Seq, last)
	} else if head.Seq == last && last >= v.report.First && head.Hash != v.prev {
		v.fault(last, Changed, "the store's own head has another hash than record %d", last)
	} else if head.Seq < last {
		v.fault(last, Changed, "the store's own head names record %d and the last one is %d", head.Seq, last)
	}
	if v.newest > last {
		v.fault(v.newest, Cut, "a head written down outside names record %d and the last one is %d: the end of the chain was cut", v.newest, last)
	}
	return v.report
}

func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	if hash == "" {
		return "nothing"
	}
	return hash
}
