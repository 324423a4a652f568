// Package sim is an AWS in memory, for the demo and for fast tests: instances,
// interfaces, security groups, volumes, snapshots with their progress, and what
// else responses touch, with AWS's states, refusals and error codes.
//
// Comes in: calls by the interfaces of respond/awscalls. Goes out: the SDK's own
// output types and smithy.APIError values with AWS's codes. It speaks the
// interfaces and not the wire. Time is the clock that it is given: nothing
// happens in the background, every look computes what has happened by now.
//
// It must never be taken for AWS: whatever a person sees of it says "simulated".
// What it does otherwise than AWS on purpose: latencies are short, ids count up,
// and policies know only the conditions that our own policies use. Everybody of
// an account may do what nothing denies: allow statements matter for other
// accounts and for strangers only. Whether a bucket's policy is public is said of
// the policy alone, whatever its public access block makes of it. Signed
// addresses hide nothing, tokens can be guessed, and calls for an ended session
// of Systems Manager succeed.
//
// Read World.
package sim
