package ec2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func allowRule(n int32, egress bool) Rule {
	return Rule{Number: n, Egress: egress, Action: "allow", Protocol: "-1", CIDR: "0.0.0.0/0"}
}

func denyRule(n int32, egress bool, cidr string) Rule {
	return Rule{Number: n, Egress: egress, Action: "deny", Protocol: "-1", CIDR: cidr}
}

func TestEntriesTakeFreeNumbersBelowWhatAllows(t *testing.T) {
	t.Parallel()
	const a, b = "10.0.0.5/32", "2001:db8::5/128"
	both := func(n int32) []Rule { return []Rule{allowRule(n, false), allowRule(n, true)} }
	full := both(100)
	for n := range int32(19) {
		full = append(full, denyRule(200+n, false, "192.0.2.9/32"))
	}
	cases := []struct {
		name    string
		now     []Rule
		blocks  []string
		chosen  []Rule
		want    []Rule
		missing int
		refused bool
	}{
		{"an empty band", both(100), []string{a, b}, nil, []Rule{denyRule(1, false, a), denyRule(2, false, b), denyRule(1, true, a), denyRule(2, true, b)}, 4, false},
		{"numbers that others have are left out", append(both(100), denyRule(1, false, "192.0.2.1/32"), denyRule(3, true, "192.0.2.1/32")), []string{a}, nil, []Rule{denyRule(2, false, a), denyRule(1, true, a)}, 2, false},
		{"what is there already is ours", append(both(100), denyRule(7, false, a)), []string{a}, []Rule{denyRule(7, false, a), denyRule(8, true, a)}, []Rule{denyRule(7, false, a), denyRule(8, true, a)}, 1, false},
		{"a number that somebody took since is chosen anew", append(both(100), denyRule(7, false, "192.0.2.1/32")), []string{a}, []Rule{denyRule(7, false, a), denyRule(8, true, a)}, []Rule{denyRule(1, false, a), denyRule(8, true, a)}, 2, false},
		{"an allow with number 2 leaves number 1", both(2), []string{a}, nil, []Rule{denyRule(1, false, a), denyRule(1, true, a)}, 2, false},
		{"an allow with number 1 leaves nothing", both(1), []string{a}, nil, nil, 0, true},
		{"how many there may be, AWS says", full, []string{a}, nil, []Rule{denyRule(1, false, a), denyRule(1, true, a)}, 2, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want, missing, err := placed(tied{ACL: "acl-1", Entries: c.now}, c.blocks, c.chosen)
			if c.refused {
				if err == nil || !strings.Contains(err.Error(), "no room") {
					t.Fatalf("got %v, %v; want no room", want, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, want); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if len(missing) != c.missing {
				t.Errorf("%d are missing, want %d", len(missing), c.missing)
			}
		})
	}
}

func TestEntriesNeverCollideAndNeverStandBehindAnAllow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var now []Rule
		for _, egress := range []bool{false, true} {
			for n := range rapid.MapOfN(rapid.Int32Range(1, 120), rapid.Bool(), 0, 25).Draw(t, "numbers") {
				r := denyRule(n, egress, "192.0.2.1/32")
				if n > 20 && rapid.Bool().Draw(t, "allow") {
					r = allowRule(n, egress)
				}
				now = append(now, r)
			}
		}
		var blocks []string
		for i := range rapid.IntRange(1, 8).Draw(t, "blocks") {
			blocks = append(blocks, fmt.Sprintf("10.0.0.%d/32", i))
		}
		want, missing, err := placed(tied{ACL: "acl-1", Entries: now}, blocks, nil)
		if err != nil {
			return
		}
		if len(want) != 2*len(blocks) || len(missing) != len(want) {
			t.Fatalf("%d entries for %d blocks", len(want), len(blocks))
		}
		seen := map[string]bool{}
		for _, w := range want {
			key := fmt.Sprint(w.Number, w.Egress)
			if seen[key] || w.Number < 1 || w.Number > band {
				t.Fatalf("number %d twice or out of the band", w.Number)
			}
			seen[key] = true
			for _, r := range now {
				if r.Egress == w.Egress && (r.Number == w.Number || r.Action == "allow" && r.Number < w.Number) {
					t.Fatalf("%+v stands against %+v", w, r)
				}
			}
		}
	})
}
