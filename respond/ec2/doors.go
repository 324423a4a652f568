package ec2

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type addressParams struct {
	Allocation string `json:"allocation"`
}

// addressNow describes an Elastic IP; one that is on nothing has no association.
func addressNow(x *respond.Exec, allocation string) (Address, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (Address, error) {
		out, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{allocation}})
		if err != nil {
			return Address{}, err
		}
		for _, a := range out.Addresses {
			if str(a.AllocationId) == allocation {
				return Address{Allocation: allocation, Association: str(a.AssociationId), PublicIP: str(a.PublicIp), Instance: str(a.InstanceId), Interface: str(a.NetworkInterfaceId), PrivateIP: str(a.PrivateIpAddress)}, nil
			}
		}
		return Address{Allocation: allocation}, nil
	})
}

type doorParams struct {
	addressParams
	Instance   string   `json:"instance"`
	Interfaces []string `json:"interfaces"`
	// Primary says that it is on the first address of the first interface, which is
	// what an address that is given to the instance gets.
	Primary bool `json:"primary,omitempty"`
}

// disassociate takes an Elastic IP off the instance. The address is kept.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateAddress.html
func disassociate(x *respond.Exec) (playbook.Outcome, error) {
	var p doorParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (Address, error) { return addressNow(x, p.Allocation) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	now, err := addressNow(x, p.Allocation)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case before.Association == "":
		return skipped(before.PublicIP + " was on nothing already")
	case now.Association == "" || now.Association != before.Association:
		return done(before.PublicIP + " is off " + before.Interface)
	case !slices.Contains(p.Interfaces, now.Interface):
		return skipped(now.PublicIP + " is on " + now.Interface + ", which is not the instance's")
	}
	if err := x.Save(respond.SavedAfter, true); err != nil {
		return playbook.Outcome{}, err
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: &now.Association})
		return err
	})
	if err != nil && !respond.Is(err, "InvalidAssociationID.NotFound") {
		return playbook.Outcome{}, err
	}
	ok, err := seen(x, func() (bool, error) {
		a, err := addressNow(x, p.Allocation)
		return a.Association != before.Association, err
	})
	if err == nil && !ok {
		err = unseen(x, before.PublicIP+" is off")
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(before.PublicIP + " is off " + before.Interface)
}

// undoDisassociate puts the address back that was taken off, or that may have
// been: an abort ends the step as skipped although its call was sent.
func undoDisassociate(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var before addressBack
	var sent bool
	if !rec.Load(respond.SavedBefore, &before) || !rec.Load(respond.SavedAfter, &sent) || before.Association == "" {
		return nil, nil
	}
	if p, err := paramsOf[doorParams](s); err == nil && p.Primary {
		before.To = before.Instance
	}
	return restore(s, actReassociate, before.PublicIP+" -> "+before.Interface+" "+before.PrivateIP, before)
}

// addressBack is an Elastic IP that is given back.
type addressBack struct {
	Address
	// To is the instance that it is given to as such: it was on its first address.
	// Empty: it is given to the interface.
	To string `json:"to,omitempty"`
}

// associate puts an Elastic IP back, unless it is on something else now.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html
func associate(x *respond.Exec) (playbook.Outcome, error) {
	var p addressBack
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := addressNow(x, p.Allocation)
	switch {
	case respond.Gone(err) || err == nil && now.PublicIP == "":
		return playbook.Outcome{}, conflict(p.PublicIP+" was released since", "nothing was changed", "give "+p.Interface+" another address by hand")
	case err != nil:
		return playbook.Outcome{}, err
	case now.Interface == p.Interface && now.PrivateIP == p.PrivateIP:
		return done(p.PublicIP + " is on " + p.Interface)
	case now.Association != "":
		return playbook.Outcome{}, kit.Changed(p.PublicIP + ", now on " + now.Interface + ",")
	}
	if err := p.give(x); err != nil {
		return playbook.Outcome{}, err
	}
	return done(p.PublicIP + " is on " + p.Interface)
}

// give associates it with the instance where it was associated so, and else with
// the interface. AWS takes an instance only while that has one interface, and
// refuses it otherwise.
func (p addressBack) give(x *respond.Exec) error {
	associate := func(in ec2.AssociateAddressInput) error {
		in.AllocationId, in.AllowReassociation = &p.Allocation, aws.Bool(false)
		return change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.AssociateAddress(ctx, &in)
			return err
		})
	}
	now, err := interfaceNow(x, p.Interface)
	if err != nil {
		return err
	}
	if p.To != "" && now.Instance == p.To && now.DeviceIndex == 0 {
		err := associate(ec2.AssociateAddressInput{InstanceId: &p.To})
		if !respond.Is(err, "InvalidInstanceID*") && !respond.Is(err, "OperationNotPermitted") {
			return err
		}
	}
	return associate(ec2.AssociateAddressInput{NetworkInterfaceId: &p.Interface, PrivateIpAddress: &p.PrivateIP})
}

// paramsOf reads the parameters of a step of a plan.
func paramsOf[T any](s respond.Step) (T, error) {
	var v T
	err := json.Unmarshal(s.Params, &v)
	return v, err
}
