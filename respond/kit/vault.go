package kit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// VaultLimit is how long a look at the evidence bucket may take.
const VaultLimit = 5 * time.Second

// Vault is what AWS says about the evidence bucket, before it is needed.
type Vault struct {
	Bucket string
	// Region is where it is; empty: AWS did not say.
	Region string
	// Versioned says that what is written is not overwritten.
	Versioned bool
	// Troubles are what a person should know, the worst first.
	Troubles []Trouble
	// Lock and Key are in words how it locks and encrypts what is put.
	Lock, Key string
}

// Trouble is one thing about the evidence bucket that is not as it should be, or
// is not known.
type Trouble struct {
	Why, Hint string
	// Bad says that nothing can be kept there, or that what is kept is not safe.
	Bad    bool
	denied string // the call that the role may not make
}

// HomeOf is where evidence of an account is kept and examined, as the role read
// looks at it.
func HomeOf(p respond.Policy, at awscalls.Place) awscalls.Place {
	at.Account, at.Region, at.Role = cmp.Or(p.Forensics.Account, at.Account), cmp.Or(p.Evidence.Region, at.Region), awscalls.Read
	return at
}

// LookAtVault asks AWS about the evidence bucket of a policy, which must name one:
// whether it is in the region of the place, what it locks, whether it is versioned
// and not public, and whether its key can be used. It changes nothing, asks side by
// side and takes VaultLimit at most: what is not answered by then is a trouble.
func LookAtVault(ctx context.Context, a awscalls.AWS, p respond.Policy, at awscalls.Place) Vault {
	ctx, cancel := context.WithTimeout(ctx, VaultLimit)
	defer cancel()
	l := vaultLook{aws: a, policy: p, at: at}
	l.v.Bucket = p.Evidence.Bucket
	done := make(chan Vault, 1)
	go func() { done <- l.look(ctx) }()
	select {
	case v := <-done:
		return v
	case <-ctx.Done():
		return Vault{Bucket: p.Evidence.Bucket, Troubles: []Trouble{{Why: fmt.Sprintf("AWS did not say within %s what it is like", VaultLimit), Hint: hintLook}}}
	}
}

// Guard is the answer of a look for people who approve. It never refuses: a host
// that is isolated without its evidence is better than one that is not isolated.
func (v Vault) Guard() respond.Guard {
	g := respond.Guard{Name: respond.GuardEvidence, Answer: respond.Pass, Why: v.String()}
	if len(v.Troubles) == 0 {
		return g
	}
	g.Answer, g.Hint = respond.Warn, v.Troubles[0].Hint
	words := make([]string, len(v.Troubles))
	for i, t := range v.Troubles {
		words[i] = t.Why
	}
	g.Why = "s3://" + v.Bucket + ": " + strings.Join(words, "; ")
	return g
}

// String says in one line what the bucket is like.
func (v Vault) String() string {
	words := []string{"s3://" + v.Bucket + " is there"}
	if v.Region != "" {
		words[0] += " in " + v.Region
	}
	if v.Versioned {
		words = append(words, "versioned")
	}
	for _, w := range []string{v.Lock, v.Key} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

const (
	hintLook  = "let the read role look (guardroom iam policy --role read), or look at the bucket by hand"
	hintMake  = "make it with versioning and Object Lock, or set respond.evidence.url"
	hintShut  = "block public access to the bucket"
	hintLocks = "switch Object Lock on, or set respond.evidence.lock: none"
)

// vaultLook is one look. Its parts are asked side by side.
type vaultLook struct {
	aws    awscalls.AWS
	policy respond.Policy
	at     awscalls.Place

	v Vault
	// Each part fills in its own.
	versions, lock, policyOpen, aclOpen, key []Trouble
	blocked                                  types.PublicAccessBlockConfiguration
	blocks                                   []Trouble
}

func (l *vaultLook) look(ctx context.Context) Vault {
	if !l.there(ctx) {
		return l.v
	}
	client, err := l.aws.S3(ctx, l.at)
	if err != nil {
		l.v.Troubles = merged(append(l.v.Troubles, unknown("what it is like", err)))
		return l.v
	}
	var all sync.WaitGroup
	for _, part := range []func(context.Context, awscalls.S3){l.versioning, l.locks, l.block, l.byPolicy, l.byACL} {
		all.Go(func() { part(ctx, client) })
	}
	all.Go(func() { l.encrypts(ctx) })
	all.Wait()
	if aws.ToBool(l.blocked.RestrictPublicBuckets) {
		l.policyOpen = nil
	}
	if aws.ToBool(l.blocked.IgnorePublicAcls) {
		l.aclOpen = nil
	}
	for _, list := range [][]Trouble{l.policyOpen, l.aclOpen, l.lock, l.key, l.versions, l.blocks} {
		l.v.Troubles = append(l.v.Troubles, list...)
	}
	l.v.Troubles = merged(l.v.Troubles)
	return l.v
}

// there asks where the bucket is.
func (l *vaultLook) there(ctx context.Context) bool {
	client, err := l.aws.S3(ctx, l.at)
	var out *s3.GetBucketLocationOutput
	if err == nil {
		out, err = client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &l.v.Bucket})
	}
	switch {
	case respond.Is(err, "NoSuchBucket", "NotFound"):
		l.v.Troubles = append(l.v.Troubles, Trouble{Why: "it is not there", Hint: hintMake, Bad: true})
		return false
	case respond.Is(err, "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
		l.v.Troubles = append(l.v.Troubles, Trouble{Why: "it is not in " + l.at.Region + ", where runs write to", Hint: "set respond.evidence.region to the region of the bucket", Bad: true})
		return false
	case err != nil:
		l.v.Troubles = append(l.v.Troubles, unknown("where it is", err))
		return true // perhaps it says the rest
	}
	switch l.v.Region = string(out.LocationConstraint); l.v.Region {
	case "":
		l.v.Region = "us-east-1" // which AWS calls by no name
	case string(types.BucketLocationConstraintEu):
		l.v.Region = "eu-west-1"
	}
	if l.v.Region != l.at.Region {
		l.v.Troubles = append(l.v.Troubles, Trouble{Why: "it is in " + l.v.Region + ", and runs write to " + l.at.Region, Hint: "set respond.evidence.region: " + l.v.Region, Bad: true})
		l.at.Region = l.v.Region
	}
	return true
}

func (l *vaultLook) versioning(ctx context.Context, c awscalls.S3) {
	out, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &l.v.Bucket})
	switch {
	case err != nil:
		l.versions = append(l.versions, unknown("whether it is versioned", err))
	case out.Status != types.BucketVersioningStatusEnabled:
		l.versions = append(l.versions, Trouble{Why: "it is not versioned: evidence can be overwritten", Hint: "switch versioning on", Bad: true})
	default:
		l.v.Versioned = true
	}
}

// locks asks for Object Lock. Without it nothing that is sealed is locked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
func (l *vaultLook) locks(ctx context.Context, c awscalls.S3) {
	out, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &l.v.Bucket})
	wanted := l.policy.Evidence.LockMode != "none" && l.policy.Evidence.LockDays > 0
	off := respond.Is(err, "ObjectLockConfigurationNotFound*") ||
		err == nil && (out.ObjectLockConfiguration == nil || out.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled)
	switch {
	case off && wanted:
		l.lock = append(l.lock, Trouble{Why: "sealed evidence is not locked: the bucket has no Object Lock", Hint: hintLocks})
	case off:
		l.v.Lock = "no Object Lock, as respond.evidence.lock says"
	case err != nil:
		l.lock = append(l.lock, unknown("whether it locks what is kept", err))
	default:
		l.v.Lock = lockWords(out.ObjectLockConfiguration.Rule)
	}
}

func lockWords(r *types.ObjectLockRule) string {
	if r == nil || r.DefaultRetention == nil || r.DefaultRetention.Mode == "" {
		return "Object Lock is on, with no default"
	}
	d := r.DefaultRetention
	time := fmt.Sprintf("%d days", aws.ToInt32(d.Days))
	if y := aws.ToInt32(d.Years); y > 0 {
		time = fmt.Sprintf("%d years", y)
	}
	return fmt.Sprintf("Object Lock is on, by default %s for %s", strings.ToLower(string(d.Mode)), time)
}

func (l *vaultLook) block(ctx context.Context, c awscalls.S3) {
	out, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &l.v.Bucket})
	switch {
	case respond.Is(err, "NoSuchPublicAccessBlockConfiguration"):
	case err != nil:
		l.blocks = append(l.blocks, unknown("whether public access is blocked", err))
	case out.PublicAccessBlockConfiguration != nil:
		l.blocked = *out.PublicAccessBlockConfiguration
	}
}

func (l *vaultLook) byPolicy(ctx context.Context, c awscalls.S3) {
	out, err := c.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &l.v.Bucket})
	switch {
	case respond.Is(err, "NoSuchBucketPolicy"):
	case err != nil:
		l.policyOpen = append(l.policyOpen, unknown("whether its policy is public", err))
	case out.PolicyStatus != nil && aws.ToBool(out.PolicyStatus.IsPublic):
		l.policyOpen = append(l.policyOpen, Trouble{Why: "it is public by its policy, unless the account blocks it: evidence may be read by anybody", Hint: hintShut, Bad: true})
	}
}

func (l *vaultLook) byACL(ctx context.Context, c awscalls.S3) {
	out, err := c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &l.v.Bucket})
	if err != nil {
		l.aclOpen = append(l.aclOpen, unknown("whether its ACL is public", err))
		return
	}
	for _, g := range out.Grants {
		if g.Grantee != nil && strings.HasPrefix(aws.ToString(g.Grantee.URI), "http://acs.amazonaws.com/groups/global/") {
			l.aclOpen = append(l.aclOpen, Trouble{Why: "it is public by its ACL, unless the account blocks it", Hint: hintShut, Bad: true})
			return
		}
	}
}

// encrypts asks whether the configured key can be used.
func (l *vaultLook) encrypts(ctx context.Context) {
	id := l.policy.Evidence.KMSKey
	if id == "" {
		return
	}
	c, err := l.aws.KMS(ctx, l.at)
	var out *kms.DescribeKeyOutput
	if err == nil {
		out, err = c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	}
	switch {
	case respond.Gone(err) || respond.Is(err, "NotFoundException"):
		l.key = append(l.key, Trouble{Why: "its key " + id + " is not there: nothing can be written", Hint: "compare respond.evidence.kms_key", Bad: true})
	case err != nil:
		l.key = append(l.key, unknown("whether its key "+id+" can be used", err))
	case out.KeyMetadata == nil || out.KeyMetadata.KeyState != kmstypes.KeyStateEnabled:
		state := "of an unknown state"
		if out.KeyMetadata != nil {
			state = string(out.KeyMetadata.KeyState)
		}
		l.key = append(l.key, Trouble{Why: "its key " + id + " is " + state + ": nothing can be written", Hint: "enable the key, or set respond.evidence.kms_key", Bad: true})
	default:
		l.v.Key = "its key is enabled"
	}
}

// unknown is what AWS did not say. What the role may not ask is said in one line.
func unknown(what string, err error) Trouble {
	if respond.DeniedByAWS(err) {
		return Trouble{Why: what, Hint: hintLook, denied: respond.Called(err)}
	}
	return Trouble{Why: what + " is not known: " + respond.Worded(err).Error(), Hint: "look at the bucket by hand; guardroom doctor asks again"}
}

// merged says what the role may not ask in one line, at the end.
func merged(list []Trouble) []Trouble {
	var out []Trouble
	var what, calls []string
	for _, t := range list {
		if t.denied == "" {
			out = append(out, t)
			continue
		}
		what = append(what, t.Why)
		if !slices.Contains(calls, t.denied) {
			calls = append(calls, t.denied)
		}
	}
	if len(what) > 0 {
		out = append(out, Trouble{Why: fmt.Sprintf("%s is not known: the read role may not call %s", Join(what), Join(calls)), Hint: hintLook})
	}
	return out
}
