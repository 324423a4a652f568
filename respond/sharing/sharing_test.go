package sharing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/sharing"
)

const (
	account   = kittest.Account
	region    = kittest.Region
	partner   = "222233334444"
	forensics = "333344445555"
	snapshot  = "snap-0123456789abcdef0"
	image     = "ami-0123456789abcdef0"
	rdsARN    = "arn:aws:rds:" + region + ":" + account + ":"
)

// thing is one kind of thing that is shared, in a world.
type thing struct {
	playbook string
	target   respond.Target
	add      func(e *sim.Editor, accounts []string, public bool)
	calls    map[string]string // what changes it, and the action of IAM
	// addShare shares it with one account more, as a colleague would.
	addShare func(e *sim.Editor, with string)
	never    func(e *sim.Editor)
}

func things() []thing {
	with := func(accounts []string, public bool) []string {
		if public {
			return append(slices.Clone(accounts), "all")
		}
		return slices.Clone(accounts)
	}
	target := func(k finding.ResourceKind, id, arn string) respond.Target {
		return respond.Target{Kind: k, ID: id, ARN: arn, Account: account, Region: region}
	}
	never := map[string]string{respond.TagNever: "true"}
	return []thing{
		{"ebs-snapshot", target(finding.KindEBSSnapshot, snapshot, ""), func(e *sim.Editor, accounts []string, public bool) {
			e.AddSnapshot(account, region, sim.SnapshotSpec{ID: snapshot, Shares: accounts, Public: public})
		}, map[string]string{"EC2.ModifySnapshotAttribute": "ec2:ModifySnapshotAttribute"}, nil, func(e *sim.Editor) {
			e.SetTag(account, region, snapshot, respond.TagNever, "true")
		}},
		{"ec2-image", target(finding.KindImage, image, ""), func(e *sim.Editor, accounts []string, public bool) {
			e.AddImage(account, region, sim.ImageSpec{ID: image, Snapshot: snapshot, Shares: accounts, Public: public})
		}, map[string]string{"EC2.ModifyImageAttribute": "ec2:ModifyImageAttribute"}, nil, func(e *sim.Editor) {
			e.SetTag(account, region, image, respond.TagNever, "true")
		}},
		{"rds-snapshot", target(finding.KindOther, "nightly", rdsARN+"snapshot:nightly"), func(e *sim.Editor, accounts []string, public bool) {
			e.AddDBSnapshot(account, region, sim.DBSnapshot{ID: "nightly", Shares: with(accounts, public)})
		}, map[string]string{"RDS.ModifyDBSnapshotAttribute": "rds:ModifyDBSnapshotAttribute"}, func(e *sim.Editor, with string) {
			s := e.DBSnapshot(account, region, "nightly")
			s.Shares = append(s.Shares, with)
		}, func(e *sim.Editor) { e.DBSnapshot(account, region, "nightly").Tags = never }},
		{"rds-cluster-snapshot", target(finding.KindOther, "weekly", rdsARN+"cluster-snapshot:weekly"), func(e *sim.Editor, accounts []string, public bool) {
			e.AddDBClusterSnapshot(account, region, sim.DBSnapshot{ID: "weekly", Shares: with(accounts, public)})
		}, map[string]string{"RDS.ModifyDBClusterSnapshotAttribute": "rds:ModifyDBClusterSnapshotAttribute"}, func(e *sim.Editor, with string) {
			s := e.DBClusterSnapshot(account, region, "weekly")
			s.Shares = append(s.Shares, with)
		}, nil},
	}
}

func byName(t testing.TB, name string) respond.Playbook {
	t.Helper()
	i := slices.IndexFunc(sharing.Playbooks(), func(p respond.Playbook) bool { return p.Name() == name })
	if i < 0 {
		t.Fatalf("no playbook %s", name)
	}
	return sharing.Playbooks()[i]
}

func (th thing) bench(t testing.TB, accounts []string, public bool) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, byName(t, th.playbook), sharing.Actions(), sharing.Closings(), func(e *sim.Editor) {
		e.AllowPublicSharing(account, region)
		th.add(e, accounts, public)
		e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: region, ObjectLock: true})
	})
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Target = th.target
	return b
}

func each(t *testing.T, f func(t *testing.T, th thing)) {
	t.Helper()
	for _, th := range things() {
		t.Run(th.playbook, func(t *testing.T) { t.Parallel(); f(t, th) })
	}
}

// shared is what the plan would say that it is shared with now.
func shared(t testing.TB, b *kittest.Bench) string {
	t.Helper()
	w, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range w.Facts {
		if f.Name == "shared with" {
			return f.Value
		}
	}
	t.Fatal("no such fact")
	return ""
}

func TestSharesAreRemovedAllAndNamedOnes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		for _, public := range []bool{false, true} {
			b := th.bench(t, []string{partner, "444455556666"}, public)
			before := b.Dump()
			p, records := b.Contain()
			if got := shared(t, b); got != "" {
				t.Fatalf("shared with %s", got)
			}
			if _, contained, open := b.Result(p, records); !contained || !kittest.Has(open, partner) {
				t.Fatalf("contained %t, %v", contained, open)
			}
			b.Undo(p, records)
			if diff := cmp.Diff(before, b.Dump()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestTheShareOfTheForensicAccountStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner, forensics}, false)
		b.Policy.Forensics.Account = forensics
		b.Policy.Evidence.Bucket = "" // it would be in the forensic account
		p, records := b.Contain()
		if got := shared(t, b); got != "account "+forensics || !kittest.Has(p.WillNot, forensics) {
			t.Fatalf("%s %v", got, p.WillNot)
		}
		if _, contained, _ := b.Result(p, records); !contained {
			t.Fatal("not contained")
		}
	})
}

func TestWhatIsSharedWithNobodyIsVerifiedAndNotChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, nil, false)
		before := b.Dump()
		if g := kittest.Guard(t, b.Draft(), "already contained"); g.Answer != respond.Warn {
			t.Fatalf("%+v", g)
		}
		p, records := b.Contain()
		if len(p.Steps) != 2 || b.Dump() != before || len(b.UndoPlan(p, records).Steps) != 0 {
			t.Fatalf("%d steps", len(p.Steps))
		}
	})
}

// A share that a colleague adds is neither removed beyond the plan nor hidden.
func TestDefect46OnlyThePlannedSharesAreRemoved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		if th.addShare == nil {
			return // the same code, and this world has no door for it
		}
		b := th.bench(t, []string{partner}, false)
		p := b.Plan()
		_ = b.World.Edit(func(e *sim.Editor) { th.addShare(e, "555566667777") })
		records, err := b.Execute(kittest.Run, p, b.Journal)
		if err != nil {
			t.Fatal(err)
		}
		if got := shared(t, b); got != "account 555566667777" {
			t.Fatal(got)
		}
		verify := records["verify/"+b.Target.ID]
		if verify.State != playbook.Failed || !strings.Contains(verify.Message, "555566667777") {
			t.Fatalf("%+v", verify)
		}
		b.Undo(p, records)
		if got := shared(t, b); got != "account "+partner+", account 555566667777" {
			t.Fatal(got)
		}
	})
}

func TestAShareThatIsNewSinceStopsTheUndo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		if th.addShare == nil {
			return
		}
		b := th.bench(t, []string{partner}, false)
		p, records := b.Contain()
		_ = b.World.Edit(func(e *sim.Editor) { th.addShare(e, "555566667777") })
		undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range undone {
			if r.State != playbook.Failed || !strings.Contains(r.Message, "somebody changed it since") {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		if got := shared(t, b); got != "account 555566667777" {
			t.Fatal(got)
		}
	})
}

func TestACrashAnywhereEndsTheSame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		fresh := func(t *testing.T) *kittest.Bench { return th.bench(t, []string{partner}, true) }
		whole := fresh(t)
		before := whole.Dump()
		whole.Contain()
		want := whole.Dump()
		kittest.Crashes(t, fresh, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
			if diff := cmp.Diff(want, b.Dump()); diff != "" {
				t.Fatal(diff)
			}
			b.Undo(p, records)
			if diff := cmp.Diff(before, b.Dump()); diff != "" {
				t.Fatal(diff)
			}
		})
	})
}

func TestADeniedCallIsNamed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return th.bench(t, []string{partner}, false) }, th.calls)
	})
}

func TestWhatCannotBeDescribedIsAClearError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		target respond.Target
		build  func(e *sim.Editor)
		code   fault.Code
		says   string
	}{
		{"ebs-snapshot", respond.Target{Kind: finding.KindEBSSnapshot, ID: "snap-0aaaaaaaaaaaaaaaa"}, nil, fault.NotFound, "describe snapshot snap-0aaaaaaaaaaaaaaaa in eu-west-1"},
		{"ebs-snapshot", respond.Target{Kind: finding.KindEBSSnapshot, ID: snapshot}, func(e *sim.Editor) {
			e.AddSnapshot(partner, region, sim.SnapshotSpec{ID: snapshot, Shares: []string{account}})
		}, fault.Denied, "belongs to account " + partner},
		{"ebs-snapshot", respond.Target{Kind: finding.KindEBSSnapshot, ID: "snap-1; x"}, nil, fault.Usage, "is no id"},
		{"ec2-image", respond.Target{Kind: finding.KindImage, ID: image}, func(e *sim.Editor) {
			e.AddImage(partner, region, sim.ImageSpec{ID: image, Shares: []string{account}})
		}, fault.Denied, "belongs to account " + partner},
		{"ec2-image", respond.Target{Kind: finding.KindImage, ID: "ami-0aaaaaaaaaaaaaaaa"}, nil, fault.NotFound, "describe image"},
		{"rds-snapshot", respond.Target{ARN: rdsARN + "snapshot:gone"}, nil, fault.NotFound, "describe database snapshot gone"},
		{"rds-cluster-snapshot", respond.Target{ARN: rdsARN + "cluster-snapshot:gone"}, nil, fault.NotFound, "describe cluster snapshot gone"},
		{"rds-snapshot", respond.Target{ARN: "arn:aws:rds:us-east-1:" + account + ":snapshot:x"}, nil, fault.Usage, "is no id"}, // another region's
	} {
		t.Run(c.name+" "+c.says, func(t *testing.T) {
			t.Parallel()
			b := kittest.New(t, byName(t, c.name), sharing.Actions(), sharing.Closings(), func(e *sim.Editor) {
				if c.build != nil {
					c.build(e)
				}
			})
			b.Target = c.target
			b.Target.Account, b.Target.Region = account, region
			_, err := b.Describe()
			if err == nil || fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v (%s)", err, fault.CodeOf(err))
			}
		})
	}
}

func TestNeverTouchAndTheSnapshotsOfAnImage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner}, false)
		if th.never != nil {
			_ = b.World.Edit(th.never)
			if g := kittest.Guard(t, b.Draft(), "never-touch"); g.Answer != respond.Refuse {
				t.Fatalf("%+v", g)
			}
		}
		if th.playbook == "ec2-image" && !kittest.Has(b.Draft().Manual, snapshot) {
			t.Fatal("the snapshots of the image have shares of their own")
		}
	})
}

func TestTheCallsOfTheActionsAreThoseThatAreMade(t *testing.T) {
	t.Parallel()
	var benches []*kittest.Bench
	for _, th := range things() {
		benches = append(benches, th.bench(t, []string{partner}, true))
	}
	kittest.SameCalls(t, sharing.Actions(), benches, "S3.GetObject")
}

func TestAnAbortAnywhereBeginsNothingAndCanBeUndone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		fresh := func(t *testing.T) *kittest.Bench { return th.bench(t, []string{partner}, true) }
		t.Run("run", func(t *testing.T) { t.Parallel(); kittest.Stops(t, kittest.Stop{Fresh: fresh}) })
		t.Run("undo", func(t *testing.T) { t.Parallel(); kittest.UndoStops(t, kittest.Stop{Fresh: fresh}) })
	})
}

func TestANewShareIsFoundLater(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner}, false)
		p, records := b.Contain()
		if d := b.Drift(p, records); len(d) != 0 {
			t.Fatal(d)
		}
		if th.addShare == nil {
			return
		}
		_ = b.World.Edit(func(e *sim.Editor) { th.addShare(e, "555566667777") })
		if d := b.Drift(p, records); len(d) != 1 || !strings.Contains(d[0], "555566667777") {
			t.Fatal(d)
		}
	})
}

// The policies that guardroom prints let nobody share with everybody.
func TestAnUndoThatMayNotShareWithEverybodyGivesTheOthersBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th thing) {
		b := th.bench(t, []string{partner}, true)
		p, records := b.Contain()
		calls := 0
		b.Hook(func(phase sim.Phase, c sim.Call) error {
			if phase == sim.Before && strings.HasPrefix(c.Operation, "Modify") {
				if calls++; calls == 2 {
					return &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "explicit deny"}
				}
			}
			return nil
		})
		undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range undone {
			if r.State != playbook.Failed || r.Error.Code != fault.Denied || !strings.Contains(r.Error.Hint, "by hand") {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		if got := shared(t, b); got != "account "+partner {
			t.Fatal(got)
		}
	})
}
