package s3

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const (
	versioningOn  = string(types.BucketVersioningStatusEnabled)
	versioningOff = string(types.BucketVersioningStatusSuspended)
)

func recordBucket() respond.Action {
	return respond.Action{
		Name: "s3.record-bucket",
		Calls: map[awscalls.Role][]string{
			awscalls.Read:      {"S3.GetBucketPolicy", "S3.GetPublicAccessBlock", "S3.GetBucketVersioning", "S3.GetBucketPolicyStatus", "S3.GetBucketAcl", "S3.GetBucketOwnershipControls", "S3.GetBucketTagging"},
			awscalls.Forensics: kit.KeepCalls(),
		},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p bucketParams) (playbook.Outcome, error) {
			s, err := kit.Record(x, kit.Account[bucketState]{
				What: "bucket " + p.Bucket, File: "bucket.json", Kind: evidence.BeforeImage, Source: p.ARN, How: "S3.GetBucketPolicy and others",
				Gaps: func(s bucketState) []string { return s.Gaps },
				Look: func(ctx context.Context) (bucketState, error) {
					api, err := on(ctx, x, awscalls.Read)
					if err != nil {
						return bucketState{}, err
					}
					return describeBucket(ctx, api, x.In(awscalls.Read, x.Def.Account, x.Def.Region), p.Bucket)
				},
			})
			return playbook.Outcome{Message: "policy " + s.Policy.Digest() + ", public access block " + s.Block.String()}, err
		}),
	}
}

// policySetting is the policy of a bucket.
func policySetting(x *respond.Exec, bucket string) kit.Setting[kit.Document] {
	owner := x.Def.Account
	return kit.Setting[kit.Document]{
		What: "the policy of bucket " + bucket,
		Same: kit.SameDocument,
		Look: func(ctx context.Context) (kit.Document, error) {
			api, err := on(ctx, x, awscalls.Read)
			if err != nil {
				return kit.Document{}, err
			}
			return policyOf(ctx, api, bucket, owner)
		},
		Put: func(ctx context.Context, d kit.Document) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			if d.Absent {
				_, err = api.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &bucket, ExpectedBucketOwner: &owner})
				return err
			}
			_, err = api.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &d.Text, ExpectedBucketOwner: &owner})
			return err
		},
	}
}

func addStatement() respond.Action {
	return respond.Action{
		Name:    "s3.add-statement",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetBucketPolicy"}, awscalls.Act: {"S3.PutBucketPolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p bucketParams) (playbook.Outcome, error) {
			changed, err := kit.Set(x, policySetting(x, p.Bucket), func(before kit.Document) (kit.Document, error) {
				if hasStatement(before, p.Statement) {
					return before, nil
				}
				return withStatement(before, p.Sid, p.Statement)
			})
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "the statement was there already; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: "statement " + p.Sid + " is in the policy of " + p.Bucket}, nil
		}),
		Undo:     kit.UndoSetting(restorePolicy(), "put the policy of the bucket back"),
		UndoRank: 35,
	}
}

func restorePolicy() respond.Action {
	return respond.Action{
		Name:    "s3.restore-policy",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetBucketPolicy"}, awscalls.Act: {"S3.PutBucketPolicy", "S3.DeleteBucketPolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[bucketParams, kit.Document]) (playbook.Outcome, error) {
			s := policySetting(x, b.Of.Bucket)
			var now kit.Document
			err := x.Look(func(ctx context.Context) (err error) {
				now, err = s.Look(ctx)
				return err
			})
			if err != nil {
				return playbook.Outcome{}, err
			}
			if s.Same(now, b.Before) || s.Same(now, b.After) || b.Of.Statement == nil {
				return kit.Restore(x, s, b.Before, b.After)
			}
			return takeStatementOut(x, s, b, now)
		}),
	}
}

// takeStatementOut takes our statement, and nothing else, out of a policy that was
// changed since: by a colleague, or by another run that contains something of the
// same bucket.
func takeStatementOut(x *respond.Exec, s kit.Setting[kit.Document], b kit.Back[bucketParams, kit.Document], now kit.Document) (playbook.Outcome, error) {
	if !hasStatement(now, b.Of.Statement) {
		if hasSid(now, b.Of.Sid) {
			return playbook.Outcome{}, kit.Changed("statement " + b.Of.Sid + " in " + s.What)
		}
		return playbook.Outcome{Message: "statement " + b.Of.Sid + " is not in " + s.What + " any more; the rest is left as it is"}, nil
	}
	rest, err := withoutStatement(now, b.Before, b.Of.Statement)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if s.Same(rest, b.Before) {
		rest = b.Before // byte for byte
	}
	out, err := kit.Restore(x, s, rest, now)
	if err == nil {
		out.Message = "statement " + b.Of.Sid + " is out of " + s.What + "; what was changed in it since stays"
	}
	return out, err
}

// blockSetting is the public access block of a bucket; nil is absent.
func blockSetting(x *respond.Exec, bucket string) kit.Setting[*block] {
	owner := x.Def.Account
	return kit.Setting[*block]{
		What: "the public access block of bucket " + bucket,
		Same: func(a, b *block) bool { return a == b || a != nil && b != nil && *a == *b },
		Look: func(ctx context.Context) (*block, error) {
			api, err := on(ctx, x, awscalls.Read)
			if err != nil {
				return nil, err
			}
			return blockOf(ctx, api, bucket, owner)
		},
		Put: func(ctx context.Context, b *block) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			if b == nil {
				_, err = api.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &bucket, ExpectedBucketOwner: &owner})
				return err
			}
			_, err = api.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &bucket, ExpectedBucketOwner: &owner, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
				BlockPublicAcls: aws.Bool(b.BlockACLs), IgnorePublicAcls: aws.Bool(b.IgnoreACLs), BlockPublicPolicy: aws.Bool(b.BlockPolicy), RestrictPublicBuckets: aws.Bool(b.RestrictBucket),
			}})
			return err
		},
	}
}

func blockPublic() respond.Action {
	return respond.Action{
		Name:    "s3.block-public",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetPublicAccessBlock"}, awscalls.Act: {"S3.PutPublicAccessBlock"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p bucketParams) (playbook.Outcome, error) {
			changed, err := kit.Set(x, blockSetting(x, p.Bucket), func(*block) (*block, error) { b := closed; return &b, nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "all of it was on already; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: "the public is shut out of " + p.Bucket}, nil
		}),
		Undo:     kit.UndoSetting(restoreBlock(), "put the public access block back"),
		UndoRank: 30, // before the policy: the block refuses to write a public one
	}
}

func restoreBlock() respond.Action {
	return respond.Action{
		Name:    "s3.restore-block",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetPublicAccessBlock"}, awscalls.Act: {"S3.PutPublicAccessBlock", "S3.DeletePublicAccessBlock"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[bucketParams, *block]) (playbook.Outcome, error) {
			return kit.Restore(x, blockSetting(x, b.Of.Bucket), b.Before, b.After)
		}),
	}
}

func versioningSetting(x *respond.Exec, bucket string) kit.Setting[string] {
	owner := x.Def.Account
	return kit.Setting[string]{
		What: "the versioning of bucket " + bucket,
		Same: func(a, b string) bool { return a == b },
		Look: func(ctx context.Context) (string, error) {
			api, err := on(ctx, x, awscalls.Read)
			if err != nil {
				return "", err
			}
			return versioningOf(ctx, api, bucket, owner)
		},
		Put: func(ctx context.Context, status string) error {
			api, err := on(ctx, x, awscalls.Act)
			if err != nil {
				return err
			}
			_, err = api.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, ExpectedBucketOwner: &owner,
				VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(status)}})
			return err
		},
	}
}

func switchVersioning() respond.Action {
	return respond.Action{
		Name:    "s3.switch-versioning",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetBucketVersioning"}, awscalls.Act: {"S3.PutBucketVersioning"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p bucketParams) (playbook.Outcome, error) {
			changed, err := kit.Set(x, versioningSetting(x, p.Bucket), func(string) (string, error) { return versioningOn, nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "it was on already; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: "what is deleted or overwritten in " + p.Bucket + " from now on is kept as a version"}, nil
		}),
		Undo:     kit.UndoSetting(restoreVersioning(), "put the versioning back"),
		UndoRank: 40,
	}
}

// restoreVersioning suspends what was never on: AWS knows no way back to that.
func restoreVersioning() respond.Action {
	return respond.Action{
		Name:    "s3.restore-versioning",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetBucketVersioning"}, awscalls.Act: {"S3.PutBucketVersioning"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[bucketParams, string]) (playbook.Outcome, error) {
			if b.Before != "" {
				return kit.Restore(x, versioningSetting(x, b.Of.Bucket), b.Before, b.After)
			}
			out, err := kit.Restore(x, versioningSetting(x, b.Of.Bucket), versioningOff, b.After)
			if err == nil {
				out.Message = "versioning is suspended; that it was never on cannot be restored"
			}
			return out, err
		}),
	}
}

func verifyBucket() respond.Action {
	return respond.Action{
		Name:    "s3.verify-bucket",
		Check:   kit.Check(bucketMissing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"S3.GetBucketPolicy", "S3.GetPublicAccessBlock", "S3.GetBucketVersioning", "S3.GetBucketPolicyStatus"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p bucketParams) (playbook.Outcome, error) {
			open := []string{"copies that were made before, and caches in front of the bucket, are out of reach", "access points of the bucket were not looked at; its policy binds them too"}
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return bucketMissing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			if p.Sid == "" {
				open = append(open, "who has access by a policy of IAM or by name in the bucket policy keeps it")
			}
			if still, err := policyIsPublic(x, p); err != nil {
				return playbook.Outcome{}, err
			} else if still {
				open = append(open, "the policy of "+p.Bucket+" as such is public still; the public access block takes its effect away")
			}
			return playbook.Outcome{Message: "bucket " + p.Bucket + " is closed"}, x.Save(respond.SavedStillOpen, open)
		}),
	}
}

func bucketMissing(x *respond.Exec, p bucketParams) (missing []string, err error) {
	owner := x.Def.Account
	err = x.Look(func(ctx context.Context) error {
		missing = nil
		api, err := on(ctx, x, awscalls.Read)
		if err != nil {
			return err
		}
		b, err := blockOf(ctx, api, p.Bucket, owner)
		if err != nil {
			return err
		}
		if b == nil || *b != closed {
			missing = append(missing, "the public access block of "+p.Bucket+" is not all on: "+b.String())
		}
		if p.Sid != "" {
			d, err := policyOf(ctx, api, p.Bucket, owner)
			if err != nil {
				return err
			}
			if !hasStatement(d, p.Statement) {
				missing = append(missing, "statement "+p.Sid+" is not in the policy of "+p.Bucket)
			}
		}
		if p.Versioned {
			v, err := versioningOf(ctx, api, p.Bucket, owner)
			if err != nil {
				return err
			}
			if v != versioningOn {
				missing = append(missing, "the versioning of "+p.Bucket+" is not on")
			}
		}
		return nil
	})
	return missing, err
}

func policyIsPublic(x *respond.Exec, p bucketParams) (public bool, err error) {
	err = x.Look(func(ctx context.Context) error {
		api, err := on(ctx, x, awscalls.Read)
		if err != nil {
			return err
		}
		s := bucketState{Name: p.Bucket}
		err = s.readStatus(ctx, api, x.Def.Account)
		public = s.Public == "public"
		return err
	})
	return public, err
}
