package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/store"
)

// Who can cause what: findings are written by strangers, tokens are lent, and
// people are tired.

// everyFinding is a configuration whose routes make a plan of everything, and
// whose rule approves everything beforehand.
func everyFinding(playbook string, plans int) func(c *config.Config) {
	return func(c *config.Config) {
		c.Destinations = []config.Destination{}
		c.Routes = []config.Route{{Name: "all", Stop: true, Playbook: playbook}}
		c.Respond.PreAuthorize = []config.PreAuthorization{{Name: "all", When: `severity >= 1`, Playbooks: []string{playbook}, Owner: "soc", Reason: "test"}}
		c.Respond.Caps.Plans = plans
	}
}

func TestAFloodOfForgedFindingsAsksAWSForNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[finding.ID]bool{}
	r := respondingApp(t, "", everyFinding(forensics.Name, 5), func(_ context.Context, id finding.ID) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[id] = true
		return false, nil
	})
	const many = 200
	for n := range many {
		r.takeBody(t, minerOn(0xe000+n, fmt.Sprintf("i-0%016x", 0xe000+n)), false)
	}
	until(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) == many
	}, "each was looked at")
	if calls := r.world.Calls(); len(calls) != 0 {
		t.Errorf("%d calls of AWS, the first is %s", len(calls), calls[0])
	}
	if list, err := r.db.Plans(t.Context(), store.PlanFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%d plans, %v", len(list), err)
	}
}

func TestAFloodOfRealFindingsMakesAFewPlansByItself(t *testing.T) {
	t.Parallel()
	const many, few = 12, 4
	r := respondingApp(t, "", func(c *config.Config) {
		everyFinding("ec2-contain", few)(c)
		c.Respond.PreAuthorize = nil
		c.Worker.TimeScale = 10 // an hour is longer than the test
	}, nil)
	for n, id := range r.hosts(t, many) {
		r.takeBody(t, minerOn(0xe100+n, id), true)
	}
	r.noWish(t)
	list, err := r.db.Plans(t.Context(), store.PlanFilter{Limit: 200})
	if err != nil || len(list) != few {
		t.Fatalf("%d plans were made, %v", len(list), err)
	}
	made := map[incident.Number]bool{}
	for _, p := range list {
		made[p.Incident] = true
	}
	for n := incident.Number(1); n <= many; n++ {
		entries, err := r.db.Timeline(t.Context(), n, 0)
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, e := range entries {
			said = said || strings.Contains(e.Text, "no plan was made by itself: 4 were made within the hour") && strings.Contains(e.Text, "guardroom plan create --incident "+n.String())
		}
		if said == made[n] {
			t.Errorf("%s has a plan: %v; it is said that it has none: %v", n, made[n], said)
		}
	}
	described := map[string]bool{}
	for _, c := range r.world.Calls() {
		described[c.Place.Incident] = true
	}
	if len(described) > few {
		t.Errorf("AWS was asked for %d incidents", len(described))
	}
	// A person may always make one.
	for n := incident.Number(1); n <= many; n++ {
		if !made[n] {
			if p := r.planOf(t, api.PlanRequest{Incident: n}); p.Row.State != respond.PlanWaiting {
				t.Errorf("%s %s", p.Row.State, p.Row.Why)
			}
			break
		}
	}
}

func TestAFindingOfAThousandResourcesIsAPlanOfAFew(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	if err := r.world.Edit(func(e *sim.Editor) { e.AddUser(victimAccount, sim.User{Name: "ci"}) }); err != nil {
		t.Fatal(err)
	}
	ids := r.hosts(t, 60)
	for n := len(ids); n < 1000; n++ {
		ids = append(ids, fmt.Sprintf("i-0%016x", 0xe200+n))
	}
	r.takeBody(t, sequenceOf(0xe2, ids, []string{"ci"}), true)
	p := r.planOf(t, api.PlanRequest{Incident: 1})
	if len(p.Plan.Parts) != mostParts || p.Plan.Parts[0].Kind != finding.KindAccessKey {
		t.Errorf("%d parts, the first is %+v", len(p.Plan.Parts), p.Plan.Parts[0])
	}
	if !strings.Contains(strings.Join(p.Plan.Manual, "\n"), "976 more resources") {
		t.Errorf("nobody reads what is left out: %q", p.Plan.Manual)
	}
	if n := len(r.world.Calls()); n > 60*mostParts {
		t.Errorf("%d calls of AWS", n)
	}
}

// Somebody who may write to the queue wants us to lock a colleague out.
func TestAColleagueCannotBeFramedThroughTheQueue(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", everyFinding("iam-user", 30), func(context.Context, finding.ID) (bool, error) { return false, nil })
	if err := r.world.Edit(func(e *sim.Editor) { e.AddUser(victimAccount, sim.User{Name: "colleague"}) }); err != nil {
		t.Fatal(err)
	}
	r.takeBody(t, userFinding(0xe3, "colleague", victimRegion), false)
	r.triedInVain(t)
	if list, err := r.db.Plans(t.Context(), store.PlanFilter{}); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	p, err := r.desk.create(t.Context(), api.PlanRequest{Incident: 1}, "kim", false)
	if err != nil {
		t.Fatal(err)
	}
	warned := false
	for _, g := range p.plan.Guards {
		warned = warned || g.Answer == respond.Warn && strings.Contains(g.Why, "has not confirmed the finding")
	}
	if !warned || p.row.State != respond.PlanWaiting {
		t.Errorf("%s %+v", p.row.State, p.plan.Guards)
	}
	// Nor does the rule approve what a person made of it.
	if err := r.desk.preAuthorize(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if list, err := r.db.Runs(t.Context(), store.RunFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	for _, c := range r.world.Calls() {
		if mutating(c.Operation) {
			t.Errorf("%s was called", c)
		}
	}
}

// Whoever can write to the store puts other bytes below an approval.
func TestAPlanThatIsNotWhatWasShownIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p, other := r.plan(t), r.planOf(t, api.PlanRequest{Incident: 1, Playbook: forensics.Name})
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, other.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("the digest of another plan: %v", err)
	}
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:7], "go", raj); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("too little of a digest: %v", err)
	}
	changed := bytes.ReplaceAll(p.Row.Bytes, []byte(victimID), []byte("i-0fedcba9876543210"))
	if err := r.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.SQL().ExecContext(t.Context(), "UPDATE plans SET canonical = ? WHERE id = ?", changed, string(p.Row.ID))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("other bytes below the digest: %v", err)
	}
	// After the approval, and before the run begins.
	if _, err := r.desk.SetSwitch(t.Context(), true, "hold on", "kim"); err != nil {
		t.Fatal(err)
	}
	if list, err := r.db.Runs(t.Context(), store.RunFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestAnApprovalAfterTheEndIsRefusedHoweverOften(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) { c.Respond.Approval.Within = config.Duration(5 * time.Minute) }, nil) // 1 s here
	r.take(t, true)
	p := r.plan(t)
	until(t, func() bool { return r.now().After(p.Row.ExpiresAt) }, "its time is over")
	for range 3 {
		if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "expired") {
			t.Errorf("%v", err)
		}
	}
	if row, err := r.db.GetPlan(t.Context(), p.Row.ID); err != nil || row.State != respond.PlanExpired || len(row.Approvals) != 0 {
		t.Errorf("%+v %v", row, err)
	}
}

// The clock of the worker that is asked runs behind that of the one that made the
// plan: what has expired there must not look fresh here.
func TestAClockThatIsBehindApprovesNothing(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	p := respond.PlanRow{ID: "pln_1", Digest: strings.Repeat("ab", 32), State: respond.PlanWaiting, Needed: 1, CreatedAt: at, ExpiresAt: at.Add(30 * time.Minute)}
	a := respond.Approval{Who: "raj", Digest: p.Digest, Reason: "go"}
	if ok, err := p.Approve(a, respond.Rules{RequesterMayApprove: true}, at.Add(-2*time.Minute)); ok || fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "clock") {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := p.Approve(a, respond.Rules{RequesterMayApprove: true}, at.Add(-5*time.Second)); !ok || err != nil {
		t.Errorf("a few seconds are no harm: %v %v", ok, err)
	}
}

// post asks the API over the network with a token.
func (r responding) post(t *testing.T, secret, path, body string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	r.apiHandler().ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func (r responding) token(t *testing.T, name string, role api.Role) string {
	t.Helper()
	secret, err := r.desk.CreateToken(t.Context(), name, role, time.Time{}, "root")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestApprovingNeedsTheRoleAndAPersonEach(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.Approval = config.Approval{People: 2, Requester: "may_not", Within: config.Duration(100 * time.Hour)}
	}, nil)
	r.take(t, true)
	kim, rae, vic := r.token(t, "kim", api.ApproverRole), r.token(t, "rae", api.ResponderRole), r.token(t, "vic", api.Viewer)
	code, text := r.post(t, rae, "/v1/plans", `{"incident":1,"playbook":"forensics"}`)
	list, err := r.db.Plans(t.Context(), store.PlanFilter{})
	if err != nil || code/100 != 2 || len(list) != 1 || list[0].Requester != "rae" || list[0].Needed != 2 {
		t.Fatalf("%d %s %+v %v", code, text, list, err)
	}
	p := list[0]
	path, body := "/v1/plans/"+string(p.ID)+"/approve", fmt.Sprintf(`{"digest":%q,"reason":"go"}`, p.Digest)
	for name, secret := range map[string]string{"a responder, who asked": rae, "a viewer": vic} {
		if code, text := r.post(t, secret, path, body); code != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text := r.post(t, kim, path, body); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	// The same person with a second token: the first one is revoked, its name is not.
	if err := r.desk.RevokeToken(t.Context(), "kim", "root"); err != nil {
		t.Fatal(err)
	}
	if code, text := r.post(t, kim, path, body); code != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d %s", code, text)
	}
	if code, text := r.post(t, r.token(t, "kim", api.ApproverRole), path, body); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if row, err := r.db.GetPlan(t.Context(), p.ID); err != nil || row.State != respond.PlanWaiting || len(row.Approvals) != 1 {
		t.Fatalf("one person with two tokens is two: %+v %v", row, err)
	}
	if code, text := r.post(t, r.token(t, "lee", api.ApproverRole), path, body); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	row, err := r.db.GetPlan(t.Context(), p.ID)
	if err != nil || row.State != respond.PlanApproved {
		t.Fatalf("%+v %v", row, err)
	}
	r.ended(t, row.Run)
}

// Who may not approve what they asked for must not get around that by asking over
// the socket, which proves nobody: then one more person must look.
func TestAskingAsNobodyTakesOneMoreApproval(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) { c.Respond.Approval.Requester = "may_not" }, nil)
	r.take(t, true)
	proven := func(name string) context.Context {
		return api.WithIdentity(t.Context(), api.Identity{Name: name, Role: api.Admin, Own: true})
	}
	p, err := r.desk.CreatePlan(proven("kim"), api.PlanRequest{Incident: 1, Playbook: forensics.Name}, "kim")
	if err != nil || p.Row.Needed != 1 {
		t.Fatalf("%+v %v", p.Row, err)
	}
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", person("kim")); fault.CodeOf(err) != fault.Denied {
		t.Errorf("kim asked: %v", err)
	}
	socket := api.WithIdentity(t.Context(), api.Identity{Name: "ubuntu", Local: true})
	p, err = r.desk.CreatePlan(socket, api.PlanRequest{Incident: 1, Playbook: forensics.Name}, "ubuntu")
	if err != nil || p.Row.Needed != 2 || p.Plan.Approvals != 2 {
		t.Fatalf("%+v %v", p.Row, err)
	}
	if got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", person("kim")); err != nil || got.Row.State != respond.PlanWaiting {
		t.Errorf("kim may be who asked: %+v %v", got.Row, err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", person("lee"))
	if err != nil || got.Row.State != respond.PlanApproved {
		t.Fatalf("%+v %v", got.Row, err)
	}
	run := r.ended(t, got.Row.Run)
	for who, ctx := range map[string]context.Context{"kim": proven("kim"), "ubuntu": socket} {
		u, err := r.desk.UndoRun(ctx, run.ID, who)
		if want := map[string]int{"kim": 1, "ubuntu": 2}[who]; err != nil || u.Row.Needed != want {
			t.Errorf("an undo that %s asks for: %+v %v", who, u.Row, err)
		}
	}
}
