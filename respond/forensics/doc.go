// Package forensics acquires the evidence of an instance: what AWS shows of it,
// its memory where that can be had, a snapshot of every volume at one instant,
// hashes of their blocks, and a workstation with working copies attached.
//
// Comes in: a description of a live instance and what the operator decided
// about evidence. Goes out: steps of a plan, which hold no order but what they
// truly need, so that the workstation boots while snapshots complete; and, from
// those steps, evidence items, and gaps that say what could not be taken and why.
// Whoever carries the plan out seals the manifest over them.
//
// It must never stop, restart or log in to the instance, install anything on
// it, delete or unlock a snapshot, or share one with anybody but the configured
// forensic account. Every failure of one volume leaves the others.
//
// Read Steps, then takeSet.
package forensics
