package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type aclParams struct {
	// Own says that the instance was alone in Subnet: that gets an ACL of its own.
	Own        bool     `json:"own,omitempty"`
	Subnet     string   `json:"subnet,omitempty"`
	VPC        string   `json:"vpc,omitempty"`
	Interfaces []string `json:"interfaces,omitempty"` // ours in the subnet
	// Otherwise entries go into ACL, which is that of Subnets.
	ACL     string   `json:"acl,omitempty"`
	Subnets []string `json:"subnets,omitempty"`
	// Blocks are what is denied: addresses of the instance, and of the finding.
	Blocks []string `json:"blocks"`
}

// now looks at the ACL that the step is about.
func (p aclParams) now(x *respond.Exec) (tied, error) {
	if p.ACL == "" {
		return aclNow(x, p.Subnet)
	}
	a, err := oneACL(x, p.ACL)
	if err == nil && !p.tiedTo(a.Subnets) {
		err = kit.Changed("the network ACL of " + kit.Join(p.Subnets) + ", not " + p.ACL + " any more,")
	}
	return tied{ACL: a.ID, Entries: a.Entries}, err
}

// tiedTo reports whether the ACL is still that of all subnets it was chosen for.
func (p aclParams) tiedTo(subnets []string) bool {
	return !slices.ContainsFunc(p.Subnets, func(s string) bool { return !slices.Contains(subnets, s) })
}

// tied is an ACL and what ties it to the subnet.
type tied struct {
	ACL         string `json:"acl"`
	Association string `json:"association"`
	Entries     []Rule `json:"entries,omitempty"`
}

// aclWork is what an ACL step did, or is about to do.
type aclWork struct {
	Own     string `json:"own,omitempty"` // the ACL that we made
	ACL     string `json:"acl,omitempty"` // the one that our entries are in
	Entries []Rule `json:"entries,omitempty"`
}

// networkACL cuts what passes the edge of a subnet, at once and in both
// directions, connections that are tracked included. An ACL does not see what
// stays within the subnet. A subnet with the instance alone gets one that denies
// everything; else entries go where they cut: see drafting.places.
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html
func networkACL(x *respond.Exec) (playbook.Outcome, error) {
	var p aclParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (tied, error) { return p.now(x) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	var work aclWork
	x.Load(respond.SavedAfter, &work)
	if p.Own && work.ACL == "" {
		alone, err := isAlone(x, p)
		if err != nil {
			return playbook.Outcome{}, err
		}
		if alone || work.Own != "" {
			return ownACL(x, p, before, work)
		}
	}
	if p.Own {
		// Somebody came meanwhile: entries then, as far as those go. What they do
		// not cut, the verdict says.
		if err := stillOpen(x, "others are in "+p.Subnet+" since the plan was made: a network ACL that denies everything would hit them"); err != nil {
			return playbook.Outcome{}, err
		}
	}
	return entries(x, p, before, work)
}

// aclNow describes the ACL of a subnet.
func aclNow(x *respond.Exec, subnet string) (tied, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (tied, error) {
		list, err := listACLs(ctx, c, filter("association.subnet-id", subnet))
		if err != nil {
			return tied{}, err
		}
		s := Subnet{ID: subnet}
		s.readACL(list)
		if s.ACL == "" {
			return tied{}, playbook.Permanent(fault.New(fault.NotFound, "AWS shows no network ACL of "+subnet, "look at the subnet in AWS"))
		}
		return tied{ACL: s.ACL, Association: s.Association, Entries: s.Entries}, nil
	})
}

// isAlone reports whether only our interfaces are in the subnet.
func isAlone(x *respond.Exec, p aclParams) (bool, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (bool, error) {
		list, err := listInterfaces(ctx, c, filter("subnet-id", p.Subnet))
		return !slices.ContainsFunc(list, func(n types.NetworkInterface) bool {
			return str(n.SubnetId) == p.Subnet && !slices.Contains(p.Interfaces, str(n.NetworkInterfaceId))
		}), err
	})
}

// ownACL gives the subnet an ACL that denies everything: one that is new has no
// rule but to deny.
func ownACL(x *respond.Exec, p aclParams, before tied, work aclWork) (playbook.Outcome, error) {
	if work.Own == "" {
		id, err := madeACL(x, p)
		if err != nil {
			return playbook.Outcome{}, err
		}
		work.Own = id
		if err := x.Save(respond.SavedAfter, work); err != nil {
			return playbook.Outcome{}, err
		}
	}
	now, err := aclNow(x, p.Subnet)
	if err != nil {
		return playbook.Outcome{}, err
	}
	switch now.ACL {
	case work.Own:
	case before.ACL:
		if err := tie(x, now.Association, work.Own); err != nil {
			return playbook.Outcome{}, fresh(x, err)
		}
	default:
		return playbook.Outcome{}, kit.Changed("the network ACL of " + p.Subnet + ", now " + now.ACL + ",")
	}
	ok, err := seen(x, func() (bool, error) {
		now, err := aclNow(x, p.Subnet)
		return now.ACL == work.Own && len(now.allows()) == 0, err
	})
	if err == nil && !ok {
		err = unseen(x, p.Subnet+" has "+work.Own)
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(p.Subnet + " has " + work.Own + ", which denies everything")
}

func (t tied) allows() []Rule {
	return slices.DeleteFunc(slices.Clone(t.Entries), func(r Rule) bool { return r.Action != string(types.RuleActionAllow) })
}

// madeACL makes our ACL, or finds the one that an earlier attempt made.
func madeACL(x *respond.Exec, p aclParams) (string, error) {
	if x.Attempt() > 1 {
		list, err := see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) ([]types.NetworkAcl, error) {
			return listACLs(ctx, c, filter("vpc-id", p.VPC), filter("tag:"+respond.TagRun, string(x.RunID)), filter("tag:"+respond.TagStep, x.Def.ID))
		})
		if err != nil {
			return "", err
		}
		for _, a := range list {
			if t := tagsOf(a.Tags); t[respond.TagRun] == string(x.RunID) && t[respond.TagStep] == x.Def.ID {
				return str(a.NetworkAclId), nil
			}
		}
	}
	var id string
	err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		out, err := c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &p.VPC, ClientToken: aws.String(x.Token("acl")),
			TagSpecifications: tagSpecs(types.ResourceTypeNetworkAcl, x.Tags(time.Time{}), containName)})
		if err == nil && out.NetworkAcl != nil {
			id = str(out.NetworkAcl.NetworkAclId)
		}
		return err
	})
	return id, err
}

// tie gives the subnet another ACL. The association gets another id by that.
func tie(x *respond.Exec, association, acl string) error {
	return change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &association, NetworkAclId: &acl})
		return err
	})
}

// entries puts deny entries for each address of the instance into the ACL that
// is there, with free numbers of the reserved band, before any that allows.
func entries(x *respond.Exec, p aclParams, before tied, work aclWork) (playbook.Outcome, error) {
	for range 5 {
		now, err := p.now(x)
		if err != nil {
			return playbook.Outcome{}, err
		}
		if now.ACL != before.ACL {
			return playbook.Outcome{}, kit.Changed("the network ACL of " + p.Subnet + ", now " + now.ACL + ",")
		}
		want, missing, err := placed(now, p.Blocks, work.Entries)
		if err != nil {
			return playbook.Outcome{}, err
		}
		// What is about to be made is written down before: undo knows it then.
		work = aclWork{ACL: now.ACL, Entries: want}
		if err := x.Save(respond.SavedAfter, work); err != nil {
			return playbook.Outcome{}, err
		}
		if len(missing) == 0 {
			return done(fmt.Sprintf("%d entries in %s deny %s", len(want), now.ACL, kit.Join(p.Blocks)))
		}
		if err := deny(x, now.ACL, missing); err != nil {
			return playbook.Outcome{}, err
		}
	}
	return playbook.Outcome{}, unseen(x, "the entries in "+before.ACL)
}

// deny makes entries side by side. A number that was taken meanwhile is found
// again by the next look.
func deny(x *respond.Exec, acl string, list []Rule) error {
	errs := make([]error, len(list))
	g := x.Group()
	for i, r := range list {
		g.Go(func() {
			err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
				in := &ec2.CreateNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: aws.Int32(r.Number), Egress: aws.Bool(r.Egress), Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny}
				if isV6(r.CIDR) {
					in.Ipv6CidrBlock = aws.String(r.CIDR)
				} else {
					in.CidrBlock = aws.String(r.CIDR)
				}
				_, err := c.CreateNetworkAclEntry(ctx, in)
				return err
			})
			if !respond.Is(err, "NetworkAclEntryAlreadyExists") {
				errs[i] = err
			}
		})
	}
	g.Wait()
	for _, err := range errs {
		if respond.Is(err, "NetworkAclEntryLimitExceeded") {
			return noRoom(acl, len(list))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func noRoom(acl string, n int) error {
	return conflict(fmt.Sprintf("network ACL %s has no room for %d more entries in a direction", acl, n), "the interfaces are isolated by their groups", "raise the quota of rules for each network ACL, or free some, and make a new plan")
}

// tooLate is for an entry that allows so early that none that denies comes before
// it: no quota helps there.
func tooLate(acl string, first int32) error {
	return conflict(fmt.Sprintf("network ACL %s has no room for what denies before its entry %d, which allows", acl, first), "the interfaces are isolated by their groups",
		"give its entries that allow numbers from 100 on, and make a new plan")
}

// placed gives each address its entry: the one that is there, else the one that
// was chosen before if its number is still free, else the next free number.
func placed(now tied, blocks []string, chosen []Rule) (want, missing []Rule, err error) {
	for _, egress := range []bool{false, true} {
		taken := map[int32]Rule{}
		first := int32(band + 1)
		for _, r := range now.Entries {
			if r.Egress != egress {
				continue
			}
			taken[r.Number] = r
			if r.Action == string(types.RuleActionAllow) {
				first = min(first, r.Number)
			}
		}
		var todo []Rule
		for _, b := range blocks {
			r := Rule{Egress: egress, Action: string(types.RuleActionDeny), Protocol: "-1", CIDR: b}
			if i := slices.IndexFunc(chosen, func(c Rule) bool { return c.Egress == egress && sameCIDR(c.CIDR, b) }); i >= 0 {
				r.Number = chosen[i].Number
				if have, ok := taken[r.Number]; ok && ours(have, r) {
					want = append(want, r)
					continue
				}
				if _, ok := taken[r.Number]; ok || r.Number >= first {
					r.Number = 0 // somebody else's now
				} else {
					taken[r.Number] = r
				}
			}
			todo = append(todo, r)
		}
		for i := range todo {
			if todo[i].Number != 0 {
				continue
			}
			n := int32(1)
			for ; n < first; n++ {
				if _, ok := taken[n]; !ok {
					break
				}
			}
			switch {
			case n >= first && first <= band:
				return nil, nil, tooLate(now.ACL, first)
			case n >= first:
				return nil, nil, noRoom(now.ACL, len(blocks))
			}
			todo[i].Number = n
			taken[n] = todo[i]
		}
		want, missing = append(want, todo...), append(missing, todo...)
	}
	return want, missing, nil
}

// most is how many entries there are in the fuller direction.
func most(lists ...[]Rule) int {
	n := map[bool]int{}
	for _, r := range slices.Concat(lists...) {
		n[r.Egress]++
	}
	return max(n[false], n[true])
}

// ours reports whether an entry is the one that we made or meant to make.
func ours(have, want Rule) bool {
	return have.Number == want.Number && have.Egress == want.Egress && have.Action == want.Action && have.Protocol == want.Protocol && have.Ports == "" && sameCIDR(have.CIDR, want.CIDR)
}

func sameCIDR(a, b string) bool {
	x, errX := netip.ParsePrefix(a)
	y, errY := netip.ParsePrefix(b)
	if errX != nil || errY != nil {
		return strings.EqualFold(a, b)
	}
	return x == y
}

type unACLParams struct {
	Subnet string  `json:"subnet"`
	Before tied    `json:"before"`
	After  aclWork `json:"after"`
}

func undoACL(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[unACLParams](s)
	if err != nil || !rec.Load(respond.SavedBefore, &p.Before) || !rec.Load(respond.SavedAfter, &p.After) {
		return nil, err
	}
	p.Before.Entries = nil
	title := fmt.Sprintf("%s: %d entries of guardroom -> none", p.After.ACL, len(p.After.Entries))
	if p.After.Own != "" {
		title = p.Subnet + ": " + p.After.Own + " -> " + p.Before.ACL
	}
	return restore(s, actUnACL, title, p)
}

// restoreACL takes our entries away, each only while it is as we made it, or
// gives the subnet its ACL back and deletes ours.
func restoreACL(x *respond.Exec) (playbook.Outcome, error) {
	var p unACLParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	if p.After.Own == "" {
		return removeEntries(x, p)
	}
	now, err := aclNow(x, p.Subnet)
	if err != nil {
		return playbook.Outcome{}, err
	}
	switch now.ACL {
	case p.Before.ACL:
	case p.After.Own:
		if err := tie(x, now.Association, p.Before.ACL); err != nil {
			if respond.Gone(err) {
				return playbook.Outcome{}, conflict(p.Before.ACL+" does not exist any more", p.Subnet+" keeps "+p.After.Own+", which denies everything", "give the subnet the network ACL by hand that it should have")
			}
			return playbook.Outcome{}, err
		}
	default:
		return playbook.Outcome{}, kit.Changed("the network ACL of " + p.Subnet + ", now " + now.ACL + ",")
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: &p.After.Own})
		return err
	})
	switch {
	case respond.Is(err, "DependencyViolation"): // the association has not moved everywhere yet
		return playbook.Outcome{}, fault.Wrap(fault.Unavailable, respond.Worded(err), p.After.Own+" is still used", p.Subnet+" has "+p.Before.ACL+" again", "it is asked again")
	case err != nil && !respond.Gone(err):
		return playbook.Outcome{}, err
	}
	return done(p.Subnet + " has " + p.Before.ACL + " again")
}

func removeEntries(x *respond.Exec, p unACLParams) (playbook.Outcome, error) {
	a, err := oneACL(x, p.After.ACL)
	if err != nil {
		return orGone(playbook.Outcome{}, err)
	}
	now := a.Entries
	foreign := 0
	for _, r := range p.After.Entries {
		i := slices.IndexFunc(now, func(have Rule) bool { return have.Number == r.Number && have.Egress == r.Egress })
		switch {
		case i < 0:
			continue
		case !ours(now[i], r):
			foreign++
			continue
		}
		err := change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &p.After.ACL, RuleNumber: aws.Int32(r.Number), Egress: aws.Bool(r.Egress)})
			return err
		})
		if err != nil && !respond.Gone(err) {
			return playbook.Outcome{}, err
		}
	}
	if foreign > 0 {
		return done(fmt.Sprintf("our entries in %s are gone; %d numbers hold something else now, which is left", p.After.ACL, foreign))
	}
	return done("our entries in " + p.After.ACL + " are gone")
}

// oneACL describes a network ACL; a zero one when there is none.
func oneACL(x *respond.Exec, id string) (ACL, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (ACL, error) {
		out, err := c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
		if err != nil {
			return ACL{}, err
		}
		for _, a := range out.NetworkAcls {
			if str(a.NetworkAclId) == id {
				return readACL(a), nil
			}
		}
		return ACL{}, nil
	})
}
