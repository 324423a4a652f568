package ec2

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const (
	callLimit = 30 * time.Second // of one call, pages included
	rounds    = 5                // of asking again what was throttled
	atOnce    = 8                // calls about target groups
)

var instancePattern = regexp.MustCompile(`^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$`)

// Describe looks at the instance and at what surrounds it: by calls that change
// nothing, paginated, side by side, in the account and region of the place and
// nowhere else. Calls that are throttled are made again, those that worked are
// not. What the role may not see is said in World.Unknown; without the instance
// and its interfaces there is no world and an error says why. It blocks for some
// seconds and may be repeated.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
func Describe(ctx context.Context, a awscalls.AWS, place awscalls.Place, instanceID string) (*World, error) {
	d := newDescriber(a, place, instanceID)
	d.look = func(f func(ctx context.Context) error) error {
		c, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		return f(c)
	}
	d.group = func() playbook.Group { return new(sync.WaitGroup) }
	d.pause = func(p time.Duration) error {
		t := time.NewTimer(p)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w, err := d.world()
	if err != nil {
		return nil, respond.Explain(err, fmt.Sprintf("describe %s in account %s, %s", instanceID, place.Account, place.Region), "nothing was changed")
	}
	return w, nil
}

// describeIn is Describe within a step.
func describeIn(x *respond.Exec, instanceID string) (*World, error) {
	d := newDescriber(x.AWS, x.In(awscalls.Read, x.Def.Account, x.Def.Region), instanceID)
	d.look, d.group, d.pause, d.hurry = x.Look, x.Group, x.Sleep, true
	return d.world()
}

// describer asks AWS. It remembers what was answered, so that after a throttled
// call only that one is made again.
type describer struct {
	aws   awscalls.AWS
	place awscalls.Place
	id    string
	look  func(f func(ctx context.Context) error) error
	group func() playbook.Group
	pause func(time.Duration) error

	mu      sync.Mutex
	memo    map[string]any
	unknown map[string]string
	later   []string // what of it may be answered later
	passing error    // one that may pass
	round   int
	hurry   bool // isolation waits for it
}

// final reports whether what is not answered now is unknown. What isolation does not
// hang on is asked for again once at most: an outage of Systems Manager must not keep
// an interface open.
func (d *describer) final(key string) bool {
	if strings.HasPrefix(key, "ssm.") || strings.HasPrefix(key, "kms.") || key == "ec2.DescribeFlowLogs" {
		return d.hurry || d.round > 0
	}
	return d.round == rounds-1
}

func newDescriber(a awscalls.AWS, place awscalls.Place, id string) *describer {
	return &describer{aws: a, place: place, id: id, memo: map[string]any{}, unknown: map[string]string{}}
}

// world describes, in rounds until nothing is throttled.
func (d *describer) world() (*World, error) {
	if !instancePattern.MatchString(d.id) {
		return nil, playbook.Permanent(fault.New(fault.Usage, fmt.Sprintf("%q is no instance id", d.id), "it has the form i-0123456789abcdef0"))
	}
	var err error
	for n := range rounds {
		if n > 0 {
			if stop := d.pause(200 * time.Millisecond << n); stop != nil {
				return nil, stop
			}
		}
		d.passing, d.round = nil, n
		var w *World
		if w, err = d.build(); err == nil {
			return w, nil
		}
		if !respond.Transient(err) {
			return nil, err
		}
	}
	return nil, err
}

// build is one round.
func (d *describer) build() (*World, error) {
	w := &World{InstanceID: d.id, Account: d.place.Account, Region: d.place.Region}
	var inst *types.Instance
	var interfaces []types.NetworkInterface
	var errInstance, errInterfaces error
	var volumes []types.Volume
	d.side(
		func() { inst, errInstance = d.instance() },
		func() { interfaces, errInterfaces = d.interfaces() },
		func() { volumes, _ = d.volumes() },
		func() { d.attributes(w) },
		func() { _, _ = d.ownAddresses() },
		func() { d.profile(w) },
		func() { d.scaling(w) },
		func() { d.classic(w) },
		func() { d.agent(w) },
		func() { _, _ = d.targetGroups() },
	)
	switch {
	case errInstance != nil:
		return nil, errInstance
	case errInterfaces != nil:
		return nil, fmt.Errorf("describe the interfaces of %s: %w", d.id, errInterfaces)
	}
	d.fillInstance(w, inst)
	w.Interfaces = readInterfaces(interfaces)
	d.fillVolumes(w, inst, volumes)
	d.side(
		func() { d.addresses(w) },
		func() { d.subnets(w) },
		func() { d.securityGroups(w) },
		func() { d.flowLogs(w) },
		func() { d.endpoints(w) },
		func() { d.targets(w) },
		func() { d.keys(w) },
	)
	w.automatic()
	d.passages(w)
	if d.passing != nil {
		return nil, d.passing
	}
	for what, why := range d.unknown {
		w.Unknown = append(w.Unknown, what+": "+why)
	}
	slices.Sort(w.Unknown)
	w.Unanswered = slices.Sorted(slices.Values(d.later))
	return w, nil
}

// side runs functions side by side.
func (d *describer) side(list ...func()) {
	g := d.group()
	for _, f := range list {
		g.Go(f)
	}
	g.Wait()
}

// each runs f for 0 to n-1, some at once.
func (d *describer) each(n int, f func(i int)) {
	if n == 0 {
		return
	}
	var next atomic.Int64
	g := d.group()
	for range min(n, atOnce) {
		g.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	g.Wait()
}

// ask makes one call, pages included, unless it was answered before. An error
// that may pass ends the round; another one is remembered as what is not known.
func ask[T any](d *describer, key string, call func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	d.mu.Lock()
	have, ok := d.memo[key]
	d.mu.Unlock()
	if ok {
		if err, failed := have.(error); failed {
			return zero, err
		}
		return have.(T), nil
	}
	var v T
	err := d.look(func(ctx context.Context) error {
		var err error
		v, err = call(ctx)
		return err
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.memo[key] = v
		return v, nil
	case respond.Transient(err) && !d.final(key) || errors.Is(err, playbook.ErrStopped) || errors.Is(err, context.Canceled):
		if d.passing == nil || !respond.Transient(err) {
			d.passing = err
		}
		return zero, err
	}
	d.memo[key] = err
	why := respond.Code(err)
	if why == "" {
		why = respond.Reason(err)
	}
	d.unknown[key] = why
	if respond.Transient(err) {
		d.later = append(d.later, key)
	}
	return zero, err
}

// filter is a filter of EC2.
func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

// str and its like read what AWS may leave out.
func str(p *string) string { return aws.ToString(p) }

func tagsOf(list []types.Tag) map[string]string {
	if len(list) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, t := range list {
		out[str(t.Key)] = str(t.Value)
	}
	return out
}

func managerOf(o *types.OperatorResponse) string {
	if o == nil || !aws.ToBool(o.Managed) {
		return ""
	}
	if p := str(o.Principal); p != "" {
		return p
	}
	return "an AWS service"
}
