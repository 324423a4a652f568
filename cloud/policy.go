package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
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
	return []Denial{
		{Name: "never touch", As: AsActor, Actions: []string{"ec2:AssociateIamInstanceProfile", "ec2:AttachVolume", "ec2:DeleteTags", "ec2:DisassociateAddress", "ec2:DisassociateIamInstanceProfile", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceMetadataOptions", "ec2:ModifyNetworkInterfaceAttribute"},
			ARNs: []string{"*"}, If: []Condition{{"Null", "aws:ResourceTag/guardroom:never-touch", []string{"false"}}}, Why: "a resource with the tag guardroom:never-touch is nobody's to respond to"},
		{Name: "own roles", As: AsActor, Actions: []string{"iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PassRole"}, ARNs: []string{"arn:aws:iam::*:role/guardroom*", "arn:aws:iam::*:role/*/guardroom*"},
			Why: "guardroom must not be turned against its own roles, which are named guardroom…"},
		{Name: "public", As: AsActor, Actions: []string{"ec2:ModifySnapshotAttribute", "ec2:ModifyImageAttribute"}, ARNs: []string{"*"}, If: []Condition{{"StringEquals", "ec2:Add/group", []string{"all"}}},
			Why: "nothing is ever shared with everybody, not in an undo either"},
		{Name: "evidence bucket", As: AsActor, Actions: []string{"s3:DeleteBucketPolicy", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"}, ARNs: evidence,
			Why: "the evidence itself is never responded to"},
		{Name: "erase", As: AsActor, Actions: erase, ARNs: []string{"*"}, Why: "no response deletes or unlocks evidence"},
		{Name: "erase", As: AsExaminer, Actions: erase, ARNs: []string{"*"}, Why: "no response deletes or unlocks evidence"},
	}
}

// Policies are the documents with exactly what a role of responses needs, in an
// order that is always the same. What does not fit into one managed policy goes
// on in the next; a role needs all of them.
func Policies(role awscalls.Role) ([]Policy, error) {
	statements := statementsOf(role)
	if len(statements) == 0 {
		return nil, fmt.Errorf("there is no role %q", role)
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
func Trust(account, externalID string) Policy {
	principal := map[string]string{"AWS": "arn:aws:iam::" + account + ":root"}
	return Policy{Version: policyVersion, Statement: []Statement{
		{Sid: "Assume", Effect: "Allow", Principal: principal, Action: []string{"sts:AssumeRole"}, Condition: map[string]map[string][]string{"StringEquals": {"sts:ExternalId": {externalID}}}},
		{Sid: "Incident", Effect: "Allow", Principal: principal, Action: []string{"sts:SetSourceIdentity"}, Condition: map[string]map[string][]string{"StringLike": {"sts:SourceIdentity": {"INC-*"}}}},
	}}
}
