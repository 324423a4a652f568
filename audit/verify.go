package audit

import (
	"fmt"
	"slices"
	"time"
)

// Fault is one thing that a Verifier found.
type Fault struct {
	Seq     int64  `json:"seq"` // the record that is wrong, or the first one that is missing
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// The kinds of faults.
const (
	Changed   = "changed"   // a record's hash does not fit its content
	Removed   = "removed"   // a number is missing
	Reordered = "reordered" // a record stands at another place than it was written at
	Cut       = "cut"       // a head outside names a record that no longer exists
	Rewritten = "rewritten" // a head outside has another hash for a record
	Differs   = "differs"   // the store has something otherwise than the record says
)

// Report is the outcome of a check.
type Report struct {
	Records int64   `json:"records"`
	First   int64   `json:"first"`
	Last    Head    `json:"last"`
	Heads   int     `json:"heads"` // heads outside that were compared
	Faults  []Fault `json:"faults"`
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// maxFaults bounds a report: after so many nobody reads on.
const maxFaults = 100

// Verifier checks a chain record by record, in the order of Seq.
type Verifier struct {
	report Report
	heads  map[int64][]Head
	newest int64 // the greatest number that a head outside names

	next int64  // the number that should come
	prev string // the hash of the record before it
	// linked says that prev can be relied on: nothing is missing before next,
	// and the record before fits its own hash.
	linked   bool
	suspects []suspect
	missing  []int64
}

// suspect is a record that does not fit its hash, with its fault's place in the
// report.
type suspect struct {
	record Record
	fault  int
}

// NewVerifier returns a verifier that also compares the heads that were written
// down outside of the store. first and anchor say where the chain begins: the
// number of its first record and the hash of the one before; for a whole chain 1
// and "".
func NewVerifier(first int64, anchor string, heads []Head) *Verifier {
	v := &Verifier{next: first, prev: anchor, linked: true, heads: map[int64][]Head{}}
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
	if r.Seq < v.next {
		v.fault(r.Seq, Reordered, "record %d (%s %s) comes after record %d", r.Seq, r.Action, r.Object, v.next-1)
		return
	}
	v.gap(r.Seq)
	fits := r.Digest() == r.Hash
	switch {
	case !fits:
		if len(v.report.Faults) < maxFaults {
			v.suspects = append(v.suspects, suspect{record: r, fault: len(v.report.Faults)})
		}
		v.fault(r.Seq, Changed, "record %d (%s %s by %s) was changed: its content has the hash %s and the chain says %s",
			r.Seq, r.Action, r.Object, r.Who, short(r.Digest()), short(r.Hash))
	case v.linked && r.Prev != v.prev:
		v.fault(r.Seq, Reordered, "record %d (%s %s) does not follow record %d: it names %s before it and that is %s; one of the two was replaced or moved",
			r.Seq, r.Action, r.Object, r.Seq-1, short(r.Prev), short(v.prev))
	}
	for _, h := range v.heads[r.Seq] {
		if fits && h.Hash != r.Hash {
			v.fault(r.Seq, Rewritten, "record %d has the hash %s; the head written down outside on %s says %s: the chain was rewritten at or before it",
				r.Seq, short(r.Hash), h.At.Format(time.RFC3339), short(h.Hash))
		}
	}
	v.next, v.prev, v.linked = r.Seq+1, r.Hash, fits
	v.report.Last = Head{Seq: r.Seq, Hash: r.Hash, At: r.At}
}

// gap notes the numbers that are missing before seq.
func (v *Verifier) gap(seq int64) {
	if seq == v.next {
		return
	}
	v.linked = false
	for n := v.next; n < seq && len(v.missing) < maxFaults; n++ {
		v.missing = append(v.missing, n)
	}
	v.gone(v.next, seq-1)
}

func (v *Verifier) gone(from, to int64) {
	if from == to {
		v.fault(from, Removed, "record %d is missing", from)
		return
	}
	v.fault(from, Removed, "records %d to %d are missing", from, to)
}

// Report ends the check. head is what the store itself, or the end of an export,
// says is its end.
func (v *Verifier) Report(head Head) Report {
	v.moved()
	last := v.next - 1
	switch {
	case head.Seq > last:
		v.gone(last+1, head.Seq)
	case head.Seq < last:
		v.fault(last, Changed, "the store's own head names record %d and the last one is %d", head.Seq, last)
	case last >= v.report.First && head.Hash != v.prev:
		v.fault(last, Changed, "the store's own head has another hash than record %d", last)
	}
	if v.newest > last {
		v.fault(v.newest, Cut, "a head written down outside names record %d and the last one is %d: the end of the chain was cut", v.newest, last)
	}
	return v.report
}

// moved finds out which of the records that do not fit their hash were written
// under another number: they were not changed but moved.
func (v *Verifier) moved() {
	numbers := slices.Clone(v.missing)
	for _, s := range v.suspects {
		numbers = append(numbers, s.record.Seq)
	}
	for _, s := range v.suspects {
		for _, n := range numbers {
			r := s.record
			r.Seq = n
			if n != s.record.Seq && r.Digest() == r.Hash {
				v.report.Faults[s.fault] = Fault{Seq: s.record.Seq, Kind: Reordered,
					Message: fmt.Sprintf("the record that was written as number %d (%s %s by %s) stands as number %d", n, r.Action, r.Object, r.Who, s.record.Seq)}
				break
			}
		}
	}
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
