// Package finding holds the value that everything in guardroom starts from: one
// GuardDuty finding at one revision.
//
// Bytes come in, in any of the wrappings and spellings in which findings travel
// (Decode), and go out as Finding values with the raw JSON beside them. What is
// not a finding comes out as Rejected, with a position and a reason; what is an
// event of GuardDuty but no finding comes out as Ignored. One bad item never
// hides its neighbours.
//
// The package must never guess: it does no I/O, it imports nothing outside the
// standard library, and what it cannot understand it keeps as text.
//
// Read Decode first.
package finding
