package iam_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	account = kittest.Account
	keyA    = "AKIAADAAAAAAAAAAAAA1"
	keyB    = "AKIAADAAAAAAAAAAAAA2"
	keyOff  = "AKIAADAAAAAAAAAAAAA3"
	denyADA = "guardroom-deny-INC-42"
)

func byName(t testing.TB, name string) respond.Playbook {
	t.Helper()
	i := slices.IndexFunc(iam.Playbooks(), func(p respond.Playbook) bool { return p.Name() == name })
	if i < 0 {
		t.Fatalf("no playbook %s", name)
	}
	return iam.Playbooks()[i]
}

// ada has two keys that are active and one that is not.
func ada(e *sim.Editor) {
	e.AddUser(account, sim.User{Name: "ada", ID: "AIDAADA", Password: true, MFA: []string{"arn:aws:iam::" + account + ":mfa/ada"}, Groups: []string{"developers"},
		Attached: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}})
	e.AddAccessKey(account, "ada", sim.AccessKey{ID: keyA, Active: true, Used: kittest.Start.Add(-10 * time.Minute), Service: "s3", Region: "eu-west-1"})
	e.AddAccessKey(account, "ada", sim.AccessKey{ID: keyB, Active: true})
	e.AddAccessKey(account, "ada", sim.AccessKey{ID: keyOff})
	e.PutUserPolicy(account, "ada", "own", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	e.AddUser(account, sim.User{Name: "grace"})
	e.AddAccessKey(account, "grace", sim.AccessKey{ID: "AKIAGRACE00000000000", Active: true})
	e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
}

func userBench(t testing.TB) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, byName(t, "iam-user"), iam.Actions(), iam.Closings(), ada)
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Parallel = 1 // two keys
	b.Target = respond.Target{Kind: finding.KindAccessKey, ID: "ada", Account: account, Region: kittest.Region, Parts: map[string]string{
		respond.PartAccessKeyID: keyA, respond.PartUserName: "ada", respond.PartUserType: "IAMUser", respond.PartPrincipalID: "AIDAADA",
	}}
	return b
}

func may(b *kittest.Bench, p sim.Principal) bool { return b.World.Allowed(p, "s3:GetObject") }

// Deny by time of issue does nothing to a long-term key.
func TestDefect37KeysAndSessionsOfTheUserAreDead(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	key, other := b.World.UserKey(account, keyA), b.World.UserKey(account, "AKIAGRACE00000000000")
	console := sim.Principal{Account: account, User: "ada", UserID: "AIDAADA"}
	if !may(b, key) || !may(b, console) {
		t.Fatal("the user must be allowed before")
	}
	p, records := b.Contain()
	if may(b, key) || may(b, b.World.UserKey(account, keyB)) || may(b, console) {
		t.Fatal("the user still gets in")
	}
	if !may(b, other) {
		t.Fatal("another user was hit")
	}
	if state, contained, open := b.Result(p, records); state != respond.RunCompleted || !contained || !kittest.Has(open, "sessions of roles that ada assumed") {
		t.Fatalf("%s, contained %t, open %v", state, contained, open)
	}
	doc := ""
	_ = b.World.Edit(func(e *sim.Editor) { doc = e.User(account, "ada").InlinePolicy(denyADA) })
	if strings.Contains(doc, "Condition") || !strings.Contains(doc, `"Deny"`) {
		t.Fatalf("the deny is not unconditional: %s", doc)
	}
}

func TestDefect33UndoOfAUserGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	before := b.Dump()
	p, records := b.Contain()
	if b.Dump() == before {
		t.Fatal("nothing changed")
	}
	b.Undo(p, records)
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatalf("the world is another (-before +after):\n%s", diff)
	}
	if !may(b, b.World.UserKey(account, keyA)) || b.World.UserKey(account, keyOff).User == "" || may(b, b.World.UserKey(account, keyOff)) {
		t.Fatal("the keys are not as they were")
	}
}

func TestTheDenyComesBeforeTheKeysAndTheEvidenceBeforeBoth(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	b.Contain()
	var order []string
	for _, c := range b.World.Calls() {
		switch c.Operation {
		case "PutObject", "PutUserPolicy", "UpdateAccessKey":
			order = append(order, c.Operation)
		}
	}
	if diff := cmp.Diff([]string{"PutObject", "PutUserPolicy", "UpdateAccessKey", "UpdateAccessKey", "PutObject"}, order); diff != "" {
		t.Fatal(diff)
	}
}

func TestTheUserIsKeptAsEvidence(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	_, records := b.Contain()
	items, gaps, custody := respond.EvidenceOf(records["record/user"])
	if len(items) != 1 || len(gaps) != 0 || len(custody) != 1 {
		t.Fatalf("%d items, %v, %v", len(items), gaps, custody)
	}
	it := items[0]
	if it.Kind != evidence.BeforeImage || !it.Simulated || it.SHA256 == "" || it.LockMode != "governance" || !it.LockUntil.After(kittest.Start) {
		t.Fatalf("%+v", it)
	}
	var body []byte
	_ = b.World.Edit(func(e *sim.Editor) {
		_, key, _ := strings.Cut(strings.TrimPrefix(it.Location, "s3://"), "/")
		body = e.Object(kittest.Evidence, key).Body
	})
	if respond.Digest(body) != it.SHA256 {
		t.Fatal("the hash is not that of the bytes")
	}
	var u map[string]any
	if err := json.Unmarshal(body, &u); err != nil {
		t.Fatal(err)
	}
	if keys, ok := u["keys"].([]any); !ok || len(keys) != 3 || u["console"] != "password" {
		t.Fatalf("%s", body)
	}
}

func TestWithoutABucketTheGapIsNamedAndContainmentGoesOn(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	b.Policy.Evidence.Bucket = ""
	p, records := b.Contain()
	if _, gaps, _ := respond.EvidenceOf(records["record/user"]); len(gaps) != 1 || !strings.Contains(gaps[0].Why, "no evidence bucket") {
		t.Fatalf("%v", gaps)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
}

func TestABucketWithoutObjectLockKeepsTheEvidenceAndSaysSo(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	_ = b.World.Edit(func(e *sim.Editor) { e.Bucket(kittest.Evidence).ObjectLock = false })
	_, records := b.Contain()
	items, _, _ := respond.EvidenceOf(records["record/user"])
	if len(items) != 1 || items[0].LockMode != "" || !items[0].LockUntil.IsZero() || !strings.Contains(items[0].Gap, "has no Object Lock") {
		t.Fatalf("%+v", items)
	}
}

func TestABucketThatRefusesStopsNoContainment(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p := b.Plan()
	b.Deny(awscalls.Forensics, "s3:PutObject")
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	r := records["record/user"]
	if r.State != playbook.Failed || r.Error.Code != fault.Denied {
		t.Fatalf("%+v", r)
	}
	if state, contained, _ := b.Result(p, records); state != respond.RunPartFailed || !contained {
		t.Fatalf("%s, contained %t", state, contained)
	}
}

func TestAColleaguesChangeOfTheUserIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p, records := b.Contain()
	theirs := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}`
	_ = b.World.Edit(func(e *sim.Editor) { e.PutUserPolicy(account, "ada", denyADA, theirs) })
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	r := undone["undo/contain/deny"]
	if r.State != playbook.Failed || !strings.Contains(r.Message, "somebody changed it since") || r.Error.Safe != "it was left as it is" {
		t.Fatalf("%+v", r)
	}
	_ = b.World.Edit(func(e *sim.Editor) {
		if got := e.User(account, "ada").InlinePolicy(denyADA); got != theirs {
			t.Errorf("the policy was overwritten: %s", got)
		}
	})
	if undone["undo/contain/key-"+keyA].State != playbook.Completed {
		t.Fatal("the keys depend on nothing of that")
	}
}

func TestWhatAColleagueDidBeforeUndoLeaves(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p := b.Plan()
	_ = b.World.Edit(func(e *sim.Editor) { e.User(account, "ada").Keys[1].Active = false }) // between plan and run
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if m := records["contain/key-"+keyB].Message; !strings.Contains(m, "undo leaves it") {
		t.Fatal(m)
	}
	b.Undo(p, records)
	_ = b.World.Edit(func(e *sim.Editor) {
		if keys := e.User(account, "ada").Keys; !keys[0].Active || keys[1].Active {
			t.Error("only the key that this run made inactive may come back")
		}
	})
}

func TestAKeyThatIsActiveAgainIsFoundByTheWatch(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p := b.Plan()
	b.Ended = func(r playbook.Record) {
		if r.Name == "verify/user" {
			_ = b.World.Edit(func(e *sim.Editor) { e.User(account, "ada").Keys[0].Active = true })
		}
	}
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if r := records["watch/user"]; r.State != playbook.Failed || !strings.Contains(r.Message, "access key "+keyA+" is active") {
		t.Fatalf("%+v", r)
	}
}

func TestACrashAnywhereInTheRunOfAUserEndsTheSame(t *testing.T) {
	t.Parallel()
	whole := userBench(t)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, func(t *testing.T) *kittest.Bench { return userBench(t) }, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatalf("the world is another:\n%s", diff)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			t.Fatalf("the undo gives another world:\n%s", diff)
		}
	})
}

func TestDefect35EachDeniedCallFailsAStepThatNamesIt(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return userBench(t) }, map[string]string{
		"IAM.PutUserPolicy": "iam:PutUserPolicy", "IAM.UpdateAccessKey": "iam:UpdateAccessKey",
	})
}

func TestWhatCannotBeReadOfAUserIsAGapAndStopsNothing(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"iam:GetAccessKeyLastUsed", "iam:ListUserPolicies", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:ListMFADevices", "iam:GetLoginProfile"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			b := userBench(t)
			b.Deny(awscalls.Read, action)
			p, records := b.Contain()
			if _, contained, _ := b.Result(p, records); !contained {
				t.Fatal("not contained")
			}
			if _, gaps, _ := respond.EvidenceOf(records["record/user"]); len(gaps) == 0 {
				t.Fatal("no gap is named")
			}
		})
	}
}

func TestAUserThatCannotBeDescribedIsAClearError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(b *kittest.Bench)
		code fault.Code
		says string
	}{
		{"gone", func(b *kittest.Bench) { b.Target.Parts[respond.PartUserName] = "nobody" }, fault.NotFound, "describe user nobody"},
		{"made again", func(b *kittest.Bench) {
			b.Target.Parts[respond.PartPrincipalID] = "AIDAOTHER"
			delete(b.Target.Parts, respond.PartAccessKeyID)
		}, fault.Conflict, "made again"},
		{"a name that is none", func(b *kittest.Bench) { b.Target.Parts[respond.PartUserName] = "ada; rm -rf" }, fault.Usage, "is no name of a user"},
		{"no permission", func(b *kittest.Bench) { b.Deny(awscalls.Read, "iam:GetUser") }, fault.Denied, "describe user ada"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := userBench(t)
			c.edit(b)
			_, err := b.Describe()
			if err == nil || fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v (%s)", err, fault.CodeOf(err))
			}
		})
	}
}

func TestGuardsOfAUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, guard string
		edit        func(b *kittest.Bench)
		want        respond.Answer
		says        string
	}{
		{"break-glass", "break-glass", func(b *kittest.Bench) { b.Policy.BreakGlass = []string{"arn:aws:iam::" + account + ":user/ada"} }, respond.Refuse, "break-glass list"},
		{"break-glass by pattern", "break-glass", func(b *kittest.Bench) { b.Policy.BreakGlass = []string{"arn:aws:iam::*:user/a*"} }, respond.Refuse, "break-glass list"},
		{"another break-glass", "break-glass", func(b *kittest.Bench) { b.Policy.BreakGlass = []string{"arn:aws:iam::" + account + ":user/grace"} }, respond.Pass, ""},
		{"never-touch", "never-touch", func(b *kittest.Bench) {
			_ = b.World.Edit(func(e *sim.Editor) { e.User(account, "ada").Tags = map[string]string{respond.TagNever: "true"} })
		}, respond.Refuse, respond.TagNever},
		{"used a moment ago", "in use", func(*kittest.Bench) {}, respond.Warn, keyA + " by s3 in eu-west-1"},
		{"used long ago", "in use", func(b *kittest.Bench) { b.Pass(2 * time.Hour) }, respond.Pass, ""},
		{"key is gone", "key of the finding", func(b *kittest.Bench) { b.Target.Parts[respond.PartAccessKeyID] = "AKIAGONE000000000000" }, respond.Warn, "is not among the keys"},
		{"AWS does not say who we are", "guardroom itself", func(b *kittest.Bench) { b.Deny(awscalls.Act, "sts:GetCallerIdentity") }, respond.Warn, "act"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := userBench(t)
			c.edit(b)
			g := kittest.Guard(t, b.Draft(), c.guard)
			if g.Answer != c.want || !strings.Contains(g.Why, c.says) {
				t.Fatalf("%+v", g)
			}
		})
	}
}

func TestNoRoomForTheDenyLeavesTheKeysAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	_ = b.World.Edit(func(e *sim.Editor) {
		e.PutUserPolicy(account, "ada", "own", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::%s"}]}`, strings.Repeat("x", 1950)))
	})
	d := b.Draft()
	if g := kittest.Guard(t, d, "size of the inline policies"); g.Answer != respond.Warn || !kittest.Has(d.Manual, "AWSDenyAll") {
		t.Fatalf("%+v %v", g, d.Manual)
	}
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if _, contained, _ := b.Result(p, records); contained || records["contain/key-"+keyA].State != playbook.Completed || !strings.Contains(records["verify/user"].Message, "no room") {
		t.Fatalf("contained %t: %+v", contained, records["verify/user"])
	}
}

func TestTheFactsOfAUserChangeOnlyWithTheUser(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	first, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	_ = b.World.Edit(func(e *sim.Editor) { e.User(account, "ada").Keys[0].Used = kittest.Start })
	second, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if d := respond.Differences(first.Watched, second.Watched); len(d) != 0 {
		t.Fatalf("the use of a key is no change: %v", d)
	}
	_ = b.World.Edit(flip)
	third, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if d := respond.Differences(second.Facts, third.Facts); len(d) != 0 {
		t.Fatalf("the actor makes it another world: %v", d)
	}
	d := respond.Differences(second.Watched, third.Watched)
	for _, words := range []string{"access key " + keyA + " is gone", "access key " + keyOff + " was Inactive and is Active", "access key " + keyNew + " is new: Active", "inline policy own", "attached policies", "groups", "MFA devices", "console was password and is none"} {
		if !kittest.Has(d, words) {
			t.Errorf("%q is not told: %v", words, d)
		}
	}
	_ = b.World.Edit(func(e *sim.Editor) { e.User(account, "ada").ID = "AIDAOTHER" })
	b.Target.Parts[respond.PartAccessKeyID] = keyB
	fourth, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if d := respond.Differences(third.Facts, fourth.Facts); !slices.Equal(d, []string{"user id was AIDAADA and is AIDAOTHER"}) {
		t.Fatal(d)
	}
}

const keyNew = "AKIANEW0000000000000"

// flip is what who holds a key of the user can do in a second, and do again and
// again: other keys, another password, other policies.
func flip(e *sim.Editor) {
	u := e.User(account, "ada")
	u.Keys = slices.DeleteFunc(u.Keys, func(k *sim.AccessKey) bool { return k.ID == keyA })
	for i := range u.Keys {
		u.Keys[i].Active = true
	}
	u.Password, u.MFA, u.Groups, u.Attached = false, nil, []string{"admins"}, []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
	e.AddAccessKey(account, "ada", sim.AccessKey{ID: keyNew, Active: true})
	e.PutUserPolicy(account, "ada", "own", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
}

// A key that was made or made active after the plan is the way out of it.
func TestHostileKeysThatComeAfterThePlanAreMadeInactiveToo(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p := b.Plan()
	_ = b.World.Edit(flip)
	before := b.Dump()
	made := false
	b.Ended = func(r playbook.Record) { // and one more while the run is on
		if r.Name == "contain/key-"+keyB && !made {
			made = true
			_ = b.World.Edit(func(e *sim.Editor) {
				e.AddAccessKey(account, "ada", sim.AccessKey{ID: "AKIANEWER00000000000", Active: true})
			})
		}
	}
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	for _, id := range []string{keyA, keyB, keyOff, keyNew, "AKIANEWER00000000000"} {
		if may(b, b.World.UserKey(account, id)) {
			t.Errorf("%s still gets in", id)
		}
	}
	_ = b.World.Edit(func(e *sim.Editor) {
		for _, k := range e.User(account, "ada").Keys {
			if k.Active {
				t.Errorf("%s is active", k.ID)
			}
		}
	})
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
	m := records["contain/rest"].Message
	if !strings.Contains(m, keyNew) || !strings.Contains(m, keyOff) || !strings.Contains(m, "AKIANEWER") || strings.Contains(m, keyB) || !strings.Contains(m, "after the plan") {
		t.Fatal(m)
	}
	u := b.UndoPlan(p, records)
	if s, ok := u.Step("undo/contain/rest/" + keyNew); !ok || !strings.Contains(s.Title, keyNew+", which was made or made active after the plan: inactive -> active") {
		t.Fatalf("%+v", u.Steps)
	}
	b.Undo(p, records)
	_ = b.World.Edit(func(e *sim.Editor) {
		u := e.User(account, "ada")
		u.Keys = slices.DeleteFunc(u.Keys, func(k *sim.AccessKey) bool { return k.ID == "AKIANEWER00000000000" && k.Active })
	})
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatalf("the undo gives another world than there was at the start of the run:\n%s", diff)
	}
}

func TestACrashWhileKeysThatCameLaterAreMadeInactiveLosesNoneOfThem(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) *kittest.Bench {
		b := userBench(t)
		b.Journal.OnPut = nil
		return b
	}
	kittest.Crashes(t, func(t *testing.T) *kittest.Bench {
		b := fresh(t)
		b.Playbook = after{b.Playbook, func() { _ = b.World.Edit(flip) }}
		return b
	}, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if m := records["contain/rest"].Message; !strings.Contains(m, keyNew) || !strings.Contains(m, keyOff) {
			t.Fatal(m)
		}
		b.Undo(p, records)
		for _, id := range []string{keyB, keyOff, keyNew} {
			if !may(b, b.World.UserKey(account, id)) {
				t.Fatalf("%s does not come back", id)
			}
		}
	})
}

// after is a playbook after whose plan something happens.
type after struct {
	respond.Playbook
	then func()
}

func (a after) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	defer a.then()
	return a.Playbook.Draft(w, r)
}

func TestTheKeyOfTheFindingProvesTheUser(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	b.Target.Parts[respond.PartPrincipalID] = "AIDAOTHER"
	if g := kittest.Guard(t, b.Draft(), "same user"); g.Answer != respond.Warn || !strings.Contains(g.Why, "AIDAOTHER") {
		t.Errorf("%+v", g)
	}
}

func TestEventsOfAUserAreKept(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	if err := b.World.Edit(func(e *sim.Editor) {
		e.AddTrailEvents(kittest.Account, kittest.Region, sim.TrailEvent{Name: "ListBuckets", Source: "s3.amazonaws.com", User: "ada"}, sim.TrailEvent{Name: "ListBuckets", User: "somebody"})
		e.AddTrailEvents(kittest.Account, "us-east-1", sim.TrailEvent{Name: "CreateAccessKey", Source: "iam.amazonaws.com", User: "ada"})
	}); err != nil {
		t.Fatal(err)
	}
	_, records := b.Contain()
	if r := records["preserve/trail"]; r.State != playbook.Completed || !strings.Contains(r.Message, "kept 2 events") {
		t.Errorf("the step is %s: %s", r.State, r.Message)
	}
	items, _, _ := respond.EvidenceOf(records["preserve/trail"])
	if len(items) != 1 || items[0].Kind != evidence.Trail || items[0].SHA256 == "" {
		t.Errorf("the items are %+v", items)
	}
}
