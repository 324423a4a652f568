package app

import (
	"context"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
)

// Resolvers look up the references to secrets in AWS, in the way that cfg says
// AWS is reached.
func Resolvers(cfg *config.Config) map[string]config.Resolver {
	c := cloud.New(cfg.AWS, cfg.Accounts, cloud.Deps{})
	return map[string]config.Resolver{"ssm": cloud.SSMResolver{Cloud: c}, "secretsmanager": cloud.SecretsManagerResolver{Cloud: c}}
}

// awsChecks is doctor's part about AWS.
func (a *App) awsChecks(ctx context.Context) []api.Check {
	var out []api.Check
	for _, c := range a.cloud.Checks(ctx, a.cfg) {
		out = append(out, api.Check{Area: "aws", What: c.What, OK: c.OK, Warning: c.Warning, Message: c.Message, Hint: c.Hint})
	}
	return out
}

// usesAWS reports whether anything in the configuration needs AWS.
func usesAWS(cfg *config.Config) bool {
	s := cfg.Sources
	return len(s.SQS)+len(s.GuardDuty)+len(s.S3) > 0 || cfg.AWS.Organizations || cfg.AWS.InstanceTags || cfg.Audit.Head.S3 != "" ||
		cfg.Incidents.ArchiveOnClose
}
