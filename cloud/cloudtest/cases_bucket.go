package cloudtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func bucketCases() []Case {
	return []Case{
		{"the policy of a bucket", bucketPolicy},
		{"settings of a bucket", bucketSettings},
		{"the lock of a bucket", bucketLock},
		{"objects", objects},
		{"versions and tags of an object", objectVersions},
		{"an upload in parts", multipart},
	}
}

// bucketName is unique in the world, as names of buckets must be.
func (w *World) bucketName(name string) string { return "guardroom-" + name + "-" + w.Account }

func bucketPolicy(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	b := s(w.bucketName("policy"))
	w.Bucket(*b, false)
	get := func() (string, error) {
		out, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: b})
		if err != nil {
			return "", err
		}
		return str(out.Policy), nil
	}
	_, err := get()
	w.Code("no policy", err, "NoSuchBucketPolicy")
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}]}`, w.Account, *b)
	_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: s(text)})
	w.Code("put", err, "")
	back, err := get()
	w.Code("get", err, "")
	w.Is("byte for byte", back, text)
	_, err = c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b})
	w.Code("delete", err, "")
	_, err = get()
	w.Code("no policy again", err, "NoSuchBucketPolicy")
	_, err = c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: s("guardroom-there-is-none")})
	w.Code("no bucket", err, "NoSuchBucket")
}

func bucketSettings(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	b := s(w.bucketName("settings"))
	w.Bucket(*b, false)
	place := got[*s3.GetBucketLocationOutput](w, "location")(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: b}))
	w.Is("where it is", string(place.LocationConstraint), Region)
	block := func() (string, error) {
		out, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: b})
		if err != nil {
			return "", err
		}
		p := out.PublicAccessBlockConfiguration
		return fmt.Sprint(aws.ToBool(p.BlockPublicAcls), aws.ToBool(p.IgnorePublicAcls), aws.ToBool(p.BlockPublicPolicy), aws.ToBool(p.RestrictPublicBuckets)), nil
	}
	_, err := block()
	w.Code("no block", err, "NoSuchPublicAccessBlockConfiguration")
	yes := aws.Bool(true)
	_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: b, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, IgnorePublicAcls: yes, BlockPublicPolicy: yes, RestrictPublicBuckets: yes}})
	w.Code("block", err, "")
	state, err := block()
	w.Code("get the block", err, "")
	w.Is("blocked", state, "true true true true")
	public := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}]}`, *b)
	_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: s(public)})
	w.Code("a public policy while it is blocked", err, "AccessDenied")
	_, err = c.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: b})
	w.Code("unblock", err, "")
	_, err = block()
	w.Code("no block again", err, "NoSuchPublicAccessBlockConfiguration")
	_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: s(public)})
	w.Code("a public policy", err, "")
	status, err := c.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: b})
	w.Code("is it public", err, "")
	w.Is("it is public", status != nil && aws.ToBool(status.PolicyStatus.IsPublic), true)
	version := func() string {
		return string(got[*s3.GetBucketVersioningOutput](w, "versioning")(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b})).Status)
	}
	w.Is("never versioned", version(), "")
	for _, to := range []types.BucketVersioningStatus{types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
		_, err = c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: to}})
		w.Code("versioning "+string(to), err, "")
		w.Is("versioning is "+string(to), version(), string(to))
	}
	_, err = c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b})
	w.Code("no tags", err, "NoSuchTagSet")
	_, err = c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: b})
	w.Code("no controls", err, "OwnershipControlsNotFoundError")
	acl := got[*s3.GetBucketAclOutput](w, "ACL")(c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: b}))
	everybody := slices.ContainsFunc(acl.Grants, func(g types.Grant) bool { return g.Grantee != nil && str(g.Grantee.URI) != "" })
	w.Is("the ACL is for nobody else", everybody, false)
}

func bucketLock(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	ask := func(bucket string) (string, error) {
		out, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: s(bucket)})
		if err != nil {
			return "", err
		}
		words := string(out.ObjectLockConfiguration.ObjectLockEnabled)
		if r := out.ObjectLockConfiguration.Rule; r != nil && r.DefaultRetention != nil {
			words += fmt.Sprint(" ", r.DefaultRetention.Mode, " ", aws.ToInt32(r.DefaultRetention.Days))
		}
		return words, nil
	}
	for name, days := range map[string]int{"locks-nothing-by-itself": 0, "locks-by-itself": 7} {
		bucket := w.bucketName(name)
		w.Vault(bucket, days)
		words, err := ask(bucket)
		w.Code(name, err, "")
		w.Is(name, words, map[int]string{0: "Enabled", 7: "Enabled GOVERNANCE 7"}[days])
		v := got[*s3.GetBucketVersioningOutput](w, "versioning")(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: s(bucket)}))
		w.Is(name+" is versioned", string(v.Status), "Enabled")
	}
	plain := w.bucketName("no-lock")
	w.Bucket(plain, true)
	_, err := ask(plain)
	w.Code("no lock", err, "ObjectLockConfigurationNotFoundError")
	_, err = ask("guardroom-there-is-none")
	w.Code("no bucket", err, "NoSuchBucket")
}

func objects(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	b := s(w.bucketName("objects"))
	w.Bucket(*b, false)
	put := func(key, body string, once bool) error {
		in := &s3.PutObjectInput{Bucket: b, Key: s(key), Body: strings.NewReader(body), ContentType: s("application/json"), Metadata: map[string]string{"sha256": "abc"}}
		if once {
			in.IfNoneMatch = s("*")
		}
		_, err := c.PutObject(ctx, in)
		return err
	}
	w.Code("write once", put("INC-1/a.json", "one", true), "")
	w.Code("write once again", put("INC-1/a.json", "two", true), "PreconditionFailed")
	out := got[*s3.GetObjectOutput](w, "read")(c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: s("INC-1/a.json")}))
	body, err := io.ReadAll(out.Body)
	w.Is("what was first", string(body), "one")
	w.Is("read to the end", err == nil, true)
	head := got[*s3.HeadObjectOutput](w, "head")(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: s("INC-1/a.json")}))
	w.Is("its size", aws.ToInt64(head.ContentLength), 3)
	w.Is("its type", str(head.ContentType), "application/json")
	w.Is("its metadata", head.Metadata["sha256"], "abc")
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: s("INC-1/none")})
	w.Code("no object, by its head", err, "NotFound")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: s("INC-1/none")})
	w.Code("no object", err, "NoSuchKey")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: s("guardroom-there-is-none"), Key: s("a")})
	w.Code("no bucket", err, "NoSuchBucket")
	w.Code("another", put("INC-1/b.json", "two", true), "")
	w.Code("one of another incident", put("INC-2/a.json", "three", true), "")
	keys := func(after string) (list []string, next string) {
		in := &s3.ListObjectsV2Input{Bucket: b, Prefix: s("INC-1/"), MaxKeys: aws.Int32(1)}
		if after != "" {
			in.ContinuationToken = s(after)
		}
		out := got[*s3.ListObjectsV2Output](w, "list")(c.ListObjectsV2(ctx, in))
		for _, o := range out.Contents {
			list = append(list, str(o.Key))
		}
		return list, str(out.NextContinuationToken)
	}
	first, next := keys("")
	w.Is("the first page", first, []string{"INC-1/a.json"})
	second, next := keys(next)
	w.Is("the second page", second, []string{"INC-1/b.json"})
	w.Is("the end", next, "")
}

func objectVersions(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	b, key := s(w.bucketName("versions")), s("malware.bin")
	w.Bucket(*b, true)
	put := func(body string) *string {
		return got[*s3.PutObjectOutput](w, "write")(c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: key, Body: strings.NewReader(body)})).VersionId
	}
	old, latest := put("one"), put("two")
	w.Is("two versions", str(old) != "" && str(old) != str(latest), true)
	out := got[*s3.GetObjectOutput](w, "read")(c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: key, VersionId: old}))
	body, err := io.ReadAll(out.Body)
	w.Is("the old one", string(body), "one")
	w.Is("read to the end", err == nil, true)
	tags := func(version *string) []string {
		list := []string{}
		for _, t := range got[*s3.GetObjectTaggingOutput](w, "tags")(c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: b, Key: key, VersionId: version})).TagSet {
			list = append(list, str(t.Key)+"="+str(t.Value))
		}
		slices.Sort(list)
		return list
	}
	w.Is("no tags", tags(old), []string{})
	tag := func(version *string, tags ...types.Tag) error {
		_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: key, VersionId: version, Tagging: &types.Tagging{TagSet: tags}})
		return err
	}
	w.Code("tag the old one", tag(old, types.Tag{Key: s("a"), Value: s("1")}, types.Tag{Key: s("guardroom-quarantine"), Value: s("INC-1")}), "")
	w.Is("the old one's tags", tags(old), []string{"a=1", "guardroom-quarantine=INC-1"})
	w.Is("the latest has none", tags(latest), []string{})
	w.Code("tag it again", tag(old, types.Tag{Key: s("a"), Value: s("1")}), "")
	w.Is("the tags are replaced, not merged", tags(old), []string{"a=1"})
	w.Code("a version that is not there", tag(s("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), types.Tag{Key: s("a"), Value: s("1")}), "NoSuchVersion")
}

// fetch is what somebody does who holds a signed address.
func (w *World) fetch(to *v4.PresignedHTTPRequest, body []byte) (status int, answer []byte) {
	w.Helper()
	req := got[*http.Request](w, "use a signed address")(http.NewRequestWithContext(w.Context(), to.Method, to.URL, bytes.NewReader(body)))
	resp, err := w.HTTP().Do(req)
	if err != nil {
		w.Fatal(err)
	}
	answer = got[[]byte](w, "use a signed address")(io.ReadAll(resp.Body))
	if err := resp.Body.Close(); err != nil {
		w.Fatal(err)
	}
	if to.Method == http.MethodPut {
		answer = []byte(resp.Header.Get("Etag"))
	}
	return resp.StatusCode, answer
}

// part uploads a part by a signed address and returns its tag.
func (w *World) part(bucket, key, upload *string, number int32, body []byte) string {
	w.Helper()
	signed := got[*v4.PresignedHTTPRequest](w, "sign")(use(w, w.aws.Presign).PresignUploadPart(w.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: upload, PartNumber: aws.Int32(number)}))
	status, tag := w.fetch(signed, body)
	w.Is("write by a signed address", status, 200)
	return string(tag)
}

func multipart(w *World) {
	ctx, c := w.Context(), use(w, w.aws.S3)
	b, key := s(w.bucketName("parts")), s("INC-1/memory.lime")
	w.Bucket(*b, false)
	begun := got[*s3.CreateMultipartUploadOutput](w, "begin")(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: key}))
	large, small := bytes.Repeat([]byte("x"), 5<<20), []byte("end")
	tags := []string{w.part(b, key, begun.UploadId, 1, large), w.part(b, key, begun.UploadId, 2, small)}
	list := got[*s3.ListPartsOutput](w, "parts")(c.ListParts(ctx, &s3.ListPartsInput{Bucket: b, Key: key, UploadId: begun.UploadId}))
	w.Is("two parts", len(list.Parts), 2)
	w.Is("their sizes", []int64{aws.ToInt64(list.Parts[0].Size), aws.ToInt64(list.Parts[1].Size)}, []int64{5 << 20, 3})
	_, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: b, Key: key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
		{PartNumber: aws.Int32(1), ETag: s(tags[0])}, {PartNumber: aws.Int32(2), ETag: s(tags[1])}}}})
	w.Code("complete", err, "")
	head := got[*s3.HeadObjectOutput](w, "head")(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: key}))
	w.Is("the whole", aws.ToInt64(head.ContentLength), 5<<20+3)
	signed := got[*v4.PresignedHTTPRequest](w, "sign")(use(w, w.aws.Presign).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: key}))
	status, body := w.fetch(signed, nil)
	w.Is("read by a signed address", []int{status, len(body)}, []int{200, 5<<20 + 3})
	another := got[*s3.CreateMultipartUploadOutput](w, "begin")(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: key}))
	_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: key, UploadId: another.UploadId})
	w.Code("abort", err, "")
	_, err = c.ListParts(ctx, &s3.ListPartsInput{Bucket: b, Key: key, UploadId: another.UploadId})
	w.Code("it is gone", err, "NoSuchUpload")
}
