package sim

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// GetBucketTagging implements awscalls.Buckets. A bucket without tags has no set
// of them.
func (c s3Client) GetBucketTagging(ctx context.Context, in *s3.GetBucketTaggingInput, _ ...func(*s3.Options)) (*s3.GetBucketTaggingOutput, error) {
	return s3do(ctx, c, "GetBucketTagging", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketTaggingOutput, error) {
		if len(b.Tags) == 0 {
			return nil, fail("NoSuchTagSet", "The TagSet does not exist")
		}
		out := &s3.GetBucketTaggingOutput{}
		for _, k := range keysOf(b.Tags) {
			out.TagSet = append(out.TagSet, types.Tag{Key: aws.String(k), Value: aws.String(b.Tags[k])})
		}
		return out, nil
	})
}
