package kit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// KeepCalls are the calls of Keep, by the forensics role.
func KeepCalls() []string { return []string{"S3.PutObject", "S3.GetObject"} }

// Piece is something to be kept in the evidence bucket.
type Piece struct {
	Name  string // the last word of its key, for example user.json
	Kind  evidence.Kind
	Title string
	// Source is the ARN that it was taken from, How the calls.
	Source, How string
	Type        string // the media type
	Trust       string // of the item; empty: aws api
	Body        io.ReadSeeker
	// SHA256 in hex and Size are over Body; where empty they are computed.
	SHA256 string
	Size   int64
}

// KeepJSON keeps a JSON document. The same text is written after a crash.
func KeepJSON(x *respond.Exec, name string, kind evidence.Kind, title, source, how string, doc []byte) error {
	return Keep(x, Piece{Name: name, Kind: kind, Title: title, Source: source, How: how, Type: "application/json", Body: bytes.NewReader(doc)})
}

// Keep writes a piece into the evidence bucket, under a key of its own that is
// never overwritten, and records the item. Without a bucket it records the gap.
// It may be repeated: an object that is there already must have the same bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func Keep(x *respond.Exec, p Piece) error {
	e := x.Policy.Evidence
	if e.Bucket == "" {
		return x.Lack(p.Title, "no evidence bucket is configured; what was read stays in the record of the step")
	}
	if err := p.sum(); err != nil {
		return playbook.Permanent(err)
	}
	key := path.Join(e.Prefix, x.Plan.Incident.String(), string(x.RunID), x.Def.ID, p.Name)
	place := x.In(awscalls.Forensics, cmp.Or(x.Policy.Forensics.Account, x.Def.Account), cmp.Or(e.Region, x.Def.Region))
	in := &s3.PutObjectInput{
		Bucket: &e.Bucket, Key: &key, ContentType: &p.Type, ContentLength: &p.Size, IfNoneMatch: aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: aws.String(base64Of(p.SHA256)),
	}
	item := evidence.Item{
		ID: x.Def.ID + "/" + p.Name, Kind: p.Kind, Title: p.Title, Source: p.Source, Location: "s3://" + e.Bucket + "/" + key,
		Account: place.Account, Region: place.Region, SizeBytes: p.Size, SHA256: p.SHA256, HashOver: "the object's bytes",
		How: p.How, Trust: cmp.Or(p.Trust, "aws api"), Key: e.KMSKey,
	}
	if e.KMSKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &e.KMSKey
	}
	until, err := respond.Once(x, "lock_until/"+p.Name, func() (time.Time, error) {
		return x.Now().UTC().Truncate(time.Second).AddDate(0, 0, e.LockDays), nil
	})
	if err != nil {
		return err
	}
	const noLock = "not locked: the bucket has no Object Lock"
	var plain bool // an earlier attempt may have written it without a lock
	x.Load("no_lock/"+p.Name, &plain)
	if plain {
		item.Gap = noLock
	} else if mode := strings.ToUpper(e.LockMode); e.LockDays > 0 && (mode == string(types.ObjectLockModeGovernance) || mode == string(types.ObjectLockModeCompliance)) {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockMode(mode), &until
		item.LockMode, item.LockUntil = e.LockMode, until
	}
	item.Version, err = write(x, place, in, p)
	if in.ObjectLockMode != "" && respond.NoObjectLock(err) {
		// Saved first: after a crash the object that is there is not locked.
		if err := x.Save("no_lock/"+p.Name, true); err != nil {
			return err
		}
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = "", nil
		item.LockMode, item.LockUntil, item.Gap = "", time.Time{}, noLock
		item.Version, err = write(x, place, in, p)
	}
	if err != nil {
		return respond.Explain(err, "keep "+p.Title+" in the evidence bucket", "it was read; nothing in the account was changed by this")
	}
	if err := x.Preserve(item); err != nil {
		return err
	}
	return x.Custody("acquired", item.ID, p.Source, item.Location, x.Def.Title)
}

func (p *Piece) sum() error {
	if p.SHA256 != "" {
		return nil
	}
	h := sha256.New()
	n, err := io.Copy(h, p.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.Title, err)
	}
	p.SHA256, p.Size = hex.EncodeToString(h.Sum(nil)), n
	return nil
}

func base64Of(hexSum string) string {
	raw, err := hex.DecodeString(hexSum)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func write(x *respond.Exec, place awscalls.Place, in *s3.PutObjectInput, p Piece) (version string, err error) {
	err = x.Change(func(ctx context.Context) error {
		if _, err := p.Body.Seek(0, io.SeekStart); err != nil {
			return playbook.Permanent(fmt.Errorf("read %s again: %w", p.Title, err))
		}
		api, err := x.AWS.S3(ctx, place)
		if err != nil {
			return err
		}
		in.Body = p.Body
		out, err := api.PutObject(ctx, in)
		if respond.Is(err, "PreconditionFailed") {
			version, err = present(ctx, api, *in.Bucket, *in.Key, p.SHA256)
			return err
		}
		if err != nil {
			return err
		}
		version = aws.ToString(out.VersionId)
		return nil
	})
	return version, err
}

// present compares the object that is there with what was to be written.
func present(ctx context.Context, api awscalls.S3, bucket, key, sum string) (string, error) {
	out, err := api.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, out.Body); err != nil {
		return "", fault.Wrap(fault.Unavailable, respond.Worded(err), "read s3://"+bucket+"/"+key, "", "it is asked again")
	}
	if hex.EncodeToString(h.Sum(nil)) != sum {
		f := fault.New(fault.Conflict, "s3://"+bucket+"/"+key+" is there already with other bytes", "look at who writes into the evidence bucket")
		f.Safe = "it was not overwritten"
		return "", playbook.Permanent(f)
	}
	return aws.ToString(out.VersionId), nil
}
