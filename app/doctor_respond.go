package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// mostAccounts is in how many accounts doctor tries the roles of responses.
const mostAccounts = 50

// checkResponses checks what a response would need: the switch, the roles, the
// evidence bucket and the workstation's image. It changes nothing.
func (a *App) checkResponses(ctx context.Context) []api.Check {
	checks := []api.Check{a.checkSwitch(ctx)}
	c := a.cfg.Respond
	switch {
	case c.Simulate != "":
		return append(checks, api.Check{Area: "respond", What: "simulate", OK: true, Warning: true, Message: "responses are carried out in the simulated AWS of " + c.Simulate + " and nowhere else",
			Hint: "take respond.simulate out, and set respond.act_role, to respond in your accounts"})
	case c.ActRole == "":
		return append(checks, api.Check{Area: "respond", What: "roles", OK: true, Message: "no respond.act_role: plans act with guardroom's own credentials, in its own account"})
	}
	checks = append(checks, a.checkRoles(ctx)...)
	return append(checks, a.checkEvidence(ctx), a.checkImage(ctx))
}

func (a *App) checkSwitch(ctx context.Context) api.Check {
	sw, err := a.db.Switch(ctx)
	switch {
	case err != nil:
		return failed("respond", "switch", err, "")
	case sw.Off:
		return api.Check{Area: "respond", What: "switch", OK: true, Warning: true, Message: fmt.Sprintf("responses are switched off by %s since %s: %s", sw.Who, sw.At.UTC().Format("2006-01-02 15:04 UTC"), sw.Why),
			Hint: "guardroom respond on --reason …"}
	}
	return api.Check{Area: "respond", What: "switch", OK: true, Message: "responses are on"}
}

// checkRoles assumes the act role in every configured account, and the forensics
// role where evidence is examined.
func (a *App) checkRoles(ctx context.Context) []api.Check {
	var places []awscalls.Place
	add := func(account string, role awscalls.Role) {
		places = append(places, awscalls.Place{Account: account, Region: a.someRegion(), Role: role, Incident: "INC-0"})
	}
	for _, x := range a.cfg.Accounts[:min(len(a.cfg.Accounts), mostAccounts)] {
		add(x.ID, awscalls.Act)
	}
	if home := a.evidenceAccount(); home != "" {
		add(home, awscalls.Forensics)
	}
	if len(places) == 0 {
		return []api.Check{{Area: "respond", What: "roles", OK: true, Warning: true, Message: "no account is configured, so no role could be tried; it is when a plan is made", Hint: "name your accounts under accounts:"}}
	}
	out := make([]api.Check, len(places))
	var all sync.WaitGroup
	for i, p := range places {
		all.Go(func() { out[i] = a.checkRole(ctx, p) })
	}
	all.Wait()
	if n := len(a.cfg.Accounts); n > mostAccounts {
		out = append(out, api.Check{Area: "respond", What: "roles", OK: true, Warning: true, Message: fmt.Sprintf("only %d of %d accounts were tried", mostAccounts, n), Hint: "a role that is missing shows when a plan is made"})
	}
	return out
}

func (a *App) checkRole(ctx context.Context, p awscalls.Place) api.Check {
	c := api.Check{Area: "respond", What: string(p.Role) + " role in " + p.Account}
	who, err := kit.Identity(ctx, a.desk.aws, p)
	if err != nil {
		c.Message, c.Hint = fault.Of(respond.Explain(err, "assume the role", "")).Error(), "make it with the policy that guardroom iam policy --role "+string(p.Role)+" prints, and let guardroom assume it"
		return c
	}
	if account := kit.AccountOf(who); account != p.Account {
		c.Message, c.Hint = "calls end in account "+account, "respond.act_role and respond.forensics_role are names of roles in the account of the finding"
		return c
	}
	c.OK, c.Message = true, "assumed as "+who
	return c
}

// evidenceAccount is where evidence is examined; empty: it is not known, for that
// is the account of each finding.
func (a *App) evidenceAccount() string {
	if id := a.desk.policy.Forensics.Account; id != "" || len(a.cfg.Accounts) == 0 {
		return id
	}
	return a.cfg.Accounts[0].ID
}

func (a *App) someRegion() string {
	return cmp.Or(a.desk.policy.Evidence.Region, a.cfg.AWS.Region, "us-east-1")
}

// checkEvidence looks at the evidence bucket. What may not be asked is a warning:
// the roles may write there all the same.
func (a *App) checkEvidence(ctx context.Context) api.Check {
	e := a.desk.policy.Evidence
	c := api.Check{Area: "respond", What: "evidence bucket", OK: true, Warning: true, Hint: "set respond.evidence.url to a bucket of its own, with versioning and Object Lock"}
	if e.Bucket == "" {
		c.Message = "none is configured: what is read stays in the store, and objects are not kept"
		return c
	}
	c.What += " " + e.Bucket
	account := a.evidenceAccount()
	if account == "" {
		c.Message, c.Hint = "it was not looked at: in which account it is is not known", "set respond.forensics.account, or name your accounts under accounts:"
		return c
	}
	v := kit.LookAtVault(ctx, a.desk.aws, a.desk.policy, kit.HomeOf(a.desk.policy, awscalls.Place{Account: account, Region: a.someRegion(), Incident: "INC-0"}))
	g := v.Guard()
	c.Message, c.Hint = strings.TrimPrefix(g.Why, "s3://"+e.Bucket+": "), g.Hint
	c.Warning = g.Answer != respond.Pass
	if slices.ContainsFunc(v.Troubles, func(t kit.Trouble) bool { return t.Bad }) {
		c.OK, c.Warning = false, false
	}
	return c
}

// checkImage looks for the parameter that names the workstation's image.
func (a *App) checkImage(ctx context.Context) api.Check {
	name, isParameter := strings.CutPrefix(a.desk.policy.Forensics.Image, "ssm:")
	c := api.Check{Area: "respond", What: "workstation image", OK: true, Message: a.desk.policy.Forensics.Image}
	account := a.evidenceAccount()
	if !isParameter || account == "" {
		return c
	}
	value, err := kit.Parameter(ctx, a.desk.aws, awscalls.Place{Account: account, Region: a.someRegion(), Role: awscalls.Forensics, Incident: "INC-0"}, name)
	if err != nil {
		c.OK, c.Message, c.Hint = false, fault.Of(respond.Explain(err, "read parameter "+name, "")).Error(), "set respond.forensics.image to an AMI or a parameter that the forensics role may read"
		return c
	}
	c.Message = name + " names " + value
	return c
}
