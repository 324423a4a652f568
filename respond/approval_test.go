package respond_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
)

var at = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

func waiting(needed int) respond.PlanRow {
	return respond.PlanRow{ID: "pln_1", Incident: 42, Playbook: "ec2-contain", Digest: strings.Repeat("7b3e91c4", 8), State: respond.PlanWaiting,
		Requester: "kim", Needed: needed, CreatedAt: at, ExpiresAt: at.Add(30 * time.Minute)}
}

func TestAnApproval(t *testing.T) {
	t.Parallel()
	good := respond.Approval{Who: "raj", How: "socket", Digest: "7b3e91c4", Reason: "confirmed with payments"}
	for _, c := range []struct {
		name     string
		change   func(p *respond.PlanRow, a *respond.Approval, r *respond.Rules, now *time.Time)
		approved bool
		code     fault.Code
		says     string
	}{
		{"by the socket counts for nobody where the requester may not approve", func(_ *respond.PlanRow, _ *respond.Approval, r *respond.Rules, _ *time.Time) {
			r.RequesterMayApprove = false
		}, false, fault.Denied, "proves no person"},
		{"of a plan that waits starts it", func(*respond.PlanRow, *respond.Approval, *respond.Rules, *time.Time) {}, true, "", ""},
		{"with the whole digest is as good", func(p *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) { a.Digest = p.Digest }, true, "", ""},
		{"with another digest is refused", func(_ *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) { a.Digest = "7b3e91c5" }, false, fault.Conflict, "digest"},
		{"with too short a digest is refused", func(_ *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) { a.Digest = "7b3e" }, false, fault.Conflict, "digest"},
		{"without a reason is refused", func(_ *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) { a.Reason = " " }, false, fault.Usage, "reason"},
		{"by the requester is refused where the rules say so", func(_ *respond.PlanRow, a *respond.Approval, r *respond.Rules, _ *time.Time) {
			a.Who, r.RequesterMayApprove = "kim", false
		}, false, fault.Denied, "may not approve"},
		{"by the requester is good where the rules allow it", func(_ *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) { a.Who = "kim" }, true, "", ""},
		{"that comes too late is refused", func(_ *respond.PlanRow, _ *respond.Approval, _ *respond.Rules, now *time.Time) {
			*now = at.Add(30 * time.Minute)
		}, false, fault.Conflict, "expired"},
		{"of a rejected plan is refused", func(p *respond.PlanRow, _ *respond.Approval, _ *respond.Rules, _ *time.Time) {
			p.State = respond.PlanRejected
		}, false, fault.Conflict, "rejected"},
		{"of a plan that a guard refused is refused", func(p *respond.PlanRow, _ *respond.Approval, _ *respond.Rules, _ *time.Time) {
			p.State = respond.PlanRefused
		}, false, fault.Conflict, "refused"},
		{"by the socket counts for nobody where two must agree", func(p *respond.PlanRow, _ *respond.Approval, _ *respond.Rules, _ *time.Time) { p.Needed = 2 }, false, fault.Denied, "proves no person"},
		{"by one of two waits for the other", func(p *respond.PlanRow, a *respond.Approval, _ *respond.Rules, _ *time.Time) {
			p.Needed, a.Own = 2, true
		}, false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, a, r, now := waiting(1), good, respond.Rules{RequesterMayApprove: true}, at.Add(time.Minute)
			c.change(&p, &a, &r, &now)
			approved, err := p.Approve(a, r, now)
			if approved != c.approved || (err != nil) != (c.code != "") {
				t.Fatal(approved, err)
			}
			if err != nil {
				f := fault.Of(err)
				if f.Code != c.code || !strings.Contains(f.Message, c.says) || f.Hint == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// TestAPlanIsApprovedOnce gives random decisions to a plan.
func TestAPlanIsApprovedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := waiting(rapid.IntRange(1, 3).Draw(t, "needed"))
		rules := respond.Rules{RequesterMayApprove: rapid.Bool().Draw(t, "requester")}
		starts, ended := 0, false
		now := at
		people := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "minutes")) * time.Minute)
			who := rapid.SampledFrom([]string{"kim", "raj", "mo", "lu"}).Draw(t, "who")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				if err := p.Reject(who, "no", now); err == nil {
					ended = true
				}
			case 1:
				ended = p.Expire(now) || ended
			default:
				a := respond.Approval{Who: who, Own: rapid.Bool().Draw(t, "own"), Digest: p.Digest, Reason: "because"}
				was := p.State
				ok, err := p.Approve(a, rules, now)
				if ok {
					starts++
					p.Run = "run_1"
				}
				if err == nil && was == respond.PlanWaiting {
					people[who] = true
				}
				if ok && (was != respond.PlanWaiting || !now.Before(p.ExpiresAt) || ended) {
					t.Fatalf("approved a plan that was %s at %s", was, now)
				}
				if err == nil && !a.Own && !rules.RequesterMayApprove {
					t.Fatal("nobody in person approved")
				}
				if err == nil && who == p.Requester && !rules.RequesterMayApprove {
					t.Fatal("the requester approved")
				}
			}
		}
		if starts > 1 {
			t.Fatalf("started %d times", starts)
		}
		if starts == 1 && (len(people) < p.Needed || len(p.Approvals) != p.Needed) {
			t.Fatalf("%d people, %d approvals, %d needed", len(people), len(p.Approvals), p.Needed)
		}
	})
}

func TestTheDigestIsOverCanonicalBytes(t *testing.T) {
	t.Parallel()
	a, err := respond.Canonical(map[string]any{"b": 1, "a": "<x>", "c": []int{3, 1}})
	if err != nil || string(a) != `{"a":"<x>","b":1,"c":[3,1]}` {
		t.Errorf("%s %v", a, err)
	}
	big, err := respond.Canonical(struct{ N int64 }{1<<62 + 1})
	if err != nil || string(big) != fmt.Sprintf(`{"N":%d}`, int64(1<<62+1)) {
		t.Errorf("numbers lose digits: %s %v", big, err)
	}
}

func TestDifferencesOfWorldsAreNamed(t *testing.T) {
	t.Parallel()
	before := []respond.Fact{{Name: "state", Value: "running"}, {Name: "groups of eni-1", Value: "sg-1"}, {Name: "profile", Value: "web"}}
	now := []respond.Fact{{Name: "state", Value: "running"}, {Name: "groups of eni-1", Value: "sg-2"}, {Name: "eni-2", Value: "sg-1"}}
	got := respond.Differences(before, now)
	want := []string{"groups of eni-1 was sg-1 and is sg-2", "eni-2 is new: sg-1", "profile is gone; it was web"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
	if respond.WorldDigest(before) == respond.WorldDigest(now) || len(respond.Differences(before, before)) != 0 {
		t.Error("equal worlds differ, or other ones do not")
	}
}

func TestAnExplainedErrorStaysWhatItIs(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.Denied, "no", "ask")
	if got := respond.Explain(f, "x", "y"); !errors.Is(got, f) || fault.Of(got).Message != "no" {
		t.Error(got)
	}
}
