package app

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
)

const minerID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// forgedLead is a finding that joins the incident of minerFinding and leads it.
func forgedLead(id string, archived bool) []byte {
	body := bytes.ReplaceAll(minerFinding(), []byte(minerID), []byte(id))
	body = bytes.Replace(body, []byte(`"severity":8`), []byte(`"severity":8.9`), 1)
	if archived {
		later := time.Now().UTC().Add(time.Minute).Format("2006-01-02T15:04:05.000Z")
		at := bytes.Index(body, []byte(`"updatedAt":"`)) + len(`"updatedAt":"`)
		copy(body[at:], later)
		body = bytes.Replace(body, []byte(`"archived":false`), []byte(`"archived":true`), 1)
	}
	return body
}

// Who may write to the queue sends a more severe finding of the same instance, and
// marks it as archived: neither the plan nor the run for the confirmed one is
// stopped by that.
func TestAForgedFindingLeadsNoResponse(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	const forged = "ffffffffffffffffffffffffffffffff"
	r.takeBody(t, forgedLead(forged, false), false)
	i, err := r.db.GetIncident(t.Context(), 1)
	if err != nil || i.Lead.FindingID != forged {
		t.Fatalf("the test wants the forged finding to lead: %+v %v", i.Lead, err)
	}
	p := r.planOf(t, api.PlanRequest{Incident: 1})
	if p.Row.State != respond.PlanWaiting || p.Plan.Finding != minerID {
		t.Fatalf("%s %s, for finding %s", p.Row.State, p.Row.Why, p.Plan.Finding)
	}
	for _, g := range p.Plan.Guards {
		if g.Name == "confirmation" && g.Answer != respond.Pass {
			t.Errorf("%+v", g)
		}
	}
	r.takeBody(t, forgedLead(forged, true), false)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	if run := r.ended(t, got.Row.Run); !run.Contained {
		t.Errorf("%s: %s", run.State, run.Summary)
	}
}

// A route's plan is made for the finding that GuardDuty confirmed, also where
// another one leads the incident by then.
func TestAForgedFindingTakesNoPlanAway(t *testing.T) {
	t.Parallel()
	const forged = "ffffffffffffffffffffffffffffffff"
	r := respondingApp(t, "", func(c *config.Config) {
		c.Destinations = []config.Destination{}
		c.Routes = []config.Route{{Name: "hosts", Stop: true, Playbook: "ec2-contain"}}
	}, func(context.Context, finding.ID) (bool, error) { return false, nil })
	r.takeBody(t, forgedLead(forged, true), false)
	r.take(t, true)
	if p := r.waitPlan(t); p.State != respond.PlanWaiting {
		t.Errorf("%s: %s", p.State, p.Why)
	}
}

// Where nothing was confirmed a person judges what anybody sent; and what came
// after the approval, from whoever it was, stops nothing.
func TestAnUnconfirmedArchivingStopsNoApprovedPlan(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, false)
	p := r.plan(t)
	r.takeBody(t, forgedLead(minerID, true), false)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	if run := r.ended(t, got.Row.Run); !run.Contained {
		t.Errorf("%s: %s", run.State, run.Summary)
	}
}

func TestTheConfirmedFindingThatCountsMostLeads(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	for n, severity := range []string{"5", "8.2", "7"} {
		body := bytes.ReplaceAll(minerFinding(), []byte(minerID), fmt.Appendf(nil, "%032x", 0xa0+n))
		r.takeBody(t, bytes.Replace(body, []byte(`"severity":8`), []byte(`"severity":`+severity), 1), true)
	}
	i, err := r.db.GetIncident(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	f, confirmed, err := r.desk.leading(t.Context(), i)
	if err != nil || !confirmed || f.ID != finding.ID(fmt.Sprintf("%032x", 0xa1)) {
		t.Errorf("%+v %v %v", f, confirmed, err)
	}
}
