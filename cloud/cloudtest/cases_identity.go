package cloudtest

import (
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func identityCases() []Case {
	return []Case{
		{"a role and its policies", rolePolicies},
		{"a user and its keys", userKeys},
		{"who calls", caller},
	}
}

const denyOne = `{"Version":"2012-10-17","Statement":[{"Sid":"GuardroomRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAEXAMPLE:i-0123456789abcdef0"}}}]}`

// document is a policy as IAM gives it back: encoded as in a URL.
func document(p *string) string {
	text, err := url.PathUnescape(str(p))
	if err != nil {
		return err.Error()
	}
	return text
}

func rolePolicies(w *World) {
	ctx, c := w.Context(), use(w, w.aws.IAM)
	w.Role("web", "/service/")
	arn := w.Profile("web-profile", "web")
	role := got[*iam.GetRoleOutput](w, "role")(c.GetRole(ctx, &iam.GetRoleInput{RoleName: s("web")}))
	w.Is("its path", str(role.Role.Path), "/service/")
	w.Is("its ARN", str(role.Role.Arn), "arn:aws:iam::"+w.Account+":role/service/web")
	w.Is("its id", len(str(role.Role.RoleId)) > 16 && str(role.Role.RoleId)[:4] == "AROA", true)
	w.Is("whom it trusts is encoded", document(role.Role.AssumeRolePolicyDocument)[0] == '{', true)
	profile := got[*iam.GetInstanceProfileOutput](w, "profile")(c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: s("web-profile")}))
	w.Is("the profile's ARN", str(profile.InstanceProfile.Arn) == arn, true)
	w.Is("the profile's role", str(profile.InstanceProfile.Roles[0].RoleName), "web")
	of := got[*iam.ListInstanceProfilesForRoleOutput](w, "profiles")(c.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: s("web")}))
	w.Is("profiles of the role", len(of.InstanceProfiles), 1)
	get := func() (string, error) {
		out, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: s("web"), PolicyName: s("guardroom-revoke-INC-1")})
		if err != nil {
			return "", err
		}
		return document(out.PolicyDocument), nil
	}
	_, err := get()
	w.Code("no policy yet", err, "NoSuchEntity")
	put := func(text string) error {
		_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: s("web"), PolicyName: s("guardroom-revoke-INC-1"), PolicyDocument: s(text)})
		return err
	}
	w.Code("put", put(denyOne), "")
	w.Code("put again", put(denyOne), "")
	back, err := get()
	w.Code("get", err, "")
	w.Is("what was put", back, denyOne)
	list := got[*iam.ListRolePoliciesOutput](w, "policies")(c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: s("web")}))
	w.Is("policies of the role", list.PolicyNames, []string{"guardroom-revoke-INC-1"})
	w.Code("put nonsense", put(`{"Version":"2012-10-17"`), "MalformedPolicyDocument")
	drop := func() error {
		_, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: s("web"), PolicyName: s("guardroom-revoke-INC-1")})
		return err
	}
	w.Code("delete", drop(), "")
	w.Code("delete again", drop(), "NoSuchEntity")
	_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: s("none")})
	w.Code("no role", err, "NoSuchEntity")
	_, err = c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: s("none")})
	w.Code("no profile", err, "NoSuchEntity")
}

func userKeys(w *World) {
	ctx, c := w.Context(), use(w, w.aws.IAM)
	key := w.User("deployer")
	user := got[*iam.GetUserOutput](w, "user")(c.GetUser(ctx, &iam.GetUserInput{UserName: s("deployer")}))
	w.Is("its ARN", str(user.User.Arn), "arn:aws:iam::"+w.Account+":user/deployer")
	status := func() string {
		out := got[*iam.ListAccessKeysOutput](w, "keys")(c.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: s("deployer")}))
		if len(out.AccessKeyMetadata) != 1 || str(out.AccessKeyMetadata[0].AccessKeyId) != key {
			w.Errorf("%+v", out.AccessKeyMetadata)
		}
		return string(out.AccessKeyMetadata[0].Status)
	}
	w.Is("born active", status(), "Active")
	set := func(to types.StatusType) error {
		_, err := c.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: s("deployer"), AccessKeyId: s(key), Status: to})
		return err
	}
	w.Code("switch off", set(types.StatusTypeInactive), "")
	w.Code("switch off again", set(types.StatusTypeInactive), "")
	w.Is("off", status(), "Inactive")
	w.Code("switch on", set(types.StatusTypeActive), "")
	w.Is("on", status(), "Active")
	_, err := c.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: s("deployer"), AccessKeyId: s("AKIANONE000000000000"), Status: types.StatusTypeInactive})
	w.Code("no key", err, "NoSuchEntity")
	used := got[*iam.GetAccessKeyLastUsedOutput](w, "last used")(c.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: s(key)}))
	w.Is("whose key", str(used.UserName), "deployer")
	w.Is("never used", used.AccessKeyLastUsed == nil || used.AccessKeyLastUsed.LastUsedDate == nil, true)
	_, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: s("deployer"), PolicyName: s("guardroom-deny"), PolicyDocument: s(denyOne)})
	w.Code("put a policy", err, "")
	out := got[*iam.GetUserPolicyOutput](w, "policy")(c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: s("deployer"), PolicyName: s("guardroom-deny")}))
	w.Is("what was put", document(out.PolicyDocument), denyOne)
	list := got[*iam.ListUserPoliciesOutput](w, "policies")(c.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: s("deployer")}))
	w.Is("policies of the user", list.PolicyNames, []string{"guardroom-deny"})
	_, err = c.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: s("deployer"), PolicyName: s("guardroom-deny")})
	w.Code("delete the policy", err, "")
	_, err = c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: s("deployer"), PolicyName: s("guardroom-deny")})
	w.Code("it is gone", err, "NoSuchEntity")
	_, err = c.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: s("deployer")})
	w.Code("no password", err, "NoSuchEntity")
	attached := got[*iam.ListAttachedUserPoliciesOutput](w, "attached")(c.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: s("deployer")}))
	w.Is("no managed policy", len(attached.AttachedPolicies), 0)
	groups := got[*iam.ListGroupsForUserOutput](w, "groups")(c.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: s("deployer")}))
	w.Is("no group", len(groups.Groups), 0)
	mfa := got[*iam.ListMFADevicesOutput](w, "MFA")(c.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: s("deployer")}))
	w.Is("no second factor", len(mfa.MFADevices), 0)
	_, err = c.GetUser(ctx, &iam.GetUserInput{UserName: s("none")})
	w.Code("no user", err, "NoSuchEntity")
}

func caller(w *World) {
	for check, account := range map[string]string{"our account": w.Account, "the other account": w.Other()} {
		out := got[*sts.GetCallerIdentityOutput](w, "caller")(use(w, w.aws.STS, account).GetCallerIdentity(w.Context(), &sts.GetCallerIdentityInput{}))
		w.Is(check, str(out.Account), account)
		w.Is(check+" by a session", len(str(out.Arn)) > 20 && str(out.Arn)[:len("arn:aws:sts::"+account+":assumed-role/")] == "arn:aws:sts::"+account+":assumed-role/", true)
	}
}
