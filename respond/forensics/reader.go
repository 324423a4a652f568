package forensics

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Reader reads evidence as it is stored in AWS now, for verification and export,
// as the forensics role. It changes nothing and is safe for concurrent use.
type Reader struct {
	AWS      awscalls.AWS
	Incident string // INC-42
	// Home is the forensic account; empty: evidence stays where it was taken.
	Home string
}

var (
	_ evidence.Objects = Reader{}
	_ evidence.Blocks  = Reader{}
)

func (r Reader) place(i evidence.Item) awscalls.Place {
	return awscalls.Place{Account: i.Account, Region: i.Region, Role: awscalls.Forensics, Incident: r.Incident}
}

// Open implements evidence.Objects.
func (r Reader) Open(ctx context.Context, i evidence.Item) (io.ReadCloser, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(i.Location, "s3://"), "/")
	if !ok || !strings.HasPrefix(i.Location, "s3://") {
		return nil, fmt.Errorf("open %s: it is no object", i.Location)
	}
	c, err := r.AWS.S3(ctx, r.place(i))
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}
	if i.Version != "" {
		in.VersionId = aws.String(i.Version)
	}
	out, err := c.GetObject(ctx, in)
	if respond.Is(err, "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "NotFound") {
		return nil, fmt.Errorf("%w (%s)", evidence.ErrMissing, respond.Code(err))
	}
	if err != nil {
		return nil, respond.Explain(err, "read "+i.Location, "")
	}
	return out.Body, nil
}

// Newest implements evidence.Objects.
func (r Reader) Newest(ctx context.Context, i evidence.Item) (string, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(i.Location, "s3://"), "/")
	c, err := r.AWS.S3(ctx, r.place(i))
	if err != nil {
		return "", err
	}
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if respond.Is(err, "NoSuchKey", "NotFound", "MethodNotAllowed") {
		return "", fmt.Errorf("%w (%s)", evidence.ErrMissing, respond.Code(err))
	}
	if err != nil {
		return "", respond.Explain(err, "look at "+i.Location, "")
	}
	return aws.ToString(out.VersionId), nil
}

// Read implements evidence.Blocks by the EBS direct APIs. An original in an
// attacked account is read there, by the role that hashed it.
func (r Reader) Read(ctx context.Context, i evidence.Item, each func(index int64, size int, data []byte) error) error {
	p := r.place(i)
	if r.Home != "" && i.Account != r.Home {
		p.Role = awscalls.Act
	}
	c, err := r.AWS.EBS(ctx, p)
	if err != nil {
		return err
	}
	in := &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String(i.Location), MaxResults: aws.Int32(1000)}
	for next, again := int32(0), int32(-1); ; {
		out, err := c.ListSnapshotBlocks(ctx, in)
		if respond.Gone(err) {
			return fmt.Errorf("%w (%s)", evidence.ErrMissing, respond.Code(err))
		}
		if respond.Is(err, "ValidationException") && in.NextToken != nil && again != next {
			// The token's time is over: list again from the first block that was not read.
			again, in.NextToken, in.StartingBlockIndex = next, nil, aws.Int32(next)
			continue
		}
		if err != nil {
			return respond.Explain(err, "list the blocks of "+i.Location, "")
		}
		list := make([]block, 0, len(out.Blocks))
		for _, b := range out.Blocks {
			list = append(list, block{index: int64(aws.ToInt32(b.BlockIndex)), token: aws.ToString(b.BlockToken)})
			next = aws.ToInt32(b.BlockIndex) + 1
		}
		if err := readAll(ctx, c, i.Location, list, int(aws.ToInt32(out.BlockSize)), each); err != nil {
			return err
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken, in.StartingBlockIndex = out.NextToken, nil
	}
}

// readAll reads blocks in windows, side by side, and passes them on in order.
func readAll(ctx context.Context, c awscalls.EBS, id string, list []block, size int, each func(index int64, size int, data []byte) error) error {
	for len(list) > 0 {
		n := min(window, len(list))
		var group sync.WaitGroup
		for k := range list[:n] {
			b := &list[k]
			group.Go(func() { b.data, b.err = blockOf(ctx, c, id, b.index, b.token) })
		}
		group.Wait()
		for k := range list[:n] {
			b := &list[k]
			if b.err != nil {
				return fmt.Errorf("block %d: %w", b.index, fault.Of(respond.Explain(b.err, "read block of "+id, "")))
			}
			if err := each(b.index, size, b.data); err != nil {
				return err
			}
			b.data = nil
		}
		list = list[n:]
	}
	return nil
}
