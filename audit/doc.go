// Package audit is the record that proves itself: an append-only chain in which
// every record carries the SHA-256 of the one before.
//
// What was decided or changed comes in (Record), a sealed link goes out. Audit
// is not a log: a record is written in the transaction of what it records, and
// if it cannot be written, that does not happen. The chain alone cannot show
// that its tail was cut or that all of it was rewritten; for that, its head is
// kept outside of the store as well (Heads).
//
// The package must never hold bodies of findings, only their digests.
//
// Read Record.Seal, then Verify.
package audit
