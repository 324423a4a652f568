package forensics

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
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

// vault is where objects of evidence are kept.
func vault(x *respond.Exec) awscalls.Place {
	region := x.Policy.Evidence.Region
	if region == "" {
		region = x.Def.Region
	}
	return x.In(awscalls.Forensics, home(x.Policy, x.Def.Account), region)
}

// key is the name of an object of this run in the evidence bucket.
func key(x *respond.Exec, name string) string {
	return path.Join(x.Policy.Evidence.Prefix, x.Plan.Incident.String(), string(x.RunID), x.Def.Part, name)
}

func location(bucket, key string) string { return "s3://" + bucket + "/" + key }

// stored is an object that was written, or that is about to be.
type stored struct {
	Key     string    `json:"key"`
	SHA256  string    `json:"sha256"`
	Bytes   int64     `json:"bytes"`
	Version string    `json:"version,omitempty"`
	Mode    string    `json:"lock_mode,omitempty"`
	Until   time.Time `json:"lock_until,omitzero"`
	Done    bool      `json:"done,omitempty"`
	// Earlier are the digests of what earlier attempts may have written.
	Earlier []string `json:"earlier,omitempty"`
}

// keep writes an object under a name that nothing is overwritten at. What is to
// be written is saved before: after a crash the object that is there is taken if
// it is the one that was to be written, for what AWS shows may have changed since.
func keep(x *respond.Exec, name, contentType string, get func() ([]byte, error)) (stored, error) {
	saved := "object/" + name
	var s stored
	known := x.Load(saved, &s)
	if known && s.Done {
		return s, nil
	}
	var earlier []string
	if known {
		found, err := sumOf(x, s.Key)
		if err != nil {
			return s, err
		}
		if s.is(found) {
			return s, x.Save(saved, s)
		}
		earlier = append(s.Earlier, s.SHA256)
	}
	data, err := get()
	if err != nil || data == nil {
		return stored{}, err
	}
	s = stored{Key: key(x, name), SHA256: evidence.Digest(data), Bytes: int64(len(data)), Earlier: earlier}
	s.lock(x)
	if err := x.Save(saved, s); err != nil {
		return s, err
	}
	version, err := put(x, s, contentType, data)
	if s.Mode != "" && respond.NoObjectLock(err) {
		// The bucket has no Object Lock: the object is worth more than its lock.
		if err := x.Lack("lock of "+name, "the evidence bucket has no Object Lock"); err != nil {
			return s, err
		}
		s.Mode, s.Until = "", time.Time{}
		if err := x.Save(saved, s); err != nil {
			return s, err
		}
		version, err = put(x, s, contentType, data)
	}
	if respond.Is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		if err := taken(x, &s); err != nil {
			return s, err
		}
		return s, x.Save(saved, s)
	}
	if err != nil {
		return s, err
	}
	s.Version, s.Done = version, true
	return s, x.Save(saved, s)
}

// lock sets the Object Lock that the policy wants.
func (s *stored) lock(x *respond.Exec) {
	e := x.Policy.Evidence
	if e.LockDays > 0 && (e.LockMode == "governance" || e.LockMode == "compliance") {
		s.Mode, s.Until = e.LockMode, x.Started().UTC().Truncate(time.Second).AddDate(0, 0, e.LockDays)
	}
}

// is takes what was found under the name for what was to be written, by this
// attempt or an earlier one. It reports whether it is that.
func (s *stored) is(f sum) bool {
	if f.SHA256 != s.SHA256 && !slices.Contains(s.Earlier, f.SHA256) {
		return false
	}
	s.SHA256, s.Bytes, s.Version, s.Done = f.SHA256, f.Bytes, f.Version, true
	return true
}

// taken says what is to be thought of an object under a name of ours.
func taken(x *respond.Exec, s *stored) error {
	found, err := sumOf(x, s.Key)
	switch {
	case err != nil:
		return err
	case found.SHA256 == "":
		return fault.New(fault.Unavailable, "the evidence bucket is not settled about "+s.Key, "it is asked again")
	case s.is(found):
		return nil
	}
	return playbook.Permanent(fault.New(fault.Conflict, "an object with other contents is in the evidence bucket as "+s.Key, "it was not overwritten: look who wrote it"))
}

func put(x *respond.Exec, s stored, contentType string, data []byte) (version string, err error) {
	err = x.Change(func(ctx context.Context) error {
		c, err := x.AWS.S3(ctx, vault(x))
		if err != nil {
			return err
		}
		in := &s3.PutObjectInput{Bucket: aws.String(x.Policy.Evidence.Bucket), Key: aws.String(s.Key), Body: bytes.NewReader(data), ContentType: aws.String(contentType), ContentLength: aws.Int64(s.Bytes),
			IfNoneMatch: aws.String("*"), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256, ChecksumSHA256: aws.String(base64Of(s.SHA256))}
		if k := x.Policy.Evidence.KMSKey; k != "" {
			in.ServerSideEncryption, in.SSEKMSKeyId = s3types.ServerSideEncryptionAwsKms, aws.String(k)
		}
		if s.Mode != "" {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = s3types.ObjectLockMode(strings.ToUpper(s.Mode)), aws.Time(s.Until)
		}
		out, err := c.PutObject(ctx, in)
		if err == nil {
			version = aws.ToString(out.VersionId)
		}
		return err
	})
	return version, err
}

func base64Of(hexDigest string) string {
	b, err := hex.DecodeString(hexDigest)
	if err != nil {
		panic("forensics: a digest of ours is no hex: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(b)
}

// sum is an object as it is stored.
type sum struct {
	SHA256, Version string
	Bytes           int64
}

// sumOf hashes an object as it is stored; empty where there is none.
func sumOf(x *respond.Exec, key string) (sum, error) {
	var f sum
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.S3(ctx, vault(x))
		if err != nil {
			return err
		}
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(x.Policy.Evidence.Bucket), Key: aws.String(key)})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		h := sha256.New()
		n, err := io.Copy(h, out.Body)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		f = sum{SHA256: hex.EncodeToString(h.Sum(nil)), Version: aws.ToString(out.VersionId), Bytes: n}
		return nil
	})
	if respond.Is(err, "NoSuchKey", "NotFound") {
		return sum{}, nil
	}
	return f, err
}

// object is the evidence item of what was kept.
func (s stored) object(x *respond.Exec, kind evidence.Kind, title, source, how, trust string) evidence.Item {
	v := vault(x)
	return evidence.Item{ID: x.Def.ID, Kind: kind, Title: title, Source: source, Location: location(x.Policy.Evidence.Bucket, s.Key), Version: s.Version, Account: v.Account, Region: v.Region,
		SizeBytes: s.Bytes, SHA256: s.SHA256, HashOver: "the object's bytes", How: how, Trust: trust, Key: x.Policy.Evidence.KMSKey, LockMode: s.Mode, LockUntil: s.Until}
}

// running is a SHA-256 that can be saved half-way.
type running struct{ hash.Hash }

func newRunning() running { return running{sha256.New()} }

func (r running) state() ([]byte, error) { return r.Hash.(encoding.BinaryMarshaler).MarshalBinary() }

func (r running) restore(state []byte) error {
	return r.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

func (r running) hex() string { return hex.EncodeToString(r.Sum(nil)) }
