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
// Build a world with the methods of Editor: AddInstance(account, region,
// InstanceSpec{}) alone gives a whole one, with a VPC, a subnet, an interface and a
// volume. OpenFlow and Flows show which connections outlive what is done; Canonical
// is what an undo must have put back. Times, Quotas, PageSize, Invisible and
// StickyTracking are in Options; ShortCapacity and ScriptSnapshots make things fail.
//
// Of AWS, because it is easily forgotten: the block of a network ACL's entry is the
// source of what comes in and the destination of what goes out, so an entry for an
// instance's own address cuts nothing in the ACL of its own subnet, but does in that
// of its NAT gateway's; and an interface that was launched with an automatic public
// address gets another one soon after its Elastic IP has gone.
//
// Read World.
package sim
