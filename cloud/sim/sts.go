package sim

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/guardroom/guardroom/respond/awscalls"
)

type stsClient struct{ client }

var _ awscalls.STS = stsClient{}

// GetCallerIdentity implements awscalls.STS. It says in its ids that it is simulated.
func (c stsClient) GetCallerIdentity(ctx context.Context, in *sts.GetCallerIdentityInput, _ ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return do(ctx, c.client, "STS", "GetCallerIdentity", false, in, func(a *account, _ *region) (*sts.GetCallerIdentityOutput, error) {
		role := c.w.principal(c.place)
		name := role[strings.LastIndex(role, "/")+1:]
		session := orText(c.place.Incident, "guardroom")
		return &sts.GetCallerIdentityOutput{
			Account: aws.String(a.ID),
			Arn:     aws.String("arn:aws:sts::" + a.ID + ":assumed-role/" + name + "/" + session),
			UserId:  aws.String("AROASIMULATED" + strings.ToUpper(string(c.place.Role)) + ":" + session),
		}, nil
	})
}
