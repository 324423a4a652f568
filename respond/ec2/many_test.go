package ec2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// atOnceOf contains many instances at the same time, each in a run of its own.
func (r *rig) atOnceOf(ids []string) []map[string]playbook.Record {
	r.T.Helper()
	out := make([]map[string]playbook.Record, len(ids))
	plans := make([]*respond.Plan, len(ids))
	for i, id := range ids {
		r.Target.ID = id
		plans[i] = r.Plan()
		r.Pass(time.Second)
	}
	g := r.Clock.Group()
	for i := range ids {
		g.Go(func() {
			records, err := r.Execute(respond.RunID(fmt.Sprintf("run_%02d", i)), plans[i], &playbook.Memory{})
			if err != nil {
				r.T.Error(err)
			}
			out[i] = records
		})
	}
	g.Wait()
	return out
}

func TestFiftyIsolationsAtOnceUnderThrottlingReachNoPerson(t *testing.T) {
	t.Parallel()
	var ids []string
	r := newRig(t, func(e *sim.Editor) string {
		vpc := e.AddVPC(acct, rgn, sim.VPCSpec{})
		subnet := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: vpc})
		for range 50 {
			ids = append(ids, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet, ElasticIP: true, Profile: "fleet"}))
		}
		return ids[0]
	}, func(o *sim.Options) { o.Throttle = 100 })
	throttled := 0
	for i, records := range r.atOnceOf(ids) {
		r.well(records)
		r.id = ids[i]
	}
	for _, c := range r.World.Calls() {
		if respond.Is(c.Err, "RequestLimitExceeded", "ThrottlingException") {
			throttled++
		}
	}
	if throttled == 0 {
		t.Error("nothing was throttled: the case proves nothing")
	}
	if groups := r.groupsNamed("guardroom-"); len(groups) != 1 {
		t.Errorf("there are %d groups of ours, want the contain group alone", len(groups))
	}
	for _, id := range ids {
		r.id = id
		r.Pass(time.Second)
		r.isolated()
	}
}

func TestSeveralInstancesInOneSubnetTakeNumbersOfTheirOwn(t *testing.T) {
	t.Parallel()
	var ids []string
	r := newRig(t, func(e *sim.Editor) string {
		subnet := e.AddSubnet(acct, rgn, sim.SubnetSpec{Route: "nat"})
		for range 6 {
			ids = append(ids, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet}))
		}
		return ids[0]
	})
	for _, records := range r.atOnceOf(ids) {
		r.well(records)
	}
	entries := r.world(ids[0]).Subnets[0].Entries
	for _, id := range ids {
		address := r.world(id).Interfaces[0].IPv4[0] + "/32"
		n := 0
		for _, e := range entries {
			if e.Action == "deny" && e.CIDR == address && e.Number <= band {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s has %d entries, want one each way", address, n)
		}
	}
}

func TestTheSwitchHoldsUpEveryChangeButTheEndOfTheWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	p := r.Plan()
	closed := false
	r.Hook(func(phase sim.Phase, c sim.Call) error {
		in, ok := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
		if !ok || len(in.Groups) == 0 || phase != sim.After {
			return nil
		}
		if slices.ContainsFunc(r.World.Calls(), func(o sim.Call) bool {
			before, is := o.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
			return is && len(before.Groups) > 0 && o.Err == nil
		}) {
			closed = true // the second pass, although responses are off
			r.Journal.Set(playbook.Standing{})
			return nil
		}
		r.Journal.Set(playbook.Standing{Off: "ada: maintenance"})
		return nil
	})
	records, err := r.Execute(kittest.Run, p, r.Journal)
	must(t, err)
	r.well(records)
	if !closed {
		t.Error("the window was not closed while responses were off")
	}
	r.isolated()
}

func TestDefect11IsolationEndsBeforeTheFirstLongWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, fortress)
	begun := r.Clock.Now()
	_, records := r.contained()
	for id, rec := range records {
		if strings.HasPrefix(id, StageIsolate+"/") && rec.Ended.Sub(begun) > 10*time.Second {
			t.Errorf("%s ended after %s", id, rec.Ended.Sub(begun))
		}
		if id == StepLeft && rec.Ended.Sub(begun) < 10*time.Second {
			t.Errorf("the group let it go after %s: there was no long wait", rec.Ended.Sub(begun))
		}
	}
}
