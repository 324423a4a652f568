package sim

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	partLeast = 5 << 20
	partsMost = 10000
)

func (b *Bucket) upload(id, key *string) (*Upload, error) {
	u := b.Uploads[aws.ToString(id)]
	if u == nil || u.Key != aws.ToString(key) {
		return nil, fail("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return u, nil
}

// CreateMultipartUpload implements awscalls.Objects.
func (c s3Client) CreateMultipartUpload(ctx context.Context, in *s3.CreateMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error) {
	return s3do(ctx, c, "CreateMultipartUpload", true, in, in.Bucket, in.Key, func(b *Bucket) (*s3.CreateMultipartUploadOutput, error) {
		if err := b.conditions(aws.ToString(in.Key), nil, nil); err != nil {
			return nil, err
		}
		u := &Upload{
			Key: *in.Key, Started: c.w.now(), Sums: in.ChecksumAlgorithm == types.ChecksumAlgorithmSha256,
			Object: Object{ContentType: orText(aws.ToString(in.ContentType), "application/octet-stream"), Metadata: in.Metadata, KMSKey: aws.ToString(in.SSEKMSKeyId)},
		}
		if err := c.prepare(b, &u.Object, in.Tagging, string(in.ObjectLockMode), in.ObjectLockRetainUntilDate); err != nil {
			return nil, err
		}
		id := c.w.id("upload-")
		put(&b.Uploads, id, u)
		out := &s3.CreateMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, UploadId: aws.String(id), ChecksumAlgorithm: in.ChecksumAlgorithm}
		out.ServerSideEncryption, out.SSEKMSKeyId = u.Object.encryption()
		return out, nil
	})
}

// putPart keeps a part; the same number again replaces it. sum is its MD5 as the
// header says it, which S3 asks for where the object will be locked.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (w *World) putPart(b *Bucket, id, key string, number int, sum string, body []byte) (*Part, error) {
	u, err := b.upload(&id, &key)
	switch {
	case err != nil:
		return nil, err
	case sum == "" && u.Object.LockMode != "":
		return nil, fail("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters")
	case sum != "" && sum != md5Of(body):
		return nil, fail("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	if number < 1 || number > partsMost {
		return nil, fail("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	p := &Part{Body: bytes.Clone(body), ETag: etag(body), Modified: w.now()}
	if u.Sums {
		p.SHA256 = sum256(body)
	}
	put(&u.Parts, number, p)
	return p, nil
}

// ListParts implements awscalls.Objects.
func (c s3Client) ListParts(ctx context.Context, in *s3.ListPartsInput, _ ...func(*s3.Options)) (*s3.ListPartsOutput, error) {
	return s3do(ctx, c, "ListParts", false, in, in.Bucket, in.Key, func(b *Bucket) (*s3.ListPartsOutput, error) {
		u, err := b.upload(in.UploadId, in.Key)
		if err != nil {
			return nil, err
		}
		after := 0
		if m := aws.ToString(in.PartNumberMarker); m != "" {
			if after, err = strconv.Atoi(m); err != nil {
				return nil, fail("InvalidArgument", "Provided part-number-marker is not an integer or within integer range")
			}
		}
		limit := listMost
		if in.MaxParts != nil {
			limit = min(limit, int(*in.MaxParts))
		}
		out := &s3.ListPartsOutput{Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, MaxParts: int32Of(limit), PartNumberMarker: in.PartNumberMarker, IsTruncated: aws.Bool(false)}
		for _, n := range keysOf(u.Parts) {
			if n <= after {
				continue
			}
			if len(out.Parts) == limit {
				out.IsTruncated = aws.Bool(true)
				break
			}
			p := u.Parts[n]
			part := types.Part{PartNumber: int32Of(n), ETag: aws.String(p.ETag), Size: aws.Int64(int64(len(p.Body))), LastModified: aws.Time(p.Modified)}
			if p.SHA256 != "" {
				part.ChecksumSHA256 = aws.String(p.SHA256)
			}
			out.Parts = append(out.Parts, part)
			out.NextPartNumberMarker = aws.String(strconv.Itoa(n))
		}
		return out, nil
	})
}

// CompleteMultipartUpload implements awscalls.Objects.
func (c s3Client) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	return s3do(ctx, c, "CompleteMultipartUpload", true, in, in.Bucket, in.Key, func(b *Bucket) (*s3.CompleteMultipartUploadOutput, error) {
		u, err := b.upload(in.UploadId, in.Key)
		if err != nil {
			return nil, err
		}
		if err := b.conditions(u.Key, in.IfNoneMatch, in.IfMatch); err != nil {
			return nil, err
		}
		parts, err := c.chosen(u, in.MultipartUpload)
		if err != nil {
			return nil, err
		}
		o := u.Object
		for _, p := range parts {
			o.Body = append(o.Body, p.Body...)
		}
		o.ETag = compositeTag(parts)
		if u.Sums {
			o.SHA256, o.Composite = compositeSum(parts), true
		}
		s := c.w.store(b, u.Key, o)
		delete(b.Uploads, *in.UploadId)
		out := &s3.CompleteMultipartUploadOutput{
			Bucket: in.Bucket, Key: in.Key, ETag: aws.String(s.ETag), VersionId: b.shown(s),
			Location: aws.String(fmt.Sprintf("%s/%s/%s", c.w.base(), b.Name, u.Key)),
		}
		out.ServerSideEncryption, out.SSEKMSKeyId = s.encryption()
		if s.SHA256 != "" {
			out.ChecksumSHA256, out.ChecksumType = aws.String(s.SHA256), s.sumType()
		}
		return out, nil
	})
}

// chosen are the parts that a completion names: in ascending order, there, and
// large enough but for the last.
func (c s3Client) chosen(u *Upload, m *types.CompletedMultipartUpload) ([]*Part, error) {
	if m == nil || len(m.Parts) == 0 {
		return nil, fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	var parts []*Part
	last := 0
	for i, named := range m.Parts {
		n := int(aws.ToInt32(named.PartNumber))
		if n <= last {
			return nil, fail("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		last = n
		p := u.Parts[n]
		if p == nil || `"`+strings.Trim(aws.ToString(named.ETag), `"`)+`"` != p.ETag {
			return nil, fail("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		}
		if named.ChecksumSHA256 != nil && *named.ChecksumSHA256 != sum256(p.Body) {
			return nil, fail("InvalidPart", "The checksum of a part does not match.")
		}
		if i < len(m.Parts)-1 && len(p.Body) < partLeast && !c.w.opts.SmallParts {
			return nil, fail("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// AbortMultipartUpload implements awscalls.Objects.
func (c s3Client) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput, _ ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	return s3do(ctx, c, "AbortMultipartUpload", true, in, in.Bucket, in.Key, func(b *Bucket) (*s3.AbortMultipartUploadOutput, error) {
		if _, err := b.upload(in.UploadId, in.Key); err != nil {
			return nil, err
		}
		delete(b.Uploads, *in.UploadId)
		return &s3.AbortMultipartUploadOutput{}, nil
	})
}
