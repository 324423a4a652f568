package cloud_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/lambda"
	"github.com/guardroom/guardroom/respond/manual"
	"github.com/guardroom/guardroom/respond/s3"
	"github.com/guardroom/guardroom/respond/sharing"
)

var threeRoles = []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics}

// interfaceCalls are the calls that responses can make, as their interfaces say.
func interfaceCalls() []string {
	var out []string
	services := reflect.TypeFor[awscalls.AWS]()
	for m := range services.Methods() {
		if m.Type.NumOut() != 2 {
			continue // Simulated
		}
		client := m.Type.Out(0)
		for c := range client.Methods() {
			call := m.Name + "." + c.Name
			out = append(out, strings.Replace(call, "Presign.Presign", "S3.", 1))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unused are calls that responses could make, and no playbook does: no role may.
// A playbook that begins to is found by TestThePermissionsAreExactlyWhatTheSourceCalls.
var unused = []string{"RDS.CreateDBSnapshot", "RDS.DescribeDBInstances", "S3.ListObjectsV2"}

func TestThePermissionsOfResponsesAreTheirInterfaces(t *testing.T) {
	t.Parallel()
	var table []string
	for _, p := range cloud.Permissions() {
		// What findings need of the reader is held against the source.
		if p.Call == "" || cloud.RoleOf(p.As) == "" || strings.HasPrefix(p.Call, "GuardDuty.") || p.Call == "EC2.DescribeTags" {
			continue
		}
		table = append(table, p.Call)
	}
	table = append(table, unused...)
	slices.Sort(table)
	if diff := cmp.Diff(interfaceCalls(), slices.Compact(table)); diff != "" {
		t.Errorf("(-interfaces +table):\n%s", diff)
	}
}

// allowed are the calls of the table by role.
func allowed() map[awscalls.Role]map[string]bool {
	out := map[awscalls.Role]map[string]bool{}
	for _, r := range threeRoles {
		out[r] = map[string]bool{}
	}
	for _, p := range cloud.Permissions() {
		if role := cloud.RoleOf(p.As); role != "" && p.Call != "" {
			out[role][p.Call] = true
		}
	}
	return out
}

// actions are all that playbooks do.
func actions() []respond.Action {
	return slices.Concat(block.Actions(), ec2.Actions(), forensics.Actions(), iam.Actions(), lambda.Actions(nil), manual.Actions(), s3.Actions(), sharing.Actions())
}

func closings() []respond.Closing {
	return slices.Concat(block.Closings(), ec2.Closings(), forensics.Closings(), iam.Closings(), lambda.Closings(), manual.Closings(), s3.Closings(), sharing.Closings())
}

func TestEveryCallOfAnActionIsAllowedToItsRole(t *testing.T) {
	t.Parallel()
	table := allowed()
	check := func(name string, calls map[awscalls.Role][]string) {
		for role, list := range calls {
			for _, c := range list {
				if !table[role][c] {
					t.Errorf("%s calls %s as %s, which cloud.Permissions does not allow to that role", name, c, role)
				}
			}
		}
	}
	for _, a := range actions() {
		check(a.Name, a.Calls)
	}
	for _, c := range closings() {
		check("the closing of "+c.Kind, c.Calls)
	}
}

// What changes something is allowed to a role only if some action does it in
// that role. What looks is also needed to describe, before there are actions.
func TestNoRoleMayChangeWhatNoActionChanges(t *testing.T) {
	t.Parallel()
	used := map[awscalls.Role]map[string]bool{awscalls.Read: {}, awscalls.Act: {}, awscalls.Forensics: {}}
	note := func(calls map[awscalls.Role][]string) {
		for role, list := range calls {
			for _, c := range list {
				used[role][c] = true
			}
		}
	}
	for _, a := range actions() {
		note(a.Calls)
	}
	for _, c := range closings() {
		note(c.Calls)
	}
	looks := regexp.MustCompile(`\.(Get|List|Describe|Head|Filter)`)
	for role, calls := range allowed() {
		for c := range calls {
			// UploadPart is made by the host, by a URL that we sign.
			if !used[role][c] && c != "S3.UploadPart" && (role == awscalls.Act || !looks.MatchString(c)) && !strings.HasPrefix(c, "GuardDuty.") {
				t.Errorf("cloud.Permissions allows %s to %s, and no action calls it so", c, role)
			}
		}
	}
}

func TestPoliciesFitIntoManagedPolicies(t *testing.T) {
	t.Parallel()
	sid := regexp.MustCompile(`^[A-Za-z0-9]+$`)
	for _, role := range threeRoles {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			list, err := cloud.Policies(role, cloud.Site{})
			if err != nil {
				t.Fatal(err)
			}
			again, err := cloud.Policies(role, cloud.Site{})
			if err != nil || !cmp.Equal(list, again) {
				t.Error("two times are not the same")
			}
			seen := map[string]bool{}
			for _, p := range list {
				b, err := json.Marshal(p)
				if err != nil || len(b) > 6144 || p.Version != "2012-10-17" {
					t.Errorf("%d characters, %v", len(b), err)
				}
				for _, s := range p.Statement {
					if !sid.MatchString(s.Sid) || seen[s.Sid] {
						t.Errorf("the Sid %q is none, or is there twice", s.Sid)
					}
					seen[s.Sid] = true
					if len(s.Action) == 0 || len(s.Resource) == 0 || s.Effect != "Allow" && s.Effect != "Deny" {
						t.Errorf("%+v", s)
					}
					for _, a := range s.Action {
						if strings.Contains(a, "*") {
							t.Errorf("%s allows %s: name what is needed", s.Sid, a)
						}
					}
				}
			}
			if len(list) > 10 {
				t.Errorf("%d policies, and a role takes ten", len(list))
			}
		})
	}
	if _, err := cloud.Policies("root", cloud.Site{}); err == nil {
		t.Error("there are policies for a role that is none")
	}
	if _, err := cloud.Policies("", cloud.Site{}); err == nil {
		t.Error("there are policies for no role")
	}
}

// granted are the actions that a role's policies allow.
func granted(t *testing.T, role awscalls.Role, effect string) map[string][]cloud.Statement {
	t.Helper()
	list, err := cloud.Policies(role, cloud.Site{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]cloud.Statement{}
	for _, p := range list {
		for _, s := range p.Statement {
			if s.Effect != effect {
				continue
			}
			for _, a := range s.Action {
				out[a] = append(out[a], s)
			}
		}
	}
	return out
}

func TestPoliciesAllowExactlyTheTable(t *testing.T) {
	t.Parallel()
	for _, role := range threeRoles {
		want := map[string]bool{}
		for _, p := range cloud.Permissions() {
			if cloud.RoleOf(p.As) == role {
				want[p.Action] = true
			}
		}
		got := granted(t, role, "Allow")
		for a := range want {
			if len(got[a]) == 0 {
				t.Errorf("%s: the policies lack %s", role, a)
			}
		}
		for a := range got {
			if !want[a] {
				t.Errorf("%s: the policies have %s, which the table has not", role, a)
			}
		}
	}
}

// Whoever attaches the first of several policies first, or only that, has the rails.
func TestWhatIsDeniedStandsInTheFirstPolicyBeforeWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for _, partition := range cloud.Partitions() {
		for _, role := range threeRoles {
			list, err := cloud.Policies(role, cloud.Site{Partition: partition})
			if err != nil {
				t.Fatal(err)
			}
			denied, allowed := 0, false
			for i, p := range list {
				for _, s := range p.Statement {
					if s.Effect != "Deny" {
						allowed = true
						continue
					}
					if denied++; allowed || i > 0 {
						t.Errorf("%s in %s: %s stands in part %d, behind what is allowed", role, partition, s.Sid, i+1)
					}
				}
			}
			if rails := len(cloud.Denials()); role == awscalls.Act && denied != rails-1 {
				t.Errorf("%d of %d rails", denied, rails-1)
			}
		}
	}
}

// ForAllValues is true where the request has no such key at all.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func TestForAllValuesWantsItsKeyToBeThere(t *testing.T) {
	t.Parallel()
	for _, role := range threeRoles {
		for _, list := range granted(t, role, "Allow") {
			for _, s := range list {
				for op, keys := range s.Condition {
					for key := range keys {
						if strings.HasPrefix(op, "ForAllValues:") && !slices.Equal(s.Condition["Null"][key], []string{"false"}) {
							t.Errorf("%s of %s: %s is true without %s", s.Sid, role, op, key)
						}
					}
				}
			}
		}
	}
}

// conditionKeys are those that AWS knows for the actions here; an unknown one is
// never there, so that a limit by it holds nothing.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
var conditionKeys = map[string][]string{
	"aws:ResourceTag/guardroom:run": nil, "aws:ResourceTag/guardroom:incident": nil, "aws:ResourceTag/guardroom:never-touch": nil, "aws:RequestTag/guardroom:run": nil,
	"aws:TagKeys":      {"ec2:CreateTags", "ec2:DeleteTags"},
	"ec2:CreateAction": {"ec2:CreateTags"},
	"ec2:Add/userId":   {"ec2:ModifySnapshotAttribute"},
	// Of images AWS says nothing; a rail that may not hold does no harm.
	"ec2:Add/group":             {"ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"},
	"ec2:SnapshotLockDuration":  {"ec2:LockSnapshot"},
	"iam:PassedToService":       {"iam:PassRole"},
	"kms:GrantIsForAWSResource": {"kms:CreateGrant"},
	"kms:GranteePrincipal":      {"kms:CreateGrant"},
	"kms:GrantOperations":       {"kms:CreateGrant"},
	"kms:ViaService":            {"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"},
}

func TestPoliciesLimitByKeysThatAWSKnowsForTheAction(t *testing.T) {
	t.Parallel()
	for _, role := range threeRoles {
		for _, effect := range []string{"Allow", "Deny"} {
			for action, list := range granted(t, role, effect) {
				for _, s := range list {
					for op, keys := range s.Condition {
						for key := range keys {
							actions, known := conditionKeys[key]
							if !known || actions != nil && !slices.Contains(actions, action) {
								t.Errorf("%s of %s limits %s by %s, %s, which AWS does not know for it", s.Sid, role, action, key, op)
							}
						}
					}
				}
			}
		}
	}
}

func TestTheReaderChangesNothing(t *testing.T) {
	t.Parallel()
	harmless := regexp.MustCompile(`^[a-z0-9]+:(Get|List|Describe|Head|Filter|Lookup)`)
	for a := range granted(t, awscalls.Read, "Allow") {
		if !harmless.MatchString(a) && a != "guardduty:ArchiveFindings" {
			t.Errorf("the role read may %s", a)
		}
	}
}

func TestNothingDeletesEvidence(t *testing.T) {
	t.Parallel()
	for _, role := range []awscalls.Role{awscalls.Act, awscalls.Forensics} {
		allow, deny := granted(t, role, "Allow"), granted(t, role, "Deny")
		for _, a := range []string{"ec2:DeleteSnapshot", "ec2:UnlockSnapshot", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} {
			if len(allow[a]) > 0 || len(deny[a]) == 0 || deny[a][0].Resource[0] != "*" || len(deny[a][0].Condition) > 0 {
				t.Errorf("%s and %s", role, a)
			}
		}
	}
}

// condition finds the values of a key in any operator.
func condition(s cloud.Statement, key string) []string {
	for _, keys := range s.Condition {
		if v, ok := keys[key]; ok {
			return v
		}
	}
	return nil
}

func TestWhatIsDangerousIsLimited(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role     awscalls.Role
		action   string
		resource string // a statement on it must have the limit
		key      string
		values   []string
	}{
		{awscalls.Act, "iam:PassRole", "arn:aws:iam::*:role/*", "iam:PassedToService", []string{"ec2.amazonaws.com"}},
		{awscalls.Forensics, "iam:PassRole", "arn:aws:iam::*:role/WORKSTATION-ROLE", "iam:PassedToService", []string{"ec2.amazonaws.com"}},
		{awscalls.Act, "ec2:DeleteSecurityGroup", "arn:aws:ec2:*:*:security-group/*", "aws:ResourceTag/guardroom:run", []string{"false"}},
		{awscalls.Act, "ec2:RevokeSecurityGroupEgress", "arn:aws:ec2:*:*:security-group/*", "aws:ResourceTag/guardroom:run", []string{"false"}},
		{awscalls.Act, "ec2:CreateSecurityGroup", "arn:aws:ec2:*:*:security-group/*", "aws:RequestTag/guardroom:run", []string{"false"}},
		{awscalls.Act, "ec2:CreateSnapshots", "arn:aws:ec2:*::snapshot/*", "aws:RequestTag/guardroom:run", []string{"false"}},
		{awscalls.Act, "ec2:LockSnapshot", "arn:aws:ec2:*::snapshot/*", "ec2:SnapshotLockDuration", []string{"365"}},
		{awscalls.Act, "ec2:CreateNetworkAcl", "arn:aws:ec2:*:*:network-acl/*", "aws:RequestTag/guardroom:run", []string{"false"}},
		{awscalls.Forensics, "ec2:TerminateInstances", "arn:aws:ec2:*:*:instance/*", "aws:ResourceTag/guardroom:run", []string{"false"}},
		{awscalls.Forensics, "ec2:DeleteVolume", "arn:aws:ec2:*:*:volume/*", "aws:ResourceTag/guardroom:run", []string{"false"}},
		{awscalls.Forensics, "ec2:RunInstances", "arn:aws:ec2:*:*:instance/*", "aws:RequestTag/guardroom:run", []string{"false"}},
		{awscalls.Forensics, "ebs:GetSnapshotBlock", "arn:aws:ec2:*::snapshot/*", "aws:ResourceTag/guardroom:run", []string{"false"}},
	} {
		t.Run(c.action, func(t *testing.T) {
			t.Parallel()
			found := 0
			for _, s := range granted(t, c.role, "Allow")[c.action] {
				if !slices.Contains(s.Resource, c.resource) {
					if slices.Contains(s.Resource, "*") {
						t.Errorf("%s is allowed on everything by %s", c.action, s.Sid)
					}
					continue
				}
				found++
				if diff := cmp.Diff(c.values, condition(s, c.key)); diff != "" {
					t.Errorf("%s: %s", s.Sid, diff)
				}
			}
			if found == 0 {
				t.Errorf("nothing allows it on %s", c.resource)
			}
		})
	}
	grants := 0
	for _, s := range granted(t, awscalls.Act, "Allow")["kms:CreateGrant"] {
		if len(condition(s, "kms:GrantIsForAWSResource")) > 0 {
			continue // EC2's own, for as long as it reads or writes a disk
		}
		grants++
		if diff := cmp.Diff([]string{"arn:aws:iam::FORENSIC-ACCOUNT:root"}, s.Condition["StringEquals"]["kms:GranteePrincipal"]); diff != "" {
			t.Errorf("%s: whom a grant is for: %s", s.Sid, diff)
		}
		if diff := cmp.Diff([]string{"false"}, s.Condition["Null"]["kms:GrantOperations"]); diff != "" {
			t.Errorf("%s: ForAllValues is true where the key is absent: %s", s.Sid, diff)
		}
	}
	if grants != 1 {
		t.Errorf("%d statements allow grants", grants)
	}
	ours := regexp.MustCompile(`:(security-group|network-acl|snapshot)/|^\*$`)
	for _, a := range []string{"ec2:CreateTags", "ec2:DeleteTags"} {
		for _, s := range granted(t, awscalls.Act, "Allow")[a] {
			made := len(condition(s, "ec2:CreateAction")) > 0
			for _, r := range s.Resource {
				// What carries the tag guardroom:run is ours to open, share and delete.
				if ours.MatchString(r) && !made && !slices.Equal(condition(s, "aws:TagKeys"), []string{"guardroom:incident"}) {
					t.Errorf("%s lets anything become ours by a tag on %s", s.Sid, r)
				}
			}
		}
	}
	mark := granted(t, awscalls.Act, "Allow")["ec2:DeleteTags"]
	if len(mark) != 1 || !slices.Equal(condition(mark[0], "aws:TagKeys"), []string{"guardroom:*"}) {
		t.Errorf("%+v", mark)
	}
	deny := granted(t, awscalls.Act, "Deny")
	for _, a := range []string{"ec2:ModifyInstanceAttribute", "ec2:ModifyNetworkInterfaceAttribute", "ec2:ReplaceNetworkAclAssociation", "iam:PutRolePolicy", "iam:PutUserPolicy", "iam:UpdateAccessKey", "lambda:PutFunctionConcurrency",
		"autoscaling:DetachInstances", "elasticloadbalancing:DeregisterTargets", "ssm:SendCommand"} {
		if len(deny[a]) == 0 || condition(deny[a][0], "aws:ResourceTag/guardroom:never-touch") == nil {
			t.Errorf("%s is not denied where the tag forbids it", a)
		}
	}
	for a, arn := range map[string]string{"iam:PutRolePolicy": "arn:aws:iam::*:role/guardroom*", "iam:PutUserPolicy": "arn:aws:iam::*:user/guardroom*", "iam:UpdateAccessKey": "arn:aws:iam::*:user/guardroom*"} {
		if !slices.ContainsFunc(deny[a], func(s cloud.Statement) bool { return slices.Contains(s.Resource, arn) && len(s.Condition) == 0 }) {
			t.Errorf("%s on %s is not denied: %+v", a, arn, deny[a])
		}
	}
}

func TestTheTrustWantsTheExternalID(t *testing.T) {
	t.Parallel()
	p := cloud.Trust("111111111111", "the-id", cloud.Site{})
	for _, s := range p.Statement {
		if s.Principal["AWS"] != "arn:aws:iam::111111111111:root" || len(s.Condition) == 0 {
			t.Errorf("%+v", s)
		}
	}
	if got := condition(p.Statement[0], "sts:ExternalId"); !slices.Equal(got, []string{"the-id"}) {
		t.Error(got)
	}
}

func TestTheReaderReadsNoContentsOfObjects(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"s3:GetObject", "s3:GetObjectVersion"} {
		for _, s := range granted(t, awscalls.Read, "Allow")[a] {
			for _, r := range s.Resource {
				if !strings.Contains(r, "/AWSLogs/") {
					t.Errorf("%s allows %s on %s", s.Sid, a, r)
				}
			}
		}
	}
}

func TestPoliciesHoldInEveryPartition(t *testing.T) {
	t.Parallel()
	for _, partition := range cloud.Partitions() {
		site := cloud.Site{Partition: partition, LockDays: 36500}
		all := []cloud.Policy{cloud.Trust("111111111111", "id", site)}
		for _, role := range threeRoles {
			list, err := cloud.Policies(role, site)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, list...)
		}
		for _, p := range all {
			if n, err := p.Size(); err != nil || n > 6144 {
				t.Errorf("%s: %d characters: %v", partition, n, err)
			}
			b, err := p.JSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, arn := range regexp.MustCompile(`arn:[^:"]*:`).FindAllString(string(b), -1) {
				if arn != "arn:"+partition+":" {
					t.Errorf("%s: a policy says %s", partition, arn)
				}
			}
			suffix := map[bool]string{true: ".amazonaws.com.cn", false: ".amazonaws.com"}[partition == "aws-cn"]
			for _, s := range regexp.MustCompile(`"[^"]*\.amazonaws\.com[^"]*"`).FindAllString(string(b), -1) {
				if !strings.HasSuffix(s, suffix+`"`) {
					t.Errorf("%s: a policy says %s", partition, s)
				}
			}
			for _, s := range p.Statement {
				if v := condition(s, "ec2:SnapshotLockDuration"); v != nil && !slices.Equal(v, []string{"36500"}) {
					t.Errorf("%s locks for %v days at most", s.Sid, v)
				}
			}
		}
	}
	for _, site := range []cloud.Site{{Partition: "aws-mars"}, {LockDays: -1}, {LockDays: 36501}} {
		if _, err := cloud.Policies(awscalls.Act, site); err == nil {
			t.Errorf("%+v is taken", site)
		}
	}
}
