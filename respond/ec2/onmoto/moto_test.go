package onmoto_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/ec2"
)

var motoURL string

func TestMain(m *testing.M) {
	server, err := cloudtest.StartMoto()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	motoURL = server.URL
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

type owed struct {
	mu   sync.Mutex
	rows map[string]respond.Owed
}

func (o *owed) Owe(_ context.Context, row respond.Owed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows[row.ID] = row
	return nil
}

func (o *owed) Settle(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rows, id)
	return nil
}

// webGroup makes a security group as a colleague would.
func webGroup(t *testing.T, api awscalls.AWS, account, vpc string) string {
	t.Helper()
	c, err := api.EC2(t.Context(), awscalls.Place{Account: account, Region: cloudtest.Region, Role: awscalls.Act, Incident: "INC-42"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.CreateSecurityGroup(t.Context(), &awsec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("web"), VpcId: &vpc})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.GroupId)
}

// join puts the instance into its Auto Scaling group and behind its balancer.
func join(t *testing.T, api awscalls.AWS, account, instance string) {
	t.Helper()
	place := awscalls.Place{Account: account, Region: cloudtest.Region, Role: awscalls.Act, Incident: "INC-42"}
	a, err := api.AutoScaling(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AttachInstances(t.Context(), &autoscaling.AttachInstancesInput{AutoScalingGroupName: aws.String("payments-asg"), InstanceIds: []string{instance}}); err != nil {
		t.Fatal(err)
	}
	b, err := api.ELB(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.RegisterInstancesWithLoadBalancer(t.Context(), &elasticloadbalancing.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: aws.String("old-lb"), Instances: []elbtypes.Instance{{InstanceId: &instance}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestContainAndUndoOnTheWire(t *testing.T) {
	t.Parallel()
	const account = "333333333333"
	clock := playbook.NewVirtual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	move := func(d time.Duration) { _ = clock.Sleep(context.Background(), d, nil) }
	api, on := cloudtest.OnMoto(t, motoURL, account, clock.Now, move, proxy.Options{Timing: cloudtest.Slow})

	vpc := on.VPC(true)
	subnets := []string{on.Subnet(vpc, "a"), on.Subnet(vpc, "a")}
	on.Role("payments-role", "/app/")
	on.Profile("web-profile", "payments-role")
	group := webGroup(t, api, account, vpc)
	host := on.Launch(cloudtest.Launch{Subnets: subnets, Groups: []string{group}, Disks: []cloudtest.Disk{{GiB: 5}, {GiB: 6, Encrypted: true}}, Profile: "web-profile"})
	on.Address(host.Interfaces[0])
	on.Agent(host.ID)
	target := on.TargetGroup("payments", vpc)
	on.Group("payments-asg", subnets[0], 1, 1, 4, target)
	on.LoadBalancer("old-lb", subnets[0])
	join(t, api, account, host.ID)

	ctx := context.Background()
	place := awscalls.Place{Account: account, Region: cloudtest.Region, Role: awscalls.Read, Incident: "INC-42"}
	before, err := ec2.Describe(ctx, api, place, host.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Interfaces) != 2 || len(before.Volumes) != 3 || len(before.Addresses) != 1 || before.Profile == nil || before.Profile.Role != "payments-role" || before.Scaling == nil || len(before.Targets) != 1 || len(before.Classic) != 1 || len(before.Unknown) > 0 {
		t.Fatalf("described: %+v", before)
	}
	policy := respond.DefaultPolicy()
	policy.NACL = "always"
	r := respond.Request{Incident: &incident.Incident{Number: 42}, Policy: policy, Requester: "ada", Now: clock.Now(),
		Target: respond.Target{Kind: finding.KindInstance, ID: host.ID, Account: account, Region: cloudtest.Region}}
	w, err := ec2.Playbook().Describe(ctx, api, r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ec2.Playbook().Draft(w, r)
	if err != nil {
		t.Fatal(err)
	}
	p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01moto", Incident: 42, Playbook: ec2.Name, Target: d.Target, Steps: d.Steps}
	rows := &owed{rows: map[string]respond.Owed{}}
	run := func(id respond.RunID, p *respond.Plan) map[string]playbook.Record {
		e := respond.Executor{Actions: respond.NewActions(ec2.Actions()), AWS: api, Owed: rows, Policy: policy}
		runner := playbook.Runner{Journal: &playbook.Memory{}, Clock: clock}
		var records map[string]playbook.Record
		err := runner.Run(ctx, func(c playbook.Context) (err error) {
			records, err = e.Execute(c, id, p)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range slices.Sorted(maps.Keys(records)) {
			if s := records[id].State; s != playbook.Completed && s != playbook.Skipped {
				t.Errorf("step %s is %s: %s", id, s, records[id].Message)
			}
		}
		if len(rows.rows) > 0 {
			t.Errorf("owed: %+v", rows.rows)
		}
		return records
	}
	records := run("run_01moto", p)
	if !strings.Contains(records[ec2.StepPreflight].Message, "would be allowed") || strings.Contains(records[ec2.StepPreflight].Message, "no answer") {
		t.Errorf("preflight: %s", records[ec2.StepPreflight].Message)
	}
	during, err := ec2.Describe(ctx, api, place, host.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range during.Interfaces {
		if len(n.Groups) != 1 || n.Groups[0] == group {
			t.Errorf("%s is in %v", n.ID, n.Groups)
		}
	}
	for _, g := range during.Groups {
		if g.Rules != 0 || !strings.HasPrefix(g.Name, "guardroom-contain") {
			t.Errorf("the group is %+v", g)
		}
	}
	if during.Profile != nil || during.Scaling != nil || len(during.Targets) > 0 || len(during.Classic) > 0 || len(during.Addresses) > 0 || during.Metadata.Endpoint != "disabled" || !during.Attributes.DisableTermination {
		t.Errorf("a door is open: %+v", during)
	}
	if drift, err := respond.Check(ctx, api, respond.NewActions(ec2.Actions()), p, records); err != nil || len(drift) > 0 {
		t.Errorf("drift %v (%v)", drift, err)
	}
	u, err := respond.UndoPlan(p, "run_01moto", records, respond.NewActions(ec2.Actions()))
	if err != nil {
		t.Fatal(err)
	}
	run("run_01undo", u)
	after, err := ec2.Describe(ctx, api, place, host.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*ec2.World{before, after} {
		w.Profile.Association = ""
		for i := range w.Addresses {
			w.Addresses[i].Association = ""
		}
		for i := range w.Subnets {
			w.Subnets[i].Association = ""
		}
	}
	if diff := cmp.Diff(before, after, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}
