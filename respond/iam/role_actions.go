package iam

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

func recordRole() respond.Action {
	return respond.Action{
		Name: "iam.record-role",
		Calls: map[awscalls.Role][]string{
			awscalls.Read:      {"IAM.GetRole", "IAM.ListRolePolicies", "IAM.GetRolePolicy", "IAM.ListInstanceProfilesForRole"},
			awscalls.Forensics: kit.KeepCalls(),
		},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p roleParams) (playbook.Outcome, error) {
			s, err := kit.Record(x, kit.Account[roleState]{
				What: "role " + p.Role, File: "role.json", Kind: evidence.BeforeImage, Source: p.ARN, How: "IAM.GetRole and others",
				Gaps: func(s roleState) []string { return s.Gaps },
				Look: func(ctx context.Context) (roleState, error) {
					api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
					if err != nil {
						return roleState{}, err
					}
					return describeRole(ctx, api, p.Role)
				},
			})
			return playbook.Outcome{Message: respond.Count(len(s.Inline), "inline policy", "inline policies") + ", " + respond.Count(len(s.Profiles), "instance profile")}, err
		}),
	}
}

// inlineOfRole is our policy on the role. Its documents arrive escaped.
func inlineOfRole(x *respond.Exec, p roleParams) kit.Setting[kit.Document] {
	return kit.Setting[kit.Document]{
		What: "policy " + p.Policy + " of role " + p.Role,
		Same: kit.SameDocument,
		Look: func(ctx context.Context) (kit.Document, error) {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return kit.Document{}, err
			}
			return rolePolicy(ctx, api, p.Role, p.Policy)
		},
		Put: func(ctx context.Context, d kit.Document) error {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Act, x.Def.Account, x.Def.Region))
			if err != nil {
				return err
			}
			if d.Absent {
				_, err = api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &p.Role, PolicyName: &p.Policy})
				return err
			}
			_, err = api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &p.Role, PolicyName: &p.Policy, PolicyDocument: &d.Text})
			return err
		},
	}
}

// denying is an action that puts our policy on a role.
func denying(name string, wait time.Duration, document func(x *respond.Exec, p roleParams) string) respond.Action {
	return respond.Action{
		Name:    name,
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetRolePolicy"}, awscalls.Act: {"IAM.PutRolePolicy"}},
		Options: playbook.Options{Timeout: brief + wait},
		Do: kit.Do(func(x *respond.Exec, p roleParams) (playbook.Outcome, error) {
			if left := sinceStart(x, int(wait.Seconds())); left > 0 {
				if err := x.Sleep(left); err != nil {
					return playbook.Outcome{}, err
				}
			}
			changed, err := kit.Set(x, inlineOfRole(x, p), func(kit.Document) (kit.Document, error) { return kit.Text(document(x, p)), nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "the policy was there already; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: "policy " + p.Policy + " is on role " + p.Role}, nil
		}),
		Undo:     kit.UndoSetting(undoDenyRole(), "take the deny off the role"),
		UndoRank: 30,
	}
}

func denySession() respond.Action {
	return denying("iam.deny-session", 0, func(_ *respond.Exec, p roleParams) string { return denySessionDocument(p.UserID) })
}

func denyRole() respond.Action {
	return denying("iam.deny-role", 0, func(x *respond.Exec, _ roleParams) string { return denyBefore(x.Now()) })
}

// denyRoleAgain does it once more after the time in which IAM may still have
// issued sessions that know nothing of the first.
func denyRoleAgain() respond.Action {
	a := denying("iam.deny-role-again", 2*time.Minute, func(x *respond.Exec, _ roleParams) string { return denyBefore(x.Now()) })
	a.UndoRank = 29 // first back to what the first one wrote
	return a
}

func undoDenyRole() respond.Action {
	return respond.Action{
		Name:    "iam.undo-deny-role",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetRolePolicy"}, awscalls.Act: {"IAM.DeleteRolePolicy", "IAM.PutRolePolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[roleParams, kit.Document]) (playbook.Outcome, error) {
			if !b.Before.Absent { // of what an earlier step wrote, which an undo before this one may have taken off
				now, err := ownPolicy(x, b.Of)
				if err != nil {
					return playbook.Outcome{}, err
				}
				if now.Absent {
					return playbook.Outcome{Message: "policy " + b.Of.Policy + " is off role " + b.Of.Role + " already"}, nil
				}
			}
			return kit.Restore(x, inlineOfRole(x, b.Of), b.Before, b.After)
		}),
	}
}

// ownPolicy is our policy on the role as it is now.
func ownPolicy(x *respond.Exec, p roleParams) (now kit.Document, err error) {
	err = onIAM(x, func(ctx context.Context, api awscalls.IAM) (err error) {
		now, err = rolePolicy(ctx, api, p.Role, p.Policy)
		return err
	})
	return now, err
}

// roleMissing says whether the policy is not one of those that the steps wrote.
func roleMissing(x *respond.Exec, p roleParams) ([]string, error) {
	now, err := ownPolicy(x, p)
	if err != nil {
		return nil, err
	}
	for _, id := range p.Steps {
		var wrote kit.Document
		if rec, ok := x.Record(id); ok && rec.Load(respond.SavedAfter, &wrote) && kit.SameDocument(now, wrote) {
			return nil, nil
		}
	}
	return []string{"policy " + p.Policy + " of role " + p.Role + " is not what guardroom set"}, nil
}

func verifyRole() respond.Action {
	return respond.Action{
		Name:    "iam.verify-role",
		Check:   kit.Check(roleMissing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetRolePolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p roleParams) (playbook.Outcome, error) {
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return roleMissing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			open := []string{
				"a change of IAM takes a few minutes to hold everywhere",
				"sessions of other roles that this one assumed go on until they end; guardroom did not look for them in CloudTrail",
			}
			message := "the session is denied everything: " + p.UserID
			if p.Chosen {
				open = append(open, p.anew())
			}
			if p.UserID == "" {
				message = "every session of role " + p.Role + " issued before is denied everything"
				open = append(open, "whoever can assume role "+p.Role+" gets new sessions, which are not denied")
			}
			return playbook.Outcome{Message: message}, x.Save(respond.SavedStillOpen, open)
		}),
	}
}

func watchRole() respond.Action {
	return respond.Action{
		Name:    "iam.watch-role",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetRolePolicy"}},
		Options: playbook.Options{Timeout: 15 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p roleParams) (playbook.Outcome, error) {
			return watch(x, func() ([]string, error) { return roleMissing(x, p) })
		}),
	}
}
