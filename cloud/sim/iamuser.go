package sim

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// namedUser is a user that a call names. Our calls come from a role, so AWS
// cannot guess whom they mean.
func (a *account) namedUser(name *string) (*User, error) {
	if aws.ToString(name) == "" {
		return nil, fail("ValidationError", "Must specify userName when calling with non-User credentials")
	}
	return a.user(*name)
}

// GetUser implements awscalls.Users.
func (c iamClient) GetUser(ctx context.Context, in *iam.GetUserInput, _ ...func(*iam.Options)) (*iam.GetUserOutput, error) {
	return do(ctx, c.client, "IAM", "GetUser", false, in, func(a *account, _ *region) (*iam.GetUserOutput, error) {
		u, err := a.namedUser(in.UserName)
		if err != nil {
			return nil, err
		}
		return &iam.GetUserOutput{User: &types.User{
			Arn: aws.String(u.ARN), CreateDate: aws.Time(u.Created), Path: aws.String(u.Path), UserId: aws.String(u.ID), UserName: aws.String(u.Name), Tags: iamTags(u.Tags),
		}}, nil
	})
}

// ListUserPolicies implements awscalls.Users.
func (c iamClient) ListUserPolicies(ctx context.Context, in *iam.ListUserPoliciesInput, _ ...func(*iam.Options)) (*iam.ListUserPoliciesOutput, error) {
	return do(ctx, c.client, "IAM", "ListUserPolicies", false, in, func(a *account, _ *region) (*iam.ListUserPoliciesOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		page, next, err := pageOf(written(u.Inline), in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListUserPoliciesOutput{PolicyNames: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// GetUserPolicy implements awscalls.Users. The document is URL-encoded, as AWS
// returns it.
func (c iamClient) GetUserPolicy(ctx context.Context, in *iam.GetUserPolicyInput, _ ...func(*iam.Options)) (*iam.GetUserPolicyOutput, error) {
	return do(ctx, c.client, "IAM", "GetUserPolicy", false, in, func(a *account, _ *region) (*iam.GetUserPolicyOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		doc := u.InlinePolicy(aws.ToString(in.PolicyName))
		if doc == "" {
			return nil, noSuchEntity("The user policy with name %s cannot be found.", aws.ToString(in.PolicyName))
		}
		return &iam.GetUserPolicyOutput{UserName: in.UserName, PolicyName: in.PolicyName, PolicyDocument: aws.String(encoded(doc))}, nil
	})
}

// PutUserPolicy implements awscalls.Users.
func (c iamClient) PutUserPolicy(ctx context.Context, in *iam.PutUserPolicyInput, _ ...func(*iam.Options)) (*iam.PutUserPolicyOutput, error) {
	return do(ctx, c.client, "IAM", "PutUserPolicy", true, in, func(a *account, _ *region) (*iam.PutUserPolicyOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		if err := c.w.putInline(&u.Inline, in.PolicyName, in.PolicyDocument, userInline, "user "+u.Name); err != nil {
			return nil, err
		}
		return &iam.PutUserPolicyOutput{}, nil
	})
}

// DeleteUserPolicy implements awscalls.Users.
func (c iamClient) DeleteUserPolicy(ctx context.Context, in *iam.DeleteUserPolicyInput, _ ...func(*iam.Options)) (*iam.DeleteUserPolicyOutput, error) {
	return do(ctx, c.client, "IAM", "DeleteUserPolicy", true, in, func(a *account, _ *region) (*iam.DeleteUserPolicyOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		if u.InlinePolicy(aws.ToString(in.PolicyName)) == "" {
			return nil, noSuchEntity("The user policy with name %s cannot be found.", aws.ToString(in.PolicyName))
		}
		c.w.setInline(&u.Inline, aws.ToString(in.PolicyName), "")
		return &iam.DeleteUserPolicyOutput{}, nil
	})
}

// ListAttachedUserPolicies implements awscalls.Users.
func (c iamClient) ListAttachedUserPolicies(ctx context.Context, in *iam.ListAttachedUserPoliciesInput, _ ...func(*iam.Options)) (*iam.ListAttachedUserPoliciesOutput, error) {
	return do(ctx, c.client, "IAM", "ListAttachedUserPolicies", false, in, func(a *account, _ *region) (*iam.ListAttachedUserPoliciesOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		var all []types.AttachedPolicy
		for _, arn := range u.Attached {
			all = append(all, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(arn[strings.LastIndex(arn, "/")+1:])})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListAttachedUserPoliciesOutput{AttachedPolicies: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// ListGroupsForUser implements awscalls.Users.
func (c iamClient) ListGroupsForUser(ctx context.Context, in *iam.ListGroupsForUserInput, _ ...func(*iam.Options)) (*iam.ListGroupsForUserOutput, error) {
	return do(ctx, c.client, "IAM", "ListGroupsForUser", false, in, func(a *account, _ *region) (*iam.ListGroupsForUserOutput, error) {
		u, err := a.user(aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		var all []types.Group
		for _, g := range u.Groups {
			all = append(all, types.Group{
				Arn: aws.String("arn:aws:iam::" + a.ID + ":group/" + g), CreateDate: aws.Time(u.Created),
				GroupId: aws.String("AGPA" + g), GroupName: aws.String(g), Path: aws.String("/"),
			})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListGroupsForUserOutput{Groups: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// ListAccessKeys implements awscalls.Users.
func (c iamClient) ListAccessKeys(ctx context.Context, in *iam.ListAccessKeysInput, _ ...func(*iam.Options)) (*iam.ListAccessKeysOutput, error) {
	return do(ctx, c.client, "IAM", "ListAccessKeys", false, in, func(a *account, _ *region) (*iam.ListAccessKeysOutput, error) {
		u, err := a.namedUser(in.UserName)
		if err != nil {
			return nil, err
		}
		var all []types.AccessKeyMetadata
		for _, k := range u.Keys {
			all = append(all, types.AccessKeyMetadata{AccessKeyId: aws.String(k.ID), CreateDate: aws.Time(k.Created), Status: k.status(), UserName: aws.String(u.Name)})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListAccessKeysOutput{AccessKeyMetadata: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// GetAccessKeyLastUsed implements awscalls.Users.
func (c iamClient) GetAccessKeyLastUsed(ctx context.Context, in *iam.GetAccessKeyLastUsedInput, _ ...func(*iam.Options)) (*iam.GetAccessKeyLastUsedOutput, error) {
	return do(ctx, c.client, "IAM", "GetAccessKeyLastUsed", false, in, func(a *account, _ *region) (*iam.GetAccessKeyLastUsedOutput, error) {
		u, k := a.key(aws.ToString(in.AccessKeyId))
		if k == nil {
			return nil, noSuchEntity("The Access Key with id %s cannot be found", aws.ToString(in.AccessKeyId))
		}
		last := &types.AccessKeyLastUsed{Region: aws.String("N/A"), ServiceName: aws.String("N/A")}
		if !k.Used.IsZero() {
			last = &types.AccessKeyLastUsed{LastUsedDate: aws.Time(k.Used), Region: aws.String(k.Region), ServiceName: aws.String(k.Service)}
		}
		return &iam.GetAccessKeyLastUsedOutput{UserName: aws.String(u.Name), AccessKeyLastUsed: last}, nil
	})
}

// UpdateAccessKey implements awscalls.Users.
func (c iamClient) UpdateAccessKey(ctx context.Context, in *iam.UpdateAccessKeyInput, _ ...func(*iam.Options)) (*iam.UpdateAccessKeyOutput, error) {
	return do(ctx, c.client, "IAM", "UpdateAccessKey", true, in, func(a *account, _ *region) (*iam.UpdateAccessKeyOutput, error) {
		u, err := a.namedUser(in.UserName)
		if err != nil {
			return nil, err
		}
		if in.Status != types.StatusTypeActive && in.Status != types.StatusTypeInactive {
			return nil, fail("ValidationError", "Value '%s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]", in.Status)
		}
		owner, k := a.key(aws.ToString(in.AccessKeyId))
		if owner != u {
			return nil, noSuchEntity("The Access Key with id %s cannot be found.", aws.ToString(in.AccessKeyId))
		}
		active := in.Status == types.StatusTypeActive
		if active != k.Active && c.w.opts.Propagation > 0 {
			k.Changed = c.w.now()
		}
		k.Active = active
		return &iam.UpdateAccessKeyOutput{}, nil
	})
}

// GetLoginProfile implements awscalls.Users.
func (c iamClient) GetLoginProfile(ctx context.Context, in *iam.GetLoginProfileInput, _ ...func(*iam.Options)) (*iam.GetLoginProfileOutput, error) {
	return do(ctx, c.client, "IAM", "GetLoginProfile", false, in, func(a *account, _ *region) (*iam.GetLoginProfileOutput, error) {
		u, err := a.namedUser(in.UserName)
		if err != nil {
			return nil, err
		}
		if !u.Password {
			return nil, noSuchEntity("Login Profile for User %s cannot be found.", u.Name)
		}
		return &iam.GetLoginProfileOutput{LoginProfile: &types.LoginProfile{UserName: aws.String(u.Name), CreateDate: aws.Time(u.Created)}}, nil
	})
}

// ListMFADevices implements awscalls.Users.
func (c iamClient) ListMFADevices(ctx context.Context, in *iam.ListMFADevicesInput, _ ...func(*iam.Options)) (*iam.ListMFADevicesOutput, error) {
	return do(ctx, c.client, "IAM", "ListMFADevices", false, in, func(a *account, _ *region) (*iam.ListMFADevicesOutput, error) {
		u, err := a.namedUser(in.UserName)
		if err != nil {
			return nil, err
		}
		var all []types.MFADevice
		for _, serial := range u.MFA {
			all = append(all, types.MFADevice{SerialNumber: aws.String(serial), UserName: aws.String(u.Name), EnableDate: aws.Time(u.Created)})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), iamPage, "ValidationError")
		return &iam.ListMFADevicesOutput{MFADevices: page, Marker: next, IsTruncated: next != nil}, err
	})
}

// key finds a key and whose it is.
func (a *account) key(id string) (*User, *AccessKey) {
	for _, name := range keysOf(a.IAM.Users) {
		for _, k := range a.IAM.Users[name].Keys {
			if k.ID == id {
				return a.IAM.Users[name], k
			}
		}
	}
	return nil, nil
}

func (k *AccessKey) status() types.StatusType {
	if k.Active {
		return types.StatusTypeActive
	}
	return types.StatusTypeInactive
}
