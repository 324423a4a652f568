package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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
