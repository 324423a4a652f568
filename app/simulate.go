package app

import (
	"context"
	"slices"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// openSimulation opens the AWS that respond.simulate stands for. It is furnished
// with what findings name, so that every finding can be responded to and nothing
// of anybody's is touched.
func openSimulation(file string, clock playbook.Clock, speed float64, policy *respond.Policy) (*sim.World, error) {
	w, err := sim.New(sim.Options{Clock: clock, File: file, Speed: max(1, speed)})
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "open the simulated AWS", "nothing was started", "respond.simulate names a file that guardroom makes")
	}
	sim.Complete(policy)
	if policy.Evidence.Region == "" {
		policy.Evidence.Region = w.RegionOf(policy.Evidence.Bucket)
	}
	return w, nil
}

// furnish has the simulated AWS hold what a plan is about, before it is described.
func (d *desk) furnish(ctx context.Context, r respond.Request) error {
	if d.simulation == nil {
		return nil
	}
	return d.simulation.Furnish(ctx, d.policy, slices.Concat([]respond.Target{r.Target}, r.Others))
}
