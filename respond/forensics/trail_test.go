package forensics_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit"
)

// did adds events that the session of the instance made.
func did(region string, events ...sim.TrailEvent) setting {
	return also(func(e *sim.Editor, _ []string) { e.AddTrailEvents(victim, region, events...) })
}

// kept are the lines of the events that the run kept.
func (b *bench) kept(t *testing.T) []string {
	t.Helper()
	var body []byte
	if err := b.world.Edit(func(e *sim.Editor) {
		if o := e.Object("evidence", "INC-42/run_1/cloudtrail.ndjson"); o != nil {
			body = bytes.Clone(o.Body)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(body) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
}

func TestEventsOfTheInstancesSessionAreKeptALineEachAndPaced(t *testing.T) {
	t.Parallel()
	const key = "ASIAEXAMPLEKEY000001"
	var many []sim.TrailEvent
	for n := range 120 {
		many = append(many, sim.TrailEvent{ID: fmt.Sprintf("e%03d", n), At: noon.Add(-time.Duration(n) * time.Minute), Name: "ListBuckets", Source: "s3.amazonaws.com", User: instance, AccessKey: key})
	}
	b := newBench(t, quick, did(region, many...), did(region,
		sim.TrailEvent{ID: "old", At: noon.Add(-100 * time.Hour), Name: "ListBuckets", User: instance},
		sim.TrailEvent{ID: "other", At: noon.Add(-time.Hour), Name: "ListBuckets", User: "ada"},
		sim.TrailEvent{ID: "odd", At: noon.Add(-time.Hour), Name: "GetObject", User: instance, Record: "no\nJSON"}), did("us-east-1",
		sim.TrailEvent{ID: "global", At: noon.Add(-30 * time.Minute), Name: "CreateUser", Source: "iam.amazonaws.com", User: instance}))
	r := b.request()
	r.Now, r.Incident = noon, &incident.Incident{Number: 42, FirstSeen: noon.Add(-time.Hour)}
	r.Target.Parts = map[string]string{respond.PartAccessKeyID: key}
	w, err := forensics.Playbook().Describe(t.Context(), b.world.AWS(), r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := forensics.Playbook().Draft(w, r)
	if err != nil {
		t.Fatal(err)
	}
	b.plan = &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 42, Playbook: forensics.Name, Target: d.Target, Steps: d.Steps}
	records := b.run()
	b.completed(records)
	lines := b.kept(t)
	if len(lines) != 122 {
		t.Fatalf("%d lines are kept, want 120 and those with a record of its own and of IAM", len(lines))
	}
	last := ""
	for _, l := range lines {
		var e struct {
			EventID   string `json:"eventID"`
			EventTime string `json:"eventTime"`
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.EventTime < last || e.EventID == "old" || e.EventID == "other" {
			t.Errorf("a line is %s: %v", l, err)
		}
		last = e.EventTime
	}
	items, _, custody := b.evidence(records)
	i := slices.IndexFunc(items, func(i evidence.Item) bool { return i.Kind == evidence.Trail })
	if i < 0 || items[i].SHA256 != evidence.Digest([]byte(strings.Join(lines, "\n")+"\n")) || items[i].LockMode == "" || !slices.ContainsFunc(custody, func(c evidence.Custody) bool { return c.Item == items[i].ID }) {
		t.Errorf("the items are %+v", items)
	}
	calls := b.calls("CloudTrail.LookupEvents")
	if len(calls) != 8 { // three pages by session, three by key, one each in the other region
		t.Errorf("%d calls", len(calls))
	}
	for n := 1; n < len(calls); n++ {
		if gap := calls[n].At.Sub(calls[n-1].At); gap < 500*time.Millisecond {
			t.Errorf("call %d comes %s after the one before", n, gap)
		}
	}
}

func TestEventsThatMayNotBeLookedUpAreAGapAndHoldUpNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if c.String() == "CloudTrail.LookupEvents" && phase == sim.Before {
			return refusal("AccessDeniedException")
		}
		return nil
	}
	records := b.run()
	b.completed(records, forensics.StepTrail)
	if s := records[forensics.StepTrail]; s.State != playbook.Skipped {
		t.Errorf("the step is %s: %s", s.State, s.Message)
	}
	if why := b.gap(records, "events of CloudTrail"); !strings.Contains(why, "AccessDeniedException") {
		t.Errorf("the gap says %q", why)
	}
	if slices.Contains(forensics.VolatileSteps(b.plan.Steps), forensics.StepTrail) {
		t.Error("isolation would wait for CloudTrail")
	}
}

func TestMoreEventsThanAreReadAreSaid(t *testing.T) {
	t.Parallel()
	var many []sim.TrailEvent
	for n := range 2100 {
		many = append(many, sim.TrailEvent{ID: fmt.Sprintf("e%04d", n), At: noon.Add(-time.Duration(n) * time.Second), Name: "X", User: instance})
	}
	b := newBench(t, quick, did(region, many...))
	r := b.request()
	if since := kit.TrailSince(respond.Request{Now: noon}); !since.Equal(noon.Add(-24 * time.Hour)) {
		t.Errorf("without a finding events are read since %s", since)
	}
	r.Now = noon
	if since := kit.TrailSince(respond.Request{Now: noon, Incident: &incident.Incident{FirstSeen: noon.AddDate(-1, 0, 0)}}); !since.Equal(noon.AddDate(0, 0, -90)) {
		t.Errorf("of an old finding events are read since %s", since)
	}
	d, err := forensics.Playbook().Draft(b.world0(t, r), r)
	if err != nil {
		t.Fatal(err)
	}
	b.plan = &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 42, Playbook: forensics.Name, Target: d.Target, Steps: d.Steps}
	records := b.run()
	b.completed(records)
	if n := len(b.kept(t)); n != 2000 {
		t.Errorf("%d are kept", n)
	}
	if why := b.gap(records, "older events of CloudTrail"); !strings.Contains(why, instance+" in "+region) {
		t.Errorf("the gap says %q", why)
	}
}

func (b *bench) world0(t *testing.T, r respond.Request) respond.World {
	t.Helper()
	w, err := forensics.Playbook().Describe(t.Context(), b.world.AWS(), r)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
