package sim

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *scope) addressFilters() filters[*address] {
	return filters[*address]{
		"allocation-id":        func(a *address) []string { return one(a.ID) },
		"association-id":       func(a *address) []string { return one(a.Association) },
		"public-ip":            func(a *address) []string { return one(a.IP) },
		"private-ip-address":   func(a *address) []string { return one(a.Private) },
		"network-interface-id": func(a *address) []string { return one(a.ENI) },
		"instance-id": func(a *address) []string {
			if n := s.ENIs[a.ENI]; n != nil {
				return one(n.Instance)
			}
			return nil
		},
	}
}

// DescribeAddresses implements awscalls.EC2.
func (c *ec2Client) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	return ec2Do(ctx, c, "DescribeAddresses", false, in, func(s *scope) (*ec2.DescribeAddressesOutput, error) {
		all, err := list(s, s.Addresses, kindAllocation, in.AllocationIds)
		if err != nil {
			return nil, err
		}
		if all, err = s.addressFilters().apply(in.Filters, all); err != nil {
			return nil, err
		}
		out := &ec2.DescribeAddressesOutput{}
		for _, a := range all {
			if len(in.PublicIps) == 0 || slices.Contains(in.PublicIps, a.IP) {
				out.Addresses = append(out.Addresses, s.showAddress(a))
			}
		}
		return out, nil
	})
}

func (s *scope) showAddress(a *address) types.Address {
	out := types.Address{AllocationId: aws.String(a.ID), PublicIp: aws.String(a.IP), Domain: types.DomainTypeVpc, Tags: tagList(a.Tags)}
	if a.Association == "" {
		return out
	}
	out.AssociationId, out.NetworkInterfaceId, out.PrivateIpAddress = aws.String(a.Association), aws.String(a.ENI), aws.String(a.Private)
	out.NetworkInterfaceOwnerId = aws.String(s.a.ID)
	if n := s.ENIs[a.ENI]; n != nil && n.Instance != "" {
		out.InstanceId = aws.String(n.Instance)
	}
	return out
}

// DisassociateAddress implements awscalls.EC2.
func (c *ec2Client) DisassociateAddress(ctx context.Context, in *ec2.DisassociateAddressInput, _ ...func(*ec2.Options)) (*ec2.DisassociateAddressOutput, error) {
	return ec2Do(ctx, c, "DisassociateAddress", true, in, func(s *scope) (*ec2.DisassociateAddressOutput, error) {
		if aws.ToString(in.AssociationId) == "" {
			return nil, fail("MissingParameter", "The request must contain the parameter AssociationId")
		}
		for _, a := range inOrder(s.Addresses) {
			if a.Association != *in.AssociationId {
				continue
			}
			s.unbind(a)
			return &ec2.DisassociateAddressOutput{}, nil
		}
		return nil, fail("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", *in.AssociationId)
	})
}

// AssociateAddress implements awscalls.EC2. Associating again what is associated
// so already changes nothing.
func (c *ec2Client) AssociateAddress(ctx context.Context, in *ec2.AssociateAddressInput, _ ...func(*ec2.Options)) (*ec2.AssociateAddressOutput, error) {
	return ec2Do(ctx, c, "AssociateAddress", true, in, func(s *scope) (*ec2.AssociateAddressOutput, error) {
		a, err := get(s, s.Addresses, kindAllocation, in.AllocationId)
		if err != nil {
			return nil, err
		}
		n, err := s.interfaceFor(in)
		if err != nil {
			return nil, err
		}
		private := orText(aws.ToString(in.PrivateIpAddress), n.IPs[0])
		if !slices.Contains(n.IPs, private) {
			return nil, fail("InvalidParameterValue", "The private IP address %s is not assigned to %s", private, n.ID)
		}
		if a.ENI == n.ID && a.Private == private {
			return &ec2.AssociateAddressOutput{AssociationId: aws.String(a.Association)}, nil
		}
		if a.Association != "" && !aws.ToBool(in.AllowReassociation) {
			return nil, fail("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.ID, a.Association)
		}
		if other := s.elastic(n, private); other != nil {
			if !aws.ToBool(in.AllowReassociation) {
				return nil, fail("Resource.AlreadyAssociated", "the private address %s already has the address %s", private, other.ID)
			}
			s.unbind(other)
		}
		if a.Association != "" {
			s.unbind(a)
		}
		a.Association, a.ENI, a.Private = s.w.id("eipassoc-"), n.ID, private
		if private == n.IPs[0] {
			n.Public = "" // an Elastic IP takes the place of the automatic address
		}
		return &ec2.AssociateAddressOutput{AssociationId: aws.String(a.Association)}, nil
	})
}

// unbind takes an Elastic IP off. The only interface of an instance gets a new
// automatic address after a while, when it was launched with one.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
func (s *scope) unbind(a *address) {
	if n := s.ENIs[a.ENI]; n != nil && n.Auto && a.Private == n.IPs[0] && len(s.enisOf(n.Instance)) == 1 {
		n.Gets = s.now.Add(s.w.times().NewAddress)
	}
	a.Association, a.ENI, a.Private = "", "", ""
}

// addressEvents give interfaces the automatic address that they are to get.
func (s *scope) addressEvents(consider func(time.Time, func())) {
	for _, n := range inOrder(s.ENIs) {
		consider(n.Gets, func() {
			n.Gets = time.Time{}
			i := s.Instances[n.Instance]
			if n.Auto && n.Public == "" && i != nil && i.State == "running" && s.elastic(n, n.IPs[0]) == nil {
				n.Public = s.publicAddress()
			}
		})
	}
}

func (s *scope) interfaceFor(in *ec2.AssociateAddressInput) (*eni, error) {
	if in.InstanceId == nil {
		return get(s, s.ENIs, kindENI, in.NetworkInterfaceId)
	}
	if in.NetworkInterfaceId != nil {
		return nil, fail("InvalidParameterCombination", "You may specify either an instance ID or a network interface ID")
	}
	i, err := get(s, s.Instances, kindInstance, in.InstanceId)
	if err != nil {
		return nil, err
	}
	all := s.enisOf(i.ID)
	if len(all) != 1 {
		return nil, severalInterfaces(i)
	}
	return all[0], nil
}
