package block_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const host = "i-0123456789abcdef0"

// aclBench has an instance in a VPC whose network ACL allows everything at 100,
// and no IP set.
func aclBench(t testing.TB, addresses string) (*kittest.Bench, string) {
	t.Helper()
	b := kittest.New(t, block.Playbook(), block.Actions(), block.Closings(), func(e *sim.Editor) {
		e.AddVPC(account, kittest.Region, sim.VPCSpec{IPv6: true})
		e.AddInstance(account, kittest.Region, sim.InstanceSpec{ID: host})
		e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
	})
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Target = respond.Target{Kind: finding.KindInstance, ID: host, Account: account, Region: kittest.Region, Parts: map[string]string{respond.PartRemoteIPs: addresses}}
	api, err := b.World.AWS().EC2(context.Background(), awscalls.Place{Account: account, Region: kittest.Region, Role: awscalls.Read})
	if err != nil {
		t.Fatal(err)
	}
	out, err := api.DescribeNetworkAcls(context.Background(), &ec2.DescribeNetworkAclsInput{})
	if err != nil || len(out.NetworkAcls) != 1 {
		t.Fatalf("%v, %d network ACLs", err, len(out.NetworkAcls))
	}
	return b, aws.ToString(out.NetworkAcls[0].NetworkAclId)
}

// entries are the entries of the ACL below the last ones: "in 1 deny 203.0.113.7/32".
func entries(t testing.TB, b *kittest.Bench, id string) []string {
	t.Helper()
	api, err := b.World.AWS().EC2(context.Background(), awscalls.Place{Account: account, Region: kittest.Region, Role: awscalls.Read})
	if err != nil {
		t.Fatal(err)
	}
	out, err := api.DescribeNetworkAcls(context.Background(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]bool{}
	for _, e := range out.NetworkAcls[0].Entries {
		if n := aws.ToInt32(e.RuleNumber); n < 100 {
			list[fmt.Sprintf("%s %02d %s %s", map[bool]string{true: "out", false: "in"}[aws.ToBool(e.Egress)], n, e.RuleAction, aws.ToString(e.CidrBlock)+aws.ToString(e.Ipv6CidrBlock))] = true
		}
	}
	return slices.Sorted(maps.Keys(list))
}

func addEntry(b *kittest.Bench, id string, number int32, egress, allow bool, cidr string) {
	_ = b.World.Edit(func(e *sim.Editor) { e.AddACLEntry(account, kittest.Region, id, number, egress, allow, cidr) })
}

// Numbers are free ones below everything that allows, and the block ends.
func TestDefect56EntriesTakeFreeNumbersAndEnd(t *testing.T) {
	t.Parallel()
	b, id := aclBench(t, bad+",2001:db8:ffff::7")
	addEntry(b, id, 1, false, false, "192.0.2.0/24") // a colleague's
	flow := ""
	_ = b.World.Edit(func(e *sim.Editor) {
		flow = e.OpenFlow(account, kittest.Region, e.InterfaceOf(account, kittest.Region, host, 0), sim.FlowSpec{Protocol: "tcp", Remote: bad, Port: 443})
	})
	p, records := b.Contain()
	want := []string{"in 01 deny 192.0.2.0/24", "in 02 deny " + bad + "/32", "in 03 deny 2001:db8:ffff::7/128", "out 01 deny " + bad + "/32", "out 02 deny 2001:db8:ffff::7/128"}
	if diff := cmp.Diff(want, entries(t, b, id)); diff != "" {
		t.Fatal(diff)
	}
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
	var eni string
	_ = b.World.Edit(func(e *sim.Editor) { eni = e.InterfaceOf(account, kittest.Region, host, 0) })
	for _, f := range b.World.Flows(eni) {
		if f.ID == flow && f.Alive {
			t.Fatalf("the connection to the actor lives: %+v", f)
		}
	}
	if rows := b.Owed.Rows(); len(rows) != 4 {
		t.Fatalf("%+v", rows)
	}
	b.Pass(23 * time.Hour)
	if err := b.Sweep(); err != nil || len(entries(t, b, id)) != 5 {
		t.Fatalf("ended before its time: %v", err)
	}
	b.Pass(time.Hour)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, b, id); !slices.Equal(got, want[:1]) || len(b.Owed.Rows()) != 0 {
		t.Fatalf("%v %v", got, b.Owed.Rows())
	}
}

func TestUndoOfEntriesGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	b, _ := aclBench(t, bad)
	before := b.Dump()
	p, records := b.Contain()
	b.Undo(p, records)
	if diff := cmp.Diff(before, b.Dump()); diff != "" || len(b.Owed.Rows()) != 0 {
		t.Fatal(diff, b.Owed.Rows())
	}
}

func TestANumberThatIsTakenMeanwhileIsLeftToItsOwner(t *testing.T) {
	t.Parallel()
	b, id := aclBench(t, bad)
	p := b.Plan()
	taken := false
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.Operation == "CreateNetworkAclEntry" && !taken {
			taken = true
			addEntry(b, id, 1, false, false, "192.0.2.0/24")
		}
		return nil
	})
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	want := []string{"in 01 deny 192.0.2.0/24", "in 02 deny " + bad + "/32", "out 01 deny " + bad + "/32"}
	if diff := cmp.Diff(want, entries(t, b, id)); diff != "" {
		t.Fatal(diff)
	}
	if rows := b.Owed.Rows(); len(rows) != 2 {
		t.Fatalf("what is owed is not what was made: %+v", rows)
	}
	b.Undo(p, records)
	if got := entries(t, b, id); !slices.Equal(got, want[:1]) {
		t.Fatal(got)
	}
}

func TestAnEntryThatAColleagueMadeHisOwnStays(t *testing.T) {
	t.Parallel()
	b, id := aclBench(t, bad)
	p, records := b.Contain()
	api, err := b.World.AWS().EC2(t.Context(), awscalls.Place{Account: account, Region: kittest.Region, Role: awscalls.Act})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.DeleteNetworkAclEntry(t.Context(), &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &id, RuleNumber: aws.Int32(1), Egress: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	addEntry(b, id, 1, true, false, "203.0.113.0/24")
	undone, err := b.Execute(kittest.UndoRun, b.UndoPlan(p, records), &playbook.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range undone {
		if r.State != playbook.Failed || !strings.Contains(r.Message, "entry 1 (out)") {
			t.Fatalf("%+v", r)
		}
	}
	if got := entries(t, b, id); !slices.Equal(got, []string{"out 01 deny 203.0.113.0/24"}) {
		t.Fatal(got)
	}
}

func TestANetworkACLWithoutRoomIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fill func(b *kittest.Bench, id string)
		want respond.Answer
		says string
	}{
		{"room", func(*kittest.Bench, string) {}, respond.Pass, ""},
		{"few places", func(b *kittest.Bench, id string) {
			for n := range int32(14) {
				addEntry(b, id, 200+n, true, true, "192.0.2.0/24")
			}
		}, respond.Refuse, "3 entries are free (out)"},
		{"everything is allowed at 1", func(b *kittest.Bench, id string) { addEntry(b, id, 1, false, true, "0.0.0.0/0") }, respond.Refuse, "before the first entry that allows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, id := aclBench(t, bad)
			c.fill(b, id)
			if g := kittest.Guard(t, b.Draft(), "room in "+id); g.Answer != c.want || !strings.Contains(g.Why, c.says) {
				t.Fatalf("%+v", g)
			}
		})
	}
}

func TestACrashAnywhereInTheEntriesEndsTheSame(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) *kittest.Bench { b, _ := aclBench(t, bad); return b }
	whole := fresh(t)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, fresh, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		if rows := b.Owed.Rows(); len(rows) != 2 {
			t.Fatalf("%+v", rows)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" || len(b.Owed.Rows()) != 0 {
			t.Fatal(diff, b.Owed.Rows())
		}
	})
}

func TestADeniedCallOfAnEntryIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { b, _ := aclBench(t, bad); return b }, map[string]string{"EC2.CreateNetworkAclEntry": "ec2:CreateNetworkAclEntry"})
}

func TestASetThatIsNotInThisAccountFallsBackToTheNetworkACL(t *testing.T) {
	t.Parallel()
	b, id := aclBench(t, bad)
	b.Policy.IPSet = respond.IPSet{Name: setName, ID: setID, Scope: "REGIONAL"}
	b.Contain()
	if got := entries(t, b, id); len(got) != 2 {
		t.Fatal(got)
	}
}

func TestTheCallsOfTheActionsAreThoseThatAreMade(t *testing.T) {
	t.Parallel()
	acl, _ := aclBench(t, bad)
	kittest.SameCalls(t, block.Actions(), []*kittest.Bench{acl, setBench(t, bad)}, "S3.GetObject")
}

func TestAnAbortAnywhereChangesNothingMoreAndCanBeUndone(t *testing.T) {
	t.Parallel()
	settled := func(t *testing.T, b *kittest.Bench) {
		b.Pass(25 * time.Hour)
		if err := b.Sweep(); err != nil || len(b.Owed.Rows()) != 0 {
			t.Fatalf("%v, still owed: %+v", err, b.Owed.Rows())
		}
	}
	kittest.Aborts(t, func(t *testing.T) *kittest.Bench { return setBench(t, bad) }, settled)
	kittest.Aborts(t, func(t *testing.T) *kittest.Bench { b, _ := aclBench(t, bad); return b }, settled)
}
