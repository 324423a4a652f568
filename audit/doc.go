// Package audit is the record that proves itself: an append-only chain in which
// every record carries the SHA-256 of the one before.
//
// What was decided or changed comes in (Record), a sealed link goes out. Audit
// is not a log: a record is written in the transaction of what it records, and
// if it cannot be written, that does not happen. The chain alone cannot show
// that its tail was cut or that all of it was rewritten; for that, its head is
// kept outside of the store as well (Keeper).
//
// # The format, version 1
//
// A record has the fields seq, at, who, action, object, before, after, why, prev
// and hash. seq counts from 1 without gaps, in the order of commits. at is when
// the transaction began, in UTC, to the microsecond; it may step back by a little
// from one record to the next. Texts are UTF-8 without NUL (Clean). prev is the
// hash of the record before, and empty in the first one.
//
// hash is the SHA-256, in lower-case hexadecimal, over these bytes:
//
//	"guardroom audit record 1\n"    25 bytes: what this is, and its version
//	seq                             64-bit big endian
//	at                              microseconds since 1970-01-01 UTC, 64-bit big endian, two's complement
//	who, action, object, before, after, why, prev
//	                                each: its length in bytes, 64-bit big endian, then the bytes;
//	                                prev as the 64 hexadecimal digits, not as 32 bytes
//
// Lengths come first so that no text can be moved from one field to the next.
//
// An export is JSON lines, one record each, in the order of seq: at as RFC 3339
// with up to six digits of fraction, empty before, after and why left out.
// A head is {"seq":…,"hash":…,"at":…}: the end of the chain at that moment.
//
// # What a check finds
//
// Within the chain: a changed record, a missing one, one that stands at another
// place, and a record that was replaced together with its hash, because the next
// one names the old hash. With a head outside: a cut tail, and a chain that was
// rewritten as a whole. Without any head outside those two do not show.
//
// Audit records are not pruned: they hold digests, not bodies, and stay for the
// life of the store.
//
// The package must never hold bodies of findings, only their digests.
//
// Read Record.Seal, then Verifier.
package audit
