package block

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const (
	savedEntries = "entries"
	savedRun     = "run"
)

func record() respond.Action {
	return respond.Action{
		Name:    "block.record",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"WAF.GetIPSet", "EC2.DescribeNetworkAcls"}, awscalls.Forensics: kit.KeepCalls()},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			p0 := x.In(awscalls.Read, x.Def.Account, x.Def.Region)
			if p.Set != nil {
				s, err := kit.Record(x, kit.Account[set]{What: "IP set " + p.Set.Name, File: "ip-set.json", Kind: evidence.BeforeImage, Source: p.Set.ID, How: "WAF.GetIPSet",
					Look: func(ctx context.Context) (set, error) { return readSet(ctx, x.AWS, setPlace(p0, p.Set.Scope), *p.Set) }})
				return playbook.Outcome{Message: respond.Count(len(s.Addresses), "address", "addresses")}, err
			}
			l, err := kit.Record(x, kit.Account[acl]{What: "network ACL " + p.ACL, File: "network-acl.json", Kind: evidence.BeforeImage, Source: p.ACL, How: "EC2.DescribeNetworkAcls",
				Look: func(ctx context.Context) (acl, error) { return readACL(ctx, x.AWS, p0, p.ACL) }})
			return playbook.Outcome{Message: respond.Count(len(l.Entries), "entry", "entries") + ", " + respond.Count(len(l.Subnets), "subnet")}, err
		}),
	}
}

func readACL(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (acl, error) {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return acl{}, err
	}
	list, err := readACLs(ctx, api, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
	if err != nil {
		return acl{}, err
	}
	if len(list) == 0 {
		return acl{}, fault.New(fault.NotFound, "network ACL "+id+" is not there", "look who deleted it")
	}
	return list[0], nil
}

func lookACL(x *respond.Exec, id string) (l acl, err error) {
	err = x.Look(func(ctx context.Context) error {
		l, err = readACL(ctx, x.AWS, x.In(awscalls.Read, x.Def.Account, x.Def.Region), id)
		return err
	})
	return l, err
}

// owedInACL is what the closing works from: one entry.
type owedInACL struct {
	ACL   string `json:"network_acl"`
	Entry entry  `json:"entry"`
}

// addEntries denies each address in both directions. A number that somebody took
// meanwhile is left to them, and another one chosen.
func addEntries() respond.Action {
	return respond.Action{
		Name:    "block.add-entries",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"EC2.DescribeNetworkAcls"}, awscalls.Act: {"EC2.CreateNetworkAclEntry"}},
		Options: playbook.Options{Timeout: brief, Retries: 10},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			end, err := until(x, p)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if err := x.Save(savedRun, x.RunID); err != nil {
				return playbook.Outcome{}, err
			}
			ours, err := chooseEntries(x, p)
			if err != nil {
				return playbook.Outcome{}, err
			}
			for _, e := range ours {
				if err := addEntry(x, p, e, end); err != nil {
					return playbook.Outcome{}, err
				}
			}
			if len(ours) == 0 {
				return playbook.Outcome{Message: "all were denied already; neither expiry nor undo of this run takes that away"}, nil
			}
			return playbook.Outcome{Message: fmt.Sprintf("%d entries until %s", len(ours), end.Format("2006-01-02 15:04 UTC"))}, nil
		}),
		Undo: func(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
			var ours []entry
			if !rec.Load(savedEntries, &ours) || len(ours) == 0 {
				return nil, nil
			}
			return undoOf(s, rec, deleteEntries(), "delete the entries of the network ACL")
		},
		UndoRank: 50,
	}
}

// chooseEntries returns the entries of this step, saved before any is made. One
// whose number belongs to somebody else by now is given up for another.
func chooseEntries(x *respond.Exec, p params) ([]entry, error) {
	now, err := lookACL(x, p.ACL)
	if err != nil {
		return nil, err
	}
	var ours []entry
	known := x.Load(savedEntries, &ours)
	lost := slices.DeleteFunc(slices.Clone(ours), func(e entry) bool {
		there, taken := now.at(e.Number, e.Egress)
		return !taken || there == e
	})
	if known && len(lost) == 0 {
		return ours, nil
	}
	ours = slices.DeleteFunc(ours, func(e entry) bool { return slices.Contains(lost, e) })
	seen := now
	seen.Entries = append(slices.Clone(now.Entries), ours...)
	more, missing := seen.choose(p.Addresses)
	if missing > 0 {
		f := fault.New(fault.Conflict, fmt.Sprintf("no number from %d to %d is free in network ACL %s", firstNumber, lastNumber, p.ACL), "take entries out of it, and make a new plan")
		f.Safe = "what was denied before stays so"
		return nil, playbook.Permanent(f)
	}
	ours = append(ours, more...)
	if err := x.Save(savedEntries, ours); err != nil {
		return nil, err
	}
	for _, e := range lost {
		if err := settle(x, owedID(x, e.name())); err != nil {
			return nil, err
		}
	}
	return ours, nil
}

func addEntry(x *respond.Exec, p params, e entry, end time.Time) error {
	raw, err := json.Marshal(owedInACL{p.ACL, e})
	if err != nil {
		return playbook.Permanent(fmt.Errorf("write down what is owed: %w", err))
	}
	err = owe(x, respond.Owed{ID: owedID(x, e.name()), Kind: endInACL().Kind, Params: raw, Due: end, Place: x.Place(),
		Why: fmt.Sprintf("entry %d (%s) of network ACL %s denies %s until %s", e.Number, e.direction(), p.ACL, e.CIDR, end.Format("2006-01-02 15:04 UTC"))})
	if err != nil {
		return err
	}
	now, err := lookACL(x, p.ACL)
	if err != nil {
		return err
	}
	if there, taken := now.at(e.Number, e.Egress); taken && there == e {
		return nil
	}
	err = x.Change(func(ctx context.Context) error { return createEntry(ctx, x.AWS, x.Place(), p.ACL, e) })
	if respond.Is(err, "NetworkAclEntryAlreadyExists") {
		return fault.New(fault.Unavailable, fmt.Sprintf("somebody took number %d of network ACL %s just now", e.Number, p.ACL), "another one is chosen")
	}
	return err
}

func createEntry(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, e entry) error {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return err
	}
	_, err = api.CreateNetworkAclEntry(ctx, e.input(id))
	return err
}

// input is the call that makes the entry.
func (e entry) input(id string) *ec2.CreateNetworkAclEntryInput {
	in := &ec2.CreateNetworkAclEntryInput{NetworkAclId: &id, RuleNumber: &e.Number, Egress: &e.Egress, Protocol: &e.Protocol, RuleAction: types.RuleAction(e.Action)}
	if n, err := kit.Network(e.CIDR); err == nil && n.Addr().Is6() {
		in.Ipv6CidrBlock = aws.String(e.CIDR)
	} else {
		in.CidrBlock = aws.String(e.CIDR)
	}
	return in
}

func deleteEntry(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, e entry) error {
	api, err := a.EC2(ctx, p)
	if err != nil {
		return err
	}
	_, err = api.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &id, RuleNumber: &e.Number, Egress: &e.Egress})
	return err
}

// deleteEntries deletes those entries that are still as we made them.
func deleteEntries() respond.Action {
	return respond.Action{
		Name:    "block.delete-entries",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"EC2.DescribeNetworkAcls"}, awscalls.Act: {"EC2.DeleteNetworkAclEntry"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b back) (playbook.Outcome, error) {
			if out, over := b.expired(x); over {
				return out, nil
			}
			now, err := lookACL(x, b.Of.ACL)
			if err != nil {
				return playbook.Outcome{}, err
			}
			var changed []string
			for _, e := range b.Entries {
				there, is := now.at(e.Number, e.Egress)
				switch {
				case is && there == e:
					if err := x.Change(func(ctx context.Context) error { return deleteEntry(ctx, x.AWS, x.Place(), b.Of.ACL, e) }); err != nil {
						return playbook.Outcome{}, err
					}
				case is:
					changed = append(changed, fmt.Sprintf("entry %d (%s)", e.Number, e.direction()))
				}
				if err := settle(x, b.Run+"/"+b.Step+e.name()); err != nil {
					return playbook.Outcome{}, err
				}
			}
			if len(changed) > 0 {
				return playbook.Outcome{}, kit.Changed(kit.Join(changed) + " of network ACL " + b.Of.ACL)
			}
			return playbook.Outcome{Message: "the entries are deleted"}, nil
		}),
	}
}

func verifyEntries() respond.Action {
	return respond.Action{
		Name:    "block.verify-entries",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"EC2.DescribeNetworkAcls"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			err := kit.Until(x, time.Minute, func() (missing []string, err error) {
				now, err := lookACL(x, p.ACL)
				if err != nil {
					return nil, err
				}
				for _, cidr := range p.Addresses {
					for _, egress := range []bool{false, true} {
						if !now.denied(cidr, egress) {
							missing = append(missing, fmt.Sprintf("network ACL %s does not deny %s (%s)", p.ACL, cidr, entry{Egress: egress}.direction()))
						}
					}
				}
				return missing, nil
			})
			if err != nil {
				return playbook.Outcome{}, err
			}
			return playbook.Outcome{Message: "network ACL " + p.ACL + " denies them in both directions"}, x.Save(respond.SavedStillOpen, []string{
				"traffic that comes through a load balancer, a proxy or another subnet has other addresses and goes on",
			})
		}),
	}
}

// endInACL deletes one entry when its time is over, if it is still ours.
func endInACL() respond.Closing {
	return respond.Closing{
		Kind: "block.acl-entry", Expires: true,
		Calls: map[awscalls.Role][]string{awscalls.Read: {"EC2.DescribeNetworkAcls"}, awscalls.Act: {"EC2.DeleteNetworkAclEntry"}},
		Close: func(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
			var p owedInACL
			if err := json.Unmarshal(o.Params, &p); err != nil {
				return fmt.Errorf("read what is owed: %w", err)
			}
			read := o.Place
			read.Role = awscalls.Read
			now, err := readACL(ctx, a, read, p.ACL)
			if err == nil {
				if there, is := now.at(p.Entry.Number, p.Entry.Egress); !is || there != p.Entry {
					return nil // gone, or somebody else's by now
				}
				err = deleteEntry(ctx, a, o.Place, p.ACL, p.Entry)
			}
			if err == nil || respond.Gone(err) || fault.CodeOf(err) == fault.NotFound {
				return nil
			}
			return respond.Explain(err, "end the block in network ACL "+p.ACL, o.Why)
		},
	}
}
