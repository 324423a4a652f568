package forensics

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// PutManifest writes a sealed manifest and its signature into the evidence
// bucket, each once, and returns where the manifest is; empty where no bucket is
// configured. It changes the world: steps call it within Change. It may be
// repeated: what is there with the same bytes is fine, other bytes under its name
// are refused.
// They are locked as the policy says, counted from now; unlocked says that the
// bucket cannot.
func PutManifest(ctx context.Context, a awscalls.AWS, p respond.Policy, at awscalls.Place, s evidence.Sealed, now time.Time) (location string, unlocked bool, err error) {
	if p.Evidence.Bucket == "" {
		return "", false, nil
	}
	c, err := a.S3(ctx, ManifestPlace(p, at))
	if err != nil {
		return "", false, err
	}
	name := path.Join(p.Evidence.Prefix, at.Incident, "manifest", fmt.Sprintf("%04d", s.Revision))
	sig, err := s.SignatureBytes()
	if err != nil {
		return "", false, err
	}
	var until time.Time
	if e := p.Evidence; e.LockDays > 0 && (e.LockMode == "governance" || e.LockMode == "compliance") {
		until = now.UTC().Truncate(time.Second).AddDate(0, 0, e.LockDays)
	}
	for _, o := range []struct {
		key  string
		data []byte
	}{{name + ".json", s.Bytes}, {name + ".sig.json", sig}} {
		err := putOnce(ctx, c, p, o.key, o.data, until)
		if !until.IsZero() && respond.NoObjectLock(err) {
			unlocked, until = true, time.Time{}
			err = putOnce(ctx, c, p, o.key, o.data, until)
		}
		if err != nil {
			return "", false, err
		}
	}
	return "s3://" + p.Evidence.Bucket + "/" + name + ".json", unlocked, nil
}

// ManifestPlace is where the manifest about what is at a place is written.
func ManifestPlace(p respond.Policy, at awscalls.Place) awscalls.Place {
	at.Role = awscalls.Forensics
	if p.Forensics.Account != "" {
		at.Account = p.Forensics.Account
	}
	if p.Evidence.Region != "" {
		at.Region = p.Evidence.Region
	}
	return at
}

func putOnce(ctx context.Context, c awscalls.S3, p respond.Policy, key string, data []byte, until time.Time) error {
	in := &s3.PutObjectInput{Bucket: aws.String(p.Evidence.Bucket), Key: aws.String(key), Body: bytes.NewReader(data), ContentType: aws.String("application/json"),
		IfNoneMatch: aws.String("*"), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256, ChecksumSHA256: aws.String(base64Of(evidence.Digest(data)))}
	if p.Evidence.KMSKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = s3types.ServerSideEncryptionAwsKms, aws.String(p.Evidence.KMSKey)
	}
	if !until.IsZero() {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = s3types.ObjectLockMode(strings.ToUpper(p.Evidence.LockMode)), aws.Time(until)
	}
	_, err := c.PutObject(ctx, in)
	if !respond.Is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		return err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, out.Body); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != evidence.Digest(data) {
		return fault.New(fault.Corrupt, "another manifest is in the evidence bucket as "+key, "look who wrote it; the store's own is not touched by it")
	}
	return nil
}
