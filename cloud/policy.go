package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Policy is a document of IAM.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is a part of a policy.
type Statement struct {
	Sid       string
	Effect    string
	Principal map[string]string `json:",omitempty"`
	Action    []string
	Resource  []string                       `json:",omitempty"`
	Condition map[string]map[string][]string `json:",omitempty"`
}

// maxPolicy is how long a managed policy may be, without white space:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxPolicy = 6144

const policyVersion = "2012-10-17"

// Denial is what a role must never do, whatever else it is allowed.
type Denial struct {
	Name, As string
	Actions  []string
	ARNs     []string
	If       []Condition
	Why      string
}

// Denials are what the policies of responses forbid.
func Denials() []Denial {
	evidence := []string{"arn:aws:s3:::" + EvidenceBucket, "arn:aws:s3:::" + EvidenceBucket + "/*"}
	erase := []string{"ec2:DeleteSnapshot", "ec2:UnlockSnapshot", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"}
	touch := []string{"autoscaling:DetachInstances", "autoscaling:EnterStandby", "autoscaling:SetInstanceProtection", "autoscaling:SuspendProcesses", "autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup",
		"ec2:AssociateIamInstanceProfile", "ec2:AttachVolume", "ec2:CreateNetworkAclEntry", "ec2:DeleteTags", "ec2:DisassociateAddress", "ec2:DisassociateIamInstanceProfile", "ec2:ModifyImageAttribute", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceMetadataOptions",
		"ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifySnapshotAttribute", "ec2:ReplaceNetworkAclAssociation", "elasticloadbalancing:DeregisterInstancesFromLoadBalancer", "elasticloadbalancing:DeregisterTargets",
		"iam:PutRolePolicy", "iam:PutUserPolicy", "iam:UpdateAccessKey", "lambda:DeleteProvisionedConcurrencyConfig", "lambda:PutFunctionConcurrency", "rds:ModifyDBClusterSnapshotAttribute", "rds:ModifyDBSnapshotAttribute", "ssm:SendCommand", "wafv2:UpdateIPSet"}
	return []Denial{
		{Name: "never touch", As: AsActor, Actions: touch,
			ARNs: []string{"*"}, If: []Condition{{"Null", "aws:ResourceTag/guardroom:never-touch", []string{"false"}}}, Why: "a resource with the tag guardroom:never-touch is nobody's to respond to; buckets and sessions show AWS no tags here, and are guarded by guardroom alone"},
		{Name: "own roles", As: AsActor, Actions: []string{"iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PassRole"}, ARNs: []string{"arn:aws:iam::*:role/guardroom*", "arn:aws:iam::*:role/*/guardroom*"},
			Why: "guardroom must not be turned against its own roles, which are named guardroom…"},
		{Name: "own users", As: AsActor, Actions: []string{"iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:UpdateAccessKey"}, ARNs: []string{"arn:aws:iam::*:user/guardroom*", "arn:aws:iam::*:user/*/guardroom*"},
			Why: "nor against the user that it may run as, which is named guardroom… as well"},
		{Name: "public", As: AsActor, Actions: []string{"ec2:ModifySnapshotAttribute", "ec2:ModifyImageAttribute"}, ARNs: []string{"*"}, If: []Condition{{"StringEquals", "ec2:Add/group", []string{"all"}}},
			Why: "nothing is ever shared with everybody, not in an undo either; AWS documents the key for snapshots, so switch on block public access for AMIs in the account as well"},
		{Name: "evidence bucket", As: AsActor, Actions: []string{"s3:DeleteBucketPolicy", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"}, ARNs: evidence,
			Why: "the evidence itself is never responded to"},
		{Name: "erase", As: AsActor, Actions: erase, ARNs: []string{"*"}, Why: "no response deletes or unlocks evidence"},
		{Name: "erase", As: AsExaminer, Actions: erase, ARNs: []string{"*"}, Why: "no response deletes or unlocks evidence"},
	}
}

// Partitions are the parts of AWS that policies can be printed for: everywhere
// else, China, and GovCloud.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func Partitions() []string { return []string{"aws", "aws-cn", "aws-us-gov"} }

// Site is where policies are to hold.
type Site struct {
	// Partition is one of Partitions; empty: aws.
	Partition string
	// LockDays is for how many days a snapshot may be locked at most, 1 to 36500;
	// 0: LockDays.
	LockDays int
}

func (s Site) check() error {
	if s.Partition != "" && !slices.Contains(Partitions(), s.Partition) {
		return fmt.Errorf("there is no partition %q", s.Partition)
	}
	if s.LockDays < 0 || s.LockDays > 36500 {
		return fmt.Errorf("a snapshot is locked for 1 to 36500 days, not for %d", s.LockDays)
	}
	return nil
}

// words are a statement's, as the partition has them.
func (s Site) words(list []string) []string {
	out := make([]string, len(list))
	for i, w := range list {
		if s.Partition != "" {
			w = strings.Replace(w, "arn:aws:", "arn:"+s.Partition+":", 1)
		}
		if s.Partition == "aws-cn" && strings.HasSuffix(w, ".amazonaws.com") {
			w += ".cn"
		}
		out[i] = w
	}
	return out
}

// at is the statement as it holds at the site.
func (s Site) at(st Statement) Statement {
	st.Resource = s.words(st.Resource)
	for _, keys := range st.Condition {
		for key, values := range keys {
			keys[key] = s.words(values)
			if key == lockDuration && s.LockDays > 0 {
				keys[key] = []string{strconv.Itoa(s.LockDays)}
			}
		}
	}
	return st
}

// Policies are the documents with exactly what a role of responses needs, in an
// order that is always the same. What does not fit into one managed policy goes
// on in the next; a role needs all of them.
func Policies(role awscalls.Role, site Site) ([]Policy, error) {
	statements := statementsOf(role)
	if len(statements) == 0 {
		return nil, fmt.Errorf("there is no role %q", role)
	}
	if err := site.check(); err != nil {
		return nil, err
	}
	for i := range statements {
		statements[i] = site.at(statements[i])
	}
	var out []Policy
	current := Policy{Version: policyVersion}
	for _, s := range statements {
		longer := Policy{Version: policyVersion, Statement: append(slices.Clone(current.Statement), s)}
		n, err := longer.Size()
		if err != nil {
			return nil, err
		}
		if n > maxPolicy && len(current.Statement) > 0 {
			out = append(out, current)
			longer.Statement = []Statement{s}
		}
		current = longer
	}
	return append(out, current), nil
}

// Size is how long the document is without white space, as AWS counts it.
func (p Policy) Size() (int, error) {
	b, err := json.Marshal(p)
	return len(b), err
}

// JSON is the document for people and for AWS.
func (p Policy) JSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(p)
	return out.Bytes(), err
}

// statementsOf groups the lines of a role by step and limit. An action that an
// earlier statement allows without less is not said again.
func statementsOf(role awscalls.Role) []Statement {
	var out []Statement
	index := map[string]int{}
	said := map[string]bool{}
	sids := map[string]int{}
	for _, p := range Permissions() {
		if RoleOf(p.As) != role || role == "" {
			continue
		}
		arns := p.ARNs
		switch {
		case len(arns) > 0:
		case strings.HasPrefix(p.Resource, "arn:"):
			arns = []string{p.Resource}
		default:
			arns = []string{"*"}
		}
		limit := fmt.Sprint(arns, p.If)
		if said[p.Action+limit] || said[p.Action+fmt.Sprint([]string{"*"}, []Condition(nil))] {
			continue
		}
		said[p.Action+limit] = true
		at, ok := index[p.Step+limit]
		if !ok {
			at = len(out)
			index[p.Step+limit] = at
			out = append(out, Statement{Sid: sid(p.Step, sids), Effect: "Allow", Resource: arns, Condition: conditions(p.If)})
		}
		out[at].Action = append(out[at].Action, p.Action)
	}
	if len(out) == 0 {
		return nil
	}
	return append(rails(role), out...)
}

// rails are what the role must never do. They come before what it may, so that
// whoever attaches the first policy first, or only that, has them.
func rails(role awscalls.Role) []Statement {
	var out []Statement
	sids := map[string]int{}
	for _, d := range Denials() {
		if RoleOf(d.As) == role {
			out = append(out, Statement{Sid: sid("deny "+d.Name, sids), Effect: "Deny", Action: d.Actions, Resource: d.ARNs, Condition: conditions(d.If)})
		}
	}
	return out
}

func conditions(list []Condition) map[string]map[string][]string {
	if len(list) == 0 {
		return nil
	}
	out := map[string]map[string][]string{}
	for _, c := range list {
		if out[c.Operator] == nil {
			out[c.Operator] = map[string][]string{}
		}
		out[c.Operator][c.Key] = c.Values
	}
	return out
}

// sid names a statement by its step: OutOfService, OutOfService2.
func sid(step string, used map[string]int) string {
	name := ""
	for _, w := range strings.FieldsFunc(step, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		name += strings.ToUpper(w[:1]) + w[1:]
	}
	if used[name]++; used[name] > 1 {
		name += fmt.Sprint(used[name])
	}
	return name
}

// Trust is the policy by which a role lets guardroom's own identity in, from its
// account, and only together with the external id. The source identity is the
// incident that a session is for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
func Trust(account, externalID string, site Site) Policy {
	principal := map[string]string{"AWS": site.words([]string{"arn:aws:iam::" + account + ":root"})[0]}
	return Policy{Version: policyVersion, Statement: []Statement{
		{Sid: "Assume", Effect: "Allow", Principal: principal, Action: []string{"sts:AssumeRole"}, Condition: map[string]map[string][]string{"StringEquals": {"sts:ExternalId": {externalID}}}},
		{Sid: "Incident", Effect: "Allow", Principal: principal, Action: []string{"sts:SetSourceIdentity"}, Condition: map[string]map[string][]string{"StringLike": {"sts:SourceIdentity": {"INC-*"}}}},
	}}
}
