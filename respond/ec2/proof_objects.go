package ec2

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

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

// readObjects counts the records of an interface in a bucket, the newest objects
// first. The objects of a flow log name it and the minute at which they were
// written. One that is none of its files keeps no other from being read.
func (p *prover) readObjects(ctx context.Context, l FlowLog, n Interface, t *tally) (reason string) {
	bucket, _ := l.bucket()
	c, err := p.aws.S3(ctx, p.place)
	if err != nil {
		return unread("bucket "+bucket, err)
	}
	list, older, err := p.newestObjects(ctx, c, l, t.since)
	if err != nil {
		return unread("bucket "+bucket, err)
	}
	if older {
		reason = "bucket " + bucket + " has more of it than is read at once"
	}
	left := budget{packed: maxPacked, unpacked: maxUnpacked}
	for _, o := range slices.Backward(list) {
		if left.packed -= aws.ToInt64(o.Size); left.packed < 0 {
			return "bucket " + bucket + " has more of it than is read at once"
		}
		why, end := readObject(ctx, c, bucket, str(o.Key), n, t, &left)
		if why != "" && reason == "" {
			reason = why
		}
		if end || t.enough() {
			break
		}
	}
	return reason
}

// newestObjects lists the objects of a flow log since a time in the order in which
// they were written, and no more of them than are read. older says that there were.
func (p *prover) newestObjects(ctx context.Context, c awscalls.S3, l FlowLog, since time.Time) (list []types.Object, older bool, err error) {
	bucket, _ := l.bucket()
	_, step := l.folder(p.w.Account, p.w.Region, since)
	for at := since.UTC().Truncate(step); !at.After(p.now); at = at.Add(step) {
		folder, _ := l.folder(p.w.Account, p.w.Region, at)
		name := folder + p.w.Account + "_vpcflowlogs_" + p.w.Region + "_" + l.ID + "_"
		in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &name, StartAfter: aws.String(name + since.UTC().Format("20060102T1504Z"))}
		for {
			page, err := c.ListObjectsV2(ctx, in)
			if err != nil {
				return nil, older, err
			}
			list = append(list, page.Contents...)
			if more := len(list) - maxObjects; more > 0 {
				list, older = slices.Clone(list[more:]), true
			}
			if !aws.ToBool(page.IsTruncated) {
				break
			}
			in.ContinuationToken = page.NextContinuationToken
		}
	}
	return list, older, nil
}

// budget is what may still be read.
type budget struct{ packed, unpacked int64 }

// readObject reads one object. end says that no other is to be read after it.
func readObject(ctx context.Context, c awscalls.S3, bucket, key string, n Interface, t *tally, left *budget) (reason string, end bool) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return unread("bucket "+bucket, err), true
	}
	defer out.Body.Close() //nolint:errcheck // it was read
	read, err := readLines(out.Body, left.unpacked, n, t)
	left.unpacked -= read
	switch {
	case errors.Is(err, errTooMuch):
		return "bucket " + bucket + " has more of it than is read at once", true
	case err != nil:
		return "an object of bucket " + bucket + " is no flow log file", ctx.Err() != nil
	}
	return "", false
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
