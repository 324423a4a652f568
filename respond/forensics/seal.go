package forensics

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// manifests is the folder of an incident's manifests in the evidence bucket.
func manifests(x *respond.Exec) string {
	return path.Join(x.Policy.Evidence.Prefix, x.Plan.Incident.String(), "manifest")
}

var revisionForm = regexp.MustCompile(`/([0-9]{4,9})\.json$`)

// seal builds the next revision of the incident's manifest from all that the
// run's steps recorded, signs it and keeps it. The name of a revision is written
// once: of two runs that seal at the same time, the later one builds on the other.
func seal(x *respond.Exec) (playbook.Outcome, error) {
	var p reportParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	key, why, err := signingKey(x)
	if err != nil {
		return playbook.Outcome{}, err
	}
	for range 20 { // each time another run was quicker
		s, kept, err := sealOnce(x, p, key, why)
		if err != nil {
			return playbook.Outcome{}, err
		}
		if !kept {
			continue
		}
		out := fmt.Sprintf("manifest %s, revision %d", s.SHA256[:8], s.Revision)
		if s.Location == "" {
			out += ", in guardroom's store only"
		}
		if s.Signature.Value == "" {
			out += ", not signed: " + s.Signature.Unsigned
		} else {
			out += ", signed by key " + s.Signature.KeyID
		}
		return playbook.Outcome{Message: out}, nil
	}
	return playbook.Outcome{}, fault.New(fault.Unavailable, "others seal manifests of "+x.Plan.Incident.String()+" all the time", "it is tried again")
}

func signingKey(x *respond.Exec) (ed25519.PrivateKey, string, error) {
	file := x.Policy.Evidence.SigningKey
	if file == "" {
		return nil, "no signing key is configured (evidence.signing_key)", nil
	}
	key, err := evidence.OpenKey(file, rand.Reader)
	if err != nil {
		// A manifest without a signature is worth more than none.
		return nil, "the signing key cannot be used: " + fault.Of(err).Error(), x.Lack("signature of the manifest", fault.Of(err).Error())
	}
	return key, "", nil
}

// sealOnce builds and keeps one revision. What it builds is saved before it is
// written, so that a repeat writes the same bytes.
func sealOnce(x *respond.Exec, p reportParams, key ed25519.PrivateKey, why string) (s evidence.Sealed, kept bool, err error) {
	bucket := x.Policy.Evidence.Bucket
	if x.Load(SavedManifest, &s) && len(s.Bytes) > 0 {
		if bucket == "" {
			return s, true, nil
		}
		kept, err = keepManifest(x, &s)
		return s, kept, err
	}
	var previous []byte
	var number int
	if bucket != "" {
		if previous, number, err = newest(x); err != nil {
			return s, false, err
		}
	}
	m, err := next(x, p, previous, number)
	if err != nil {
		return s, false, err
	}
	if s, err = evidence.Seal(m, key, why); err != nil {
		return s, false, err
	}
	if bucket != "" {
		s.Location = location(bucket, path.Join(manifests(x), fmt.Sprintf("%04d.json", s.Revision)))
	}
	if err := x.Save(SavedManifest, s); err != nil {
		return s, false, err
	}
	if bucket == "" {
		return s, true, nil
	}
	kept, err = keepManifest(x, &s)
	return s, kept, err
}

// next builds the revision after previous. One that cannot be read, because
// somebody changed it, ends the chain with a gap that says so, and holds up nothing.
func next(x *respond.Exec, p reportParams, previous []byte, number int) (evidence.Manifest, error) {
	items, gaps, custody := gather(x)
	items, custody = evidence.OfRun(string(x.RunID), items, custody)
	parts := evidence.Parts{Case: p.Case, Run: string(x.RunID), Items: items, Gaps: gaps, Custody: custody, By: "guardroom/" + string(x.RunID), Simulated: x.AWS.Simulated()}
	m, err := evidence.Build(previous, parts, x.Now())
	if err == nil || previous == nil {
		return m, err
	}
	gap := evidence.Gap{What: fmt.Sprintf("manifest revision %d", number), Why: "it cannot be read: " + fault.Of(err).Error()}
	if err := x.Lack(gap.What, gap.Why); err != nil {
		return m, err
	}
	parts.Gaps = append(parts.Gaps, gap)
	if m, err = evidence.Build(nil, parts, x.Now()); err != nil {
		return m, err
	}
	m.Revision, m.Previous = number+1, evidence.Digest(previous)
	return m, nil
}

// keepManifest writes the manifest, then its signature beside it. It reports
// false where another manifest has that revision: what was built is then
// forgotten, to be built anew on the other.
func keepManifest(x *respond.Exec, s *evidence.Sealed) (bool, error) {
	name := strings.TrimPrefix(s.Location, "s3://"+x.Policy.Evidence.Bucket+"/")
	version, err := putNew(x, name, s.Bytes)
	if respond.Is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		found, looked := sumOf(x, name)
		if looked != nil {
			return false, looked
		}
		if found.SHA256 != s.SHA256 {
			return false, x.Save(SavedManifest, nil)
		}
		version, err = found.Version, nil
	}
	if err != nil {
		return false, err
	}
	if s.Version != version {
		s.Version = version
		if err := x.Save(SavedManifest, s); err != nil {
			return false, err
		}
	}
	sig, err := evidence.Canonical(evidence.Sealed{SHA256: s.SHA256, Revision: s.Revision, Location: s.Location, Signature: s.Signature})
	if err != nil {
		return false, err
	}
	_, err = putNew(x, strings.TrimSuffix(name, ".json")+".sig.json", sig)
	if respond.Is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		err = nil // ours: the name is that of our manifest
	}
	return true, err
}

func putNew(x *respond.Exec, name string, data []byte) (string, error) {
	return put(x, stored{Key: name, SHA256: evidence.Digest(data), Bytes: int64(len(data))}, "application/json", data)
}

// newest is the manifest of the highest revision in the bucket; nil where there
// is none.
func newest(x *respond.Exec) (data []byte, high int, err error) {
	var best string
	err = x.Look(func(ctx context.Context) error {
		best, high, data = "", 0, nil
		c, err := x.AWS.S3(ctx, vault(x))
		if err != nil {
			return err
		}
		in := &s3.ListObjectsV2Input{Bucket: aws.String(x.Policy.Evidence.Bucket), Prefix: aws.String(manifests(x) + "/")}
		for {
			out, err := c.ListObjectsV2(ctx, in)
			if err != nil {
				return err
			}
			for _, o := range out.Contents {
				best, high = higher(best, high, o)
			}
			if !aws.ToBool(out.IsTruncated) {
				break
			}
			in.ContinuationToken = out.NextContinuationToken
		}
		if best == "" {
			return nil
		}
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(x.Policy.Evidence.Bucket), Key: aws.String(best)})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		data, err = io.ReadAll(io.LimitReader(out.Body, evidence.MaxManifest+1))
		return err
	})
	return data, high, err
}

func higher(best string, high int, o s3types.Object) (string, int) {
	m := revisionForm.FindStringSubmatch(aws.ToString(o.Key))
	if m == nil {
		return best, high
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n <= high {
		return best, high
	}
	return aws.ToString(o.Key), n
}

// Manifest is the sealed manifest that a run left in the record of StepSeal.
func Manifest(rec playbook.Record) (evidence.Sealed, error) {
	var s evidence.Sealed
	raw, ok := rec.Saved[SavedManifest]
	if !ok || json.Unmarshal(raw, &s) != nil || len(s.Bytes) == 0 {
		return s, errors.New("the run left no manifest")
	}
	return s, nil
}
