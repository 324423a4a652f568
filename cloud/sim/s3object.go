package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	objectTags = 10
	listMost   = 1000
)

// version finds a version of an object; the newest when none is named.
func (b *Bucket) version(key, version *string) (*Object, error) {
	versions := b.Objects[aws.ToString(key)]
	if v := aws.ToString(version); v != "" {
		for _, o := range versions {
			if o.Version != v {
				continue
			}
			if o.Deleted {
				return nil, fail("MethodNotAllowed", "The specified method is not allowed against this resource.")
			}
			return o, nil
		}
		return nil, fail("NoSuchVersion", "The specified version does not exist.")
	}
	if o := b.newest(aws.ToString(key)); o != nil {
		return o, nil
	}
	return nil, fail("NoSuchKey", "The specified key does not exist.")
}

// shown is the version id that answers show: none in a bucket that was never versioned.
func (b *Bucket) shown(o *Object) *string {
	if b.Versioning == "" {
		return nil
	}
	return aws.String(o.Version)
}

// HeadObject implements awscalls.Objects. As AWS has no body to say more in, what
// is missing is NotFound.
func (c s3Client) HeadObject(ctx context.Context, in *s3.HeadObjectInput, _ ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	return s3do(ctx, c, "HeadObject", false, in, in.Bucket, in.Key, func(b *Bucket) (*s3.HeadObjectOutput, error) {
		o, err := b.version(in.Key, in.VersionId)
		if err != nil {
			return nil, fail("NotFound", "Not Found")
		}
		out := &s3.HeadObjectOutput{
			AcceptRanges: aws.String("bytes"), ContentLength: aws.Int64(int64(len(o.Body))), ContentType: aws.String(o.ContentType), ETag: aws.String(o.ETag),
			LastModified: aws.Time(o.Modified), Metadata: o.Metadata, VersionId: b.shown(o), ObjectLockMode: types.ObjectLockMode(o.LockMode),
		}
		out.ServerSideEncryption, out.SSEKMSKeyId = o.encryption()
		if n := len(o.Tags); n > 0 {
			out.TagCount = int32Of(n)
		}
		if !o.LockUntil.IsZero() {
			out.ObjectLockRetainUntilDate = aws.Time(o.LockUntil)
		}
		if in.ChecksumMode == types.ChecksumModeEnabled && o.SHA256 != "" {
			out.ChecksumSHA256, out.ChecksumType = aws.String(o.SHA256), o.sumType()
		}
		return out, nil
	})
}

// GetObject implements awscalls.Objects.
func (c s3Client) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return s3do(ctx, c, "GetObject", false, in, in.Bucket, in.Key, func(b *Bucket) (*s3.GetObjectOutput, error) {
		o, err := b.version(in.Key, in.VersionId)
		if err != nil {
			return nil, err
		}
		if m := aws.ToString(in.IfMatch); m != "" && strings.Trim(m, `"`) != strings.Trim(o.ETag, `"`) {
			return nil, preconditionFailed()
		}
		body, part, err := cutRange(o.Body, aws.ToString(in.Range))
		if err != nil {
			return nil, err
		}
		out := &s3.GetObjectOutput{
			AcceptRanges: aws.String("bytes"), ContentLength: aws.Int64(int64(len(body))), ContentType: aws.String(o.ContentType), ETag: aws.String(o.ETag),
			LastModified: aws.Time(o.Modified), Metadata: o.Metadata, VersionId: b.shown(o), ContentRange: part, ObjectLockMode: types.ObjectLockMode(o.LockMode),
			Body: io.NopCloser(bytes.NewReader(bytes.Clone(body))),
		}
		out.ServerSideEncryption, out.SSEKMSKeyId = o.encryption()
		if n := len(o.Tags); n > 0 {
			out.TagCount = int32Of(n)
		}
		if !o.LockUntil.IsZero() {
			out.ObjectLockRetainUntilDate = aws.Time(o.LockUntil)
		}
		if in.ChecksumMode == types.ChecksumModeEnabled && o.SHA256 != "" && part == nil {
			out.ChecksumSHA256, out.ChecksumType = aws.String(o.SHA256), o.sumType()
		}
		return out, nil
	})
}

// cutRange returns what a Range header names: bytes=a-b, bytes=a-, bytes=-n.
// One that S3 does not understand names everything.
func cutRange(body []byte, header string) ([]byte, *string, error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return body, nil, nil
	}
	size := len(body)
	a, knowsA := number(first)
	b, knowsB := number(last)
	from, to := a, min(b, size-1)
	switch {
	case first == "" && knowsB && b > 0:
		from, to = max(0, size-b), size-1
	case first == "" && knowsB:
		from = size
	case last == "" && knowsA:
		to = size - 1
	case !knowsA || !knowsB || a > b:
		return body, nil, nil
	}
	if from >= size {
		return nil, nil, fail("InvalidRange", "The requested range is not satisfiable")
	}
	return body[from : to+1], aws.String(fmt.Sprintf("bytes %d-%d/%d", from, to, size)), nil
}

// number reads digits only.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil //nolint:gosec // 31 bits fit
}

func preconditionFailed() error {
	return fail("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

// PutObject implements awscalls.Objects.
func (c s3Client) PutObject(ctx context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	var body []byte
	if in.Body != nil {
		var err error
		if body, err = io.ReadAll(in.Body); err != nil {
			return nil, wrap("S3", "PutObject", err)
		}
	}
	return s3do(ctx, c, "PutObject", true, in, in.Bucket, in.Key, func(b *Bucket) (*s3.PutObjectOutput, error) {
		if in.ContentLength != nil && *in.ContentLength != int64(len(body)) {
			return nil, fail("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
		}
		if err := b.conditions(aws.ToString(in.Key), in.IfNoneMatch, in.IfMatch); err != nil {
			return nil, err
		}
		o := Object{Body: body, ETag: etag(body), ContentType: orText(aws.ToString(in.ContentType), "application/octet-stream"), Metadata: in.Metadata, KMSKey: aws.ToString(in.SSEKMSKeyId)}
		if in.ChecksumSHA256 != nil || in.ChecksumAlgorithm == types.ChecksumAlgorithmSha256 {
			o.SHA256 = sum256(body)
		}
		if in.ChecksumSHA256 != nil && *in.ChecksumSHA256 != o.SHA256 {
			return nil, fail("BadDigest", "The SHA256 you specified did not match the calculated checksum.")
		}
		if err := c.prepare(b, &o, in.Tagging, string(in.ObjectLockMode), in.ObjectLockRetainUntilDate); err != nil {
			return nil, err
		}
		s := c.w.store(b, *in.Key, o)
		out := &s3.PutObjectOutput{ETag: aws.String(s.ETag), VersionId: b.shown(s)}
		out.ServerSideEncryption, out.SSEKMSKeyId = s.encryption()
		if s.SHA256 != "" {
			out.ChecksumSHA256, out.ChecksumType = aws.String(s.SHA256), s.sumType()
		}
		return out, nil
	})
}

// conditions refuses a write that must not replace what is there.
func (b *Bucket) conditions(key string, none, match *string) error {
	have := b.newest(key)
	switch {
	case key == "":
		return fail("InvalidRequest", "Missing key")
	case len(key) > 1024:
		return fail("KeyTooLongError", "Your key is too long")
	case none != nil && *none != "*":
		return fail("NotImplemented", "A header you provided implies functionality that is not implemented")
	case none != nil && have != nil:
		return preconditionFailed()
	case match != nil && have == nil:
		return fail("NoSuchKey", "The specified key does not exist.")
	case match != nil && strings.Trim(*match, `"`) != strings.Trim(have.ETag, `"`):
		return preconditionFailed()
	}
	return nil
}

// prepare checks tags, key and lock of a new object.
func (c s3Client) prepare(b *Bucket, o *Object, tagging *string, lock string, until *time.Time) error {
	if t := aws.ToString(tagging); t != "" {
		values, err := url.ParseQuery(t)
		if err != nil {
			return fail("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		for k, v := range values {
			if len(v) > 1 {
				return fail("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
			}
			put(&o.Tags, k, v[0])
		}
		if err := checkTags(o.Tags); err != nil {
			return err
		}
	}
	if o.KMSKey != "" {
		k, err := c.w.findKey(c.place.Account, b.Region, o.KMSKey)
		if err != nil {
			return fail("KMS.NotFoundException", "Key '%s' does not exist", o.KMSKey)
		}
		if !k.usable() {
			return fail("KMS.DisabledException", "%s is %s", k.ARN, k.state())
		}
		o.KMSKey = k.ARN
	}
	if (lock == "") != (until == nil) {
		return fail("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	if until == nil {
		if b.ObjectLock && b.RetentionMode != "" {
			o.LockMode, o.LockUntil = b.RetentionMode, c.w.now().UTC().AddDate(0, 0, b.RetentionDays)
		}
		return nil
	}
	switch {
	case !b.ObjectLock:
		return fail("InvalidRequest", "Bucket is missing Object Lock Configuration")
	case !until.After(c.w.now()):
		return fail("InvalidArgument", "The retain until date must be in the future!")
	}
	o.LockMode, o.LockUntil = lock, until.UTC()
	return nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > objectTags {
		return fail("BadRequest", "Object tags cannot be greater than 10")
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return fail("InvalidTag", "The TagKey you have provided is invalid")
		}
	}
	return nil
}

// GetObjectTagging implements awscalls.Objects.
func (c s3Client) GetObjectTagging(ctx context.Context, in *s3.GetObjectTaggingInput, _ ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error) {
	return s3do(ctx, c, "GetObjectTagging", false, in, in.Bucket, in.Key, func(b *Bucket) (*s3.GetObjectTaggingOutput, error) {
		o, err := b.version(in.Key, in.VersionId)
		if err != nil {
			return nil, err
		}
		out := &s3.GetObjectTaggingOutput{VersionId: b.shown(o), TagSet: []types.Tag{}}
		for _, k := range keysOf(o.Tags) {
			out.TagSet = append(out.TagSet, types.Tag{Key: aws.String(k), Value: aws.String(o.Tags[k])})
		}
		return out, nil
	})
}

// PutObjectTagging implements awscalls.Objects. It replaces all tags.
func (c s3Client) PutObjectTagging(ctx context.Context, in *s3.PutObjectTaggingInput, _ ...func(*s3.Options)) (*s3.PutObjectTaggingOutput, error) {
	return s3do(ctx, c, "PutObjectTagging", true, in, in.Bucket, in.Key, func(b *Bucket) (*s3.PutObjectTaggingOutput, error) {
		o, err := b.version(in.Key, in.VersionId)
		if err != nil {
			return nil, err
		}
		if in.Tagging == nil {
			return nil, fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
		}
		var tags map[string]string
		for _, t := range in.Tagging.TagSet {
			if _, twice := tags[aws.ToString(t.Key)]; twice {
				return nil, fail("InvalidTag", "Cannot provide multiple Tags with the same key")
			}
			put(&tags, aws.ToString(t.Key), aws.ToString(t.Value))
		}
		if err := checkTags(tags); err != nil {
			return nil, err
		}
		o.Tags = tags
		return &s3.PutObjectTaggingOutput{VersionId: b.shown(o)}, nil
	})
}

// ListObjectsV2 implements awscalls.Objects.
func (c s3Client) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	return s3do(ctx, c, "ListObjectsV2", false, in, in.Bucket, nil, func(b *Bucket) (*s3.ListObjectsV2Output, error) {
		prefix, delimiter := aws.ToString(in.Prefix), aws.ToString(in.Delimiter)
		after := orText(aws.ToString(in.ContinuationToken), aws.ToString(in.StartAfter))
		limit := listMost
		if in.MaxKeys != nil {
			if *in.MaxKeys < 0 {
				return nil, fail("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647")
			}
			limit = min(limit, int(*in.MaxKeys))
		}
		out := &s3.ListObjectsV2Output{
			Name: in.Bucket, Prefix: in.Prefix, Delimiter: in.Delimiter, StartAfter: in.StartAfter, ContinuationToken: in.ContinuationToken,
			MaxKeys: int32Of(limit), IsTruncated: aws.Bool(false),
		}
		n, last := 0, ""
		for _, key := range keysOf(b.Objects) {
			o := b.newest(key)
			if o == nil || key <= after || !strings.HasPrefix(key, prefix) {
				continue
			}
			folder := ""
			if delimiter != "" {
				if before, _, found := strings.Cut(key[len(prefix):], delimiter); found {
					folder = prefix + before + delimiter
				}
			}
			if folder != "" && (strings.HasPrefix(last, folder) || strings.HasPrefix(after, folder)) {
				last = key
				continue
			}
			if n == limit {
				if limit > 0 {
					out.IsTruncated, out.NextContinuationToken = aws.Bool(true), aws.String(last)
				}
				break
			}
			n, last = n+1, key
			if folder != "" {
				out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: aws.String(folder)})
				continue
			}
			out.Contents = append(out.Contents, types.Object{
				Key: aws.String(key), ETag: aws.String(o.ETag), Size: aws.Int64(int64(len(o.Body))), LastModified: aws.Time(o.Modified), StorageClass: types.ObjectStorageClassStandard,
			})
		}
		out.KeyCount = int32Of(n)
		return out, nil
	})
}

func (o *Object) encryption() (types.ServerSideEncryption, *string) {
	if o.KMSKey != "" {
		return types.ServerSideEncryptionAwsKms, aws.String(o.KMSKey)
	}
	return types.ServerSideEncryptionAes256, nil
}

func (o *Object) sumType() types.ChecksumType {
	if o.Composite {
		return types.ChecksumTypeComposite
	}
	return types.ChecksumTypeFullObject
}
