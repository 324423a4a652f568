package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ImageSpec is a machine image; the zero value is Amazon's Linux for x86_64.
type ImageSpec struct {
	ID, Name     string
	Owner, Alias string // the account when empty; amazon is 137112412989
	Architecture string
	Platform     string // windows, or empty
	RootDevice   string
	RootSize     int32
	Snapshot     string
	ProductCodes []string
	Public       bool
	Shares       []string
	Tags         map[string]string
}

// AddImage adds an image to a region, as this account sees it, and returns its id.
func (e *Editor) AddImage(accountID, regionName string, spec ImageSpec) string {
	s := e.scope(accountID, regionName)
	m := &image{made: s.past("ami-", spec.ID, spec.Tags), Owner: orText(spec.Owner, accountID), Alias: spec.Alias, Architecture: orText(spec.Architecture, "x86_64"),
		Platform: spec.Platform, RootDevice: orText(spec.RootDevice, "/dev/xvda"), RootSize: spec.RootSize, Snapshot: spec.Snapshot, Codes: spec.ProductCodes,
		Public: spec.Public, Shares: slices.Clone(spec.Shares)}
	m.Name = orText(spec.Name, "image-"+m.ID[4:])
	if m.Owner == "amazon" {
		m.Owner, m.Alias, m.Public = "137112412989", "amazon", true
	}
	if m.RootSize == 0 {
		m.RootSize = 8
	}
	return keep(&s.Images, m).ID
}

// linux is Amazon's image in the region, which is added when there is none.
func (e *Editor) linux(accountID, regionName string) *image {
	s := e.scope(accountID, regionName)
	for _, m := range inOrder(s.Images) {
		if m.Alias == "amazon" && m.Architecture == "x86_64" && m.Platform == "" {
			return m
		}
	}
	return s.Images[e.AddImage(accountID, regionName, ImageSpec{Owner: "amazon", Name: "al2023-ami-2023.6.0-kernel-6.1-x86_64"})]
}

// InterfaceSpec is an interface of an instance. The zero value is in the subnet
// of the instance, with its groups.
type InterfaceSpec struct {
	ID, Subnet string
	Groups     []string
	// IPs is how many private addresses it has; 0: one.
	IPs int
	// Managed is the service that manages it; empty: none.
	Managed string
	// Operator is who operates it; empty: nobody else.
	Operator string
	// ElasticIP gives it one.
	ElasticIP bool
	Type      string
}

// VolumeSpec is a volume of an instance. The zero value is 8 GiB gp3, not encrypted.
type VolumeSpec struct {
	ID     string
	Device string
	GiB    int32
	Type   string
	// Encrypted without a Key is with the key that AWS manages.
	Encrypted bool
	Key       string
	// Keep keeps it when the instance is terminated.
	Keep         bool
	Multi        bool
	ProductCodes []string
	Tags         map[string]string
}

// InstanceSpec is an instance. The zero value is a t3.micro that has been running
// for a day, with one public interface and one volume, in a VPC that is added
// when the region has none.
type InstanceSpec struct {
	ID, Type, Image, Subnet string
	Groups                  []string
	// Interfaces and Volumes replace the one of the zero value.
	Interfaces []InterfaceSpec
	Volumes    []VolumeSpec
	// Profile is the name of an instance profile, which is added with a role of
	// the same name when there is none; or the ARN of one that is there.
	Profile string
	Tags    map[string]string
	// ElasticIP gives the primary interface one, in place of its automatic public
	// address; Private: it never had an automatic one.
	ElasticIP, Private bool
	Spot               bool
	StoreRoot          bool
	// Stores are instance store devices.
	Stores       []string
	Operator     string // who manages it: eks.amazonaws.com
	ProductCodes []string
	Hibernates   bool
	Protected    bool // from termination
	Shutdown     string
	UserData     string
	Console      string
	NoScreenshot bool
	KeyName      string
	Platform     string
	// State is running or stopped; empty: running.
	State string
	// Age is for how long it has been running; 0: a day.
	Age time.Duration
}

// AddInstance adds an instance and returns its id.
func (e *Editor) AddInstance(accountID, regionName string, spec InstanceSpec) string {
	s := e.scope(accountID, regionName)
	sub := e.subnetFor(accountID, regionName, spec.Subnet)
	m := s.launchable()[spec.Image]
	if m == nil {
		m = e.linux(accountID, regionName)
	}
	age := spec.Age
	if age == 0 {
		age = day
	}
	l := launch{Image: m, Type: orText(spec.Type, "t3.micro"), Subnet: sub, Tags: tags(spec.Tags).copied(), Metadata: defaultMetadata(), Shutdown: spec.Shutdown,
		NoTerminate: spec.Protected, UserData: spec.UserData, KeyName: spec.KeyName, Spot: spec.Spot, Runs: s.now.Add(-age)}
	l.Metadata.Hops = 1
	if spec.Profile != "" {
		l.Profile = e.profileFor(accountID, spec.Profile)
	}
	l.Interfaces = e.interfacesOf(accountID, regionName, spec, sub)
	l.Devices = s.devicesOf(spec, m)
	i := s.launch(l)
	s.dress(i, spec)
	for k, n := range s.enisOf(i.ID) {
		e.finish(accountID, regionName, n, spec, k)
	}
	return i.ID
}

func (e *Editor) subnetFor(accountID, regionName, id string) *subnet {
	s := e.scope(accountID, regionName)
	if id != "" {
		if sub := s.Subnets[id]; sub != nil {
			return sub
		}
		panic("edit the simulated world: there is no subnet " + id)
	}
	for _, sub := range inOrder(s.Subnets) {
		if sub.VPC == s.DefaultVPC {
			return sub
		}
	}
	return s.Subnets[e.AddSubnet(accountID, regionName, SubnetSpec{})]
}

func (e *Editor) profileFor(accountID, profile string) string {
	a, _ := e.w.at(accountID, "us-east-1")
	if strings.HasPrefix(profile, "arn:") {
		return profile
	}
	if p, err := a.profile(profile); err == nil {
		return p.ARN
	}
	if _, err := a.role(profile); err != nil {
		e.AddRole(accountID, Role{Name: profile})
	}
	return e.AddInstanceProfile(accountID, InstanceProfile{Name: profile, Role: profile}).ARN
}

func (e *Editor) interfacesOf(accountID, regionName string, spec InstanceSpec, sub *subnet) []launchENI {
	s := e.scope(accountID, regionName)
	specs := spec.Interfaces
	if len(specs) == 0 {
		specs = []InterfaceSpec{{ElasticIP: spec.ElasticIP}}
	}
	var out []launchENI
	for k, n := range specs {
		at := sub
		if n.Subnet != "" {
			at = s.Subnets[n.Subnet]
		}
		groups := n.Groups
		if groups == nil {
			groups = spec.Groups
		}
		if groups == nil {
			groups = []string{e.webGroup(accountID, regionName, at.VPC)}
		}
		out = append(out, launchENI{ID: n.ID, Subnet: at, Groups: slices.Clone(groups), Index: int32(k), Delete: k == 0, More: max(0, n.IPs-1), // #nosec G115 -- a few
			Public: k == 0 && at.AutoPublic && !spec.Private, Description: fmt.Sprintf("interface %d", k)})
	}
	return out
}

// webGroup is the group of instances that name none.
func (e *Editor) webGroup(accountID, regionName, vpcID string) string {
	for _, g := range inOrder(e.scope(accountID, regionName).Groups) {
		if g.VPC == vpcID && g.Name == "web" {
			return g.ID
		}
	}
	return e.AddSecurityGroup(accountID, regionName, SecurityGroupSpec{VPC: vpcID, Name: "web"})
}

func (s *scope) devicesOf(spec InstanceSpec, m *image) []launchDevice {
	specs := spec.Volumes
	if len(specs) == 0 && !spec.StoreRoot {
		specs = []VolumeSpec{{}}
	}
	var out []launchDevice
	for k, v := range specs {
		d := launchDevice{ID: v.ID, Name: v.Device, Size: max(v.GiB, 1), Type: orText(v.Type, "gp3"), Encrypted: v.Encrypted || v.Key != "", Delete: !v.Keep, Multi: v.Multi, Codes: v.ProductCodes}
		if v.GiB == 0 {
			d.Size = 8
		}
		if d.Name == "" {
			d.Name = m.RootDevice
			if k > 0 {
				d.Name = fmt.Sprintf("/dev/sd%c", 'e'+k)
			}
		}
		if d.Encrypted {
			d.Key = s.keyARN(v.Key)
		}
		out = append(out, d)
	}
	return out
}

// dress gives an instance what launching does not.
func (s *scope) dress(i *instance, spec InstanceSpec) {
	if spec.ID != "" {
		s.rename(i, spec.ID)
	}
	i.Codes = append(slices.Clone(i.Codes), spec.ProductCodes...)
	i.Operator, i.StoreRoot, i.Stores, i.Hibernates = spec.Operator, spec.StoreRoot, spec.Stores, spec.Hibernates
	i.Console, i.NoScreenshot = spec.Console, spec.NoScreenshot
	i.Platform = orText(spec.Platform, i.Platform)
	for _, m := range s.mounts(i.ID) {
		m.volume.Made, m.volume.Operator = i.Launched, spec.Operator
		for _, v := range spec.Volumes {
			if v.Tags != nil && (v.Device == m.at.Device || v.Device == "" && m.at.Device == i.RootDevice) {
				m.volume.Tags = tags(v.Tags).copied()
			}
		}
	}
	if spec.State == "stopped" {
		i.State = "stopped"
	}
}

// rename gives an instance an id that was asked for.
func (s *scope) rename(i *instance, id string) {
	for _, n := range s.enisOf(i.ID) {
		n.Instance = id
	}
	for _, m := range s.mounts(i.ID) {
		m.at.Instance = id
	}
	for _, p := range s.Profiles {
		if p.Instance == i.ID {
			p.Instance = id
		}
	}
	delete(s.Instances, i.ID)
	i.ID = id
	keep(&s.Instances, i)
}

// finish gives an interface what launching does not.
func (e *Editor) finish(accountID, regionName string, n *eni, spec InstanceSpec, k int) {
	if spec.State == "stopped" {
		n.Public = ""
	}
	if k == 0 && len(spec.Interfaces) == 0 {
		if spec.ElasticIP {
			e.AddAddress(accountID, regionName, AddressSpec{Interface: n.ID})
		}
		return
	}
	if k >= len(spec.Interfaces) {
		return
	}
	in := spec.Interfaces[k]
	n.Managed, n.Requester, n.Operator, n.Type = in.Managed != "", in.Managed, in.Operator, orText(in.Type, n.Type)
	if in.ElasticIP || k == 0 && spec.ElasticIP {
		e.AddAddress(accountID, regionName, AddressSpec{Interface: n.ID})
	}
}

// VolumesOf are the ids of the volumes of an instance, the root first, then by
// device.
func (e *Editor) VolumesOf(accountID, regionName, instanceID string) []string {
	var out []string
	for _, m := range e.scope(accountID, regionName).mounts(instanceID) {
		out = append(out, m.volume.ID)
	}
	return out
}

// AddVolume adds a volume that is attached to nothing, and returns its id.
func (e *Editor) AddVolume(accountID, regionName, az string, spec VolumeSpec) string {
	s := e.scope(accountID, regionName)
	if len(az) < 2 {
		az = regionName + orText(az, "a")
	}
	v := &volume{made: s.past("vol-", spec.ID, spec.Tags), AZ: az, Size: max(spec.GiB, 1), Type: orText(spec.Type, "gp3"), Encrypted: spec.Encrypted || spec.Key != "",
		State: "available", Multi: spec.Multi, Codes: spec.ProductCodes}
	if v.Encrypted {
		v.Key = s.keyARN(spec.Key)
	}
	v.Content = v.ID
	return keep(&s.Volumes, v).ID
}

// SnapshotSpec is a snapshot that is completed; the zero value is of 8 GiB of a
// volume that is no more.
type SnapshotSpec struct {
	ID, Volume, Description string
	GiB                     int32
	Encrypted               bool
	Key                     string
	Shares                  []string
	Public                  bool
	ProductCodes            []string
	Tags                    map[string]string
	Age                     time.Duration
}

// AddSnapshot adds a snapshot and returns its id.
func (e *Editor) AddSnapshot(accountID, regionName string, spec SnapshotSpec) string {
	s := e.scope(accountID, regionName)
	p := &snapshot{made: s.past("snap-", spec.ID, spec.Tags), Owner: accountID, Volume: orText(spec.Volume, s.w.id("vol-")), Size: spec.GiB, Description: spec.Description,
		Encrypted: spec.Encrypted || spec.Key != "", Shares: slices.Clone(spec.Shares), Public: spec.Public, Codes: spec.ProductCodes}
	if p.Size == 0 {
		p.Size = 8
	}
	p.Content = p.Volume
	if v := s.Volumes[p.Volume]; v != nil {
		p.Size, p.Encrypted, p.Key, p.Content = v.Size, v.Encrypted, v.Key, v.Content
	}
	if p.Encrypted && p.Key == "" {
		p.Key = s.keyARN(spec.Key)
	}
	if spec.Age > 0 {
		p.Made = s.now.Add(-spec.Age)
	}
	p.Ends = p.Made.Add(time.Minute)
	return keep(&s.Snapshots, p).ID
}
