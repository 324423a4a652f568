package forensics

import (
	"context"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Released says what became of a working copy whose time was over.
type Released struct {
	Item string
	// Done says that it is gone; otherwise it is looked at again the next time.
	Done bool
	// Err is why it was not touched, or could not be removed; nil while AWS is
	// still at it.
	Err error
}

// Cleanup removes the working copies of a run whose retention is over by now:
// evidence volumes first, then the workstation. It removes only what still
// carries the tags of the run; snapshots, copies and objects are evidence and
// never touched. It makes one step for each item and may be called again and
// again until all is done; it waits for nothing.
func Cleanup(ctx context.Context, a awscalls.AWS, incident string, run respond.RunID, items []evidence.Item, now time.Time) []Released {
	var out []Released
	all := true
	for _, kind := range []evidence.Kind{evidence.Volume, evidence.Workstation} {
		if kind == evidence.Workstation && !all {
			continue // it goes when nothing is on it any more
		}
		for _, i := range items {
			if i.Kind != kind || !i.Working || i.WorkingUntil.IsZero() || i.WorkingUntil.After(now) {
				all = all && (i.Kind != kind || !i.Working)
				continue
			}
			r := Released{Item: i.ID}
			r.Done, r.Err = remove(ctx, a, incident, run, i)
			if r.Err != nil {
				r.Err = respond.Explain(r.Err, "clean up "+i.Location, "it is as it was")
			}
			all = all && r.Done
			out = append(out, r)
		}
	}
	return out
}

func remove(ctx context.Context, a awscalls.AWS, incident string, run respond.RunID, i evidence.Item) (bool, error) {
	c, err := a.EC2(ctx, awscalls.Place{Account: i.Account, Region: i.Region, Role: awscalls.Forensics, Incident: incident})
	if err != nil {
		return false, err
	}
	p := workingParams{Run: string(run)}
	switch i.Kind {
	case evidence.Volume:
		p.Volume = i.Location
		return deleteVolume(ctx, c, p)
	case evidence.Workstation:
		p.Workstation = i.Location
		return terminate(ctx, c, p)
	default:
		return false, fault.New(fault.Usage, i.ID+" is no working copy", "")
	}
}
