package file

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Broken returns an S3 of which every call fails with err, for a client that
// could not be built: the objects that were asked for are named then, and their
// neighbours are not lost.
func Broken(err error) S3 { return broken{err} }

type broken struct{ err error }

// ListObjectsV2 implements S3.
func (b broken) ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	return nil, b.err
}

// GetObject implements S3.
func (b broken) GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return nil, b.err
}
