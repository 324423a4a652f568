package onmoto_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/ec2"
)

// targets are the ids and ports that are registered in a target group and serve.
func targets(t *testing.T, api awscalls.AWS, account, arn string) []string {
	t.Helper()
	c, err := api.ELBv2(t.Context(), awscalls.Place{Account: account, Region: cloudtest.Region, Role: awscalls.Read, Incident: "INC-42"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeTargetHealth(t.Context(), &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, h := range out.TargetHealthDescriptions {
		if h.TargetHealth == nil || h.TargetHealth.State != elbv2types.TargetHealthStateEnumDraining {
			ids = append(ids, aws.ToString(h.Target.Id))
		}
	}
	slices.Sort(ids)
	return ids
}

// plainly is moto itself, without the proxy that makes it answer as AWS does.
type plainly struct {
	t       *testing.T
	api     awscalls.AWS
	on      *cloudtest.MotoScenery
	clock   *playbook.Virtual
	account string
	actions respond.Actions
}

func onPlainMoto(t *testing.T, account string) *plainly {
	t.Helper()
	clock := playbook.NewVirtual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	_, on := cloudtest.OnMoto(t, motoURL, account, clock.Now, func(time.Duration) {}, proxy.Options{Timing: cloudtest.Slow})
	api := cloud.New(config.AWS{Region: cloudtest.Region, EndpointURL: motoURL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}).Responses(cloudtest.Roles)
	return &plainly{t: t, api: api, on: on, clock: clock, account: account, actions: respond.NewActions(ec2.Actions())}
}

func (p *plainly) place(role awscalls.Role) awscalls.Place {
	return awscalls.Place{Account: p.account, Region: cloudtest.Region, Role: role, Incident: "INC-42"}
}

// plan is that of the containment of a host.
func (p *plainly) plan(host string) *respond.Plan {
	p.t.Helper()
	r := respond.Request{Incident: &incident.Incident{Number: 42}, Policy: respond.DefaultPolicy(), Requester: "ada", Now: p.clock.Now(),
		Target: respond.Target{Kind: finding.KindInstance, ID: host, Account: p.account, Region: cloudtest.Region}}
	w, err := ec2.Playbook().Describe(p.t.Context(), p.api, r)
	if err != nil {
		p.t.Fatal(err)
	}
	d, err := ec2.Playbook().Draft(w, r)
	if err != nil {
		p.t.Fatal(err)
	}
	return &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01plain", Incident: 42, Playbook: ec2.Name, Target: d.Target, Steps: d.Steps}
}

// run carries a plan out; nothing of it may fail but that an interface is kept, as
// moto cannot change that.
func (p *plainly) run(id respond.RunID, plan *respond.Plan) (records map[string]playbook.Record) {
	p.t.Helper()
	e := respond.Executor{Actions: p.actions, AWS: p.api, Owed: &owed{rows: map[string]respond.Owed{}}, Policy: respond.DefaultPolicy()}
	runner := playbook.Runner{Journal: &playbook.Memory{}, Clock: p.clock}
	err := runner.Run(p.t.Context(), func(c playbook.Context) (err error) {
		records, err = e.Execute(c, id, plan)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if records[id].State == playbook.Failed && !strings.HasPrefix(id, ec2.StageProtect+"/eni-") {
			p.t.Errorf("step %s failed: %s", id, records[id].Message)
		}
	}
	return records
}

// undo takes a run back.
func (p *plainly) undo(id respond.RunID, plan *respond.Plan, records map[string]playbook.Record) {
	p.t.Helper()
	u, err := respond.UndoPlan(plan, id, records, p.actions)
	if err != nil {
		p.t.Fatal(err)
	}
	p.run(id+"undo", u)
}

func TestTheTargetIsGoneAndBackWithoutTheHelpOfTheScalingGroup(t *testing.T) {
	t.Parallel()
	p := onPlainMoto(t, "333333333334")
	on, api, account := p.on, p.api, p.account
	vpc := on.VPC(false)
	subnet := on.Subnet(vpc, "a")
	byGroup, byHand := on.TargetGroup("payments", vpc), on.TargetGroup("by-hand", vpc)
	host := on.Group("payments-asg", subnet, 1, 2, 4, byGroup)[0]
	elb, err := api.ELBv2(t.Context(), p.place(awscalls.Act))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elb.RegisterTargets(t.Context(), &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: &byHand, Targets: []elbv2types.TargetDescription{{Id: &host}}}); err != nil {
		t.Fatal(err)
	}
	holds := func(arn string) bool { return slices.Contains(targets(t, api, account, arn), host) }
	if !holds(byGroup) || !holds(byHand) {
		t.Fatal("it is in no target group to begin with")
	}

	before := targets(t, api, account, byGroup)
	plan := p.plan(host)
	records := p.run("run_01plain", plan)
	if holds(byGroup) || holds(byHand) {
		t.Error("it is still in a target group")
	}
	if len(targets(t, api, account, byGroup)) == 0 {
		t.Error("another instance was taken out too")
	}
	p.undo("run_01plain", plan, records)
	if !holds(byGroup) || !holds(byHand) {
		t.Error("it is not back in its target groups")
	}
	// The replacement is ended, and moto leaves it in the target group.
	if now := targets(t, api, account, byGroup); !slices.Equal(now, before) {
		t.Errorf("the target group has %v, and had %v", now, before)
	}
}
