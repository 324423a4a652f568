package forensics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// hashedImage is what a step leaves that hashed a snapshot.
type hashedImage struct {
	Snapshot string               `json:"snapshot"`
	SHA256   string               `json:"sha256"`
	Parts    []evidence.BlockPart `json:"parts,omitempty"`
}

// compare says whether a copy has the bytes of its original: both images were
// hashed block by block, each where it lies. A copy that differs is named with the
// first blocks in which it does, and never counts as verified.
func compare(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var copied, original hashedImage
	if err := x.Output(p.From, savedImage, &copied); err != nil {
		return playbook.Outcome{}, err
	}
	if err := x.Output(p.Original, savedImage, &original); err != nil {
		return playbook.Outcome{}, err
	}
	if copied.SHA256 == original.SHA256 {
		return playbook.Outcome{Message: fmt.Sprintf("%s has the same bytes as %s, SHA-256 %s", copied.Snapshot, original.Snapshot, copied.SHA256)},
			x.Custody("verified", own(x, of(stageCopy, p.Volume.ID)), original.Snapshot, copied.Snapshot, "the images have the same SHA-256")
	}
	where, err := apart(x, original, copied)
	if err != nil {
		return playbook.Outcome{}, err
	}
	text := fmt.Sprintf("%s is not the copy of %s that it should be: %s", copied.Snapshot, original.Snapshot, where)
	f := fault.New(fault.Corrupt, text, "keep both; look who had "+copied.Snapshot+" in hand, and copy again")
	f.Safe = "the original is locked in its account"
	return playbook.Outcome{}, playbook.Permanent(f)
}

// mostApart is how many blocks that differ are named.
const mostApart = 5

// apart names blocks in which two snapshots differ, from their block manifests.
func apart(x *respond.Exec, a, b hashedImage) (string, error) {
	one, err := blocksOf(x, a)
	if err != nil {
		return "", err
	}
	two, err := blocksOf(x, b)
	if err != nil {
		return "", err
	}
	var named []string
	n := 0
	for _, i := range differing(one, two) {
		if n++; n <= mostApart {
			named = append(named, fmt.Sprint(i))
		}
	}
	if n == 0 {
		return "the images differ, and the lists of their blocks do not", nil
	}
	text := "block " + strings.Join(named, ", ")
	if n > mostApart {
		text += fmt.Sprintf(" and %d more", n-mostApart)
	}
	return text + " differ", nil
}

// differing are the indexes of blocks that are not the same in both, in order. A
// block that one lacks counts as one that differs.
func differing(a, b []evidence.Block) []int64 {
	var out []int64
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Index < b[0].Index:
			out, a = append(out, a[0].Index), a[1:]
		case len(a) == 0 || b[0].Index < a[0].Index:
			out, b = append(out, b[0].Index), b[1:]
		default:
			if a[0].SHA256 != b[0].SHA256 {
				out = append(out, a[0].Index)
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// blocksOf reads the list of blocks that was kept of a snapshot.
func blocksOf(x *respond.Exec, h hashedImage) ([]evidence.Block, error) {
	var all []evidence.Block
	last := int64(-1)
	for _, part := range h.Parts {
		key := strings.TrimPrefix(part.Location, "s3://"+x.Policy.Evidence.Bucket+"/")
		var body bytes.Buffer
		err := x.Look(func(ctx context.Context) error {
			c, err := x.AWS.S3(ctx, vault(x))
			if err != nil {
				return err
			}
			in := &s3.GetObjectInput{Bucket: aws.String(x.Policy.Evidence.Bucket), Key: aws.String(key)}
			if part.Version != "" {
				in.VersionId = aws.String(part.Version)
			}
			out, err := c.GetObject(ctx, in)
			if err != nil {
				return err
			}
			defer out.Body.Close()
			body.Reset()
			_, err = io.Copy(&body, io.LimitReader(out.Body, 64<<20))
			return err
		})
		if err != nil {
			return nil, respond.Explain(err, "read the list of blocks of "+h.Snapshot, "")
		}
		if evidence.Digest(body.Bytes()) != part.SHA256 {
			return nil, playbook.Permanent(fault.New(fault.Corrupt, part.Location+" is not what was written there", "look who wrote it"))
		}
		list, err := evidence.DecodeBlocks(body.Bytes(), last)
		if err != nil {
			return nil, playbook.Permanent(fmt.Errorf("read %s: %w", part.Location, err))
		}
		if len(list) > 0 {
			last = list[len(list)-1].Index
		}
		all = append(all, list...)
	}
	return all, nil
}
