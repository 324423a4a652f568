package s3

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

func recordObject() respond.Action {
	return respond.Action{
		Name:    "s3.record-object",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetObjectTagging"}, awscalls.Forensics: kit.KeepCalls()},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p objectParams) (playbook.Outcome, error) {
			o, err := kit.Record(x, kit.Account[objectState]{
				What: "the object", File: "object.json", Kind: evidence.Metadata, Source: p.ARN + "/" + p.Key, How: "S3.GetObjectTagging",
				Look: func(ctx context.Context) (objectState, error) {
					api, err := on(ctx, x, awscalls.Read)
					if err != nil {
						return objectState{}, err
					}
					return describeObject(ctx, api, x.Def.Account, p.Bucket, p.Key, p.Version)
				},
			})
			return playbook.Outcome{Message: fmt.Sprintf("version %s, %s", cmp.Or(o.Version, "none"), respond.Count(len(o.Tags), "tag"))}, err
		}),
	}
}

// readTags looks at the tags of the version.
func readTags(x *respond.Exec, p objectParams) (tags map[string]string, err error) {
	err = x.Look(func(ctx context.Context) error {
		api, err := on(ctx, x, awscalls.Read)
		if err != nil {
			return err
		}
		tags, err = tagsOf(ctx, api, x.Def.Account, p.Bucket, p.Key, p.Version)
		return err
	})
	return tags, err
}

// writeTags replaces all tags of the version: the call knows no other way.
func writeTags(x *respond.Exec, p objectParams, tags map[string]string) error {
	set := []types.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return x.Change(func(ctx context.Context) error {
		api, err := on(ctx, x, awscalls.Act)
		if err != nil {
			return err
		}
		_, err = api.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &p.Bucket, Key: &p.Key, VersionId: optional(p.Version), ExpectedBucketOwner: &x.Def.Account, Tagging: &types.Tagging{TagSet: set}})
		return err
	})
}

func tagObject() respond.Action {
	return respond.Action{
		Name:    "s3.tag-object",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetObjectTagging"}, awscalls.Act: {"S3.PutObjectTagging"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p objectParams) (playbook.Outcome, error) {
			now, err := readTags(x, p)
			if err != nil {
				return playbook.Outcome{}, err
			}
			before, err := respond.Once(x, respond.SavedBefore, func() (map[string]string, error) { return now, nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if _, had := before[quarantineTag]; had {
				return playbook.Outcome{Message: "it had the tag already; undo leaves it"}, nil
			}
			if err := x.Save(respond.SavedAfter, map[string]string{quarantineTag: p.Value}); err != nil {
				return playbook.Outcome{}, err
			}
			if now[quarantineTag] != p.Value {
				now[quarantineTag] = p.Value // merged with what there is now, not with what there was
				if len(now) > mostTags {
					return playbook.Outcome{}, playbook.Permanent(fault.New(fault.Conflict, fmt.Sprintf("the object has %d tags by now, and AWS allows no more", mostTags), "take one off by hand, and make a new plan"))
				}
				if err := writeTags(x, p, now); err != nil {
					return playbook.Outcome{}, err
				}
			}
			return playbook.Outcome{Message: "tagged " + quarantineTag + "=" + p.Value}, nil
		}),
		Undo:     kit.UndoSetting(untagObject(), "take our tag off the object"),
		UndoRank: 30, // before the policy, which keeps others from the tag
	}
}

// untagObject takes off our tag and nothing else.
func untagObject() respond.Action {
	return respond.Action{
		Name:    "s3.untag-object",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetObjectTagging"}, awscalls.Act: {"S3.PutObjectTagging"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[objectParams, map[string]string]) (playbook.Outcome, error) {
			now, err := readTags(x, b.Of)
			if err != nil {
				return playbook.Outcome{}, err
			}
			value, has := now[quarantineTag]
			switch {
			case !has:
				return playbook.Outcome{Message: "the tag is off"}, nil
			case value != b.After[quarantineTag]:
				return playbook.Outcome{}, kit.Changed("tag " + quarantineTag + " of the object")
			}
			delete(now, quarantineTag)
			return playbook.Outcome{Message: "the tag is off"}, writeTags(x, b.Of, now)
		}),
	}
}

func verifyObject() respond.Action {
	return respond.Action{
		Name:    "s3.verify-object",
		Check:   kit.Check(objectMissing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetObjectTagging", "S3.GetBucketPolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p objectParams) (playbook.Outcome, error) {
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return objectMissing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			open := []string{"replicas, caches and copies of the object are out of reach"}
			if p.Version == "" {
				open = append(open, "the bucket is not versioned: writing the object anew takes the tag off")
			}
			return playbook.Outcome{Message: "nobody but the list can read this version"}, x.Save(respond.SavedStillOpen, open)
		}),
	}
}

// objectMissing says what does not hold of the quarantine.
func objectMissing(x *respond.Exec, p objectParams) (missing []string, err error) {
	tags, err := readTags(x, p)
	if err != nil {
		return nil, err
	}
	if tags[quarantineTag] != p.Value {
		missing = append(missing, "the object has not the tag "+quarantineTag+"="+p.Value)
	}
	err = x.Look(func(ctx context.Context) error {
		d, err := policySetting(x, p.Bucket).Look(ctx)
		if err == nil && !hasStatement(d, p.Statement) {
			missing = append(missing, "statement "+p.Sid+" is not in the policy of "+p.Bucket)
		}
		return err
	})
	return missing, err
}
