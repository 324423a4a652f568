package ec2

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// What is read of one bucket at once: objects, their bytes, and the bytes that
// those unpack to.
const (
	maxObjects  = 500
	maxPacked   = 64 << 20
	maxUnpacked = 1 << 30
)

// unreadableObjects says why the objects of a flow log in S3 prove nothing here.
func (l FlowLog) unreadableObjects() string {
	bucket, _ := l.bucket()
	f, _ := readFormat(l.Format)
	_, names := f.at["interface-id"]
	switch {
	case bucket == "":
		return "delivers to a bucket that it does not name"
	case l.Parquet:
		return "delivers to S3 (" + bucket + ") as Parquet, which is not read here"
	case !names:
		return "delivers to S3 (" + bucket + ") without the field interface-id"
	}
	return ""
}

// bucket is where the flow log delivers, and the beginning of the keys there.
func (l FlowLog) bucket() (name, prefix string) {
	_, rest, ok := strings.Cut(l.To, ":s3:::")
	if !ok {
		return "", ""
	}
	name, prefix, _ = strings.Cut(rest, "/")
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return name, prefix
}

// folder is where the objects of a time are, and step the time to the next one.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
func (l FlowLog) folder(account, region string, at time.Time) (folder string, step time.Duration) {
	_, prefix := l.bucket()
	at = at.UTC()
	path, hour := "%sAWSLogs/%s/vpcflowlogs/%s/%04d/%02d/%02d/", "%02d/"
	if l.Hive {
		path, hour = "%sAWSLogs/aws-account-id=%s/aws-service=vpcflowlogs/aws-region=%s/year=%04d/month=%02d/day=%02d/", "hour=%02d/"
	}
	folder = fmt.Sprintf(path, prefix, account, region, at.Year(), at.Month(), at.Day())
	if l.Hourly {
		return folder + fmt.Sprintf(hour, at.Hour()), time.Hour
	}
	return folder, 24 * time.Hour
}

// readObjects counts the records of an interface in a bucket. The objects of a
// flow log name it and the minute at which they were written.
func (p *prover) readObjects(ctx context.Context, l FlowLog, n Interface, t *tally) (reason string) {
	bucket, _ := l.bucket()
	c, err := p.aws.S3(ctx, p.place)
	if err != nil {
		return unread("bucket "+bucket, err)
	}
	left := budget{objects: maxObjects, packed: maxPacked, unpacked: maxUnpacked}
	since := t.from.Add(-early)
	_, step := l.folder(p.w.Account, p.w.Region, since)
	for at := since.UTC().Truncate(step); !at.After(p.now); at = at.Add(step) {
		folder, _ := l.folder(p.w.Account, p.w.Region, at)
		name := folder + p.w.Account + "_vpcflowlogs_" + p.w.Region + "_" + l.ID + "_"
		in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &name, StartAfter: aws.String(name + since.UTC().Format("20060102T1504Z"))}
		for {
			page, err := c.ListObjectsV2(ctx, in)
			if err != nil {
				return unread("bucket "+bucket, err)
			}
			for _, o := range page.Contents {
				if left.objects, left.packed = left.objects-1, left.packed-aws.ToInt64(o.Size); left.objects < 0 || left.packed < 0 {
					return "bucket " + bucket + " has more of it than is read at once"
				}
				if reason := readObject(ctx, c, bucket, str(o.Key), n, t, &left); reason != "" {
					return reason
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				break
			}
			in.ContinuationToken = page.NextContinuationToken
		}
	}
	return ""
}

// budget is what may still be read.
type budget struct {
	objects          int
	packed, unpacked int64
}

func readObject(ctx context.Context, c awscalls.S3, bucket, key string, n Interface, t *tally, left *budget) (reason string) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return unread("bucket "+bucket, err)
	}
	defer out.Body.Close() //nolint:errcheck // it was read
	read, err := readLines(out.Body, left.unpacked, n, t)
	left.unpacked -= read
	switch {
	case errors.Is(err, errTooMuch):
		return "bucket " + bucket + " has more of it than is read at once"
	case err != nil:
		return "an object of bucket " + bucket + " is no flow log file"
	}
	return ""
}

var errTooMuch = errors.New("it is more than is read at once")

// readLines counts the records of an interface in a packed file, whose first
// line names the fields, and returns how much was unpacked.
func readLines(packed io.Reader, limit int64, n Interface, t *tally) (read int64, err error) {
	z, err := gzip.NewReader(io.LimitReader(packed, maxPacked))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(io.LimitReader(z, limit+1))
	lines.Buffer(make([]byte, 0, maxRecord), 2*maxRecord)
	var f flowFormat
	for first := true; lines.Scan(); first = false {
		line := lines.Text()
		if read += int64(len(line)) + 1; read > limit {
			return read, errTooMuch
		}
		if first {
			var lacks string
			if f, lacks = formatOf(strings.Fields(line)); lacks != "" {
				return read, fmt.Errorf("its first line lacks the field %s", lacks)
			}
			continue
		}
		if strings.Contains(line, n.ID) {
			t.take(f, line)
		}
	}
	return read, lines.Err()
}
