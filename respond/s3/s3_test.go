package s3_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/s3"
)

const (
	account = kittest.Account
	glass   = "arn:aws:iam::" + account + ":role/emergency/break-glass"
	// public is written as its author likes it: the undo must give it back so.
	public = `{
  "Version": "2012-10-17",
  "Statement": {"Sid": "Site", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::payments/*"}
}`
)

func byName(t testing.TB, name string) respond.Playbook {
	t.Helper()
	i := slices.IndexFunc(s3.Playbooks(), func(p respond.Playbook) bool { return p.Name() == name })
	if i < 0 {
		t.Fatalf("no playbook %s", name)
	}
	return s3.Playbooks()[i]
}

func site(e *sim.Editor) {
	e.AddRole(account, sim.Role{Name: "break-glass", Path: "/emergency/"})
	e.AddRole(account, sim.Role{Name: "app"})
	for _, r := range []string{"guardroom-read", "guardroom-act", "guardroom-forensics"} {
		e.AddRole(account, sim.Role{Name: r})
	}
	e.AddBucket(account, sim.Bucket{Name: "payments", Region: "eu-central-1", Policy: public, PublicACL: []string{"READ"}, Block: &sim.PublicBlock{BlockACLs: true}})
	e.PutObject("payments", "index.html", sim.Object{Body: []byte("hello"), Tags: map[string]string{"team": "web"}})
	e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
}

func bucketBench(t testing.TB, name string) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, byName(t, name), s3.Actions(), s3.Closings(), site)
	b.Policy.Evidence.Bucket, b.Policy.Evidence.Region = kittest.Evidence, kittest.Region
	b.Policy.BreakGlass = []string{glass}
	b.Type = "Policy:S3/BucketAnonymousAccessGranted"
	b.Target = respond.Target{Kind: finding.KindS3Bucket, ID: "payments", Account: account, Region: kittest.Region}
	return b
}

const object = "arn:aws:s3:::payments/index.html"

func reads(b *kittest.Bench, role string) bool {
	if role == "" {
		return b.World.Allowed(sim.Principal{}, "s3:GetObject", object)
	}
	var p sim.Principal
	_ = b.World.Edit(func(e *sim.Editor) { p = e.AddSession(account, role, "session", b.Clock.Now()) })
	ok := b.World.Allowed(p, "s3:GetObject", object)
	_ = b.World.Edit(func(e *sim.Editor) { e.Role(account, role).Sessions = nil })
	return ok
}

func edit(b *kittest.Bench, f func(k *sim.Bucket)) {
	_ = b.World.Edit(func(e *sim.Editor) { f(e.Bucket("payments")) })
}

func TestABucketIsClosedToAllButTheList(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	if !reads(b, "") || !reads(b, "app") {
		t.Fatal("the bucket must be open before")
	}
	p, records := b.Contain()
	if reads(b, "") || reads(b, "app") {
		t.Fatal("the bucket is open still")
	}
	for _, role := range []string{"break-glass", "guardroom-act", "guardroom-read", "guardroom-forensics"} {
		if !reads(b, role) {
			t.Errorf("%s was locked out", role)
		}
	}
	if _, contained, open := b.Result(p, records); !contained || !kittest.Has(open, "copies that were made before") {
		t.Fatalf("contained %t, %v", contained, open)
	}
	if s, _ := p.Step("contain/deny"); !strings.Contains(s.Approval, glass) {
		t.Fatalf("the approval does not name who stays in: %q", s.Approval)
	}
}

// A request without a signature carries no aws:PrincipalIsAWSService.
func TestTheDenyShutsThePublicOutByItself(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	b.Deny(awscalls.Act, "s3:PutBucketPublicAccessBlock")
	if _, err := b.Execute(kittest.Run, b.Plan(), b.Journal); err != nil {
		t.Fatal(err)
	}
	if reads(b, "") || reads(b, "app") {
		t.Fatal("the bucket is open still")
	}
}

func TestUndoGivesThePolicyBackByteForByte(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"s3-bucket", "s3-public"} {
		for _, policy := range []string{public, "", strings.Replace(public, `"*"`, `{"AWS":"arn:aws:iam::`+account+`:root"}`, 1)} {
			b := bucketBench(t, name)
			edit(b, func(k *sim.Bucket) { k.Policy = policy; k.Block = nil })
			before := b.Dump()
			p, records := b.Contain()
			if b.Dump() == before {
				t.Fatal("nothing changed")
			}
			b.Undo(p, records)
			if diff := cmp.Diff(before, b.Dump()); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
			edit(b, func(k *sim.Bucket) {
				if k.Policy != policy {
					t.Errorf("%s: not byte for byte: %q", name, k.Policy)
				}
			})
		}
	}
}

func TestClosedToThePublicOnlyLeavesTheAccountIn(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-public")
	b.Policy.BreakGlass = nil
	p, records := b.Contain()
	if reads(b, "") || !reads(b, "app") {
		t.Fatal("the public must be out and the account in")
	}
	_, _, open := b.Result(p, records)
	if !kittest.Has(open, "keeps it") || !kittest.Has(open, "is public still") {
		t.Fatalf("%v", open)
	}
}

func TestABreakGlassListThatLocksEverybodyOutIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		list []string
		want respond.Answer
		says string
	}{
		{"empty", nil, respond.Refuse, "it is empty"},
		{"not there", []string{"arn:aws:iam::" + account + ":role/none"}, respond.Refuse, "none of it is there"},
		{"another path", []string{"arn:aws:iam::" + account + ":role/break-glass"}, respond.Refuse, "role/emergency/break-glass"},
		{"another account's", []string{"arn:aws:iam::444455556666:role/break-glass"}, respond.Refuse, "none of it is there"},
		{"everybody", []string{"arn:aws:iam::" + account + ":role/*"}, respond.Refuse, "names no user or role in particular"},
		{"no ARN", []string{"*"}, respond.Refuse, "names no user or role in particular"},
		{"right", []string{glass}, respond.Pass, ""},
		{"right in any account", []string{"arn:aws:iam::*:role/emergency/break-glass"}, respond.Pass, ""},
		{"one of two", []string{glass, "arn:aws:iam::" + account + ":role/none"}, respond.Warn, "role/none"},
		{"a pattern", []string{"arn:aws:iam::" + account + ":role/emergency/*-glass"}, respond.Warn, "AWS has not shown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := bucketBench(t, "s3-bucket")
			b.Policy.BreakGlass = c.list
			if g := kittest.Guard(t, b.Draft(), "break-glass list"); g.Answer != c.want || !strings.Contains(g.Why, c.says) {
				t.Fatalf("%+v", g)
			}
		})
	}
}

func TestGuardroomDoesNotLockItselfOut(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	b.Deny(awscalls.Act, "sts:GetCallerIdentity")
	if g := kittest.Guard(t, b.Draft(), "guardroom itself"); g.Answer != respond.Refuse || !strings.Contains(g.Why, "lock itself out") {
		t.Fatalf("%+v", g)
	}
}

func TestTheEvidenceBucketIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"s3-bucket", "s3-public"} {
		b := bucketBench(t, name)
		b.Target.ID = kittest.Evidence
		if g := kittest.Guard(t, b.Draft(), "guardroom's bucket"); g.Answer != respond.Refuse {
			t.Fatalf("%+v", g)
		}
	}
}

func TestATagOnTheBucketForbidsIt(t *testing.T) {
	t.Parallel()
	for _, b := range []*kittest.Bench{bucketBench(t, "s3-bucket"), bucketBench(t, "s3-public"), objectBench(t, true)} {
		edit(b, func(k *sim.Bucket) { k.Tags = map[string]string{respond.TagNever: "true", "team": "web"} })
		if _, refused := b.Plan().Refused(); !refused {
			t.Error("the plan is not refused")
		}
	}
}

func TestAColleaguesChangeOfTheBucketIsNotOverwritten(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	p, records := b.Contain()
	theirs := sim.PublicBlock{BlockACLs: true, IgnoreACLs: true}
	edit(b, func(k *sim.Bucket) {
		k.Policy = strings.Replace(k.Policy, "Site", "Other", 1)
		k.Block = &theirs
	})
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range undone {
		if id == "undo/contain/deny" {
			if r.State != playbook.Completed || !strings.Contains(r.Message, "what was changed in it since stays") {
				t.Fatalf("%s: %+v", id, r)
			}
			continue
		}
		if r.State != playbook.Failed || !strings.Contains(r.Message, "somebody changed it since") {
			t.Fatalf("%s: %+v", id, r)
		}
	}
	edit(b, func(k *sim.Bucket) {
		if kit.Canonical(k.Policy) != kit.Canonical(strings.Replace(public, "Site", "Other", 1)) || *k.Block != theirs {
			t.Errorf("a colleague's change was overwritten, or ours is in it still: %s", k.Policy)
		}
	})
}

func TestOurStatementThatAColleagueChangedIsLeftAndOneTakenOutIsFine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(policy string) string
		want   playbook.State
	}{
		"changed":   {func(p string) string { return strings.Replace(p, `"s3:*"`, `"s3:Get*"`, 1) }, playbook.Failed},
		"taken out": {func(string) string { return strings.Replace(public, "Site", "Other", 1) }, playbook.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bucketBench(t, "s3-bucket")
			p, records := b.Contain()
			var theirs string
			edit(b, func(k *sim.Bucket) { k.Policy = c.change(k.Policy); theirs = k.Policy })
			undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
			if err != nil {
				t.Fatal(err)
			}
			if r := undone["undo/contain/deny"]; r.State != c.want {
				t.Errorf("%+v", r)
			}
			edit(b, func(k *sim.Bucket) {
				if k.Policy != theirs {
					t.Errorf("it was overwritten: %s", k.Policy)
				}
			})
		})
	}
}

// listed is a policy with its statements in a list, which means the same.
func listed(policy string) string {
	p := kit.Canonical(policy)
	if at := strings.Index(p, `"Statement":{`); at >= 0 {
		one := at + len(`"Statement":`)
		end := strings.LastIndex(p, `,"Version"`)
		return p[:one] + "[" + p[one:end] + "]" + p[end:]
	}
	return p
}

// Two objects of one bucket, and the bucket itself, are in the same policy: the
// undo of each takes out its own statement, in whatever order.
func TestTheUndoOfOneRunLeavesTheStatementsOfOthersInThePolicy(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		for _, second := range []string{"an object", "the bucket"} {
			first, other := objectBench(t, true), objectBench(t, true)
			if second == "the bucket" {
				other = bucketBench(t, "s3-bucket")
			} else {
				other.Target.ID, other.Target.Parts = "payments/evil.bin", map[string]string{respond.PartObjectKey: "evil.bin"}
			}
			other.Policy.Evidence.Prefix = "other" // the two benches run under one id
			other.World = first.World
			other.AWS = first.AWS
			_ = first.World.Edit(func(e *sim.Editor) { e.PutObject("payments", "evil.bin", sim.Object{Body: []byte("evil")}) })
			// Not public: AWS refuses to write a public one beside the block of the bucket's own run.
			before := strings.Replace(public, `"*"`, `{"AWS":"arn:aws:iam::`+account+`:root"}`, 1)
			edit(first, func(k *sim.Bucket) { k.Policy = before })
			benches := []*kittest.Bench{first, other}
			var plans [2]*respond.Plan
			var records [2]map[string]playbook.Record
			for i, b := range benches {
				plans[i], records[i] = b.Contain()
			}
			benches[order[0]].Undo(plans[order[0]], records[order[0]])
			left := plans[order[1]]
			if drift := benches[order[1]].Drift(left, records[order[1]]); len(drift) > 0 {
				t.Errorf("%s, %v: the other containment is gone: %q", second, order, drift)
			}
			benches[order[1]].Undo(left, records[order[1]])
			edit(first, func(k *sim.Bucket) {
				if listed(k.Policy) != listed(before) {
					t.Errorf("%s, %v: the policy is %s", second, order, k.Policy)
				}
			})
		}
	}
}

func TestACrashAnywhereInTheRunOfABucketEndsTheSame(t *testing.T) {
	t.Parallel()
	whole := bucketBench(t, "s3-bucket")
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, func(t *testing.T) *kittest.Bench { return bucketBench(t, "s3-bucket") }, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestVersioningIsSwitchedOnWhereObjectsAreLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, before string
		want         string // after the run
		undone       string
		irreversible bool
	}{
		{"Impact:S3/AnomalousBehavior.Delete", "", "Enabled", "Suspended", true},
		{"Impact:S3/AnomalousBehavior.Delete", "Suspended", "Enabled", "Suspended", false},
		{"Impact:S3/AnomalousBehavior.Delete", "Enabled", "Enabled", "Enabled", false},
		{"AttackSequence:S3/CompromisedData", "", "Enabled", "Suspended", true},
		{"Policy:S3/BucketAnonymousAccessGranted", "", "", "", false},
	} {
		t.Run(c.kind+" "+c.before, func(t *testing.T) {
			t.Parallel()
			b := bucketBench(t, "s3-bucket")
			b.Type = c.kind
			edit(b, func(k *sim.Bucket) { k.Versioning = c.before })
			p, records := b.Contain()
			if p.Reversible() == c.irreversible {
				t.Errorf("reversible %t: %v", p.Reversible(), p.Irreversible)
			}
			status := func() (s string) { edit(b, func(k *sim.Bucket) { s = k.Versioning }); return s }
			if got := status(); got != c.want {
				t.Errorf("versioning %q", got)
			}
			b.Undo(p, records)
			if got := status(); got != c.undone {
				t.Errorf("after undo %q", got)
			}
		})
	}
}

func TestEachDeniedCallOfABucketIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return bucketBench(t, "s3-bucket") }, map[string]string{
		"S3.PutBucketPolicy": "s3:PutBucketPolicy", "S3.PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	})
}

func TestABucketThatCannotBeDescribedIsAClearError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(b *kittest.Bench)
		code fault.Code
		says string
	}{
		{"gone", func(b *kittest.Bench) { b.Target.ID = "nowhere" }, fault.NotFound, "describe bucket nowhere"},
		{"no name", func(b *kittest.Bench) { b.Target.ID = "Payments!" }, fault.Usage, "is no name of a bucket"},
		{"somebody else's", func(b *kittest.Bench) {
			_ = b.World.Edit(func(e *sim.Editor) { e.AddBucket("444455556666", sim.Bucket{Name: "theirs"}) })
			b.Target.ID = "theirs"
		}, fault.Denied, "describe bucket theirs in account " + account},
		{"no permission", func(b *kittest.Bench) { b.Deny(awscalls.Read, "s3:GetBucketPolicy") }, fault.Denied, "describe bucket payments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := bucketBench(t, "s3-bucket")
			c.edit(b)
			_, err := b.Describe()
			if err == nil || fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v (%s)", err, fault.CodeOf(err))
			}
		})
	}
}

func TestAPolicyThatWouldBeTooLongIsLeftAndSaid(t *testing.T) {
	t.Parallel()
	b := bucketBench(t, "s3-bucket")
	long := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"S","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::payments/%s"}]}`, strings.Repeat("x", 20000))
	edit(b, func(k *sim.Bucket) { k.Policy = long })
	p := b.Plan()
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if r := records["contain/deny"]; r.State != playbook.Failed || !strings.Contains(r.Message, "AWS allows 20480") {
		t.Fatalf("%+v", r)
	}
	if _, contained, _ := b.Result(p, records); contained || records["contain/public-access"].State != playbook.Completed {
		t.Fatal("the public must be out and the incident not contained")
	}
	edit(b, func(k *sim.Bucket) {
		if k.Policy != long {
			t.Error("the policy was touched")
		}
	})
}

func objectBench(t testing.TB, versioned bool) *kittest.Bench {
	t.Helper()
	b := bucketBench(t, "s3-object")
	b.Type = "Object:S3/MaliciousFile"
	b.Target.Kind, b.Target.ID = finding.KindS3Object, "payments/index.html"
	b.Target.Parts = map[string]string{respond.PartObjectKey: "index.html"}
	_ = b.World.Edit(func(e *sim.Editor) {
		if !versioned {
			return
		}
		e.Bucket("payments").Versioning = "Enabled"
		bad := e.PutObject("payments", "index.html", sim.Object{Body: []byte("bad"), Tags: map[string]string{"team": "web", "stage": "live"}})
		b.Target.Parts[respond.PartObjectVer] = bad.Version
	})
	return b
}

func tags(b *kittest.Bench) (all []map[string]string) {
	_ = b.World.Edit(func(e *sim.Editor) {
		for _, o := range e.Bucket("payments").Objects["index.html"] {
			all = append(all, o.Tags)
		}
	})
	return all
}

func TestAnObjectGoesIntoQuarantineByItsVersion(t *testing.T) {
	t.Parallel()
	b := objectBench(t, true)
	before := b.Dump()
	p, records := b.Contain()
	want := []map[string]string{{"team": "web"}, {"team": "web", "stage": "live", "guardroom-quarantine": "INC-42"}}
	if diff := cmp.Diff(want, tags(b)); diff != "" {
		t.Fatal(diff)
	}
	if reads(b, "") || reads(b, "app") || !reads(b, "break-glass") || !reads(b, "guardroom-forensics") {
		t.Fatal("nobody but the list may read it")
	}
	_ = b.World.Edit(func(e *sim.Editor) { e.PutObject("payments", "other.html", sim.Object{Body: []byte("good")}) })
	if !b.World.Allowed(sim.Principal{}, "s3:GetObject", "arn:aws:s3:::payments/other.html") {
		t.Fatal("another object was hit")
	}
	_ = b.World.Edit(func(e *sim.Editor) { delete(e.Bucket("payments").Objects, "other.html") })
	b.Undo(p, records)
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
}

func TestAnObjectIsDescribedWithoutARightToReadIt(t *testing.T) {
	t.Parallel()
	b := objectBench(t, true)
	version := b.Target.Parts[respond.PartObjectVer]
	delete(b.Target.Parts, respond.PartObjectVer) // the finding names none: it is the newest
	w, err := b.Describe()
	if err != nil || !slices.Contains(w.Facts, respond.Fact{Name: "version", Value: version}) {
		t.Fatalf("%+v, %v", w.Facts, err)
	}
	b.Contain()
	for _, c := range b.World.Calls() {
		if c.Place.Role == awscalls.Read && (c.Operation == "HeadObject" || c.Operation == "GetObject") {
			t.Errorf("the reader calls %s, for which it would have to read objects", c.Operation)
		}
	}
}

func TestTagsThatOthersSetSinceStay(t *testing.T) {
	t.Parallel()
	b := objectBench(t, false)
	p, records := b.Contain()
	_ = b.World.Edit(func(e *sim.Editor) { e.Object("payments", "index.html").Tags["owner"] = "ada" })
	b.Undo(p, records)
	if diff := cmp.Diff([]map[string]string{{"team": "web", "owner": "ada"}}, tags(b)); diff != "" {
		t.Fatal(diff)
	}
}

func TestGuardsOfTheTag(t *testing.T) {
	t.Parallel()
	full := map[string]string{}
	for i := range 10 {
		full[fmt.Sprint("k", i)] = "v"
	}
	for _, c := range []struct {
		tags map[string]string
		want respond.Answer
		says string
	}{
		{map[string]string{"guardroom-quarantine": "INC-7"}, respond.Refuse, "INC-7"},
		{full, respond.Refuse, "10 tags"},
		{map[string]string{"guardroom-quarantine": "INC-42"}, respond.Pass, ""},
		{nil, respond.Pass, ""},
	} {
		b := objectBench(t, false)
		_ = b.World.Edit(func(e *sim.Editor) { e.Object("payments", "index.html").Tags = c.tags })
		if g := kittest.Guard(t, b.Draft(), "quarantine tag"); g.Answer != c.want || !strings.Contains(g.Why, c.says) {
			t.Errorf("%v: %+v", c.tags, g)
		}
	}
}

func TestACrashAnywhereInTheRunOfAnObjectEndsTheSame(t *testing.T) {
	t.Parallel()
	whole := objectBench(t, true)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, func(t *testing.T) *kittest.Bench { return objectBench(t, true) }, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestADeniedCallOfAnObjectIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return objectBench(t, true) }, map[string]string{
		"S3.PutBucketPolicy": "s3:PutBucketPolicy", "S3.PutObjectTagging": "s3:PutObjectVersionTagging",
	})
}

func TestTheCallsOfTheActionsAreThoseThatAreMade(t *testing.T) {
	t.Parallel()
	closed := bucketBench(t, "s3-bucket")
	edit(closed, func(k *sim.Bucket) { k.Policy, k.Block = "", nil })
	closed.Type = "Impact:S3/AnomalousBehavior.Delete"
	kittest.SameCalls(t, s3.Actions(), []*kittest.Bench{bucketBench(t, "s3-bucket"), closed, objectBench(t, true)}, "S3.GetObject")
}
