package sim

import (
	"context"
	"net/url"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

type iamClient struct{ client }

var _ awscalls.IAM = iamClient{}

// iamPage is how many entries IAM lists at once if not asked otherwise.
const iamPage = 100

// GetInstanceProfile implements awscalls.Roles.
func (c iamClient) GetInstanceProfile(ctx context.Context, in *iam.GetInstanceProfileInput, _ ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	return do(ctx, c.client, "IAM", "GetInstanceProfile", false, in, func(a *account, _ *region) (*iam.GetInstanceProfileOutput, error) {
		p, err := a.profile(aws.ToString(in.InstanceProfileName))
		if err != nil {
			return nil, err
		}
		return &iam.GetInstanceProfileOutput{InstanceProfile: new(a.profileOut(p))}, nil
	})
}

// GetRole implements awscalls.Roles.
func (c iamClient) GetRole(ctx context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	return do(ctx, c.client, "IAM", "GetRole", false, in, func(a *account, _ *region) (*iam.GetRoleOutput, error) {
		r, err := a.role(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		return &iam.GetRoleOutput{Role: new(r.out())}, nil
	})
}

// ListInstanceProfilesForRole implements awscalls.Roles.
func (c iamClient) ListInstanceProfilesForRole(ctx context.Context, in *iam.ListInstanceProfilesForRoleInput, _ ...func(*iam.Options)) (*iam.ListInstanceProfilesForRoleOutput, error) {
	return do(ctx, c.client, "IAM", "ListInstanceProfilesForRole", false, in, func(a *account, _ *region) (*iam.ListInstanceProfilesForRoleOutput, error) {
		r, err := a.role(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		var all []types.InstanceProfile
		for _, name := range keysOf(a.IAM.Profiles) {
			if p := a.IAM.Profiles[name]; p.Role == r.Name {
				all = append(all, a.profileOut(p))
			}
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// ListRolePolicies implements awscalls.Roles.
func (c iamClient) ListRolePolicies(ctx context.Context, in *iam.ListRolePoliciesInput, _ ...func(*iam.Options)) (*iam.ListRolePoliciesOutput, error) {
	return do(ctx, c.client, "IAM", "ListRolePolicies", false, in, func(a *account, _ *region) (*iam.ListRolePoliciesOutput, error) {
		r, err := a.role(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		page, next, err := pageOf(written(r.Inline), in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListRolePoliciesOutput{PolicyNames: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// GetRolePolicy implements awscalls.Roles. The document is URL-encoded, as AWS
// returns it.
func (c iamClient) GetRolePolicy(ctx context.Context, in *iam.GetRolePolicyInput, _ ...func(*iam.Options)) (*iam.GetRolePolicyOutput, error) {
	return do(ctx, c.client, "IAM", "GetRolePolicy", false, in, func(a *account, _ *region) (*iam.GetRolePolicyOutput, error) {
		r, err := a.role(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		doc := r.InlinePolicy(aws.ToString(in.PolicyName))
		if doc == "" {
			return nil, noSuchEntity("The role policy with name %s cannot be found.", aws.ToString(in.PolicyName))
		}
		return &iam.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: aws.String(encoded(doc))}, nil
	})
}

// PutRolePolicy implements awscalls.Roles.
func (c iamClient) PutRolePolicy(ctx context.Context, in *iam.PutRolePolicyInput, _ ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error) {
	return do(ctx, c.client, "IAM", "PutRolePolicy", true, in, func(a *account, _ *region) (*iam.PutRolePolicyOutput, error) {
		r, err := a.ownRole(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		if err := c.w.putInline(&r.Inline, in.PolicyName, in.PolicyDocument, roleInline, "role "+r.Name); err != nil {
			return nil, err
		}
		return &iam.PutRolePolicyOutput{}, nil
	})
}

// DeleteRolePolicy implements awscalls.Roles.
func (c iamClient) DeleteRolePolicy(ctx context.Context, in *iam.DeleteRolePolicyInput, _ ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error) {
	return do(ctx, c.client, "IAM", "DeleteRolePolicy", true, in, func(a *account, _ *region) (*iam.DeleteRolePolicyOutput, error) {
		r, err := a.ownRole(aws.ToString(in.RoleName))
		if err != nil {
			return nil, err
		}
		if r.InlinePolicy(aws.ToString(in.PolicyName)) == "" {
			return nil, noSuchEntity("The role policy with name %s cannot be found.", aws.ToString(in.PolicyName))
		}
		c.w.setInline(&r.Inline, aws.ToString(in.PolicyName), "")
		return &iam.DeleteRolePolicyOutput{}, nil
	})
}

// ownRole is a role that its account may change.
func (a *account) ownRole(name string) (*Role, error) {
	r, err := a.role(name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.Path, "/aws-service-role/") || strings.HasPrefix(r.Path, "/aws-reserved/") {
		return nil, fail("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", name)
	}
	return r, nil
}

// putInline checks and writes an inline policy. Its size, and that of all others
// there, counts without white space.
func (w *World) putInline(m *map[string]*identity, name, doc *string, limit int, of string) error {
	if !policyName.MatchString(aws.ToString(name)) {
		return fail("ValidationError", "The specified value for policyName is invalid.")
	}
	if _, err := parseDocument(aws.ToString(doc), false); err != nil {
		return fail("MalformedPolicyDocument", "%s", err)
	}
	sum := sizeOf(*doc)
	for n, p := range *m {
		if n != *name {
			sum += sizeOf(p.Document)
		}
	}
	if sum > limit {
		return fail("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s", limit, of)
	}
	w.setInline(m, *name, *doc)
	return nil
}

func sizeOf(document string) int {
	n := 0
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// encoded is a document as AWS returns it, by RFC 3986.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

func (r *Role) out() types.Role {
	o := types.Role{
		Arn: aws.String(r.ARN), CreateDate: aws.Time(r.Created), Path: aws.String(r.Path), RoleId: aws.String(r.ID), RoleName: aws.String(r.Name),
		AssumeRolePolicyDocument: aws.String(encoded(r.Trust)), MaxSessionDuration: aws.Int32(3600), Tags: iamTags(r.Tags),
	}
	return o
}

func (a *account) profileOut(p *InstanceProfile) types.InstanceProfile {
	o := types.InstanceProfile{
		Arn: aws.String(p.ARN), CreateDate: aws.Time(p.Created), InstanceProfileId: aws.String(p.ID), InstanceProfileName: aws.String(p.Name),
		Path: aws.String(p.Path), Roles: []types.Role{},
	}
	if r := a.IAM.Roles[p.Role]; r != nil {
		role := r.out()
		role.Tags, role.MaxSessionDuration = nil, nil // lists leave them out
		o.Roles = append(o.Roles, role)
	}
	return o
}

func iamTags(m map[string]string) []types.Tag {
	var tags []types.Tag
	for _, k := range keysOf(m) {
		tags = append(tags, types.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return tags
}
