package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// roleLimit is how many characters the inline policies of a role may have.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const roleLimit = 10240

type roleParams struct {
	Role   string `json:"role"`
	ARN    string `json:"arn"`
	Policy string `json:"policy"`
	// UserID is ROLEID:session; empty for the whole role.
	UserID string `json:"user_id,omitempty"`
	// Chosen says that the caller chose the session's name: it is not that of an
	// instance, and the role trusts others than services.
	Chosen bool `json:"chosen_name,omitempty"`
	// Steps are those whose documents a verifying step accepts.
	Steps []string `json:"steps,omitempty"`
}

func (role) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	s, ok := w.Value.(roleWorld)
	if !ok {
		return respond.Draft{}, fault.New(fault.Internal, "the description is not one of a role", "")
	}
	t := r.Target
	t.ARN, t.Name = s.ARN, s.Name
	d := draft{kit.NewDraft(t, Actions())}
	d.Guarded(kit.NeverTouch(s.Tags), kit.IsOurs(s.callers, s.ARN), kit.IsBreakGlass(r.Policy, s.ARN))
	if why, manual := s.managed(); why != "" {
		d.Guard("managed role", respond.Refuse, why, "see the manual steps")
		d.Manual = manual
		d.Undo = "nothing is changed"
		return d.Draft.Draft, nil
	}
	if id, _, _ := strings.Cut(r.Target.Parts[respond.PartPrincipalID], ":"); strings.HasPrefix(id, "AROA") && id != s.ID {
		d.Guard("same role", respond.Warn, fmt.Sprintf("role %s has the id %s now, and the finding is about %s: it was deleted and made again, which ended every session of the one before", s.Name, s.ID, id), "look at the one that there is now")
	}
	p := roleParams{Role: s.Name, ARN: s.ARN, Policy: policyName("revoke", r)}
	doc := denyBefore(r.Now)
	if s.session != "" {
		p.UserID, p.Chosen = s.ID+":"+s.session, s.chosen(s.session)
		p.Policy += "-" + short(p.UserID)
		doc = denySessionDocument(p.UserID)
	}
	g := sizeGuard(s.Inline, p.Policy, doc, roleLimit)
	if g.Answer != respond.Pass {
		g.Answer, g.Hint = respond.Refuse, "take an inline policy away, or attach a managed policy that denies this session"
		d.Manual = append(d.Manual, "Create a managed policy with this document and attach it to role "+s.Name+": "+doc)
	}
	d.Guarded(g)
	d.sharedGuard(s)
	rec := d.Add(respond.Step{ID: "record/role", Action: "iam.record-role", Stage: "record", Title: "write down role " + s.Name + ": trust, policies, instance profiles", Effect: respond.NoChange}, p)
	if p.UserID != "" {
		d.oneSession(s, p, rec)
	} else {
		d.wholeRole(s, p, rec, r)
	}
	if s.session != "" {
		d.trail(kit.TrailParamsOf(r, "session "+s.session+" of role "+s.Name, s.ARN, s.session))
	}
	d.roleWords(s, r)
	return d.Draft.Draft, nil
}

func (d draft) oneSession(s roleWorld, p roleParams, rec string) {
	deny := d.Add(respond.Step{ID: "contain/session", Action: "iam.deny-session", Stage: "contain",
		Title: "role " + s.Name + ": session " + s.session + " is denied everything", Effect: respond.Reversible, Contains: true, After: []string{rec}}, p)
	p.Steps = []string{deny}
	verify := d.Add(respond.Step{ID: "verify/role", Action: "iam.verify-role", Stage: "verify", Title: "read the policy of role " + s.Name + " back", Effect: respond.NoChange, Contains: true, After: []string{deny}}, p)
	d.Add(respond.Step{ID: "watch/role", Action: "iam.watch-role", Stage: "verify", Title: "look again after 30 s, 2 and 5 minutes", Effect: respond.NoChange, Needs: []string{verify}}, p)
	d.WillNot = append(d.WillNot, "other sessions of "+s.Name+" go on: the deny names this one by its id")
	if p.Chosen {
		d.WillNot = append(d.WillNot, p.anew())
		d.AlsoHits = append(d.AlsoHits, "whoever else uses the session name "+s.session+" of role "+s.Name+", now or later: callers choose the name themselves")
	}
	d.ShortestSeconds, d.LongestSeconds = 305, 600
}

// anew says what a deny of one session does not hold up.
func (p roleParams) anew() string {
	return "whoever can assume role " + p.Role + " gets a new session under another name, which is not denied: callers choose the name; deny the whole role, or take away what lets them assume it"
}

func (d draft) wholeRole(s roleWorld, p roleParams, rec string, r respond.Request) {
	approval := "the session is not known: this ends all sessions of role " + s.Name + " that were issued before now"
	if r.Policy.WholeRole {
		approval = ""
	}
	deny := d.Add(respond.Step{ID: "contain/role", Action: "iam.deny-role", Stage: "contain", Approval: approval,
		Title: "role " + s.Name + ": every session issued before the call is denied everything", Effect: respond.Reversible, Contains: true, After: []string{rec}}, p)
	again := d.Add(respond.Step{ID: "contain/role-again", Action: "iam.deny-role-again", Stage: "contain",
		Title: "role " + s.Name + ": the same 2 minutes later, for sessions issued meanwhile", Effect: respond.Reversible, Needs: []string{deny}}, p)
	p.Steps = []string{deny, again}
	verify := d.Add(respond.Step{ID: "verify/role", Action: "iam.verify-role", Stage: "verify", Title: "read the policy of role " + s.Name + " back", Effect: respond.NoChange, Contains: true, After: []string{deny}}, p)
	d.Add(respond.Step{ID: "watch/role", Action: "iam.watch-role", Stage: "verify", Title: "look again after 30 s, 2 and 5 minutes", Effect: respond.NoChange, Needs: []string{verify}, After: []string{again}}, p)
	hits := "all sessions of role " + s.Name
	if n := len(s.Instances); n > 0 {
		hits += fmt.Sprintf(", among them those of %d instances in %s (%s), which fail until they fetch new credentials", n, d.Target.Region, strings.Join(s.Instances[:min(n, 10)], ", "))
	}
	d.AlsoHits = append(d.AlsoHits, hits)
	d.WillNot = append(d.WillNot, "sessions issued after the call go on: whoever can still assume the role gets new ones")
	d.ShortestSeconds, d.LongestSeconds = 425, 720
}

func (d draft) sharedGuard(s roleWorld) {
	others := slices.DeleteFunc(slices.Clone(s.Instances), func(i string) bool { return i == s.session })
	switch {
	case len(others) == 0:
		d.Guard("shared role", respond.Pass, "", "")
	case s.session != "":
		d.Guard("shared role", respond.Pass, respond.Count(len(others), "other instance runs with it and is", "other instances run with it and are")+" not touched", "")
	default:
		d.Guard("shared role", respond.Warn, respond.Count(len(others), "instance runs", "instances run")+" with it", "name the session in a plan of its own, if CloudTrail shows it")
	}
}

func (d draft) roleWords(s roleWorld, r respond.Request) {
	d.WillNot = append(d.WillNot,
		"the trust policy and the other policies of "+s.Name+" stay as they are",
		"sessions of other roles that this one assumed go on, for at most an hour each")
	for _, g := range s.Gaps {
		d.WillNot = append(d.WillNot, "not written down: "+g)
	}
	d.Manual = append(d.Manual, "Follow the chain in CloudTrail since "+since(r)+": AssumeRole by sessions of "+s.ARN+", and what they made.")
	if strings.HasPrefix(s.session, "i-") {
		d.AlsoHits = append(d.AlsoHits, "whatever runs on instance "+s.session+" and signs with its role; new credentials from the metadata service are denied too")
	}
	d.Undo = "takes the policy off where it still equals what guardroom wrote last"
}
