package evidence

import (
	"cmp"
	"slices"
)

// InOrder compares items by the order in which people look at them: by kind, and
// within one by what they were taken from.
func InOrder(a, b Item) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Source, b.Source), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// rank puts what was there first, then what it held in memory and on disk, and last
// what was made to examine that.
func rank(k Kind) int {
	order := [...]Kind{Detection, BeforeImage, Configuration, Metadata, Trail, Console, Memory, Code, Snapshot, BlockManifest, Copy, Volume, Workstation}
	if at := slices.Index(order[:], k); at >= 0 {
		return at
	}
	return len(order)
}
