package app

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/store"
)

// TestWhatAnUndoLetOutInPartIsNotContained undoes a containment of which a colleague
// changed one interface: the other is open then, so nothing says contained any more.
// Once the colleague's change is gone the undo is made again, and releases.
func TestWhatAnUndoLetOutInPartIsNotContained(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	approve := func(p api.PlanDetail) respond.RunRow {
		t.Helper()
		got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
		if err != nil {
			t.Fatal(err)
		}
		return r.ended(t, got.Row.Run)
	}
	undo := func(id respond.RunID) respond.RunRow {
		t.Helper()
		p, err := r.desk.UndoRun(t.Context(), id, "kim")
		if err != nil {
			t.Fatal(err)
		}
		return approve(p)
	}
	is := func(state incident.State, kind incident.Kind, says ...string) {
		t.Helper()
		i, err := r.db.GetIncident(t.Context(), 1)
		if err != nil || i.State != state {
			t.Errorf("the incident is %s, want %s (%v)", i.State, state, err)
		}
		list, err := r.db.Timeline(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var last incident.Entry
		for _, e := range list {
			if e.Kind == kind {
				last = e
			}
		}
		for _, s := range says {
			if !strings.Contains(last.Text, s) {
				t.Errorf("%s says %q, and not %q", kind, last.Text, s)
			}
		}
	}
	run := approve(r.planOf(t, api.PlanRequest{Incident: 1, Playbook: ec2.Name}))
	is(incident.Contained, incident.KindContained, "is contained")

	list, err := r.db.Steps(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	contain := "" // the group that both interfaces are in
	for _, rec := range list {
		if strings.HasPrefix(rec.Name, "groups/") {
			rec.Load("group", &contain)
		}
	}
	var ids [2]string
	edit := func(f func(e *sim.Editor)) {
		t.Helper()
		if err := r.world.Edit(f); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(e *sim.Editor) {
		for n := range ids {
			ids[n] = e.InterfaceOf(victimAccount, victimRegion, victimID, int32(n))
		}
		e.AddSecurityGroup(victimAccount, victimRegion, sim.SecurityGroupSpec{ID: "sg-0c011ea90e", VPC: "vpc-0app", Name: "colleague"})
		e.SetGroups(victimAccount, victimRegion, ids[1], "sg-0c011ea90e")
	})
	in := undo(run.ID)
	if in.State != respond.RunPartFailed {
		t.Fatal(in.State, in.Summary)
	}
	is(incident.Open, incident.KindDrift, "no longer holds", string(in.ID)+" took back ", ids[0]+": guardroom-contain -> ", "not taken back: "+ids[1])
	old := r.run(t, run.ID)
	if old.Contained || old.LoosenedBy != in.ID || !old.NextCheck.IsZero() || old.UndoneBy != "" {
		t.Errorf("%+v", old)
	}
	if list, err := r.db.Runs(t.Context(), store.RunFilter{Incident: 1}); err != nil || len(list) != 2 {
		t.Fatal(len(list), err)
	}

	edit(func(e *sim.Editor) { e.SetGroups(victimAccount, victimRegion, ids[1], contain) })
	if again := undo(run.ID); again.State != respond.RunCompleted {
		t.Fatal(again.State, again.Summary)
	}
	is(incident.Open, incident.KindReleased, "is not contained any more")
	if old = r.run(t, run.ID); old.State != respond.RunUndone {
		t.Error(old.State)
	}
}
