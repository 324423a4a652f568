package sharing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const brief = 5 * time.Minute

func (k kind) action(what string) string { return "sharing." + k.service + "-" + what }

func place(x *respond.Exec, role awscalls.Role) awscalls.Place {
	return x.In(role, x.Def.Account, x.Def.Region)
}

// look reads the shares.
func (k kind) look(x *respond.Exec, id string) (list []share, err error) {
	err = x.Look(func(ctx context.Context) error {
		list, err = k.shares(ctx, x.AWS, place(x, awscalls.Read), id)
		return err
	})
	return list, err
}

func (k kind) record() respond.Action {
	return respond.Action{
		Name:    k.action("record"),
		Calls:   map[awscalls.Role][]string{awscalls.Read: k.read, awscalls.Forensics: kit.KeepCalls()},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			s, err := kit.Record(x, kit.Account[thing]{
				What: k.noun + " " + p.ID, File: "shares.json", Kind: evidence.BeforeImage, Source: p.ARN, How: kit.Join(k.read),
				Look: func(ctx context.Context) (thing, error) {
					return k.describe(ctx, x.AWS, place(x, awscalls.Read), p.ID)
				},
			})
			return playbook.Outcome{Message: "shared with " + kit.Join(words(s.Shares))}, err
		}),
	}
}

// remove takes away the planned shares, or those that are left of them.
func (k kind) remove() respond.Action {
	return respond.Action{
		Name:    k.action("remove-shares"),
		Calls:   map[awscalls.Role][]string{awscalls.Read: k.read[:1], awscalls.Act: {k.modify}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			now, err := k.look(x, p.ID)
			if err != nil {
				return playbook.Outcome{}, err
			}
			before, err := respond.Once(x, respond.SavedBefore, func() ([]share, error) { return now, nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			removed := intersect(before, p.Remove)
			if err := x.Save(respond.SavedAfter, minus(before, removed)); err != nil {
				return playbook.Outcome{}, err
			}
			if left := intersect(now, p.Remove); len(left) > 0 {
				err := x.Change(func(ctx context.Context) error {
					return k.change(ctx, x.AWS, place(x, awscalls.Act), p.ID, nil, left)
				})
				if err != nil {
					return playbook.Outcome{}, err
				}
			}
			return playbook.Outcome{Message: "not shared any more with " + kit.Join(words(removed))}, nil
		}),
		Undo:     kit.UndoSetting(k.addBack(), "add the shares back"),
		UndoRank: 30,
	}
}

// addBack adds the shares that were removed and are not there. A share that is
// new since stops it: a person must decide. That with everybody comes last and
// alone: guardroom's role lacks it as a rule.
func (k kind) addBack() respond.Action {
	return respond.Action{
		Name:    k.action("add-shares"),
		Calls:   map[awscalls.Role][]string{awscalls.Read: k.read[:1], awscalls.Act: {k.modify}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[params, []share]) (playbook.Outcome, error) {
			now, err := k.look(x, b.Of.ID)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if len(minus(now, b.Before)) > 0 || len(minus(b.After, now)) > 0 {
				return playbook.Outcome{}, kit.Changed("the list with whom " + k.noun + " " + b.Of.ID + " is shared")
			}
			missing := minus(b.Before, now)
			named := minus(missing, []share{everybody})
			for _, add := range [][]share{named, intersect(missing, []share{everybody})} {
				if len(add) == 0 {
					continue
				}
				err := x.Change(func(ctx context.Context) error {
					return k.change(ctx, x.AWS, place(x, awscalls.Act), b.Of.ID, add, nil)
				})
				if respond.DeniedByAWS(err) && slices.Contains(add, everybody) {
					return playbook.Outcome{}, playbook.Permanent(fault.Wrap(fault.Denied, respond.Worded(err), k.noun+" "+b.Of.ID+" is not shared with everybody again",
						"the shares with "+kit.Join(words(minus(b.Before, add)))+" are as they were", "the policies that guardroom prints let nobody share with everybody: do it by hand, if it must be"))
				}
				if err != nil {
					return playbook.Outcome{}, err
				}
			}
			return playbook.Outcome{Message: "shared again with " + kit.Join(words(b.Before))}, nil
		}),
	}
}

func (k kind) verify() respond.Action {
	return respond.Action{
		Name:    k.action("verify"),
		Check:   kit.Check(k.missing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: k.read[:1]},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return k.missing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			var open []string
			if len(p.Remove) > 0 {
				open = append(open, fmt.Sprintf("copies and volumes that %s made from %s before are out of reach", kit.Join(words(p.Remove)), p.ID))
			}
			return playbook.Outcome{Message: k.noun + " " + p.ID + " is shared with nobody else"}, x.Save(respond.SavedStillOpen, open)
		}),
	}
}

// missing says with whom it is shared beyond what was planned to stay.
func (k kind) missing(x *respond.Exec, p params) ([]string, error) {
	now, err := k.look(x, p.ID)
	if left := minus(now, p.Keep); err == nil && len(left) > 0 {
		return []string{k.noun + " " + p.ID + " is shared with " + kit.Join(words(left))}, nil
	}
	return nil, err
}

func intersect(a, b []share) []share {
	out := []share{}
	for _, s := range a {
		if slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
