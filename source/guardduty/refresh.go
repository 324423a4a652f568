package guardduty

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/source"
)

// openFinding is a finding of an incident that is not closed.
type openFinding struct {
	id                        finding.ID
	account, region, detector string
}

// realID is what GuardDuty's own ids look like. Others were written by hand or
// forged; one of them would have the whole call refused.
var realID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// absentHolds is for how long a place is not asked again for a finding that it
// did not know.
const absentHolds = time.Hour

func (p *Poller) open(ctx context.Context) ([]openFinding, error) {
	var list []openFinding
	err := p.state.OpenFindings(ctx, func(id finding.ID, account, region, detector string) {
		if realID.MatchString(string(id)) {
			list = append(list, openFinding{id: id, account: account, region: region, detector: detector})
		}
	})
	return list, err
}

// refresh reads the findings of open incidents again by id: that somebody
// archived one does not change its updatedAt, so the list would not show it.
//
// A finding of this detector is asked for here. So is one of an account that no
// place reads: the detector of an administrator account holds the findings of
// its members.
func (r *reader) refresh(ctx context.Context, open []openFinding, detectors []string) error {
	var own, others []finding.ID
	now := r.poller.deps.Now()
	for _, f := range open {
		switch {
		case f.region != r.region:
		case f.detector == r.detector:
			own = append(own, f.id)
		case slices.Contains(detectors, f.detector):
		case r.poller.reads(f.account, f.region) && f.account != r.target.account:
		case now.Sub(r.target.absent[f.id]) >= absentHolds:
			others = append(others, f.id)
		}
	}
	r.keepOnly(open)
	if err := r.again(ctx, own, nil); err != nil {
		return err
	}
	err := r.again(ctx, others, func(id finding.ID) { r.target.absent[id] = now })
	if err != nil && fault.CodeOf(err) == fault.Usage {
		// The service refused ids of others; that is no trouble of this place.
		r.poller.deps.Log.Debug("guardduty knows nothing of findings of other accounts", "source", r.poller.name, "region", r.region, "error", err)
		return nil
	}
	return err
}

// reads reports whether a place of this source is that account and region.
func (p *Poller) reads(account, region string) bool {
	return slices.ContainsFunc(p.targets, func(t *target) bool {
		return t.account == account && (t.region == region || t.region == "")
	})
}

// again reads findings once more and has the flow look at those that changed
// since the last time.
func (r *reader) again(ctx context.Context, ids []finding.ID, absent func(finding.ID)) error {
	var errs []error
	for chunk := range slices.Chunk(ids, maxIDs) {
		errs = append(errs, r.againChunk(ctx, chunk, absent))
	}
	return errors.Join(errs...)
}

func (r *reader) againChunk(ctx context.Context, ids []finding.ID, absent func(finding.ID)) error {
	list, err := r.get(ctx, ids)
	if err != nil {
		return err
	}
	known := map[finding.ID]bool{}
	changed := list[:0:0]
	for _, f := range list {
		known[f.id] = true
		if r.target.reread[f.id] != f.digest && r.target.taken[f.id].digest != f.digest {
			changed = append(changed, f)
		}
	}
	if absent != nil {
		for _, id := range ids {
			if !known[id] {
				absent(id)
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	in := source.Input{Source: r.poller.name, Body: bodyOf(changed), ReceivedAt: r.poller.deps.Now().UTC(), Confirmed: true, Refresh: true,
		Position: fmt.Sprintf("%s detector %s by id", r.target, r.detector)}
	if _, err := r.poller.intake.Take(ctx, in); err != nil {
		return fmt.Errorf("take %d findings again: %w", len(changed), err)
	}
	for _, f := range changed {
		r.target.reread[f.id] = f.digest
	}
	return nil
}

// keepOnly forgets findings whose incidents have closed.
func (r *reader) keepOnly(open []openFinding) {
	if len(r.target.reread)+len(r.target.absent) == 0 {
		return
	}
	still := make(map[finding.ID]bool, len(open))
	for _, f := range open {
		still[f.id] = true
	}
	for id := range r.target.reread {
		if !still[id] {
			delete(r.target.reread, id)
		}
	}
	for id := range r.target.absent {
		if !still[id] {
			delete(r.target.absent, id)
		}
	}
}
