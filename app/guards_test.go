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
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
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
	first := respondingOn(t, worker("one"), attackedWorld(t, ""), nil)
	second := respondingOn(t, worker("two"), first.world, nil)
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
	checkProof(t, first.App)
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
