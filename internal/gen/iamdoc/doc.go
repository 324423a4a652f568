// Package iamdoc writes docs/reference/iam.md from cloud.Permissions.
//
// The table comes in, Markdown and the two IAM policies go out. The test of
// this package fails when the committed page is stale; `go generate` in this
// folder writes it anew. Nothing about permissions is written by hand anywhere
// else.
//
// Read Page.
package iamdoc

//go:generate go test -run TestThePageIsFresh . -update
