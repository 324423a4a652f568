package sim

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond/awscalls"
)

const denyAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

func people(e *Editor) {
	e.AddUser(attacked, User{Name: "ada", Password: true, MFA: []string{"arn:aws:iam::111111111111:mfa/ada"}, Groups: []string{"admins", "staff"}, Attached: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}})
	e.AddAccessKey(attacked, "ada", AccessKey{ID: "AKIAUSED", Active: true, Used: restStart.Add(-time.Hour), Service: "s3", Region: home})
	e.AddAccessKey(attacked, "ada", AccessKey{ID: "AKIANEVER", Active: true})
	e.AddUser(attacked, User{Name: "bob"})
	e.AddAccessKey(attacked, "bob", AccessKey{ID: "AKIABOB", Active: true})
	e.AddRole(attacked, Role{Name: "web", Path: "/app/"})
	e.AddRole(attacked, Role{Name: "AWSServiceRoleForX", Path: "/aws-service-role/x.amazonaws.com/"})
	e.AddRole(attacked, Role{Name: "AWSReservedSSO_admin", Path: "/aws-reserved/sso.amazonaws.com/"})
	e.AddInstanceProfile(attacked, InstanceProfile{Name: "web-profile", Path: "/app/", Role: "web"})
	e.AddInstanceProfile(attacked, InstanceProfile{Name: "web-profile-2", Role: "web"})
}

func TestIAMRefusesWhatIAMRefuses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	long := func(n int) *string {
		s := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::%s"}]}`, strings.Repeat("x", n))
		return &s
	}
	for name, c := range map[string]struct {
		call func(c iamClient) error
		code string
	}{
		"an unknown profile": {func(c iamClient) error {
			_, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String("web")})
			return err
		}, "NoSuchEntity"},
		"an unknown role": {func(c iamClient) error {
			_, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("web-profile")})
			return err
		}, "NoSuchEntity"},
		"a policy that a role does not have": {func(c iamClient) error {
			_, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String("web"), PolicyName: aws.String("x")})
			return err
		}, "NoSuchEntity"},
		"deleting a policy that is not there": {func(c iamClient) error {
			_, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("web"), PolicyName: aws.String("x")})
			return err
		}, "NoSuchEntity"},
		"a policy of a service-linked role":   {func(c iamClient) error { return putRole(c, "AWSServiceRoleForX", "x", denyAll) }, "UnmodifiableEntity"},
		"a policy of an Identity Center role": {func(c iamClient) error { return putRole(c, "AWSReservedSSO_admin", "x", denyAll) }, "UnmodifiableEntity"},
		"a policy that is not JSON":           {func(c iamClient) error { return putRole(c, "web", "x", "{") }, "MalformedPolicyDocument"},
		"a policy without statements":         {func(c iamClient) error { return putRole(c, "web", "x", `{"Version":"2012-10-17"}`) }, "MalformedPolicyDocument"},
		"a statement with a principal": {func(c iamClient) error {
			return putRole(c, "web", "x", `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`)
		}, "MalformedPolicyDocument"},
		"a statement id with a dash": {func(c iamClient) error {
			return putRole(c, "web", "x", `{"Statement":{"Sid":"a-b","Effect":"Deny","Action":"*","Resource":"*"}}`)
		}, "MalformedPolicyDocument"},
		"a condition that does not exist": {func(c iamClient) error {
			return putRole(c, "web", "x", `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringSame":{"aws:userid":"x"}}}}`)
		}, "MalformedPolicyDocument"},
		"a time that is none": {func(c iamClient) error {
			return putRole(c, "web", "x", `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"yesterday"}}}}`)
		}, "MalformedPolicyDocument"},
		"a policy name with a space":   {func(c iamClient) error { return putRole(c, "web", "a b", denyAll) }, "ValidationError"},
		"10 241 characters for a role": {func(c iamClient) error { return putRole(c, "web", "x", *long(10241)) }, "LimitExceeded"},
		"2 049 characters for a user":  {func(c iamClient) error { return putUser(c, "ada", "x", *long(2049)) }, "LimitExceeded"},
		"policies that are too long together": {func(c iamClient) error {
			if err := putUser(c, "ada", "x", *long(1500)); err != nil {
				return err
			}
			return putUser(c, "ada", "y", *long(500))
		}, "LimitExceeded"},
		"the same policy again is no second one": {func(c iamClient) error {
			if err := putUser(c, "ada", "x", *long(1500)); err != nil {
				return err
			}
			return putUser(c, "ada", "x", *long(1500))
		}, ""},
		"white space is not counted": {func(c iamClient) error { return putUser(c, "ada", "x", denyAll+strings.Repeat("\n  ", 2000)) }, ""},
		"an unknown user": {func(c iamClient) error {
			_, err := c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("eve")})
			return err
		}, "NoSuchEntity"},
		"keys of nobody in particular": {func(c iamClient) error {
			_, err := c.ListAccessKeys(ctx, &iam.ListAccessKeysInput{})
			return err
		}, "ValidationError"},
		"a key without its user": {func(c iamClient) error { return setKey(c, "", "AKIAUSED", types.StatusTypeInactive) }, "ValidationError"},
		"a key of another user":  {func(c iamClient) error { return setKey(c, "bob", "AKIAUSED", types.StatusTypeInactive) }, "NoSuchEntity"},
		"a status that is none":  {func(c iamClient) error { return setKey(c, "ada", "AKIAUSED", "Off") }, "ValidationError"},
		"a password that is not there": {func(c iamClient) error {
			_, err := c.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: aws.String("bob")})
			return err
		}, "NoSuchEntity"},
		"an unknown key": {func(c iamClient) error {
			_, err := c.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: aws.String("AKIANONE")})
			return err
		}, "NoSuchEntity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRest(t, Options{}, people)
			wantCode(t, c.call(iamClient{w.act()}), c.code)
		})
	}
}

func putRole(c iamClient, role, name, doc string) error {
	_, err := c.PutRolePolicy(context.Background(), &iam.PutRolePolicyInput{RoleName: &role, PolicyName: &name, PolicyDocument: &doc})
	return err
}

func putUser(c iamClient, user, name, doc string) error {
	_, err := c.PutUserPolicy(context.Background(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: &name, PolicyDocument: &doc})
	return err
}

func setKey(c iamClient, user, key string, status types.StatusType) error {
	in := &iam.UpdateAccessKeyInput{AccessKeyId: &key, Status: status}
	if user != "" {
		in.UserName = &user
	}
	_, err := c.UpdateAccessKey(context.Background(), in)
	return err
}

func TestIAMDescribesRolesProfilesAndUsers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, people)
	c := iamClient{w.act()}

	p := val(c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String("web-profile")}))(t).InstanceProfile
	if len(p.Roles) != 1 || *p.Roles[0].RoleName != "web" || *p.Arn != "arn:aws:iam::111111111111:instance-profile/app/web-profile" {
		t.Errorf("the profile is %v with roles %v", *p.Arn, p.Roles)
	}
	r := val(c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("web")}))(t).Role
	if *r.RoleId == "" || *r.RoleId != *p.Roles[0].RoleId || *r.Arn != "arn:aws:iam::111111111111:role/app/web" {
		t.Errorf("the role is %s with id %s", *r.Arn, *r.RoleId)
	}
	if trust, err := url.QueryUnescape(*r.AssumeRolePolicyDocument); err != nil || !strings.HasPrefix(trust, "{") || strings.HasPrefix(*r.AssumeRolePolicyDocument, "{") {
		t.Errorf("the trust is %s", *r.AssumeRolePolicyDocument)
	}
	var names []string
	in := &iam.ListInstanceProfilesForRoleInput{RoleName: aws.String("web"), MaxItems: aws.Int32(1)}
	for {
		out := val(c.ListInstanceProfilesForRole(ctx, in))(t)
		for _, p := range out.InstanceProfiles {
			names = append(names, *p.InstanceProfileName)
		}
		if !out.IsTruncated {
			break
		}
		in.Marker = out.Marker
	}
	if diff := cmp.Diff([]string{"web-profile", "web-profile-2"}, names); diff != "" {
		t.Error(diff)
	}
	used := val(c.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: aws.String("AKIAUSED")}))(t)
	if *used.UserName != "ada" || !used.AccessKeyLastUsed.LastUsedDate.Equal(restStart.Add(-time.Hour)) {
		t.Errorf("used: %v", used.AccessKeyLastUsed)
	}
	never := val(c.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: aws.String("AKIANEVER")}))(t)
	if never.AccessKeyLastUsed.LastUsedDate != nil || *never.AccessKeyLastUsed.ServiceName != "N/A" {
		t.Errorf("never used: %v", never.AccessKeyLastUsed)
	}
	if g := val(c.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: aws.String("ada")}))(t).Groups; len(g) != 2 {
		t.Errorf("groups: %v", g)
	}
	if m := val(c.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: aws.String("ada")}))(t).MFADevices; len(m) != 1 {
		t.Errorf("devices: %v", m)
	}
	if a := val(c.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: aws.String("ada")}))(t).AttachedPolicies; len(a) != 1 || *a[0].PolicyName != "ReadOnlyAccess" {
		t.Errorf("attached: %v", a)
	}
}

func TestIAMReturnsPoliciesURLEncodedAndRestoresTheWorld(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, people)
	c := iamClient{w.act()}
	val(c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("web")}))(t) // the region comes into being
	before := val(w.Dump())(t)
	doc := `{"Statement": [{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::a+b c"}]}`
	if err := putRole(c, "web", "deny", doc); err != nil {
		t.Fatal(err)
	}
	got := *val(c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String("web"), PolicyName: aws.String("deny")}))(t).PolicyDocument
	if strings.ContainsAny(got, " {+") {
		t.Errorf("the document is not encoded: %s", got)
	}
	if plain, err := url.QueryUnescape(got); err != nil || plain != doc {
		t.Errorf("decoded %s, %v", plain, err)
	}
	if l := val(c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: aws.String("web")}))(t).PolicyNames; len(l) != 1 {
		t.Errorf("policies: %v", l)
	}
	if _, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("web"), PolicyName: aws.String("deny")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(val(w.Dump())(t))); diff != "" {
		t.Errorf("the world differs:\n%s", diff)
	}
}

func TestADenyPolicyHitsWhomItNames(t *testing.T) {
	t.Parallel()
	now := restStart
	w := newRest(t, Options{}, people)
	var mine, other, fresh Principal
	w.edit(func(e *Editor) {
		mine = e.AddSession(attacked, "web", "i-0aa", now.Add(-time.Hour))
		other = e.AddSession(attacked, "web", "i-0bb", now.Add(-time.Hour))
		fresh = e.AddSession(attacked, "web", "i-0bb", now.Add(time.Minute))
	})
	deny := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":` + condition + `}]}`
	}
	for name, c := range map[string]struct {
		doc                string
		mine, other, fresh bool
	}{
		"no policy":                 {"", true, true, true},
		"the whole role":            {denyAll, false, false, false},
		"one session, exactly":      {deny(`{"StringEquals":{"aws:userid":"` + mine.UserID + `"}}`), false, true, true},
		"one session, by a pattern": {deny(`{"StringLike":{"AWS:UserId":"*:i-0a?"}}`), false, true, true},
		"equals knows no pattern":   {deny(`{"StringEquals":{"aws:userid":"*:i-0aa"}}`), true, true, true},
		"sessions of before":        {deny(`{"DateLessThan":{"aws:TokenIssueTime":"2026-11-25T12:00:00Z"}}`), false, false, true},
		"everybody else":            {deny(`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/break-*"}}`), false, false, false},
		"everybody but this role":   {deny(`{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::111111111111:role/app/*"]}}`), true, true, true},
		"another action":            {`{"Statement":{"Effect":"Deny","Action":"ec2:Run*","Resource":"*"}}`, true, true, true},
		"what is not named":         {`{"Statement":{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}}`, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w.edit(func(e *Editor) { e.PutRolePolicy(attacked, "web", "revoke", c.doc) })
			for who, p := range map[string]struct {
				is   Principal
				want bool
			}{"mine": {mine, c.mine}, "other": {other, c.other}, "fresh": {fresh, c.fresh}} {
				if got := w.Allowed(p.is, "s3:GetObject"); got != p.want {
					t.Errorf("%s allowed: %v, want %v", who, got, p.want)
				}
			}
		})
	}
	w.pass(7 * time.Hour)
	w.edit(func(e *Editor) { e.PutRolePolicy(attacked, "web", "revoke", "") })
	if w.Allowed(mine, "s3:GetObject") {
		t.Error("a session lives longer than it may")
	}
}

// A key carries no time of issue, so a policy that asks for one does not stop it.
func TestDefect37AKeyIsStoppedByItsStatusOrByAnUnconditionalDenyOnly(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, people)
	key := w.UserKey(attacked, "AKIAUSED")
	session := key
	session.Key, session.Issued, session.Expires = "", restStart.Add(-time.Minute), restStart.Add(time.Hour)
	c := iamClient{w.act()}
	dated := `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-25T12:00:00Z"}}}}`
	if err := putUser(c, "ada", "revoke", dated); err != nil {
		t.Fatal(err)
	}
	if !w.Allowed(key, "s3:GetObject") || w.Allowed(session, "s3:GetObject") {
		t.Error("a dated deny stops sessions and not keys")
	}
	if err := putUser(c, "ada", "revoke", denyAll); err != nil {
		t.Fatal(err)
	}
	if w.Allowed(key, "s3:GetObject") || w.Allowed(session, "s3:GetObject") {
		t.Error("an unconditional deny stops both")
	}
	if _, err := c.DeleteUserPolicy(context.Background(), &iam.DeleteUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("revoke")}); err != nil {
		t.Fatal(err)
	}
	if err := setKey(c, "ada", "AKIAUSED", types.StatusTypeInactive); err != nil {
		t.Fatal(err)
	}
	if w.Allowed(key, "s3:GetObject") || !w.Allowed(session, "s3:GetObject") {
		t.Error("an inactive key stops itself and not the sessions that it made")
	}
	if w.Allowed(w.UserKey(attacked, "AKIANONE"), "s3:GetObject") {
		t.Error("a key that does not exist is let in")
	}
}

func TestIAMTakesTimeToPropagate(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{Propagation: 10 * time.Second}, people)
	c := iamClient{w.act()}
	var p Principal
	w.edit(func(e *Editor) { p = e.AddSession(attacked, "web", "i-0aa", restStart.Add(-time.Hour)) })
	key := w.UserKey(attacked, "AKIABOB")
	see := func(session, byKey bool) {
		t.Helper()
		if got := w.Allowed(p, "s3:GetObject"); got != session {
			t.Errorf("the session is allowed: %v, want %v", got, session)
		}
		if got := w.Allowed(key, "s3:GetObject"); got != byKey {
			t.Errorf("the key is allowed: %v, want %v", got, byKey)
		}
	}
	if err := putRole(c, "web", "x", denyAll); err != nil {
		t.Fatal(err)
	}
	if err := setKey(c, "bob", "AKIABOB", types.StatusTypeInactive); err != nil {
		t.Fatal(err)
	}
	see(true, true)
	w.pass(9 * time.Second)
	see(true, true)
	w.pass(time.Second)
	see(false, false)
	if _, err := c.DeleteRolePolicy(context.Background(), &iam.DeleteRolePolicyInput{RoleName: aws.String("web"), PolicyName: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	see(false, false)
	w.pass(10 * time.Second)
	see(true, false)
}

func TestARoleThatLacksAnActionIsRefusedWithItsName(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{Deny: map[awscalls.Role][]string{awscalls.Act: {"iam:PutRolePolicy", "sts:*"}}}, people)
	err := putRole(iamClient{w.act()}, "web", "x", denyAll)
	wantCode(t, err, "AccessDenied")
	if err == nil || !strings.Contains(err.Error(), "iam:PutRolePolicy") {
		t.Errorf("the error does not name the action: %v", err)
	}
	if got := w.state.Accounts[attacked].IAM.Roles["web"].InlinePolicy("x"); got != "" {
		t.Errorf("it was written all the same: %s", got)
	}
	wantCode(t, putRole(iamClient{w.in(awscalls.Read, attacked, home)}, "web", "x", denyAll), "")
	_, err = stsClient{w.act()}.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	wantCode(t, err, "AccessDenied")
}

func TestSTSSaysWhoCalls(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{})
	out := val(stsClient{w.act()}.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{}))(t)
	if *out.Account != attacked || *out.Arn != "arn:aws:sts::111111111111:assumed-role/guardroom-act/INC-1" {
		t.Errorf("caller %s in %s", *out.Arn, *out.Account)
	}
}
