package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
)

// S3Keeper keeps the heads of the audit chain as objects, one for each, named
// by sequence number and hash, and never written twice. With object lock on the
// bucket nobody can take them away either.
type S3Keeper struct {
	cloud  *Cloud
	bucket string
	prefix string // empty, or ends in a slash
}

var _ audit.Keeper = (*S3Keeper)(nil)

// NewS3Keeper reads s3://bucket/prefix. It calls nothing yet.
func NewS3Keeper(c *Cloud, rawURL string) (*S3Keeper, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fault.New(fault.Usage, fmt.Sprintf("%q names no place in S3", rawURL), "write audit.head.s3: s3://bucket/prefix")
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3Keeper{cloud: c, bucket: u.Host, prefix: prefix}, nil
}

// String implements audit.Keeper.
func (k *S3Keeper) String() string { return "s3://" + k.bucket + "/" + k.prefix }

// headKey is what the name of a head's object looks like.
var headKey = regexp.MustCompile(`^head-(\d{20})-([0-9a-f]+|none)\.json$`)

func (k *S3Keeper) key(h audit.Head) string {
	hash := h.Hash
	if hash == "" {
		hash = "none" // of the empty chain
	}
	return fmt.Sprintf("%shead-%020d-%s.json", k.prefix, h.Seq, hash)
}

// Keep implements audit.Keeper. Keeping the same head again is no error.
func (k *S3Keeper) Keep(ctx context.Context, h audit.Head) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	client, err := k.cloud.S3(ctx, "")
	if err != nil {
		return err
	}
	key := k.key(h)
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(k.bucket), Key: aws.String(key), Body: bytes.NewReader(body),
		ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*")})
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "PreconditionFailed" || api.ErrorCode() == "ConditionalRequestConflict") {
		return k.same(ctx, client, key, h)
	}
	return Explain(err, "write the audit head to "+k.String())
}

// same makes sure that what is there already says the same.
func (k *S3Keeper) same(ctx context.Context, client S3Client, key string, want audit.Head) error {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(k.bucket), Key: aws.String(key)})
	if err != nil {
		return Explain(err, "read the audit head back from "+k.String())
	}
	body, err := io.ReadAll(io.LimitReader(out.Body, 1<<16))
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return fmt.Errorf("read the audit head back from %s: %w", k, err)
	}
	var have audit.Head
	if json.Unmarshal(body, &have) != nil || have.Seq != want.Seq || have.Hash != want.Hash {
		return fault.New(fault.Corrupt, fmt.Sprintf("s3://%s/%s does not hold the head that its name says", k.bucket, key), "find out who writes to this bucket")
	}
	return nil
}

// Heads implements audit.Keeper. Names carry what a head says, so that a year
// of heads is read by some hundred calls; the time is when S3 stored it.
func (k *S3Keeper) Heads(ctx context.Context) ([]audit.Head, error) {
	client, err := k.cloud.S3(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []audit.Head
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(k.bucket), Prefix: aws.String(k.prefix + "head-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(err, "list the audit heads in "+k.String())
		}
		for _, o := range page.Contents {
			m := headKey.FindStringSubmatch(strings.TrimPrefix(aws.ToString(o.Key), k.prefix))
			if m == nil {
				return nil, fault.New(fault.Corrupt, fmt.Sprintf("s3://%s/%s is no head of the audit chain", k.bucket, aws.ToString(o.Key)), "find out who writes to this bucket")
			}
			seq, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the name of s3://%s/%s: %w", k.bucket, aws.ToString(o.Key), err)
			}
			h := audit.Head{Seq: seq, Hash: m[2], At: aws.ToTime(o.LastModified)}
			if h.Hash == "none" {
				h.Hash = ""
			}
			out = append(out, h)
		}
	}
	return out, nil
}
