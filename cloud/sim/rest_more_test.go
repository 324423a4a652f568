package sim

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond/awscalls"
)

func TestConditionsHold(t *testing.T) {
	t.Parallel()
	have := map[string]string{"aws:userid": "AROA1:i-1", "aws:principalarn": "arn:aws:iam::1:role/a/b", "aws:tokenissuetime": "2026-11-25T11:00:00Z", "aws:sourceip": "192.0.2.7", "aws:x": "TRUE"}
	for _, c := range []struct {
		op, key string
		values  string
		want    bool
	}{
		{"StringEquals", "aws:userid", `["x","AROA1:i-1"]`, true},
		{"StringEquals", "aws:none", `"x"`, false},
		{"StringEqualsIfExists", "aws:none", `"x"`, true},
		{"StringNotEquals", "aws:none", `"x"`, true},
		{"StringNotEquals", "aws:userid", `"AROA1:i-1"`, false},
		{"StringLike", "aws:userid", `"AROA1:*"`, true},
		{"StringLike", "aws:userid", `"AROA?"`, false},
		{"StringNotLike", "aws:userid", `"AROA1:*"`, false},
		{"ArnLike", "aws:PrincipalArn", `"arn:aws:iam::*:role/a/*"`, true},
		{"ArnEquals", "aws:PrincipalArn", `"arn:aws:iam::1:role/a/b"`, true},
		{"ArnNotEquals", "aws:PrincipalArn", `"arn:aws:iam::1:role/a/b"`, false},
		{"ArnNotLike", "aws:None", `"*"`, true},
		{"Bool", "aws:x", `true`, true},
		{"Bool", "aws:none", `false`, false},
		{"Null", "aws:none", `"true"`, true},
		{"Null", "aws:x", `"true"`, false},
		{"DateLessThan", "aws:TokenIssueTime", `"2026-11-25T11:00:01Z"`, true},
		{"DateLessThan", "aws:TokenIssueTime", `"2026-11-25T11:00:00Z"`, false},
		{"DateLessThan", "aws:none", `"2026-11-25T11:00:01Z"`, false},
		{"IpAddress", "aws:SourceIp", `["192.0.2.0/24"]`, true},
		{"IpAddress", "aws:SourceIp", `["198.51.100.0/24","192.0.2.8"]`, false},
		{"NotIpAddress", "aws:SourceIp", `["192.0.2.0/24"]`, false},
		{"NumericLessThan", "aws:x", `5`, false},
	} {
		var values texts
		if err := json.Unmarshal([]byte(c.values), &values); err != nil {
			t.Fatal(err)
		}
		if got := holds(c.op, have, c.key, values); got != c.want {
			t.Errorf("%s %s %s: %v", c.op, c.key, c.values, got)
		}
	}
}

func TestWhatIsPublicAboutAPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		want      bool
	}{
		"everybody":                   {`"Effect":"Allow","Principal":"*"`, true},
		"everybody of AWS":            {`"Effect":"Allow","Principal":{"AWS":["*"]}`, true},
		"an account":                  {`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"}`, false},
		"a service":                   {`"Effect":"Allow","Principal":{"Service":"x.amazonaws.com"}`, false},
		"everybody but one":           {`"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::1:root"}`, true},
		"everybody is denied":         {`"Effect":"Deny","Principal":"*"`, false},
		"everybody in a network":      {`"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`, false},
		"everybody in every network":  {`"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, true},
		"everybody not in a network":  {`"Effect":"Allow","Principal":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`, true},
		"everybody with a user agent": {`"Effect":"Allow","Principal":"*","Condition":{"StringLike":{"aws:UserAgent":"x"}}`, true},
	} {
		doc, err := parseDocument(`{"Statement":{`+c.statement+`,"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}}`, true)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := doc.public(); got != c.want {
			t.Errorf("%s is public: %v", name, got)
		}
	}
}

func TestEveryClientIsGivenByTheWorld(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, everything)
	a, at := w.AWS(), awscalls.Place{Account: attacked, Region: home, Role: awscalls.Read, Incident: "INC-1"}
	if !a.Simulated() {
		t.Error("it does not say that it is simulated")
	}
	users := val(a.IAM(ctx, at))(t)
	if k := val(users.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: aws.String("ada")}))(t).AccessKeyMetadata; len(k) != 2 || k[0].Status != iamtypes.StatusTypeActive {
		t.Errorf("keys: %v", k)
	}
	if p := val(users.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: aws.String("ada")}))(t); *p.LoginProfile.UserName != "ada" {
		t.Errorf("login profile: %v", p)
	}
	if k := val(val(a.KMS(ctx, at))(t).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/ours")}))(t); *k.KeyMetadata.AWSAccountId != attacked {
		t.Errorf("key: %v", k.KeyMetadata)
	}
	if d := val(val(a.RDS(ctx, at))(t).DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("DB")}))(t).DBInstances; len(d) != 1 || !*d[0].PubliclyAccessible {
		t.Errorf("databases: %v", d)
	}
	list := val(val(a.S3(ctx, at))(t).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("kept")}))(t)
	if len(list.Contents) != 1 {
		t.Errorf("objects: %v", list.Contents)
	}
	u := val(val(a.Presign(ctx, at))(t).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("kept"), Key: aws.String("x")}))(t)
	if body := val(w.Fetch(u.URL))(t); string(body) != "new" {
		t.Errorf("fetched %q", body)
	}
	var calls []string
	for _, c := range w.Calls() {
		calls = append(calls, c.String())
	}
	want := []string{"IAM.ListAccessKeys", "IAM.GetLoginProfile", "KMS.DescribeKey", "RDS.DescribeDBInstances", "S3.ListObjectsV2"}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls: %s", diff)
	}
}

func TestUserPoliciesAreListedAndReadBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, people, func(e *Editor) {
		for _, n := range []string{"b", "a", "c"} {
			e.PutUserPolicy(attacked, "ada", n, denyAll)
		}
	})
	c := iamClient{w.act()}
	var names []string
	in := &iam.ListUserPoliciesInput{UserName: aws.String("ada"), MaxItems: aws.Int32(2)}
	for {
		out := val(c.ListUserPolicies(ctx, in))(t)
		names = append(names, out.PolicyNames...)
		if !out.IsTruncated {
			break
		}
		in.Marker = out.Marker
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Error(diff)
	}
	p := val(c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("a")}))(t)
	if !strings.HasPrefix(*p.PolicyDocument, "%7B") {
		t.Errorf("the document is %s", *p.PolicyDocument)
	}
	_, err := c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("d")})
	wantCode(t, err, "NoSuchEntity")
	_, err = c.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: aws.String("ada"), Marker: aws.String("x")})
	wantCode(t, err, "ValidationError")
}

func TestAnACLOpensABucketUntilOwnershipOrABlockIgnoresIt(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, func(e *Editor) {
		e.AddBucket(attacked, Bucket{Name: "open", Region: home, PublicACL: []string{"READ", "WRITE"}, Ownership: "ObjectWriter"})
	})
	c := s3Client{w.act()}
	may := func() bool { return w.Allowed(Principal{}, "s3:ListBucket", "arn:aws:s3:::open") }
	grants := func() int {
		return len(val(c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: aws.String("open")}))(t).Grants)
	}
	if !may() || grants() != 3 || w.Allowed(Principal{}, "s3:GetBucketPolicy", "arn:aws:s3:::open") {
		t.Error("the ACL does not open what it names, and only that")
	}
	if o := val(c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: aws.String("open")}))(t); o.OwnershipControls.Rules[0].ObjectOwnership != s3types.ObjectOwnershipObjectWriter {
		t.Errorf("ownership: %v", o.OwnershipControls)
	}
	w.edit(func(e *Editor) { e.Bucket("open").Block = &PublicBlock{IgnoreACLs: true} })
	if may() {
		t.Error("the block does not ignore the ACL")
	}
	w.edit(func(e *Editor) { e.Bucket("open").Block, e.Bucket("open").Ownership = nil, "BucketOwnerEnforced" })
	if may() || grants() != 1 {
		t.Error("enforced ownership does not end the ACL")
	}
}

func TestEvidenceIsLockedEncryptedAndVersioned(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores, func(e *Editor) { e.AddKMSKey(forensic, home, KMSKey{ID: "evidence", Alias: "alias/evidence"}) })
	c := s3Client{w.in(awscalls.Forensics, forensic, home)}
	put := func(until time.Time, key string) (*s3.PutObjectOutput, error) {
		return c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("m"), Body: strings.NewReader("x"), ObjectLockMode: s3types.ObjectLockModeGovernance,
			ObjectLockRetainUntilDate: &until, SSEKMSKeyId: &key})
	}
	_, err := put(restStart.Add(-time.Second), "alias/evidence")
	wantCode(t, err, "InvalidArgument")
	out := val(put(restStart.AddDate(0, 0, 30), "alias/evidence"))(t)
	h := val(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("evidence"), Key: aws.String("m"), VersionId: out.VersionId}))(t)
	if h.ObjectLockMode != s3types.ObjectLockModeGovernance || !h.ObjectLockRetainUntilDate.Equal(restStart.AddDate(0, 0, 30)) || !strings.HasSuffix(*h.SSEKMSKeyId, ":key/evidence") || h.ServerSideEncryption != s3types.ServerSideEncryptionAwsKms {
		t.Errorf("head: %+v", h)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("evidence"), Key: aws.String("m"), IfMatch: aws.String("other")})
	wantCode(t, err, "PreconditionFailed")
	w.edit(func(e *Editor) { e.KMSKey(forensic, home, "alias/evidence").Disabled = true })
	_, err = put(restStart.AddDate(0, 0, 30), "alias/evidence")
	wantCode(t, err, "KMS.DisabledException")
}

func TestSSMListsCommandsByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, managed)
	c := ssmClient{w.act()}
	first := val(c.SendCommand(ctx, sendIn("memory")))(t).Command.CommandId
	w.pass(30 * time.Second)
	second := val(c.SendCommand(ctx, sendIn("stalls")))(t).Command.CommandId
	w.pass(3 * time.Second)
	for name, l := range map[string]struct {
		in   ssm.ListCommandsInput
		want []string
		code string
	}{
		"all":               {ssm.ListCommandsInput{}, []string{*second, *first}, ""},
		"one":               {ssm.ListCommandsInput{CommandId: first}, []string{*first}, ""},
		"of an instance":    {ssm.ListCommandsInput{InstanceId: aws.String("i-0bb")}, nil, ""},
		"of a document":     {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyDocumentName, Value: aws.String("stalls")}}}, []string{*second}, ""},
		"that run":          {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyStatus, Value: aws.String("InProgress")}}}, []string{*second}, ""},
		"sent after":        {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyInvokedAfter, Value: aws.String("2026-11-25T12:00:10Z")}}}, []string{*second}, ""},
		"sent before":       {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyInvokedBefore, Value: aws.String("2026-11-25T12:00:10Z")}}}, []string{*first}, ""},
		"sent at no time":   {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyInvokedBefore, Value: aws.String("noon")}}}, nil, "ValidationException"},
		"an unknown one":    {ssm.ListCommandsInput{CommandId: aws.String("none")}, nil, "InvalidCommandId"},
		"by what it is not": {ssm.ListCommandsInput{Filters: []types.CommandFilter{{Key: "Comment", Value: aws.String("x")}}}, nil, "InvalidFilterKey"},
	} {
		out, err := c.ListCommands(ctx, &l.in)
		wantCode(t, err, l.code)
		if err != nil {
			continue
		}
		var got []string
		for _, cmd := range out.Commands {
			got = append(got, *cmd.CommandId)
		}
		if !slices.Equal(got, l.want) {
			t.Errorf("%s: %v, want %v", name, got, l.want)
		}
	}
}

func TestAHookMakesCallsFailBeforeAndAfter(t *testing.T) {
	t.Parallel()
	var when Phase
	w := newRest(t, Options{Hook: func(p Phase, c Call) error {
		if p == when && c.Operation == "PutRolePolicy" {
			return fail("InternalFailure", "the line was cut")
		}
		return nil
	}}, people)
	for phase, written := range map[Phase]bool{Before: false, After: true} {
		when = phase
		wantCode(t, putRole(iamClient{w.act()}, "web", string(phase), denyAll), "InternalFailure")
		if got := w.state.Accounts[attacked].IAM.Roles["web"].InlinePolicy(string(phase)) != ""; got != written {
			t.Errorf("%s: written %v", phase, got)
		}
	}
}
