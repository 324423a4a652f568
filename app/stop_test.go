package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/source"
)

func TestStoppingDoesNotWaitForARunThatWaits(t *testing.T) {
	t.Parallel()
	// At the pace of the world: a snapshot takes an hour.
	w := simWorld(t, sim.Options{Speed: 1}, func(e *sim.Editor) {
		attackWorld(e)
		for _, v := range e.VolumesOf(victimAccount, victimRegion, victimID) {
			e.ScriptSnapshots(victimAccount, victimRegion, v, sim.SnapshotScript{Takes: time.Hour})
		}
	})
	cfg := respondConfig(ownStore(t), "one")
	cfg.Worker.TimeScale = 1
	begin := func() *App {
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	waits := func(a *App, id respond.RunID, epoch int64) {
		t.Helper()
		until(t, func() bool {
			run := responding{App: a}.run(t, id)
			if run.State.Ended() {
				t.Fatalf("it does not wait for a snapshot: %+v", run)
			}
			steps, err := a.db.Steps(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return run.Epoch == epoch && slices.ContainsFunc(steps, func(s playbook.Record) bool {
				return s.State == playbook.Running && strings.HasPrefix(s.Name, "snapshot") && s.Progress.Unit == "percent"
			})
		}, "it waits for a snapshot")
	}
	first := begin()
	if _, err := first.Take(t.Context(), source.Input{Source: "sqs:main", Body: minerFinding(), Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	p, err := first.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: "forensics"}, "kim")
	if err != nil {
		t.Fatal(err)
	}
	out, err := first.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	waits(first, out.Row.Run, 1)
	at := time.Now()
	if err := first.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if took := time.Since(at); took > 5*time.Minute {
		t.Errorf("stopping took %s", took)
	}
	second := begin()
	waits(second, out.Row.Run, 2) // it goes on where it was
	if err := second.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// A process that stops while AWS is busy leaves no interface in the group that lets
// everything through until it starts again.
func TestStoppingClosesWhatItsRunsOpened(t *testing.T) {
	t.Parallel()
	const pace = 10
	var mu sync.Mutex
	asked, refused := map[string]int{}, 0
	open := make(chan struct{}, 100)
	w := simWorld(t, sim.Options{Speed: pace, Hook: func(p sim.Phase, c sim.Call) error {
		in, is := c.Input.(*ec2.ModifyNetworkInterfaceAttributeInput)
		if !is || len(in.Groups) == 0 || aws.ToBool(in.DryRun) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		eni := aws.ToString(in.NetworkInterfaceId)
		if p != sim.Before {
			if asked[eni] == 1 {
				open <- struct{}{}
			}
			return nil
		}
		// It is opened; then AWS is busy for longer than the run goes on.
		if asked[eni]++; asked[eni] > 1 && asked[eni] < 5 {
			refused++
			return refuse("RequestLimitExceeded")
		}
		return nil
	}}, attackWorldByIPv4)
	cfg := respondConfig(ownStore(t), "one")
	cfg.Worker.TimeScale = pace
	a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := responding{a, w}
	r.take(t, true)
	p := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: "ec2-contain"})
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-open:
	case <-time.After(2 * time.Minute):
		steps, err := a.db.Steps(t.Context(), got.Row.Run)
		for _, s := range steps {
			t.Logf("%s %s %s", s.Name, s.State, s.Message)
		}
		t.Fatal("no interface is opened", err)
	}
	at := time.Now()
	if err := a.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if took := time.Since(at); took > grace+leaveLimit+10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	mu.Lock()
	if refused < 3 {
		t.Errorf("AWS was busy %d times only: nothing was left open", refused)
	}
	mu.Unlock()
	client, err := w.AWS().EC2(t.Context(), awscalls.Place{Account: victimAccount, Region: victimRegion, Role: awscalls.Read})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range out.NetworkInterfaces {
		for _, g := range n.Groups {
			if strings.HasPrefix(aws.ToString(g.GroupName), "guardroom-convert") {
				t.Errorf("%s is in %s", aws.ToString(n.NetworkInterfaceId), aws.ToString(g.GroupName))
			}
		}
	}
	again, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(context.WithoutCancel(t.Context()))
	owed, err := again.db.OwedOf(t.Context(), got.Row.Run)
	if err != nil || slices.ContainsFunc(owed, func(o respond.Owed) bool { return strings.Contains(o.Why, "is in the group") }) {
		t.Errorf("it is owed still: %+v %v", owed, err)
	}
	if run, err := again.db.GetRun(t.Context(), got.Row.Run); err != nil || run.State != respond.RunRunning {
		t.Errorf("the run goes on: %s %v", run.State, err)
	}
}

// What a run owes is closed once when the process stops, and stays owed where a
// call of the run may still open it.
func TestWhatIsAtWorkStaysOwed(t *testing.T) {
	t.Parallel()
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	var closed []string
	a.desk.closings = map[string]respond.Closing{
		"k": {Kind: "k", Close: func(_ context.Context, _ awscalls.AWS, o respond.Owed, _ time.Time) error {
			closed = append(closed, o.ID)
			return nil
		}},
		"expires": {Kind: "expires", Expires: true},
	}
	owe := func(id, kind string, after time.Duration) {
		t.Helper()
		if err := (owing{a.desk}).Owe(t.Context(), respond.Owed{ID: id, Run: respond.RunID(id[:5]), Kind: kind, Params: []byte(`{}`), Due: a.now().Add(after), Why: id}); err != nil {
			t.Fatal(err)
		}
	}
	owe("run_1/eni", "k", time.Minute)
	owe("run_1/share", "k", 24*time.Hour) // meant to be open until the run has ended
	owe("run_1/block", "expires", time.Minute)
	owe("run_2/eni", "k", time.Minute) // of another process
	look := func(what string, closes, owes int) {
		t.Helper()
		closed = nil
		a.runs.closeLeft(t.Context())
		list, err := a.db.OwedOf(t.Context(), "")
		if err != nil || len(closed) != closes || len(list) != owes {
			t.Errorf("%s: closed %q, owed %+v, %v", what, closed, list, err)
		}
	}
	look("no run in hand", 0, 4)
	leaves := a.runs.hand.take("run_1")
	look("a call hangs", 1, 4)
	leaves(true)
	look("it goes on later", 1, 3)
	owe("run_1/eni", "k", time.Minute)
	leaves = a.runs.hand.take("run_1")
	leaves(false)
	look("it has ended", 0, 4)
}
