package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// ec2Client speaks awscalls.EC2.
type ec2Client struct{ client }

var _ awscalls.EC2 = (*ec2Client)(nil)

// scope is one account and region at one time, under the world's lock.
type scope struct {
	*ec2State
	w   *World
	a   *account
	r   *region
	now time.Time
}

func (w *World) scopeOf(a *account, r *region, now time.Time) *scope {
	return &scope{ec2State: &r.EC2, w: w, a: a, r: r, now: now}
}

// ec2Do answers a call of EC2: what has happened by now, the dry run, the call.
func ec2Do[O any](ctx context.Context, c *ec2Client, operation string, changes bool, in any, f func(s *scope) (*O, error)) (*O, error) {
	return do(ctx, c.client, "EC2", operation, changes, in, func(a *account, r *region) (*O, error) {
		if dry(in) {
			return nil, fail("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		return f(c.w.scopeOf(a, r, c.w.now()))
	})
}

// dry reports whether an input asks for a dry run. Some inputs cannot.
func dry(in any) bool {
	v := reflect.Indirect(reflect.ValueOf(in)).FieldByName("DryRun")
	if !v.IsValid() {
		return false
	}
	b, ok := reflect.TypeAssert[*bool](v)
	return ok && aws.ToBool(b)
}

// seen reports whether a thing is visible to calls by now.
func (s *scope) seen(t thing) bool { return !s.now.Before(t.base().Seen) }

// born fills in what every new thing has.
func (s *scope) born(operation, prefix string, t tags) made {
	return made{ID: s.w.id(prefix), Made: s.now, Seen: s.now.Add(s.w.opts.Invisible[operation]), Tags: t}
}

// kinds are the things that calls name by their id.
type kind struct{ prefix, code, word string }

var (
	kindInstance   = kind{"i-", "InvalidInstanceID", "instance ID"}
	kindENI        = kind{"eni-", "InvalidNetworkInterfaceID", "networkInterface ID"}
	kindGroup      = kind{"sg-", "InvalidGroup", "security group"}
	kindRule       = kind{"sgr-", "InvalidSecurityGroupRuleId", "security group rule ID"}
	kindVPC        = kind{"vpc-", "InvalidVpcID", "vpc ID"}
	kindSubnet     = kind{"subnet-", "InvalidSubnetID", "subnet ID"}
	kindTable      = kind{"rtb-", "InvalidRouteTableID", "routeTable ID"}
	kindACL        = kind{"acl-", "InvalidNetworkAclID", "networkAcl ID"}
	kindVolume     = kind{"vol-", "InvalidVolume", "volume"}
	kindSnapshot   = kind{"snap-", "InvalidSnapshot", "snapshot"}
	kindImage      = kind{"ami-", "InvalidAMIID", "image id"}
	kindAllocation = kind{"eipalloc-", "InvalidAllocationID", "allocation ID"}
	kindEndpoint   = kind{"vpce-", "InvalidVpcEndpointId", "Vpc Endpoint Id"}
	kindNAT        = kind{"nat-", "NatGateway", "NAT gateway ID"}
	kindFlowLog    = kind{"fl-", "InvalidFlowLogId", "flow log ID"}
	kindProfile    = kind{"iip-assoc-", "InvalidAssociationID", "association ID"}
)

var hexID = regexp.MustCompile(`^[0-9a-f]{8}([0-9a-f]{9})?$`)

// missing is the error for an id that is not there.
func (k kind) missing(id string) error {
	if id == "" {
		return fail("MissingParameter", "The request must contain the parameter %s", k.word)
	}
	if len(id) <= len(k.prefix) || id[:len(k.prefix)] != k.prefix || !hexID.MatchString(id[len(k.prefix):]) {
		code := ".Malformed"
		if k.code == "InvalidGroup" {
			return fail("InvalidGroupId.Malformed", "Invalid id: %q (expecting \"sg-...\")", id)
		}
		if k.code == "NatGateway" {
			return fail("NatGatewayMalformed", "Invalid id: %q", id)
		}
		if k.code == "InvalidVolume" || k.code == "InvalidSnapshot" {
			return fail(k.code+"ID"+code, "Invalid id: %q", id)
		}
		return fail(k.code+code, "Invalid id: %q", id)
	}
	if k.code == "NatGateway" {
		return fail("NatGatewayNotFound", "The %s '%s' does not exist", k.word, id)
	}
	return fail(k.code+".NotFound", "The %s '%s' does not exist", k.word, id)
}

// get is the thing with an id, as calls see it.
func get[T thing](s *scope, m map[string]T, k kind, id *string) (T, error) {
	t, ok := m[aws.ToString(id)]
	if !ok || !s.seen(t) {
		var none T
		return none, k.missing(aws.ToString(id))
	}
	return t, nil
}

// list are the things that calls see, in the order of their ids: those of ids,
// or all.
func list[T thing](s *scope, m map[string]T, k kind, ids []string) ([]T, error) {
	if len(ids) == 0 {
		var all []T
		for _, t := range inOrder(m) {
			if s.seen(t) {
				all = append(all, t)
			}
		}
		return all, nil
	}
	var some []T
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		t, err := get(s, m, k, &id)
		if err != nil {
			return nil, err
		}
		some = append(some, t)
	}
	return some, nil
}

// inOrder are the values of a map by their keys.
func inOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range keysOf(m) {
		out = append(out, m[k])
	}
	return out
}

// keep puts a thing under its id.
func keep[T thing](m *map[string]T, t T) T {
	put(m, t.base().ID, t)
	return t
}

// once answers a repeated call with the client token of an earlier one: the ids
// of the first, or none when the first made nothing.
func (s *scope) once(operation string, clientToken *string, in any) (*token, error) {
	name := aws.ToString(clientToken)
	if name == "" {
		return &token{}, nil
	}
	if len(name) > 64 {
		return nil, fail("InvalidParameterValue", "Value (%s) for parameter clientToken is invalid. It is longer than 64 characters", name)
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, fail("InternalError", "%v", err)
	}
	sum := sha256.Sum256(append([]byte(operation+" "), raw...))
	hash := hex.EncodeToString(sum[:])
	if t := s.Tokens[name]; t != nil {
		if t.Hash != hash {
			return nil, fail("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request. Do not reuse a client token with different requests, unless the requests are identical")
		}
		return t, nil
	}
	if s.Tokens == nil {
		s.Tokens = map[string]*token{}
	}
	t := &token{Hash: hash}
	s.Tokens[name] = t
	return t, nil
}

// tagList are tags as the SDK has them, in the order of their keys.
func tagList(t tags) []types.Tag {
	var out []types.Tag
	for _, k := range keysOf(t) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(t[k])})
	}
	return out
}

// tagsFor are the tags that a creating call gives to one kind of thing.
func tagsFor(specs []types.TagSpecification, kind types.ResourceType) (tags, error) {
	out := tags{}
	for _, spec := range specs {
		if spec.ResourceType == "" {
			return nil, fail("InvalidParameterValue", "Tag specification resource type must have a value")
		}
		if spec.ResourceType != kind {
			continue
		}
		if err := out.add(spec.Tags); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// onlyKinds refuses tags for things that a call does not make.
func onlyKinds(specs []types.TagSpecification, kinds ...types.ResourceType) error {
	for _, spec := range specs {
		if !slices.Contains(kinds, spec.ResourceType) {
			return fail("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation", spec.ResourceType)
		}
	}
	return nil
}

// add puts tags in, within AWS's limits.
func (t tags) add(in []types.Tag) error {
	for _, tag := range in {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || len([]rune(key)) > 127:
			return fail("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters or is empty")
		case len([]rune(value)) > 255:
			return fail("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")
		case len(key) >= 4 && key[:4] == "aws:":
			return fail("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		t[key] = value
	}
	n := 0
	for k := range t {
		if len(k) < 4 || k[:4] != "aws:" {
			n++
		}
	}
	if n > 50 {
		return fail("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// copied is a copy of tags.
func (t tags) copied() tags {
	out := tags{}
	maps.Copy(out, t)
	return out
}
