package lambda_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// warmBench is a function with concurrency provisioned for an alias and a version.
func warmBench(t *testing.T) *kittest.Bench {
	t.Helper()
	b := newBench(t)
	warm(b)
	return b
}

func warm(b *kittest.Bench) {
	ten := int32(10)
	_ = b.World.Edit(func(e *sim.Editor) {
		f := e.Function(account, kittest.Region, "resize")
		f.Versions, f.Aliases, f.Reserved = []string{"1", "2"}, map[string]string{"live": "2"}, &ten
		e.Provision(account, kittest.Region, "resize", "live", 5)
		e.Provision(account, kittest.Region, "resize", "1", 3)
	})
}

// provisions are those of the function, as qualifier: number.
func provisions(b *kittest.Bench) map[string]int32 {
	out := map[string]int32{}
	_ = b.World.Edit(func(e *sim.Editor) {
		for q, p := range e.Function(account, kittest.Region, "resize").Provisioned {
			out[q] = p.Requested
		}
	})
	return out
}

func TestAFunctionWithProvisionedConcurrencyIsStoppedAndGetsItBack(t *testing.T) {
	t.Parallel()
	b := warmBench(t)
	before := b.Dump()
	d := b.Draft()
	if !kittest.Has(d.AlsoHits, "3 of 1 and 5 of live; nothing is paid for it meanwhile") || !strings.Contains(d.Undo, "asks again") || kittest.Has(d.Manual, "provisioned") {
		t.Fatalf("the plan says %v; %s; %v", d.AlsoHits, d.Undo, d.Manual)
	}
	p, records := b.Contain()
	if n := reserved(b); n == nil || *n != 0 || len(provisions(b)) != 0 {
		t.Fatalf("reserved %v, provisioned %v", n, provisions(b))
	}
	if m := records["contain/concurrency"].Message; !strings.Contains(m, "taken away: 3 of 1 and 5 of live") {
		t.Fatal(m)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(undone)
	if r := undone["undo/contain/concurrency/live"]; !strings.Contains(r.Message, "5 of resize:live is allocated again") {
		t.Fatalf("%+v", r)
	}
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
}

// Who uses the function may provision some at any time, also to hold a run up.
func TestConcurrencyProvisionedAfterThePlanIsTakenAwayToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.Plan()
	warm(b)
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if n := reserved(b); n == nil || *n != 0 {
		t.Fatal("it is not stopped")
	}
	b.Undo(p, records)
	if diff := cmp.Diff(map[string]int32{"live": 5, "1": 3}, provisions(b)); diff != "" {
		t.Fatal(diff)
	}
}

// AWS may refuse for a while after what is provisioned was taken away, and somebody
// may provision anew in between: the newest number comes back.
func TestARefusalThatGoesOnIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := warmBench(t)
	puts := 0
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase != sim.Before || c.Operation != "PutFunctionConcurrency" {
			return nil
		}
		switch puts++; puts {
		case 2: // between the first removal and this call
			_ = b.World.Edit(func(e *sim.Editor) { e.Provision(account, kittest.Region, "resize", "live", 7) })
		case 3, 4:
			return &smithy.GenericAPIError{Code: "InvalidParameterValueException", Message: " ReservedConcurrentExecutions  0 should not be lower than function's total provisioned concurrency [7]."}
		}
		return nil
	})
	p, records := b.Contain()
	b.Hook(nil)
	if puts != 5 || *reserved(b) != 0 {
		t.Fatalf("%d calls, reserved %d", puts, *reserved(b))
	}
	b.Undo(p, records)
	if diff := cmp.Diff(map[string]int32{"live": 7, "1": 3}, provisions(b)); diff != "" {
		t.Fatal(diff)
	}
}

func TestARefusalForAnotherReasonIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.Plan()
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.Operation == "PutFunctionConcurrency" {
			return &smithy.GenericAPIError{Code: "InvalidParameterValueException", Message: "for another reason"}
		}
		return nil
	})
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if r := records["contain/concurrency"]; r.State != playbook.Failed || !strings.Contains(r.Message, "for another reason") || r.Ended.Sub(r.Started) > time.Minute {
		t.Fatalf("%+v", r)
	}
}

func TestSomebodyWhoProvisionsWithoutEndIsToldInTheEnd(t *testing.T) {
	t.Parallel()
	b := warmBench(t)
	p := b.Plan()
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.Operation == "PutFunctionConcurrency" {
			b.Pass(10 * time.Second)
			_ = b.World.Edit(func(e *sim.Editor) { e.Provision(account, kittest.Region, "resize", "live", 5) })
		}
		return nil
	})
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Hook(nil)
	if r := records["contain/concurrency"]; r.State != playbook.Failed || !strings.Contains(r.Message, "should not be lower than function's total provisioned concurrency") {
		t.Fatalf("%+v", r)
	}
	b.Undo(p, records)
	if diff := cmp.Diff(map[string]int32{"live": 5, "1": 3}, provisions(b)); diff != "" {
		t.Fatal(diff)
	}
}

// A double of AWS may not know the call, or a role lack it: what is provisioned is
// not known then, and stops nothing unless AWS refuses.
func TestAFunctionOfWhichItIsNotKnownIsStopped(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]error{
		"denied":    &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"},
		"not known": errors.New("404 page not found"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Hook(func(phase sim.Phase, c sim.Call) error {
				if phase == sim.Before && c.Operation == "ListProvisionedConcurrencyConfigs" {
					return refuse
				}
				return nil
			})
			d := b.Draft()
			if !kittest.Has(d.WillNot, "not written down: the provisioned concurrency") || !kittest.Has(d.Manual, "aws lambda delete-provisioned-concurrency-config --function-name resize") {
				t.Fatalf("%v %v", d.WillNot, d.Manual)
			}
			p, records := b.Contain()
			if _, contained, _ := b.Result(p, records); !contained || *reserved(b) != 0 {
				t.Fatal("not contained")
			}
			if _, gaps, _ := respond.EvidenceOf(records["record/function"]); len(gaps) != 2 { // and the environment
				t.Fatalf("%v", gaps)
			}
		})
	}
}

func TestWhatMayNotBeTakenAwayIsToldWithWhatPeopleCanDo(t *testing.T) {
	t.Parallel()
	for role, action := range map[awscalls.Role]string{awscalls.Read: "lambda:ListProvisionedConcurrencyConfigs", awscalls.Act: "lambda:DeleteProvisionedConcurrencyConfig"} {
		b := warmBench(t)
		b.Deny(role, action)
		p := b.Plan()
		records, err := b.Execute(kittest.Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		r := records["contain/concurrency"]
		if r.State != playbook.Failed || r.Error.Code != fault.Denied || !strings.Contains(r.Error.Hint, "aws lambda delete-provisioned-concurrency-config") || !strings.Contains(r.Error.Hint, strings.TrimPrefix(action, "lambda:")) {
			t.Fatalf("%s: %+v", action, r)
		}
		if _, contained, _ := b.Result(p, records); contained || len(provisions(b)) != 2 {
			t.Fatalf("%s: contained %t, %v", action, contained, provisions(b))
		}
	}
}

func TestWhatAColleagueProvisionedSinceIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b := warmBench(t)
	p, records := b.Contain()
	ten := int32(10)
	setReserved(b, &ten)
	_ = b.World.Edit(func(e *sim.Editor) { e.Provision(account, kittest.Region, "resize", "live", 2) })
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if r := undone["undo/contain/concurrency/live"]; r.State != playbook.Failed || !strings.Contains(r.Message, "somebody changed it since") {
		t.Fatalf("%+v", r)
	}
	if diff := cmp.Diff(map[string]int32{"live": 2, "1": 3}, provisions(b)); diff != "" {
		t.Fatal(diff)
	}
}

func TestAnUndoSaysHowFarAWSIsWithWhatItAllocates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		after func(p *sim.Provisioned)
		state playbook.State
		says  string
	}{
		{"still allocating", func(p *sim.Provisioned) { p.Changed = p.Changed.Add(time.Hour) }, playbook.Completed, "AWS is still allocating it"},
		{"cannot", func(p *sim.Provisioned) { p.Fails = "FUNCTION_ERROR_INIT_FAILURE" }, playbook.Failed, "FUNCTION_ERROR_INIT_FAILURE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := warmBench(t)
			p, records := b.Contain()
			b.Hook(func(phase sim.Phase, call sim.Call) error {
				if phase == sim.After && call.Operation == "PutProvisionedConcurrencyConfig" {
					return b.World.Edit(func(e *sim.Editor) {
						for _, one := range e.Function(account, kittest.Region, "resize").Provisioned {
							c.after(one)
						}
					})
				}
				return nil
			})
			undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
			if err != nil {
				t.Fatal(err)
			}
			if r := undone["undo/contain/concurrency/live"]; r.State != c.state || !strings.Contains(r.Message, c.says) {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestACrashAnywhereInTheRunOfAWarmFunctionEndsTheSame(t *testing.T) {
	t.Parallel()
	whole := warmBench(t)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, warmBench, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Whoever holds the role of the function may change these each second.
func TestNothingAboutAFunctionButItselfMakesItAnotherWorld(t *testing.T) {
	t.Parallel()
	b := warmBench(t)
	first, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	p := b.Plan()
	one := int32(8)
	_ = b.World.Edit(func(e *sim.Editor) {
		f := e.Function(account, kittest.Region, "resize")
		f.Code, f.Role, f.Reserved, f.Policy = []byte("PK other"), "arn:aws:iam::"+account+":role/other", &one, `{"Statement":[]}`
		e.AddEventSource(account, kittest.Region, sim.EventSource{Function: "resize", Source: "arn:aws:sqs:eu-west-1:" + account + ":more"})
		delete(f.Provisioned, "1")
	})
	second, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if d := respond.Differences(first.Facts, second.Facts); len(d) != 0 || len(first.Facts) != 1 {
		t.Fatalf("%v of %v", d, first.Facts)
	}
	if d := respond.Differences(first.Watched, second.Watched); len(d) != 6 {
		t.Fatalf("it is told: %v", d)
	}
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if *reserved(b) != 0 {
		t.Fatal("not stopped")
	}
}

func TestWhatStillRunsAfterAFunctionIsStoppedIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p, records := b.Contain()
	_, _, open := b.Result(p, records)
	for _, words := range []string{"at most 15 minutes", "asynchronous events for resize wait up to 6 hours", "runs after an undo"} {
		if !kittest.Has(open, words) {
			t.Errorf("%q is not among %v", words, open)
		}
	}
	for _, words := range []string{"function URL with 429", "up to 6 hours", "images, which stays on"} {
		if !kittest.Has(p.AlsoHits, words) {
			t.Errorf("%q is not among %v", words, p.AlsoHits)
		}
	}
}
