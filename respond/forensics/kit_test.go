package forensics_test

import (
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// common is the bench of this package as the one that all playbooks share.
func common(t *testing.T, settings ...setting) *kittest.Bench {
	t.Helper()
	k := kittest.On(t, nil, forensics.Playbook(), forensics.Actions(), forensics.Closings())
	b := newBench(t, append(settings, func(o *sim.Options, p *respond.Policy, _ *edits) {
		o.Latency, o.Hook = 0, k.Asked
		k.Options, k.Policy = *o, *p
	})...)
	k.Clock, k.World, k.AWS = b.clock, b.world, b.world.AWS()
	k.Target = request(b.policy).Target
	return k
}
