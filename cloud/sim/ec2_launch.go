package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// launch is what an instance is made of, for RunInstances, Auto Scaling and who
// builds a world.
type launch struct {
	Operation  string
	Image      *image
	Type       string
	Subnet     *subnet
	Interfaces []launchENI
	Devices    []launchDevice
	Profile    string
	Tags       tags
	VolumeTags tags
	ENITags    tags
	Metadata   metadataOptions
	Shutdown   string
	// NoTerminate and NoStop are the protections.
	NoTerminate, NoStop bool
	UserData, KeyName   string
	Spot                bool
	Token               string
	// Runs is since when it runs; zero: it boots now.
	Runs time.Time
}

type launchENI struct {
	ID          string
	Subnet      *subnet
	Groups      []string
	Description string
	Index       int32
	Public      bool
	Delete      bool
	More        int // further private addresses
	IP          string
}

type launchDevice struct {
	ID        string
	Name      string
	Size      int32
	Type      string
	Encrypted bool
	Key       string
	Snapshot  *snapshot
	Delete    bool
	Multi     bool
	Codes     []string
}

func defaultMetadata() metadataOptions {
	return metadataOptions{Tokens: "required", Endpoint: "enabled", Hops: 2, IPv6: "disabled", Tags: "disabled"}
}

// launch makes an instance with its interfaces, volumes and profile.
func (s *scope) launch(l launch) *instance {
	t := s.w.times()
	i := &instance{made: s.born(l.Operation, "i-", l.Tags), Type: l.Type, Image: l.Image.ID, AZ: l.Subnet.AZ, Subnet: l.Subnet.ID,
		VPC: l.Subnet.VPC, KeyName: l.KeyName, Platform: l.Image.Platform, Architecture: l.Image.Architecture, Launched: s.now,
		State: "pending", Since: s.now, Until: s.now.Add(t.Boot), Spot: l.Spot, RootDevice: l.Image.RootDevice, Tenancy: "default",
		Codes: l.Image.Codes, NoTerminate: l.NoTerminate, NoStop: l.NoStop, Shutdown: l.Shutdown, UserData: l.UserData,
		Metadata: l.Metadata, Token: l.Token, Sources: true}
	if !l.Runs.IsZero() {
		i.State, i.Since, i.Until, i.Launched = "running", l.Runs, time.Time{}, l.Runs
		i.Made, i.Seen = l.Runs, time.Time{}
	}
	if i.Shutdown == "" {
		i.Shutdown = "stop"
	}
	if s.w.opts.InstanceGroups && len(l.Interfaces) > 0 {
		i.Groups = slices.Clone(l.Interfaces[0].Groups)
	}
	keep(&s.Instances, i)
	for _, e := range l.Interfaces {
		s.plug(i, e, l)
	}
	for _, d := range l.Devices {
		s.mount(i, d, l)
	}
	if l.Profile != "" {
		keep(&s.Profiles, &profileLink{made: s.born(l.Operation, "iip-assoc-", nil), Instance: i.ID, ARN: l.Profile, State: "associated"})
	}
	return i
}

func (s *scope) plug(i *instance, e launchENI, l launch) *eni {
	n := s.newENI(l.Operation, e.Subnet, e.Groups, e.Description)
	n.Tags = l.ENITags.copied()
	n.Instance, n.Attachment, n.Attached = i.ID, s.w.id("eni-attach-"), i.Since
	n.Index, n.Delete = e.Index, e.Delete
	if e.IP != "" {
		n.IPs = []string{e.IP}
	}
	for range e.More {
		n.IPs = append(n.IPs, e.Subnet.address())
	}
	if e.Public {
		n.Public, n.Auto = s.publicAddress(), true
	}
	if e.ID != "" {
		delete(s.ENIs, n.ID)
		n.ID = e.ID
		keep(&s.ENIs, n)
	}
	return n
}

// newENI makes an interface with the next address of its subnet.
func (s *scope) newENI(operation string, sub *subnet, groups []string, description string) *eni {
	n := &eni{made: s.born(operation, "eni-", tags{}), Subnet: sub.ID, VPC: sub.VPC, AZ: sub.AZ, Description: description,
		Type: "interface", Groups: groups, Sources: true, IPs: []string{sub.address()}}
	if sub.CIDR6 != "" {
		n.IP6s = []string{sub.address6()}
	}
	return keep(&s.ENIs, n)
}

func (s *scope) mount(i *instance, d launchDevice, l launch) *volume {
	v := &volume{made: s.born(l.Operation, "vol-", l.VolumeTags.copied()), AZ: i.AZ, Size: d.Size, Type: d.Type, Encrypted: d.Encrypted,
		Key: d.Key, State: "in-use", Multi: d.Multi, Codes: d.Codes,
		Attachments: []*attachment{{Instance: i.ID, Device: d.Name, State: "attached", At: i.Since, Delete: d.Delete}}}
	if d.ID != "" {
		v.ID = d.ID
	}
	v.Content = v.ID
	if d.Snapshot != nil {
		v.Snapshot, v.Content = d.Snapshot.ID, d.Snapshot.Content
	}
	return keep(&s.Volumes, v)
}

// address is the next free address of a subnet.
func (n *subnet) address() string {
	n.Hosts++
	p, err := netip.ParsePrefix(n.CIDR)
	if err != nil {
		return ""
	}
	at := p.Addr()
	for range n.Hosts + 3 { // AWS keeps the first four for itself
		at = at.Next()
	}
	return at.String()
}

func (n *subnet) address6() string {
	p, err := netip.ParsePrefix(n.CIDR6)
	if err != nil {
		return ""
	}
	at := p.Addr()
	for range n.Hosts + 3 {
		at = at.Next()
	}
	return at.String()
}

// publicAddress is a new public address, of a network that is for examples.
func (s *scope) publicAddress() string {
	s.w.state.Seq++
	n := s.w.state.Seq
	return fmt.Sprintf("203.0.%d.%d", 113+n/250, 1+n%250)
}

// enisOf are the interfaces of an instance, by their index.
func (s *scope) enisOf(instanceID string) []*eni {
	var out []*eni
	for _, n := range inOrder(s.ENIs) {
		if n.Instance == instanceID {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b *eni) int { return int(a.Index - b.Index) })
	return out
}

// mounts are the volumes of an instance with their attachments: the root, then by
// device.
func (s *scope) mounts(instanceID string) []mounted {
	var out []mounted
	for _, v := range inOrder(s.Volumes) {
		for _, a := range v.Attachments {
			if a.Instance == instanceID {
				out = append(out, mounted{v, a})
			}
		}
	}
	root := ""
	if i := s.Instances[instanceID]; i != nil {
		root = i.RootDevice
	}
	slices.SortStableFunc(out, func(a, b mounted) int {
		if (a.at.Device == root) != (b.at.Device == root) {
			if a.at.Device == root {
				return -1
			}
			return 1
		}
		return strings.Compare(a.at.Device, b.at.Device)
	})
	return out
}

type mounted struct {
	volume *volume
	at     *attachment
}

// primary is the interface with index 0, or nil.
func (s *scope) primary(instanceID string) *eni {
	for _, n := range s.enisOf(instanceID) {
		if n.Index == 0 {
			return n
		}
	}
	return nil
}

// elastic is the Elastic IP of a private address of an interface, or nil.
func (s *scope) elastic(n *eni, private string) *address {
	for _, a := range inOrder(s.Addresses) {
		if a.ENI == n.ID && a.Private == private {
			return a
		}
	}
	return nil
}
