package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/respond"
)

// host is the attacked instance with what is around it.
type host struct {
	*account
	id, vpc     string
	web, admin  string // its security groups
	interfaces  []string
	volumes     []string
	group       string // Auto Scaling
	target      string // ARN of the target group
	allocation  string
	forensicNet string
	forensicSG  string
}

const (
	hostRole    = "payments-app"
	hostProfile = "payments-profile"
)

// newHost builds an instance with two interfaces, three volumes, a role and an
// Elastic IP, in an Auto Scaling group behind a target group.
func newHost(t *testing.T, id string, behindProxy bool) *host {
	t.Helper()
	a := newAccount(t, id, behindProxy)
	h := &host{account: a, group: "payments"}
	ctx, on := t.Context(), a.on
	c := ec2.NewFromConfig(a.owner)
	h.vpc = on.VPC(true)
	one, forensic := on.Subnet(h.vpc, "a"), on.Subnet(h.vpc, "a")
	h.forensicNet = forensic
	sg := func(name string) string {
		return aws.ToString(got[*ec2.CreateSecurityGroupOutput](t)(c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: &h.vpc})).GroupId)
	}
	h.web, h.admin, h.forensicSG = sg("web"), sg("admin"), sg("forensic")
	got[*ec2.AuthorizeSecurityGroupIngressOutput](t)(c.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &h.web,
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}}))
	on.Role(hostRole, "/svc/")
	on.Profile(hostProfile, hostRole)
	h.target = on.TargetGroup("payments-"+id, h.vpc)
	on.Group(h.group, one, 1, 1, 4, h.target)
	disk := func(device string) types.BlockDeviceMapping {
		return types.BlockDeviceMapping{DeviceName: &device, Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(1), DeleteOnTermination: aws.Bool(true)}}
	}
	nic := func(n int32, groups ...string) types.InstanceNetworkInterfaceSpecification {
		return types.InstanceNetworkInterfaceSpecification{DeviceIndex: &n, SubnetId: &one, Groups: groups, DeleteOnTermination: aws.Bool(true)}
	}
	run := got[*ec2.RunInstancesOutput](t)(c.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: aws.String("ami-03cf127a"), InstanceType: types.InstanceTypeM5Large, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		NetworkInterfaces:   []types.InstanceNetworkInterfaceSpecification{nic(0, h.web, h.admin), nic(1, h.admin)},
		BlockDeviceMappings: []types.BlockDeviceMapping{disk("/dev/sda1"), disk("/dev/sdb"), disk("/dev/sdc")},
		IamInstanceProfile:  &types.IamInstanceProfileSpecification{Name: aws.String(hostProfile)},
		TagSpecifications:   []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("payments-api-3")}}}}}))
	h.id = aws.ToString(run.Instances[0].InstanceId)
	time.Sleep(quick.Instance) // until it runs
	for _, n := range h.describe().NetworkInterfaces {
		h.interfaces = append(h.interfaces, aws.ToString(n.NetworkInterfaceId))
	}
	for _, v := range h.describe().BlockDeviceMappings {
		h.volumes = append(h.volumes, aws.ToString(v.Ebs.VolumeId))
	}
	if len(h.interfaces) != 2 || len(h.volumes) != 3 {
		t.Fatalf("built %d interfaces and %d volumes", len(h.interfaces), len(h.volumes))
	}
	got[*autoscaling.AttachInstancesOutput](t)(autoscaling.NewFromConfig(a.owner).AttachInstances(ctx, &autoscaling.AttachInstancesInput{AutoScalingGroupName: &h.group, InstanceIds: []string{h.id}}))
	// moto leaves that to its caller; AWS does it by itself.
	got[*elasticloadbalancingv2.RegisterTargetsOutput](t)(elasticloadbalancingv2.NewFromConfig(a.owner).RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: &h.target, Targets: []elbtypes.TargetDescription{{Id: &h.id, Port: aws.Int32(443)}}}))
	address := got[*ec2.AllocateAddressOutput](t)(c.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))
	h.allocation = aws.ToString(address.AllocationId)
	associate := &ec2.AssociateAddressInput{AllocationId: &h.allocation, NetworkInterfaceId: &h.interfaces[0]}
	if !behindProxy { // moto alone forgets whose interface it is
		associate.NetworkInterfaceId, associate.InstanceId = nil, &h.id
	}
	got[*ec2.AssociateAddressOutput](t)(c.AssociateAddress(ctx, associate))
	if behindProxy {
		on.Agent(h.id)
	}
	return h
}

// serve starts the service with a place for the workstation.
func (h *host) serve(more string) {
	h.t.Helper()
	h.account.serve(fmt.Sprintf("  forensics: {subnets: [%s], security_groups: [%s], image: ami-03cf127a, image_owners: [amazon], types: [m5.xlarge]}\n%s", h.forensicNet, h.forensicSG, more))
}

// attack sends a finding about the instance and returns its incident.
func (h *host) attack() string {
	h.t.Helper()
	return h.finding(mining(h.id))
}

// mining is a finding about an instance.
func mining(id string) (typ string, severity float64, resource map[string]any) {
	return "CryptoCurrency:EC2/BitcoinTool.B!DNS", 8, map[string]any{"resourceType": "Instance", "instanceDetails": map[string]any{"instanceId": id, "instanceType": "m5.large"}}
}

func (h *host) describe() types.Instance {
	h.t.Helper()
	out := got[*ec2.DescribeInstancesOutput](h.t)(ec2.NewFromConfig(h.owner).DescribeInstances(h.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{h.id}}))
	return out.Reservations[0].Instances[0]
}

// seen is what somebody sees who looks at the instance from outside.
type seen struct {
	State, Metadata, Tokens, Profile, Address string
	Hops                                      int32
	TerminationOff, StopOff                   bool
	Shutdown                                  string
	Groups                                    map[string][]string // by interface: names of groups
	DeleteVolume, DeleteInterface             map[string]bool
	Tags                                      map[string]string // of the instance
	Others                                    map[string]map[string]string
	Scaling                                   string
	Desired, Members                          int32
	Suspended                                 []string
	Targets                                   []string
	RolePolicies                              map[string]string
	Rules                                     map[string]int // of every group of the VPC
	ACL                                       []string       // deny entries before the last one
}

// look from outside.
func (h *host) outside() seen {
	h.t.Helper()
	t, ctx := h.t, h.t.Context()
	c := ec2.NewFromConfig(h.owner)
	i := h.describe()
	s := seen{State: string(i.State.Name), Groups: map[string][]string{}, DeleteVolume: map[string]bool{}, DeleteInterface: map[string]bool{}, Tags: tags(i.Tags), Others: map[string]map[string]string{},
		RolePolicies: map[string]string{}, Rules: map[string]int{}}
	if m := i.MetadataOptions; m != nil {
		s.Metadata, s.Tokens, s.Hops = string(m.HttpEndpoint), string(m.HttpTokens), aws.ToInt32(m.HttpPutResponseHopLimit)
	}
	if i.IamInstanceProfile != nil {
		s.Profile = aws.ToString(i.IamInstanceProfile.Arn)
	}
	for _, b := range i.BlockDeviceMappings {
		s.DeleteVolume[aws.ToString(b.DeviceName)] = aws.ToBool(b.Ebs.DeleteOnTermination)
	}
	attribute := func(name types.InstanceAttributeName) *ec2.DescribeInstanceAttributeOutput {
		return got[*ec2.DescribeInstanceAttributeOutput](t)(c.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &h.id, Attribute: name}))
	}
	s.TerminationOff = aws.ToBool(attribute(types.InstanceAttributeNameDisableApiTermination).DisableApiTermination.Value)
	s.StopOff = aws.ToBool(attribute(types.InstanceAttributeNameDisableApiStop).DisableApiStop.Value)
	s.Shutdown = aws.ToString(attribute(types.InstanceAttributeNameInstanceInitiatedShutdownBehavior).InstanceInitiatedShutdownBehavior.Value)
	vpc := types.Filter{Name: aws.String("vpc-id"), Values: []string{h.vpc}}
	groups := got[*ec2.DescribeSecurityGroupsOutput](t)(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{vpc}}))
	names := map[string]string{}
	for _, g := range groups.SecurityGroups {
		names[aws.ToString(g.GroupId)] = aws.ToString(g.GroupName)
		rules := got[*ec2.DescribeSecurityGroupRulesOutput](t)(c.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{{Name: aws.String("group-id"), Values: []string{aws.ToString(g.GroupId)}}}}))
		s.Rules[aws.ToString(g.GroupName)] = len(rules.SecurityGroupRules)
	}
	nics := got[*ec2.DescribeNetworkInterfacesOutput](t)(c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: h.interfaces}))
	for _, n := range nics.NetworkInterfaces {
		id := aws.ToString(n.NetworkInterfaceId)
		s.Groups[id] = []string{}
		for _, g := range n.Groups {
			s.Groups[id] = append(s.Groups[id], names[aws.ToString(g.GroupId)])
		}
		slices.Sort(s.Groups[id])
		s.DeleteInterface[id] = n.Attachment != nil && aws.ToBool(n.Attachment.DeleteOnTermination)
		s.Others[id] = tags(n.TagSet)
	}
	vols := got[*ec2.DescribeVolumesOutput](t)(c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: h.volumes}))
	for _, v := range vols.Volumes {
		s.Others[aws.ToString(v.VolumeId)] = tags(v.Tags)
	}
	addresses := got[*ec2.DescribeAddressesOutput](t)(c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{h.allocation}}))
	s.Address = aws.ToString(addresses.Addresses[0].NetworkInterfaceId)
	if addresses.Addresses[0].AssociationId == nil {
		s.Address = ""
	}
	acls := got[*ec2.DescribeNetworkAclsOutput](t)(c.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{vpc}}))
	for _, a := range acls.NetworkAcls {
		for _, e := range a.Entries {
			if e.RuleAction == types.RuleActionDeny && aws.ToInt32(e.RuleNumber) < 32767 {
				s.ACL = append(s.ACL, fmt.Sprint(aws.ToInt32(e.RuleNumber), aws.ToBool(e.Egress), aws.ToString(e.CidrBlock), aws.ToString(e.Ipv6CidrBlock)))
			}
		}
	}
	slices.Sort(s.ACL)
	scaling := got[*autoscaling.DescribeAutoScalingGroupsOutput](t)(autoscaling.NewFromConfig(h.owner).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{h.group}}))
	g := scaling.AutoScalingGroups[0]
	s.Desired, s.Members = aws.ToInt32(g.DesiredCapacity), int32(len(g.Instances)) //nolint:gosec // a handful
	for _, m := range g.Instances {
		if aws.ToString(m.InstanceId) == h.id {
			s.Scaling = string(m.LifecycleState)
		}
	}
	for _, p := range g.SuspendedProcesses {
		s.Suspended = append(s.Suspended, aws.ToString(p.ProcessName))
	}
	health := got[*elasticloadbalancingv2.DescribeTargetHealthOutput](t)(elasticloadbalancingv2.NewFromConfig(h.owner).DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &h.target}))
	for _, d := range health.TargetHealthDescriptions {
		if aws.ToString(d.Target.Id) == h.id && d.TargetHealth.State != elbtypes.TargetHealthStateEnumDraining {
			s.Targets = append(s.Targets, fmt.Sprint(aws.ToInt32(d.Target.Port)))
		}
	}
	s.RolePolicies = h.rolePolicies(hostRole)
	return s
}

func (a *account) rolePolicies(role string) map[string]string {
	a.t.Helper()
	out, c := map[string]string{}, iam.NewFromConfig(a.owner)
	list := got[*iam.ListRolePoliciesOutput](a.t)(c.ListRolePolicies(a.t.Context(), &iam.ListRolePoliciesInput{RoleName: &role}))
	for _, name := range list.PolicyNames {
		p := got[*iam.GetRolePolicyOutput](a.t)(c.GetRolePolicy(a.t.Context(), &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name}))
		out[name] = document(a.t, aws.ToString(p.PolicyDocument))
	}
	return out
}

func tags(list []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		if k := aws.ToString(t.Key); !strings.HasPrefix(k, "aws:") {
			out[k] = aws.ToString(t.Value)
		}
	}
	return out
}

// made is what carries the tags of a run: snapshots, volumes and workstations.
type made struct {
	snapshots []types.Snapshot
	volumes   []types.Volume
	machines  []types.Instance
}

func (h *host) made(run string) made {
	h.t.Helper()
	t, ctx, c := h.t, h.t.Context(), ec2.NewFromConfig(h.owner)
	ours := []types.Filter{{Name: aws.String("tag:guardroom:run"), Values: []string{run}}}
	var m made
	m.snapshots = got[*ec2.DescribeSnapshotsOutput](t)(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: ours})).Snapshots
	m.snapshots = slices.DeleteFunc(m.snapshots, func(s types.Snapshot) bool { return !slices.Contains(h.volumes, aws.ToString(s.VolumeId)) })
	for _, v := range got[*ec2.DescribeVolumesOutput](t)(c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: ours})).Volumes {
		if aws.ToString(v.SnapshotId) != "" && !slices.Contains(h.volumes, aws.ToString(v.VolumeId)) {
			m.volumes = append(m.volumes, v)
		}
	}
	for _, r := range got[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: ours})).Reservations {
		for _, i := range r.Instances {
			if aws.ToString(i.InstanceId) != h.id {
				m.machines = append(m.machines, i)
			}
		}
	}
	return m
}

// checkContained wants what issue 3 asks of a contained instance.
func (h *host) checkContained(run string) {
	h.t.Helper()
	t, s := h.t, h.outside()
	contain := ""
	for _, id := range h.interfaces {
		if g := s.Groups[id]; len(g) != 1 || !strings.HasPrefix(g[0], "guardroom-contain") {
			t.Errorf("%s is in %v", id, g)
		} else {
			contain = g[0]
		}
	}
	if n, ok := s.Rules[contain]; !ok || n != 0 {
		t.Errorf("%q has %d rules", contain, n)
	}
	h.checkNothingOpen(s)
	if s.Rules["web"] != 3 {
		t.Errorf("the group of others has %d rules", s.Rules["web"])
	}
	if s.State != "running" || s.Address != "" || s.Profile != "" || s.Metadata != "disabled" || !s.TerminationOff || s.Shutdown != "stop" || s.Scaling != "" || len(s.Targets) != 0 {
		t.Errorf("from outside: %+v", s)
	}
	for name, goes := range s.DeleteVolume {
		if goes {
			t.Errorf("%s would go with the instance", name)
		}
	}
	if s.Desired < 1 || s.Members < 1 {
		t.Errorf("the group wants %d and has %d", s.Desired, s.Members)
	}
	var deny string
	for _, d := range s.RolePolicies {
		deny += d
	}
	if len(s.RolePolicies) != 1 || !strings.Contains(deny, "aws:userid") || !strings.Contains(deny, ":"+h.id) || !strings.Contains(deny, `"Deny"`) {
		t.Errorf("the role has %v", s.RolePolicies)
	}
	if s.Tags["guardroom:run"] != run || s.Tags["Name"] != "payments-api-3" {
		t.Errorf("the instance has the tags %v", s.Tags)
	}
}

// checkNothingOpen wants no group that opens everything, and nothing suspended.
func (h *host) checkNothingOpen(s seen) {
	h.t.Helper()
	for name, rules := range s.Rules {
		if strings.HasPrefix(name, "guardroom-convert") {
			h.t.Errorf("%s is left with %d rules", name, rules)
		}
	}
	for id, groups := range s.Groups {
		for _, g := range groups {
			if strings.HasPrefix(g, "guardroom-convert") {
				h.t.Errorf("%s is left in %s", id, g)
			}
		}
	}
	if len(s.Suspended) > 0 {
		h.t.Errorf("suspended are %v", s.Suspended)
	}
}

// checkPreserved wants a snapshot and an evidence volume for each volume, on one
// workstation.
func (h *host) checkPreserved(run string) {
	h.t.Helper()
	t, m := h.t, h.made(run)
	from := map[string]int{}
	for _, s := range m.snapshots {
		from[aws.ToString(s.VolumeId)]++
		if g := tags(s.Tags); s.State != types.SnapshotStateCompleted || g["guardroom:incident"] == "" || g["guardroom:step"] == "" {
			t.Errorf("snapshot %s is %s with %v", aws.ToString(s.SnapshotId), s.State, g)
		}
	}
	for _, v := range h.volumes {
		if from[v] != 1 {
			t.Errorf("%d snapshots of %s", from[v], v)
		}
	}
	if len(m.machines) != 1 {
		t.Fatalf("%d workstations", len(m.machines))
	}
	w := m.machines[0]
	if w.State.Name != types.InstanceStateNameRunning || w.MetadataOptions.HttpTokens != types.HttpTokensStateRequired || aws.ToString(w.SubnetId) != h.forensicNet || aws.ToString(w.PublicIpAddress) != "" {
		t.Errorf("the workstation is %s in %s, tokens %s, address %q", w.State.Name, aws.ToString(w.SubnetId), w.MetadataOptions.HttpTokens, aws.ToString(w.PublicIpAddress))
	}
	if len(m.volumes) != 3 {
		t.Errorf("%d evidence volumes", len(m.volumes))
	}
	devices, sources := map[string]bool{}, map[string]bool{}
	for _, v := range m.volumes {
		sources[aws.ToString(v.SnapshotId)] = true
		if len(v.Attachments) != 1 || aws.ToString(v.Attachments[0].InstanceId) != aws.ToString(w.InstanceId) || v.Attachments[0].State != types.VolumeAttachmentStateAttached {
			t.Errorf("volume %s is attached to %v", aws.ToString(v.VolumeId), v.Attachments)
			continue
		}
		devices[aws.ToString(v.Attachments[0].Device)] = true
	}
	if len(devices) != 3 || len(sources) != 3 || !devices["/dev/sdf"] {
		t.Errorf("devices %v of snapshots %v", slices.Sorted(maps.Keys(devices)), slices.Sorted(maps.Keys(sources)))
	}
}

// checkAsBefore wants the world as it was.
func (h *host) checkAsBefore(before seen) {
	h.t.Helper()
	after := h.outside()
	h.checkNothingOpen(after)
	if diff := cmp.Diff(before, after, cmpopts.EquateEmpty(), cmpopts.IgnoreMapEntries(func(name string, _ int) bool { return strings.HasPrefix(name, "guardroom-contain") })); diff != "" {
		h.t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}

// checkRoles wants every role with the external id, and the incident as who asks.
func (a *account) checkRoles(incident string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := map[string]bool{}
	for _, f := range a.assumed {
		role := f.Get("RoleArn")
		if strings.HasSuffix(role, "/owner") {
			continue
		}
		asked[role] = true
		if f.Get("ExternalId") != externalID {
			a.t.Errorf("%s was asked for with the external id %q", role, f.Get("ExternalId"))
		}
		if strings.HasSuffix(role, "guardroom-act") && (!strings.Contains(f.Get("RoleSessionName"), incident) || f.Get("SourceIdentity") == "") {
			a.t.Errorf("%s was asked for by %q, source identity %q", role, f.Get("RoleSessionName"), f.Get("SourceIdentity"))
		}
	}
	for _, role := range []string{"guardroom-read", "guardroom-act"} {
		if !asked["arn:aws:iam::"+a.number+":role/"+role] {
			a.t.Errorf("nobody asked for %s: %v", role, asked)
		}
	}
	for _, p := range a.problems {
		a.t.Errorf("the proxy says: %s", p)
	}
}

// TestAnInstanceIsContainedPreservedAndUndone is the first acceptance of responses.
func TestAnInstanceIsContainedPreservedAndUndone(t *testing.T) {
	t.Parallel()
	h := newHost(t, "222222222201", true)
	before := h.outside()
	h.serve("")
	incident := h.attack()
	h.must("incident", "ack", incident)
	run := h.approve(h.plan("--incident", incident))
	d := h.follow(run)
	completed(t, d)
	if !d.Run.Contained {
		t.Errorf("the run does not say that the instance is contained: %s", d.Run.Summary)
	}
	h.checkContained(run)
	h.checkPreserved(run)
	h.checkRoles(incident)
	h.checkEvidence(incident, run)
	h.checkTold(incident, run)
	if out := h.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Errorf("audit verify says %s", out)
	}

	undone := h.undo(run)
	completed(t, undone)
	h.checkAsBefore(before)
	if m := h.made(run); len(m.snapshots) != 3 {
		t.Errorf("the undo left %d of 3 snapshots", len(m.snapshots))
	}
	if r := h.look(run).Run; r.State != respond.RunUndone || r.UndoneBy != undone.Run.ID {
		t.Errorf("the run is %s, undone by %q", r.State, r.UndoneBy)
	}
	h.checkTold(incident, run, string(undone.Run.ID))
}

// TestAnAbortKeepsTheContainment aborts in the worst moment: the interfaces are
// in the group that opens everything, and AWS is slow to answer the call that
// would close one of them.
func TestAnAbortKeepsTheContainment(t *testing.T) {
	t.Parallel()
	h := newHost(t, "222222222202", true)
	before := h.outside()
	held, goOn := make(chan struct{}), make(chan struct{})
	h.proxy.Add(proxy.Rule{Operation: "EC2.ModifyNetworkInterfaceAttribute", Nth: 3, Match: func(c proxy.Call) bool { return !c.DryRun && c.Params.Get("SecurityGroupId.1") != "" }, Fault: proxy.Fault{Hold: func(proxy.Call) {
		close(held)
		<-goOn
	}}})
	h.serve("")
	incident := h.attack()
	run := h.approve(h.plan("--incident", incident))
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatalf("the call never came\n%s\n%s", stepLines(h.look(run)), h.out)
	}
	if s := h.outside(); !slices.ContainsFunc(h.interfaces, func(id string) bool { return strings.HasPrefix(s.Groups[id][0], "guardroom-convert") }) {
		t.Errorf("no interface is in the group that opens everything: %v", s.Groups)
	}
	h.must("run", "abort", run, "--reason", "a drill")
	await(t, h.instance, "only what is owed goes on", func() bool {
		running := 0
		for _, s := range h.look(run).Progress.Steps {
			if s.State == respond.WordRunning {
				running++
			}
		}
		return running <= 1
	})
	stopped := len(h.proxy.Calls())
	close(goOn)
	d := h.follow(run)
	if d.Run.State != respond.RunAborted || d.Run.AbortWhy != "a drill" {
		t.Errorf("the run is %s: %s\n%s", d.Run.State, d.Run.Summary, stepLines(d))
	}
	for _, c := range h.proxy.Calls()[stopped:] {
		switch {
		case strings.HasPrefix(c.Operation, "Describe"), strings.HasPrefix(c.Operation, "Get"), strings.HasPrefix(c.Operation, "List"), c.Operation == "AssumeRole", c.Operation == "ReceiveMessage":
		case c.Operation == "ModifyNetworkInterfaceAttribute", c.Operation == "DeleteSecurityGroup", c.Service == "S3": // closes, and keeps evidence
		case c.Operation == "CreateTags" && c.Params.Get("Tag.1.Key") == respond.TagStatus && !c.Params.Has("Tag.2.Key"): // says what the second look showed
		default:
			t.Errorf("after the abort came %s", c)
		}
	}
	s := h.outside()
	h.checkNothingOpen(s)
	for _, id := range h.interfaces {
		if g := s.Groups[id]; len(g) != 1 || !strings.HasPrefix(g[0], "guardroom-contain") || s.Rules[g[0]] != 0 {
			t.Errorf("after the abort %s is in %v", id, g)
		}
	}
	if s.Address != "" || s.Scaling != "" || len(s.Targets) != 0 || !s.TerminationOff {
		t.Errorf("after the abort: %+v", s)
	}
	undone := h.undo(run)
	completed(t, undone)
	h.checkAsBefore(before)
	if out := h.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Errorf("audit verify says %s", out)
	}
}
