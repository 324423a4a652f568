package safety_test

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/rule"
)

func question(t *testing.T, typ string, change func(q *safety.Question)) safety.Question {
	t.Helper()
	f := &finding.Finding{ID: "f1", Type: finding.ParseType(typ), AccountID: "111122223333", Region: "eu-central-1", Severity: 8, Role: finding.RoleActor}
	q := safety.Question{Incident: &incident.Incident{Number: 42, State: incident.Open}, Finding: f, Confirmed: true,
		Target: respond.Target{Kind: finding.KindInstance, ID: "i-0123456789abcdef0", Account: f.AccountID, Region: f.Region}, Class: respond.Isolation,
		Policy: respond.DefaultPolicy(), Now: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)}
	if change != nil {
		change(&q)
	}
	q.Env = rule.NewEnv(f, incident.Account{}, nil, nil, q.Now)
	return q
}

const mining = "CryptoCurrency:EC2/BitcoinTool.B!DNS"

func TestGuards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, typ string
		change    func(q *safety.Question)
		guard     string
		answer    respond.Answer
	}{
		{"a real finding of an acting host passes", mining, nil, "", respond.Pass},
		{"Defect07 a sample finding starts nothing", mining, func(q *safety.Question) { q.Finding.Sample = true }, "sample or archived", respond.Refuse},
		{"Defect34 an archived finding starts nothing", mining, func(q *safety.Question) { q.Finding.Archived = true }, "sample or archived", respond.Refuse},
		{"what GuardDuty has not confirmed is said to a person", mining, func(q *safety.Question) { q.Confirmed = false }, "confirmation", respond.Warn},
		{"what GuardDuty has not confirmed does nothing by itself", mining, func(q *safety.Question) { q.Confirmed, q.ByItself = false, true }, "confirmation", respond.Refuse},
		{"a finding that names another account is refused", mining, func(q *safety.Question) { q.Target.Account = "999999999999" }, "account", respond.Refuse},
		{"a closed incident is left alone", mining, func(q *safety.Question) { q.Incident.State = incident.Closed }, "state of the incident", respond.Refuse},
		{"a host that was only attacked is not isolated", "UnauthorizedAccess:EC2/SSHBruteForce", func(q *safety.Question) { q.Finding.Role = finding.RoleTarget }, "direction", respond.Refuse},
		{"a host that was only probed is not isolated", "Recon:EC2/PortProbeUnprotectedPort", func(q *safety.Question) { q.Finding.Role = finding.RoleTarget }, "direction", respond.Refuse},
		{"a host that guesses passwords is isolated", "UnauthorizedAccess:EC2/SSHBruteForce", nil, "", respond.Pass},
		{"the actor of a brute force can be blocked", "UnauthorizedAccess:EC2/SSHBruteForce", func(q *safety.Question) { q.Finding.Role, q.Class = finding.RoleTarget, respond.Block }, "", respond.Pass},
		{"one run at a time", mining, func(q *safety.Question) { q.Active = "run_1" }, "one run at a time", respond.Refuse},
		{"what is contained is not contained again", mining, func(q *safety.Question) { q.Contained = "run_1" }, "already contained", respond.Refuse},
		{"evidence of what is contained can be preserved", mining, func(q *safety.Question) { q.Contained, q.Class = "run_1", respond.Other }, "", respond.Pass},
		{"the cap of an account", mining, func(q *safety.Question) { q.Recent = map[respond.Class]int{respond.Isolation: 3} }, "hourly cap", respond.Refuse},
		{"the cap of all", mining, func(q *safety.Question) { q.RecentAll = 10 }, "hourly cap", respond.Refuse},
		{"the cap of a class is not that of another", mining, func(q *safety.Question) { q.Recent = map[respond.Class]int{respond.Revocation: 3} }, "", respond.Pass},
		{"each resource of a plan counts", mining, func(q *safety.Question) {
			q.Recent, q.Counts = map[respond.Class]int{respond.Isolation: 1}, map[respond.Class]int{respond.Isolation: 3, respond.Revocation: 1}
		}, "hourly cap", respond.Refuse},
		{"a plan of several up to the cap", mining, func(q *safety.Question) {
			q.Counts = map[respond.Class]int{respond.Isolation: 3, respond.Revocation: 3}
		}, "", respond.Pass},
		{"each resource of a plan counts for the cap of all", mining, func(q *safety.Question) {
			q.RecentAll, q.Counts = 8, map[respond.Class]int{respond.Isolation: 2, respond.Other: 1}
		}, "hourly cap", respond.Refuse},
		{"what guardroom lives on", mining, func(q *safety.Question) {
			q.Own.Resources = []safety.Named{{Name: "i-0123456789abcdef0", What: "the machine that guardroom runs on"}}
		}, "guardroom's own", respond.Refuse},
		{"one of several is what guardroom lives on", mining, func(q *safety.Question) {
			q.Parts = []respond.Target{q.Target, {Kind: finding.KindAccessKey, ID: "x", ARN: "arn:aws:iam::111122223333:role/ops/guardroom-act", Account: q.Target.Account}}
			q.Own.Resources = []safety.Named{{Name: "arn:*:iam::*:role/*/guardroom-act", What: "a role of guardroom"}}
		}, "guardroom's own", respond.Refuse},
		{"the management account", mining, func(q *safety.Question) {
			q.Own.Accounts = []safety.Named{{Name: "111122223333", What: "the management account"}}
		}, "guardroom's own", respond.Refuse},
		{"an account that is not the management account", mining, func(q *safety.Question) {
			q.Own.Accounts = []safety.Named{{Name: "999999999999", What: "the management account"}}
		}, "", respond.Pass},
		{"what could not be found out is said", mining, func(q *safety.Question) { q.Own.Unknown = []string{"which account manages the organization"} }, "guardroom's own", respond.Warn},
		{"protected hours are said", mining, func(q *safety.Question) { q.Protected = "trading" }, "protected hours", respond.Warn},
		{"a release is not held up by protected hours", mining, func(q *safety.Question) { q.Protected, q.Class = "trading", respond.Release }, "", respond.Pass},
		{"a release has no cap", mining, func(q *safety.Question) {
			q.Recent, q.RecentAll, q.Class = map[respond.Class]int{respond.Release: 99, respond.Isolation: 99}, 99, respond.Release
		}, "", respond.Pass},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, g := range safety.Guards(question(t, c.typ, c.change)) {
				want := respond.Pass
				if g.Name == c.guard {
					want = c.answer
				}
				if g.Answer != want {
					t.Errorf("%s: %+v", g.Name, g)
				}
				if g.Answer != respond.Pass && (g.Why == "" || g.Hint == "") {
					t.Errorf("%+v says not why, or not what to do", g)
				}
			}
		})
	}
}
