package cloud

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/triage"
)

const (
	nameHolds    = time.Hour       // of an account's name, and of a refusal
	tagsHold     = 5 * time.Minute // of an instance's tags
	troubleHolds = time.Minute     // of any other error, so that a storm does not multiply it
)

// Findings are written by others: what they name is looked at before it goes
// into a call.
var (
	accountPattern  = regexp.MustCompile(`^\d{12}$`)
	regionPattern   = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)
	instancePattern = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)
)

// AccountNames asks AWS Organizations for the name of a finding's account. A
// refusal is remembered for an hour and degrades the enrichment; accounts that
// the configuration names are not asked for.
type AccountNames struct {
	cloud *Cloud
	names cache[string]
}

var _ triage.Enricher = (*AccountNames)(nil)

// NewAccountNames returns the enricher. It calls nothing yet.
func NewAccountNames(c *Cloud) *AccountNames {
	return &AccountNames{cloud: c, names: cache[string]{now: c.deps.Now}}
}

// Name implements triage.Enricher.
func (a *AccountNames) Name() string { return "organizations" }

// Enrich implements triage.Enricher.
func (a *AccountNames) Enrich(ctx context.Context, f *finding.Finding, e *triage.Enrichment) error {
	if !accountPattern.MatchString(f.AccountID) || a.cloud.named(f.AccountID) {
		return nil
	}
	name, err := a.names.get(ctx, f.AccountID, func(ctx context.Context) (string, time.Duration, error) { return a.ask(ctx, f.AccountID) })
	if err != nil {
		return err
	}
	e.Account.Name = name
	return nil
}

func (a *AccountNames) ask(ctx context.Context, id string) (string, time.Duration, error) {
	name, _, hold, err := a.cloud.member(ctx, id)
	return name, hold, err
}

// member asks AWS Organizations whether it knows an account, and by what name; hold
// is for how long the answer may be remembered.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
func (c *Cloud) member(ctx context.Context, id string) (name string, known bool, hold time.Duration, err error) {
	client, err := c.Organizations(ctx)
	if err != nil {
		return "", false, troubleHolds, err
	}
	out, err := client.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String(id)})
	var unknown *orgtypes.AccountNotFoundException
	switch {
	case errors.As(err, &unknown):
		return "", false, nameHolds, nil
	case err != nil:
		return "", false, holds(ctx, err), Explain(err, "ask AWS Organizations about account "+id)
	case out.Account == nil:
		return "", false, nameHolds, nil
	}
	return aws.ToString(out.Account.Name), true, nameHolds, nil
}

// holds is for how long an error is remembered.
func holds(ctx context.Context, err error) time.Duration {
	switch {
	case ctx.Err() != nil:
		return 0
	case Denied(err):
		return nameHolds
	}
	return troubleHolds
}

// named reports whether the configuration gives the account a name.
func (c *Cloud) named(id string) bool {
	for _, a := range c.accounts {
		if a.ID == id {
			return a.Name != ""
		}
	}
	return false
}

// InstanceTags reads the live tags of a finding's instance, through the read
// role of its account.
//
// With a read role only configured accounts are asked: a forged finding must
// not make guardroom assume a role in an account of its writer's choice.
type InstanceTags struct {
	cloud *Cloud
	tags  cache[[]finding.Tag]
}

var _ triage.Enricher = (*InstanceTags)(nil)

// NewInstanceTags returns the enricher. It calls nothing yet.
func NewInstanceTags(c *Cloud) *InstanceTags {
	return &InstanceTags{cloud: c, tags: cache[[]finding.Tag]{now: c.deps.Now}}
}

// Name implements triage.Enricher.
func (t *InstanceTags) Name() string { return "instance tags" }

// Enrich implements triage.Enricher.
func (t *InstanceTags) Enrich(ctx context.Context, f *finding.Finding, e *triage.Enrichment) error {
	id := f.Resource.ID
	if f.Resource.Kind != finding.KindInstance || f.Sample || !instancePattern.MatchString(id) ||
		!accountPattern.MatchString(f.AccountID) || !regionPattern.MatchString(f.Region) {
		return nil
	}
	if t.cloud.cfg.ReadRole != "" && !t.cloud.configured(f.AccountID) {
		return nil
	}
	key := f.AccountID + "/" + f.Region + "/" + id
	tags, err := t.tags.get(ctx, key, func(ctx context.Context) ([]finding.Tag, time.Duration, error) {
		return t.ask(ctx, f.AccountID, f.Region, id)
	})
	if err != nil {
		return err
	}
	e.Tags = append(e.Tags, tags...)
	return nil
}

func (t *InstanceTags) ask(ctx context.Context, account, region, id string) ([]finding.Tag, time.Duration, error) {
	client, err := t.cloud.EC2(ctx, account, region)
	if err != nil {
		return nil, troubleHolds, err
	}
	// One instance has at most 50 tags: one page.
	out, err := client.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: aws.String("resource-id"), Values: []string{id}}}})
	if err != nil {
		return nil, holds(ctx, err), Explain(err, fmt.Sprintf("read the tags of %s in %s", id, account))
	}
	var tags []finding.Tag
	for _, tag := range out.Tags {
		tags = append(tags, finding.Tag{Key: aws.ToString(tag.Key), Value: aws.ToString(tag.Value)})
	}
	return tags, tagsHold, nil
}

// configured reports whether the account stands in the configuration.
func (c *Cloud) configured(id string) bool {
	for _, a := range c.accounts {
		if a.ID == id {
			return true
		}
	}
	return false
}

// Enrichers are those that the configuration asks for.
func (c *Cloud) Enrichers() []triage.Enricher {
	var out []triage.Enricher
	if c.cfg.Organizations {
		out = append(out, NewAccountNames(c))
	}
	if c.cfg.InstanceTags {
		out = append(out, NewInstanceTags(c))
	}
	return out
}
