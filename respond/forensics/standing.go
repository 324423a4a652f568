package forensics

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

var _ evidence.Places = Reader{}

// Stand implements evidence.Places. Snapshots that stay in an attacked account
// are looked at by the reader there, everything else by the forensics role.
func (r Reader) Stand(ctx context.Context, i evidence.Item) (evidence.Standing, error) {
	if strings.HasPrefix(i.Location, "s3://") {
		return r.object(ctx, i)
	}
	p := r.place(i)
	if r.Home != "" && i.Account != r.Home {
		p.Role = awscalls.Read
	}
	c, err := r.AWS.EC2(ctx, p)
	if err != nil {
		return evidence.Standing{}, err
	}
	var s evidence.Standing
	switch kind, _, _ := strings.Cut(i.Location, "-"); kind {
	case "snap":
		s, err = snapshotStands(ctx, c, i)
	case "vol":
		s, err = volumeStands(ctx, c, i.Location)
	case "i":
		s, err = instanceStands(ctx, c, i.Location)
	default:
		return s, fmt.Errorf("look at %s: nothing is known of where it is", i.Location)
	}
	if respond.Gone(err) {
		return s, fmt.Errorf("%w (%s)", evidence.ErrMissing, respond.Code(err))
	}
	if err != nil {
		return s, respond.Explain(err, "look at "+i.Location, "")
	}
	if s.State == "" {
		return s, evidence.ErrMissing
	}
	return s, nil
}

// object is the lock of an object, which AWS shows to those only who may see the
// retention.
func (r Reader) object(ctx context.Context, i evidence.Item) (evidence.Standing, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(i.Location, "s3://"), "/")
	c, err := r.AWS.S3(ctx, r.place(i))
	if err != nil {
		return evidence.Standing{}, err
	}
	in := &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}
	if i.Version != "" {
		in.VersionId = aws.String(i.Version)
	}
	out, err := c.HeadObject(ctx, in)
	if respond.Is(err, "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "NotFound") {
		return evidence.Standing{}, fmt.Errorf("%w (%s)", evidence.ErrMissing, respond.Code(err))
	}
	if err != nil {
		return evidence.Standing{}, respond.Explain(err, "look at "+i.Location, "")
	}
	return evidence.Standing{State: "stored", LockMode: strings.ToLower(string(out.ObjectLockMode)), LockUntil: aws.ToTime(out.ObjectLockRetainUntilDate).UTC()}, nil
}

func snapshotStands(ctx context.Context, c awscalls.EC2, i evidence.Item) (evidence.Standing, error) {
	list, err := snapshots(ctx, c, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{i.Location}})
	if err != nil || len(list) == 0 {
		return evidence.Standing{}, err
	}
	s := evidence.Standing{State: string(list[0].State), Broken: list[0].State == types.SnapshotStateError}
	if i.LockMode == "" {
		return s, nil
	}
	l, err := lockShown(ctx, c, i.Location)
	s.LockMode, s.LockUntil = l.Mode, l.Until
	return s, err
}

func volumeStands(ctx context.Context, c awscalls.EC2, id string) (evidence.Standing, error) {
	out, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
	if err != nil || len(out.Volumes) == 0 {
		return evidence.Standing{}, err
	}
	switch state := out.Volumes[0].State; state {
	case types.VolumeStateDeleted, types.VolumeStateDeleting:
		return evidence.Standing{}, nil
	default:
		return evidence.Standing{State: string(state), Broken: state == types.VolumeStateError}, nil
	}
}

func instanceStands(ctx context.Context, c awscalls.EC2, id string) (evidence.Standing, error) {
	i, err := describeOne(ctx, c, id)
	if err != nil || i == nil || i.State == nil {
		return evidence.Standing{}, err
	}
	switch i.State.Name {
	case types.InstanceStateNameTerminated, types.InstanceStateNameShuttingDown:
		return evidence.Standing{}, nil
	default:
		return evidence.Standing{State: string(i.State.Name)}, nil
	}
}
