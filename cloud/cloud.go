package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
)

const (
	// sessionName is what CloudTrail shows for what guardroom reads.
	sessionName = "guardroom-read"

	callTimeout   = 30 * time.Second // of one HTTP request; longer than a long poll of SQS (20 s)
	objectTimeout = 5 * time.Minute  // of one object in S3
	attempts      = 5
	maxBackoff    = 10 * time.Second
	expiryWindow  = 2 * time.Minute // role credentials are renewed so long before they end

	// ownAccountHolds is for ever: whose the credentials are is asked once.
	ownAccountHolds = 100 * 365 * 24 * time.Hour
)

// Deps are what Cloud needs beside its configuration. The zero value works.
type Deps struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: silence
	// HTTP sends the requests; nil: a client with timeouts.
	HTTP *http.Client
	// MaxBackoff between retries; 0: 10 s.
	MaxBackoff time.Duration
	// Observe is told every call before it is sent, once per call and not per
	// attempt. It must not block and must be safe for concurrent use.
	Observe func(Call)
}

// Cloud gives clients of AWS services. It is safe for concurrent use.
type Cloud struct {
	cfg      config.AWS
	accounts []config.Account
	deps     Deps

	mu     sync.Mutex
	loaded bool
	base   aws.Config
	roles  map[roleKey]aws.CredentialsProvider
}

// roleKey is a role in an account; the partition follows from the region.
type roleKey struct{ partition, account, role string }

// New returns access to AWS as configured. It does no I/O.
func New(cfg config.AWS, accounts []config.Account, deps Deps) *Cloud {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.MaxBackoff <= 0 {
		deps.MaxBackoff = maxBackoff
	}
	return &Cloud{cfg: cfg, accounts: accounts, deps: deps, roles: map[roleKey]aws.CredentialsProvider{}}
}

// load reads the shared configuration once. After an error the next call tries
// again.
func (c *Cloud) load(ctx context.Context) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return c.base, nil
	}
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = attempts, c.deps.MaxBackoff
			})
		}),
		awsconfig.WithAppID("guardroom"),
		awsconfig.WithHTTPClient(c.transport(callTimeout)),
		awsconfig.WithAPIOptions(c.apiOptions()),
		// Otherwise the SDK writes to standard error.
		awsconfig.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			c.deps.Log.Debug("the AWS SDK says", "message", fmt.Sprintf(format, v...))
		})),
	}
	if c.cfg.Region != "" {
		options = append(options, awsconfig.WithRegion(c.cfg.Region))
	}
	if c.cfg.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(c.cfg.Profile))
	}
	if c.cfg.EndpointURL != "" {
		options = append(options, awsconfig.WithBaseEndpoint(c.cfg.EndpointURL))
	}
	// The configuration outlives this call.
	base, err := awsconfig.LoadDefaultConfig(context.WithoutCancel(ctx), options...)
	if err != nil {
		return aws.Config{}, fault.Wrap(fault.Usage, err, "read the AWS configuration", "AWS was not called",
			"check aws.profile, AWS_PROFILE and the files in ~/.aws")
	}
	c.base, c.loaded = base, true
	return base, nil
}

func (c *Cloud) transport(timeout time.Duration) aws.HTTPClient {
	if c.deps.HTTP != nil {
		return c.deps.HTTP
	}
	return awshttp.NewBuildableClient().WithTimeout(timeout)
}

// in returns the configuration for a region; empty is the configured one.
func (c *Cloud) in(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := c.load(ctx)
	if err != nil {
		return cfg, err
	}
	cfg = cfg.Copy()
	if region != "" {
		cfg.Region = region
	}
	if cfg.Region == "" {
		return cfg, fault.New(fault.Usage, "no AWS region is configured", "set aws.region or AWS_REGION")
	}
	return cfg, nil
}

// as returns the configuration for an account and a region. An empty account
// is the one of the credentials. role is the name of the role to assume there;
// empty is aws.read_role, and when that is empty too the credentials are used
// as they are.
func (c *Cloud) as(ctx context.Context, account, role, region string) (aws.Config, error) {
	cfg, err := c.in(ctx, region)
	if err != nil {
		return cfg, err
	}
	if role == "" {
		role = c.cfg.ReadRole
	}
	if account == "" || role == "" {
		return cfg, nil
	}
	own := c.home(ctx, cfg)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := roleKey{partition: Partition(cfg.Region), account: account, role: role}
	provider, ok := c.roles[key]
	if !ok {
		arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", key.partition, account, strings.TrimPrefix(role, "/"))
		provider = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(own), arn, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = sessionName
			if c.cfg.ExternalID.IsSet() {
				o.ExternalID = aws.String(c.cfg.ExternalID.Reveal())
			}
		}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = expiryWindow })
		c.roles[key] = provider
	}
	cfg.Credentials = provider
	return cfg, nil
}

// home is the configuration with which a role is assumed: in guardroom's own
// region. Its account may not have enabled the region that was attacked, and
// credentials are good in all of a partition.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html
func (c *Cloud) home(ctx context.Context, there aws.Config) aws.Config {
	if own, err := c.in(ctx, ""); err == nil && Partition(own.Region) == Partition(there.Region) {
		return own
	}
	return there
}

// Partition is the partition of a region: aws, aws-cn, aws-us-gov.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// GuardDuty returns a client for an account and a region. role is the name of
// the role to assume; empty is aws.read_role. Credentials are fetched by the
// first call, cached, and renewed before they end.
func (c *Cloud) GuardDuty(ctx context.Context, account, role, region string) (GuardDutyClient, error) {
	cfg, err := c.as(ctx, account, role, region)
	if err != nil {
		return nil, err
	}
	return asGuardDutyClient(guardduty.NewFromConfig(cfg)), nil
}

// EC2 returns a client for an account and a region, through aws.read_role.
func (c *Cloud) EC2(ctx context.Context, account, region string) (EC2Client, error) {
	cfg, err := c.as(ctx, account, "", region)
	if err != nil {
		return nil, err
	}
	return asEC2Client(ec2.NewFromConfig(cfg)), nil
}

// SQS returns a client of guardroom's own account.
func (c *Cloud) SQS(ctx context.Context, region string) (SQSClient, error) {
	cfg, err := c.in(ctx, region)
	if err != nil {
		return nil, err
	}
	return asSQSClient(sqs.NewFromConfig(cfg)), nil
}

// S3 returns a client of guardroom's own account. Behind a configured endpoint
// it names the bucket in the path, because test servers and proxies have no
// host name for each bucket.
func (c *Cloud) S3(ctx context.Context, region string) (S3Client, error) {
	cfg, err := c.in(ctx, region)
	if err != nil {
		return nil, err
	}
	return asS3Client(s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.HTTPClient = c.transport(objectTimeout)
	})), nil
}

// SSM returns a client of guardroom's own account.
func (c *Cloud) SSM(ctx context.Context, region string) (SSMClient, error) {
	cfg, err := c.in(ctx, region)
	if err != nil {
		return nil, err
	}
	return asSSMClient(ssm.NewFromConfig(cfg)), nil
}

// SecretsManager returns a client of guardroom's own account.
func (c *Cloud) SecretsManager(ctx context.Context, region string) (SecretsManagerClient, error) {
	cfg, err := c.in(ctx, region)
	if err != nil {
		return nil, err
	}
	return asSecretsManagerClient(secretsmanager.NewFromConfig(cfg)), nil
}

// Organizations returns a client of guardroom's own account, which must be the
// management account or a delegated administrator for its calls to succeed.
func (c *Cloud) Organizations(ctx context.Context) (OrganizationsClient, error) {
	cfg, err := c.in(ctx, "")
	if err != nil {
		return nil, err
	}
	return asOrganizationsClient(organizations.NewFromConfig(cfg)), nil
}

// Region is the region that is used where nothing else says which.
func (c *Cloud) Region(ctx context.Context) (string, error) {
	cfg, err := c.in(ctx, "")
	return cfg.Region, err
}

// Identity is who the credentials belong to.
type Identity struct{ Account, ARN, UserID string }

// Caller asks AWS who the credentials belong to.
func (c *Cloud) Caller(ctx context.Context) (Identity, error) {
	id, _, err := c.caller(ctx, "", "", "")
	return id, err
}

// caller also returns the time of the server, zero where it gave none.
func (c *Cloud) caller(ctx context.Context, account, role, region string) (Identity, time.Time, error) {
	cfg, err := c.as(ctx, account, role, region)
	if err != nil {
		return Identity{}, time.Time{}, err
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, time.Time{}, Explain(err, "ask AWS who we are")
	}
	at, _ := serverTime(out.ResultMetadata)
	return Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn), UserID: aws.ToString(out.UserId)}, at, nil
}

// ownAccount is the account of the credentials, for a cache: it never changes.
func (c *Cloud) ownAccount(ctx context.Context) (string, time.Duration, error) {
	id, err := c.Caller(ctx)
	if err != nil {
		return "", 0, err
	}
	return id.Account, ownAccountHolds, nil
}
