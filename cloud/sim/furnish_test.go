package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func furnished(t *testing.T) (*sim.World, respond.Policy) {
	t.Helper()
	w, err := sim.New(sim.Options{Clock: playbook.Real{NowFunc: func() time.Time { return time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC) }}})
	if err != nil {
		t.Fatal(err)
	}
	p := respond.DefaultPolicy()
	sim.Complete(&p)
	return w, p
}

func TestAnObjectIsFurnishedInTheVersionThatItsFindingNames(t *testing.T) {
	t.Parallel()
	w, p := furnished(t)
	object := func(version string) respond.Target {
		return respond.Target{Kind: finding.KindS3Object, ID: "uploads/in.zip", Account: "111111111111", Region: "eu-central-1",
			Parts: map[string]string{respond.PartObjectKey: "in.zip", respond.PartObjectVer: version}}
	}
	bucket := respond.Target{Kind: finding.KindS3Bucket, ID: "uploads", Account: "111111111111", Region: "eu-central-1"}
	c, err := w.AWS().S3(t.Context(), awscalls.Place{Account: "111111111111", Region: "eu-central-1", Role: awscalls.Read, Incident: "INC-1"})
	if err != nil {
		t.Fatal(err)
	}
	// The bucket may be there already, by a finding about the bucket alone.
	for _, target := range []respond.Target{bucket, object("null"), object("v1"), object("v2"), object("v1")} {
		if err := w.Furnish(t.Context(), p, []respond.Target{target}); err != nil {
			t.Fatal(err)
		}
		v := target.Parts[respond.PartObjectVer]
		if v == "" {
			continue
		}
		out, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("uploads"), Key: aws.String("in.zip"), VersionId: &v})
		if err != nil {
			t.Fatalf("version %s: %v", v, err)
		}
		if got := aws.ToString(out.VersionId); got != v && v != "null" {
			t.Errorf("version %q, want %q", got, v)
		}
	}
	if err := w.Edit(func(e *sim.Editor) {
		if n := len(e.Bucket("uploads").Objects["in.zip"]); n != 3 {
			t.Errorf("%d versions, want 3: what is there is not made again", n)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFurnishedAccountMayUseTheImageThatItsParameterNames(t *testing.T) {
	t.Parallel()
	w, p := furnished(t)
	for _, account := range []string{"111111111111", "012345678901", "222222222222"} {
		if err := w.Furnish(t.Context(), p, []respond.Target{{Kind: finding.KindS3Bucket, ID: "b-" + account, Account: account, Region: "eu-central-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, account := range []string{"111111111111", "012345678901", "222222222222"} {
		place := awscalls.Place{Account: account, Region: "eu-central-1", Role: awscalls.Read, Incident: "INC-1"}
		s, err := w.AWS().SSM(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(p.Forensics.Image[len("ssm:"):])})
		if err != nil {
			t.Fatal(err)
		}
		c, err := w.AWS().EC2(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{aws.ToString(out.Parameter.Value)}}); err != nil {
			t.Errorf("account %s: %v", account, err)
		}
	}
}

func TestEveryFurnishedAccountKeepsEvidenceInTheOneBucketAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	w, p := furnished(t)
	put := func(account, key string) error {
		t.Helper()
		c, err := w.AWS().S3(t.Context(), awscalls.Place{Account: account, Region: p.Evidence.Region, Role: awscalls.Forensics, Incident: "INC-1"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.Evidence.Bucket, Key: &key, Body: strings.NewReader("evidence")})
		return err
	}
	accounts := []string{"111111111111", "222222222222", "333333333333", "222222222222"}
	for n, account := range accounts {
		if err := w.Furnish(t.Context(), p, []respond.Target{{Kind: finding.KindLambda, ID: "f", Account: account, Region: "eu-west-1"}}); err != nil {
			t.Fatal(err)
		}
		if err := put(account, fmt.Sprintf("INC-1/%d", n)); err != nil {
			t.Errorf("account %s: %v", account, err)
		}
	}
	if err := put("444444444444", "INC-1/x"); respond.Code(err) != "AccessDenied" {
		t.Errorf("an account that nothing was furnished in: %v", err)
	}
}

func TestWhatTheConfigurationNamesIsFurnishedUnderItsOwnName(t *testing.T) {
	t.Parallel()
	w, p := furnished(t)
	p.Evidence.Bucket, p.Evidence.Region = "evidence-x", "eu-west-1"
	p.Forensics.Subnets, p.Forensics.SecurityGroups = []string{"subnet-0aa", "subnet-0bb"}, []string{"sg-0aa", "sg-0bb"}
	at := awscalls.Place{Account: "111111111111", Region: "eu-west-1", Role: awscalls.Forensics, Incident: "INC-1"}
	for range 2 {
		if err := w.Furnish(t.Context(), p, []respond.Target{{Kind: finding.KindLambda, ID: "f", Account: at.Account, Region: at.Region}}); err != nil {
			t.Fatal(err)
		}
	}
	o, err := w.AWS().S3(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.Evidence.Bucket, Key: aws.String("INC-1/x"), Body: strings.NewReader("x")}); err != nil {
		t.Error(err)
	}
	c, err := w.AWS().EC2(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: p.Forensics.Subnets}); err != nil || len(out.Subnets) != 2 {
		t.Errorf("subnets: %v", err)
	}
	if out, err := c.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: p.Forensics.SecurityGroups}); err != nil || len(out.SecurityGroups) != 2 {
		t.Errorf("security groups: %v", err)
	}
}

// What the how-to has people configure is there when they try it.
func TestWhatAPolicyNamesIsFurnished(t *testing.T) {
	t.Parallel()
	w, p := furnished(t)
	const attacked, lab = "222222222222", "333333333333"
	p.Evidence = respond.Evidence{Bucket: "acme-evidence", Region: w.RegionOf("acme-evidence"), KMSKey: "alias/objects", LockMode: "governance", LockDays: 30}
	p.Forensics.Account, p.Forensics.Key, p.Forensics.TransferKey, p.Forensics.Profile = lab, "arn:aws:kms:us-east-1:"+lab+":key/evidence", "alias/guardroom-transfer", "forensic-workstation"
	target := respond.Target{Kind: finding.KindInstance, ID: "i-0123456789abcdef0", Account: attacked, Region: "us-east-1"}
	for range 2 { // the second finds all of it
		if err := w.Furnish(t.Context(), p, []respond.Target{target}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.RegionOf("acme-evidence"); got != p.Evidence.Region {
		t.Errorf("the bucket is in %s", got)
	}
	err := w.Edit(func(e *sim.Editor) {
		b := e.Bucket("acme-evidence")
		if b.Account != lab || !b.ObjectLock {
			t.Errorf("%+v", b)
		}
		e.KMSKey(lab, p.Evidence.Region, "alias/objects")
		e.KMSKey(lab, "us-east-1", p.Forensics.Key)
		e.KMSKey(attacked, "us-east-1", "alias/guardroom-transfer")
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.AWS().IAM(t.Context(), awscalls.Place{Account: lab, Region: "us-east-1", Role: awscalls.Read, Incident: "INC-1"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.GetInstanceProfile(t.Context(), &iam.GetInstanceProfileInput{InstanceProfileName: aws.String("forensic-workstation")}); err != nil || len(out.InstanceProfile.Roles) != 1 {
		t.Errorf("%+v: %v", out, err)
	}
}
