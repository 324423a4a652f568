package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// named is any thing by its id, as CreateTags finds it.
func (s *scope) named(id string) (thing, error) {
	for _, k := range []struct {
		kind
		find func() (thing, error)
	}{
		{kindInstance, finder(s, s.Instances, kindInstance, id)}, {kindENI, finder(s, s.ENIs, kindENI, id)},
		{kindGroup, finder(s, s.Groups, kindGroup, id)}, {kindVPC, finder(s, s.VPCs, kindVPC, id)},
		{kindSubnet, finder(s, s.Subnets, kindSubnet, id)}, {kindTable, finder(s, s.Tables, kindTable, id)},
		{kindACL, finder(s, s.ACLs, kindACL, id)}, {kindVolume, finder(s, s.Volumes, kindVolume, id)},
		{kindSnapshot, finder(s, s.Snapshots, kindSnapshot, id)}, {kindImage, finder(s, s.Images, kindImage, id)},
		{kindAllocation, finder(s, s.Addresses, kindAllocation, id)},
	} {
		if strings.HasPrefix(id, k.prefix) {
			return k.find()
		}
	}
	return nil, fail("InvalidID", "The ID '%s' is not valid", id)
}

func finder[T thing](s *scope, m map[string]T, k kind, id string) func() (thing, error) {
	return func() (thing, error) { return get(s, m, k, &id) }
}

func (s *scope) allNamed(ids []string) ([]thing, error) {
	if len(ids) == 0 {
		return nil, fail("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	var out []thing
	for _, id := range ids {
		t, err := s.named(id)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// CreateTags implements awscalls.EC2: all things or none.
func (c *ec2Client) CreateTags(ctx context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	return ec2Do(ctx, c, "CreateTags", true, in, func(s *scope) (*ec2.CreateTagsOutput, error) {
		things, err := s.allNamed(in.Resources)
		if err != nil {
			return nil, err
		}
		if len(in.Tags) == 0 {
			return nil, fail("MissingParameter", "The request must contain the parameter tagSet")
		}
		after := make([]tags, len(things))
		for k, t := range things {
			after[k] = t.base().Tags.copied()
			if err := after[k].add(in.Tags); err != nil {
				return nil, err
			}
		}
		for k, t := range things {
			t.base().Tags = after[k]
		}
		return &ec2.CreateTagsOutput{}, nil
	})
}

// DeleteTags implements awscalls.EC2. A tag that is not there, or has another
// value than the one that is named, is left as it is.
func (c *ec2Client) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput, _ ...func(*ec2.Options)) (*ec2.DeleteTagsOutput, error) {
	return ec2Do(ctx, c, "DeleteTags", true, in, func(s *scope) (*ec2.DeleteTagsOutput, error) {
		things, err := s.allNamed(in.Resources)
		if err != nil {
			return nil, err
		}
		for _, t := range things {
			have := t.base().Tags
			for _, key := range keysOf(have) {
				if len(in.Tags) == 0 && !strings.HasPrefix(key, "aws:") {
					delete(have, key)
				}
				gone := slices.ContainsFunc(in.Tags, func(tag types.Tag) bool {
					return aws.ToString(tag.Key) == key && (tag.Value == nil || *tag.Value == have[key])
				})
				if gone {
					delete(have, key)
				}
			}
		}
		return &ec2.DeleteTagsOutput{}, nil
	})
}
