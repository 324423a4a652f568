package onmoto_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
)

// Moto takes events of about now only, so this test begins at the time that it is.
func TestFlowRecordsProveTheIsolationOnTheWire(t *testing.T) {
	t.Parallel()
	const account = "333333333335"
	clock := playbook.NewVirtual(time.Now().UTC().Truncate(time.Second))
	move := func(d time.Duration) {
		if err := clock.Sleep(t.Context(), d, nil); err != nil {
			t.Error(err)
		}
	}
	api, on := cloudtest.OnMoto(t, motoURL, account, clock.Now, move, proxy.Options{Timing: cloudtest.Slow})
	vpc := on.VPC(false)
	host := on.Launch(cloudtest.Launch{Subnets: []string{on.Subnet(vpc, "a")}, Groups: []string{webGroup(t, api, account, vpc)}})
	eni := host.Interfaces[0]

	logs, owner := cloudwatchlogs.NewFromConfig(on.Config), awsec2.NewFromConfig(on.Config)
	built := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	on.Role("flow-logs", "/")
	built(logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("flows")}))
	built(owner.CreateFlowLogs(t.Context(), &awsec2.CreateFlowLogsInput{ResourceIds: []string{vpc}, ResourceType: ec2types.FlowLogsResourceTypeVpc, TrafficType: ec2types.TrafficTypeAll,
		LogGroupName: aws.String("flows"), DeliverLogsPermissionArn: aws.String("arn:aws:iam::" + account + ":role/flow-logs")}))
	for _, stream := range []string{eni + "-all", "eni-0aaaaaaaaaaaaaaa1-all"} {
		built(logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("flows"), LogStreamName: &stream}))
	}
	write := func(stream, line string) {
		at := clock.Now()
		line = strings.NewReplacer("ENI", eni, "START", fmt.Sprint(at.Unix())).Replace(line)
		built(logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("flows"), LogStreamName: aws.String(stream + "-all"),
			LogEvents: []logtypes.InputLogEvent{{Timestamp: aws.Int64(at.UnixMilli()), Message: &line}}}))
	}

	policy := respond.DefaultPolicy()
	r := respond.Request{Incident: &incident.Incident{Number: 42}, Policy: policy, Requester: "ada", Now: clock.Now(),
		Target: respond.Target{Kind: finding.KindInstance, ID: host.ID, Account: account, Region: cloudtest.Region}}
	w, err := ec2.Playbook().Describe(t.Context(), api, r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ec2.Playbook().Draft(w, r)
	if err != nil {
		t.Fatal(err)
	}
	p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01proof", Incident: 42, Playbook: ec2.Name, Target: d.Target, Steps: d.Steps}
	actions := respond.NewActions(ec2.Actions())
	e := respond.Executor{Actions: actions, AWS: api, Owed: &owed{rows: map[string]respond.Owed{}}, Policy: policy}
	runner := playbook.Runner{Journal: &playbook.Memory{}, Clock: clock}
	var records map[string]playbook.Record
	if err := runner.Run(t.Context(), func(c playbook.Context) (err error) {
		records, err = e.Execute(c, "run_01proof", p)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	last := respond.VerdictsOf(p, records)
	word := func() string {
		t.Helper()
		list, err := respond.Prove(t.Context(), api, actions, p, records, clock.Now(), last)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v (%v)", list, err)
		}
		last = list
		return list[0].Word
	}
	move(11 * time.Minute)
	write("eni-0aaaaaaaaaaaaaaa1", "2 1 eni-0aaaaaaaaaaaaaaa1 203.0.113.7 10.0.0.9 50000 22 6 1 40 START START ACCEPT OK")
	move(time.Minute)
	if got := word(); !strings.Contains(got, "has delivered nothing since") {
		t.Errorf("without records of its own it is %q", got)
	}
	write(eni, "2 1 ENI 203.0.113.7 10.0.0.5 50000 22 6 1 40 START START REJECT OK")
	move(time.Minute)
	if got := word(); got != respond.Isolated {
		t.Errorf("with records it is %q", got)
	}
	write(eni, "2 1 ENI 203.0.113.7 10.0.0.5 50000 22 6 1 40 START START ACCEPT OK")
	move(time.Minute)
	if got := word(); !strings.HasPrefix(got, "open: ") || !strings.Contains(got, "203.0.113.7 tcp 22 in") {
		t.Errorf("with traffic it is %q", got)
	}
}
