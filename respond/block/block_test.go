package block_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	account = kittest.Account
	setName = "guardroom-blocked"
	setID   = "0c3f1c55-0000-4000-8000-000000000001"
	bad     = "203.0.113.7"
)

func withSet(scope, version, region string) func(e *sim.Editor) {
	return func(e *sim.Editor) {
		e.AddIPSet(account, region, sim.IPSet{Name: setName, ID: setID, Scope: scope, Version: version, Addresses: []string{}})
		e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
	}
}

func setBench(t testing.TB, addresses string) *kittest.Bench {
	t.Helper()
	b := kittest.New(t, block.Playbook(), block.Actions(), block.Closings(), withSet("REGIONAL", "IPV4", kittest.Region))
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Policy.IPSet = respond.IPSet{Name: setName, ID: setID, Scope: "REGIONAL"}
	b.Policy.Own = []string{"198.51.100.0/24"}
	b.Target = respond.Target{Kind: finding.KindS3Bucket, ID: "payments", Account: account, Region: kittest.Region, Parts: map[string]string{respond.PartRemoteIPs: addresses}}
	return b
}

func inSet(b *kittest.Bench) (list []string) {
	_ = b.World.Edit(func(e *sim.Editor) {
		list = slices.Clone(e.IPSet(account, kittest.Region, "REGIONAL", setID).Addresses)
	})
	slices.Sort(list)
	return list
}

func colleague(b *kittest.Bench, change func(list []string) []string) {
	_ = b.World.Edit(func(e *sim.Editor) {
		s := e.IPSet(account, kittest.Region, "REGIONAL", setID)
		e.SetAddresses(s, change(slices.Clone(s.Addresses))...)
	})
}

// A block without an end stays for ever.
func TestDefect56ABlockEndsByItselfAndTakesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	p, records := b.Contain()
	if got := inSet(b); !slices.Equal(got, []string{bad + "/32"}) {
		t.Fatal(got)
	}
	if _, contained, open := b.Result(p, records); !contained || !kittest.Has(open, "whether a rule uses the set") {
		t.Fatalf("%t %v", contained, open)
	}
	rows := b.Owed.Rows()
	if len(rows) != 1 || !rows[0].Due.Equal(kittest.Start.Add(24*time.Hour)) || !strings.Contains(rows[0].Why, bad) {
		t.Fatalf("%+v", rows)
	}
	colleague(b, func(list []string) []string { return append(list, "192.0.2.9/32") })
	if err := b.Sweep(); err != nil || len(inSet(b)) != 2 {
		t.Fatalf("it was taken off before its time: %v", err)
	}
	b.Pass(24 * time.Hour)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := inSet(b); !slices.Equal(got, []string{"192.0.2.9/32"}) || len(b.Owed.Rows()) != 0 {
		t.Fatalf("%v %v", got, b.Owed.Rows())
	}
	if err := b.Closings[0].Close(t.Context(), b.World.AWS(), rows[0], b.Clock.Now()); err != nil {
		t.Fatalf("closing twice: %v", err)
	}
}

func TestTheClosingsSayThatTheyWaitForTheirTime(t *testing.T) {
	t.Parallel()
	for _, c := range block.Closings() {
		if !c.Expires {
			t.Errorf("%s would be closed as soon as its run has ended", c.Kind)
		}
	}
}

func TestNoBlockIsLongerThanAMonthOrWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]time.Duration{0: 24 * time.Hour, -time.Hour: 24 * time.Hour, 2 * time.Hour: 2 * time.Hour, 10000 * time.Hour: 720 * time.Hour} {
		b := setBench(t, bad)
		b.Policy.BlockFor = in
		b.Contain()
		if got := b.Owed.Rows()[0].Due.Sub(kittest.Start); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestUndoTakesOffOnlyWhatThisRunAdded(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad+",192.0.2.1,203.0.113.8")
	colleague(b, func([]string) []string { return []string{"192.0.2.1/32"} })
	p, records := b.Contain()
	colleague(b, func(list []string) []string { return append(list, "192.0.2.9/32") })
	b.Undo(p, records)
	if got := inSet(b); !slices.Equal(got, []string{"192.0.2.1/32", "192.0.2.9/32"}) {
		t.Fatal(got)
	}
	if rows := b.Owed.Rows(); len(rows) != 0 {
		t.Fatalf("still owed: %+v", rows)
	}
}

func TestUndoAfterTheEndLeavesWhatAColleagueBlockedSince(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	p, records := b.Contain()
	b.Pass(25 * time.Hour)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	colleague(b, func([]string) []string { return []string{bad + "/32"} })
	b.Undo(p, records)
	if got := inSet(b); !slices.Equal(got, []string{bad + "/32"}) {
		t.Fatal(got)
	}
}

func TestASetThatOthersChangeAtTheSameTimeIsReadAgain(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	p := b.Plan()
	times, limit := 0, 3
	b.Hook(func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.Operation == "UpdateIPSet" && times < limit {
			times++
			colleague(b, func(list []string) []string {
				return append(list, netip.AddrFrom4([4]byte{192, 0, 2, byte(times)}).String()+"/32")
			})
		}
		return nil
	})
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	b.Completed(records)
	if got := inSet(b); len(got) != 4 || !slices.Contains(got, bad+"/32") {
		t.Fatalf("somebody's entry was lost: %v", got)
	}
	limit = 6
	b.Pass(24 * time.Hour)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := inSet(b); len(got) != 6 || slices.Contains(got, bad+"/32") {
		t.Fatal(got)
	}
}

func TestTheSetOfCloudFrontIsInNorthernVirginia(t *testing.T) {
	t.Parallel()
	b := kittest.New(t, block.Playbook(), block.Actions(), block.Closings(), withSet("CLOUDFRONT", "IPV6", "us-east-1"))
	b.Policy.IPSet = respond.IPSet{Name: setName, ID: setID, Scope: "CLOUDFRONT"}
	b.Target = respond.Target{Kind: finding.KindLambda, ID: "f", Account: account, Region: kittest.Region, Parts: map[string]string{respond.PartRemoteIPs: "2001:db8::7," + bad}}
	p, records := b.Contain()
	list := func() (l []string) {
		_ = b.World.Edit(func(e *sim.Editor) { l = e.IPSet(account, "us-east-1", "CLOUDFRONT", setID).Addresses })
		return l
	}
	if got := list(); !slices.Equal(got, []string{"2001:db8::7/128"}) || !kittest.Has(p.WillNot, bad) {
		t.Fatalf("%v %v", got, p.WillNot)
	}
	b.Pass(24 * time.Hour)
	if err := b.Sweep(); err != nil || len(list()) != 0 {
		t.Fatalf("%v %v", err, list())
	}
	_ = records
}

func TestAddressesThatMustNotBeBlockedAreLeftOutOrRefused(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"198.51.100.20":      "our own network 198.51.100.0/24",
		"198.51.0.0/16":      "wider than /24",
		"0.0.0.0/0":          "wider than /24",
		"::/0":               "wider than /48",
		"2001:db8::/32":      "wider than /48",
		"10.1.2.3":           "private",
		"172.16.0.0/24":      "private",
		"192.168.1.1":        "private",
		"fd00::1":            "private",
		"127.0.0.1":          "local",
		"169.254.169.254":    "local",
		"fe80::1":            "local",
		"::1":                "local",
		"0.0.0.0":            "local",
		"100.64.0.1":         "reserved",
		"224.0.0.1":          "local",
		"255.255.255.255":    "reserved",
		"::ffff:10.1.2.3":    "private",
		"::ffff:0.0.0.0/96":  "no address",
		"example.org":        "no address",
		"203.0.113.7; drop":  "no address",
		"64:ff9b::0a01:0203": "reserved",
	} {
		b := setBench(t, address)
		d := b.Draft()
		if g := kittest.Guard(t, d, "addresses"); g.Answer != respond.Refuse || !strings.Contains(g.Why, says) {
			t.Errorf("%s: %+v", address, g)
		}
		b = setBench(t, bad+","+address)
		if g := kittest.Guard(t, b.Draft(), "addresses"); g.Answer != respond.Warn {
			t.Errorf("%s beside a good one: %+v", address, g)
		}
		b.Contain()
		if got := inSet(b); !slices.Equal(got, []string{bad + "/32"}) {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestAnOwnListThatCannotBeReadBlocksNothing(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	b.Policy.Own = []string{"198.51.100.0/240"}
	if g := kittest.Guard(t, b.Draft(), "addresses"); g.Answer != respond.Refuse || !strings.Contains(g.Why, "until that is mended") {
		t.Fatalf("%+v", g)
	}
}

// Whatever the list of own networks, nothing that overlaps it, nothing wide and
// nothing private is ever in the set.
func TestOwnAndWideNetworksAreNeverBlocked(t *testing.T) {
	t.Parallel()
	prefix := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "six") {
			raw := [16]byte{0x20, 0x01, 0x0d, 0xb8}
			raw[5], raw[15] = rapid.Byte().Draw(t, "net"), rapid.Byte().Draw(t, "host")
			return netip.PrefixFrom(netip.AddrFrom16(raw), rapid.IntRange(0, 128).Draw(t, "bits")).String()
		}
		raw := [4]byte{rapid.SampledFrom([]byte{10, 192, 203, 198, 127, 0}).Draw(t, "a"), rapid.SampledFrom([]byte{0, 168, 51}).Draw(t, "b"), rapid.Byte().Draw(t, "c"), rapid.Byte().Draw(t, "d")}
		return netip.PrefixFrom(netip.AddrFrom4(raw), rapid.IntRange(0, 32).Draw(t, "bits")).String()
	})
	rapid.Check(t, func(rt *rapid.T) {
		b := setBench(t, strings.Join(rapid.SliceOfN(prefix, 1, 5).Draw(rt, "addresses"), ","))
		b.Policy.Own = rapid.SliceOfN(prefix, 0, 3).Draw(rt, "own")
		for _, s := range b.Plan().Steps {
			if s.Action != "block.add-to-set" {
				continue
			}
			for _, a := range added(t, s) {
				n := netip.MustParsePrefix(a)
				if n.Bits() < 24 || n.Addr().IsPrivate() || n.Addr().IsLoopback() || n != n.Masked() {
					rt.Fatalf("%s would be blocked", a)
				}
				for _, own := range b.Policy.Own {
					if o, err := netip.ParsePrefix(own); err == nil && o.Overlaps(n) {
						rt.Fatalf("%s would be blocked, which is in %s", a, own)
					}
				}
			}
		}
	})
}

func TestACrashAnywhereInABlockEndsTheSameAndOwesTheEnd(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) *kittest.Bench { return setBench(t, bad+",203.0.113.8") }
	whole := fresh(t)
	before := whole.Dump()
	whole.Contain()
	want := whole.Dump()
	kittest.Crashes(t, fresh, func(t *testing.T, b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record) {
		if diff := cmp.Diff(want, b.Dump()); diff != "" {
			t.Fatal(diff)
		}
		if rows := b.Owed.Rows(); len(rows) != 1 {
			t.Fatalf("%+v", rows)
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" || len(b.Owed.Rows()) != 0 {
			t.Fatal(diff, b.Owed.Rows())
		}
	})
}

func TestADeniedCallOfABlockIsNamed(t *testing.T) {
	t.Parallel()
	kittest.DeniedOnce(t, func(t *testing.T) *kittest.Bench { return setBench(t, bad) }, map[string]string{"WAFV2.UpdateIPSet": "wafv2:UpdateIPSet"})
}

func TestWithoutASetAndAnInstanceThereIsNoPlaceToBlockAt(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	b.Policy.IPSet = respond.IPSet{}
	d := b.Draft()
	if g := kittest.Guard(t, d, "place"); g.Answer != respond.Refuse || len(d.Steps) != 0 || !kittest.Has(d.Manual, bad) {
		t.Fatalf("%+v %v", g, d.Manual)
	}
}

func TestAClosingOfASetThatIsGoneIsDone(t *testing.T) {
	t.Parallel()
	b := setBench(t, bad)
	b.Contain()
	row := b.Owed.Rows()[0]
	row.Params = []byte(strings.Replace(string(row.Params), setName, "gone", 1))
	if err := b.Closings[0].Close(t.Context(), b.World.AWS(), row, b.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	b.Deny(awscalls.Act, "wafv2:UpdateIPSet")
	if err := b.Closings[0].Close(t.Context(), b.World.AWS(), b.Owed.Rows()[0], b.Clock.Now()); err == nil || !strings.Contains(err.Error(), "end the block in IP set") {
		t.Fatalf("%v", err)
	}
}
