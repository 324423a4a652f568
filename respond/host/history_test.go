package host_test

import (
	"testing"

	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/host"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestRecordedHistoriesAreTakenUpByTheCodeOfToday(t *testing.T) {
	t.Parallel()
	kittest.Histories(t, kittest.History{
		Name:   host.Name,
		Fresh:  func(t *testing.T) *kittest.Bench { return bench(t, true) },
		Middle: ec2.StageIsolate + "/eni-00000000000000017",
		Check:  kept,
	})
}
