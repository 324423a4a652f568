package forensics_test

import (
	"testing"

	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestRecordedHistoriesAreTakenUpByTheCodeOfToday(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]setting{forensics.Name: {quick}, forensics.Name + "-account": {quick, toLab, awsKey}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kittest.Histories(t, kittest.History{
				Name:   name,
				Fresh:  func(t *testing.T) *kittest.Bench { return common(t, settings...) },
				Middle: forensics.StepSnapshots,
				Check:  nothingShared,
			})
		})
	}
}
