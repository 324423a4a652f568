package guardduty

import (
	"context"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/finding"
)

// Confirm asks GuardDuty itself for one finding, before something is done
// because of it. It returns the answer as bytes for a source.Intake, and false
// where no detector of the account and region knows the finding. Without a
// detector it asks all of them. It may be repeated.
func Confirm(ctx context.Context, client cloud.GuardDutyClient, detector string, id finding.ID) (body []byte, known bool, err error) {
	if !realID.MatchString(string(id)) {
		return nil, false, nil
	}
	detectors := []string{detector}
	if detector == "" {
		if detectors, err = listDetectors(ctx, client); err != nil {
			return nil, false, err
		}
	}
	for _, d := range detectors {
		r := &reader{client: client, detector: d}
		list, err := r.getChunk(ctx, []finding.ID{id})
		if err != nil {
			return nil, false, err
		}
		if len(list) > 0 {
			return bodyOf(list), true, nil
		}
	}
	return nil, false, nil
}
