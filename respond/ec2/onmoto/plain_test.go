package onmoto_test

import (
	"maps"
	"slices"
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

func TestTheTargetIsGoneAndBackWithoutTheHelpOfTheScalingGroup(t *testing.T) {
	t.Parallel()
	const account = "333333333334"
	clock := playbook.NewVirtual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	_, on := cloudtest.OnMoto(t, motoURL, account, clock.Now, func(time.Duration) {}, proxy.Options{Timing: cloudtest.Slow})
	// moto itself, which leaves in the target group what leaves the group.
	api := cloud.New(config.AWS{Region: cloudtest.Region, EndpointURL: motoURL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}).Responses(cloudtest.Roles)
	vpc := on.VPC(false)
	subnet := on.Subnet(vpc, "a")
	byGroup, byHand := on.TargetGroup("payments", vpc), on.TargetGroup("by-hand", vpc)
	host := on.Group("payments-asg", subnet, 1, 2, 4, byGroup)[0]
	elb, err := api.ELBv2(t.Context(), awscalls.Place{Account: account, Region: cloudtest.Region, Role: awscalls.Act, Incident: "INC-42"})
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

	policy := respond.DefaultPolicy()
	r := respond.Request{Incident: &incident.Incident{Number: 42}, Policy: policy, Requester: "ada", Now: clock.Now(),
		Target: respond.Target{Kind: finding.KindInstance, ID: host, Account: account, Region: cloudtest.Region}}
	w, err := ec2.Playbook().Describe(t.Context(), api, r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ec2.Playbook().Draft(w, r)
	if err != nil {
		t.Fatal(err)
	}
	p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01plain", Incident: 42, Playbook: ec2.Name, Target: d.Target, Steps: d.Steps}
	actions := respond.NewActions(ec2.Actions())
	run := func(id respond.RunID, p *respond.Plan) (records map[string]playbook.Record) {
		e := respond.Executor{Actions: actions, AWS: api, Owed: &owed{rows: map[string]respond.Owed{}}, Policy: policy}
		runner := playbook.Runner{Journal: &playbook.Memory{}, Clock: clock}
		err := runner.Run(t.Context(), func(c playbook.Context) (err error) {
			records, err = e.Execute(c, id, p)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range slices.Sorted(maps.Keys(records)) {
			if records[id].State == playbook.Failed {
				t.Errorf("step %s failed: %s", id, records[id].Message)
			}
		}
		return records
	}
	records := run("run_01plain", p)
	if holds(byGroup) || holds(byHand) {
		t.Error("it is still in a target group")
	}
	if len(targets(t, api, account, byGroup)) == 0 {
		t.Error("another instance was taken out too")
	}
	u, err := respond.UndoPlan(p, "run_01plain", records, actions)
	if err != nil {
		t.Fatal(err)
	}
	run("run_01plainundo", u)
	if !holds(byGroup) || !holds(byHand) {
		t.Error("it is not back in its target groups")
	}
}
