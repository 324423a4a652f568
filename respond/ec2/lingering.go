package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// lingering is about the groups that an instance has itself. On AWS they are those
// of its primary interface, and replacing the one replaces the other. What stands
// in for AWS may keep both, and show them together on every interface: there the
// groups of the instance must be replaced besides.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html
type lingering struct {
	// instance is that of which the interface is the primary one; empty: another
	// interface sees to it.
	instance string
	// beside are the steps of the other interfaces: they must have seen what they had.
	beside []string
	// want are the groups that the interface was given, and ours those that may
	// linger beside: any other is somebody else's.
	want, ours []string
	// groups are those that the instance gets; empty: want, and those of before are
	// saved.
	groups []string
	// refused says why it did not come to be.
	refused string
	asked   bool
	since   time.Time
}

// patient is how long the other interfaces are waited for.
const patient = 15 * time.Second

// shows reports whether an interface has what it was given, and besides only what
// may linger. AWS never shows that: it replaces groups as a whole.
func (l *lingering) shows(now Interface) bool {
	for _, id := range l.want {
		if !slices.Contains(now.Groups, id) {
			return false
		}
	}
	return !sameSet(now.Groups, l.want) && l.only(now)
}

// only reports whether nothing of somebody else's is on an interface.
func (l *lingering) only(now Interface) bool {
	return !slices.ContainsFunc(now.Groups, func(id string) bool { return !slices.Contains(l.want, id) && !slices.Contains(l.ours, id) })
}

// ready reports whether the other interfaces have what they were to have, or do not
// come to it in time: what they show changes with the groups of the instance.
func (l *lingering) ready(x *respond.Exec) bool {
	if l.since.IsZero() {
		l.since = x.Now()
	}
	if x.Now().Sub(l.since) >= patient {
		return true
	}
	return !slices.ContainsFunc(l.beside, func(id string) bool {
		rec, ok := x.Record(id)
		var lingered bool
		rec.Load(savedLingered, &lingered)
		return ok && !rec.State.Ended() && !lingered
	})
}

// lift replaces the groups of the instance, once, where they show. It returns the
// interface as it is then.
func (l *lingering) lift(x *respond.Exec, now Interface) (Interface, error) {
	if l.asked || !l.shows(now) {
		return now, nil
	}
	if l.instance == "" {
		l.asked = true
		return now, x.Save(savedLingered, true)
	}
	if !l.ready(x) {
		return now, nil
	}
	l.asked = true
	groups := l.groups
	if len(groups) == 0 {
		groups = l.want
		if _, err := respond.Once(x, savedLaunched, func() ([]string, error) { return launchedWith(x, l.instance) }); err != nil {
			return now, err
		}
	}
	// It ends what the interface was given already, so nothing holds it up.
	err := finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &l.instance, Groups: groups})
		return err
	})
	switch {
	case ends(err):
		return now, err
	case err != nil:
		l.refused = "; the groups of " + l.instance + " cannot be replaced by " + kit.Join(groups) + " (" + respond.Code(err) + ")"
		return now, nil
	}
	return interfaceNow(x, now.ID)
}

// launchedWith are the groups that an instance has itself.
func launchedWith(x *respond.Exec, instance string) ([]string, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]string, error) {
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}})
		if err != nil {
			return nil, err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				if str(i.InstanceId) == instance {
					return groupIDs(i.SecurityGroups), nil
				}
			}
		}
		return nil, nil
	})
}
