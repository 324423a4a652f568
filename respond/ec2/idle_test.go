package ec2

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
)

func TestIdleConnectionsThatNothingCutsEndSoonerAndUndoRestoresWhatWasSet(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name             string
		tcp, udp, stream int32
		kind             string
		want             Tracking
	}{
		{"not set before: the default of the type", 0, 0, 0, "m5.large", Tracking{TCP: 432000, UDP: 30, UDPStream: 180}},
		{"not set before, on a type that forgets sooner", 0, 0, 0, "m8i.large", Tracking{TCP: 350, UDP: 30, UDPStream: 180}},
		{"set before", 1000, 45, 90, "m5.large", Tracking{TCP: 1000, UDP: 45, UDPStream: 90}},
		{"set in part", 1000, 0, 0, "m8i.large", Tracking{TCP: 1000, UDP: 30, UDPStream: 180}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var eni, flow string
			r := newRig(t, func(e *sim.Editor) string {
				subnet := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: e.AddVPC(acct, rgn, sim.VPCSpec{}), Route: "tgw"})
				id := e.AddInstance(acct, rgn, sim.InstanceSpec{Type: c.kind, Subnet: subnet})
				e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet})
				eni = e.InterfaceOf(acct, rgn, id, 0)
				e.SetTracking(acct, rgn, eni, c.tcp, c.udp, c.stream)
				flow = e.OpenFlow(acct, rgn, eni, sim.FlowSpec{Quiet: true})
				return id
			})
			r.Policy.IdleTimeouts = "auto"
			if flow == "" {
				t.Fatal("there is no connection: the case proves nothing")
			}
			p, records := r.contained()
			if n, _ := r.world(r.id).Interface(eni); n.Tracking == nil || *n.Tracking != leastTracking {
				t.Errorf("the timeouts are %+v", n.Tracking)
			}
			r.Pass(2 * time.Minute)
			if slices.ContainsFunc(r.World.Flows(eni), func(f sim.Flow) bool { return f.ID == flow && f.Alive }) {
				t.Error("the idle connection lives on")
			}
			if drift, err := respond.Check(t.Context(), r.AWS, r.Actions, p, records); err != nil || len(drift) > 0 {
				t.Errorf("drift %v (%v)", drift, err)
			}
			r.well(r.undone(p, records))
			if n, _ := r.world(r.id).Interface(eni); n.Tracking == nil || *n.Tracking != c.want {
				t.Errorf("the timeouts are %+v after the undo, want %+v", n.Tracking, c.want)
			}
		})
	}
}

func TestTimeoutsAreShortenedOnlyWhereTheyHelpAndCanBeRestored(t *testing.T) {
	t.Parallel()
	auto := respond.DefaultPolicy()
	auto.IdleTimeouts = "auto"
	cases := []struct {
		name   string
		change func(w *World)
		policy respond.Policy
		step   bool
	}{
		{"not by default", func(w *World) { behindNAT(w, "acl-nat") }, respond.DefaultPolicy(), false},
		{"behind a NAT gateway", func(w *World) { behindNAT(w, "acl-nat") }, auto, true},
		{"not where the window cuts everything", func(*World) {}, auto, false},
		{"where there is no window", func(w *World) { w.Interfaces[0].PublicIPv4, w.Interfaces[0].Automatic = "198.51.100.7", true }, auto, true},
		{"not of an instance that is stopped", func(w *World) { behindNAT(w, "acl-nat"); w.State = "stopped" }, auto, false},
		{"not on a type whose default nobody knows", func(w *World) { behindNAT(w, "acl-nat"); w.Type = "m9q.large" }, auto, false},
		{"on such a type where all were set", func(w *World) {
			behindNAT(w, "acl-nat")
			w.Type, w.Interfaces[0].Tracking = "m9q.large", &Tracking{TCP: 100, UDP: 30, UDPStream: 60}
		}, auto, true},
		{"not on an interface that a service manages", func(w *World) { behindNAT(w, "acl-nat"); w.Interfaces[0].Manager = "eks" }, auto, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plainWorld()
			c.change(w)
			d := draftOf(t, w, c.policy)
			if got := slices.Contains(stepIDs(d), "idle/eni-1"); got != c.step {
				t.Errorf("the step is there: %v", got)
			}
			said := slices.ContainsFunc(d.WillNot, func(l string) bool { return strings.Contains(l, "is not known, so they could not be restored") })
			if said != (!c.step && w.Type == "m9q.large") {
				t.Errorf("the plan will not %q", d.WillNot)
			}
		})
	}
}

func TestTimeoutsThatSomebodyChangedSinceAreDriftAndStay(t *testing.T) {
	t.Parallel()
	var eni string
	r := newRig(t, func(e *sim.Editor) string {
		subnet := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: e.AddVPC(acct, rgn, sim.VPCSpec{}), Route: "tgw"})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet})
		e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: subnet})
		eni = e.InterfaceOf(acct, rgn, id, 0)
		return id
	})
	r.Policy.IdleTimeouts = "auto"
	p, records := r.contained()
	r.edit(func(e *sim.Editor) { e.SetTracking(acct, rgn, eni, 777, 30, 60) })
	if drift, err := respond.Check(t.Context(), r.AWS, r.Actions, p, records); err != nil || len(drift) != 1 || !strings.Contains(drift[0], "timeouts") {
		t.Errorf("drift %v (%v)", drift, err)
	}
	undone := r.undone(p, records)
	if rec := undone["undo/idle/"+eni]; !strings.Contains(rec.Message, "somebody changed it since") {
		t.Errorf("the undo is %s: %s", rec.State, rec.Message)
	}
	if n, _ := r.world(r.id).Interface(eni); n.Tracking == nil || n.Tracking.TCP != 777 {
		t.Errorf("the timeouts are %+v", n.Tracking)
	}
}
