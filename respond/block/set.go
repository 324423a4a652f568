package block

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const (
	brief      = 5 * time.Minute
	familyIPv4 = string(types.IPAddressVersionIpv4)
	savedUntil = "until"
	savedAdded = "added"
)

// setID names an IP set of WAF.
type setID struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Scope string `json:"scope"` // REGIONAL or CLOUDFRONT
}

func idOf(s respond.IPSet) setID {
	if s.Scope == "" {
		s.Scope = string(types.ScopeRegional)
	}
	return setID{s.Name, s.ID, s.Scope}
}

// set is an IP set as AWS shows it.
type set struct {
	ID        setID    `json:"id"`
	ARN       string   `json:"arn"`
	Family    string   `json:"family"` // IPV4 or IPV6
	Addresses []string `json:"addresses"`
	lock      string
	text      *string // its description, which an update must repeat
}

// setPlace is where a set is: that of CloudFront lives in us-east-1.
func setPlace(p awscalls.Place, scope string) awscalls.Place {
	if scope == string(types.ScopeCloudfront) {
		p.Region = "us-east-1"
	}
	return p
}

func readSet(ctx context.Context, a awscalls.AWS, p awscalls.Place, id setID) (set, error) {
	api, err := a.WAF(ctx, p)
	if err != nil {
		return set{}, err
	}
	out, err := api.GetIPSet(ctx, &wafv2.GetIPSetInput{Id: &id.ID, Name: &id.Name, Scope: types.Scope(id.Scope)})
	if err != nil {
		return set{}, err
	}
	if out.IPSet == nil {
		return set{}, fault.New(fault.Unavailable, "AWS sent nothing of IP set "+id.Name, "it is asked again")
	}
	return set{ID: id, ARN: aws.ToString(out.IPSet.ARN), Family: string(out.IPSet.IPAddressVersion), Addresses: out.IPSet.Addresses, lock: aws.ToString(out.LockToken), text: out.IPSet.Description}, nil
}

// write replaces the list, for which the set must be as it was read: the call
// knows no way to add one.
// https://docs.aws.amazon.com/waf/latest/APIReference/API_UpdateIPSet.html
func (s set) write(ctx context.Context, a awscalls.AWS, p awscalls.Place, addresses []string) error {
	api, err := a.WAF(ctx, p)
	if err != nil {
		return err
	}
	_, err = api.UpdateIPSet(ctx, &wafv2.UpdateIPSetInput{Id: &s.ID.ID, Name: &s.ID.Name, Scope: types.Scope(s.ID.Scope), LockToken: &s.lock, Addresses: addresses, Description: s.text})
	return err
}

func lookSet(x *respond.Exec, id setID) (s set, err error) {
	err = x.Look(func(ctx context.Context) error {
		s, err = readSet(ctx, x.AWS, setPlace(x.In(awscalls.Read, x.Def.Account, x.Def.Region), id.Scope), id)
		return err
	})
	return s, err
}

func without(list, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool { return slices.Contains(drop, a) })
}

// owedInSet is what the closing works from.
type owedInSet struct {
	Set       setID    `json:"ip_set"`
	Addresses []string `json:"addresses"`
}

// until is when the block of this step ends.
func until(x *respond.Exec, p params) (time.Time, error) {
	return respond.Once(x, savedUntil, func() (time.Time, error) { return x.Now().UTC().Add(p.lasts()), nil })
}

func owe(x *respond.Exec, o respond.Owed) error {
	o.Run, o.OpenedAt = x.RunID, x.Now()
	return x.Change(func(ctx context.Context) error { return x.Owed.Owe(ctx, o) })
}

func settle(x *respond.Exec, ids ...string) error {
	return x.Finish(func(ctx context.Context) error {
		for _, id := range ids {
			if err := x.Owed.Settle(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func owedID(x *respond.Exec, what string) string { return string(x.RunID) + "/" + x.Def.ID + what }

// addToSet adds those addresses that are not in the set. A set that was changed
// meanwhile is read again.
func addToSet() respond.Action {
	return respond.Action{
		Name:    "block.add-to-set",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"WAF.GetIPSet"}, awscalls.Act: {"WAF.UpdateIPSet"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			now, err := lookSet(x, *p.Set)
			if err != nil {
				return playbook.Outcome{}, err
			}
			end, err := until(x, p)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if err := x.Save(savedRun, x.RunID); err != nil {
				return playbook.Outcome{}, err
			}
			added, err := respond.Once(x, savedAdded, func() ([]string, error) { return without(p.Addresses, now.Addresses), nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if len(added) == 0 {
				return playbook.Outcome{Message: "all were in the set already; neither expiry nor undo of this run takes them off"}, nil
			}
			raw, err := json.Marshal(owedInSet{*p.Set, added})
			if err != nil {
				return playbook.Outcome{}, playbook.Permanent(fmt.Errorf("write down what is owed: %w", err))
			}
			err = owe(x, respond.Owed{ID: owedID(x, ""), Kind: endInSet().Kind, Params: raw, Due: end, Place: setPlace(x.Place(), p.Set.Scope),
				Why: kit.Join(added) + " is in IP set " + p.Set.Name + " until " + end.Format("2006-01-02 15:04 UTC")})
			if err != nil {
				return playbook.Outcome{}, err
			}
			if missing := without(added, now.Addresses); len(missing) > 0 {
				err := x.Change(func(ctx context.Context) error {
					return now.write(ctx, x.AWS, setPlace(x.Place(), p.Set.Scope), append(slices.Clone(now.Addresses), missing...))
				})
				if err != nil {
					return playbook.Outcome{}, err
				}
			}
			return playbook.Outcome{Message: kit.Join(added) + " is blocked until " + end.Format("2006-01-02 15:04 UTC")}, nil
		}),
		Undo: func(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
			var added []string
			if !rec.Load(savedAdded, &added) || len(added) == 0 {
				return nil, nil
			}
			return undoOf(s, rec, takeFromSet(), "take the addresses out of the IP set")
		},
		UndoRank: 50,
	}
}

// back is what an undo works from.
type back struct {
	Of      params    `json:"of"`
	Step    string    `json:"step"`
	Until   time.Time `json:"until"`
	Added   []string  `json:"added,omitempty"`
	Entries []entry   `json:"entries,omitempty"`
	Run     string    `json:"run"`
}

func undoOf(s respond.Step, rec playbook.Record, undo respond.Action, title string) ([]respond.Step, error) {
	b := back{Step: s.ID}
	if err := json.Unmarshal(s.Params, &b.Of); err != nil {
		return nil, fmt.Errorf("read the parameters of step %s: %w", s.ID, err)
	}
	rec.Load(savedUntil, &b.Until)
	rec.Load(savedAdded, &b.Added)
	rec.Load(savedEntries, &b.Entries)
	rec.Load(savedRun, &b.Run)
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write the parameters of the undo of %s: %w", s.ID, err)
	}
	return []respond.Step{kit.UndoStep(s, undo, title, raw)}, nil
}

// expired says whether a block is over: what is there now is not ours any more.
func (b back) expired(x *respond.Exec) (playbook.Outcome, bool) {
	if x.Now().Before(b.Until) {
		return playbook.Outcome{}, false
	}
	return playbook.Outcome{Message: "the block was over at " + b.Until.Format("2006-01-02 15:04 UTC") + "; the sweeper takes off what is left of it"}, true
}

func takeFromSet() respond.Action {
	return respond.Action{
		Name:    "block.take-from-set",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"WAF.GetIPSet"}, awscalls.Act: {"WAF.UpdateIPSet"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b back) (playbook.Outcome, error) {
			if out, over := b.expired(x); over {
				return out, nil
			}
			now, err := lookSet(x, *b.Of.Set)
			if err != nil {
				return playbook.Outcome{}, err
			}
			if kept := without(now.Addresses, b.Added); len(kept) != len(now.Addresses) {
				err := x.Change(func(ctx context.Context) error {
					return now.write(ctx, x.AWS, setPlace(x.Place(), b.Of.Set.Scope), kept)
				})
				if err != nil {
					return playbook.Outcome{}, err
				}
			}
			return playbook.Outcome{Message: kit.Join(b.Added) + " is not blocked any more"}, settle(x, b.Run+"/"+b.Step)
		}),
	}
}

func verifySet() respond.Action {
	return respond.Action{
		Name:    "block.verify-set",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"WAF.GetIPSet"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p params) (playbook.Outcome, error) {
			err := kit.Until(x, time.Minute, func() ([]string, error) {
				now, err := lookSet(x, *p.Set)
				if missing := without(p.Addresses, now.Addresses); err == nil && len(missing) > 0 {
					return []string{kit.Join(missing) + " is not in IP set " + p.Set.Name}, nil
				}
				return nil, err
			})
			if err != nil {
				return playbook.Outcome{}, err
			}
			return playbook.Outcome{Message: "IP set " + p.Set.Name + " holds them"}, x.Save(respond.SavedStillOpen, []string{
				"AWS takes seconds to minutes to use the new list", "what no rule of WAF with this IP set protects stays reachable", "guardroom did not look whether a rule uses the set",
			})
		}),
	}
}

// closeTries is how often a set that others change is read again at once.
const closeTries = 5

// endInSet takes addresses out of a set when their time is over.
func endInSet() respond.Closing {
	return respond.Closing{
		Kind: "block.ip-set", Expires: true,
		Calls: map[awscalls.Role][]string{awscalls.Read: {"WAF.GetIPSet"}, awscalls.Act: {"WAF.UpdateIPSet"}},
		Close: func(ctx context.Context, a awscalls.AWS, o respond.Owed, _ time.Time) error {
			var p owedInSet
			if err := json.Unmarshal(o.Params, &p); err != nil {
				return fmt.Errorf("read what is owed: %w", err)
			}
			read := o.Place
			read.Role = awscalls.Read
			var err error
			for range closeTries {
				var now set
				if now, err = readSet(ctx, a, read, p.Set); err != nil {
					break
				}
				kept := without(now.Addresses, p.Addresses)
				if len(kept) == len(now.Addresses) {
					return nil
				}
				if err = now.write(ctx, a, o.Place, kept); !respond.Is(err, "WAFOptimisticLockException") {
					break
				}
			}
			if respond.Gone(err) {
				return nil // the set is gone, and the block with it
			}
			return respond.Explain(err, "end the block in IP set "+p.Set.Name, o.Why)
		},
	}
}
