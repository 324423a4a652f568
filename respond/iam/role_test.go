package iam_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	theirs = "i-0aaaaaaaaaaaaaaa1" // the session of the finding
	other  = "i-0aaaaaaaaaaaaaaa2"
)

// fleet is a role that two instances share.
func fleet(e *sim.Editor) {
	e.AddRole(account, sim.Role{Name: "payments", Path: "/app/", ID: "AROAPAYMENTS"})
	e.AddInstanceProfile(account, sim.InstanceProfile{Name: "web-profile", Role: "payments"})
	e.PutRolePolicy(account, "payments", "own", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	e.AddRole(account, sim.Role{Name: "AWSServiceRoleForRDS", Path: "/aws-service-role/rds.amazonaws.com/", ID: "AROALINKED"})
	e.AddRole(account, sim.Role{Name: "AWSReservedSSO_Admin_0123456789abcdef", Path: "/aws-reserved/sso.amazonaws.com/eu-west-1/", ID: "AROASSO"})
	e.AddRole(account, sim.Role{Name: "guardroom-act", ID: "AROAOURS"})
	e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
}

func roleBench(t testing.TB, session string) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, byName(t, "iam-role"), iam.Actions(), iam.Closings(), fleet)
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Target = respond.Target{Kind: finding.KindAccessKey, ID: "payments", Account: account, Region: kittest.Region, Parts: map[string]string{
		respond.PartAccessKeyID: "ASIAAAAAAAAAAAAAAAA1", respond.PartUserName: "payments", respond.PartUserType: "AssumedRole", respond.PartPrincipalID: "AROAPAYMENTS",
	}}
	if session != "" {
		b.Target.Parts[respond.PartPrincipalID] += ":" + session
	}
	return b
}

func session(b *kittest.Bench, name string, issued time.Time) (p sim.Principal) {
	_ = b.World.Edit(func(e *sim.Editor) { p = e.AddSession(account, "payments", name, issued) })
	return p
}

// The revocation names the session of this instance; the others of the role
// keep working, and the undo takes it off.
func TestDefect21And44OnlyThisSessionIsRevoked(t *testing.T) {
	t.Parallel()
	b := roleBench(t, theirs)
	before := b.Dump()
	bad, good := session(b, theirs, kittest.Start.Add(-time.Hour)), session(b, other, kittest.Start.Add(-time.Hour))
	p, records := b.Contain()
	fresh := session(b, theirs, b.Clock.Now().Add(time.Minute))
	if may(b, bad) || may(b, fresh) {
		t.Fatal("the session still gets in, also with new credentials")
	}
	if !may(b, good) {
		t.Fatal("another instance of the role was hit")
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
	b.Undo(p, records)
	if !may(b, good) || !may(b, fresh) {
		t.Fatal("the undo did not take it off")
	}
	_ = b.World.Edit(func(e *sim.Editor) { e.Role(account, "payments").Sessions = nil })
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
}

func TestTheSessionOfAnInstanceIsItsId(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	var holder, stranger string
	_ = b.World.Edit(func(e *sim.Editor) {
		subnet := e.AddSubnet(account, kittest.Region, sim.SubnetSpec{VPC: e.AddVPC(account, kittest.Region, sim.VPCSpec{})})
		holder = e.AddInstance(account, kittest.Region, sim.InstanceSpec{Subnet: subnet, Profile: "web-profile"})
		stranger = e.AddInstance(account, kittest.Region, sim.InstanceSpec{Subnet: subnet})
	})
	b.Target.Parts[respond.PartInstanceID] = holder
	b.Contain()
	if bad, good := session(b, holder, kittest.Start), session(b, other, kittest.Start); may(b, bad) || !may(b, good) {
		t.Fatal("the deny is not that of the instance's session")
	}
	// A finding may name an instance that has nothing to do with the role: that
	// session is not the one that was stolen.
	b = roleBench(t, "")
	b.Target.Parts[respond.PartInstanceID] = stranger
	for _, s := range b.Plan().Steps {
		if strings.Contains(s.Title, stranger) {
			t.Errorf("the plan denies a session of an instance without the role: %s", s.Title)
		}
	}
}

// A revocation as of the finding's last seen leaves newer sessions alive.
func TestDefect38TheTimeOfTheRevocationIsOursAndNotTheFindings(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	b.Pass(30 * time.Minute)
	newer := session(b, "somebody", b.Clock.Now().Add(-10*time.Second)) // long after the finding
	p := b.Plan()
	var during sim.Principal
	b.Ended = func(r playbook.Record) {
		if r.Name == "contain/role" {
			during = session(b, "somebody-else", b.Clock.Now().Add(20*time.Second)) // while IAM still spreads the first deny
		}
	}
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if may(b, newer) {
		t.Fatal("a session newer than the finding lives")
	}
	if may(b, during) {
		t.Fatal("a session issued right after the first deny lives: it was not done again")
	}
	if later := session(b, "later", b.Clock.Now()); !may(b, later) {
		t.Fatal("the deny by time must not hit what is issued later")
	}
	_, _, open := b.Result(p, records)
	if !kittest.Has(open, "gets new sessions, which are not denied") {
		t.Fatalf("the result keeps that to itself: %v", open)
	}
}

func TestTheWholeRoleNeedsAnApprovalLineOrThePolicy(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	step := func() respond.Step {
		s, _ := b.Plan().Step("contain/role")
		return s
	}
	if s := step(); !strings.Contains(s.Approval, "all sessions of role payments") {
		t.Fatalf("%+v", s)
	}
	b.Policy.WholeRole = true
	if s := step(); s.ID == "" || s.Approval != "" {
		t.Fatalf("%+v", s)
	}
	known := roleBench(t, theirs)
	if _, ok := known.Plan().Step("contain/role"); ok {
		t.Fatal("a known session must not lead to the whole role")
	}
}

func TestUndoOfTheWholeRoleGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	before := b.Dump()
	p, records := b.Contain()
	b.Undo(p, records)
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
}

func TestAColleaguesChangeOfTheRoleIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", theirs} {
		b := roleBench(t, s)
		p, records := b.Contain()
		var name, mine string
		_ = b.World.Edit(func(e *sim.Editor) {
			r := e.Role(account, "payments")
			for n := range r.Inline {
				if strings.HasPrefix(n, "guardroom-revoke") {
					name = n
				}
			}
			mine = strings.Replace(r.InlinePolicy(name), `"Action":"*"`, `"Action":"s3:*"`, 1)
			e.PutRolePolicy(account, "payments", name, mine)
		})
		undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range undone {
			if r.State != playbook.Failed || !strings.Contains(r.Message, "somebody changed it since") {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		_ = b.World.Edit(func(e *sim.Editor) {
			if e.Role(account, "payments").InlinePolicy(name) != mine {
				t.Error("the policy was overwritten")
			}
		})
	}
}

func TestTwoSessionsOfOneRoleAreTwoPolicies(t *testing.T) {
	t.Parallel()
	b := roleBench(t, theirs)
	b.Contain()
	b.Target.Parts[respond.PartPrincipalID] = "AROAPAYMENTS:" + other
	p := b.Plan()
	records, err := b.Execute("run_02test", p, &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if may(b, session(b, theirs, kittest.Start)) || may(b, session(b, other, kittest.Start)) {
		t.Fatal("the second plan took the first one's deny off")
	}
}

func TestACrashAnywhereInTheRunOfARoleEndsContainedAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", theirs} {
		t.Run("session "+s, func(t *testing.T) {
			t.Parallel()
			before := roleBench(t, s).Dump()
			kittest.Crashes(t, func(t *testing.T) *kittest.Bench { return roleBench(t, s) }, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
				if _, contained, _ := b.Result(p, records); !contained || may(b, session(b, theirs, kittest.Start)) {
					t.Fatal("not contained")
				}
				b.Undo(p, records)
				_ = b.World.Edit(func(e *sim.Editor) { e.Role(account, "payments").Sessions = nil })
				if diff := cmp.Diff(before, b.Dump()); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

func TestADeniedCallOfARoleIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return roleBench(t, theirs) }, map[string]string{"IAM.PutRolePolicy": "iam:PutRolePolicy"})
}

func TestManagedRolesAreRefusedWithWhatPeopleDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ role, id, why, manual string }{
		{"AWSServiceRoleForRDS", "AROALINKED", "service-linked role of rds.amazonaws.com", "rds.amazonaws.com"},
		{"AWSReservedSSO_Admin_0123456789abcdef", "AROASSO", "IAM Identity Center", "permission set"},
	} {
		b := roleBench(t, "")
		b.Target.Parts[respond.PartUserName], b.Target.Parts[respond.PartPrincipalID] = c.role, c.id+":ada@example.org"
		d := b.Draft()
		if g := kittest.Guard(t, d, "managed role"); g.Answer != respond.Refuse || !strings.Contains(g.Why, c.why) || !kittest.Has(d.Manual, c.manual) || len(d.Steps) != 0 {
			t.Fatalf("%+v %v %v", g, d.Manual, d.Steps)
		}
	}
}

func TestGuardroomsOwnRoleIsRefused(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	b.Target.Parts[respond.PartUserName], b.Target.Parts[respond.PartPrincipalID] = "guardroom-act", "AROAOURS:INC-7"
	if g := kittest.Guard(t, b.Draft(), "guardroom itself"); g.Answer != respond.Refuse || !strings.Contains(g.Why, "act role") {
		t.Fatalf("%+v", g)
	}
}

func TestNoRoomInTheRoleIsRefused(t *testing.T) {
	t.Parallel()
	b := roleBench(t, theirs)
	_ = b.World.Edit(func(e *sim.Editor) {
		e.PutRolePolicy(account, "payments", "big", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::`+strings.Repeat("x", 10100)+`"}]}`)
	})
	d := b.Draft()
	if g := kittest.Guard(t, d, "size of the inline policies"); g.Answer != respond.Refuse || !kittest.Has(d.Manual, "aws:userid") {
		t.Fatalf("%+v %v", g, d.Manual)
	}
}

func TestARoleThatCannotBeDescribedIsAClearError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(b *kittest.Bench)
		code fault.Code
		says string
	}{
		{"gone", func(b *kittest.Bench) { b.Target.Parts[respond.PartUserName] = "nobody" }, fault.NotFound, "describe role nobody"},
		{"no name", func(b *kittest.Bench) { delete(b.Target.Parts, respond.PartUserName) }, fault.Usage, "is no name of a role"},
		{"no permission", func(b *kittest.Bench) { b.Deny(awscalls.Read, "iam:GetRole") }, fault.Denied, "describe role payments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := roleBench(t, "")
			c.edit(b)
			_, err := b.Describe()
			if err == nil || fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v (%s)", err, fault.CodeOf(err))
			}
		})
	}
}

// What stands in a name of a session must not become more than a name.
func TestASessionNameThatIsNoneIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`x"},{"Effect":"Allow`, "${aws:userid}", "*", "a"} {
		b := roleBench(t, "")
		b.Target.Parts[respond.PartPrincipalID] = "AROAPAYMENTS:" + s
		for _, step := range b.Plan().Steps {
			if strings.Contains(string(step.Params), `AROAPAYMENTS:`) || step.Action == "iam.deny-session" {
				t.Fatalf("%q is believed: %s", s, step.Params)
			}
		}
	}
}

func TestRootIsForPeopleOnly(t *testing.T) {
	t.Parallel()
	b := kittest.New(t, byName(t, "iam-root"), iam.Actions(), iam.Closings(), ada)
	b.Target = respond.Target{Kind: finding.KindAccessKey, ID: "Root", Account: account, Region: kittest.Region, Parts: map[string]string{respond.PartUserType: "Root", respond.PartAccessKeyID: keyA, respond.PartUserName: "Root"}}
	d := b.Draft()
	if len(d.Steps) != 0 || !kittest.Has(d.Manual, "Call the owner of account "+account) || !kittest.Has(d.Manual, keyA) || !kittest.Has(d.Manual, "service control policy") {
		t.Fatalf("%v %v", d.Steps, d.Manual)
	}
	if n := len(b.World.Calls()); n != 0 {
		t.Fatalf("%d calls", n)
	}
}

func TestEachPrincipalHasItsPlaybook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  finding.ResourceKind
		parts map[string]string
		want  []string
	}{
		{finding.KindAccessKey, map[string]string{"user_type": "IAMUser"}, []string{"iam-user"}},
		{finding.KindAccessKey, map[string]string{"user_type": "AssumedRole"}, []string{"iam-role"}},
		{finding.KindAccessKey, map[string]string{"user_type": "Role"}, []string{"iam-role"}},
		{finding.KindAccessKey, map[string]string{"user_type": "Root"}, []string{"iam-root"}},
		{finding.KindAccessKey, map[string]string{"user_type": "FederatedUser"}, nil},
		{finding.KindAccessKey, map[string]string{"user_type": "AWSAccount"}, nil},
		{finding.KindAccessKey, map[string]string{"principal_id": "AIDAX"}, []string{"iam-user"}},
		{finding.KindAccessKey, map[string]string{"principal_id": "AROAX:s1"}, []string{"iam-role"}},
		{finding.KindAccessKey, map[string]string{"principal_id": account}, []string{"iam-root"}},
		{finding.KindAccessKey, map[string]string{"access_key_id": "AKIAX", "user_name": "ada"}, []string{"iam-user"}},
		{finding.KindAccessKey, nil, nil},
		{finding.KindS3Bucket, map[string]string{"user_type": "IAMUser"}, nil},
	} {
		var got []string
		for _, p := range iam.Playbooks() {
			if p.Fits(respond.Target{Kind: c.kind, Account: account, Parts: c.parts}) {
				got = append(got, p.Name())
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %v: %v, want %v", c.kind, c.parts, got, c.want)
		}
	}
}

// What the actions say that they call is what they call, no more and no less.
func TestTheCallsOfTheActionsAreThoseThatAreMade(t *testing.T) {
	t.Parallel()
	benches := []*kittest.Bench{userBench(t), roleBench(t, ""), roleBench(t, theirs)}
	kittest.SameCalls(t, iam.Actions(), benches, "S3.GetObject", "IAM.PutUserPolicy", "IAM.PutRolePolicy")
}

func TestParametersOfStepsAreJSON(t *testing.T) {
	t.Parallel()
	for _, s := range roleBench(t, theirs).Plan().Steps {
		if !json.Valid(s.Params) || s.Account != account || s.Region != kittest.Region || s.Role == "" {
			t.Errorf("%+v", s)
		}
	}
}

func TestARoleThatWasMadeAgainIsSaid(t *testing.T) {
	t.Parallel()
	b := roleBench(t, "")
	b.Target.Parts[respond.PartPrincipalID] = "AROAOTHER:x1"
	if g := kittest.Guard(t, b.Draft(), "same role"); g.Answer != respond.Warn || !strings.Contains(g.Why, "AROAOTHER") || g.Hint == "" {
		t.Errorf("%+v", g)
	}
}

// The actor just assumes the role again under another name: the plan and what is
// still open say so, where the caller chose the name.
func TestADeniedSessionThatNamedItselfMayComeBackUnderAnotherName(t *testing.T) {
	t.Parallel()
	const service = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	const people = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com","AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}}`
	const all = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
	for _, c := range []struct {
		name, session, trust string
		said                 bool
	}{
		{"chosen by a person", "alice@corp", people, true}, {"everybody may assume it", "alice@corp", all, true},
		{"given by a service", "resize", service, false}, {"that of an instance", theirs, people, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := roleBench(t, c.session)
			_ = b.World.Edit(func(e *sim.Editor) { e.Role(account, "payments").Trust = c.trust })
			p, records := b.Contain()
			_, contained, open := b.Result(p, records)
			const words = "gets a new session under another name"
			if !contained || kittest.Has(open, words) != c.said || kittest.Has(p.WillNot, words) != c.said || kittest.Has(p.AlsoHits, "whoever else uses the session name "+c.session) != c.said {
				t.Errorf("contained %t, open %q, will not %q, also hits %q", contained, open, p.WillNot, p.AlsoHits)
			}
		})
	}
}

// A session of the role may be able to change these each second.
func TestHostileChangesOfTheRoleHoldNoRunUp(t *testing.T) {
	t.Parallel()
	b := roleBench(t, theirs)
	first, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	p := b.Plan()
	bad := session(b, theirs, kittest.Start.Add(-time.Hour))
	_ = b.World.Edit(func(e *sim.Editor) {
		e.Role(account, "payments").Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
		e.PutRolePolicy(account, "payments", "more", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
		e.AddInstanceProfile(account, sim.InstanceProfile{Name: "more", Role: "payments"})
	})
	second, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if d := respond.Differences(first.Facts, second.Facts); len(d) != 0 {
		t.Fatalf("the actor makes it another world: %v", d)
	}
	d := respond.Differences(first.Watched, second.Watched)
	for _, words := range []string{"trust was", "inline policy more is new", "instance profiles was"} {
		if !kittest.Has(d, words) {
			t.Errorf("%q is not told: %v", words, d)
		}
	}
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if may(b, bad) {
		t.Fatal("the session still gets in")
	}
	_ = b.World.Edit(func(e *sim.Editor) { e.Role(account, "payments").ID = "AROAOTHER" })
	third, err := b.Describe()
	if err != nil || len(respond.Differences(second.Facts, third.Facts)) != 1 {
		t.Fatalf("a role that was made again is another: %v, %v", respond.Differences(second.Facts, third.Facts), err)
	}
}
