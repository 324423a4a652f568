package block

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Entries of ours have numbers in a low band of their own, below every entry that
// allows something; and a few places stay free for people.
// https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html
const (
	firstNumber = 1
	lastNumber  = 49
	quota       = 20 // entries a direction, as AWS gives it at first, its own among them
	raised      = 40 // the most that AWS raises it to
	spare       = 4
	lastEntry   = 32767 // the one that AWS keeps at the end
)

// acl is a network ACL as AWS shows it.
type acl struct {
	ID      string   `json:"id"`
	VPC     string   `json:"vpc"`
	Default bool     `json:"default,omitempty"`
	Subnets []string `json:"subnets"`
	Entries []entry  `json:"entries"`
}

// entry is an entry of a network ACL.
type entry struct {
	Number   int32  `json:"number"`
	Egress   bool   `json:"egress,omitempty"`
	CIDR     string `json:"cidr"`
	Protocol string `json:"protocol"`
	Action   string `json:"action"`
}

func (e entry) direction() string {
	if e.Egress {
		return "out"
	}
	return "in"
}

// name of the entry in what is owed.
func (e entry) name() string { return fmt.Sprintf("/%s-%d", e.direction(), e.Number) }

func aclsOfSubnets(ctx context.Context, api awscalls.EC2, subnets []string) ([]acl, error) {
	return readACLs(ctx, api, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: subnets}}})
}

func readACLs(ctx context.Context, api awscalls.EC2, in *ec2.DescribeNetworkAclsInput) ([]acl, error) {
	var list []acl
	for {
		out, err := api.DescribeNetworkAcls(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, n := range out.NetworkAcls {
			list = append(list, fromEC2(n))
		}
		if out.NextToken == nil {
			slices.SortFunc(list, func(a, b acl) int { return compare(a.ID, b.ID) })
			return list, nil
		}
		in.NextToken = out.NextToken
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func fromEC2(n types.NetworkAcl) acl {
	l := acl{ID: aws.ToString(n.NetworkAclId), VPC: aws.ToString(n.VpcId), Default: aws.ToBool(n.IsDefault), Subnets: []string{}, Entries: []entry{}}
	for _, a := range n.Associations {
		l.Subnets = append(l.Subnets, aws.ToString(a.SubnetId))
	}
	slices.Sort(l.Subnets)
	for _, e := range n.Entries {
		cidr := aws.ToString(e.CidrBlock)
		if cidr == "" {
			cidr = aws.ToString(e.Ipv6CidrBlock)
		}
		l.Entries = append(l.Entries, entry{Number: aws.ToInt32(e.RuleNumber), Egress: aws.ToBool(e.Egress), CIDR: cidr, Protocol: aws.ToString(e.Protocol), Action: string(e.RuleAction)})
	}
	return l
}

// at is the entry with a number, in a direction.
func (l acl) at(number int32, egress bool) (entry, bool) {
	for _, e := range l.Entries {
		if e.Number == number && e.Egress == egress {
			return e, true
		}
	}
	return entry{}, false
}

// denied reports whether a network is denied in a direction before anything is
// allowed.
func (l acl) denied(cidr string, egress bool) bool {
	for _, e := range l.Entries {
		if e.Egress == egress && e.CIDR == cidr && e.Action == string(types.RuleActionDeny) && e.Protocol == "-1" && e.Number < l.lowestAllow(egress) {
			return true
		}
	}
	return false
}

// lowestAllow is the lowest number of an entry that allows something.
func (l acl) lowestAllow(egress bool) int32 {
	lowest := int32(lastEntry)
	for _, e := range l.Entries {
		if e.Egress == egress && e.Action == string(types.RuleActionAllow) {
			lowest = min(lowest, e.Number)
		}
	}
	return lowest
}

// choose returns the entries that deny what is not denied yet, with numbers that
// are free, and how many found none.
func (l acl) choose(addresses []string) (list []entry, missing int) {
	for _, cidr := range addresses {
		for _, egress := range []bool{false, true} {
			if l.denied(cidr, egress) {
				continue
			}
			number := l.free(egress)
			if number == 0 {
				missing++
				continue
			}
			e := entry{Number: number, Egress: egress, CIDR: cidr, Protocol: "-1", Action: string(types.RuleActionDeny)}
			list = append(list, e)
			l.Entries = append(slices.Clip(l.Entries), e)
		}
	}
	return list, missing
}

// free is the first number of our band that nobody uses and that comes before
// everything that is allowed; 0: there is none.
func (l acl) free(egress bool) int32 {
	end := min(l.lowestAllow(egress)-1, lastNumber)
	for n := int32(firstNumber); n <= end; n++ {
		if _, taken := l.at(n, egress); !taken {
			return n
		}
	}
	return 0
}

// room is how many entries a direction can still take.
func (l acl) room(egress bool) int {
	n := 1 // the one that AWS has at the end
	for _, e := range l.Entries {
		if e.Egress == egress && e.Number < lastEntry {
			n++
		}
	}
	if n > quota {
		return raised - n
	}
	return quota - n
}

// roomGuard answers whether the entries fit without taking the last places.
func roomGuard(l acl, addresses []netip.Prefix) respond.Guard {
	g := respond.Guard{Name: "room in " + l.ID, Answer: respond.Pass}
	chosen, missing := l.choose(texts(addresses))
	need := map[bool]int{}
	for _, e := range chosen {
		need[e.Egress]++
	}
	for _, egress := range []bool{false, true} {
		room := l.room(egress)
		if room < spare || room < need[egress] {
			g.Answer, g.Why = respond.Refuse, fmt.Sprintf("%d entries are free (%s), %d are needed, and fewer than %d are not touched", room, entry{Egress: egress}.direction(), need[egress], spare)
		}
	}
	if missing > 0 {
		g.Answer, g.Why = respond.Refuse, fmt.Sprintf("no number from %d to %d is free before the first entry that allows something", firstNumber, lastNumber)
	}
	if g.Answer == respond.Refuse {
		g.Hint = "take entries out of the network ACL, or name an IP set in respond.ip_set"
	}
	return g
}
