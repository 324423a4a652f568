package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Presign implements awscalls.AWS. The URLs end with the session of the role,
// at the latest after an hour.
func (r *responses) Presign(ctx context.Context, p awscalls.Place) (awscalls.Presigner, error) {
	return client(ctx, r, p, func(cfg aws.Config) awscalls.Presigner {
		return s3.NewPresignClient(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }))
	})
}
