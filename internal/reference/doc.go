// Package reference writes the pages of docs/reference that can be made from
// the source: the fields of conditions, the metrics, the objects of
// the JSON output and the calls of the API.
//
// Go files come in (they are parsed, not run), Markdown goes out. The test of
// this package fails when a committed page is stale; `go generate` in this
// folder, or `make generate`, writes it anew. What a page explains beyond the
// tables stands here as well, so that nobody edits a page by hand.
//
// Read Conditions.
package reference

//go:generate go test -run TestPagesAreFresh . -update
