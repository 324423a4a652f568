package sim

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// profileOf is the association of an instance that holds, or nil.
func (s *scope) profileOf(instanceID string) *profileLink {
	for _, p := range inOrder(s.Profiles) {
		if p.Instance == instanceID && p.State != "disassociating" {
			return p
		}
	}
	return nil
}

// DescribeIamInstanceProfileAssociations implements awscalls.EC2.
func (c *ec2Client) DescribeIamInstanceProfileAssociations(ctx context.Context, in *ec2.DescribeIamInstanceProfileAssociationsInput, _ ...func(*ec2.Options)) (*ec2.DescribeIamInstanceProfileAssociationsOutput, error) {
	return ec2Do(ctx, c, "DescribeIamInstanceProfileAssociations", false, in, func(s *scope) (*ec2.DescribeIamInstanceProfileAssociationsOutput, error) {
		all, err := list(s, s.Profiles, kindProfile, in.AssociationIds)
		if err != nil {
			return nil, err
		}
		table := filters[*profileLink]{
			"instance-id": func(p *profileLink) []string { return one(p.Instance) },
			"state":       func(p *profileLink) []string { return one(p.State) },
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.AssociationIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeIamInstanceProfileAssociationsOutput{NextToken: next}
		for _, p := range all {
			out.IamInstanceProfileAssociations = append(out.IamInstanceProfileAssociations, s.showProfile(p))
		}
		return out, nil
	})
}

func (s *scope) showProfile(p *profileLink) types.IamInstanceProfileAssociation {
	profile := &types.IamInstanceProfile{Arn: aws.String(p.ARN)}
	if have := s.a.profileByARN(p.ARN); have != nil {
		profile.Id = aws.String(have.ID)
	}
	return types.IamInstanceProfileAssociation{AssociationId: aws.String(p.ID), InstanceId: aws.String(p.Instance), State: types.IamInstanceProfileAssociationState(p.State),
		Timestamp: aws.Time(p.Made), IamInstanceProfile: profile}
}

// profileARN is the ARN of a profile that is there, by its name or ARN.
func (s *scope) profileARN(in *types.IamInstanceProfileSpecification) (string, error) {
	if in == nil {
		return "", fail("MissingParameter", "The request must contain the parameter iamInstanceProfile")
	}
	if arn := aws.ToString(in.Arn); arn != "" {
		if s.a.profileByARN(arn) != nil {
			return arn, nil
		}
		return "", fail("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
	}
	have, err := s.a.profile(aws.ToString(in.Name))
	if err != nil {
		return "", fail("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", aws.ToString(in.Name))
	}
	return have.ARN, nil
}

// AssociateIamInstanceProfile implements awscalls.EC2.
func (c *ec2Client) AssociateIamInstanceProfile(ctx context.Context, in *ec2.AssociateIamInstanceProfileInput, _ ...func(*ec2.Options)) (*ec2.AssociateIamInstanceProfileOutput, error) {
	return ec2Do(ctx, c, "AssociateIamInstanceProfile", true, in, func(s *scope) (*ec2.AssociateIamInstanceProfileOutput, error) {
		i, err := get(s, s.Instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		arn, err := s.profileARN(in.IamInstanceProfile)
		if err != nil {
			return nil, err
		}
		if i.State != "running" && i.State != "stopped" && i.State != "pending" {
			return nil, fail("IncorrectInstanceState", "The instance '%s' is in the '%s' state", i.ID, i.State)
		}
		for _, p := range s.Profiles {
			if p.Instance == i.ID {
				return nil, fail("IncorrectState", "There is an existing association for instance %s", i.ID)
			}
		}
		p := keep(&s.Profiles, &profileLink{made: s.born("AssociateIamInstanceProfile", "iip-assoc-", nil), Instance: i.ID, ARN: arn, State: "associating", Until: s.now.Add(s.w.times().Profile)})
		shown := s.showProfile(p)
		return &ec2.AssociateIamInstanceProfileOutput{IamInstanceProfileAssociation: &shown}, nil
	})
}

// DisassociateIamInstanceProfile implements awscalls.EC2. Credentials that are out
// already go on.
func (c *ec2Client) DisassociateIamInstanceProfile(ctx context.Context, in *ec2.DisassociateIamInstanceProfileInput, _ ...func(*ec2.Options)) (*ec2.DisassociateIamInstanceProfileOutput, error) {
	return ec2Do(ctx, c, "DisassociateIamInstanceProfile", true, in, func(s *scope) (*ec2.DisassociateIamInstanceProfileOutput, error) {
		p, err := get(s, s.Profiles, kindProfile, in.AssociationId)
		if err != nil {
			return nil, err
		}
		if p.State != "disassociating" {
			p.State, p.Until = "disassociating", s.now.Add(s.w.times().Profile)
		}
		shown := s.showProfile(p)
		return &ec2.DisassociateIamInstanceProfileOutput{IamInstanceProfileAssociation: &shown}, nil
	})
}
