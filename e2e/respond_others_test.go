package e2e

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
)

// code is the error code of AWS, empty where there was no error.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	a, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Fatalf("look from outside: %v", err)
	}
	return a.ErrorCode()
}

// userSeen is a user from outside: keys and inline policies.
func (a *account) userSeen(name string) map[string]string {
	a.t.Helper()
	c, ctx, out := iam.NewFromConfig(a.owner), a.t.Context(), map[string]string{}
	for _, k := range got[*iam.ListAccessKeysOutput](a.t)(c.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &name})).AccessKeyMetadata {
		out["key "+aws.ToString(k.AccessKeyId)] = string(k.Status)
	}
	for _, p := range got[*iam.ListUserPoliciesOutput](a.t)(c.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: &name})).PolicyNames {
		d := got[*iam.GetUserPolicyOutput](a.t)(c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: &name, PolicyName: &p}))
		out["policy "+p] = document(a.t, aws.ToString(d.PolicyDocument))
	}
	return out
}

// bucketSeen is a bucket from outside: its policy byte for byte, and whether the
// public is shut out.
func (a *account) bucketSeen(name string) map[string]string {
	a.t.Helper()
	c, ctx, out := a.s3(a.owner), a.t.Context(), map[string]string{}
	p, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &name})
	out["policy"] = code(a.t, err)
	if err == nil {
		out["policy"] = aws.ToString(p.Policy)
	}
	b, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &name})
	out["block"] = code(a.t, err)
	if err == nil {
		x := b.PublicAccessBlockConfiguration
		out["block"] = fmt.Sprint(aws.ToBool(x.BlockPublicAcls), aws.ToBool(x.BlockPublicPolicy), aws.ToBool(x.IgnorePublicAcls), aws.ToBool(x.RestrictPublicBuckets))
	}
	return out
}

// functionSeen is the reserved concurrency of a function; -1: none is set.
func (a *account) functionSeen(name string) int32 {
	a.t.Helper()
	out := got[*lambda.GetFunctionConcurrencyOutput](a.t)(lambda.NewFromConfig(a.owner).GetFunctionConcurrency(a.t.Context(), &lambda.GetFunctionConcurrencyInput{FunctionName: &name}))
	if out.ReservedConcurrentExecutions == nil {
		return -1
	}
	return *out.ReservedConcurrentExecutions
}

func (a *account) publicBucket(name string) {
	a.t.Helper()
	a.on.Bucket(name, false)
	public := `{"Version": "2012-10-17", "Statement": [{"Sid":"Site","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + name + `/*"}]}`
	got[*s3.PutBucketPolicyOutput](a.t)(a.s3(a.owner).PutBucketPolicy(a.t.Context(), &s3.PutBucketPolicyInput{Bucket: &name, Policy: &public}))
}

func (a *account) bucketFinding(name string) string {
	a.t.Helper()
	return a.finding("Policy:S3/BucketAnonymousAccessGranted", 8, map[string]any{"resourceType": "S3Bucket",
		"s3BucketDetails": []any{map[string]any{"name": name, "arn": "arn:aws:s3:::" + name, "type": "Destination"}}})
}

const closedToPublic = "true true true true"

// TestPrincipalsDataAndFunctionsAreContainedAndUndone is the second acceptance of
// responses: each resource is contained and undone, seen from outside.
func TestPrincipalsDataAndFunctionsAreContainedAndUndone(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "222222222203", true)
	ctx, owner := t.Context(), iam.NewFromConfig(a.owner)
	key := a.on.User("ci-bot")
	uid := aws.ToString(got[*iam.GetUserOutput](t)(owner.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("ci-bot")})).User.UserId)
	a.on.Role("batch", "/svc/")
	rid := aws.ToString(got[*iam.GetRoleOutput](t)(owner.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("batch")})).Role.RoleId)
	a.on.Role("lambda-role", "/")
	a.on.Role("break-glass", "/")
	bucket := "public-" + a.number
	a.publicBucket(bucket)
	a.makeFunction("resize")
	a.serve(fmt.Sprintf("  break_glass: [\"arn:aws:iam::%s:role/break-glass\"]\n", a.number))

	session := rid + ":job-17"
	cases := []struct {
		name      string
		incident  string
		look      func() any
		contained func() string // empty: it is
	}{
		{"the key of a user", a.finding("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", 8, map[string]any{"resourceType": "AccessKey",
			"accessKeyDetails": map[string]any{"accessKeyId": key, "principalId": uid, "userName": "ci-bot", "userType": "IAMUser"}}),
			func() any { return a.userSeen("ci-bot") },
			func() string {
				s := a.userSeen("ci-bot")
				denies := 0
				for name, v := range s {
					if strings.HasPrefix(name, "policy guardroom-deny-INC-") && strings.Contains(v, `"Effect":"Deny"`) && !strings.Contains(v, "Condition") {
						denies++
					}
				}
				if s["key "+key] != "Inactive" || denies != 1 {
					return fmt.Sprint(s)
				}
				return ""
			}},
		{"a session of a role", a.finding("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8, map[string]any{"resourceType": "AccessKey",
			"accessKeyDetails": map[string]any{"accessKeyId": "ASIAABCDEFGHIJKLMNOP", "principalId": session, "userName": "batch", "userType": "AssumedRole"}}),
			func() any { return a.rolePolicies("batch") },
			func() string {
				s := a.rolePolicies("batch")
				for name, v := range s {
					if len(s) == 1 && strings.HasPrefix(name, "guardroom-revoke-INC-") && strings.Contains(v, `"aws:userid":"`+session+`"`) && strings.Contains(v, `"Effect":"Deny"`) {
						return ""
					}
				}
				return fmt.Sprint(s)
			}},
		{"a public bucket", a.bucketFinding(bucket),
			func() any { return a.bucketSeen(bucket) },
			func() string {
				s := a.bucketSeen(bucket)
				if s["block"] != closedToPublic || !strings.Contains(s["policy"], `"Deny"`) || !strings.Contains(s["policy"], ":role/break-glass") || !strings.Contains(s["policy"], `"Site"`) {
					return fmt.Sprint(s)
				}
				return ""
			}},
		{"a function", a.finding("CryptoCurrency:Lambda/BitcoinTool.B", 8, map[string]any{"resourceType": "Lambda",
			"lambdaDetails": map[string]any{"functionName": "resize", "functionArn": "arn:aws:lambda:eu-central-1:" + a.number + ":function:resize"}}),
			func() any { return a.functionSeen("resize") },
			func() string {
				if n := a.functionSeen("resize"); n != 0 {
					return fmt.Sprintf("its reserved concurrency is %d", n)
				}
				return ""
			}},
	}
	before, runs := make([]any, len(cases)), make([]string, len(cases))
	for i, c := range cases {
		before[i] = c.look()
		if c.contained() == "" {
			t.Fatalf("%s is contained before anything was done", c.name)
		}
		runs[i] = a.approve(a.plan("--incident", c.incident))
	}
	for i, c := range cases {
		d := a.follow(runs[i])
		completed(t, d)
		if why := c.contained(); why != "" || !d.Run.Contained {
			t.Errorf("%s is not contained (the run says %v): %s", c.name, d.Run.Contained, why)
		}
		if r := a.run("evidence", "verify", c.incident); r.code != 0 {
			t.Errorf("%s: evidence verify ended with %d\n%s%s", c.name, r.code, r.out, r.err)
		}
	}
	if out := a.must("evidence", "list", cases[3].incident); !strings.Contains(out, "code") {
		t.Errorf("the code of the function is no evidence:\n%s", out)
	}
	undone := make([]string, len(cases))
	for i := range cases {
		undone[i] = a.approve(lines[api.PlanDetail](t, a.must("run", "undo", runs[i], "--json"))[0])
	}
	for i, c := range cases {
		completed(t, a.follow(undone[i]))
		if diff := cmp.Diff(before[i], c.look()); diff != "" {
			t.Errorf("%s is not as before (-before +after):\n%s", c.name, diff)
		}
	}
	a.checkRoles("INC-")
	a.settle()
	if out := a.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Errorf("audit verify says %s", out)
	}
}

// makeFunction makes a function whose code the door serves.
func (a *account) makeFunction(name string) {
	a.t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("index.py")
	if err == nil {
		_, err = w.Write([]byte("def handler(event, context): return 1\n"))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		a.t.Fatal(err)
	}
	a.code = archive.Bytes()
	got[*lambda.CreateFunctionOutput](a.t)(lambda.NewFromConfig(a.owner).CreateFunction(a.t.Context(), &lambda.CreateFunctionInput{FunctionName: &name, Runtime: lambdatypes.RuntimePython312,
		Role: aws.String("arn:aws:iam::" + a.number + ":role/lambda-role"), Handler: aws.String("index.handler"), Code: &lambdatypes.FunctionCode{ZipFile: a.code}}))
}

// TestAPublicBucketIsClosedWithoutBreakGlassRoles: without a list of who is never
// locked out only the public is.
func TestAPublicBucketIsClosedWithoutBreakGlassRoles(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "222222222204", true)
	bucket := "public-" + a.number
	a.publicBucket(bucket)
	before := a.bucketSeen(bucket)
	a.serve("")
	incident := a.bucketFinding(bucket)
	run := a.approve(a.plan("--incident", incident))
	completed(t, a.follow(run))
	if s := a.bucketSeen(bucket); s["block"] != closedToPublic || s["policy"] != before["policy"] {
		t.Errorf("the bucket has %v", s)
	}
	completed(t, a.undo(run))
	if diff := cmp.Diff(before, a.bucketSeen(bucket)); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
	// By name the other playbook can be asked for, and is refused.
	r := a.instance.run("plan", "create", "--incident", incident, "--playbook", "s3-bucket")
	if r.code == 0 || !strings.Contains(r.err+r.out, "break") {
		t.Errorf("it ended with %d\n%s%s", r.code, r.out, r.err)
	}
	a.checkRoles(incident)
}
