package file

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/source"
)

// S3 is the part of S3 that this package calls; *s3.Client of the SDK has it.
// It must be safe for concurrent use.
type S3 interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// callLimit is the most that a call may take that does not stream.
const callLimit = 30 * time.Second

// Fetcher reads the objects that messages point to. The zero value is of no
// use: make it with NewFetcher.
type Fetcher struct {
	client func(region string) S3
	only   map[string]bool // buckets; nil: any
}

var _ source.Fetcher = Fetcher{}

// NewFetcher returns a fetcher that asks for a client of each object's region;
// the region may be empty.
func NewFetcher(client func(region string) S3) Fetcher { return Fetcher{client: client} }

// Only returns a fetcher that reads from these buckets and refuses all others.
func (f Fetcher) Only(buckets []string) Fetcher {
	f.only = make(map[string]bool, len(buckets))
	for _, b := range buckets {
		f.only[b] = true
	}
	return f
}

// Fetch implements source.Fetcher.
func (f Fetcher) Fetch(ctx context.Context, ref source.Reference) (io.ReadCloser, error) {
	if f.only != nil && !f.only[ref.Bucket] {
		return nil, fmt.Errorf("read %s: %w", ref, source.ErrNotFollowed)
	}
	return fetch(ctx, f.client(ref.Region), ref)
}

func fetch(ctx context.Context, api S3, ref source.Reference) (io.ReadCloser, error) {
	out, err := api.GetObject(ctx, &s3.GetObjectInput{Bucket: &ref.Bucket, Key: &ref.Key})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return out.Body, nil
}

// object is one entry of a listing.
type object struct {
	key      string
	tag      string // ETag
	size     int64
	modified time.Time
}

// listError is a listing that failed, as against what was done with it.
type listError struct{ err error }

// Error names what was listed.
func (e *listError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *listError) Unwrap() error { return e.err }

// list gives every object under a prefix to each, in the order of the keys.
func list(ctx context.Context, api S3, bucket, prefix string, each func(object) error) error {
	return pages(ctx, api, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}, func(page *s3.ListObjectsV2Output) error {
		for _, o := range objects(page) {
			if err := each(o); err != nil {
				return err
			}
		}
		return nil
	})
}

func pages(ctx context.Context, api S3, in *s3.ListObjectsV2Input, each func(*s3.ListObjectsV2Output) error) error {
	for {
		limited, cancel := context.WithTimeout(ctx, callLimit)
		page, err := api.ListObjectsV2(limited, in)
		cancel()
		if err != nil {
			return &listError{fmt.Errorf("list s3://%s/%s: %w", aws.ToString(in.Bucket), aws.ToString(in.Prefix), err)}
		}
		if err := each(page); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextContinuationToken) == "" {
			return nil
		}
		next := *in
		next.ContinuationToken = page.NextContinuationToken
		in = &next
	}
}

func objects(page *s3.ListObjectsV2Output) []object {
	out := make([]object, 0, len(page.Contents))
	for _, c := range page.Contents {
		out = append(out, object{key: aws.ToString(c.Key), tag: aws.ToString(c.ETag), size: aws.ToInt64(c.Size), modified: aws.ToTime(c.LastModified)})
	}
	return out
}
