package app

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// elsewhere is when the roles are needed for findings and not for responses; the
// tests of cloud hold those lines against the source.
var elsewhere = []string{"sources.guardduty", "guardroom doctor", "incidents.archive_on_close", "aws.instance_tags"}

// grant is one line of the table, for one role. Where AWS asks for the action
// beside a call, there is no call.
type grant struct {
	role         awscalls.Role
	call, action string
}

// grants are what the table gives to the roles of responses, each once.
func grants() []grant {
	var out []grant
	for _, p := range cloud.Permissions() {
		g := grant{cloud.RoleOf(p.As), p.Call, p.Action}
		if g.role != "" && !slices.Contains(elsewhere, p.When) && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// played are the scenarios with all permissions, each once for all tests.
var played = sync.OnceValues(func() (map[string]*told, error) {
	out := map[string]*told{}
	for _, s := range scenarios() {
		o, err := s.play(nil)
		if err != nil {
			return nil, err
		}
		out[s.name] = o
	}
	return out, nil
})

// byTheHost is made by the attacked instance, with addresses that the forensics
// role has signed, so that no call of ours shows it. The world asks for the
// permission of the role all the same, as AWS does.
const byTheHost = "forensics S3.UploadPart"

// beside are the actions that AWS asks for beside a call, whose operation is
// another. The world asks for those of calls only, so they stand here by hand.
var beside = []string{
	"act ec2:CreateTags", "act iam:PassRole", "act kms:CreateGrant", "act kms:Decrypt", "act kms:DescribeKey", "act kms:GenerateDataKeyWithoutPlaintext",
	"act kms:ReEncryptFrom", "act kms:ReEncryptTo", "forensics ec2:CreateTags", "forensics iam:PassRole", "forensics kms:CreateGrant", "forensics kms:Decrypt",
	"forensics kms:DescribeKey", "forensics kms:GenerateDataKey", "forensics kms:GenerateDataKeyWithoutPlaintext", "forensics kms:ReEncryptFrom",
	"forensics kms:ReEncryptTo", "forensics s3:GetObjectRetention", "forensics s3:PutObjectRetention",
}

// Everything that playbooks, their undos, the sweeper, the look afterwards, the
// verification and the clean-up call is in the table under that role, and the
// table holds nothing that none of them calls.
func TestTheCallsOfAllPlaybooksAndTheirUndosAreExactlyTheTable(t *testing.T) {
	t.Parallel()
	good, err := played()
	if err != nil {
		t.Fatal(err)
	}
	listed, asked, made, seen := map[string]bool{}, map[string]string{}, map[string]string{}, map[string]bool{}
	var extra []string
	for _, g := range grants() {
		if g.call == "" {
			extra = append(extra, string(g.role)+" "+g.action)
			continue
		}
		listed[string(g.role)+" "+g.call] = true
	}
	slices.Sort(extra)
	if diff := gocmp.Diff(beside, extra); diff != "" {
		t.Errorf("what AWS asks for beside calls (-test +table):\n%s", diff)
	}
	for _, s := range scenarios() {
		out := good[s.name]
		seen[s.playbook] = true
		for _, c := range out.calls {
			asked[string(c.Place.Role)+" "+callOf(c)] = s.name
			if !c.DryRun() { // what is only tried is not made
				made[string(c.Place.Role)+" "+callOf(c)] = s.name
			}
		}
		if len(out.wrong) > 0 != s.partly {
			t.Errorf("%s: with all permissions, %d things are wrong:\n%s", s.name, len(out.wrong), strings.Join(out.wrong, "\n"))
		}
	}
	for _, p := range playbooks() {
		if !seen[p.Name()] {
			t.Errorf("no scenario plays %s", p.Name())
		}
	}
	for _, c := range slices.Sorted(maps.Keys(asked)) {
		if !listed[c] {
			t.Errorf("%s: %s, which cloud.Permissions does not list", asked[c], c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(listed)) {
		if made[c] == "" && c != byTheHost {
			t.Errorf("cloud.Permissions lists %s, and no scenario calls it", c)
		}
	}
}

// everyone may call it: AWS asks for no permission, and no policy denies it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
const everyone = "sts:GetCallerIdentity"

// byMessage are changes whose refusal stops nothing, because another way may do:
// the step that completes says so.
var byMessage = []string{"kms:CreateGrant"}

// looks are the calls that change nothing.
var looks = regexp.MustCompile(`\.(Get|List|Describe|Head)`)

// A role without one of the actions is told so, by the name of the call: by the
// step that failed or was skipped, the gap in the evidence, the sweeper or the
// clean-up where it changes something, and by the plan as well where it looks.
func TestTakingAwayAnAction(t *testing.T) {
	t.Parallel()
	good, err := played()
	if err != nil {
		t.Fatal(err)
	}
	calls := map[grant][]string{} // of a role's action; the call is empty
	for _, g := range grants() {
		if g.call != "" && g.action != everyone {
			k := grant{role: g.role, action: g.action}
			calls[k] = append(calls[k], g.call)
		}
	}
	for k, list := range calls {
		t.Run(string(k.role)+"/"+k.action, func(t *testing.T) {
			t.Parallel()
			refused := false
			for _, s := range using(good, k.role, list) {
				out, err := s.play(map[awscalls.Role][]string{k.role: {k.action}})
				if err != nil {
					t.Fatal(err)
				}
				asked := false
				for _, c := range out.calls {
					asked = asked || c.Place.Role == k.role && respond.DeniedByAWS(c.Err) && strings.Contains(c.Err.Error(), k.action)
				}
				if !asked && !slices.Contains(list, strings.TrimPrefix(byTheHost, "forensics ")) {
					continue // it needs another action of the call
				}
				refused = true
				text := slices.Concat(out.wrong, out.lacks)
				if slices.Contains(byMessage, k.action) || !slices.ContainsFunc(list, func(c string) bool { return !looks.MatchString(c) }) {
					text = append(text, out.said...)
				}
				if said(text, k.action, list) {
					return
				}
				t.Logf("%s: nobody is told of it:\n%s", s.name, strings.Join(text, "\n"))
			}
			if !refused {
				t.Fatal("no scenario needs it")
			}
			t.Errorf("%s may not %s, and nobody is told", k.role, k.action)
		})
	}
}

// using are the scenarios in which a role makes one of the calls, and not only tries
// it, the shortest first.
func using(good map[string]*told, role awscalls.Role, calls []string) []scenario {
	var out []scenario
	for _, s := range scenarios() {
		for _, c := range good[s.name].calls {
			if c.Place.Role == role && !c.DryRun() && slices.Contains(calls, callOf(c)) {
				out = append(out, s)
				break
			}
		}
	}
	slices.SortStableFunc(out, func(a, b scenario) int { return cmp.Compare(len(good[a.name].calls), len(good[b.name].calls)) })
	return out
}

// said reports whether one of the texts names the action or one of its calls.
func said(text []string, action string, calls []string) bool {
	names := []string{action}
	for _, c := range calls {
		_, operation, _ := strings.Cut(c, ".")
		names = append(names, operation)
	}
	return slices.ContainsFunc(text, func(line string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(line, n) })
	})
}
