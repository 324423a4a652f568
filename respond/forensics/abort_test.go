package forensics_test

import (
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestAnAbortInEveryStateBeginsNothingClosesWhatIsOpenAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []setting
		closing  []string
	}{
		"in the attacked account": {settings: []setting{quick}},
		"to a forensic account": {settings: []setting{quick, toLab, awsKey},
			closing: []string{"EC2.ModifySnapshotAttribute", "KMS.RetireGrant"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kittest.Stops(t, kittest.Stop{
				Stride:  23,
				Fresh:   func(t *testing.T) *kittest.Bench { return common(t, c.settings...) },
				Closing: c.closing,
				Check:   nothingShared,
			})
		})
	}
}

// nothingShared fails where a snapshot is shared, an upload is open, or a command runs.
func nothingShared(t *testing.T, b *kittest.Bench, _ *respond.Plan, _ map[string]playbook.Record) {
	t.Helper()
	err := b.World.Edit(func(e *sim.Editor) {
		if u := e.Bucket("evidence").Uploads; len(u) != 0 {
			t.Errorf("an upload is still open: %v", u)
		}
		for _, cmd := range e.Commands(victim, region) {
			for _, run := range cmd.Runs {
				if run.Ended.IsZero() {
					t.Error("the command still runs")
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
