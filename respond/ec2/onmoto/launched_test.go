package onmoto_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/cloudtest"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/ec2"
)

// Moto shows on each interface of an instance the groups besides that the instance
// was launched with; AWS replaces both.
func TestAnInstanceThatIsLaunchedWithGroupsIsIsolatedOnMotoItself(t *testing.T) {
	t.Parallel()
	for i, interfaces := range []int{1, 2} {
		t.Run(respond.Count(interfaces, "interface"), func(t *testing.T) {
			t.Parallel()
			account := fmt.Sprintf("33333333334%d", i)
			clock := playbook.NewVirtual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
			_, on := cloudtest.OnMoto(t, motoURL, account, clock.Now, func(time.Duration) {}, proxy.Options{Timing: cloudtest.Slow})
			api := cloud.New(config.AWS{Region: cloudtest.Region, EndpointURL: motoURL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}).Responses(cloudtest.Roles)
			vpc := on.VPC(false)
			subnet, web := on.Subnet(vpc, "a"), webGroup(t, api, account, vpc)
			c := awsec2.NewFromConfig(on.Config, func(o *awsec2.Options) { o.BaseEndpoint = &motoURL })
			out, err := c.RunInstances(t.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT3Micro,
				MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &subnet, SecurityGroupIds: []string{web}})
			if err != nil {
				t.Fatal(err)
			}
			host := aws.ToString(out.Instances[0].InstanceId)
			for n := 1; n < interfaces; n++ {
				made, err := c.CreateNetworkInterface(t.Context(), &awsec2.CreateNetworkInterfaceInput{SubnetId: &subnet, Groups: []string{web}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.AttachNetworkInterface(t.Context(), &awsec2.AttachNetworkInterfaceInput{InstanceId: &host, NetworkInterfaceId: made.NetworkInterface.NetworkInterfaceId, DeviceIndex: aws.Int32(int32(n))}); err != nil { //nolint:gosec // a handful
					t.Fatal(err)
				}
			}
			for _, in := range []string{subnet, on.Subnet(vpc, "a")} { // neither the subnet nor its network ACL is the host's alone
				if _, err := c.RunInstances(t.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT3Micro,
					MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &in}); err != nil {
					t.Fatal(err)
				}
			}
			entries := func() (list []string) {
				out, err := c.DescribeNetworkAcls(t.Context(), &awsec2.DescribeNetworkAclsInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}}})
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range out.NetworkAcls {
					for _, e := range a.Entries {
						list = append(list, fmt.Sprint(aws.ToString(a.NetworkAclId), aws.ToInt32(e.RuleNumber), aws.ToBool(e.Egress), e.RuleAction, aws.ToString(e.CidrBlock)))
					}
				}
				slices.Sort(list)
				return list
			}
			groups := func() (names [][]string) {
				list, err := c.DescribeNetworkInterfaces(t.Context(), &awsec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{host}}}})
				if err != nil {
					t.Fatal(err)
				}
				instances, err := c.DescribeInstances(t.Context(), &awsec2.DescribeInstancesInput{InstanceIds: []string{host}})
				if err != nil {
					t.Fatal(err)
				}
				of := func(list []ec2types.GroupIdentifier) (names []string) {
					for _, g := range list {
						names = append(names, aws.ToString(g.GroupName))
					}
					slices.Sort(names)
					return names
				}
				for _, n := range list.NetworkInterfaces {
					names = append(names, of(n.Groups))
				}
				return append(names, of(instances.Reservations[0].Instances[0].SecurityGroups))
			}
			before, rules := groups(), entries()

			policy := respond.DefaultPolicy()
			policy.NACL = "always"
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
			p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01launched", Incident: 42, Playbook: ec2.Name, Target: d.Target, Steps: d.Steps}
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
			records := run("run_01launched", p)
			if m := records[ec2.StepPreflight].Message; !strings.Contains(m, "would be allowed") || strings.Contains(m, "EC2.CreateNetworkAclEntry") {
				t.Errorf("preflight says %q", m)
			}
			if !slices.ContainsFunc(p.Steps, func(s respond.Step) bool {
				return s.ID == ec2.StepPreflight && strings.Contains(string(s.Params), "EC2.CreateNetworkAclEntry")
			}) {
				t.Error("no entry of a network ACL is tried")
			}
			want := slices.Repeat([][]string{{"guardroom-contain"}}, interfaces+1)
			if d := cmp.Diff(want, groups()); d != "" {
				t.Errorf("the groups of the interfaces, and of the instance (-want +got):\n%s", d)
			}
			u, err := respond.UndoPlan(p, "run_01launched", records, actions)
			if err != nil {
				t.Fatal(err)
			}
			run("run_01launchedundo", u)
			if d := cmp.Diff(rules, entries()); d != "" {
				t.Errorf("the entries of network ACLs after the undo (-before +after):\n%s", d)
			}
			if d := cmp.Diff(before, groups()); d != "" {
				t.Errorf("the groups after the undo (-before +after):\n%s", d)
			}
		})
	}
}
