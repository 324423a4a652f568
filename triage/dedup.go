package triage

import "github.com/guardroom/guardroom/finding"

// Known is what the store knows of a finding.
type Known struct {
	Exists  bool
	Newest  finding.Revision // the newest revision, if it exists
	HasThis bool             // the revision in question is stored already
}

// Freshness says how a revision stands to those that are known.
type Freshness string

// The kinds of freshness.
const (
	First  Freshness = "new"    // the first revision of this finding
	Newer  Freshness = "newer"  // later than all that are known
	Late   Freshness = "late"   // older than the newest, and not known yet
	Repeat Freshness = "repeat" // known already: changes nothing
)

// Fresh says how a revision stands to what is known. It is total, and whatever
// the order in which revisions come, the newest ends up as the newest.
func Fresh(k Known, r finding.Revision) Freshness {
	switch {
	case k.HasThis:
		return Repeat
	case !k.Exists:
		return First
	case r.Newer(k.Newest):
		return Newer
	}
	return Late
}
