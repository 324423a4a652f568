package iam

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// role contains sessions of a role.
type role struct{}

var _ respond.Playbook = role{}

func (role) Name() string { return "iam-role" }
func (role) Version() int { return 1 }
func (role) Summary() string {
	return "Deny one session of a role everything; the whole role only where the session is not known."
}

func (role) Fits(t respond.Target) bool {
	kind := userType(t)
	return kind == "role" || kind == "assumedrole"
}

// roleState is a role as AWS shows it.
type roleState struct {
	Name     string            `json:"name"`
	ARN      string            `json:"arn"`
	ID       string            `json:"id"`
	Path     string            `json:"path"`
	Created  time.Time         `json:"created"`
	Trust    string            `json:"trust"`
	Boundary string            `json:"permissions_boundary,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Inline   map[string]string `json:"inline_policies,omitempty"`
	Profiles []string          `json:"instance_profiles,omitempty"` // ARNs
	// Instances run with it in the region of the target.
	Instances []string `json:"instances,omitempty"`
	Gaps      []string `json:"gaps,omitempty"`
}

type roleWorld struct {
	roleState
	session string
	callers []kit.Caller
}

// sessionOf is the name of the session that the finding is about, or empty. The
// session of an instance is named by its id; an instance that the finding names
// and that does not have the role is another matter.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (s roleState) sessionOf(t respond.Target) string {
	if _, name, ok := strings.Cut(t.Parts[respond.PartPrincipalID], ":"); ok && sessionForm.MatchString(name) {
		return name
	}
	if id := t.Parts[respond.PartInstanceID]; sessionForm.MatchString(id) && slices.Contains(s.Instances, id) {
		return id
	}
	return ""
}

func (role) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	name := cmp.Or(r.Target.Parts[respond.PartUserName], r.Target.Name)
	if !nameForm.MatchString(name) {
		return respond.World{}, badName("a role", name)
	}
	api, err := a.IAM(ctx, r.Place(awscalls.Read))
	if err != nil {
		return respond.World{}, respond.Explain(err, "ask AWS about role "+name, "nothing was changed")
	}
	s, err := describeRole(ctx, api, name)
	if err != nil {
		return respond.World{}, respond.Explain(err, "describe role "+name, "nothing was changed")
	}
	if kit.AccountOf(s.ARN) != r.Target.Account {
		return respond.World{}, foreign("role "+name, s.ARN, r.Target.Account)
	}
	s.try("which instances run with it", s.readInstances(ctx, a, r))
	before, err := json.Marshal(s)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down role "+name, "nothing was changed", "")
	}
	return respond.World{Before: before, Facts: s.facts(), Watched: s.watched(), Value: roleWorld{s, s.sessionOf(r.Target), kit.Callers(ctx, a, r)}, Tags: []map[string]string{s.Tags}}, nil
}

// facts say who is meant: the id is what the deny of a session names.
func (s roleState) facts() []respond.Fact {
	var f kit.Facts
	f.Add("role", s.ARN)
	f.Add("role id", s.ID)
	return f
}

// watched is what changes nothing of the deny, and what a session of the role may
// be able to change. It leaves out the instances: a fleet grows and shrinks by
// itself.
func (s roleState) watched() []respond.Fact {
	var f kit.Facts
	f.Add("trust", short(kit.Canonical(s.Trust)))
	for _, n := range slices.Sorted(maps.Keys(s.Inline)) {
		f.Add("inline policy "+n, short(kit.Canonical(s.Inline[n])))
	}
	f.Add("instance profiles", s.Profiles...)
	return f
}

func describeRole(ctx context.Context, api awscalls.IAM, name string) (roleState, error) {
	out, err := api.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return roleState{}, err
	}
	s := roleState{Name: aws.ToString(out.Role.RoleName), ARN: aws.ToString(out.Role.Arn), ID: aws.ToString(out.Role.RoleId), Path: aws.ToString(out.Role.Path),
		Created: aws.ToTime(out.Role.CreateDate), Trust: kit.Decoded(aws.ToString(out.Role.AssumeRolePolicyDocument)), Tags: map[string]string{}, Inline: map[string]string{}}
	if b := out.Role.PermissionsBoundary; b != nil {
		s.Boundary = aws.ToString(b.PermissionsBoundaryArn)
	}
	for _, t := range out.Role.Tags {
		s.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	s.try("the inline policies", s.readInline(ctx, api))
	s.try("the instance profiles", s.readProfiles(ctx, api))
	return s, nil
}

func (s *roleState) try(what string, err error) {
	if err != nil {
		s.Gaps = append(s.Gaps, what+": "+respond.Explain(err, "could not be read", "").Error())
	}
}

func (s *roleState) readInline(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &s.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, n := range out.PolicyNames {
			d, err := rolePolicy(ctx, api, s.Name, n)
			if err != nil {
				return nil, false, err
			}
			s.Inline[n] = d.Text
		}
		return out.Marker, out.IsTruncated, nil
	})
}

// rolePolicy reads an inline policy; one that is not there is absent.
func rolePolicy(ctx context.Context, api awscalls.IAM, role, name string) (kit.Document, error) {
	out, err := api.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name})
	if respond.Is(err, "NoSuchEntity") {
		return kit.None(), nil
	}
	if err != nil {
		return kit.Document{}, err
	}
	return kit.Text(kit.Decoded(aws.ToString(out.PolicyDocument))), nil
}

func (s *roleState) readProfiles(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: &s.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, p := range out.InstanceProfiles {
			s.Profiles = append(s.Profiles, aws.ToString(p.Arn))
		}
		slices.Sort(s.Profiles)
		return out.Marker, out.IsTruncated, nil
	})
}

func (s *roleState) readInstances(ctx context.Context, a awscalls.AWS, r respond.Request) error {
	if len(s.Profiles) == 0 {
		return nil
	}
	api, err := a.EC2(ctx, r.Place(awscalls.Read))
	if err != nil {
		return err
	}
	in := &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("iam-instance-profile.arn"), Values: s.Profiles},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}},
	}}
	for {
		out, err := api.DescribeInstances(ctx, in)
		if err != nil {
			return err
		}
		for _, res := range out.Reservations {
			for _, i := range res.Instances {
				s.Instances = append(s.Instances, aws.ToString(i.InstanceId))
			}
		}
		if out.NextToken == nil {
			slices.Sort(s.Instances)
			return nil
		}
		in.NextToken = out.NextToken
	}
}

// managed says why a role cannot be contained by a policy of ours, and what
// people can do instead.
func (s roleState) managed() (why string, manual []string) {
	switch {
	case strings.HasPrefix(s.Path, "/aws-service-role/"):
		service := strings.Trim(strings.TrimPrefix(s.Path, "/aws-service-role/"), "/")
		return s.Name + " is a service-linked role of " + service + "; AWS lets nobody change its policies", []string{
			"Find what uses the role, in CloudTrail: userIdentity.sessionContext.sessionIssuer.arn = " + s.ARN + ".",
			"Stop that in " + service + " itself: a service-linked role acts for a resource of that service.",
			"Ask AWS Support if nothing of yours explains the calls.",
		}
	case strings.HasPrefix(s.Path, "/aws-reserved/sso.amazonaws.com/"):
		return s.Name + " belongs to IAM Identity Center; its policies are those of a permission set", []string{
			"In the IAM Identity Center console of the management or delegated account: Users, the user of this session, Disable user access, then Active sessions, Delete.",
			"To stop sessions that live, add an inline policy to the permission set behind " + s.Name + " that denies everything while aws:TokenIssueTime is before now, and provision it to account " + kit.AccountOf(s.ARN) + ".",
			"Reset the password and MFA of the user with your identity provider.",
		}
	}
	return "", nil
}

// denySessionDocument denies everything to one session.
func denySessionDocument(userid string) string {
	return kit.MustJSON(statement(map[string]any{"StringEquals": map[string]string{"aws:userid": userid}}))
}

// denyBefore denies everything to sessions that were issued before a time. The
// time is ours and of the call, never one of the finding: newer sessions live on.
func denyBefore(now time.Time) string {
	if rest := now.Nanosecond(); rest > 0 {
		now = now.Add(time.Second - time.Duration(rest))
	}
	return kit.MustJSON(statement(map[string]any{"DateLessThan": map[string]string{"aws:TokenIssueTime": now.UTC().Format("2006-01-02T15:04:05Z")}}))
}

func statement(condition map[string]any) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Sid": "GuardroomRevoke", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition,
	}}}
}

// chosen reports whether the one who assumed the role chose the name of the
// session: it is not that of an instance, and the role trusts others than services,
// or its trust cannot be read.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s roleState) chosen(session string) bool {
	if strings.HasPrefix(session, "i-") {
		return false
	}
	var doc struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(s.Trust), &doc) != nil {
		return true
	}
	type statement struct {
		Effect    string
		Principal json.RawMessage
	}
	var list []statement
	if json.Unmarshal(doc.Statement, &list) != nil {
		var one statement
		if json.Unmarshal(doc.Statement, &one) != nil {
			return true
		}
		list = []statement{one}
	}
	return slices.ContainsFunc(list, func(one statement) bool {
		var who map[string]json.RawMessage
		if one.Effect != "Allow" {
			return false
		}
		if json.Unmarshal(one.Principal, &who) != nil {
			return true // everybody
		}
		delete(who, "Service")
		return len(who) > 0
	})
}
