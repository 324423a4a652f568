package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func (r *rig) logs() awscalls.Logs {
	r.t.Helper()
	return must(r.w.AWS().Logs(r.t.Context(), awscalls.Place{Account: acct, Region: region, Role: awscalls.Read, Incident: "INC-42"}))(r.t)
}

// lines are all events of a log group, page by page.
func (r *rig) lines(in cloudwatchlogs.FilterLogEventsInput) (lines, streams []string) {
	r.t.Helper()
	for {
		out := must(r.logs().FilterLogEvents(r.t.Context(), &in))(r.t)
		for _, e := range out.Events {
			lines, streams = append(lines, *e.Message), append(streams, *e.LogStreamName)
		}
		if out.NextToken == nil {
			return lines, streams
		}
		in.NextToken = out.NextToken
	}
}

func TestAFlowLogDeliversWhatGoesThroughAnInterfaceLater(t *testing.T) {
	t.Parallel()
	var eni, quiet string
	r := newRig(t, sim.Options{PageSize: 3}, func(e *sim.Editor) {
		vpc := e.AddVPC(acct, region, sim.VPCSpec{})
		subnet := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc})
		eni = e.InterfaceOf(acct, region, e.AddInstance(acct, region, sim.InstanceSpec{Subnet: subnet}), 0)
		quiet = e.InterfaceOf(acct, region, e.AddInstance(acct, region, sim.InstanceSpec{Subnet: subnet}), 0)
		e.AddFlowLog(acct, region, subnet, "flows")
		if e.OpenFlow(acct, region, eni, sim.FlowSpec{}) == "" {
			t.Fatal("the connection does not begin")
		}
	})
	begin := r.clock.Now()
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("flows"), LogStreamNamePrefix: aws.String(eni + "-"), StartTime: aws.Int64(begin.UnixMilli())}
	if lines, _ := r.lines(in); len(lines) > 0 {
		t.Errorf("it is delivered at once: %v", lines)
	}
	r.pass(5 * time.Minute)
	lines, streams := r.lines(in)
	if len(lines) != 4 || slices.ContainsFunc(streams, func(s string) bool { return s != eni+"-all" }) {
		t.Fatalf("the records are %q in %q", lines, streams)
	}
	if f := strings.Fields(lines[0]); len(f) != 14 || f[2] != eni || f[4] != "198.51.100.7" || f[6] != "443" || f[12] != "ACCEPT" || f[13] != "OK" {
		t.Errorf("the first record is %q", lines[0])
	}
	in.LogStreamNamePrefix = aws.String(quiet)
	lines, _ = r.lines(in)
	if len(lines) == 0 || !strings.HasSuffix(lines[0], " - NODATA") {
		t.Errorf("an interface without traffic has %q", lines)
	}
	in.LogStreamNamePrefix, in.FilterPattern = nil, aws.String("?ACCEPT ?SKIPDATA")
	if lines, _ = r.lines(in); len(lines) != 4 {
		t.Errorf("by the pattern it is %q", lines)
	}
}

func TestAConnectionThatIsCutFartherOnStillLeavesItsInterface(t *testing.T) {
	t.Parallel()
	var eni, public, vpc string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		vpc = e.AddVPC(acct, region, sim.VPCSpec{})
		public = e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc})
		private := e.AddSubnet(acct, region, sim.SubnetSpec{VPC: vpc, Route: "nat", NAT: public})
		eni = e.InterfaceOf(acct, region, e.AddInstance(acct, region, sim.InstanceSpec{Subnet: private}), 0)
		e.AddFlowLogOf(acct, region, sim.FlowLogSpec{Resource: eni, Group: "flows", Format: "${flow-direction} ${action} ${start}"})
		e.OpenFlow(acct, region, eni, sim.FlowSpec{})
	})
	r.pass(time.Minute)
	own := must(r.CreateNetworkAcl(t.Context(), &ec2.CreateNetworkAclInput{VpcId: &vpc}))(t).NetworkAcl.NetworkAclId
	for _, a := range must(r.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: filter("association.subnet-id", public)}))(t).NetworkAcls[0].Associations {
		if *a.SubnetId == public {
			must(r.ReplaceNetworkAclAssociation(t.Context(), &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: own}))(t)
		}
	}
	cut := r.clock.Now()
	r.pass(10 * time.Minute)
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("flows"), StartTime: aws.Int64(cut.Add(time.Minute).UnixMilli())}
	lines, _ := r.lines(in)
	if len(lines) == 0 {
		t.Fatal("there are no records")
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "egress ACCEPT ") {
			t.Errorf("a record is %q", l)
		}
	}
}

func TestTheRefusalsOfLogEventsAreThoseOfAWS(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		e.AddLogEvents(acct, region, "own", "a", time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC), "one", "two")
	})
	for _, c := range []struct {
		name, want string
		in         cloudwatchlogs.FilterLogEventsInput
	}{
		{"no group", "InvalidParameterException", cloudwatchlogs.FilterLogEventsInput{}},
		{"both names of a group", "InvalidParameterException", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("own"), LogGroupIdentifier: aws.String("own")}},
		{"prefix and names", "InvalidParameterException", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("own"), LogStreamNamePrefix: aws.String("a"), LogStreamNames: []string{"a"}}},
		{"too many", "InvalidParameterException", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("own"), Limit: aws.Int32(10001)}},
		{"no such group", "ResourceNotFoundException", cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("other")}},
		{"well formed", "", cloudwatchlogs.FilterLogEventsInput{LogGroupIdentifier: aws.String("arn:aws:logs:us-east-1:111111111111:log-group:own:*")}},
	} {
		_, err := r.logs().FilterLogEvents(t.Context(), &c.in)
		if got := code(err); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
