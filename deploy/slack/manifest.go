// Package slack holds the manifest of the Slack app that guardroom posts as, so
// that the program can print the one that fits it.
package slack

import (
	_ "embed"
	"slices"
)

//go:embed notify.yaml
var notify []byte

// Manifest returns the manifest of an app that only tells. It is the caller's
// own.
func Manifest() []byte { return slices.Clone(notify) }
