package ec2

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

const testInstance = "i-0123456789abcdef0"

// plainWorld is a running instance with one interface in a public subnet, alone
// and with nothing around it.
func plainWorld() *World {
	return &World{
		InstanceID: testInstance, Account: "111122223333", Region: "eu-central-1", ARN: "arn:aws:ec2:eu-central-1:111122223333:instance/" + testInstance,
		State: "running", Type: "m7i.large", RootDeviceType: "ebs", VPC: "vpc-1", Subnet: "subnet-1", LaunchTime: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC),
		Tags: map[string]string{"Name": "web-1"}, Metadata: Metadata{State: "applied", Endpoint: "enabled", Tokens: "required", HopLimit: 1},
		Attributes: Attributes{ShutdownBehavior: "terminate"},
		Interfaces: []Interface{{ID: "eni-1", VPC: "vpc-1", Subnet: "subnet-1", Attachment: "eni-attach-1", DeleteOnTermination: true, SourceDestCheck: true, Groups: []string{"sg-web"}, IPv4: []string{"10.0.0.5"}}},
		Volumes:    []Volume{{ID: "vol-1", Device: "/dev/xvda", DeleteOnTermination: true, SizeGiB: 8}},
		Groups:     []SecurityGroup{{ID: "sg-web", Name: "web", VPC: "vpc-1", Rules: 3}},
		Subnets:    []Subnet{{ID: "subnet-1", VPC: "vpc-1", ACL: "acl-1", Association: "aclassoc-1", Internet4: true, Others: []string{"eni-9"}, Entries: []Rule{{Number: 100, Action: "allow", Protocol: "-1", CIDR: "0.0.0.0/0"}, {Number: 100, Egress: true, Action: "allow", Protocol: "-1", CIDR: "0.0.0.0/0"}}}},
	}
}

// alone takes the neighbours out of the subnet.
func alone(w *World) { w.Subnets[0].Others = nil }

// behindNAT puts the subnet behind a NAT gateway in another one, with a network
// ACL of its own or the same.
func behindNAT(w *World, acl string) {
	w.Subnets[0].Tracked, w.Subnets[0].Internet4 = []string{"nat-1"}, false
	w.ACLs = []ACL{{ID: "acl-1", Subnets: []string{"subnet-1"}, Entries: w.Subnets[0].Entries}}
	if acl == "acl-1" {
		w.ACLs[0].Subnets, w.Subnets[0].Sharers = []string{"subnet-1", "subnet-nat"}, []string{"subnet-nat"}
	} else {
		w.ACLs = append(w.ACLs, ACL{ID: acl, Subnets: []string{"subnet-nat"}, Entries: slices.Clone(w.Subnets[0].Entries)})
	}
	w.Passages = []Passage{{Of: "nat-1", Subnet: "subnet-nat", ACL: acl}}
}

// Who has no IPv6 address has no connection through a gateway that takes nothing else.
func TestAnEgressOnlyGatewayIsNoWayOutOfIPv4(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	w.Subnets[0].Tracked = []string{"eigw-1"}
	if d := draftOf(t, w, respond.DefaultPolicy()); slices.ContainsFunc(d.WillNot, func(l string) bool { return strings.Contains(l, "edge of the VPC") }) {
		t.Error(d.WillNot)
	}
}

func TestAPathThatStaysWithinTheSubnetIsSaidInThePlan(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(w *World)
		want   string
	}{
		{"a NAT gateway in the same subnet", func(w *World) { w.Passages[0].Subnet = "subnet-1" }, "stays within subnet-1"},
		{"a NAT gateway that cannot be found", func(w *World) { w.Passages = nil }, "cannot be found"},
		{"a NAT gateway whose network ACL cannot be seen", func(w *World) { w.ACLs = w.ACLs[:1] }, "cannot be seen"},
		{"an egress-only internet gateway, with IPv6", func(w *World) {
			w.Subnets[0].Tracked, w.Interfaces[0].IPv6 = []string{"eigw-1"}, []string{"2001:db8::5"}
		}, "at the edge of the VPC"},
		{"a transit gateway of another account", func(w *World) { w.Subnets[0].Tracked = []string{"tgw-1"} }, "no attachment of tgw-1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plainWorld()
			behindNAT(w, "acl-nat")
			c.change(w)
			d := draftOf(t, w, respond.DefaultPolicy())
			if !slices.ContainsFunc(d.WillNot, func(l string) bool { return strings.Contains(l, c.want) }) {
				t.Errorf("the plan will not %q", d.WillNot)
			}
			if slices.ContainsFunc(d.Steps, func(s respond.Step) bool { return s.Action == actACL }) {
				t.Errorf("the plan has a network ACL that cuts nothing: %v", stepIDs(d))
			}
		})
	}
}

func TestOnlyAFewPublicAddressesOfTheFindingAreDenied(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	w.Interfaces[0].PublicIPv4 = "198.51.100.7"
	r := testRequest(respond.DefaultPolicy())
	r.Policy.OpenWindow = "never"
	r.Target.Parts = map[string]string{respond.PartRemoteIPs: "10.0.0.9,169.254.169.254,100.64.0.1,0.0.0.0,2001:db8::1,198.51.100.7,203.0.113.1,203.0.113.2,203.0.113.3,203.0.113.4"}
	d := draft(Described{World: w}, r, nil)
	i := slices.IndexFunc(d.Steps, func(s respond.Step) bool { return s.ID == "acl/acl-1" })
	if i < 0 {
		t.Fatalf("no step: %v", stepIDs(d))
	}
	p, err := paramsOf[aclParams](d.Steps[i])
	if want := []string{"203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"}; err != nil || !slices.Equal(p.Blocks, want) {
		t.Errorf("denied are %v, want %v (%v)", p.Blocks, want, err)
	}
}

func TestNoAddressOfANetworkOfOnesOwnIsDenied(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	r := testRequest(respond.DefaultPolicy())
	r.Policy.OpenWindow, r.Policy.Own = "never", []string{"203.0.113.0/30"}
	r.Target.Parts = map[string]string{respond.PartRemoteIPs: "203.0.113.1,203.0.113.9"}
	d := draft(Described{World: w}, r, nil)
	i := slices.IndexFunc(d.Steps, func(s respond.Step) bool { return s.ID == "acl/acl-1" })
	if i < 0 {
		t.Fatalf("no step: %v", stepIDs(d))
	}
	if p, err := paramsOf[aclParams](d.Steps[i]); err != nil || !slices.Equal(p.Blocks, []string{"203.0.113.9/32"}) {
		t.Errorf("denied are %v (%v)", p.Blocks, err)
	}
	r.Target.Parts[respond.PartRemoteIPs] = "203.0.113.1"
	if ids := stepIDs(draft(Described{World: w}, r, nil)); slices.Contains(ids, "acl/acl-1") {
		t.Errorf("our own address is denied to a subnet: %v", ids)
	}
}

func testRequest(p respond.Policy) respond.Request {
	return respond.Request{Incident: &incident.Incident{Number: 42}, Type: "UnauthorizedAccess:EC2/SSHBruteForce", Role: finding.RoleActor, Policy: p,
		Target: respond.Target{Kind: finding.KindInstance, ID: testInstance, Account: "111122223333", Region: "eu-central-1"}}
}

func draftOf(t *testing.T, w *World, p respond.Policy, callers ...kit.Caller) respond.Draft {
	t.Helper()
	d, err := Playbook().Draft(respond.World{Value: Described{World: w, Callers: callers}}, testRequest(p))
	if err != nil {
		t.Fatalf("draft: %v", err)
	}
	return d
}

func stepIDs(d respond.Draft) []string {
	out := make([]string, 0, len(d.Steps))
	for _, s := range d.Steps {
		out = append(out, s.ID)
	}
	return out
}

func guardOf(d respond.Draft, name string) respond.Guard {
	for _, g := range d.Guards {
		if g.Name == name {
			return g
		}
	}
	return respond.Guard{}
}

func TestDraftAnswersEachGuardFromTheLiveInstance(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(w *World)
		guard  string
		answer respond.Answer
		why    string
	}{
		{"a running instance passes", func(*World) {}, "state of the instance", respond.Pass, ""},
		{"a terminated instance is refused", func(w *World) { w.State = "terminated" }, "state of the instance", respond.Refuse, "terminated"},
		{"a stopped instance is warned about", func(w *World) { w.State = "stopped" }, "state of the instance", respond.Warn, "stopped"},
		{"a never-touch tag refuses", func(w *World) { w.Tags[respond.TagNever] = "" }, "never-touch", respond.Refuse, respond.TagNever},
		{"a spot instance is warned about", func(w *World) { w.Lifecycle = "spot" }, "spot instance", respond.Warn, "two minutes"},
		{"an instance store is warned about", func(w *World) { w.RootDeviceType = "instance-store" }, "instance store", respond.Warn, "lost"},
		{"the last healthy target wants its line", func(w *World) {
			w.Targets = []Target{{Group: "arn:tg", Name: "payments", LB: true, Kind: "instance", ID: testInstance, Port: 80, State: "healthy", Others: 1}}
		}, "last healthy target", respond.Warn, "payments"},
		{"a target with a healthy neighbour passes", func(w *World) {
			w.Targets = []Target{{Group: "arn:tg", Name: "payments", LB: true, Kind: "instance", ID: testInstance, Port: 80, State: "healthy", Others: 1, Healthy: 1}}
		}, "last healthy target", respond.Pass, ""},
		{"a group at its minimum is warned about", func(w *World) {
			w.Scaling = &Scaling{Group: "asg", Lifecycle: inService, Min: 2, Max: 3, Desired: 2, Members: map[string]string{testInstance: inService, "i-b": inService}}
		}, "Auto Scaling group at its minimum", respond.Warn, "1 more"},
		{"a group above its minimum passes", func(w *World) {
			w.Scaling = &Scaling{Group: "asg", Lifecycle: inService, Min: 1, Max: 3, Desired: 2, Members: map[string]string{testInstance: inService, "i-b": inService}}
		}, "Auto Scaling group at its minimum", respond.Pass, ""},
		{"a shared role is warned about", func(w *World) {
			w.Profile = &Profile{ARN: "arn:aws:iam::111122223333:instance-profile/web", Name: "web", Role: "r", RoleID: "AROA1", Others: []string{"i-2"}}
		}, "shared role", respond.Warn, "only the sessions of " + testInstance},
		{"a managed interface is warned about", func(w *World) { w.Interfaces[0].Manager = "eks.amazonaws.com" }, "managed by a service", respond.Warn, "eks.amazonaws.com"},
		{"a managed instance is warned about", func(w *World) { w.Operator = "ec2.amazonaws.com" }, "managed by a service", respond.Warn, testInstance},
		{"an instance that we contained is refused", func(w *World) {
			w.Interfaces[0].Groups = []string{"sg-c"}
			w.Groups = []SecurityGroup{{ID: "sg-c", Name: containName, Tags: map[string]string{respond.TagRun: "run_1"}}}
		}, "already contained", respond.Refuse, containName},
		{"an instance that others contained is warned about", func(w *World) {
			w.Interfaces[0].Groups = []string{"sg-q"}
			w.Groups = []SecurityGroup{{ID: "sg-q", Name: "quarantine"}}
		}, "already contained", respond.Warn, "not by guardroom"},
		{"a foreign group of our name with a rule is not ours", func(w *World) {
			w.Interfaces[0].Groups = []string{"sg-c"}
			w.Groups = []SecurityGroup{{ID: "sg-c", Name: containName, Rules: 1, Tags: map[string]string{respond.TagRun: "run_1"}}}
		}, "already contained", respond.Pass, ""},
		{"what was not described is said", func(w *World) { w.Unknown = []string{"ssm.DescribeSessions: AccessDenied"} }, "not described", respond.Warn, "DescribeSessions"},
		{"a full network ACL is warned about", func(w *World) {
			behindNAT(w, "acl-nat")
			for i := range int32(19) {
				w.ACLs[1].Entries = append(w.ACLs[1].Entries, Rule{Number: 200 + i, Action: "deny", Protocol: "-1", CIDR: "192.0.2.1/32"})
			}
		}, "room in the network ACL", respond.Warn, "no room"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plainWorld()
			c.change(w)
			g := guardOf(draftOf(t, w, respond.DefaultPolicy()), c.guard)
			if g.Answer != c.answer || !strings.Contains(g.Why, c.why) {
				t.Errorf("guard %q answers %q (%s), want %q with %q", c.guard, g.Answer, g.Why, c.answer, c.why)
			}
		})
	}
}

func TestDraftRefusesGuardroomsOwnRole(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	w.Profile = &Profile{ARN: "arn:aws:iam::111122223333:instance-profile/p", Name: "p", Role: "guardroom", RoleID: "AROA1", RoleARN: "arn:aws:iam::111122223333:role/guardroom"}
	d := draftOf(t, w, respond.DefaultPolicy(), kit.Caller{Role: "act", ARN: "arn:aws:sts::111122223333:assumed-role/guardroom/INC-42"})
	if g := guardOf(d, "guardroom itself"); g.Answer != respond.Refuse {
		t.Errorf("the guard answers %+v, want refuse", g)
	}
}

func TestDraftPlansWhatTheInstanceNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	policy := func(f func(p *respond.Policy)) respond.Policy {
		p := respond.DefaultPolicy()
		if f != nil {
			f(&p)
		}
		return p
	}
	cases := []struct {
		name          string
		change        func(w *World)
		policy        respond.Policy
		with, without []string
	}{
		{"a plain instance", func(*World) {}, policy(nil),
			[]string{StepRecord, StepPreflight, StepMark, "protect/termination", "protect/stop", "protect/shutdown", "protect/vol-1", "protect/eni-1", "groups/vpc-1", "open/vpc-1", "isolate/eni-1", "close/vpc-1", StepMetadata, StepVerify},
			[]string{StepGroup, StepRevoke, StepProfile, StepSessions, "acl/subnet-1"}},
		{"a spot instance takes no termination protection", func(w *World) { w.Lifecycle = "spot" }, policy(nil), []string{"protect/shutdown"}, []string{"protect/termination", "protect/stop"}},
		{"an instance-store root takes no shutdown behaviour", func(w *World) { w.RootDeviceType = "instance-store" }, policy(nil), []string{"protect/termination"}, []string{"protect/shutdown", "protect/stop"}},
		{"stop protection is policy", func(*World) {}, policy(func(p *respond.Policy) { p.ProtectStop = false }), nil, []string{"protect/stop"}},
		{"no window by policy, so the network ACL cuts", alone, policy(func(p *respond.Policy) { p.OpenWindow = "never" }), []string{"acl/subnet-1"}, []string{"open/vpc-1", "close/vpc-1"}},
		{"no window with an automatic public address", func(w *World) {
			alone(w)
			w.Interfaces[0].PublicIPv4, w.Interfaces[0].Automatic = "198.51.100.7", true
		}, policy(nil), []string{"acl/subnet-1"}, []string{"open/vpc-1"}},
		{"no window where IPv6 reaches it from the internet", func(w *World) {
			alone(w)
			w.Interfaces[0].IPv6, w.Subnets[0].Internet6 = []string{"2001:db8::5"}, true
		}, policy(nil), []string{"acl/subnet-1"}, []string{"open/vpc-1"}},
		{"an Elastic IP goes, and then there is a window", func(w *World) {
			w.Addresses = []Address{{Allocation: "eipalloc-1", Association: "eipassoc-1", PublicIP: "198.51.100.8", Interface: "eni-1", PrivateIP: "10.0.0.5"}}
			w.Interfaces[0].PublicIPv4 = "198.51.100.8"
		}, policy(nil), []string{"doors/eipalloc-1", "open/vpc-1"}, []string{"acl/subnet-1"}},
		{"no window, and the network ACL, where an address stays on it that is not known", func(w *World) {
			alone(w)
			w.Interfaces[0].PublicIPv4 = "198.51.100.8"
		}, policy(nil), []string{"acl/subnet-1"}, []string{"open/vpc-1"}},
		{"no window where a second public address stays", func(w *World) {
			alone(w)
			w.Addresses = []Address{{Allocation: "eipalloc-1", Association: "eipassoc-1", PublicIP: "198.51.100.8", Interface: "eni-1", PrivateIP: "10.0.0.5"},
				{Allocation: "eipalloc-2", Association: "eipassoc-2", PublicIP: "198.51.100.9", Interface: "eni-1", PrivateIP: "10.0.0.6", Managed: "nlb"}}
			w.Interfaces[0].PublicIPv4, w.Interfaces[0].MorePublic = "198.51.100.8", []string{"198.51.100.9"}
		}, policy(nil), []string{"doors/eipalloc-1", "acl/subnet-1"}, []string{"doors/eipalloc-2", "open/vpc-1"}},
		{"alone behind a NAT gateway it gets a network ACL of its own", func(w *World) {
			behindNAT(w, "acl-nat")
			alone(w)
		}, policy(nil), []string{"acl/subnet-1", "open/vpc-1"}, []string{"acl/acl-1", "acl/acl-nat"}},
		{"among others the network ACL of the NAT gateway's subnet cuts", func(w *World) { behindNAT(w, "acl-nat") }, policy(nil), []string{"acl/acl-nat", "open/vpc-1"}, []string{"acl/subnet-1", "acl/acl-1"}},
		{"one network ACL for both subnets gets one step", func(w *World) { behindNAT(w, "acl-1") }, policy(nil), []string{"acl/acl-1"}, []string{"acl/subnet-1"}},
		{"a NAT gateway that cannot be found has no step", func(w *World) {
			behindNAT(w, "acl-nat")
			w.Passages = nil
		}, policy(nil), nil, []string{"acl/acl-nat", "acl/acl-1", "acl/subnet-1"}},
		{"among others without a window there is no step that would cut nothing", func(*World) {}, policy(func(p *respond.Policy) { p.OpenWindow = "never" }), nil, []string{"acl/acl-1", "acl/subnet-1"}},
		{"an instance behind a load balancer gets the network ACL", func(w *World) {
			alone(w)
			w.Targets = []Target{{Group: "arn:tg", Name: "tg", LB: true, Kind: "instance", ID: testInstance, Port: 80}}
		}, policy(nil), []string{"acl/subnet-1", "service/target/tg"}, nil},
		{"no network ACL by policy", func(w *World) { w.Subnets[0].Tracked = []string{"nat-1"} }, policy(func(p *respond.Policy) { p.NACL = "never" }), nil, []string{"acl/subnet-1"}},
		{"the network ACL always by policy", alone, policy(func(p *respond.Policy) { p.NACL = "always" }), []string{"acl/subnet-1"}, nil},
		{"what the Auto Scaling group may leave registered is looked at after it", func(w *World) {
			w.Scaling = &Scaling{Group: "asg", Lifecycle: inService, Members: map[string]string{testInstance: inService}, TargetGroups: []string{"arn:tg"}, Classic: []string{"old"}}
			w.Targets = []Target{{Group: "arn:tg", Name: "tg", LB: true, Kind: "instance", ID: testInstance, Port: 80}, {Group: "arn:ip", Name: "ip", LB: true, Kind: "ip", ID: "10.0.0.5", Port: 81}}
			w.Classic = []Classic{{Name: "old", Others: 1}, {Name: "own", Others: 1}}
		}, policy(nil), []string{StepGroup, StepLeft, "service/target/ip", "service/classic/own", "service/target/tg", "service/classic/old"}, nil},
		{"a profile is taken off and its sessions revoked", func(w *World) {
			w.Profile = &Profile{ARN: "arn:aws:iam::111122223333:instance-profile/x/web", Name: "web", Role: "other-name", RoleID: "AROA1"}
		}, policy(nil), []string{StepRevoke, StepProfile}, nil},
		{"a managed interface is not touched", func(w *World) {
			w.Interfaces = append(w.Interfaces, Interface{ID: "eni-m", VPC: "vpc-2", Subnet: "subnet-2", DeviceIndex: 1, Manager: "requester amazon-elb", DeleteOnTermination: true, Attachment: "a"})
		}, policy(nil), []string{"isolate/eni-1"}, []string{"isolate/eni-m", "protect/eni-m", "groups/vpc-2"}},
		{"a metadata service that is off stays so", func(w *World) { w.Metadata.Endpoint = "disabled" }, policy(nil), nil, []string{StepMetadata}},
		{"a terminated instance is not touched", func(w *World) { w.State = "terminated" }, policy(nil), nil, []string{StepPreflight, "isolate/eni-1", StepVerify}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plainWorld()
			c.change(w)
			ids := stepIDs(draftOf(t, w, c.policy))
			for _, id := range c.with {
				if !slices.Contains(ids, id) {
					t.Errorf("the plan lacks %s; it has %v", id, ids)
				}
			}
			for _, id := range c.without {
				if slices.Contains(ids, id) {
					t.Errorf("the plan has %s", id)
				}
			}
		})
	}
}

// before reports whether step a has ended whenever step b begins.
func before(d respond.Draft, a, b string) bool {
	seen := map[string]bool{}
	var visit func(id string) bool
	visit = func(id string) bool {
		if id == a {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		for _, s := range d.Steps {
			if s.ID == id {
				return slices.ContainsFunc(slices.Concat(s.After, s.Needs), visit)
			}
		}
		return false
	}
	return a != b && visit(b)
}

func TestDefect28LeavesServiceBeforeTheNetworkIsCut(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	alone(w)
	w.Scaling = &Scaling{Group: "asg", Lifecycle: inService, Members: map[string]string{testInstance: inService}}
	w.Targets = []Target{{Group: "arn:ip", Name: "ip", LB: true, Kind: "ip", ID: "10.0.0.5", Port: 81}}
	w.Addresses = []Address{{Allocation: "eipalloc-1", Association: "eipassoc-1", PublicIP: "198.51.100.8", Interface: "eni-1", PrivateIP: "10.0.0.5"}}
	d := draftOf(t, w, respond.DefaultPolicy())
	for _, pair := range [][2]string{
		{StepRecord, "protect/termination"}, {"protect/vol-1", StepGroup}, {StepGroup, "service/target/ip"}, {"service/target/ip", "doors/eipalloc-1"}, {"doors/eipalloc-1", "isolate/eni-1"},
		{StepGroup, "acl/subnet-1"}, {"isolate/eni-1", "close/vpc-1"}, {"open/vpc-1", "isolate/eni-1"}, {"isolate/eni-1", StepVerify}, {"close/vpc-1", StepVerify},
	} {
		if !before(d, pair[0], pair[1]) {
			t.Errorf("%s does not come before %s", pair[0], pair[1])
		}
	}
	if before(d, StepMark, "isolate/eni-1") {
		t.Error("isolation waits for the tags")
	}
}

func TestDefect36IsolationWaitsForNothingLong(t *testing.T) {
	t.Parallel()
	d := draftOf(t, plainWorld(), respond.DefaultPolicy())
	for _, s := range d.Steps {
		if before(d, s.ID, "isolate/eni-1") && !slices.Contains([]string{StagePreflight, StageRecord, StageProtect, StageGroups, StageOpen}, s.Stage) {
			t.Errorf("isolation waits for %s", s.ID)
		}
	}
}

func TestMemoryFirstHoldsBackWhatDestroysMemoryForTenMinutesAtMost(t *testing.T) {
	t.Parallel()
	w := plainWorld()
	w.Profile = &Profile{ARN: "arn:aws:iam::111122223333:instance-profile/web", Name: "web", Role: "r", RoleID: "AROA1"}
	d := draftOf(t, w, respond.DefaultPolicy())
	memory := respond.Step{ID: "memory", Stage: "memory", TimeoutSeconds: 7200}
	LimitMemory(&memory)
	MemoryFirst(d.Steps, []string{memory.ID})
	MemoryFirst(d.Steps, []string{memory.ID})
	d.Steps = append(d.Steps, memory)
	if memory.TimeoutSeconds != 600 {
		t.Errorf("memory may take %d s, want 600", memory.TimeoutSeconds)
	}
	for _, id := range []string{"isolate/eni-1", StepProfile, StepRevoke, StepMetadata} {
		if !before(d, "memory", id) {
			t.Errorf("%s does not wait for memory", id)
		}
	}
	for _, id := range []string{StepMark, "protect/termination", "groups/vpc-1"} {
		if before(d, "memory", id) {
			t.Errorf("%s waits for memory", id)
		}
	}
	for _, s := range d.Steps {
		if n := len(s.After); n != len(slices.Compact(slices.Sorted(slices.Values(s.After)))) {
			t.Errorf("%s names a step twice: %v", s.ID, s.After)
		}
	}
}

func TestVolatileFirstUnlessDataIsLeaving(t *testing.T) {
	t.Parallel()
	cases := []struct {
		order, kind string
		want        bool
	}{
		{"auto", "CryptoCurrency:EC2/BitcoinTool.B", true},
		{"auto", "Trojan:EC2/DNSDataExfiltration", false},
		{"auto", "Trojan:EC2/DropPoint!DNS", false},
		{"auto", "Backdoor:EC2/DenialOfService.Tcp", false},
		{"volatile_first", "Trojan:EC2/DNSDataExfiltration", true},
		{"isolate_first", "CryptoCurrency:EC2/BitcoinTool.B", false},
	}
	for _, c := range cases {
		p := respond.DefaultPolicy()
		p.Order = c.order
		if got := VolatileFirst(p, c.kind); got != c.want {
			t.Errorf("%s with %s: volatile first is %v, want %v", c.order, c.kind, got, c.want)
		}
	}
}

func TestEveryStepNamesAnActionThatHasItsUndoOrNeedsNone(t *testing.T) {
	t.Parallel()
	actions := respond.NewActions(Actions())
	without := []string{actPreflight, actRecord, actGroup, actOpen, actClose, actLeft, actSessions, actVerify, actStatus}
	for name, a := range actions {
		if a.Do == nil || len(a.Calls) == 0 {
			t.Errorf("%s does nothing or names no call", name)
		}
	}
	w := plainWorld()
	w.Scaling = &Scaling{Group: "asg", Lifecycle: inService, Members: map[string]string{testInstance: inService}}
	w.Targets = []Target{{Group: "arn:ip", Name: "ip", LB: true, Kind: "ip", ID: "10.0.0.5", Port: 81}}
	w.Classic = []Classic{{Name: "own"}}
	w.Agent = Agent{Ping: "Online", Sessions: []string{"s-1"}}
	w.Profile = &Profile{ARN: "arn:aws:iam::111122223333:instance-profile/web", Name: "web", Role: "r", RoleID: "AROA1"}
	w.Addresses = []Address{{Allocation: "eipalloc-1", Association: "eipassoc-1", PublicIP: "198.51.100.8", Interface: "eni-1", PrivateIP: "10.0.0.5"}}
	for _, s := range draftOf(t, w, respond.DefaultPolicy()).Steps {
		a, ok := actions[s.Action]
		if !ok {
			t.Errorf("%s names %s, which there is not", s.ID, s.Action)
			continue
		}
		if (a.Undo == nil) != slices.Contains(without, s.Action) {
			t.Errorf("%s: its undo is %v", s.ID, a.Undo != nil)
		}
		if a.Undo != nil && a.UndoRank < rankMetadata {
			t.Errorf("%s has no rank", s.Action)
		}
		if a.Undo != nil {
			if steps, err := a.Undo(s, playbook.Record{Name: s.ID}); err != nil || len(steps) > 0 {
				t.Errorf("%s that changed nothing is undone by %v (%v)", s.ID, steps, err)
			}
		}
	}
}

func TestTheOrderOfAnUndo(t *testing.T) {
	t.Parallel()
	want := []string{actMetadata, actProfile, actRevoke, actIsolate, actACL, actAddress, actTargets, actLeave, actAttribute, actMark}
	actions := respond.NewActions(Actions())
	for i := 1; i < len(want); i++ {
		if actions[want[i-1]].UndoRank >= actions[want[i]].UndoRank {
			t.Errorf("%s is not undone before %s", want[i-1], want[i])
		}
	}
}
