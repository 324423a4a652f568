package forensics

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func encrypt(x *respond.Exec, how *s3types.ServerSideEncryption, key **string) {
	if k := x.Policy.Evidence.KMSKey; k != "" {
		*how, *key = s3types.ServerSideEncryptionAwsKms, aws.String(k)
	}
}

// partsOf are the parts that have arrived.
func partsOf(x *respond.Exec, a acquisition) ([]s3types.Part, error) {
	var parts []s3types.Part
	err := bucketCall(x, x.Look, func(ctx context.Context, c awscalls.S3) error {
		parts = nil
		in := &s3.ListPartsInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key), UploadId: aws.String(a.Upload)}
		for {
			out, err := c.ListParts(ctx, in)
			if err != nil {
				return err
			}
			parts = append(parts, out.Parts...)
			if !aws.ToBool(out.IsTruncated) {
				return nil
			}
			in.PartNumberMarker = out.NextPartNumberMarker
		}
	})
	return parts, err
}

// fits adds up what arrived. More than the instance has is an error: nothing says
// how long a part may be, and what is put together is locked.
func fits(p memoryParams, parts []s3types.Part) (int64, error) {
	var sum int64
	for _, q := range parts {
		sum += aws.ToInt64(q.Size)
	}
	if sum > p.most() {
		return sum, playbook.Permanent(fault.New(fault.Conflict, fmt.Sprintf("the host sent %d MiB and has %d MiB of memory: nothing of it was kept", sum>>20, p.MiB), "the disks go on; look at what the host runs"))
	}
	return sum, nil
}

// received puts the parts together, hashes the object as it is stored, and
// compares with what the host says of it.
func received(x *respond.Exec, p memoryParams, a acquisition, said hostSays) (playbook.Outcome, error) {
	size, version, err := together(x, p, a)
	if err != nil {
		if closed := closeMemory(x, a, err); closed != nil {
			return playbook.Outcome{}, closed
		}
		return noMemory(x, p, "", err)
	}
	digest, err := hashObject(x, a, version, size)
	if err != nil {
		return playbook.Outcome{}, err
	}
	v := vault(x)
	i := evidence.Item{ID: x.Def.ID, Kind: evidence.Memory, Title: "memory of " + p.Instance, Source: p.Instance, Location: location(a.Bucket, a.Key), Version: version, Account: v.Account, Region: v.Region,
		SizeBytes: size, SHA256: digest, HashOver: "the object's bytes", How: "SSM.SendCommand " + a.Command, Tool: p.tool(), Trust: trustHost, Key: x.Policy.Evidence.KMSKey, LockMode: a.Mode, LockUntil: a.Until}
	note := "the host's own hash is the same"
	switch {
	case said.SHA256 == "":
		note = "the host gave no hash of its own"
	case said.SHA256 != digest:
		note = "the host gave another hash"
		if err := x.Lack("the host's hash of its memory", fmt.Sprintf("it says %s, and what arrived is %s", clean(said.SHA256), digest)); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := x.Preserve(i); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Custody("acquired", i.ID, p.Instance, i.Location, "memory, "+note+"; kernel "+clean(said.Kernel)); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Finish(func(ctx context.Context) error { return x.Owed.Settle(ctx, owedID(x.RunID, x.Def.ID)) }); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%d MiB of memory, SHA-256 %s; %s", size>>20, digest, note)}, nil
}

// together completes the upload; one that is complete already is taken as it is.
func together(x *respond.Exec, p memoryParams, a acquisition) (size int64, version string, err error) {
	size, version, err = headOf(x, a)
	if err != nil || size > 0 {
		return size, version, err
	}
	parts, err := partsOf(x, a)
	if err != nil {
		return 0, "", err
	}
	if len(parts) == 0 {
		return 0, "", playbook.Permanent(fault.New(fault.Unavailable, "the host says that it sent its memory, and nothing arrived", "the disks go on"))
	}
	if _, err := fits(p, parts); err != nil {
		return 0, "", err
	}
	done := &s3types.CompletedMultipartUpload{}
	for _, q := range parts {
		done.Parts = append(done.Parts, s3types.CompletedPart{PartNumber: q.PartNumber, ETag: q.ETag})
	}
	err = bucketCall(x, x.Change, func(ctx context.Context, c awscalls.S3) error {
		_, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key), UploadId: aws.String(a.Upload), MultipartUpload: done, IfNoneMatch: aws.String("*")})
		return err
	})
	if err != nil {
		return 0, "", err
	}
	return headOf(x, a)
}

func headOf(x *respond.Exec, a acquisition) (size int64, version string, err error) {
	err = bucketCall(x, x.Look, func(ctx context.Context, c awscalls.S3) error {
		out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key)})
		if err == nil {
			size, version = aws.ToInt64(out.ContentLength), aws.ToString(out.VersionId)
		}
		return err
	})
	if respond.Is(err, "NotFound", "NoSuchKey") {
		return 0, "", nil
	}
	return size, version, err
}

// rangeBytes is how much of an object is read by one call.
const rangeBytes = 64 << 20

// hashObject hashes a large object as it is stored, range by range, and goes on
// from where it was after a crash.
func hashObject(x *respond.Exec, a acquisition, version string, size int64) (string, error) {
	var at struct {
		State []byte `json:"state,omitempty"`
		Bytes int64  `json:"bytes"`
	}
	sum := newRunning()
	if x.Load("hashing", &at) && at.State != nil {
		if err := sum.restore(at.State); err != nil {
			return "", playbook.Permanent(fmt.Errorf("go on with the hash of %s: %w", a.Key, err))
		}
	}
	for n := 1; at.Bytes < size; n++ {
		want := min(int64(rangeBytes), size-at.Bytes)
		data := make([]byte, want)
		err := bucketCall(x, x.Look, func(ctx context.Context, c awscalls.S3) error {
			in := &s3.GetObjectInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key), Range: aws.String(fmt.Sprintf("bytes=%d-%d", at.Bytes, at.Bytes+want-1))}
			if version != "" {
				in.VersionId = aws.String(version)
			}
			out, err := c.GetObject(ctx, in)
			if err != nil {
				return err
			}
			defer out.Body.Close()
			if _, err := io.ReadFull(out.Body, data); err != nil {
				return fault.Wrap(fault.Unavailable, respond.Worded(err), "read "+a.Key, "", "it is asked again")
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		sum.Write(data)
		at.Bytes += want
		if n%16 == 0 {
			state, err := sum.state()
			if err != nil {
				return "", playbook.Permanent(fmt.Errorf("keep the hash of %s: %w", a.Key, err))
			}
			at.State = state
			x.Progress(playbook.Progress{Done: at.Bytes >> 20, Total: size >> 20, Unit: "MiB", Message: "hashing what arrived"})
			if err := x.Save("hashing", at); err != nil {
				return "", err
			}
		}
	}
	return sum.hex(), nil
}

// closeAcquisition ends what a taking of memory left open.
func closeAcquisition(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
	var q acquisition
	if err := json.Unmarshal(o.Params, &q); err != nil {
		return fmt.Errorf("read what %s opened: %w", o.ID, err)
	}
	return shut(ctx, a, o.Place, q)
}
