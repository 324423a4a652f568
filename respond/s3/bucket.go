package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
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

// bucket closes a bucket: to everybody but a list, or to the public only.
type bucket struct{ publicOnly bool }

var _ respond.Playbook = bucket{}

func (b bucket) Name() string {
	if b.publicOnly {
		return "s3-public"
	}
	return "s3-bucket"
}
func (bucket) Version() int { return 1 }
func (b bucket) Summary() string {
	if b.publicOnly {
		return "Close a bucket to the public and leave everybody else in."
	}
	return "Close a bucket to everybody but the break-glass list, guardroom and AWS services."
}
func (bucket) Fits(t respond.Target) bool { return t.Kind == finding.KindS3Bucket }

// nameForm is the form of names of buckets.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucketState is a bucket as AWS shows it.
type bucketState struct {
	Name   string       `json:"name"`
	ARN    string       `json:"arn"`
	Region string       `json:"region"`
	Policy kit.Document `json:"policy"`
	// Public is what AWS says of the policy: public, not public, or no policy.
	Public     string            `json:"policy_status"`
	Block      *block            `json:"public_access_block"` // null: absent
	Versioning string            `json:"versioning"`          // empty: never switched on
	Ownership  string            `json:"ownership"`           // empty: absent
	Grants     []grant           `json:"acl"`
	Tags       map[string]string `json:"tags,omitempty"`
	Gaps       []string          `json:"gaps,omitempty"`
	// Known are the tags where they could be read.
	Known []map[string]string `json:"-"`
}

// block is the public access block.
type block struct {
	BlockACLs      bool `json:"block_public_acls"`
	IgnoreACLs     bool `json:"ignore_public_acls"`
	BlockPolicy    bool `json:"block_public_policy"`
	RestrictBucket bool `json:"restrict_public_buckets"`
}

var closed = block{true, true, true, true}

type grant struct {
	To         string `json:"to"`
	Permission string `json:"permission"`
}

type bucketWorld struct {
	bucketState
	exempt exempted
}

func (b bucket) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	s, err := readBucket(ctx, a, r, r.Target.ID)
	if err != nil {
		return respond.World{}, err
	}
	w := bucketWorld{bucketState: s}
	if !b.publicOnly {
		if w.exempt, err = findExempt(ctx, a, r); err != nil {
			return respond.World{}, respond.Explain(err, "ask AWS about the break-glass list", "nothing was changed")
		}
	}
	before, err := json.Marshal(s)
	if err != nil {
		return respond.World{}, internal("write down bucket "+s.Name, err)
	}
	return respond.World{Before: before, Facts: s.facts(), Watched: s.watched(), Value: w, Tags: s.Known}, nil
}

// readBucket describes a bucket, where it is.
func readBucket(ctx context.Context, a awscalls.AWS, r respond.Request, name string) (bucketState, error) {
	if !nameForm.MatchString(name) {
		return bucketState{}, fault.New(fault.Usage, fmt.Sprintf("%q is no name of a bucket", name), "look at the finding: guardroom incident show")
	}
	p := r.Place(awscalls.Read)
	region, err := regionOf(ctx, a, p, name)
	if err == nil {
		p.Region = region
		var api awscalls.S3
		if api, err = a.S3(ctx, p); err == nil {
			var s bucketState
			if s, err = describeBucket(ctx, api, p, name); err == nil {
				return s, nil
			}
		}
	}
	return bucketState{}, respond.Explain(err, "describe bucket "+name+" in account "+p.Account, "nothing was changed")
}

// regionOf is where a bucket is. us-east-1 is the empty text, and EU an old word.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
func regionOf(ctx context.Context, a awscalls.AWS, p awscalls.Place, name string) (string, error) {
	api, err := a.S3(ctx, p)
	if err != nil {
		return "", err
	}
	out, err := api.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &name, ExpectedBucketOwner: &p.Account})
	if err != nil {
		return "", err
	}
	switch out.LocationConstraint {
	case "":
		return "us-east-1", nil
	case types.BucketLocationConstraintEu:
		return "eu-west-1", nil
	}
	return string(out.LocationConstraint), nil
}

// facts say which bucket is meant, and what a plan has no step for since it was
// so already.
func (s bucketState) facts() []respond.Fact {
	f := s.identity()
	if s.closed() {
		f.Add("public access block", s.Block.String())
	}
	if s.Versioning == versioningOn {
		f.Add("versioning", s.Versioning)
	}
	return f
}

func (s bucketState) identity() (f kit.Facts) {
	f.Add("bucket", s.ARN)
	f.Add("region", s.Region)
	return f
}

func (s bucketState) closed() bool { return s.Block != nil && *s.Block == closed }

// watched is what the steps take as it is by then, and what who is to be shut out
// may be able to change.
func (s bucketState) watched() []respond.Fact {
	var f kit.Facts
	f.Add("policy", s.Policy.Digest())
	f.Add("public access block", s.Block.String())
	f.Add("versioning", s.Versioning)
	f.Add("ownership", s.Ownership)
	grants := make([]string, 0, len(s.Grants))
	for _, g := range s.Grants {
		grants = append(grants, g.Permission+" to "+g.To)
	}
	f.Add("ACL", grants...)
	return f
}

// String says which of the four are on.
func (b *block) String() string {
	if b == nil {
		return "absent"
	}
	return fmt.Sprintf("ACLs %t and %t, policy %t, bucket %t", b.BlockACLs, b.IgnoreACLs, b.BlockPolicy, b.RestrictBucket)
}

// describeBucket reads the policy and the public access block; what else cannot
// be read becomes a gap.
func describeBucket(ctx context.Context, api awscalls.S3, p awscalls.Place, name string) (bucketState, error) {
	s := bucketState{Name: name, ARN: "arn:" + kit.PartitionOf(p.Region) + ":s3:::" + name, Region: p.Region, Grants: []grant{}}
	var err error
	if s.Policy, err = policyOf(ctx, api, name, p.Account); err != nil {
		return s, err
	}
	if s.Block, err = blockOf(ctx, api, name, p.Account); err != nil {
		return s, err
	}
	if s.Versioning, err = versioningOf(ctx, api, name, p.Account); err != nil {
		return s, err
	}
	s.try("whether the policy is public", s.readStatus(ctx, api, p.Account))
	s.try("the tags", s.readTags(ctx, api, p.Account))
	s.try("the ACL", s.readACL(ctx, api, p.Account))
	s.try("the ownership controls", s.readOwnership(ctx, api, p.Account))
	return s, nil
}

func (s *bucketState) try(what string, err error) {
	if err != nil {
		s.Gaps = append(s.Gaps, what+": "+respond.Explain(err, "could not be read", "").Error())
	}
}

func policyOf(ctx context.Context, api awscalls.S3, name, owner string) (kit.Document, error) {
	out, err := api.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &name, ExpectedBucketOwner: &owner})
	if respond.Is(err, "NoSuchBucketPolicy") {
		return kit.None(), nil
	}
	if err != nil {
		return kit.Document{}, err
	}
	return kit.Text(aws.ToString(out.Policy)), nil
}

func blockOf(ctx context.Context, api awscalls.S3, name, owner string) (*block, error) {
	out, err := api.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &name, ExpectedBucketOwner: &owner})
	if respond.Is(err, "NoSuchPublicAccessBlockConfiguration") {
		return nil, nil
	}
	if err != nil || out.PublicAccessBlockConfiguration == nil {
		return nil, err
	}
	c := out.PublicAccessBlockConfiguration
	return &block{aws.ToBool(c.BlockPublicAcls), aws.ToBool(c.IgnorePublicAcls), aws.ToBool(c.BlockPublicPolicy), aws.ToBool(c.RestrictPublicBuckets)}, nil
}

func versioningOf(ctx context.Context, api awscalls.S3, name, owner string) (string, error) {
	out, err := api.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &name, ExpectedBucketOwner: &owner})
	if err != nil {
		return "", err
	}
	return string(out.Status), nil
}

func (s *bucketState) readStatus(ctx context.Context, api awscalls.S3, owner string) error {
	s.Public = "not known"
	out, err := api.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &s.Name, ExpectedBucketOwner: &owner})
	switch {
	case respond.Is(err, "NoSuchBucketPolicy"):
		s.Public = "no policy"
	case err != nil:
		return err
	case out.PolicyStatus != nil && aws.ToBool(out.PolicyStatus.IsPublic):
		s.Public = "public"
	default:
		s.Public = "not public"
	}
	return nil
}

func (s *bucketState) readTags(ctx context.Context, api awscalls.S3, owner string) error {
	out, err := api.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &s.Name, ExpectedBucketOwner: &owner})
	if respond.Is(err, "NoSuchTagSet") {
		s.Known = []map[string]string{{}}
		return nil
	}
	if err != nil {
		return err
	}
	s.Tags = map[string]string{}
	s.Known = []map[string]string{s.Tags}
	for _, t := range out.TagSet {
		s.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return nil
}

func (s *bucketState) readACL(ctx context.Context, api awscalls.S3, owner string) error {
	out, err := api.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &s.Name, ExpectedBucketOwner: &owner})
	if err != nil {
		return err
	}
	for _, g := range out.Grants {
		if g.Grantee == nil {
			continue
		}
		to := aws.ToString(g.Grantee.URI)
		if to == "" {
			to = aws.ToString(g.Grantee.ID)
		}
		s.Grants = append(s.Grants, grant{To: to[strings.LastIndex(to, "/")+1:], Permission: string(g.Permission)})
	}
	return nil
}

func (s *bucketState) readOwnership(ctx context.Context, api awscalls.S3, owner string) error {
	out, err := api.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: &s.Name, ExpectedBucketOwner: &owner})
	if respond.Is(err, "OwnershipControlsNotFoundError") {
		return nil
	}
	if err != nil || out.OwnershipControls == nil {
		return err
	}
	for _, rule := range out.OwnershipControls.Rules {
		s.Ownership = string(rule.ObjectOwnership)
	}
	return nil
}
