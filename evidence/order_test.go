package evidence

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvidenceIsShownInTheOrderInWhichPeopleLookAtIt(t *testing.T) {
	t.Parallel()
	list := []Item{{ID: "a", Kind: Workstation}, {ID: "b", Kind: "something new"}, {ID: "c", Kind: Snapshot, Source: "vol-2"}, {ID: "d", Kind: BlockManifest, Source: "snap-1"},
		{ID: "e", Kind: Snapshot, Source: "vol-1"}, {ID: "f", Kind: Memory}, {ID: "g", Kind: BeforeImage}, {ID: "h", Kind: Detection}}
	slices.SortFunc(list, InOrder)
	got := ""
	for _, i := range list {
		got += i.ID
	}
	if diff := cmp.Diff("hgfecdab", got); diff != "" {
		t.Error(diff)
	}
}
