package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// denyAll is the policy that stops a user: without a condition, since long-term
// keys carry no time of issue that one could compare.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-tokenissuetime
const denyAll = `{"Version":"2012-10-17","Statement":[{"Sid":"GuardroomDeny","Effect":"Deny","Action":"*","Resource":"*"}]}`

// userLimit is how many characters the inline policies of a user may have.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const userLimit = 2048

type userParams struct {
	User   string `json:"user"`
	UserID string `json:"user_id,omitempty"`
	ARN    string `json:"arn,omitempty"`
	Policy string `json:"policy,omitempty"`
	// Key is for a step about one key, Keys for one about all.
	Key  string   `json:"key,omitempty"`
	Keys []string `json:"keys,omitempty"`
}

func (user) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	u, ok := w.Value.(userWorld)
	if !ok {
		return respond.Draft{}, fault.New(fault.Internal, "the description is not one of a user", "")
	}
	t := r.Target
	t.ARN, t.Name = u.ARN, u.Name
	d := draft{kit.NewDraft(t, Actions())}
	d.guardUser(u, r)
	p := userParams{User: u.Name, UserID: u.ID, ARN: u.ARN, Policy: policyName("deny", r)}

	rec := d.Add(respond.Step{ID: "record/user", Action: "iam.record-user", Stage: "record", Title: "write down user " + u.Name + ": keys, policies, groups", Effect: respond.NoChange}, p)
	contain := []string{rec}
	if g := sizeGuard(u.Inline, p.Policy, denyAll, userLimit); g.Answer == respond.Pass {
		contain = append(contain, d.Add(respond.Step{ID: "contain/deny", Action: "iam.deny-user", Stage: "contain",
			Title: u.Name + ": inline policy " + p.Policy + " denies everything", Effect: respond.Reversible, Contains: true, After: []string{rec}}, p))
	} else {
		d.Guarded(g)
		d.Manual = append(d.Manual, "There is no room for the policy that denies everything. Attach the managed one by hand: aws iam attach-user-policy --user-name "+u.Name+" --policy-arn arn:"+kit.Partition(u.ARN)+":iam::aws:policy/AWSDenyAll")
		p.Policy = ""
	}
	deny := slices.Clone(contain)
	for _, k := range u.Keys {
		if k.Status != "Active" {
			d.WillNot = append(d.WillNot, "access key "+k.ID+" is inactive already, and stays so on undo unless it is active by then")
			continue
		}
		p.Keys = append(p.Keys, k.ID)
		one := p
		one.Key, one.Keys = k.ID, nil
		contain = append(contain, d.Add(respond.Step{ID: "contain/key-" + k.ID, Action: "iam.disable-key", Stage: "contain",
			Title: "access key " + k.ID + ": active -> inactive", Effect: respond.Reversible, Contains: true, After: deny}, one))
	}
	contain = append(contain, d.Add(respond.Step{ID: "contain/rest", Action: "iam.disable-rest", Stage: "contain",
		Title: "every key of " + u.Name + " that is active still, made after this plan or made active again: inactive", Effect: respond.Reversible, Contains: true, After: contain}, p))
	verify := d.Add(respond.Step{ID: "verify/user", Action: "iam.verify-user", Stage: "verify", Title: "read the policy and the keys of " + u.Name + " back", Effect: respond.NoChange, Contains: true, After: contain}, p)
	d.Add(respond.Step{ID: "watch/user", Action: "iam.watch-user", Stage: "verify", Title: "look again after 30 s, 2 and 5 minutes", Effect: respond.NoChange, Needs: []string{verify}}, p)

	d.trail(kit.TrailParamsOf(r, "user "+u.Name, u.ARN, u.Name))

	d.userWords(u, r)
	d.ShortestSeconds, d.LongestSeconds = 305, 600
	return d.Draft.Draft, nil
}

// draft is a draft about a principal.
type draft struct{ *kit.Draft }

func (d draft) guardUser(u userWorld, r respond.Request) {
	d.Guarded(kit.NeverTouch(u.Tags), kit.IsOurs(u.callers, u.ARN), kit.IsBreakGlass(r.Policy, u.ARN))
	if used := u.usedLately(r.Now); len(used) > 0 {
		d.Guard("in use", respond.Warn, "used in the last hour: "+strings.Join(used, "; "), "")
	} else {
		d.Guard("in use", respond.Pass, "", "")
	}
	key := r.Target.Parts[respond.PartAccessKeyID]
	has := u.hasKey(key)
	if p := r.Target.Parts[respond.PartPrincipalID]; has && strings.HasPrefix(p, "AIDA") && p != u.ID {
		d.Guard("same user", respond.Warn, fmt.Sprintf("%s has the key of the finding and the id %s, and the finding says %s", u.Name, u.ID, p), "look whether the user was deleted and made again")
	}
	switch {
	case key == "" || has:
	case strings.HasPrefix(key, "ASIA"):
		d.Guard("key of the finding", respond.Pass, key+" belongs to a session; the policy that denies everything stops it", "")
	default:
		d.Guard("key of the finding", respond.Warn, key+" is not among the keys of "+u.Name+" any more", "look in CloudTrail who deleted it")
	}
}

func (d draft) userWords(u userWorld, r respond.Request) {
	d.AlsoHits = append(d.AlsoHits, "everything that signs in as "+u.Name+", and every session that was made with its keys")
	for _, k := range u.Keys {
		if k.Status == "Active" && !k.Used.IsZero() {
			d.AlsoHits = append(d.AlsoHits, fmt.Sprintf("access key %s, last used by %s in %s at %s", k.ID, k.Service, k.Region, k.Used.UTC().Format("2006-01-02 15:04 UTC")))
		}
	}
	if u.Console == "password" {
		d.AlsoHits = append(d.AlsoHits, "its sign-in to the console: it works, and nothing in it does")
	}
	d.WillNot = append(d.WillNot,
		"no key, password, MFA device or policy is deleted",
		"what was made with these credentials before stays: users, keys, roles, instances, trust",
		"sessions of roles that "+u.Name+" assumed go on until they end; plan each as iam-role")
	for _, g := range u.Gaps {
		d.WillNot = append(d.WillNot, "not written down: "+g)
	}
	d.Manual = append(d.Manual,
		"Look in CloudTrail, in every region, what "+u.Name+" did since "+since(r)+": new users, keys, roles, trust policies, instances.",
		"Give whoever needs it a new key, and delete the old one when the evidence is complete.")
	d.Undo = "takes the policy off where it still equals ours, and makes active again only the keys that this run made inactive, those that were made after this plan too: the undo plan names each; a key that is known to others should stay inactive"
}

func since(r respond.Request) string {
	if t := r.Incident.FirstSeen; !t.IsZero() {
		return t.UTC().Format("2006-01-02 15:04 UTC")
	}
	return "the finding"
}
