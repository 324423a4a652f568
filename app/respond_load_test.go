package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/source"
)

// fleet is an app in front of many attacked instances, with caps that let all of
// them be contained in one hour.
type fleet struct {
	responding
	t   testing.TB
	ids []string
}

func newFleet(t testing.TB, n int, scale float64, o sim.Options, build func(e *sim.Editor)) *fleet {
	t.Helper()
	o.Speed = scale
	f := &fleet{t: t}
	w := simWorld(t, o, func(e *sim.Editor) {
		attackWorld(e)
		for i := range n {
			id := fmt.Sprintf("i-0%016x", 0xf1ee70000+i)
			f.ids = append(f.ids, e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: id, Type: "m5.large", Subnet: "subnet-0app", Profile: "fleet",
				Volumes: []sim.VolumeSpec{{Device: "/dev/xvda", GiB: 8}}}))
		}
		if build != nil {
			build(e)
		}
	})
	cfg := respondConfig(ownStore(t), "one")
	cfg.Worker.TimeScale = scale
	cfg.Respond.Caps = config.Caps{Isolations: 10_000, Revocations: 10_000, Blocks: 10_000, All: 10_000}
	f.responding = startResponding(t, start{config: cfg, world: w, log: slog.New(slog.DiscardHandler)})
	return f
}

// planned makes a plan for one of the instances.
func (f *fleet) planned(n int, name string) api.PlanDetail {
	f.t.Helper()
	body := bytes.ReplaceAll(minerFinding(), []byte(victimID), []byte(f.ids[n]))
	body = bytes.ReplaceAll(body, []byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), fmt.Appendf(nil, "%032x", 0xf1ee70000+n))
	if _, err := f.Take(f.t.Context(), source.Input{Source: "sqs:main", Body: body}); err != nil {
		f.t.Fatal(err)
	}
	p, err := f.desk.CreatePlan(f.t.Context(), api.PlanRequest{Incident: incident.Number(n + 1), Playbook: name}, "kim")
	if err != nil || p.Row.State != respond.PlanWaiting {
		f.t.Fatal(p.Row.State, p.Row.Why, err)
	}
	return p
}

func (f *fleet) approve(p api.PlanDetail) respond.RunID {
	f.t.Helper()
	out, err := f.desk.ApprovePlan(f.t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil || out.Row.Run == "" {
		f.t.Fatal(out.Row.State, err)
	}
	return out.Row.Run
}

// limited refuses calls above a rate a second, as AWS does, and each tenth, once it
// is on.
type limited struct {
	on   atomic.Bool
	rate float64

	mu     sync.Mutex
	tokens float64
	at     time.Time
	calls  int
}

func (l *limited) hook(p sim.Phase, _ sim.Call) error {
	if p != sim.Before || !l.on.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.tokens, l.at = min(l.rate, l.tokens+now.Sub(l.at).Seconds()*l.rate), now
	l.calls++
	if l.tokens < 1 || l.calls%10 == 0 { // a slow machine never comes to the rate
		return &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Fault: smithy.FaultServer}
	}
	l.tokens--
	return nil
}

// TestFiftyIsolationsAtOnceReachNoPersonWithAnError approves fifty plans at once,
// while AWS answers most calls with a throttle.
func TestFiftyIsolationsAtOnceReachNoPersonWithAnError(t *testing.T) {
	t.Parallel()
	const many = 50
	limit := &limited{rate: 400}
	f := newFleet(t, many, 10, sim.Options{Hook: limit.hook}, nil)
	plans := make([]api.PlanDetail, many)
	for n := range plans {
		plans[n] = f.planned(n, ec2.Name)
	}
	limit.on.Store(true)
	runs := make([]respond.RunID, many)
	for n, p := range plans {
		runs[n] = f.approve(p)
	}
	for n, id := range runs {
		run := f.ended(t, id)
		if run.State != respond.RunCompleted || !run.Contained {
			t.Errorf("%s is %s, contained %v: %s", f.ids[n], run.State, run.Contained, run.Summary)
		}
	}
	throttled := 0
	for _, c := range f.world.Calls() {
		if respond.Is(c.Err, "RequestLimitExceeded", "Throttling*") {
			throttled++
		}
	}
	if throttled == 0 {
		t.Error("nothing was throttled: the case proves nothing")
	}
}

// BenchmarkApprovalToIsolation measures the time from an approval to the call
// that takes an interface out of its groups, with an AWS that answers at once.
func BenchmarkApprovalToIsolation(b *testing.B) {
	const many = 20
	f := newFleet(b, many, 1, sim.Options{}, nil)
	var took []time.Duration
	n := 0
	for b.Loop() {
		if n == many {
			b.Fatalf("there are %d instances: use -benchtime %dx at most", many, many)
		}
		p := f.planned(n, ec2.Name)
		before := len(f.world.Calls())
		began := time.Now()
		f.approve(p)
		until(b, func() bool {
			for _, c := range f.world.Calls()[before:] {
				if in, ok := c.Input.(*awsec2.ModifyNetworkInterfaceAttributeInput); ok && len(in.Groups) > 0 && c.Err == nil && (in.DryRun == nil || !*in.DryRun) {
					took = append(took, c.At.Sub(began))
					return true
				}
			}
			return false
		}, "an interface was isolated")
		n++
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms/isolated")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "ms/slowest")
}
