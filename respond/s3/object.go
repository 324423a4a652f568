package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// object puts one version of an object into quarantine.
type object struct{}

var _ respond.Playbook = object{}

func (object) Name() string { return "s3-object" }
func (object) Version() int { return 1 }
func (object) Summary() string {
	return "Put one version of an object into quarantine: nobody but a list may read it."
}
func (object) Fits(t respond.Target) bool { return t.Kind == finding.KindS3Object }

// mostTags is how many tags an object may have.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const mostTags = 10

// objectState is a version of an object as AWS shows it to a role that may not
// read what objects hold.
type objectState struct {
	Bucket  string            `json:"bucket"`
	Key     string            `json:"key"`
	Version string            `json:"version"` // empty in a bucket that was never versioned
	Tags    map[string]string `json:"tags"`
}

type objectWorld struct {
	objectState
	bucket bucketState
	exempt exempted
}

// nameOf takes the target apart: bucket/key, or the parts.
func (object) nameOf(t respond.Target) (name, key, version string) {
	name, key, _ = strings.Cut(t.ID, "/")
	if k := t.Parts[respond.PartObjectKey]; k != "" {
		key = k
	}
	return name, key, t.Parts[respond.PartObjectVer]
}

func (o object) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	name, key, version := o.nameOf(r.Target)
	if key == "" || len(key) > 1024 {
		return respond.World{}, fault.New(fault.Usage, "the finding names no key of an object in "+name, "use the playbook s3-bucket for the bucket")
	}
	b, err := readBucket(ctx, a, r, name)
	if err != nil {
		return respond.World{}, err
	}
	w := objectWorld{bucket: b}
	p := r.Place(awscalls.Read)
	p.Region = b.Region
	api, err := a.S3(ctx, p)
	if err == nil {
		w.objectState, err = describeObject(ctx, api, p.Account, name, key, version)
	}
	if err != nil {
		return respond.World{}, respond.Explain(err, fmt.Sprintf("describe object %q of bucket %s", key, name), "nothing was changed")
	}
	if w.exempt, err = findExempt(ctx, a, r); err != nil {
		return respond.World{}, respond.Explain(err, "ask AWS about the break-glass list", "nothing was changed")
	}
	before, err := json.Marshal(struct {
		Object objectState `json:"object"`
		Bucket bucketState `json:"bucket"`
	}{w.objectState, b})
	if err != nil {
		return respond.World{}, internal("write down the object", err)
	}
	var tags []map[string]string
	if b.Known != nil {
		tags = append(slices.Clone(b.Known), w.Tags) // a bucket's tags count for what is in it
	}
	return respond.World{Before: before, Facts: append(w.facts(), b.identity()...), Watched: append(w.watched(), b.watched()...), Value: w, Tags: tags}, nil
}

func (o objectState) facts() []respond.Fact {
	var f kit.Facts
	f.Add("object", o.Key)
	f.Add("version", o.Version)
	return f
}

// watched is what the tag of quarantine is added to.
func (o objectState) watched() []respond.Fact {
	var f kit.Facts
	for _, k := range slices.Sorted(maps.Keys(o.Tags)) {
		f.Add("tag "+k, o.Tags[k])
	}
	return f
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func describeObject(ctx context.Context, api awscalls.S3, owner, name, key, version string) (objectState, error) {
	out, err := api.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &name, Key: &key, VersionId: optional(version), ExpectedBucketOwner: &owner})
	if err != nil {
		return objectState{}, err
	}
	return objectState{Bucket: name, Key: key, Version: cmp.Or(aws.ToString(out.VersionId), version), Tags: tagMap(out.TagSet)}, nil
}

func tagsOf(ctx context.Context, api awscalls.S3, owner, name, key, version string) (map[string]string, error) {
	out, err := api.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &name, Key: &key, VersionId: optional(version), ExpectedBucketOwner: &owner})
	if err != nil {
		return nil, err
	}
	return tagMap(out.TagSet), nil
}

func tagMap(set []types.Tag) map[string]string {
	tags := map[string]string{}
	for _, t := range set {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}
