package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Presign implements awscalls.AWS. The URLs end with the session of the role,
// which lives for 45 minutes at least, and for an hour at most.
func (r *responses) Presign(ctx context.Context, p awscalls.Place) (awscalls.Presigner, error) {
	cfg, err := r.at(ctx, p, true)
	if err != nil {
		return nil, err
	}
	return asPresigner(s3.NewPresignClient(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }))), nil
}
