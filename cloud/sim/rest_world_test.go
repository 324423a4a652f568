package sim

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// everything builds a world with something of each service.
func everything(e *Editor) {
	for _, f := range []func(e *Editor){people, stores, keys, functions, managed, disks, databases} {
		f(e)
	}
	e.AddIPSet(attacked, home, IPSet{Name: "blocked", ID: "set4"})
	e.AddParameter(attacked, home, Parameter{Name: "/own", Value: "a"})
	e.AddSSMSession(attacked, home, ShellSession{ID: "s-1", Instance: host})
	e.ChangeBlock(attacked, home, "snap-1", 3, []byte("x"))
	e.CorruptBlock(attacked, home, "snap-1", 7)
}

func TestAWorldOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "world.json")
	w := newRest(t, Options{File: file, Propagation: time.Second}, everything)
	if err := putRole(iamClient{w.act()}, "web", "deny", denyAll); err != nil {
		t.Fatal(err)
	}
	u := begin(t, s3Client{w.in(awscalls.Forensics, forensic, home)}, "memory")
	send(t, w, s3Client{w.in(awscalls.Forensics, forensic, home)}, u, 1, []byte("part"))
	val(ssmClient{w.act()}.SendCommand(context.Background(), sendIn("memory")))(t)
	again := newRest(t, Options{File: file})
	if diff := cmp.Diff(string(val(w.Dump())(t)), string(val(again.Dump())(t))); diff != "" {
		t.Errorf("it is another after it was read:\n%s", diff)
	}
	again.pass(time.Minute)
	for _, c := range val(again.dumpCommands())(t) {
		if c != "Success" {
			t.Errorf("the command is %s", c)
		}
	}
}

// dumpCommands are the states of the commands by now.
func (w *restWorld) dumpCommands() (all []string, err error) {
	err = w.Edit(func(e *Editor) {
		for _, c := range e.Commands(attacked, home) {
			all = append(all, string(c.status()))
		}
	})
	return all, err
}

func TestActionsHaveTheNamesOfIAM(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Call{
		"s3:GetBucketPublicAccessBlock":             {Service: "S3", Operation: "GetPublicAccessBlock"},
		"s3:PutBucketPublicAccessBlock":             {Service: "S3", Operation: "DeletePublicAccessBlock"},
		"s3:GetObject":                              {Service: "S3", Operation: "HeadObject", Input: &s3.HeadObjectInput{}},
		"s3:GetObjectVersion":                       {Service: "S3", Operation: "HeadObject", Input: &s3.HeadObjectInput{VersionId: aws.String("v")}},
		"s3:PutObjectVersionTagging":                {Service: "S3", Operation: "PutObjectTagging", Input: &s3.PutObjectTaggingInput{VersionId: aws.String("v")}},
		"s3:GetObjectTagging":                       {Service: "S3", Operation: "GetObjectTagging", Input: &s3.GetObjectTaggingInput{}},
		"s3:ListBucket":                             {Service: "S3", Operation: "ListObjectsV2"},
		"elasticloadbalancing:DescribeTargetHealth": {Service: "Elastic Load Balancing v2", Operation: "DescribeTargetHealth"},
		"ec2:CreateTags":                            {Service: "EC2", Operation: "CreateTags"},
	} {
		if got := actionOf(c); got != want {
			t.Errorf("%s needs %s, want %s", c, got, want)
		}
	}
}

func TestEachServiceRefusesInItsOwnWords(t *testing.T) {
	t.Parallel()
	for service, code := range map[string]string{"EC2": "UnauthorizedOperation", "IAM": "AccessDenied", "S3": "AccessDenied", "RDS": "AccessDenied", "SSM": "AccessDeniedException", "KMS": "AccessDeniedException", "EBS": "AccessDeniedException", "Lambda": "AccessDeniedException", "WAFV2": "AccessDeniedException"} {
		w := newRest(t, Options{Deny: map[awscalls.Role][]string{awscalls.Act: {servicePrefix[service] + ":Do*"}}})
		wantCode(t, w.denied(Call{Service: service, Operation: "DoIt", Place: awscalls.Place{Role: awscalls.Act}}), code)
		wantCode(t, w.denied(Call{Service: service, Operation: "DoIt", Place: awscalls.Place{Role: awscalls.Read}}), "")
	}
}

func TestThrottledCallsAreRefusedAndLaterLetThrough(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{Throttle: 1}, people)
	c := iamClient{w.act()}
	for range 2 {
		wantCode(t, putRole(c, "web", "x", denyAll), "")
	}
	wantCode(t, putRole(c, "web", "x", denyAll), "Throttling")
	w.pass(time.Second)
	wantCode(t, putRole(c, "web", "x", denyAll), "")
}

func TestTheMetadataServiceHandsOutCredentialsUntilItIsOff(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, people, managed, func(e *Editor) {
		_, r := e.w.at(attacked, home)
		r.EC2.Profiles["iip-1"].ARN = "arn:aws:iam::111111111111:instance-profile/app/web-profile"
		r.EC2.Instances[host].Metadata.Endpoint = "enabled"
	})
	p, ok := w.InstanceCredentials(attacked, home, host)
	if !ok || !w.Allowed(p, "s3:GetObject") {
		t.Fatalf("credentials %+v, %v", p, ok)
	}
	doc := `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"` + p.UserID + `"}}}}`
	if err := putRole(iamClient{w.act()}, "web", "revoke", doc); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if fresh, ok := w.InstanceCredentials(attacked, home, host); !ok || w.Allowed(fresh, "s3:GetObject") || !fresh.Issued.After(p.Issued) {
		t.Error("fresh credentials of a revoked instance are of use")
	}
	w.edit(func(e *Editor) {
		e.w.state.Accounts[attacked].Regions[home].EC2.Instances[host].Metadata.Endpoint = "disabled"
	})
	if _, ok := w.InstanceCredentials(attacked, home, host); ok {
		t.Error("a metadata service that is off hands out credentials")
	}
}

// slowMatch is matches as one would define it.
func slowMatch(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return slowMatch(pattern[1:], s) || s != "" && slowMatch(pattern, s[1:])
	}
	return s != "" && (pattern[0] == '?' || pattern[0] == s[0]) && slowMatch(pattern[1:], s[1:])
}

func TestPatternsMatchAsTheyAreDefined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "text")
		if got, want := matches(pattern, s), slowMatch(pattern, s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func TestPagesAreAllOfIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.Byte()).Draw(t, "all")
		limit := rapid.Int32Range(0, 5).Draw(t, "limit")
		var got []byte
		var marker *string
		for {
			page, next, err := pageOf(all, marker, limit, 7, "X")
			if err != nil || limit > 0 && len(page) > int(limit) {
				t.Fatalf("page of %d: %v", len(page), err)
			}
			got = append(got, page...)
			if next == nil {
				break
			}
			marker = next
		}
		if !bytes.Equal(got, all) {
			t.Fatalf("%v became %v", all, got)
		}
	})
	_, _, err := pageOf([]int{1}, aws.String("none"), 0, 1, "InvalidNextToken")
	wantCode(t, err, "InvalidNextToken")
}
