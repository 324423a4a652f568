package kit

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Parameter reads a public or own parameter of Systems Manager.
func Parameter(ctx context.Context, a awscalls.AWS, p awscalls.Place, name string) (string, error) {
	client, err := a.SSM(ctx, p)
	if err != nil {
		return "", err
	}
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if err != nil || out.Parameter == nil {
		return "", err
	}
	return aws.ToString(out.Parameter.Value), nil
}
