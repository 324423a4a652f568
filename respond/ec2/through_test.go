package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const stepMemory = "memory"

// remembering is a containment with a step that needs the agent after isolation.
type remembering struct{ contain }

func (remembering) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	d, refused, err := Through(w, r, stepMemory)
	if err == nil && refused == "" {
		d.Steps = append(d.Steps, respond.Step{ID: stepMemory, Action: "test.memory", Stage: "memory", Title: "ask the agent for three minutes", Role: awscalls.Act, Account: r.Target.Account, Region: r.Target.Region,
			Effect: respond.Creates, After: Before(d.Steps, stepMemory), TimeoutSeconds: int64(ThroughLimit / time.Second)})
	}
	return d, err
}

// asking asks the agent again and again; it is skipped where that does not answer.
func asking(during func()) respond.Action {
	return respond.Action{Name: "test.memory", Do: func(x *respond.Exec) (playbook.Outcome, error) {
		for x.Spent() < 3*time.Minute {
			online := false
			err := x.Look(func(ctx context.Context) error {
				c, err := x.AWS.SSM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
				if err != nil {
					return err
				}
				out, err := c.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{})
				for _, i := range out.InstanceInformationList {
					online = online || i.PingStatus == ssmtypes.PingStatusOnline
				}
				return err
			})
			switch {
			case err != nil:
				return playbook.Outcome{}, err
			case !online:
				return skipped("the agent does not answer")
			}
			if during != nil {
				during()
			}
			if err := x.Sleep(time.Minute); err != nil {
				return playbook.Outcome{}, err
			}
		}
		return done("the agent answered all the time")
	}}
}

// endpointed is an instance in a VPC with the endpoints of Systems Manager in
// another subnet, and with a gateway to S3.
type endpointed struct {
	*rig
	vpc, subnet, eni, second string
	group                    string // of the endpoints, as the console proposes it: hosts share it
	endpoints                []string
	neighbour                string // the address of such a host
}

func newEndpointed(t testing.TB, change func(e *sim.Editor, x *endpointed), options ...func(o *sim.Options)) *endpointed {
	t.Helper()
	x := &endpointed{}
	x.rig = newRig(t, func(e *sim.Editor) string {
		x.vpc = e.AddVPC(acct, rgn, sim.VPCSpec{IPv6: true})
		x.subnet = e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: x.vpc, Route: "none"})
		other := e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: x.vpc, Route: "none"})
		e.AddRole(acct, sim.Role{Name: "host-role"})
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: x.subnet, Profile: e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "host", Role: "host-role"}).ARN,
			Interfaces: []sim.InterfaceSpec{{}, {Subnet: other}}})
		x.eni, x.second = e.InterfaceOf(acct, rgn, id, 0), e.InterfaceOf(acct, rgn, id, 1)
		x.group = e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: x.vpc, Name: "endpoints-and-hosts", Rules: []sim.RuleSpec{{Protocol: "tcp", From: 443, To: 443, CIDR: "10.0.0.0/8"}, {Egress: true}}})
		for _, service := range []string{"ssm", "ssmmessages", "ec2messages"} {
			x.endpoints = append(x.endpoints, e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: x.vpc, Service: service, Interface: true, Subnets: []string{other}, Groups: []string{x.group}}))
		}
		x.neighbour = e.InterfaceOf(acct, rgn, e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: other, Groups: []string{x.group}}), 0)
		e.AddVPCEndpoint(acct, rgn, sim.EndpointSpec{VPC: x.vpc})
		e.SetAgent(acct, rgn, sim.SSMAgent{Instance: id, Version: "3.2.0.0"})
		if change != nil {
			change(e, x)
		}
		return id
	}, options...)
	x.remember(nil)
	x.Policy.Order = "isolate_first"
	return x
}

// remember sets what happens while memory is taken.
func (x *endpointed) remember(during func()) {
	x.Playbook = remembering{}
	x.Bench.Actions = respond.NewActions(Actions(), []respond.Action{asking(during)})
}

// address is the first address of an interface.
func (x *endpointed) address(eni string) string {
	x.T.Helper()
	out, err := x.client().DescribeNetworkInterfaces(context.Background(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni}})
	if err != nil {
		x.T.Fatal(err)
	}
	return aws.ToString(out.NetworkInterfaces[0].PrivateIpAddress)
}

// ways are the rules that lead to the endpoints.
func (x *endpointed) ways() []throughRule {
	x.T.Helper()
	out, err := x.client().DescribeVpcEndpoints(context.Background(), &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: x.endpoints})
	if err != nil {
		x.T.Fatal(err)
	}
	var list []throughRule
	for _, e := range out.VpcEndpoints {
		at, err := x.client().DescribeNetworkInterfaces(context.Background(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: e.NetworkInterfaceIds})
		if err != nil {
			x.T.Fatal(err)
		}
		for _, n := range at.NetworkInterfaces {
			list = append(list, throughRule{CIDR: aws.ToString(n.PrivateIpAddress) + "/32"})
			for _, six := range n.Ipv6Addresses {
				list = append(list, throughRule{CIDR: aws.ToString(six.Ipv6Address) + "/128"})
			}
		}
	}
	return list
}

// in are the groups of an interface now, by name.
func (x *endpointed) in(eni string) []string {
	x.T.Helper()
	out, err := x.client().DescribeNetworkInterfaces(context.Background(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni}})
	if err != nil {
		x.T.Fatal(err)
	}
	var names []string
	for _, g := range out.NetworkInterfaces[0].Groups {
		names = append(names, aws.ToString(g.GroupName))
	}
	return names
}

// alive reports whether a connection of an interface lives.
func (x *endpointed) alive(eni, flow string) bool {
	for _, f := range x.World.Flows(eni) {
		if f.ID == flow {
			return f.Alive
		}
	}
	return false
}

// rules are those of the groups with a name.
func (x *endpointed) rules(name string) []types.SecurityGroupRule {
	x.T.Helper()
	var out []types.SecurityGroupRule
	for _, id := range x.groupsNamed(name) {
		list, err := listRules(context.Background(), x.client(), id)
		if err != nil {
			x.T.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

func TestMemoryIsTakenThroughEndpointsWhileEverythingElseIsCut(t *testing.T) {
	t.Parallel()
	x := newEndpointed(t, nil)
	var inside, bucket, open string
	neighbour := x.address(x.neighbour)
	x.edit(func(e *sim.Editor) {
		inside = e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: "10.0.9.9", Inbound: true})
		bucket = e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: sim.ServiceOfS3})
		open = e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: neighbour, Port: 443})
	})
	if inside == "" || bucket == "" || open == "" {
		t.Fatal("there are no connections: the case proves nothing")
	}
	before := lasting(x.world(x.id))
	asked := 0
	x.remember(func() {
		asked++
		if got := x.in(x.eni); !slices.Equal(got, []string{throughName}) {
			t.Errorf("while memory is taken the first interface is in %v", got)
		}
		if got := x.in(x.second); !slices.Equal(got, []string{containName}) {
			t.Errorf("while memory is taken the second interface is in %v", got)
		}
		missing, in, out := compare(append(x.ways(), throughRule{List: sim.PrefixList}), x.rules(throughName))
		if len(missing)+len(in)+len(out) > 0 {
			t.Errorf("%s lacks %v and has besides %v %v", throughName, missing, in, out)
		}
		if x.alive(x.eni, inside) {
			t.Error("a connection of before lives on")
		}
		x.edit(func(e *sim.Editor) {
			if e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: "10.0.9.9", Inbound: true}) != "" || e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: "10.0.9.9"}) != "" {
				t.Error("a new connection is let through")
			}
			if e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: neighbour, Port: 443}) != "" {
				t.Error("a host in the group of the endpoints is to be reached")
			}
			bucket = e.OpenFlow(acct, rgn, x.eni, sim.FlowSpec{Remote: sim.ServiceOfS3})
		})
		if bucket == "" {
			t.Error("S3 is not to be reached, so memory cannot be sent")
		}
		if w := x.world(x.id); w.Profile == nil || w.Metadata.Endpoint == "disabled" {
			t.Error("the agent has no credentials")
		}
	})
	p := x.Plan()
	for _, want := range []string{"port 443 to the endpoints of ssm, ssmmessages and ec2messages", sim.PrefixList, "at most 30 minutes", "the credentials of " + x.id} {
		if !slices.ContainsFunc(p.WillNot, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("the plan does not say %q: %q", want, p.WillNot)
		}
	}
	records := x.run(p)
	x.well(records)
	if asked != 3 || records[stepMemory].State != playbook.Completed {
		t.Fatalf("memory: asked %d times, %s: %s", asked, records[stepMemory].State, records[stepMemory].Message)
	}
	x.isolated()
	x.Pass(time.Minute)
	if x.alive(x.eni, bucket) {
		t.Error("a connection to S3 that was opened meanwhile lives on")
	}
	if w := x.world(x.id); w.Profile != nil || w.Metadata.Endpoint != "disabled" {
		t.Error("the credentials are not cut off in the end")
	}
	if left := x.rules(throughName); len(left) > 0 {
		t.Errorf("%s still has rules: %+v", throughName, left)
	}
	if left := x.groupsNamed(convertName); len(left) > 0 {
		t.Errorf("convert groups are left: %v", left)
	}
	if state, contained, _ := x.Result(p, records); state != respond.RunCompleted || !contained {
		t.Errorf("the run is %s, contained %v", state, contained)
	}
	if drift, err := respond.Check(t.Context(), x.AWS, x.Actions, p, records); err != nil || len(drift) > 0 {
		t.Errorf("drift %v (%v)", drift, err)
	}
	x.well(x.undone(p, records))
	x.Pass(10 * time.Minute)
	if diff := diffWorlds(before, lasting(x.world(x.id))); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}

func TestMemoryAfterIsolationIsRefusedWhereNothingButTheInternetLeadsToTheAgent(t *testing.T) {
	t.Parallel()
	without := func(f func(e Endpoint) bool) func(*World, *respond.Request) {
		return func(w *World, _ *respond.Request) { w.Endpoints = slices.DeleteFunc(w.Endpoints, f) }
	}
	each := func(f func(e *Endpoint)) func(*World, *respond.Request) {
		return func(w *World, _ *respond.Request) {
			for i := range w.Endpoints {
				f(&w.Endpoints[i])
			}
		}
	}
	cases := []struct {
		name   string
		change func(w *World, r *respond.Request)
		want   string // empty: not refused
	}{
		{"endpoints of all three, and a gateway", func(*World, *respond.Request) {}, ""},
		{"no endpoint at all", without(func(Endpoint) bool { return true }), "vpc-1 has no endpoint of ssm, ssmmessages and ec2messages, and port 443 is never opened to the internet"},
		{"no endpoint of ssm", without(func(e Endpoint) bool { return e.Service == "ssm" }), "no endpoint of ssm,"},
		{"no endpoint of ec2messages, and an old agent", without(func(e Endpoint) bool { return e.Service == "ec2messages" }), "no endpoint of ec2messages"},
		{"no endpoint of ec2messages, and a new agent", func(w *World, r *respond.Request) {
			without(func(e Endpoint) bool { return e.Service == "ec2messages" })(w, r)
			w.Agent.Version = "3.3.40.0"
		}, ""},
		{"no gateway of S3", without(func(e Endpoint) bool { return e.Gateway }), "subnet-1 has no route to a gateway endpoint of S3"},
		{"a gateway that the subnet has no route to", func(w *World, _ *respond.Request) { w.Subnets[0].Gateways = nil }, "subnet-1 has no route"},
		{"endpoints that the name does not lead to", each(func(e *Endpoint) { e.Named = false }), "no endpoint of ssm"},
		{"endpoints that are being made", each(func(e *Endpoint) { e.State = "pending" }), "no endpoint of ssm"},
		{"endpoints of another VPC", each(func(e *Endpoint) { e.VPC = "vpc-9" }), "no endpoint of ssm"},
		{"endpoints whose addresses cannot be seen", each(func(e *Endpoint) { e.Addresses = nil }), "the addresses of vpce-ssm (ssm), vpce-ssmmessages (ssmmessages) and vpce-ec2messages (ec2messages) are not to be seen, and port 443"},
		{"endpoints that let in only the group that the instance has now", each(func(e *Endpoint) { e.Admits = []string{"sg-web"} }), "let guardroom-contain-ssm in to port 443"},
		{"endpoints that let in other addresses", each(func(e *Endpoint) { e.Admits = []string{"10.9.0.0/16"} }), "(ssm) do not let it in"},
		{"endpoints that let in our group by its id", func(w *World, r *respond.Request) {
			each(func(e *Endpoint) { e.Admits = []string{"sg-ours"} })(w, r)
			w.Through = []string{"sg-ours"}
		}, ""},
		{"endpoints that cannot be seen", func(w *World, _ *respond.Request) {
			w.Unknown = []string{"ec2.DescribeVpcEndpoints: UnauthorizedOperation"}
		}, "AWS did not answer which endpoints there are"},
		{"a first interface that a service manages", func(w *World, _ *respond.Request) { w.Interfaces[0].Manager = "eks" }, "managed by eks"},
		{"evidence in another region", func(_ *World, r *respond.Request) { r.Policy.Evidence.Region = "us-east-1" }, "evidence bucket in us-east-1"},
		{"data that is leaving", func(_ *World, r *respond.Request) { r.Type = "Exfiltration:EC2/Something" }, "because data is leaving"},
		{"data that is leaving, and a policy that wants it nevertheless", func(_ *World, r *respond.Request) {
			r.Type, r.Policy.MemoryAfter = "Exfiltration:EC2/Something", "always"
		}, ""},
		{"a policy that forbids it", func(_ *World, r *respond.Request) { r.Policy.MemoryAfter = "never" }, "memory_after_isolation"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plainWorld()
			w.Subnets[0].Gateways = []Gateway{{Endpoint: "vpce-s3", List: "pl-1"}}
			w.Endpoints = []Endpoint{{ID: "vpce-s3", VPC: "vpc-1", Service: "s3", Gateway: true, State: "available"}}
			for _, service := range []string{"ssm", "ssmmessages", "ec2messages"} {
				w.Endpoints = append(w.Endpoints, Endpoint{ID: "vpce-" + service, VPC: "vpc-1", Service: service, Named: true, State: "available", Groups: []string{"sg-end"}, Addresses: []string{"10.0.7.7/32"}, Admits: []string{"10.0.0.0/16"}})
			}
			r := testRequest(respond.DefaultPolicy())
			c.change(w, &r)
			d, refused, err := Through(respond.World{Value: Described{World: w}}, r, stepMemory)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && refused != "" || !strings.Contains(refused, c.want) {
				t.Fatalf("refused: %q, want %q", refused, c.want)
			}
			late := slices.ContainsFunc(d.Steps, func(s respond.Step) bool { return slices.Contains(s.After, stepMemory) })
			if late == (refused != "") {
				t.Errorf("refused %q, and the steps are %v", refused, stepIDs(d))
			}
		})
	}
}

func TestAGroupOfTheNameThatIsNotOursIsNotUsedForMemory(t *testing.T) {
	t.Parallel()
	var foreign string
	x := newEndpointed(t, func(e *sim.Editor, x *endpointed) {
		foreign = e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: x.vpc, Name: throughName})
	})
	p := x.Plan()
	records := x.run(p)
	x.well(records)
	x.isolated()
	var id string
	if records["groups/endpoints"].Load(savedGroup, &id); id == "" || id == foreign {
		t.Errorf("the group is %q", id)
	}
	if list, err := listRules(t.Context(), x.client(), foreign); err != nil || len(list) == 0 {
		t.Errorf("the group of somebody else has %d rules (%v)", len(list), err)
	}
}

func TestRulesThatSomebodyAddedToOurGroupAreTakenAwayBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	x := newEndpointed(t, func(e *sim.Editor, x *endpointed) {
		e.AddSecurityGroup(acct, rgn, sim.SecurityGroupSpec{VPC: x.vpc, Name: throughName, Tags: map[string]string{respond.TagRun: "run_01old"},
			Rules: []sim.RuleSpec{{Egress: true, CIDR6: "::/0"}, {Protocol: "tcp", From: 22, To: 22}, {Egress: true, Protocol: "tcp", From: 443, To: 443, PrefixList: sim.PrefixList}, {Egress: true, Protocol: "tcp", From: 443, To: 443}}})
	})
	seen := 0
	x.remember(func() { seen = len(x.rules(throughName)) })
	records := x.run(x.Plan())
	x.well(records)
	if seen != len(x.ways())+1 {
		t.Errorf("while memory was taken the group had %d rules", seen)
	}
}

func TestWhereTheGroupIsNotAsPlannedTheInterfaceIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	x := newEndpointed(t, nil)
	p := x.Plan()
	x.Ended = func(rec playbook.Record) {
		if rec.Name == "groups/endpoints" {
			id := x.groupsNamed(throughName)[0]
			x.edit(func(e *sim.Editor) { e.AddRule(acct, rgn, id, sim.RuleSpec{Egress: true}) })
		}
	}
	asked := false
	x.remember(func() { asked = true })
	records := x.run(p)
	x.well(records)
	x.isolated()
	if asked || records[stepMemory].State != playbook.Skipped || !strings.Contains(records["isolate/"+x.eni].Message, "memory cannot be taken") {
		t.Errorf("asked %v; %s: %s; isolate: %s", asked, records[stepMemory].State, records[stepMemory].Message, records["isolate/"+x.eni].Message)
	}
}

func TestTheWayIsShutHoweverMemoryEnds(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(x *respond.Exec) (playbook.Outcome, error){
		"it fails": func(*respond.Exec) (playbook.Outcome, error) { return playbook.Outcome{}, conflict("no", "", "") },
		"it takes too long": func(x *respond.Exec) (playbook.Outcome, error) {
			return playbook.Outcome{}, x.Poll(func() (bool, error) { return false, nil })
		},
		"it cannot be begun":  func(*respond.Exec) (playbook.Outcome, error) { return skipped("cannot") },
		"it never gets there": func(x *respond.Exec) (playbook.Outcome, error) { return playbook.Outcome{}, unseen(x, "anything") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newEndpointed(t, nil)
			x.Bench.Actions = respond.NewActions(Actions(), []respond.Action{{Name: "test.memory", Do: do}})
			begin := x.Clock.Now()
			p := x.Plan()
			records := x.run(p)
			x.isolated()
			x.nothingOpen(point{})
			if took := x.Clock.Now().Sub(begin); took > ThroughLimit+5*time.Minute {
				t.Errorf("it took %s", took)
			}
			if _, contained, _ := x.Result(p, records); !contained {
				t.Error("it does not count as contained")
			}
		})
	}
}

func TestWhatCutsTheWayWaitsForMemoryAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	x := newEndpointed(t, nil)
	x.Policy.NACL = "always"
	p := x.Plan()
	waits := map[string]bool{}
	for _, s := range p.Steps {
		waits[s.ID] = slices.Contains(s.After, stepMemory)
	}
	for id, want := range map[string]bool{"isolate/" + x.eni: false, "isolate/" + x.second: false, "acl/" + x.subnet: true, StepRevoke: true, StepProfile: true, StepMetadata: true, StepSessions: false, "shut/" + x.eni: true, StepMark: false} {
		if got, there := waits[id]; !there || got != want {
			t.Errorf("%s is there: %v, waits: %v", id, there, got)
		}
	}
}

// A run with an open way that is killed anywhere goes on, or is swept; in the end
// nothing is open, and its undo gives the world back.
func TestDefect20ARunThatIsKilledWhileMemoryIsTakenLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	points(t, 5, func(t *testing.T, at point) bool {
		x := newEndpointed(t, nil)
		before := lasting(x.world(x.id))
		p := x.Plan()
		reached := x.at(at, x.Journal, true, func() { x.Journal.Set(playbook.Standing{Fenced: true}) })
		_, err := x.Execute(kittest.Run, p, x.Journal)
		if !reached() {
			return false
		}
		if err != nil && !errors.Is(err, playbook.ErrFenced) {
			t.Fatalf("%v: %v", at, err)
		}
		x.revive(x.Journal)
		x.Journal.Set(playbook.Standing{})
		if at.n%2 == 0 {
			x.sweepAll()
			for _, n := range x.world(x.id).Interfaces {
				if in := x.in(n.ID); slices.Contains(in, throughName) || strings.HasPrefix(in[0], convertName) {
					t.Fatalf("%v: %s is in %v after the sweep", at, n.ID, in)
				}
			}
		}
		records := x.run(p)
		x.well(records)
		x.isolated()
		x.nothingOpen(at)
		if left := x.rules(throughName); len(left) > 0 || len(x.groupsNamed(containName)) != 2 {
			t.Fatalf("%v: %d rules are left, and %d groups", at, len(left), len(x.groupsNamed(containName)))
		}
		if at.n%5 == 0 {
			x.well(x.undone(p, records))
			x.Pass(10 * time.Minute)
			if diff := diffWorlds(before, lasting(x.world(x.id))); diff != "" {
				t.Fatalf("%v: the world differs (-before +after):\n%s", at, diff)
			}
		}
		return true
	})
}

func TestAnAbortWhileMemoryIsTakenShutsTheWayAndKeepsTheContainment(t *testing.T) {
	t.Parallel()
	points(t, 5, func(t *testing.T, at point) bool {
		x := newEndpointed(t, nil)
		before := lasting(x.world(x.id))
		p := x.Plan()
		reached := x.at(at, x.Journal, false, func() { x.Journal.Set(playbook.Standing{Aborted: true}) })
		records := x.run(p)
		if !reached() {
			return false
		}
		x.revive(x.Journal)
		x.nothingOpen(at)
		for _, eni := range []string{x.eni, x.second} {
			if in := x.in(eni); slices.Contains(in, throughName) {
				t.Fatalf("%v: %s is still in %v", at, eni, in)
			}
			if records["isolate/"+eni].State == playbook.Completed && !slices.Equal(x.in(eni), []string{containName}) {
				t.Fatalf("%v: %s counts as isolated and is in %v", at, eni, x.in(eni))
			}
		}
		u, err := respond.UndoPlan(p, kittest.Run, records, x.Bench.Actions)
		if err != nil {
			return true // nothing was changed
		}
		undone, err := x.Execute(kittest.UndoRun, u, &playbook.Memory{})
		if err != nil {
			t.Fatalf("%v: %v", at, err)
		}
		x.well(undone)
		x.Pass(10 * time.Minute)
		if diff := diffWorlds(before, lasting(x.world(x.id))); diff != "" {
			t.Fatalf("%v: the world differs (-before +after):\n%s", at, diff)
		}
		return true
	})
}
