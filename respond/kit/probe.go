package kit

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Versioned asks a bucket where it is, and there whether it is versioned.
func Versioned(ctx context.Context, a awscalls.AWS, p awscalls.Place, bucket string) (bool, error) {
	client, err := a.S3(ctx, p)
	if err != nil {
		return false, err
	}
	where, err := client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &bucket})
	if err != nil {
		return false, err
	}
	p.Region = cmp.Or(string(where.LocationConstraint), "us-east-1") // which AWS calls by no name
	if client, err = a.S3(ctx, p); err != nil {
		return false, err
	}
	out, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &bucket})
	return err == nil && out.Status == types.BucketVersioningStatusEnabled, err
}

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
