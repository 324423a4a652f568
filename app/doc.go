// Package app builds guardroom from its configuration. It is the only place
// where the parts are wired to each other.
//
// Read flow.go first: it is the way of a finding through the whole program.
package app
