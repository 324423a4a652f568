package app

import (
	"testing"

	"github.com/guardroom/guardroom/evidence"
)

func TestALineOfCustodyNamesTheItemOfTheRunThatMadeIt(t *testing.T) {
	t.Parallel()
	got := custodyOf([]evidence.Custody{
		{Who: "guardroom/run_2", Item: "run_1/volume/vol-1"}, {Who: "guardroom/run_1", Item: "volume/vol-1"},
		{Who: "guardroom/run_2", Item: "undo/delete/vol-1"}, {Who: "kim", Item: "INC-1/manifest"},
	})
	for i, want := range []string{"run_1/volume/vol-1", "run_1/volume/vol-1", "run_2/undo/delete/vol-1", "INC-1/manifest"} {
		if got[i].Item != want {
			t.Errorf("%q, want %q", got[i].Item, want)
		}
	}
}
