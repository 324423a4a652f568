package cloudtest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// SimBackend is the simulator, with a world for each case.
func SimBackend() Backend {
	return Backend{Name: Sim, Start: func(t *testing.T, account string) (awscalls.AWS, Scenery) {
		clock := NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
		w, err := sim.New(sim.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return w.AWS(), &simScenery{t: t, world: w, account: account, clock: clock}
	}}
}

// Sleep implements sim.Clock: time passes at once.
func (c *Clock) Sleep(ctx context.Context, d time.Duration, _ <-chan struct{}) error {
	c.Move(d)
	return ctx.Err()
}

// simScenery builds in the simulator by its editor.
type simScenery struct {
	t       *testing.T
	world   *sim.World
	account string
	clock   *Clock
}

var _ Scenery = (*simScenery)(nil)

func (c *simScenery) edit(f func(e *sim.Editor)) {
	c.t.Helper()
	if err := c.world.Edit(f); err != nil {
		c.t.Fatal(err)
	}
}

// made builds something that has an id.
func (c *simScenery) made(f func(e *sim.Editor) string) (id string) {
	c.t.Helper()
	c.edit(func(e *sim.Editor) { id = f(e) })
	return id
}

// As implements Scenery.
func (c *simScenery) As(account string) Scenery {
	out := *c
	out.account = account
	return &out
}

// Move implements Scenery.
func (c *simScenery) Move(d time.Duration) { c.clock.Move(d) }

// VPC implements Scenery.
func (c *simScenery) VPC(v6 bool) string {
	return c.made(func(e *sim.Editor) string { return e.AddVPC(c.account, Region, sim.VPCSpec{IPv6: v6}) })
}

// Subnet implements Scenery.
func (c *simScenery) Subnet(vpc, zone string) string {
	return c.made(func(e *sim.Editor) string {
		return e.AddSubnet(c.account, Region, sim.SubnetSpec{VPC: vpc, AZ: zone})
	})
}

// NAT implements Scenery.
func (c *simScenery) NAT(subnet string) string {
	return c.made(func(e *sim.Editor) string { return e.AddNATGateway(c.account, Region, subnet) })
}

// Launch implements Scenery.
func (c *simScenery) Launch(l Launch) Host {
	c.t.Helper()
	spec := sim.InstanceSpec{Subnet: l.Subnets[0], Groups: l.Groups, Profile: l.Profile, Volumes: []sim.VolumeSpec{{}}}
	for _, s := range l.Subnets {
		spec.Interfaces = append(spec.Interfaces, sim.InterfaceSpec{Subnet: s})
	}
	for _, d := range l.Disks {
		spec.Volumes = append(spec.Volumes, sim.VolumeSpec{GiB: d.GiB, Encrypted: d.Encrypted, Key: d.Key})
	}
	var h Host
	c.edit(func(e *sim.Editor) {
		h.ID = e.AddInstance(c.account, Region, spec)
		for i := range l.Subnets {
			h.Interfaces = append(h.Interfaces, e.InterfaceOf(c.account, Region, h.ID, int32(i))) //nolint:gosec // a handful
		}
	})
	out, err := c.client().DescribeInstances(c.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{h.ID}})
	if err != nil {
		c.t.Fatal(err)
	}
	i := out.Reservations[0].Instances[0]
	for _, b := range i.BlockDeviceMappings {
		if aws.ToString(b.DeviceName) == aws.ToString(i.RootDeviceName) {
			h.Volumes = append([]string{aws.ToString(b.Ebs.VolumeId)}, h.Volumes...)
			continue
		}
		h.Volumes = append(h.Volumes, aws.ToString(b.Ebs.VolumeId))
	}
	return h
}

func (c *simScenery) place() awscalls.Place {
	return awscalls.Place{Account: c.account, Region: Region, Role: awscalls.Act, Incident: "INC-1"}
}

func (c *simScenery) client() awscalls.EC2 {
	c.t.Helper()
	client, err := c.world.AWS().EC2(c.t.Context(), c.place())
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// Address implements Scenery.
func (c *simScenery) Address(eni string) (allocation, association string) {
	c.t.Helper()
	allocation = c.made(func(e *sim.Editor) string {
		return e.AddAddress(c.account, Region, sim.AddressSpec{Interface: eni})
	})
	out, err := c.client().DescribeAddresses(c.t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{allocation}})
	if err != nil {
		c.t.Fatal(err)
	}
	return allocation, aws.ToString(out.Addresses[0].AssociationId)
}

// Image implements Scenery.
func (c *simScenery) Image() string {
	return c.made(func(e *sim.Editor) string {
		return e.AddImage(c.account, Region, sim.ImageSpec{Name: "workstation"})
	})
}

// Role implements Scenery.
func (c *simScenery) Role(name, path string) {
	c.edit(func(e *sim.Editor) { e.AddRole(c.account, sim.Role{Name: name, Path: path, Trust: anybody}) })
}

// Profile implements Scenery.
func (c *simScenery) Profile(name, role string) string {
	return c.made(func(e *sim.Editor) string {
		return e.AddInstanceProfile(c.account, sim.InstanceProfile{Name: name, Role: role}).ARN
	})
}

// User implements Scenery.
func (c *simScenery) User(name string) string {
	return c.made(func(e *sim.Editor) string {
		e.AddUser(c.account, sim.User{Name: name})
		return e.AddAccessKey(c.account, name, sim.AccessKey{Active: true}).ID
	})
}

// Key implements Scenery.
func (c *simScenery) Key() string {
	return c.made(func(e *sim.Editor) string { return e.AddKMSKey(c.account, Region, sim.KMSKey{}).ARN })
}

// Group implements Scenery.
func (c *simScenery) Group(name, subnet string, least, wants, most int, targetGroups ...string) (ids []string) {
	c.edit(func(e *sim.Editor) {
		ids = e.AddAutoScalingGroup(c.account, Region, sim.AutoScalingGroupSpec{Name: name, Min: int32(least), Desired: int32(wants), Max: int32(most), Subnets: []string{subnet}, Targets: targetGroups}) //nolint:gosec // a handful
	})
	return ids
}

// TargetGroup implements Scenery.
func (c *simScenery) TargetGroup(name, vpc string) string {
	return c.made(func(e *sim.Editor) string {
		return e.AddTargetGroup(c.account, Region, sim.TargetGroupSpec{Name: name, VPC: vpc})
	})
}

// LoadBalancer implements Scenery.
func (c *simScenery) LoadBalancer(name, _ string) {
	c.edit(func(e *sim.Editor) { e.AddClassicELB(c.account, Region, sim.ClassicELBSpec{Name: name}) })
}

// Vault implements Scenery.
func (c *simScenery) Vault(name string, days int) {
	b := sim.Bucket{Name: name, Region: Region, ObjectLock: true, RetentionDays: days}
	if days > 0 {
		b.RetentionMode = "GOVERNANCE"
	}
	c.edit(func(e *sim.Editor) { e.AddBucket(c.account, b) })
}

// Bucket implements Scenery.
func (c *simScenery) Bucket(name string, versioned bool) {
	b := sim.Bucket{Name: name, Region: Region}
	if versioned {
		b.Versioning = "Enabled"
	}
	c.edit(func(e *sim.Editor) { e.AddBucket(c.account, b) })
}

// HTTP implements Scenery.
func (c *simScenery) HTTP() *http.Client { return &http.Client{Transport: c.world.Transport()} }

// Function implements Scenery.
func (c *simScenery) Function(name string) {
	c.edit(func(e *sim.Editor) {
		e.AddFunction(c.account, Region, sim.Function{Name: name, Code: []byte("archive")})
	})
}

// Database implements Scenery.
func (c *simScenery) Database(name string) {
	c.edit(func(e *sim.Editor) { e.AddDBInstance(c.account, Region, sim.DBInstance{ID: name}) })
}

// ClusterSnapshot implements Scenery.
func (c *simScenery) ClusterSnapshot(cluster, name string) {
	c.edit(func(e *sim.Editor) {
		e.AddDBClusterSnapshot(c.account, Region, sim.DBSnapshot{ID: name, Database: cluster})
	})
}

// IPSet implements Scenery.
func (c *simScenery) IPSet(name string, addresses ...string) string {
	return c.made(func(e *sim.Editor) string {
		set := e.AddIPSet(c.account, Region, sim.IPSet{Name: name, Scope: "REGIONAL"})
		e.SetAddresses(set, addresses...)
		return set.ID
	})
}

// Agent implements Scenery.
func (c *simScenery) Agent(instance string) {
	c.edit(func(e *sim.Editor) { e.SetAgent(c.account, Region, sim.SSMAgent{Instance: instance}) })
}

// Shell implements Scenery.
func (c *simScenery) Shell(id, instance string) {
	c.edit(func(e *sim.Editor) { e.AddSSMSession(c.account, Region, sim.ShellSession{ID: id, Instance: instance}) })
}

// Document implements Scenery.
func (c *simScenery) Document(name string) {
	c.edit(func(e *sim.Editor) { e.AddDocument(c.account, Region, sim.Document{Name: name}) })
}

// Parameter implements Scenery.
func (c *simScenery) Parameter(name, value string) {
	c.edit(func(e *sim.Editor) { e.AddParameter(c.account, Region, sim.Parameter{Name: name, Value: value}) })
}

// Logged implements Scenery.
func (c *simScenery) Logged(group, stream string, lines ...string) {
	c.edit(func(e *sim.Editor) { e.AddLogEvents(c.account, Region, group, stream, c.clock.Now(), lines...) })
}

// Happened implements Scenery.
func (c *simScenery) Happened(user, key, name string) {
	c.edit(func(e *sim.Editor) {
		e.AddTrailEvents(c.account, Region, sim.TrailEvent{Name: name, Source: "ec2.amazonaws.com", User: user, AccessKey: key})
	})
}
