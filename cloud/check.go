package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	gdtypes "github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
)

// Check is one result about AWS: what was looked at, how it is, and what to do
// when it is not right.
type Check struct {
	What    string
	OK      bool
	Warning bool // not right, but nothing is lost
	Message string
	Hint    string
}

const (
	// checkLimit is the longest that one check may take with its retries.
	checkLimit = 20 * time.Second
	// checksAtOnce keeps hundreds of regions from being asked in one moment.
	checksAtOnce = 8
	// maxSkew: AWS refuses requests that are 5 minutes off.
	maxSkew = time.Minute
)

// Checks looks at everything in AWS that this configuration needs, by calls
// that change nothing, and returns one result or more for each, in the order of
// the configuration. A configuration that needs nothing gives none. It blocks
// for at most a minute or two, and is ended by ctx.
func (c *Cloud) Checks(ctx context.Context, cfg *config.Config) []Check {
	jobs := c.jobs(cfg)
	if len(jobs) == 0 {
		return nil
	}
	first := c.checkCaller(ctx)
	if !first[0].OK {
		return first // all others would say the same
	}
	results := make([][]Check, len(jobs))
	slots := make(chan struct{}, checksAtOnce)
	var all sync.WaitGroup
	for i, job := range jobs {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, checkLimit)
			defer cancel()
			results[i] = job(ctx)
		})
	}
	all.Wait()
	for _, r := range results {
		first = append(first, r...)
	}
	return first
}

type job func(ctx context.Context) []Check

func (c *Cloud) jobs(cfg *config.Config) []job {
	var out []job
	add := func(j job) { out = append(out, j) }
	for _, s := range cfg.Sources.GuardDuty {
		for _, p := range Places(s, cfg.Accounts) {
			add(func(ctx context.Context) []Check { return c.checkDetectors(ctx, s.Name, p) })
		}
	}
	for _, s := range cfg.Sources.SQS {
		add(func(ctx context.Context) []Check { return []Check{c.checkQueue(ctx, s)} })
	}
	for _, s := range cfg.Sources.S3 {
		add(func(ctx context.Context) []Check {
			return []Check{c.checkBucket(ctx, "export "+s.Name, s.URL, s.Region)}
		})
	}
	if cfg.Audit.Head.S3 != "" {
		add(func(ctx context.Context) []Check {
			return []Check{c.checkBucket(ctx, "audit head", cfg.Audit.Head.S3, "")}
		})
	}
	if c.cfg.Organizations {
		add(func(ctx context.Context) []Check { return []Check{c.checkOrganizations(ctx)} })
	}
	if c.cfg.InstanceTags {
		add(func(ctx context.Context) []Check { return c.checkTags(ctx) })
	}
	return out
}

// wrong is a failed check with the hint of its fault.
func wrong(what string, err error) Check {
	f := fault.Of(err)
	message := f.Error()
	return Check{What: what, Message: message, Hint: f.Hint}
}

func (c *Cloud) checkCaller(ctx context.Context) []Check {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	before := c.deps.Now()
	id, server, err := c.caller(ctx, "", "", "")
	if err != nil {
		return []Check{wrong("credentials", err)}
	}
	checks := []Check{{What: "credentials", OK: true, Message: id.ARN}}
	if server.IsZero() {
		return checks
	}
	// The header has whole seconds and is from somewhere between our two looks.
	skew := before.Add(c.deps.Now().Sub(before) / 2).Sub(server).Round(time.Second)
	clock := Check{What: "clock", OK: skew.Abs() <= maxSkew, Message: fmt.Sprintf("%s against AWS", skew)}
	if !clock.OK {
		clock.Hint = "set the clock by NTP: AWS refuses requests that are 5 minutes off"
	}
	return append(checks, clock)
}

// checkDetectors looks at a place as the poller does: the role, the detectors,
// and whether findings may be listed and read.
func (c *Cloud) checkDetectors(ctx context.Context, source string, p Place) []Check {
	what := "guardduty " + source + " " + p.String()
	client, err := c.GuardDuty(ctx, p.Account, p.Role, p.Region)
	if err != nil {
		return []Check{wrong(what, err)}
	}
	if p.Account != "" {
		// First, because it tells a missing role from a missing permission.
		id, _, err := c.caller(ctx, p.Account, p.Role, p.Region)
		if err != nil {
			return []Check{wrong(what, fmt.Errorf("assume the role in %s: %w", p.Account, err))}
		}
		if id.Account != p.Account {
			return []Check{{What: what, Message: "the credentials belong to account " + id.Account, Hint: "set aws.read_role to the name of a role in account " + p.Account}}
		}
	}
	list, err := client.ListDetectors(ctx, &guardduty.ListDetectorsInput{})
	if err != nil {
		return []Check{wrong(what, Explain(err, "list the detectors"))}
	}
	if len(list.DetectorIds) == 0 {
		return []Check{{What: what, OK: true, Warning: true, Message: "GuardDuty is off here", Hint: "enable GuardDuty in this region, or take the region out of the configuration"}}
	}
	var checks []Check
	for _, d := range list.DetectorIds {
		checks = append(checks, checkDetector(ctx, client, what, d))
	}
	return checks
}

func checkDetector(ctx context.Context, client GuardDutyClient, what, detector string) Check {
	out, err := client.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: aws.String(detector)})
	if err != nil {
		return wrong(what, Explain(err, "look at detector "+detector))
	}
	findings, err := client.ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: aws.String(detector), MaxResults: aws.Int32(1)})
	if err != nil {
		return wrong(what, Explain(err, "list the findings of detector "+detector))
	}
	if len(findings.FindingIds) > 0 {
		if _, err := client.GetFindings(ctx, &guardduty.GetFindingsInput{DetectorId: aws.String(detector), FindingIds: findings.FindingIds}); err != nil && Denied(err) {
			return wrong(what, Explain(err, "read a finding of detector "+detector))
		}
	}
	switch {
	case out.Status != gdtypes.DetectorStatusEnabled:
		return Check{What: what, OK: true, Warning: true, Message: "detector " + detector + " is suspended", Hint: "enable it in GuardDuty's settings"}
	case out.FindingPublishingFrequency != gdtypes.FindingPublishingFrequencyFifteenMinutes:
		return Check{What: what, OK: true, Warning: true, Message: fmt.Sprintf("detector %s tells of changes to a finding %s", detector, frequency(out.FindingPublishingFrequency)),
			Hint: "set it to 15 minutes in the administrator account: aws guardduty update-detector --finding-publishing-frequency FIFTEEN_MINUTES"}
	}
	return Check{What: what, OK: true, Message: "detector " + detector + " can be read"}
}

func frequency(f gdtypes.FindingPublishingFrequency) string {
	switch f {
	case gdtypes.FindingPublishingFrequencyOneHour:
		return "only every hour"
	case gdtypes.FindingPublishingFrequencySixHours:
		return "only every six hours"
	}
	return strings.ToLower(string(f))
}

func (c *Cloud) checkQueue(ctx context.Context, s config.SQSSource) Check {
	what := "queue " + s.Name
	region := s.Region
	if region == "" {
		region = QueueRegion(s.QueueURL)
	}
	client, err := c.SQS(ctx, region)
	if err != nil {
		return wrong(what, err)
	}
	names := []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible, sqstypes.QueueAttributeNameRedrivePolicy}
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(s.QueueURL), AttributeNames: names})
	if err != nil {
		return wrong(what, Explain(err, "look at the queue"))
	}
	return Check{What: what, OK: true, Message: fmt.Sprintf("%s messages wait, %s are being worked on",
		out.Attributes[string(names[0])], out.Attributes[string(names[1])])}
}

// QueueRegion is the region in a queue's URL; empty where it has none.
func QueueRegion(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	for part := range strings.SplitSeq(u.Hostname(), ".") {
		if regionPattern.MatchString(part) {
			return part
		}
	}
	return ""
}

func (c *Cloud) checkBucket(ctx context.Context, what, rawURL, region string) Check {
	what = "bucket of " + what
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return Check{What: what, Message: fmt.Sprintf("%q names no place in S3", rawURL), Hint: "write s3://bucket/prefix"}
	}
	client, err := c.S3(ctx, region)
	if err != nil {
		return wrong(what, err)
	}
	_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(u.Host), Prefix: aws.String(strings.TrimPrefix(u.Path, "/")), MaxKeys: aws.Int32(1)})
	if err != nil {
		return wrong(what, Explain(err, "list "+rawURL))
	}
	return Check{What: what, OK: true, Message: rawURL + " can be listed"}
}

func (c *Cloud) checkOrganizations(ctx context.Context) Check {
	const what = "account names"
	id, err := c.Caller(ctx)
	if err != nil {
		return wrong(what, err)
	}
	name, _, err := NewAccountNames(c).ask(ctx, id.Account)
	if err != nil {
		// Without names accounts are shown by their numbers; nothing is lost.
		check := wrong(what, err)
		check.OK, check.Warning = true, true
		check.Hint = "name the accounts under accounts: in the configuration, or run guardroom as a delegated administrator of AWS Organizations"
		return check
	}
	return Check{What: what, OK: true, Message: fmt.Sprintf("this account is %s", name)}
}

// checkTags asks each configured account once.
func (c *Cloud) checkTags(ctx context.Context) []Check {
	accounts := []string{""}
	if c.cfg.ReadRole != "" {
		accounts = nil
		for _, a := range c.accounts {
			accounts = append(accounts, a.ID)
		}
	}
	var checks []Check
	for _, id := range accounts {
		what := "instance tags " + Place{Account: id}.String()
		client, err := c.EC2(ctx, id, "")
		if err == nil {
			_, err = client.DescribeTags(ctx, &ec2.DescribeTagsInput{MaxResults: aws.Int32(5), Filters: []ec2types.Filter{{Name: aws.String("resource-type"), Values: []string{"instance"}}}})
			err = Explain(err, "read tags")
		}
		if err != nil {
			check := wrong(what, err)
			check.OK, check.Warning = !errors.Is(err, context.Canceled), true
			checks = append(checks, check)
			continue
		}
		checks = append(checks, Check{What: what, OK: true, Message: "can be read"})
	}
	return checks
}
