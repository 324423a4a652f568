package block

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type actor struct{}

var _ respond.Playbook = actor{}

// Name is what plans call the playbook.
const Name = "block-actor"

// Playbook shuts a network actor out.
func Playbook() respond.Playbook { return actor{} }

// Actions are what its steps do.
func Actions() []respond.Action {
	return []respond.Action{record(), preflight().Action(), addToSet(), takeFromSet(), verifySet(), addEntries(), deleteEntries(), verifyEntries()}
}

// Closings end a block when its time is over.
func Closings() []respond.Closing { return []respond.Closing{endInSet(), endInACL()} }

func (actor) Name() string { return Name }
func (actor) Version() int { return 1 }
func (actor) Summary() string {
	return "Shut the addresses of a network actor out, for a time."
}

// Fits every resource whose finding names remote addresses.
func (actor) Fits(t respond.Target) bool { return t.Parts[respond.PartRemoteIPs] != "" }

// The longest and the usual time of a block.
const (
	longest = 30 * 24 * time.Hour
	usual   = 24 * time.Hour
)

// lasts is how long a block lasts: never without an end.
func lasts(p respond.Policy) time.Duration {
	return min(cmp.Or(max(p.BlockFor, 0), usual), longest)
}

type world struct {
	Addresses []string `json:"addresses"`
	Set       *set     `json:"ip_set,omitempty"`
	ACLs      []acl    `json:"network_acls,omitempty"`
	// Why says why there is no place to block at.
	Why string `json:"why,omitempty"`

	good []netip.Prefix
	bad  []refusal
	tags []map[string]string // of the resource; nil: not read
}

func (actor) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	w := world{}
	w.good, w.bad = addressesOf(r.Target, r.Policy)
	w.Addresses = texts(w.good)
	var err error
	if r.Policy.IPSet.ID != "" {
		var s set
		s, err = readSet(ctx, a, setPlace(r.Place(awscalls.Read), r.Policy.IPSet.Scope), idOf(r.Policy.IPSet))
		if err == nil {
			w.Set = &s
		}
	}
	if w.Set == nil && (err == nil || respond.Gone(err)) {
		w.ACLs, w.tags, w.Why, err = aclsOf(ctx, a, r)
	}
	if err != nil {
		return respond.World{}, respond.Explain(err, "look where the actor could be blocked", "nothing was changed")
	}
	before, err := json.Marshal(w)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down where the actor could be blocked", "nothing was changed", "")
	}
	var f kit.Facts
	f.Add("addresses", w.Addresses...)
	if w.Set != nil {
		f.Add("IP set", w.Set.ARN)
		f.Add("family of the IP set", w.Set.Family)
	}
	for _, l := range w.ACLs {
		f.Add("network ACL "+l.ID, l.Subnets...)
	}
	return respond.World{Before: before, Facts: f, Value: w, Tags: w.tags, Untouched: w.Set != nil}, nil
}

// aclsOf are the network ACLs of the subnets of an instance, with its tags, or why
// there are none.
func aclsOf(ctx context.Context, a awscalls.AWS, r respond.Request) (list []acl, tags []map[string]string, why string, err error) {
	if r.Target.Kind != finding.KindInstance {
		return nil, nil, "there is no IP set of WAF, and a network ACL can be used for an instance only", nil
	}
	p := r.Place(awscalls.Read)
	api, err := a.EC2(ctx, p)
	if err != nil {
		return nil, nil, "", err
	}
	out, err := api.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{r.Target.ID}})
	if err != nil {
		return nil, nil, "", err
	}
	var subnets []string
	for _, res := range out.Reservations {
		for _, i := range res.Instances {
			carries := map[string]string{}
			for _, t := range i.Tags {
				carries[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			tags = append(tags, carries)
			for _, n := range i.NetworkInterfaces {
				subnets = append(subnets, aws.ToString(n.SubnetId))
			}
		}
	}
	slices.Sort(subnets)
	if subnets = slices.Compact(subnets); len(subnets) == 0 {
		return nil, tags, "instance " + r.Target.ID + " has no network interface", nil
	}
	list, err = aclsOfSubnets(ctx, api, subnets)
	return list, tags, "", err
}
