package kittest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/block"
	guardiam "github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/lambda"
	guards3 "github.com/guardroom/guardroom/respond/s3"
	"github.com/guardroom/guardroom/respond/sharing"
)

var motoURL string

func TestMain(m *testing.M) {
	server, err := cloudtest.StartMoto()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	motoURL = server.URL
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// rig is the playbooks in front of moto, by the real SDK.
type rig struct {
	*kittest.Bench
	m       *cloudtest.MotoScenery
	account string
	bucket  string
}

func onMoto(t *testing.T, account, name string) rig {
	t.Helper()
	clock := cloudtest.NewClock(kittest.Start)
	a, m := cloudtest.OnMoto(t, motoURL, account, clock.Now, clock.Move, proxy.Options{})
	books := slices.Concat(guardiam.Playbooks(), guards3.Playbooks(), []respond.Playbook{lambda.Playbook(), block.Playbook()}, sharing.Playbooks())
	i := slices.IndexFunc(books, func(p respond.Playbook) bool { return p.Name() == name })
	if i < 0 {
		t.Fatalf("no playbook %s", name)
	}
	actions := slices.Concat(guardiam.Actions(), guards3.Actions(), lambda.Actions(lambda.HTTP(http.DefaultClient)), sharing.Actions(), block.Actions())
	r := rig{kittest.On(t, a, books[i], actions, block.Closings()), m, account, "evidence-" + account}
	_, err := s3.NewFromConfig(m.Config, func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &r.bucket, ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: cloudtest.Region}})
	if err != nil {
		t.Fatal(err)
	}
	r.Policy.Evidence.Bucket = r.bucket
	return r
}

func (r rig) target(k finding.ResourceKind, id string, parts map[string]string) {
	r.Bench.Target = respond.Target{Kind: k, ID: id, Account: r.account, Region: cloudtest.Region, Parts: parts}
}

// world is what the playbook describes, without when keys were used.
func (r rig) world() string {
	r.T.Helper()
	w, err := r.Describe()
	if err != nil {
		r.T.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, w.Before, "", " "); err != nil {
		r.T.Fatal(err)
	}
	return out.String()
}

// round contains and undoes, looks between, and compares the world before and after.
func (r rig) round(between func(p *respond.Plan)) {
	r.T.Helper()
	before := r.world()
	p, records := r.Contain()
	if _, contained, _ := r.Result(p, records); !contained {
		r.T.Fatal("not contained")
	}
	if r.world() == before {
		r.T.Fatal("nothing changed")
	}
	between(p)
	kept := 0
	for _, rec := range records {
		items, _, _ := respond.EvidenceOf(rec)
		for _, i := range items {
			kept++
			r.kept(i.Location, i.SHA256)
		}
	}
	if kept == 0 {
		r.T.Fatal("nothing was kept")
	}
	r.Undo(p, records)
	if diff := cmp.Diff(before, r.world()); diff != "" {
		r.T.Fatal(diff)
	}
}

// kept reads evidence back as the owner of the bucket and computes its hash.
func (r rig) kept(location, sum string) {
	r.T.Helper()
	key := strings.TrimPrefix(location, "s3://"+r.bucket+"/")
	out, err := s3.NewFromConfig(r.m.Config, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(r.T.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		r.T.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if err != nil || respond.Digest(body) != sum {
		r.T.Fatalf("%s: %v, or another hash", location, err)
	}
}

func TestAUserOnMoto(t *testing.T) {
	t.Parallel()
	r := onMoto(t, "700000000001", "iam-user")
	key := r.m.User("ada")
	r.target(finding.KindAccessKey, "ada", map[string]string{respond.PartUserName: "ada", respond.PartUserType: "IAMUser", respond.PartAccessKeyID: key})
	owner := iam.NewFromConfig(r.m.Config)
	r.round(func(*respond.Plan) {
		keys, err := owner.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: aws.String("ada")})
		if err != nil || len(keys.AccessKeyMetadata) != 1 || keys.AccessKeyMetadata[0].Status != "Inactive" {
			t.Fatalf("%v %+v", err, keys)
		}
		p, err := owner.GetUserPolicy(t.Context(), &iam.GetUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("guardroom-deny-INC-42")})
		if err != nil || !strings.Contains(aws.ToString(p.PolicyDocument), "Deny") {
			t.Fatalf("%v %+v", err, p)
		}
	})
}

func TestASessionOfARoleOnMoto(t *testing.T) {
	t.Parallel()
	for i, session := range []string{":i-0123456789abcdef0", ""} {
		r := onMoto(t, fmt.Sprintf("7000000000%02d", 10+i), "iam-role")
		r.m.Role("payments", "/app/")
		r.m.Profile("web", "payments")
		owner := iam.NewFromConfig(r.m.Config)
		role, err := owner.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("payments")})
		if err != nil {
			t.Fatal(err)
		}
		r.target(finding.KindAccessKey, "payments", map[string]string{respond.PartUserName: "payments", respond.PartUserType: "AssumedRole", respond.PartPrincipalID: aws.ToString(role.Role.RoleId) + session})
		r.round(func(*respond.Plan) {
			list, err := owner.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: aws.String("payments")})
			if err != nil || len(list.PolicyNames) != 1 || !strings.HasPrefix(list.PolicyNames[0], "guardroom-revoke-INC-42") {
				t.Fatalf("%v %+v", err, list)
			}
		})
	}
}

func TestABucketOnMoto(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"s3-bucket", "s3-public"} {
		r := onMoto(t, fmt.Sprintf("7000000000%02d", 20+i), name)
		r.m.Role("break-glass", "/")
		r.Policy.BreakGlass = []string{"arn:aws:iam::" + r.account + ":role/break-glass"}
		b := "site-" + r.account
		r.m.Bucket(b, false)
		owner := s3.NewFromConfig(r.m.Config, func(o *s3.Options) { o.UsePathStyle = true })
		public := `{"Version":"2012-10-17","Statement":[{"Sid":"Site","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + b + `/*"}]}`
		if _, err := owner.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &b, Policy: &public}); err != nil {
			t.Fatal(err)
		}
		r.target(finding.KindS3Bucket, b, nil)
		r.round(func(*respond.Plan) {
			out, err := owner.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &b})
			if err != nil || !aws.ToBool(out.PublicAccessBlockConfiguration.RestrictPublicBuckets) {
				t.Fatalf("%v", err)
			}
		})
		out, err := owner.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: &b})
		if err != nil || aws.ToString(out.Policy) != public {
			t.Fatalf("not byte for byte: %v %s", err, aws.ToString(out.Policy))
		}
	}
}

// An object in quarantine is not looked at here: moto ignores the conditions of a
// bucket policy, and would shut out those that the list leaves in.

func TestAFunctionOnMoto(t *testing.T) {
	t.Parallel()
	r := onMoto(t, "700000000040", "lambda-function")
	r.m.Function("resize")
	r.target(finding.KindLambda, "resize", nil)
	before := r.world()
	p := r.Plan()
	records, err := r.Execute(kittest.Run, p, r.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if _, contained, _ := r.Result(p, records); !contained {
		t.Fatalf("%+v", records)
	}
	if r := records["preserve/code"]; r.State != "failed" || strings.Contains(r.Message, "http") { // moto's address leads nowhere
		t.Fatalf("%+v", r)
	}
	r.Undo(p, records)
	if diff := cmp.Diff(before, r.world()); diff != "" {
		t.Fatal(diff)
	}
}

func TestSharesOnMoto(t *testing.T) {
	t.Parallel()
	sharesOn(t, onMoto(t, "700000000050", "ebs-snapshot"))
}

// Moto reads one of the two forms of the call, and takes no notice of the other.
func TestSharesOnMotoItself(t *testing.T) {
	t.Parallel()
	r := onMoto(t, "700000000051", "ebs-snapshot")
	r.AWS = cloud.New(config.AWS{Region: cloudtest.Region, EndpointURL: motoURL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}).Responses(cloudtest.Roles)
	sharesOn(t, r)
}

func sharesOn(t *testing.T, r rig) {
	t.Helper()
	owner := ec2.NewFromConfig(r.m.Config)
	volume, err := owner.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(cloudtest.Region + "a"), Size: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := owner.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: volume.VolumeId})
	if err != nil {
		t.Fatal(err)
	}
	_, err = owner.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: snapshot.SnapshotId, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission,
		OperationType: ec2types.OperationTypeAdd, UserIds: []string{"222233334444", "333344445555"}})
	if err != nil {
		t.Fatal(err)
	}
	r.target(finding.KindEBSSnapshot, aws.ToString(snapshot.SnapshotId), nil)
	r.round(func(*respond.Plan) {})
}

func TestABlockOnMoto(t *testing.T) {
	t.Parallel()
	r := onMoto(t, "700000000060", "block-actor")
	id := r.m.IPSet("blocked", "192.0.2.0/24")
	r.Policy.IPSet = respond.IPSet{Name: "blocked", ID: id, Scope: "REGIONAL"}
	r.target(finding.KindS3Bucket, "site", map[string]string{respond.PartRemoteIPs: "203.0.113.7"})
	r.round(func(*respond.Plan) {})
}

func TestABlockOnMotoEnds(t *testing.T) {
	t.Parallel()
	r := onMoto(t, "700000000061", "block-actor")
	id := r.m.IPSet("blocked", "192.0.2.0/24")
	r.Policy.IPSet = respond.IPSet{Name: "blocked", ID: id, Scope: "REGIONAL"}
	r.target(finding.KindS3Bucket, "site", map[string]string{respond.PartRemoteIPs: "203.0.113.7"})
	before := r.world()
	r.Contain()
	r.Pass(25 * time.Hour)
	if err := r.Sweep(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.world()); diff != "" {
		t.Fatal(diff)
	}
}
