package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
)

// Who holds a stolen key can change nearly everything about its user, each second:
// between the plan and the run that must neither keep the run from starting nor
// be passed over in silence.
func TestHostileFlipsBetweenPlanAndRunHoldNoContainmentUp(t *testing.T) {
	t.Parallel()
	const stolen, fresh = "AKIACI00000000000001", "AKIACI00000000000002"
	w := simWorld(t, sim.Options{}, func(e *sim.Editor) {
		attackWorld(e)
		e.AddUser(victimAccount, sim.User{Name: "ci", Password: true})
		e.AddAccessKey(victimAccount, "ci", sim.AccessKey{ID: stolen, Active: true})
	})
	r := startResponding(t, start{world: w})
	if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: userFinding(1, "ci", victimRegion), Confirmed: true}); err != nil {
		t.Fatal(err)
	}
	p := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: "iam-user"})
	if err := w.Edit(func(e *sim.Editor) {
		u := e.User(victimAccount, "ci")
		u.Password, u.MFA, u.Groups, u.Attached = false, []string{"arn:aws:iam::" + victimAccount + ":mfa/ci"}, []string{"admins"}, []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
		e.PutUserPolicy(victimAccount, "ci", "more", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
		e.AddAccessKey(victimAccount, "ci", sim.AccessKey{ID: fresh, Active: true})
	}); err != nil {
		t.Fatal(err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "it is stolen", raj)
	if err != nil {
		t.Fatal(err)
	}
	run := r.ended(t, got.Row.Run)
	if run.State != respond.RunCompleted || !run.Contained {
		t.Fatalf("%s: %s", run.State, run.Summary)
	}
	for _, key := range []string{stolen, fresh} {
		if w.Allowed(w.UserKey(victimAccount, key), "s3:GetObject") {
			t.Errorf("%s still gets in", key)
		}
	}
	if err := w.Edit(func(e *sim.Editor) {
		for _, k := range e.User(victimAccount, "ci").Keys {
			if k.Active {
				t.Errorf("%s is active", k.ID)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	timeline, err := r.db.Timeline(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	told := slices.ContainsFunc(timeline, func(e incident.Entry) bool {
		return strings.Contains(e.Text, "since the plan was made: access key "+fresh+" is new: Active") && strings.Contains(e.Text, "console was password and is none")
	})
	if !told {
		t.Errorf("the incident does not tell of the new key: %+v", timeline)
	}
	records, err := r.db.Steps(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]string{stepWorld: "access key " + fresh + " is new: Active", "contain/rest": fresh + " was made, or made active, after the plan"} {
		if !slices.ContainsFunc(records, func(rec playbook.Record) bool { return rec.Name == name && strings.Contains(rec.Message, words) }) {
			t.Errorf("step %s does not say %q", name, words)
		}
	}
}
