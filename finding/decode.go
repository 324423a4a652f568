package finding

import "io"

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

// Decode reads any wrapping of findings from r and calls yield for each item
// in the order of the input, until yield returns false. It returns an error
// only when r itself fails to read or breaks a limit; everything that is wrong
// with the content is yielded as Rejected. It holds one top-level JSON value in
// memory at a time.
func Decode(r io.Reader, limits Limits, yield func(Item) bool) error {
	panic("written next")
}
