package ec2

import (
	"testing"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestRecordedHistoriesAreTakenUpByTheCodeOfToday(t *testing.T) {
	t.Parallel()
	kittest.Histories(t, kittest.History{
		Name:   Name,
		Fresh:  func(t *testing.T) *kittest.Bench { return newRig(t, fortress).Bench },
		Middle: StageIsolate + "/eni-0000000000000001f",
		Check: func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
			t.Helper()
			r := &rig{Bench: b, id: p.Target.ID}
			r.isolated()
			kept(t, b, p, records)
		},
	})
}
