// Package triage judges findings: is it new, does a rule keep it quiet, what do
// we know beside it, which incident does it belong to, who must be told.
//
// A finding comes in; a Decision (Decide, without the store) and a Placement
// (Place, against an Index inside the accept transaction) go out, with a trace
// of every step. The stages stand in files of their own, in their order:
// dedup.go, suppress.go, enrich.go, merge.go, route.go.
//
// The package must never speak to a vendor, change a store, or lose a finding
// because a stage of it failed.
//
// Read Triager.Decide, then Triager.Place.
package triage
