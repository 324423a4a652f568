package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

var raj = api.Approver{Name: "raj", How: "socket"}

func TestTwoApprovalsAtOnceStartOneRun(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		r := respondingApp(t, storeOf(), nil, nil)
		r.take(t, true)
		p := r.plan(t)
		var mu sync.Mutex
		var runs []respond.RunID
		var refused []error
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				got, err := r.desk.ApprovePlan(context.WithoutCancel(t.Context()), p.Row.ID, p.Row.Digest[:8], "both clicked", raj)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused = append(refused, err)
					return
				}
				runs = append(runs, got.Row.Run)
			})
		}
		all.Wait()
		if len(runs) != 1 || len(refused) != 7 {
			t.Fatal(runs, refused)
		}
		for _, err := range refused {
			if f := fault.Of(err); f.Code != fault.Conflict || !strings.Contains(f.Message, "raj") || !strings.Contains(f.Message, string(runs[0])) {
				t.Errorf("the loser does not see who won: %+v", f)
			}
		}
		if list, err := r.db.Runs(t.Context(), store.RunFilter{}); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
		if run := r.ended(t, runs[0]); run.State != respond.RunCompleted || !run.Contained {
			t.Errorf("%+v", run)
		}
		if i, err := r.db.GetIncident(t.Context(), 1); err != nil || i.State != incident.Contained {
			t.Error(i.State, err)
		}
		checkProof(t, r.App)
	})
}

func TestAChangedWorldNeedsANewApproval(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	if err := r.world.Edit(func(e *sim.Editor) {
		e.SetGroups(victimAccount, victimRegion, e.InterfaceOf(victimAccount, victimRegion, victimID, 1), "sg-0web")
	}); err != nil {
		t.Fatal(err)
	}
	before := len(r.world.Calls())
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	run := r.ended(t, got.Row.Run)
	if run.State != respond.RunFailed || !strings.Contains(run.Summary, "nothing was changed") {
		t.Errorf("%+v", run)
	}
	row, err := r.db.GetPlan(t.Context(), p.Row.ID)
	if err != nil || row.State != respond.PlanChanged || !strings.Contains(row.Why, "was sg-0admin and is sg-0web") {
		t.Error(row.State, row.Why, err)
	}
	for _, c := range r.world.Calls()[before:] {
		if mutating(c.Operation) {
			t.Errorf("%s was called", c)
		}
	}
	// It is made anew, with the difference, and waits for an approval of its own.
	var list []respond.PlanRow
	until(t, func() bool { list = r.plans(t, store.PlanFilter{Incident: 1}); return len(list) == 2 }, "there are two plans")
	if n := list[0]; n.State != respond.PlanWaiting || n.Digest == p.Row.Digest || n.Replaces != p.Row.ID || n.Requester != "kim" || len(n.Approvals) != 0 {
		t.Errorf("%+v", n)
	}
	said := false
	entries, err := r.db.Timeline(t.Context(), 1, 0)
	for _, e := range entries {
		said = said || e.Kind == incident.KindPlanWaits && strings.Contains(e.Text, "it replaces plan "+string(p.Row.ID)) && strings.Contains(e.Text, "was sg-0admin and is sg-0web")
	}
	if err != nil || !said {
		t.Errorf("nobody reads why there is a new plan: %+v %v", entries, err)
	}
}

func TestTheSwitchStopsEveryResponse(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	if _, err := r.desk.SetSwitch(t.Context(), true, "drill", "kim"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "drill") {
		t.Error(err)
	}
	if _, err := r.desk.SetSwitch(t.Context(), false, "over", "kim"); err != nil {
		t.Fatal(err)
	}
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	// Off and on again within one transaction each, audited.
	var said []string
	for _, rec := range auditOf(t, r.App) {
		if rec.Action == "respond.switched" {
			said = append(said, rec.Before+" "+rec.After)
		}
	}
	if !slices.Equal(said, []string{"on off", "off on"}) {
		t.Error(said)
	}
}

func TestACapHoldsAtTheApprovalAsWell(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) { c.Respond.Caps.All = 1 }, nil)
	r.take(t, true)
	first, second := r.plan(t), r.planOf(t, api.PlanRequest{Incident: 1, Playbook: forensics.Name})
	got, err := r.desk.ApprovePlan(t.Context(), first.Row.ID, first.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	defer r.ended(t, got.Row.Run) // at once: an hour is 12 s here
	if _, err := r.desk.ApprovePlan(t.Context(), second.Row.ID, second.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "cap is 1") {
		t.Error(err)
	}
	if third := r.plan(t); third.Row.State != respond.PlanRefused {
		t.Errorf("%+v", third.Row)
	}
}

func TestARouteMakesItsPlanOnlyOnceGuardDutyHasConfirmed(t *testing.T) {
	t.Parallel()
	var known atomic.Bool
	route := func(c *config.Config) {
		c.Destinations = []config.Destination{}
		c.Routes = []config.Route{{Name: "hosts", When: `resource.kind == "instance"`, Stop: true, Playbook: "ec2-respond"}}
	}
	r := respondingApp(t, "", route, func(context.Context, finding.ID) (bool, error) { return known.Load(), nil })
	r.take(t, false)
	r.triedInVain(t)
	if list := r.plans(t, store.PlanFilter{}); len(list) != 0 {
		t.Fatal(list)
	}
	r.take(t, true) // GuardDuty says so itself
	known.Store(true)
	if p := r.waitPlan(t); p.State != respond.PlanWaiting || p.Requester != incident.Guardroom || len(p.Approvals) != 0 {
		t.Errorf("%+v", p)
	}
}

// Whoever may write to the queue names the account: their own, where a role with
// our name waits for the external id, and GuardDuty confirms what they like.
func TestAFindingOfAStrangersAccountMakesNobodyAssumeARole(t *testing.T) {
	testKeys(t)
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		asked[r.Form.Get("Action")]++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::999999999999:user/guardroom</Arn><UserId>A</UserId><Account>999999999999</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(server.Close)
	cfg := respondConfig(ownStore(t), "one")
	cfg.Routes = []config.Route{{Name: "hosts", When: `resource.kind == "instance"`, Stop: true, Playbook: "ec2-respond"}}
	cfg.AWS.EndpointURL, cfg.AWS.ReadRole, cfg.AWS.Region, cfg.AWS.ExternalID = server.URL, "guardroom-read", "eu-central-1", config.NewSecret("shared")
	cfg.Accounts = []config.Account{{ID: "123456789012", Name: "ours"}}
	r := startResponding(t, start{config: cfg})
	r.take(t, false)
	var told string
	until(t, func() bool {
		list, err := r.db.Timeline(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if strings.Contains(e.Text, "no plan was made by itself") {
				told = e.Text
			}
		}
		return told != ""
	}, "the incident says that no plan was made")
	if !strings.Contains(told, "is not in the configuration") {
		t.Errorf("the incident says %q", told)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked["AssumeRole"] > 0 {
		t.Errorf("asked: %v", asked)
	}
}

func TestTheEvidenceBucketIsAskedInItsOwnRegion(t *testing.T) {
	testKeys(t)
	for _, c := range []struct{ own, bucket, want string }{{"eu-west-1", "", "eu-west-1"}, {"eu-west-1", "us-east-2", "us-east-2"}} {
		cfg := respondConfig(ownStore(t), "one")
		cfg.AWS.Region, cfg.Respond.Evidence.URL, cfg.Respond.Evidence.Region = c.own, "s3://acme-evidence/guardroom", c.bucket
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.desk.policy.Evidence.Region; got != c.want {
			t.Errorf("region %q, want %q", got, c.want)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestARuleApprovesBeforehandOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	rule := func(when, hours string, books ...string) func(c *config.Config) {
		return func(c *config.Config) {
			c.Destinations = []config.Destination{}
			c.Routes = []config.Route{{Name: "hosts", Stop: true, Playbook: "forensics"}}
			c.Accounts = []config.Account{{ID: victimAccount, Name: "shop", Environment: "production"}}
			c.Respond.PreAuthorize = []config.PreAuthorization{{Name: "night", When: when, Hours: hours, Playbooks: books, Owner: "soc", Reason: "nobody is awake"}}
		}
	}
	now := time.Now().UTC()
	past := now.Add(-3*time.Hour).Format("15:04") + "-" + now.Add(-2*time.Hour).Format("15:04")
	for _, c := range []struct {
		name   string
		change func(c *config.Config)
		starts bool
	}{
		{"what it matches", rule(`severity >= 7`, "", "forensics"), true},
		{"not another playbook", rule(`severity >= 7`, "", "ec2-contain"), false},
		{"not another finding", rule(`severity >= 9`, "", "forensics"), false},
		{"not outside its hours", rule(`severity >= 7`, past, "forensics"), false},
		{"its account", rule(`account.id == "`+victimAccount+`"`, "", "forensics"), true},
		{"not another account", rule(`account.id == "999999999999"`, "", "forensics"), false},
		{"its environment", rule(`account.environment == "production"`, "", "forensics"), true},
		{"not another environment", rule(`account.environment == "sandbox"`, "", "forensics"), false},
		{"not another type", rule(`finding.type == "Backdoor:EC2/C&CActivity.B!DNS"`, "", "forensics"), false},
		{"its type", rule(`finding.type == "CryptoCurrency:EC2/BitcoinTool.B!DNS"`, "", "forensics"), true},
		{"a tag that it carries in AWS", rule(`resource.tags.Name == "payments-api-3"`, "", "forensics"), true},
		{"no tag that only the finding has", rule(`resource.tags.env == "test"`, "", "forensics"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := respondingApp(t, "", c.change, nil)
			r.takeBody(t, bytes.Replace(minerFinding(), []byte(`"instanceDetails":{`), []byte(`"instanceDetails":{"tags":[{"key":"env","value":"test"}],`), 1), true)
			r.noWish(t)
			list := r.plans(t, store.PlanFilter{})
			if len(list) != 1 {
				t.Fatalf("%+v", list)
			}
			p := list[0]
			if !c.starts {
				if p.State != respond.PlanWaiting || len(p.Approvals) != 0 {
					t.Error(p.State, p.Approvals)
				}
				return
			}
			if a := p.Approvals; len(a) != 1 || a[0].Rule != "night" || a[0].How != "rule" || len(a[0].RuleSHA256) != 64 {
				t.Fatalf("%s %+v", p.State, a)
			}
			r.ended(t, p.Run)
		})
	}
}

func TestAnAbortKeepsTheContainmentAndTheUndoTakesItBack(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	before := worldOf(t, r.world)
	r.take(t, true)
	p := r.plan(t)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.once(t, got.Row.Run, "it is contained", func(run respond.RunRow) bool { return run.Contained || run.State.Ended() })
	_, aborted := r.desk.AbortRun(t.Context(), got.Row.Run, "enough", "kim")
	run := r.ended(t, got.Row.Run)
	if aborted == nil && run.State != respond.RunAborted || !run.Contained {
		t.Errorf("%+v", run)
	}
	u, err := r.desk.UndoRun(t.Context(), run.ID, "kim")
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.desk.ApprovePlan(t.Context(), u.Row.ID, u.Row.Digest, "host rebuilt", raj)
	if err != nil {
		t.Fatal(err)
	}
	if undone := r.ended(t, again.Row.Run); undone.State != respond.RunCompleted {
		list, _ := r.db.Steps(t.Context(), undone.ID)
		for _, s := range list {
			if s.State != playbook.Completed {
				t.Log(s.Name, s.State, s.Message)
			}
		}
		t.Errorf("%+v", undone)
	}
	if after := worldOf(t, r.world); after != before {
		t.Error("the world is not what it was")
	}
	if i, err := r.db.GetIncident(t.Context(), 1); err != nil || i.State != incident.Open {
		t.Error(i.State, err)
	}
	entries, err := r.db.Timeline(t.Context(), 1, 0)
	if err != nil || !slices.ContainsFunc(entries, func(e incident.Entry) bool {
		return e.Kind == incident.KindReleased && strings.Contains(e.Text, " is not contained any more; approved by raj (") && strings.Contains(e.Text, string(again.Row.Run))
	}) {
		t.Errorf("nobody is told what is free and who approved it: %+v %v", entries, err)
	}
	items, err := r.db.Evidence(t.Context(), 1)
	for _, i := range items {
		copied := i.Kind == evidence.Volume || i.Kind == evidence.Workstation
		if i.Working || copied && !strings.Contains(i.Gap, "removed by "+string(again.Row.Run)+" at ") || !copied && evidence.IsRemoved(i.Gap) {
			t.Errorf("%s counts as there: %q", i.ID, i.Gap)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim"); err != nil || !report.Good() {
		t.Errorf("%+v %v", report.Problems, err)
	}
	if _, err := r.desk.UndoRun(t.Context(), run.ID, "kim"); fault.CodeOf(err) != fault.Conflict {
		t.Error(err)
	}
}

func TestADryRunIsNeverCarriedOut(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, DryRun: true}, "kim")
	if err != nil || !p.Plan.DryRun {
		t.Fatal(err)
	}
	if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "dry run") {
		t.Error(err)
	}
	for _, c := range r.world.Calls() {
		if mutating(c.Operation) {
			t.Errorf("%s was called", c)
		}
	}
}

// TestAForgedRevisionBorrowsNoConfirmation: GuardDuty confirmed the finding, and
// then somebody sends newer revisions of it over the queue.
func TestAForgedRevisionBorrowsNoConfirmation(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	later := time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05.000Z")
	for _, change := range []func(string) string{
		func(s string) string { return strings.ReplaceAll(s, victimID, "i-0fedcba9876543210") },
		func(s string) string { return strings.ReplaceAll(s, `"archived":false`, `"archived":true`) },
		func(s string) string { return strings.ReplaceAll(s, `"title":"t"`, `"title":"[SAMPLE] t"`) },
	} {
		body := change(string(minerFinding()))
		at := strings.Index(body, `"updatedAt":"`) + len(`"updatedAt":"`)
		body = body[:at] + later + body[at+len(later):]
		if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		p := r.plan(t)
		if p.Plan.Target.ID != victimID || p.Row.State != respond.PlanWaiting {
			t.Errorf("%s: %s %s", p.Plan.Target.ID, p.Row.State, p.Row.Why)
		}
	}
}

func TestAnUndoIsRefusedWhereItWouldLetOutWhatWasContainedAnew(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	contain := func() respond.RunID {
		p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: 1, Playbook: "ec2-contain"}, "kim")
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
		if err != nil {
			t.Fatal(err)
		}
		if run := r.ended(t, got.Row.Run); !run.Contained {
			t.Fatalf("%+v", run)
		}
		return got.Row.Run
	}
	first := contain()
	var undo [2]api.PlanDetail
	for i := range undo {
		var err error
		if undo[i], err = r.desk.UndoRun(t.Context(), first, "kim"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.desk.ApprovePlan(t.Context(), undo[0].Row.ID, undo[0].Row.Digest, "over", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	contain()
	if _, err := r.desk.ApprovePlan(t.Context(), undo[1].Row.ID, undo[1].Row.Digest, "over", raj); fault.CodeOf(err) != fault.Conflict {
		t.Error(err)
	}
}

// Of two undos of one run one is approved: nobody is left with another that waits.
func TestThePlanBesideTheApprovedOneIsOvertaken(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		r := respondingApp(t, storeOf(), nil, nil)
		r.take(t, true)
		contain := api.PlanRequest{Incident: 1, Playbook: ec2.Name}
		first, same, other := r.planOf(t, contain), r.planOf(t, contain), r.planOf(t, api.PlanRequest{Incident: 1, Playbook: forensics.Name})
		overtakes := func(p, beside api.PlanDetail) respond.RunID {
			t.Helper()
			got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj)
			if err != nil {
				t.Fatal(err)
			}
			now, err := r.db.GetPlan(t.Context(), beside.Row.ID)
			if err != nil || now.State != respond.PlanOvertaken || !strings.Contains(now.Why, string(p.Row.ID)) || now.DecidedAt.IsZero() {
				t.Errorf("%s %s %v", now.State, now.Why, err)
			}
			if _, err := r.desk.ApprovePlan(t.Context(), beside.Row.ID, beside.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "overtaken") {
				t.Errorf("it can be approved: %v", err)
			}
			return got.Row.Run
		}
		run := r.ended(t, overtakes(first, same))
		if p, err := r.db.GetPlan(t.Context(), other.Row.ID); err != nil || p.State != respond.PlanWaiting {
			t.Errorf("a plan that does something else is %s %v", p.State, err)
		}
		var undo [2]api.PlanDetail
		for i := range undo {
			var err error
			if undo[i], err = r.desk.UndoRun(t.Context(), run.ID, "kim"); err != nil {
				t.Fatal(err)
			}
		}
		r.ended(t, overtakes(undo[0], undo[1]))
		checkProof(t, r.App)
	})
}

func TestTokensAreSecretsShownOnce(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	secret, err := r.desk.CreateToken(t.Context(), "kim", api.ApproverRole, time.Time{}, "root")
	if err != nil || !strings.HasPrefix(secret, "grt_") || len(secret) < 40 {
		t.Fatal(secret, err)
	}
	if _, err := r.desk.CreateToken(t.Context(), "kim", api.Admin, time.Time{}, "root"); fault.CodeOf(err) != fault.Conflict {
		t.Error(err)
	}
	for range 2 {
		if err := r.desk.RevokeToken(t.Context(), "kim", "root"); err != nil {
			t.Error(err)
		}
	}
	if other, err := r.desk.CreateToken(t.Context(), "kim", api.Viewer, time.Time{}, "root"); err != nil || other == secret {
		t.Error(err)
	}
}

func auditOf(t *testing.T, a *App) []audit.Record {
	t.Helper()
	var out []audit.Record
	if err := a.db.AuditRecords(t.Context(), 0, 0, func(r audit.Record) bool { out = append(out, r); return true }); err != nil {
		t.Fatal(err)
	}
	return out
}

// worldOf is what of a world can be restored, but for the evidence bucket.
func worldOf(t *testing.T, w *sim.World) string {
	t.Helper()
	raw, err := w.Canonical(victimAccount)
	if err != nil {
		t.Fatal(err)
	}
	return withoutBuckets(t, raw)
}
