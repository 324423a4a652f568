package cloud

import (
	"container/list"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// maxSessions bounds the remembered role sessions. One that falls out is
// assumed again when it is asked for.
const maxSessions = 1000

// ResponseRoles are the names of the roles that responses assume in an account,
// each with its path where it has one: security/guardroom-act. An empty name
// uses the credentials as they are, which is allowed in their own account only.
type ResponseRoles struct {
	// Read describes, Act contains, Forensics works in the forensic account.
	Read, Act, Forensics string
	// Ours are the accounts in which roles are assumed; nil: all, for tests.
	Ours *Ours
	// Pace is how fast calls are sent; a class that is not in it has its default.
	Pace map[PaceClass]Pace
}

func (r ResponseRoles) name(role awscalls.Role) (name, setting string, err error) {
	switch role {
	case awscalls.Read:
		return r.Read, "aws.read_role", nil
	case awscalls.Act:
		return r.Act, "respond.act_role", nil
	case awscalls.Forensics:
		return r.Forensics, "respond.forensics_role", nil
	}
	return "", "", fault.New(fault.Usage, fmt.Sprintf("%q is no role of guardroom", role), "")
}

// Responses gives the clients with which responses work: through the role that
// a place names, in the session of its incident. What they send is paced by
// account, region and kind of call, so that a call that isolates never waits
// behind those that read a disk. Responses itself does no I/O; the first client
// of a role without a name asks AWS once whose the credentials are.
func (c *Cloud) Responses(cfg ResponseRoles) awscalls.AWS {
	return &responses{cloud: c, roles: cfg, pacer: newPacer(cfg.Pace), objects: c.transport(objectTimeout),
		own: cache[string]{now: c.deps.Now}, sessions: map[sessionKey]*list.Element{}, used: list.New()}
}

type responses struct {
	cloud   *Cloud
	roles   ResponseRoles
	pacer   *pacer
	objects aws.HTTPClient // with the longer deadline of objects and blocks
	own     cache[string]  // the account of the credentials

	mu       sync.Mutex
	sessions map[sessionKey]*list.Element
	used     *list.List // of *session, the latest first
}

var _ awscalls.AWS = (*responses)(nil)

type sessionKey struct {
	partition, account, role, incident string
	signs                              bool
}

const (
	// sessionLength is the longest that AWS allows for every role.
	sessionLength = time.Hour
	// signingWindow is for how long a session that signs addresses lives on at
	// least: an address ends with its session.
	signingWindow = 45 * time.Minute
)

type session struct {
	key      sessionKey
	provider aws.CredentialsProvider
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	// sessionForm is what AWS takes as session name and source identity:
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	sessionForm = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// at is the SDK's configuration for a place; signs is for addresses that others
// use later.
func (r *responses) at(ctx context.Context, p awscalls.Place, signs bool) (aws.Config, error) {
	if !accountForm.MatchString(p.Account) {
		return aws.Config{}, fault.New(fault.Usage, fmt.Sprintf("%q is no AWS account", p.Account), "an account has twelve digits")
	}
	if !sessionForm.MatchString(p.Incident) {
		return aws.Config{}, fault.New(fault.Usage, fmt.Sprintf("%q names no incident", p.Incident), "every call of a response is made for an incident, such as INC-42")
	}
	name, setting, err := r.roles.name(p.Role)
	if err != nil {
		return aws.Config{}, err
	}
	cfg, err := r.cloud.in(ctx, p.Region)
	if err != nil {
		return cfg, err
	}
	if name == "" {
		if err := r.ours(ctx, p, setting); err != nil {
			return cfg, err
		}
	} else {
		if r.roles.Ours != nil {
			if err := r.roles.Ours.Check(ctx, p.Account); err != nil {
				return cfg, err
			}
		}
		cfg.Credentials = r.session(r.cloud.home(ctx, cfg), p, name, signs)
	}
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), r.pacer.option(p.Account, cfg.Region))
	return cfg, nil
}

// ours makes sure that credentials without a role are those of the place: a
// response in the wrong account would describe, and change, somebody else's.
func (r *responses) ours(ctx context.Context, p awscalls.Place, setting string) error {
	own, err := r.own.get(ctx, "", r.cloud.ownAccount)
	if err != nil {
		return err
	}
	if own != p.Account {
		return fault.New(fault.Denied, fmt.Sprintf("no role is configured for work in account %s, and the credentials belong to account %s", p.Account, own),
			fmt.Sprintf("set %s to the name of a role in account %s", setting, p.Account))
	}
	return nil
}

// session is the role's credentials for an incident. They are fetched by the
// first call, and renewed before they end.
func (r *responses) session(cfg aws.Config, p awscalls.Place, role string, signs bool) aws.CredentialsProvider {
	key := sessionKey{Partition(cfg.Region), p.Account, strings.TrimPrefix(role, "/"), p.Incident, signs}
	window := expiryWindow
	if signs {
		window = signingWindow
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.sessions[key]; ok {
		r.used.MoveToFront(e)
		return e.Value.(*session).provider
	}
	arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", key.partition, key.account, key.role)
	assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.SourceIdentity, o.Duration = p.Incident, aws.String(p.Incident), sessionLength
		if r.cloud.cfg.ExternalID.IsSet() {
			o.ExternalID = aws.String(r.cloud.cfg.ExternalID.Reveal())
		}
	})
	s := &session{key: key, provider: aws.NewCredentialsCache(assume, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = window })}
	r.sessions[key] = r.used.PushFront(s)
	if r.used.Len() > maxSessions {
		oldest := r.used.Remove(r.used.Back()).(*session)
		delete(r.sessions, oldest.key)
	}
	return s.provider
}

// Simulated implements awscalls.AWS.
func (*responses) Simulated() bool { return false }

// client makes a client of a service for a place. The first result is always
// an interface's nil when there is an error.
func client[I any](ctx context.Context, r *responses, p awscalls.Place, from func(aws.Config) I) (I, error) {
	cfg, err := r.at(ctx, p, false)
	if err != nil {
		var none I
		return none, err
	}
	return from(cfg), nil
}

// EC2 implements awscalls.AWS.
func (r *responses) EC2(ctx context.Context, p awscalls.Place) (awscalls.EC2, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.EC2 { return asEC2(ec2.NewFromConfig(cfg)) })
}

// AutoScaling implements awscalls.AWS.
func (r *responses) AutoScaling(ctx context.Context, p awscalls.Place) (awscalls.AutoScaling, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.AutoScaling { return asAutoScaling(autoscaling.NewFromConfig(cfg)) })
}

// ELB implements awscalls.AWS.
func (r *responses) ELB(ctx context.Context, p awscalls.Place) (awscalls.ELB, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.ELB { return asELB(elasticloadbalancing.NewFromConfig(cfg)) })
}

// ELBv2 implements awscalls.AWS.
func (r *responses) ELBv2(ctx context.Context, p awscalls.Place) (awscalls.ELBv2, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.ELBv2 { return asELBv2(elasticloadbalancingv2.NewFromConfig(cfg)) })
}

// IAM implements awscalls.AWS.
func (r *responses) IAM(ctx context.Context, p awscalls.Place) (awscalls.IAM, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.IAM { return asIAM(iam.NewFromConfig(cfg)) })
}

// STS implements awscalls.AWS.
func (r *responses) STS(ctx context.Context, p awscalls.Place) (awscalls.STS, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.STS { return asSTS(sts.NewFromConfig(cfg)) })
}

// SSM implements awscalls.AWS.
func (r *responses) SSM(ctx context.Context, p awscalls.Place) (awscalls.SSM, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.SSM { return asSSM(ssm.NewFromConfig(cfg)) })
}

// S3 implements awscalls.AWS.
func (r *responses) S3(ctx context.Context, p awscalls.Place) (awscalls.S3, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.S3 {
		return asS3(s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.UsePathStyle = o.BaseEndpoint != nil
			o.HTTPClient = r.objects
		}))
	})
}

// KMS implements awscalls.AWS.
func (r *responses) KMS(ctx context.Context, p awscalls.Place) (awscalls.KMS, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.KMS { return asKMS(kms.NewFromConfig(cfg)) })
}

// EBS implements awscalls.AWS.
func (r *responses) EBS(ctx context.Context, p awscalls.Place) (awscalls.EBS, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.EBS { return asEBS(ebs.NewFromConfig(cfg)) })
}

// Lambda implements awscalls.AWS.
func (r *responses) Lambda(ctx context.Context, p awscalls.Place) (awscalls.Lambda, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.Lambda { return asLambda(lambda.NewFromConfig(cfg)) })
}

// RDS implements awscalls.AWS.
func (r *responses) RDS(ctx context.Context, p awscalls.Place) (awscalls.RDS, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.RDS { return asRDS(rds.NewFromConfig(cfg)) })
}

// WAF implements awscalls.AWS.
func (r *responses) WAF(ctx context.Context, p awscalls.Place) (awscalls.WAF, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.WAF { return asWAF(wafv2.NewFromConfig(cfg)) })
}

// Logs implements awscalls.AWS.
func (r *responses) Logs(ctx context.Context, p awscalls.Place) (awscalls.Logs, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.Logs { return asLogs(cloudwatchlogs.NewFromConfig(cfg)) })
}

// CloudTrail implements awscalls.AWS.
func (r *responses) CloudTrail(ctx context.Context, p awscalls.Place) (awscalls.CloudTrail, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.CloudTrail { return asCloudTrail(cloudtrail.NewFromConfig(cfg)) })
}
