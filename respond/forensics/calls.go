package forensics

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// settle is how long something that was asked for may stay invisible, and
// slowest how long the call itself may have been under way.
const (
	settle  = time.Minute
	slowest = 30 * time.Second
)

// look asks EC2 something.
func look[O any](x *respond.Exec, p awscalls.Place, f func(ctx context.Context, c awscalls.EC2) (O, error)) (O, error) {
	return ec2Call(x.Look, x, p, f)
}

// change makes EC2 change something.
func change[O any](x *respond.Exec, p awscalls.Place, f func(ctx context.Context, c awscalls.EC2) (O, error)) (O, error) {
	return ec2Call(x.Change, x, p, f)
}

func ec2Call[O any](by func(func(context.Context) error) error, x *respond.Exec, p awscalls.Place, f func(ctx context.Context, c awscalls.EC2) (O, error)) (O, error) {
	var out O
	err := by(func(ctx context.Context) error {
		c, err := x.AWS.EC2(ctx, p)
		if err != nil {
			return err
		}
		out, err = f(ctx, c)
		return err
	})
	return out, err
}

// ended reports whether an error ends the run's work here and is no answer of AWS.
func ended(err error) bool {
	return errors.Is(err, playbook.ErrAborted) || errors.Is(err, playbook.ErrFenced) || errors.Is(err, playbook.ErrStopped)
}

// refused reports whether AWS said a plain no: nothing was done. Anything else
// but success may have been carried out.
func refused(err error) bool {
	if errors.Is(err, playbook.ErrAborted) {
		return true // the call was not made
	}
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorFault() == smithy.FaultServer {
		return false
	}
	return !respond.Is(err, "Internal*", "ServiceUnavailable*", "Unavailable", "RequestTimeout*", "ServiceFailure*")
}

// early turns "there is no such thing" into "not yet" in the first minute after
// from, in which AWS may not show what it has just made.
func early(x *respond.Exec, err error, from time.Time) error {
	if err != nil && respond.Gone(err) && x.Now().Sub(from) < settle {
		// Not wrapped: to the runner this is no answer of AWS, but a reason to ask again.
		return fault.New(fault.Unavailable, "AWS does not show it yet: "+err.Error(), "it is asked again")
	}
	return err
}

// once makes something for which AWS takes no client token, and returns what was
// made. It writes down that it asks before it asks; where no answer is known of
// a call, it looks for what the call may have made for a minute before it makes
// another. find returns what there is with the tags of this step, and whether
// that is all that is expected.
func once[T any](x *respond.Exec, key string, find func() (list []T, all bool, err error), make func() ([]T, error)) ([]T, error) {
	var list []T
	if x.Load(key, &list) {
		return list, nil
	}
	asked := key + "_asked"
	var at time.Time
	if x.Load(asked, &at) && !at.IsZero() {
		found, err := search(x, at.Add(slowest+settle), find)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return found, x.Save(key, found)
		}
	}
	if err := x.Save(asked, x.Now()); err != nil {
		return nil, err
	}
	list, err := make()
	if err == nil {
		return list, x.Save(key, list)
	}
	if refused(err) {
		if saved := x.Save(asked, time.Time{}); saved != nil {
			return nil, saved
		}
		return nil, err
	}
	if ended(err) {
		return nil, err
	}
	found, lost := search(x, x.Now().Add(settle), find)
	if lost != nil {
		return nil, lost
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, x.Save(key, found)
}

// search looks until all is found or the time is over, at least once.
func search[T any](x *respond.Exec, until time.Time, find func() (list []T, all bool, err error)) ([]T, error) {
	for {
		list, all, err := find()
		if err != nil || all {
			return list, err
		}
		if !x.Now().Before(until) {
			return list, nil
		}
		if err := x.Sleep(min(5*time.Second, until.Sub(x.Now()))); err != nil {
			return nil, err
		}
	}
}

// tagged are the tags of what a step makes, in the create call itself.
func tagged(x *respond.Exec, kind types.ResourceType, name string, expires time.Time, more map[string]string) []types.TagSpecification {
	t := x.Tags(expires)
	maps.Copy(t, more)
	if name != "" {
		t["Name"] = name
	}
	spec := types.TagSpecification{ResourceType: kind}
	for _, k := range sortedKeys(t) {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(k), Value: aws.String(t[k])})
	}
	return []types.TagSpecification{spec}
}

// ours are the filters that find what this step made.
func ours(x *respond.Exec) []types.Filter {
	return []types.Filter{
		{Name: aws.String("tag:" + respond.TagRun), Values: []string{string(x.RunID)}},
		{Name: aws.String("tag:" + respond.TagStep), Values: []string{x.Def.ID}},
	}
}

// expires is when working copies of this step may be cleaned up. It is counted
// from the step's first start, so that every attempt says the same.
func expires(x *respond.Exec) time.Time {
	return x.Started().UTC().Truncate(time.Second).AddDate(0, 0, max(1, x.Policy.Evidence.WorkingDays))
}

// tagOf is the value of a tag.
func tagOf(tags []types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}
