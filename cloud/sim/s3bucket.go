package sim

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

type s3Client struct{ client }

var _ awscalls.S3 = s3Client{}

// policySize is how long a bucket policy may be, without its white space.
const policySize = 20 * 1024

// s3do answers a call about a bucket, after it was found and has let us in.
func s3do[O any](ctx context.Context, c s3Client, operation string, changes bool, in any, bucket, key *string, f func(b *Bucket) (*O, error)) (*O, error) {
	return do(ctx, c.client, "S3", operation, changes, in, func(*account, *region) (*O, error) {
		b, err := c.enter(Call{Service: "S3", Operation: operation, Place: c.place, Input: in}, aws.ToString(bucket), aws.ToString(key))
		if err != nil {
			return nil, err
		}
		return f(b)
	})
}

// enter finds a bucket, in the region that is asked, and asks it whether the
// caller may.
func (c s3Client) enter(call Call, name, key string) (*Bucket, error) {
	b, err := c.w.findBucket(name)
	if err != nil {
		return nil, err
	}
	if b.Region != c.place.Region && call.Operation != "GetBucketLocation" {
		return nil, fail("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
	}
	who := c.w.principal(c.place)
	q := request{Action: actionOf(call), Resource: "arn:aws:s3:::" + name, Principal: who, Account: c.place.Account, Keys: map[string]string{
		"aws:principalarn": who, "aws:principalaccount": c.place.Account, "aws:principalisawsservice": "false", "aws:securetransport": "true",
	}}
	if key != "" {
		q.Resource += "/" + key
	}
	if !b.allows(q, key) {
		return nil, fail("AccessDenied", "User: %s is not authorized to perform: %s on resource: %q", who, q.Action, q.Resource)
	}
	return b, nil
}

// GetBucketLocation implements awscalls.Buckets. us-east-1 is the empty text.
func (c s3Client) GetBucketLocation(ctx context.Context, in *s3.GetBucketLocationInput, _ ...func(*s3.Options)) (*s3.GetBucketLocationOutput, error) {
	return s3do(ctx, c, "GetBucketLocation", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketLocationOutput, error) {
		if b.Region == "us-east-1" {
			return &s3.GetBucketLocationOutput{}, nil
		}
		return &s3.GetBucketLocationOutput{LocationConstraint: types.BucketLocationConstraint(b.Region)}, nil
	})
}

func noBucketPolicy() error {
	return fail("NoSuchBucketPolicy", "The bucket policy does not exist")
}

// GetBucketPolicy implements awscalls.Buckets.
func (c s3Client) GetBucketPolicy(ctx context.Context, in *s3.GetBucketPolicyInput, _ ...func(*s3.Options)) (*s3.GetBucketPolicyOutput, error) {
	return s3do(ctx, c, "GetBucketPolicy", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketPolicyOutput, error) {
		if b.Policy == "" {
			return nil, noBucketPolicy()
		}
		return &s3.GetBucketPolicyOutput{Policy: aws.String(b.Policy)}, nil
	})
}

// PutBucketPolicy implements awscalls.Buckets.
func (c s3Client) PutBucketPolicy(ctx context.Context, in *s3.PutBucketPolicyInput, _ ...func(*s3.Options)) (*s3.PutBucketPolicyOutput, error) {
	return s3do(ctx, c, "PutBucketPolicy", true, in, in.Bucket, nil, func(b *Bucket) (*s3.PutBucketPolicyOutput, error) {
		raw := aws.ToString(in.Policy)
		if sizeOf(raw) > policySize {
			return nil, fail("MalformedPolicy", "Policy exceeds the maximum allowed document size.")
		}
		doc, err := parseDocument(raw, true)
		if err != nil {
			return nil, fail("MalformedPolicy", "%s", err)
		}
		if !doc.about(b.Name) {
			return nil, fail("MalformedPolicy", "Policy has invalid resource")
		}
		if b.Block != nil && b.Block.BlockPolicy && doc.public() {
			return nil, fail("AccessDenied", "public policies are blocked by the BlockPublicPolicy block public access setting")
		}
		b.Policy = raw
		return &s3.PutBucketPolicyOutput{}, nil
	})
}

// about reports whether all resources are the bucket and what is in it.
func (d document) about(bucket string) bool {
	arn := "arn:aws:s3:::" + bucket
	for _, s := range d.Statement {
		for _, r := range append(append(texts{}, s.Resource...), s.NotResource...) {
			if r != arn && !strings.HasPrefix(r, arn+"/") && !matches(r, arn) && !matches(r, arn+"/x") {
				return false
			}
		}
	}
	return true
}

// DeleteBucketPolicy implements awscalls.Buckets.
func (c s3Client) DeleteBucketPolicy(ctx context.Context, in *s3.DeleteBucketPolicyInput, _ ...func(*s3.Options)) (*s3.DeleteBucketPolicyOutput, error) {
	return s3do(ctx, c, "DeleteBucketPolicy", true, in, in.Bucket, nil, func(b *Bucket) (*s3.DeleteBucketPolicyOutput, error) {
		b.Policy = ""
		return &s3.DeleteBucketPolicyOutput{}, nil
	})
}

// GetBucketPolicyStatus implements awscalls.Buckets. It is about the policy
// alone, whatever the public access block makes of it.
func (c s3Client) GetBucketPolicyStatus(ctx context.Context, in *s3.GetBucketPolicyStatusInput, _ ...func(*s3.Options)) (*s3.GetBucketPolicyStatusOutput, error) {
	return s3do(ctx, c, "GetBucketPolicyStatus", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketPolicyStatusOutput, error) {
		if b.Policy == "" {
			return nil, noBucketPolicy()
		}
		doc, err := parseDocument(b.Policy, true)
		return &s3.GetBucketPolicyStatusOutput{PolicyStatus: &types.PolicyStatus{IsPublic: aws.Bool(err == nil && doc.public())}}, nil
	})
}

// GetPublicAccessBlock implements awscalls.Buckets.
func (c s3Client) GetPublicAccessBlock(ctx context.Context, in *s3.GetPublicAccessBlockInput, _ ...func(*s3.Options)) (*s3.GetPublicAccessBlockOutput, error) {
	return s3do(ctx, c, "GetPublicAccessBlock", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetPublicAccessBlockOutput, error) {
		if b.Block == nil {
			return nil, fail("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
		}
		return &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(b.Block.BlockACLs), IgnorePublicAcls: aws.Bool(b.Block.IgnoreACLs),
			BlockPublicPolicy: aws.Bool(b.Block.BlockPolicy), RestrictPublicBuckets: aws.Bool(b.Block.RestrictBucket),
		}}, nil
	})
}

// PutPublicAccessBlock implements awscalls.Buckets. What is left out is false.
func (c s3Client) PutPublicAccessBlock(ctx context.Context, in *s3.PutPublicAccessBlockInput, _ ...func(*s3.Options)) (*s3.PutPublicAccessBlockOutput, error) {
	return s3do(ctx, c, "PutPublicAccessBlock", true, in, in.Bucket, nil, func(b *Bucket) (*s3.PutPublicAccessBlockOutput, error) {
		p := in.PublicAccessBlockConfiguration
		if p == nil {
			return nil, fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
		}
		b.Block = &PublicBlock{
			BlockACLs: aws.ToBool(p.BlockPublicAcls), IgnoreACLs: aws.ToBool(p.IgnorePublicAcls),
			BlockPolicy: aws.ToBool(p.BlockPublicPolicy), RestrictBucket: aws.ToBool(p.RestrictPublicBuckets),
		}
		return &s3.PutPublicAccessBlockOutput{}, nil
	})
}

// DeletePublicAccessBlock implements awscalls.Buckets.
func (c s3Client) DeletePublicAccessBlock(ctx context.Context, in *s3.DeletePublicAccessBlockInput, _ ...func(*s3.Options)) (*s3.DeletePublicAccessBlockOutput, error) {
	return s3do(ctx, c, "DeletePublicAccessBlock", true, in, in.Bucket, nil, func(b *Bucket) (*s3.DeletePublicAccessBlockOutput, error) {
		b.Block = nil
		return &s3.DeletePublicAccessBlockOutput{}, nil
	})
}

// GetBucketVersioning implements awscalls.Buckets. The status is empty where it
// was never set.
func (c s3Client) GetBucketVersioning(ctx context.Context, in *s3.GetBucketVersioningInput, _ ...func(*s3.Options)) (*s3.GetBucketVersioningOutput, error) {
	return s3do(ctx, c, "GetBucketVersioning", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketVersioningOutput, error) {
		return &s3.GetBucketVersioningOutput{Status: types.BucketVersioningStatus(b.Versioning)}, nil
	})
}

// PutBucketVersioning implements awscalls.Buckets. A bucket is never unversioned
// again.
func (c s3Client) PutBucketVersioning(ctx context.Context, in *s3.PutBucketVersioningInput, _ ...func(*s3.Options)) (*s3.PutBucketVersioningOutput, error) {
	return s3do(ctx, c, "PutBucketVersioning", true, in, in.Bucket, nil, func(b *Bucket) (*s3.PutBucketVersioningOutput, error) {
		status := types.BucketVersioningStatus("")
		if in.VersioningConfiguration != nil {
			status = in.VersioningConfiguration.Status
		}
		switch {
		case status != types.BucketVersioningStatusEnabled && status != types.BucketVersioningStatusSuspended:
			return nil, fail("IllegalVersioningConfigurationException", "The Versioning element must be specified")
		case b.ObjectLock && status == types.BucketVersioningStatusSuspended:
			return nil, fail("InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.Versioning = string(status)
		return &s3.PutBucketVersioningOutput{}, nil
	})
}

// GetBucketAcl implements awscalls.Buckets.
func (c s3Client) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput, _ ...func(*s3.Options)) (*s3.GetBucketAclOutput, error) {
	return s3do(ctx, c, "GetBucketAcl", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketAclOutput, error) {
		owner := aws.String("simulated-" + b.Account)
		out := &s3.GetBucketAclOutput{Owner: &types.Owner{ID: owner}, Grants: []types.Grant{
			{Grantee: &types.Grantee{Type: types.TypeCanonicalUser, ID: owner}, Permission: types.PermissionFullControl},
		}}
		if b.Ownership == "BucketOwnerEnforced" {
			return out, nil
		}
		for _, p := range b.PublicACL {
			out.Grants = append(out.Grants, types.Grant{
				Grantee:    &types.Grantee{Type: types.TypeGroup, URI: aws.String("http://acs.amazonaws.com/groups/global/AllUsers")},
				Permission: types.Permission(p),
			})
		}
		return out, nil
	})
}

// GetBucketOwnershipControls implements awscalls.Buckets.
func (c s3Client) GetBucketOwnershipControls(ctx context.Context, in *s3.GetBucketOwnershipControlsInput, _ ...func(*s3.Options)) (*s3.GetBucketOwnershipControlsOutput, error) {
	return s3do(ctx, c, "GetBucketOwnershipControls", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetBucketOwnershipControlsOutput, error) {
		if b.Ownership == "" {
			return nil, fail("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
		}
		return &s3.GetBucketOwnershipControlsOutput{OwnershipControls: &types.OwnershipControls{
			Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnership(b.Ownership)}},
		}}, nil
	})
}

// GetObjectLockConfiguration implements awscalls.Buckets. A bucket may have Object
// Lock without a retention for what is put without one of its own.
func (c s3Client) GetObjectLockConfiguration(ctx context.Context, in *s3.GetObjectLockConfigurationInput, _ ...func(*s3.Options)) (*s3.GetObjectLockConfigurationOutput, error) {
	return s3do(ctx, c, "GetObjectLockConfiguration", false, in, in.Bucket, nil, func(b *Bucket) (*s3.GetObjectLockConfigurationOutput, error) {
		if !b.ObjectLock {
			return nil, fail("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
		}
		lock := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}
		if b.RetentionMode != "" {
			lock.Rule = &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionMode(b.RetentionMode), Days: int32Of(b.RetentionDays)}}
		}
		return &s3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: lock}, nil
	})
}
