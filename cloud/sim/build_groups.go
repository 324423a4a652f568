package sim

import (
	"slices"
	"time"
)

// TargetGroupSpec is a target group. The zero value is for instances, HTTP on 443,
// in the default VPC.
type TargetGroupSpec struct {
	Name, VPC string
	// IP makes it one of addresses.
	IP   bool
	Port int32
	// Targets are instances or addresses, healthy ones.
	Targets []string
}

// AddTargetGroup adds a target group and returns its ARN.
func (e *Editor) AddTargetGroup(accountID, regionName string, spec TargetGroupSpec) string {
	s := e.scope(accountID, regionName)
	g := &targetGroup{Name: orText(spec.Name, "web"), Type: "instance", Protocol: "HTTP", Port: spec.Port, VPC: orText(spec.VPC, s.DefaultVPC)}
	if g.Port == 0 {
		g.Port = 443
	}
	if spec.IP {
		g.Type = "ip"
	}
	tail := g.Name + "/" + s.w.id("")[1:]
	g.ARN = s.arn("elasticloadbalancing", "targetgroup/"+tail)
	g.Balancer = s.arn("elasticloadbalancing", "loadbalancer/app/"+tail)
	for _, id := range spec.Targets {
		g.Targets = append(g.Targets, &target{ID: id, Port: g.Port, Since: s.now.Add(-time.Hour)})
	}
	put(&s.r.ELB.Targets, g.ARN, g)
	return g.ARN
}

// ClassicELBSpec is a classic load balancer on port 443 of its instances.
type ClassicELBSpec struct {
	Name, VPC string
	Port      int32
	Instances []string
}

// AddClassicELB adds a classic load balancer and returns its name.
func (e *Editor) AddClassicELB(accountID, regionName string, spec ClassicELBSpec) string {
	s := e.scope(accountID, regionName)
	b := &classic{Name: orText(spec.Name, "classic"), VPC: orText(spec.VPC, s.DefaultVPC), Port: spec.Port, Instances: slices.Clone(spec.Instances)}
	if b.Port == 0 {
		b.Port = 443
	}
	put(&s.r.ELB.Classic, b.Name, b)
	return b.Name
}

// AutoScalingGroupSpec is an Auto Scaling group. The zero value has one instance
// that runs, at most four, and asks EC2 for its health.
type AutoScalingGroupSpec struct {
	Name              string
	Min, Max, Desired int32
	// ELB asks the load balancers for health.
	ELB bool
	// Grace is for how long a new instance is not judged.
	Grace time.Duration
	// Targets are ARNs of target groups, Classic names of load balancers; the
	// instances are registered there.
	Targets, Classic []string
	Subnets          []string
	// Instances are those that it has; none: Desired ones are added.
	Instances []string
	Groups    []string
	Image     string
	Type      string
	Profile   string
	Suspended []string
	// Protected says that its members are protected from scale-in.
	Protected bool
	// Lag is how long a detach takes until the lifecycle state changes.
	Lag time.Duration
}

// AddAutoScalingGroup adds a group and returns the ids of its instances.
func (e *Editor) AddAutoScalingGroup(accountID, regionName string, spec AutoScalingGroupSpec) []string {
	s := e.scope(accountID, regionName)
	name := orText(spec.Name, "web")
	g := &asGroup{Name: name, Min: spec.Min, Max: spec.Max, Desired: spec.Desired, HealthCheck: "EC2", Grace: spec.Grace, Targets: spec.Targets, Classic: spec.Classic,
		Subnets: slices.Clone(spec.Subnets), Type: orText(spec.Type, "t3.micro"), Groups: slices.Clone(spec.Groups), Lag: spec.Lag, Made: s.now.Add(-30 * day)}
	g.ARN = s.arn("autoscaling", "autoScalingGroup:"+s.w.uuid()+":autoScalingGroupName/"+name)
	if spec.ELB {
		g.HealthCheck = "ELB"
	}
	g.Desired = max(1, g.Desired, int32(len(spec.Instances))) // #nosec G115 -- a few
	if g.Max == 0 {
		g.Max = max(4, g.Desired+1)
	}
	g.Image = spec.Image
	if g.Image == "" {
		g.Image = e.linux(accountID, regionName).ID
	}
	if len(g.Subnets) == 0 {
		g.Subnets = []string{e.subnetFor(accountID, regionName, "").ID}
	}
	if len(g.Groups) == 0 {
		g.Groups = []string{e.webGroup(accountID, regionName, s.Subnets[g.Subnets[0]].VPC)}
	}
	if spec.Profile != "" {
		g.Profile = e.profileFor(accountID, spec.Profile)
	}
	for _, p := range spec.Suspended {
		put(&g.Suspended, p, "User suspended")
	}
	put(&s.r.ASG.Groups, name, g)
	ids := slices.Clone(spec.Instances)
	for len(spec.Instances) == 0 && len(ids) < int(g.Desired) {
		ids = append(ids, e.AddInstance(accountID, regionName, InstanceSpec{Type: g.Type, Image: g.Image, Subnet: g.Subnets[len(ids)%len(g.Subnets)], Groups: g.Groups, Profile: spec.Profile}))
	}
	for _, id := range ids {
		i := s.Instances[id]
		i.Tags = i.Tags.copied()
		i.Tags[groupTag] = name
		g.Members = append(g.Members, &member{Instance: id, State: "InService", Protected: spec.Protected, Since: i.Since})
		s.balance(g, id)
	}
	for _, arn := range g.Targets {
		for _, t := range s.r.ELB.Targets[arn].Targets {
			t.Since = s.now.Add(-time.Hour)
		}
	}
	return ids
}

// ShortCapacity makes launches of a type in a zone fail: times often, or for ever
// when it is -1, with a code; empty: InsufficientInstanceCapacity.
func (e *Editor) ShortCapacity(accountID, regionName, instanceType, az string, times int, code string) {
	if len(az) < 2 {
		az = regionName + orText(az, "a")
	}
	put(&e.scope(accountID, regionName).Capacity, instanceType+"/"+az, &capacity{Times: times, Code: orText(code, "InsufficientInstanceCapacity")})
}

// ScriptSnapshots says what becomes of the next snapshots of a volume, one each.
func (e *Editor) ScriptSnapshots(accountID, regionName, volumeID string, script ...SnapshotScript) {
	e.scope(accountID, regionName).Volumes[volumeID].Script = script
}

// AllowPublicSharing turns off what blocks public snapshots and images in a region.
func (e *Editor) AllowPublicSharing(accountID, regionName string) {
	e.scope(accountID, regionName).PublicOK = true
}

// StopInstance stops an instance, as a colleague would.
func (e *Editor) StopInstance(accountID, regionName, id string) {
	s := e.scope(accountID, regionName)
	s.stop(s.Instances[id], "User initiated")
}

// TerminateInstance terminates an instance, protected or not.
func (e *Editor) TerminateInstance(accountID, regionName, id string) {
	s := e.scope(accountID, regionName)
	s.shutDown(s.Instances[id], "Client.UserInitiatedShutdown: User initiated shutdown")
}

// ShutDownFromInside is what whoever is on an instance can do: its operating
// system shuts down, and its shutdown behaviour decides what that means.
func (e *Editor) ShutDownFromInside(accountID, regionName, id string) {
	s := e.scope(accountID, regionName)
	i := s.Instances[id]
	if i.Shutdown == "terminate" {
		s.shutDown(i, "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
		return
	}
	s.stop(i, "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
}

// ReclaimSpot takes a Spot instance back after a time: AWS gives two minutes.
func (e *Editor) ReclaimSpot(accountID, regionName, id string, after time.Duration) {
	s := e.scope(accountID, regionName)
	s.Instances[id].Reclaim = s.now.Add(after)
}

// SetTag sets a tag of anything, as a colleague would; an empty value deletes it.
func (e *Editor) SetTag(accountID, regionName, id, key, value string) {
	b := must(e.scope(accountID, regionName).named(id)).base()
	b.Tags = b.Tags.copied()
	b.Tags[key] = value
	if value == "" {
		delete(b.Tags, key)
	}
}

// SetShutdown sets the shutdown behaviour of an instance: stop or terminate.
func (e *Editor) SetShutdown(accountID, regionName, id, behaviour string) {
	e.scope(accountID, regionName).Instances[id].Shutdown = behaviour
}

// Impair makes the status checks of an instance fail, or pass again.
func (e *Editor) Impair(accountID, regionName, id string, impaired bool) {
	e.scope(accountID, regionName).Instances[id].Impaired = impaired
}
