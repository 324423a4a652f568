package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// brief bounds the steps that containment waits for, and those of containment.
const brief = 5 * time.Minute

func recordUser() respond.Action {
	return respond.Action{
		Name: "iam.record-user",
		Calls: map[awscalls.Role][]string{
			awscalls.Read: {"IAM.GetUser", "IAM.ListAccessKeys", "IAM.GetAccessKeyLastUsed", "IAM.ListUserPolicies", "IAM.GetUserPolicy",
				"IAM.ListAttachedUserPolicies", "IAM.ListGroupsForUser", "IAM.ListMFADevices", "IAM.GetLoginProfile"},
			awscalls.Forensics: kit.KeepCalls(),
		},
		Options: playbook.Options{Timeout: 2 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			s, err := kit.Record(x, kit.Account[userState]{
				What: "user " + p.User, File: "user.json", Kind: evidence.BeforeImage, Source: p.ARN, How: "IAM.GetUser and others",
				Gaps: func(s userState) []string { return s.Gaps },
				Look: func(ctx context.Context) (userState, error) {
					api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
					if err != nil {
						return userState{}, err
					}
					return describeUser(ctx, api, p.User)
				},
			})
			return playbook.Outcome{Message: fmt.Sprintf("%s, %d inline and %s, %s", respond.Count(len(s.Keys), "key"), len(s.Inline), respond.Count(len(s.Attached), "attached policy", "attached policies"), respond.Count(len(s.Groups), "group"))}, err
		}),
	}
}

// inlineOfUser is our policy on the user.
func inlineOfUser(x *respond.Exec, p userParams) kit.Setting[kit.Document] {
	return kit.Setting[kit.Document]{
		What: "policy " + p.Policy + " of user " + p.User,
		Same: kit.SameDocument,
		Look: func(ctx context.Context) (kit.Document, error) {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return kit.Document{}, err
			}
			return userPolicy(ctx, api, p.User, p.Policy)
		},
		Put: func(ctx context.Context, d kit.Document) error {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Act, x.Def.Account, x.Def.Region))
			if err != nil {
				return err
			}
			if d.Absent {
				_, err = api.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &p.User, PolicyName: &p.Policy})
				return err
			}
			_, err = api.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &p.User, PolicyName: &p.Policy, PolicyDocument: &d.Text})
			return err
		},
	}
}

func denyUser() respond.Action {
	return respond.Action{
		Name:    "iam.deny-user",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetUserPolicy"}, awscalls.Act: {"IAM.PutUserPolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			changed, err := kit.Set(x, inlineOfUser(x, p), func(kit.Document) (kit.Document, error) { return kit.Text(denyAll), nil })
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "the policy was there already; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: p.User + " is denied everything"}, nil
		}),
		Undo:     kit.UndoSetting(undoDenyUser(), "take the deny off the user"),
		UndoRank: 30,
	}
}

func undoDenyUser() respond.Action {
	return respond.Action{
		Name:    "iam.undo-deny-user",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetUserPolicy"}, awscalls.Act: {"IAM.DeleteUserPolicy", "IAM.PutUserPolicy"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[userParams, kit.Document]) (playbook.Outcome, error) {
			return kit.Restore(x, inlineOfUser(x, b.Of), b.Before, b.After)
		}),
	}
}

// keyGone is the status of a key that is not there.
const keyGone = "deleted"

func statusOfKey(x *respond.Exec, p userParams) kit.Setting[string] {
	return kit.Setting[string]{
		What: "access key " + p.Key,
		Same: func(a, b string) bool { return a == b },
		Look: func(ctx context.Context) (string, error) {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return "", err
			}
			return keyStatus(ctx, api, p.User, p.Key)
		},
		Put: func(ctx context.Context, status string) error {
			api, err := x.AWS.IAM(ctx, x.In(awscalls.Act, x.Def.Account, x.Def.Region))
			if err != nil {
				return err
			}
			// The name of the user is required: temporary credentials sign this call.
			_, err = api.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &p.User, AccessKeyId: &p.Key, Status: types.StatusType(status)})
			return err
		},
	}
}

func keyStatus(ctx context.Context, api awscalls.IAM, user, key string) (string, error) {
	keys, err := keysOf(ctx, api, user)
	if respond.Is(err, "NoSuchEntity") {
		return keyGone, nil
	}
	for _, k := range keys {
		if k.ID == key {
			return k.Status, err
		}
	}
	return keyGone, err
}

func disableKey() respond.Action {
	return respond.Action{
		Name:    "iam.disable-key",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.ListAccessKeys"}, awscalls.Act: {"IAM.UpdateAccessKey"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			changed, err := kit.Set(x, statusOfKey(x, p), func(before string) (string, error) {
				if before == keyGone {
					return keyGone, nil
				}
				return string(types.StatusTypeInactive), nil
			})
			if err != nil {
				return playbook.Outcome{}, err
			}
			if !changed {
				return playbook.Outcome{Message: "the key was not active any more; undo leaves it"}, nil
			}
			return playbook.Outcome{Message: p.Key + " is inactive"}, nil
		}),
		Undo:     kit.UndoSetting(enableKey(), "make the access key active again"),
		UndoRank: 40,
	}
}

// savedRest is the key under which the ids of keys are saved that are in no step
// of their own.
const savedRest = "keys"

// disableRest makes every key inactive that is active still: one that was made
// after the plan, or was made active again. Whoever holds a key of the user can do
// both until the deny holds everywhere.
func disableRest() respond.Action {
	return respond.Action{
		Name:    "iam.disable-rest",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.ListAccessKeys"}, awscalls.Act: {"IAM.UpdateAccessKey"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			var rest []string
			x.Load(savedRest, &rest)
			err := kit.Until(x, time.Minute, func() ([]string, error) {
				active, err := activeKeys(x, p.User)
				if err != nil || len(active) == 0 {
					return nil, err
				}
				for _, id := range active {
					if !slices.Contains(p.Keys, id) && !slices.Contains(rest, id) {
						rest = append(rest, id)
					}
				}
				if err := x.Save(savedRest, rest); err != nil {
					return nil, err
				}
				var missing []string
				for _, id := range active {
					p.Key = id
					if err := x.Change(func(ctx context.Context) error { return statusOfKey(x, p).Put(ctx, string(types.StatusTypeInactive)) }); err != nil && !respond.Gone(err) {
						return nil, err
					}
					missing = append(missing, "access key "+id+" is active")
				}
				return missing, nil
			})
			switch {
			case err != nil:
				return playbook.Outcome{}, err
			case len(rest) == 0:
				return playbook.Outcome{Message: "no other key of " + p.User + " is active"}, nil
			}
			return playbook.Outcome{Message: kit.Join(rest) + " was made, or made active, after the plan; " + p.User + " has no active key now"}, nil
		}),
		Undo:     enableRest,
		UndoRank: 40,
	}
}

// enableRest is a step for each of those keys, so that who approves the undo sees
// which come back.
func enableRest(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var rest []string
	var p userParams
	if !rec.Load(savedRest, &rest) {
		return nil, nil
	}
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of step %s: %w", s.ID, err)
	}
	var steps []respond.Step
	for _, id := range rest {
		p.Key, p.Keys = id, nil
		back := kit.UndoStep(s, enableKey(), "", json.RawMessage(kit.MustJSON(kit.Back[userParams, string]{Of: p, Before: string(types.StatusTypeActive), After: string(types.StatusTypeInactive)})))
		back.ID += "/" + id
		back.Title = "access key " + id + ", which was made or made active after the plan: inactive -> active"
		steps = append(steps, back)
	}
	return steps, nil
}

// activeKeys are the ids of the keys that can be used.
func activeKeys(x *respond.Exec, user string) (ids []string, err error) {
	err = onIAM(x, func(ctx context.Context, api awscalls.IAM) error {
		keys, err := keysOf(ctx, api, user)
		ids = nil
		for _, k := range keys {
			if k.Status == string(types.StatusTypeActive) {
				ids = append(ids, k.ID)
			}
		}
		return err
	})
	return ids, err
}

func enableKey() respond.Action {
	return respond.Action{
		Name:    "iam.enable-key",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.ListAccessKeys"}, awscalls.Act: {"IAM.UpdateAccessKey"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, b kit.Back[userParams, string]) (playbook.Outcome, error) {
			return kit.Restore(x, statusOfKey(x, b.Of), b.Before, b.After)
		}),
	}
}

// userMissing says what does not hold of the containment of a user.
func userMissing(x *respond.Exec, p userParams) ([]string, error) {
	var missing []string
	err := onIAM(x, func(ctx context.Context, api awscalls.IAM) error {
		missing = nil
		if p.Policy == "" {
			missing = append(missing, "user "+p.User+" has no policy that denies everything: there was no room for it")
		} else if d, err := userPolicy(ctx, api, p.User, p.Policy); err != nil {
			return err
		} else if !kit.SameDocument(d, kit.Text(denyAll)) {
			missing = append(missing, "policy "+p.Policy+" of user "+p.User+" is not what guardroom set")
		}
		keys, err := keysOf(ctx, api, p.User)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Status == string(types.StatusTypeActive) {
				missing = append(missing, "access key "+k.ID+" is active")
			}
		}
		return nil
	})
	return missing, err
}

func verifyUser() respond.Action {
	return respond.Action{
		Name:    "iam.verify-user",
		Check:   kit.Check(userMissing),
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetUserPolicy", "IAM.ListAccessKeys"}},
		Options: playbook.Options{Timeout: brief},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			if err := kit.Until(x, time.Minute, func() ([]string, error) { return userMissing(x, p) }); err != nil {
				return playbook.Outcome{}, err
			}
			open := []string{
				"a change of IAM takes seconds to minutes to hold everywhere",
				"sessions of roles that " + p.User + " assumed go on until they end; guardroom did not look for them in CloudTrail",
			}
			return playbook.Outcome{Message: p.User + " is denied everything, and none of its keys is active"}, x.Save(respond.SavedStillOpen, open)
		}),
	}
}

func watchUser() respond.Action {
	return respond.Action{
		Name:    "iam.watch-user",
		Calls:   map[awscalls.Role][]string{awscalls.Read: {"IAM.GetUserPolicy", "IAM.ListAccessKeys"}},
		Options: playbook.Options{Timeout: 15 * time.Minute},
		Do: kit.Do(func(x *respond.Exec, p userParams) (playbook.Outcome, error) {
			return watch(x, func() ([]string, error) { return userMissing(x, p) })
		}),
	}
}
