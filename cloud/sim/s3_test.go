package sim

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond/awscalls"
)

const publicPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"Public read","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}]}`

func stores(e *Editor) {
	e.AddBucket(attacked, Bucket{Name: "data", Region: home})
	e.PutObject("data", "a/1", Object{Body: []byte("one")})
	e.AddBucket(attacked, Bucket{Name: "kept", Region: home, Versioning: "Enabled"})
	e.PutObject("kept", "x", Object{Body: []byte("old"), Tags: map[string]string{"team": "web"}})
	e.PutObject("kept", "x", Object{Body: []byte("new")})
	e.AddBucket(forensic, Bucket{Name: "evidence", Region: home, ObjectLock: true})
	e.AddBucket(attacked, Bucket{Name: "virginia", Region: "us-east-1"})
}

func TestS3TellsAbsentFromEmpty(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := s3Client{newRest(t, Options{}, stores).act()}
	data := aws.String("data")
	_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: data})
	wantCode(t, err, "NoSuchBucketPolicy")
	_, err = c.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: data})
	wantCode(t, err, "NoSuchBucketPolicy")
	_, err = c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: data})
	wantCode(t, err, "NoSuchPublicAccessBlockConfiguration")
	_, err = c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: data})
	wantCode(t, err, "OwnershipControlsNotFoundError")
	if v := val(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: data}))(t); v.Status != "" {
		t.Errorf("versioning %q", v.Status)
	}
	_, err = c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("none")})
	wantCode(t, err, "NoSuchBucket")
	_, err = c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: data})
	wantCode(t, err, "")
	_, err = c.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: data})
	wantCode(t, err, "")
}

func TestS3WantsTheRegionOfABucket(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := s3Client{newRest(t, Options{}, stores).act()}
	if l := val(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("data")}))(t); l.LocationConstraint != home {
		t.Errorf("location %q", l.LocationConstraint)
	}
	if l := val(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("virginia")}))(t); l.LocationConstraint != "" {
		t.Errorf("us-east-1 is %q", l.LocationConstraint)
	}
	_, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("virginia")})
	wantCode(t, err, "PermanentRedirect")
}

func putPolicy(c s3Client, bucket, doc string) error {
	_, err := c.PutBucketPolicy(context.Background(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &doc})
	return err
}

func TestS3RefusesPoliciesThatS3Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ doc, code string }{
		"no JSON":               {"{", "MalformedPolicy"},
		"no principal":          {`{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::data"}}`, "MalformedPolicy"},
		"another bucket":        {`{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::date/*"}}`, "MalformedPolicy"},
		"more than 20 KB":       {strings.Replace(publicPolicy, "data/*", "data/"+strings.Repeat("x", 20*1024), 1), "MalformedPolicy"},
		"20 KB of white space":  {publicPolicy + strings.Repeat(" ", 20*1024), ""},
		"a Sid with a space":    {publicPolicy, ""},
		"conditions of all ops": {`{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"],"Condition":{"Bool":{"aws:SecureTransport":false}}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantCode(t, putPolicy(s3Client{newRest(t, Options{}, stores).act()}, "data", c.doc), c.code)
		})
	}
}

func TestAPublicBucketIsClosedByItsBlockOrByADeny(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	data, object := aws.String("data"), "arn:aws:s3:::data/a/1"
	stranger := Principal{}
	if w.Allowed(stranger, "s3:GetObject", object) {
		t.Fatal("a bucket without a policy is public")
	}
	if err := putPolicy(c, "data", publicPolicy); err != nil {
		t.Fatal(err)
	}
	if !w.Allowed(stranger, "s3:GetObject", object) || w.Allowed(stranger, "s3:PutObject", object) {
		t.Fatal("the policy lets everybody read and nobody write")
	}
	if s := val(c.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: data}))(t); !*s.PolicyStatus.IsPublic {
		t.Error("the status says that it is not public")
	}
	all := &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true)}
	if _, err := c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: data, PublicAccessBlockConfiguration: all}); err != nil {
		t.Fatal(err)
	}
	if w.Allowed(stranger, "s3:GetObject", object) {
		t.Error("the block does not close it")
	}
	wantCode(t, putPolicy(c, "data", publicPolicy), "AccessDenied")
	if b := val(c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: data}))(t); !*b.PublicAccessBlockConfiguration.RestrictPublicBuckets {
		t.Error("the block was not kept")
	}
	narrow := strings.Replace(publicPolicy, `"Resource"`, `"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}},"Resource"`, 1)
	wantCode(t, putPolicy(c, "data", narrow), "")
}

func TestABucketDenyLeavesOutWhomItNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores, people)
	var app Principal
	w.edit(func(e *Editor) { app = e.AddSession(attacked, "web", "i-0aa", restStart) })
	c := s3Client{w.act()}
	deny := func(except string) string {
		return `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"],"Condition":{"ArnNotLike":{"aws:PrincipalArn":["` + except + `"]},"Bool":{"aws:PrincipalIsAWSService":"false"}}}]}`
	}
	if err := putPolicy(c, "data", deny("arn:aws:iam::*:role/guardroom-act")); err != nil {
		t.Fatal(err)
	}
	if w.Allowed(app, "s3:GetObject", "arn:aws:s3:::data/a/1") || !w.Allowed(app, "s3:GetObject", "arn:aws:s3:::kept/x") {
		t.Error("the application is not kept out of this bucket only")
	}
	read := s3Client{w.in(awscalls.Read, attacked, home)}
	_, err := read.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("data"), Key: aws.String("a/1")})
	wantCode(t, err, "AccessDenied")
	if _, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("data"), Key: aws.String("a/1")}); err != nil {
		t.Errorf("the role that is left out: %v", err)
	}
	if err := putPolicy(c, "data", deny("arn:aws:iam::111111111111:role/nobody")); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: aws.String("data")})
	wantCode(t, err, "AccessDenied")
}

func TestABucketOfAnotherAccountNeedsItsPolicy(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	put := func() error {
		_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String("evidence"), Key: aws.String("k"), Body: strings.NewReader("b")})
		return err
	}
	wantCode(t, put(), "AccessDenied")
	w.edit(func(e *Editor) {
		e.Bucket("evidence").Policy = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/guardroom-act"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::evidence/*"}}`
	})
	wantCode(t, put(), "")
}

func TestVersioningIsNeverTakenBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	set := func(c s3Client, bucket string, s types.BucketVersioningStatus) error {
		_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: s}})
		return err
	}
	wantCode(t, set(c, "data", ""), "IllegalVersioningConfigurationException")
	wantCode(t, set(c, "data", types.BucketVersioningStatusEnabled), "")
	wantCode(t, set(c, "data", types.BucketVersioningStatusSuspended), "")
	wantCode(t, set(s3Client{w.in(awscalls.Forensics, forensic, home)}, "evidence", types.BucketVersioningStatusSuspended), "InvalidBucketState")
}

func TestS3KeepsVersionsAndReadsThem(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	kept, x := aws.String("kept"), aws.String("x")
	var first string
	w.edit(func(e *Editor) { first = e.Bucket("kept").Objects["x"][0].Version })
	read := func(version *string) (string, error) {
		o, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: kept, Key: x, VersionId: version})
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(o.Body)
		return string(body), err
	}
	if s := val(read(nil))(t); s != "new" {
		t.Errorf("the newest is %q", s)
	}
	if s := val(read(&first))(t); s != "old" {
		t.Errorf("the first is %q", s)
	}
	_, err := read(aws.String("v0"))
	wantCode(t, err, "NoSuchVersion")
	w.edit(func(e *Editor) { e.DeleteObject("kept", "x") })
	_, err = read(nil)
	wantCode(t, err, "NoSuchKey")
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: kept, Key: x})
	wantCode(t, err, "NotFound")
	if s := val(read(&first))(t); s != "old" {
		t.Errorf("after the delete marker the first is %q", s)
	}
}

func TestS3WritesOnlyWhereNothingIs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	put := func(key string, edit func(in *s3.PutObjectInput)) error {
		in := &s3.PutObjectInput{Bucket: aws.String("data"), Key: &key, Body: strings.NewReader("body")}
		edit(in)
		_, err := c.PutObject(ctx, in)
		return err
	}
	none := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	wantCode(t, put("fresh", none), "")
	wantCode(t, put("fresh", none), "PreconditionFailed")
	wantCode(t, put("fresh", func(*s3.PutObjectInput) {}), "")
	wantCode(t, put("s", func(in *s3.PutObjectInput) { in.ChecksumSHA256 = aws.String(sum256([]byte("other"))) }), "BadDigest")
	wantCode(t, put("s", func(in *s3.PutObjectInput) { in.ContentLength = aws.Int64(3) }), "IncompleteBody")
	wantCode(t, put("s", func(in *s3.PutObjectInput) { in.SSEKMSKeyId = aws.String("alias/none") }), "KMS.NotFoundException")
	wantCode(t, put("s", func(in *s3.PutObjectInput) {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, aws.Time(restStart.AddDate(0, 0, 1))
	}), "InvalidRequest")
	if w.state.Accounts[attacked].S3.Buckets["data"].newest("s") != nil {
		t.Error("a refused object was written")
	}
	wantCode(t, put("s", func(in *s3.PutObjectInput) {
		in.ChecksumSHA256, in.Metadata, in.Tagging = aws.String(sum256([]byte("body"))), map[string]string{"a": "b"}, aws.String("k=v%20w")
	}), "")
	h := val(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("data"), Key: aws.String("s"), ChecksumMode: types.ChecksumModeEnabled}))(t)
	if *h.ContentLength != 4 || *h.ChecksumSHA256 != sum256([]byte("body")) || h.Metadata["a"] != "b" || *h.TagCount != 1 {
		t.Errorf("head: %+v", h)
	}
}

func TestS3TagsAreReplacedAndAtMostTen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, stores)
	c := s3Client{w.act()}
	tags := func(n int) *types.Tagging {
		t := &types.Tagging{}
		for i := range n {
			t.TagSet = append(t.TagSet, types.Tag{Key: aws.String(fmt.Sprintf("k%02d", i)), Value: aws.String("v")})
		}
		return t
	}
	set := func(tagging *types.Tagging) error {
		_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: aws.String("kept"), Key: aws.String("x"), Tagging: tagging})
		return err
	}
	wantCode(t, set(tags(11)), "BadRequest")
	wantCode(t, set(&types.Tagging{TagSet: append(tags(1).TagSet, tags(1).TagSet...)}), "InvalidTag")
	wantCode(t, set(&types.Tagging{TagSet: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("v")}}}), "InvalidTag")
	wantCode(t, set(tags(10)), "")
	wantCode(t, set(tags(2)), "")
	o := val(c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: aws.String("kept"), Key: aws.String("x")}))(t)
	if len(o.TagSet) != 2 || *o.TagSet[0].Key != "k00" {
		t.Errorf("tags: %v", o.TagSet)
	}
}

func TestAQuarantinedObjectIsNotRead(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, stores, people)
	var app Principal
	w.edit(func(e *Editor) {
		app = e.AddSession(attacked, "web", "i-0aa", restStart)
		e.Bucket("kept").Policy = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject*","Resource":"arn:aws:s3:::kept/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/guardroom-quarantine":"INC-1"}}}}`
	})
	if !w.Allowed(app, "s3:GetObject", "arn:aws:s3:::kept/x") {
		t.Fatal("it is refused before it has the tag")
	}
	w.edit(func(e *Editor) { e.Object("kept", "x").Tags = map[string]string{"guardroom-quarantine": "INC-1"} })
	if w.Allowed(app, "s3:GetObject", "arn:aws:s3:::kept/x") {
		t.Error("it is read with the tag")
	}
}

func TestS3ServesRanges(t *testing.T) {
	t.Parallel()
	c := s3Client{newRest(t, Options{}, stores, func(e *Editor) { e.PutObject("data", "ten", Object{Body: []byte("0123456789")}) }).act()}
	for spec, want := range map[string]struct{ body, part, code string }{
		"":             {"0123456789", "", ""},
		"bytes=2-4":    {"234", "bytes 2-4/10", ""},
		"bytes=8-":     {"89", "bytes 8-9/10", ""},
		"bytes=-3":     {"789", "bytes 7-9/10", ""},
		"bytes=0-99":   {"0123456789", "bytes 0-9/10", ""},
		"bytes=10-":    {"", "", "InvalidRange"},
		"bytes=-0":     {"", "", "InvalidRange"},
		"bytes=5-2":    {"0123456789", "", ""},
		"bytes=0-1,3-": {"0123456789", "", ""},
	} {
		in := &s3.GetObjectInput{Bucket: aws.String("data"), Key: aws.String("ten")}
		if spec != "" {
			in.Range = &spec
		}
		o, err := c.GetObject(context.Background(), in)
		wantCode(t, err, want.code)
		if err != nil {
			continue
		}
		if body := val(io.ReadAll(o.Body))(t); string(body) != want.body || aws.ToString(o.ContentRange) != want.part {
			t.Errorf("%q is %q, %q", spec, body, aws.ToString(o.ContentRange))
		}
	}
}

func TestS3ListsByPrefixFolderAndPage(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, stores, func(e *Editor) {
		for _, k := range []string{"a/2", "a/b/1", "a/b/2", "c", "d"} {
			e.PutObject("data", k, Object{})
		}
	})
	c := s3Client{w.act()}
	list := func(in s3.ListObjectsV2Input) (keys []string) {
		in.Bucket = aws.String("data")
		for {
			o := val(c.ListObjectsV2(context.Background(), &in))(t)
			for _, p := range o.CommonPrefixes {
				keys = append(keys, *p.Prefix)
			}
			for _, k := range o.Contents {
				keys = append(keys, *k.Key)
			}
			if !*o.IsTruncated {
				return keys
			}
			in.ContinuationToken = o.NextContinuationToken
		}
	}
	for name, l := range map[string]struct {
		in   s3.ListObjectsV2Input
		want []string
	}{
		"all, one by one":        {s3.ListObjectsV2Input{MaxKeys: aws.Int32(1)}, []string{"a/1", "a/2", "a/b/1", "a/b/2", "c", "d"}},
		"a prefix":               {s3.ListObjectsV2Input{Prefix: aws.String("a/b/")}, []string{"a/b/1", "a/b/2"}},
		"folders, one by one":    {s3.ListObjectsV2Input{MaxKeys: aws.Int32(1), Delimiter: aws.String("/")}, []string{"a/", "c", "d"}},
		"a folder in the folder": {s3.ListObjectsV2Input{Prefix: aws.String("a/"), Delimiter: aws.String("/")}, []string{"a/b/", "a/1", "a/2"}},
		"after a key":            {s3.ListObjectsV2Input{StartAfter: aws.String("a/b/2")}, []string{"c", "d"}},
	} {
		if diff := cmp.Diff(l.want, list(l.in)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
