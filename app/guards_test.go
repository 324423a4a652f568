package app

import (
	"bytes"
	"context"
	"fmt"
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
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/source"
)

// sequenceOf is an attack sequence over instances and users of the attacked
// account.
func sequenceOf(id int, instances, users []string) []byte {
	var resources []string
	for _, i := range instances {
		resources = append(resources, fmt.Sprintf(`{"uid":"arn:aws:ec2:%s:%s:instance/%s","accountId":%q,"region":%q,"resourceType":"EC2_INSTANCE","data":{"ec2Instance":{"instanceType":"m5.large"}}}`,
			victimRegion, victimAccount, i, victimAccount, victimRegion))
	}
	for _, u := range users {
		resources = append(resources, fmt.Sprintf(`{"uid":"AKIAEXAMPLEEXAMPLE02","accountId":%q,"resourceType":"ACCESS_KEY","data":{"accessKey":{"userName":%q,"userType":"IAMUser"}}}`, victimAccount, u))
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":%q,"region":%q,"partition":"aws","id":"%032x","arn":"arn:aws:guardduty:eu-central-1:222222222222:detector/d/finding/%032x",
		"type":"AttackSequence:EC2/CompromisedInstanceGroup","severity":9.5,"title":"t","description":"d","createdAt":%q,"updatedAt":%q,"resource":{"resourceType":"AttackSequence"},
		"service":{"serviceName":"guardduty","detectorId":"d","archived":false,"count":1,"eventFirstSeen":%q,"eventLastSeen":%q,"detection":{"sequence":{"uid":"s","description":"d","resources":[%s]}}}}`,
		victimAccount, victimRegion, id, id, now, now, now, now, strings.Join(resources, ","))
}

// hosts adds plain instances to the attacked account.
func (r responding) hosts(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	if err := r.world.Edit(func(e *sim.Editor) {
		for i := range n {
			ids = append(ids, e.AddInstance(victimAccount, victimRegion, sim.InstanceSpec{ID: fmt.Sprintf("i-0%016x", 0x5e0+i), Type: "m5.large", Subnet: "subnet-0app"}))
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func (r responding) takeBody(t *testing.T, body []byte, confirmed bool) {
	t.Helper()
	if _, err := r.Take(t.Context(), source.Input{Source: "sqs:main", Body: body, Confirmed: confirmed}); err != nil {
		t.Fatal(err)
	}
}

func (r responding) planOf(t *testing.T, p api.PlanRequest) api.PlanDetail {
	t.Helper()
	out, err := r.desk.CreatePlan(t.Context(), p, "kim")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachResourceOfAPlanCountsForTheCaps(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.Caps = config.Caps{Isolations: 3, Revocations: 3, Blocks: 3, All: 100}
	}, nil)
	if err := r.world.Edit(func(e *sim.Editor) { e.AddUser(victimAccount, sim.User{Name: "ci"}) }); err != nil {
		t.Fatal(err)
	}
	ids := r.hosts(t, 4)
	r.takeBody(t, sequenceOf(0xa1, ids, nil), true)
	if p := r.planOf(t, api.PlanRequest{Incident: 1}); p.Row.State != respond.PlanRefused || !strings.Contains(p.Row.Why, "4 more") {
		t.Errorf("four hosts under a cap of three: %s %s", p.Row.State, p.Row.Why)
	}
	// Two hosts and a user pass; with them two isolations are done, so that a plan
	// of two more waits for nobody.
	r.takeBody(t, sequenceOf(0xa2, ids[:2], []string{"ci"}), true)
	r.takeBody(t, sequenceOf(0xa3, ids[2:], nil), true)
	two, other := r.planOf(t, api.PlanRequest{Incident: 2}), r.planOf(t, api.PlanRequest{Incident: 3})
	for _, p := range []api.PlanDetail{two, other} {
		if p.Row.State != respond.PlanWaiting {
			t.Fatalf("%s %s", p.Row.State, p.Row.Why)
		}
	}
	got, err := r.desk.ApprovePlan(t.Context(), two.Row.ID, two.Row.Digest, "go", raj)
	if err != nil {
		t.Fatal(err)
	}
	defer r.ended(t, got.Row.Run) // at once: an hour is 12 s here
	if _, err := r.desk.ApprovePlan(t.Context(), other.Row.ID, other.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), "the cap is 3") {
		t.Errorf("two more hosts: %v", err)
	}
	run, err := r.db.GetRun(t.Context(), got.Row.Run)
	if err != nil || run.Counts[respond.Isolation] != 2 || run.Counts[respond.Revocation] != 1 || len(run.Counts) != 2 {
		t.Errorf("%v %v", run.Counts, err)
	}
	if p := r.planOf(t, api.PlanRequest{Incident: 3, Playbook: ec2.Name}); p.Row.State != respond.PlanWaiting {
		t.Errorf("one of them: %s %s", p.Row.State, p.Row.Why)
	}
}

// Two workers, two incidents, one user: GuardDuty names it in two regions, and
// its ARN is one.
func TestOneRunAtATimeForAResourceUnderTwoWorkers(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	worker := func(id string) *config.Config {
		c := respondConfig(url, id)
		c.Respond.Evidence.Region, c.Respond.Caps.Revocations = victimRegion, 1000
		return c
	}
	first := startResponding(t, start{config: worker("one")})
	second := startResponding(t, start{config: worker("two"), world: first.world})
	if err := first.world.Edit(func(e *sim.Editor) { e.AddUser(victimAccount, sim.User{Name: "ci"}) }); err != nil {
		t.Fatal(err)
	}
	one := userFinding(0xb1, "ci", victimRegion)
	first.takeBody(t, one, true)
	first.takeBody(t, bytes.ReplaceAll(userFinding(0xb2, "ci", "eu-west-1"), []byte("203.0.113.7"), []byte("203.0.113.9")), true)
	for round := range 3 {
		plans := []api.PlanDetail{first.planOf(t, api.PlanRequest{Incident: 1}), second.planOf(t, api.PlanRequest{Incident: 2})}
		for _, p := range plans {
			if p.Row.State != respond.PlanWaiting {
				t.Fatalf("%s %s", p.Row.State, p.Row.Why)
			}
		}
		var all sync.WaitGroup
		runs, errs := make([]respond.RunID, 2), make([]error, 2)
		for i, r := range []responding{first, second} {
			all.Go(func() {
				got, err := r.desk.ApprovePlan(context.WithoutCancel(t.Context()), plans[i].Row.ID, plans[i].Row.Digest, "go", raj)
				runs[i], errs[i] = got.Row.Run, err
			})
		}
		all.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		lost := errs[1-won]
		if errs[won] != nil || fault.CodeOf(lost) != fault.Conflict || !strings.Contains(lost.Error(), string(runs[won])) {
			t.Fatalf("round %d: %v %v %v", round, runs, errs[0], errs[1])
		}
		run := first.ended(t, runs[won])
		if run.State != respond.RunCompleted {
			t.Fatalf("%+v", run)
		}
		u, err := first.desk.UndoRun(t.Context(), run.ID, "kim")
		if err != nil {
			t.Fatal(err)
		}
		got, err := first.desk.ApprovePlan(t.Context(), u.Row.ID, u.Row.Digest, "over", raj)
		if err != nil {
			t.Fatal(err)
		}
		first.ended(t, got.Row.Run)
		if _, err := first.desk.RejectPlan(t.Context(), plans[1-won].Row.ID, "over", "kim"); err != nil {
			t.Fatal(err)
		}
	}
	if report, err := first.VerifyAudit(t.Context()); err != nil || !report.OK() {
		t.Errorf("%+v %v", report, err)
	}
}

// userFinding is about an IAM user of the attacked account.
func userFinding(id int, user, region string) []byte {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":%q,"region":%q,"partition":"aws","id":"%032x","arn":"arn:aws:guardduty:%s:222222222222:detector/d/finding/%032x",
		"type":"UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom","severity":8,"title":"t","description":"d","createdAt":%q,"updatedAt":%q,
		"resource":{"resourceType":"AccessKey","accessKeyDetails":{"userName":%q,"userType":"IAMUser","principalId":"","accessKeyId":""}},
		"service":{"serviceName":"guardduty","detectorId":"d","archived":false,"resourceRole":"TARGET","count":1,"eventFirstSeen":%q,"eventLastSeen":%q,
		"action":{"actionType":"AWS_API_CALL","awsApiCallAction":{"api":"ListBuckets","serviceName":"s3.amazonaws.com","callerType":"Remote IP","remoteIpDetails":{"ipAddressV4":"203.0.113.7"}}}}}`,
		victimAccount, region, id, region, id, now, now, user, now, now)
}

func TestNobodyRespondsToWhatGuardroomLivesOn(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.ActRole = "security/guardroom-act"
		c.Respond.Protect = config.Protect{Resources: []string{"db-7", "arn:aws:iam::*:user/keeper-*"}, ManagementAccount: "999999999999"}
		c.Sources.S3 = []config.S3Source{{Name: "export", URL: "s3://export-of-tests/x"}}
	}, nil)
	ids := r.hosts(t, 3)
	found := r.desk.own
	r.desk.own = func(ctx context.Context) safety.Own { // what AWS says of this process, on EC2
		o := found(ctx)
		o.Resources = append(o.Resources, safety.Named{Name: ids[0], What: "the machine that guardroom runs on"})
		o.Resources = append(o.Resources, identityOf("arn:aws:sts::"+victimAccount+":assumed-role/guardroom-host/i-0abc")...)
		return o
	}
	if err := r.world.Edit(func(e *sim.Editor) {
		for _, name := range []string{"guardroom-host", "guardroom-act"} {
			e.AddRole(victimAccount, sim.Role{Name: name, Path: map[string]string{"guardroom-act": "/security/"}[name]})
		}
		e.AddUser(victimAccount, sim.User{Name: "keeper-2"})
		e.AddUser("999999999999", sim.User{Name: "root-ish"})
		e.AddUser(victimAccount, sim.User{Name: "ci"})
		e.AddBucket(victimAccount, sim.Bucket{Name: "export-of-tests", Region: victimRegion})
	}); err != nil {
		t.Fatal(err)
	}
	at := incident.Number(0)
	for _, c := range []struct {
		name string
		body func(id int) []byte
		want string // in the reason of the refusal; empty: it waits
	}{
		{"its host", func(id int) []byte { return minerOn(id, ids[0]) }, "the machine that guardroom runs on"},
		{"another host", func(id int) []byte { return minerOn(id, ids[1]) }, ""},
		{"a role that it assumes, whatever its path", func(id int) []byte { return roleFinding(id, "guardroom-act") }, "a role of guardroom"},
		{"the role of its host", func(id int) []byte { return roleFinding(id, "guardroom-host") }, "the identity that guardroom itself has"},
		{"a user that the configuration protects", func(id int) []byte { return userFinding(id, "keeper-2", victimRegion) }, "respond.protect.resources"},
		{"another user", func(id int) []byte { return userFinding(id, "ci", victimRegion) }, ""},
		{"the bucket of the evidence", func(id int) []byte { return bucketFinding(id, "evidence-of-tests") }, "the bucket of the evidence"},
		{"the bucket that findings come from", func(id int) []byte { return bucketFinding(id, "export-of-tests") }, "reads findings from"},
		{"the management account", func(id int) []byte {
			return bytes.ReplaceAll(userFinding(id, "root-ish", victimRegion), []byte(victimAccount), []byte("999999999999"))
		}, "the management account"},
	} {
		at++
		r.takeBody(t, c.body(0xd000+int(at)), true)
		p, err := r.desk.CreatePlan(t.Context(), api.PlanRequest{Incident: at}, "kim")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.want == "" {
			if p.Row.State != respond.PlanWaiting {
				t.Errorf("%s: %s %s", c.name, p.Row.State, p.Row.Why)
			}
			continue
		}
		if p.Row.State != respond.PlanRefused || !strings.Contains(p.Row.Why, c.want) {
			t.Errorf("%s: %s %s", c.name, p.Row.State, p.Row.Why)
		}
		if _, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", raj); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("%s can be approved: %v", c.name, err)
		}
	}
	// Of several resources its own is left out, and said.
	r.takeBody(t, sequenceOf(0xd1, ids, nil), true)
	p := r.planOf(t, api.PlanRequest{Incident: at + 1})
	if p.Row.State != respond.PlanWaiting || len(p.Plan.Parts) != 2 || !strings.Contains(strings.Join(p.Plan.Manual, "\n"), ids[0]+": "+ids[0]+" is the machine that guardroom runs on") {
		t.Errorf("%s %s: %v %v", p.Row.State, p.Row.Why, p.Plan.Parts, p.Plan.Manual)
	}
	for _, s := range p.Plan.Steps {
		if strings.Contains(string(s.Params), ids[0]) {
			t.Errorf("step %s touches it", s.ID)
		}
	}
	for _, c := range r.world.Calls() {
		if mutating(c.Operation) {
			t.Errorf("%s was called", c)
		}
	}
}

// minerOn is the miner's finding about another host.
func minerOn(id int, instance string) []byte {
	body := bytes.ReplaceAll(minerFinding(), []byte(victimID), []byte(instance))
	return bytes.ReplaceAll(body, []byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), fmt.Appendf(nil, "%032x", id))
}

func roleFinding(id int, role string) []byte {
	return bytes.ReplaceAll(userFinding(id, role, victimRegion), []byte(`"userType":"IAMUser"`), []byte(`"userType":"AssumedRole"`))
}

func bucketFinding(id int, bucket string) []byte {
	body := bytes.ReplaceAll(userFinding(id, "x", victimRegion), []byte("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom"), []byte("Policy:S3/BucketAnonymousAccessGranted"))
	at, end := bytes.Index(body, []byte(`"resource":`)), bytes.Index(body, []byte(`"service":`))
	resource := fmt.Sprintf(`"resource":{"resourceType":"S3Bucket","s3BucketDetails":[{"name":%q,"arn":"arn:aws:s3:::%s","type":"Destination"}]},`, bucket, bucket)
	return append(append(bytes.Clone(body[:at]), resource...), body[end:]...)
}

func TestWhatAWSSaysOfThisProcessIsAskedOnceAndErrorsAreNoYes(t *testing.T) {
	t.Parallel()
	now, asked := time.Now(), 0
	down := true
	o := &ownThings{now: func() time.Time { return now }, asks: []*ownAsk{{unknown: "as whom guardroom works", ask: func(context.Context) (safety.Own, error) {
		asked++
		if down {
			return safety.Own{}, errRefused
		}
		return safety.Own{Resources: []safety.Named{{Name: "i-1", What: "x"}}}, nil
	}}}}
	for range 3 {
		if got := o.find(t.Context()); len(got.Unknown) != 1 || asked != 1 {
			t.Errorf("%+v, asked %d times", got, asked)
		}
	}
	down, now = false, now.Add(askAgain)
	for range 3 {
		if got := o.find(t.Context()); len(got.Unknown) != 0 || len(got.Resources) != 1 || asked != 2 {
			t.Errorf("%+v, asked %d times", got, asked)
		}
	}
	if got := databaseOf("postgres://g:x@guardroom.abc.eu-central-1.rds.amazonaws.com:5432/g"); got != "guardroom" {
		t.Errorf("the database is %q", got)
	}
	c := config.Default()
	c.Audit.Head.S3 = "s3://heads-of-tests/g"
	bucket := respond.Target{Kind: finding.KindS3Object, ID: "heads-of-tests/g/1", Account: victimAccount}
	if what := ownOf(c, nil, time.Now).find(t.Context()).Has(bucket); !strings.Contains(what, "audit heads") {
		t.Errorf("an object among the audit heads: %q", what)
	}
	if got := databaseOf("sqlite:/var/lib/g.db"); got != "" {
		t.Errorf("the database is %q", got)
	}
}

func person(name string) api.Approver { return api.Approver{Name: name, How: "token", Own: true} }

func TestTwoPeopleApproveInProtectedHours(t *testing.T) {
	t.Parallel()
	always := config.ProtectedHours{Name: "trading", Hours: "00:00-24:00", Reason: "the exchange is open"}
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.Freezes = []config.Freeze{{Name: "last year", From: config.Time{Time: time.Now().AddDate(-1, 0, 0)}, To: config.Time{Time: time.Now().AddDate(0, -11, 0)}, Reason: "over"}}
	}, nil)
	r.take(t, true)
	before := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: forensics.Name})
	if before.Row.Needed != 1 {
		t.Fatalf("%+v", before.Row)
	}
	r.desk.hours = []config.ProtectedHours{always}
	inside := r.planOf(t, api.PlanRequest{Incident: 1, Playbook: ec2.Name})
	said := false
	for _, g := range inside.Plan.Guards {
		said = said || g.Answer == respond.Warn && strings.Contains(g.Why, "trading (00:00-24:00 UTC; the exchange is open): two people must approve")
	}
	if !said || inside.Plan.Approvals != 2 || inside.Row.Needed != 2 || inside.Row.State != respond.PlanWaiting {
		t.Errorf("%+v %+v", inside.Row, inside.Plan.Guards)
	}
	for _, p := range []api.PlanDetail{before, inside} {
		approve := func(by api.Approver) (api.PlanDetail, error) {
			return r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest, "go", by)
		}
		if _, err := approve(raj); fault.CodeOf(err) != fault.Denied {
			t.Errorf("the socket proves no person: %v", err)
		}
		for range 2 { // the same person twice is one
			if got, err := approve(person("kim")); err != nil || got.Row.State != respond.PlanWaiting || len(got.Row.Approvals) != 1 || got.Row.Needed != 2 {
				t.Fatalf("%+v %v", got.Row, err)
			}
		}
		got, err := approve(person("lee"))
		if err != nil || got.Row.State != respond.PlanApproved {
			t.Fatalf("%+v %v", got.Row, err)
		}
		run := r.ended(t, got.Row.Run)
		if p.Row.Playbook != ec2.Name {
			continue
		}
		// What was taken is given back by one.
		u, err := r.desk.UndoRun(t.Context(), run.ID, "kim")
		if err != nil || u.Row.Needed != 1 {
			t.Fatalf("%+v %v", u.Row, err)
		}
		if got, err = r.desk.ApprovePlan(t.Context(), u.Row.ID, u.Row.Digest, "over", raj); err != nil {
			t.Fatal(err)
		}
		r.ended(t, got.Row.Run)
	}
}

func TestNoRuleApprovesBeforehandInAFreeze(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Destinations = []config.Destination{}
		c.Routes = []config.Route{{Name: "hosts", Stop: true, Playbook: "forensics"}}
		c.Respond.PreAuthorize = []config.PreAuthorization{{Name: "night", When: `severity >= 7`, Playbooks: []string{"forensics"}, Owner: "soc", Reason: "nobody is awake"}}
		c.Respond.Freezes = []config.Freeze{{Name: "year end", From: config.Time{Time: time.Now().Add(-time.Hour)}, To: config.Time{Time: time.Now().Add(time.Hour)}, Reason: "the books close"}}
	}, nil)
	r.take(t, true)
	p := r.waitPlan(t)
	r.noWish(t)
	if p, err := r.db.GetPlan(t.Context(), p.ID); err != nil || p.State != respond.PlanWaiting || p.Needed != 2 || len(p.Approvals) != 0 {
		t.Errorf("%+v %v", p, err)
	}
}
