package sim

import (
	"fmt"
	"strings"
	"time"
)

// scope is an account and region, to be edited.
func (e *Editor) scope(accountID, regionName string) *scope {
	a, r := e.w.at(accountID, regionName)
	return e.w.scopeOf(a, r, e.w.now())
}

// past is since when what is built has been there.
func (s *scope) past(prefix, id string, t map[string]string) made {
	m := made{ID: id, Made: s.now.Add(-30 * 24 * time.Hour), Tags: tags(t).copied()}
	if id == "" {
		m.ID = s.w.id(prefix)
	}
	return m
}

// VPCSpec is a VPC; the zero value is 10.0.0.0/16 without IPv6.
type VPCSpec struct {
	ID   string
	CIDR string
	// IPv6 gives it a block.
	IPv6 bool
	Tags map[string]string
}

// AddVPC adds a VPC with its main route table, its default network ACL, which
// allows everything, and its default security group, and returns its id. The
// first one of a region is its default VPC.
func (e *Editor) AddVPC(accountID, regionName string, spec VPCSpec) string {
	s := e.scope(accountID, regionName)
	v := keep(&s.VPCs, &vpc{made: s.past("vpc-", spec.ID, spec.Tags), CIDR: orText(spec.CIDR, fmt.Sprintf("10.%d.0.0/16", len(s.VPCs)))})
	if spec.IPv6 {
		v.CIDR6 = fmt.Sprintf("2001:db8:%x::/56", 0x1200+0x100*len(s.VPCs))
	}
	local := []route{{To: v.CIDR, Via: "local"}}
	if v.CIDR6 != "" {
		local = append(local, route{To: v.CIDR6, Via: "local"})
	}
	v.Table = keep(&s.Tables, &routeTable{made: s.past("rtb-", "", nil), VPC: v.ID, Subnets: map[string]string{s.w.id("rtbassoc-"): ""}, Routes: local}).ID
	n := keep(&s.ACLs, &acl{made: s.past("acl-", "", nil), VPC: v.ID, Default: true})
	for _, egress := range []bool{true, false} {
		n.Entries = append(n.Entries, aclEntry{Number: 100, Egress: egress, Allow: true, Protocol: "-1", CIDR: "0.0.0.0/0"})
		if v.CIDR6 != "" {
			n.Entries = append(n.Entries, aclEntry{Number: 101, Egress: egress, Allow: true, Protocol: "-1", CIDR6: "::/0"})
		}
	}
	v.ACL = n.ID
	g := s.newGroup("", v, "default", "default VPC security group", tags{})
	g.Rules = append(g.Rules, &rule{made: s.past("sgr-", "", nil), Protocol: "-1", From: -1, To: -1, Group: g.ID})
	v.Group = g.ID
	if s.DefaultVPC == "" {
		s.DefaultVPC = v.ID
	}
	return v.ID
}

// SubnetSpec is a subnet. The zero value is in the first zone of the default VPC,
// with a route to an internet gateway and automatic public addresses.
type SubnetSpec struct {
	ID, VPC string
	// AZ is a zone, us-east-1b, or only its letter.
	AZ   string
	CIDR string
	// Route is where the default route goes: igw (also the empty string), nat, tgw
	// or none. A NAT gateway is put into a public subnet of its own, or into the
	// one that NAT names.
	Route string
	NAT   string
	// Public tells whether instances get a public address by themselves; nil: with
	// a route to an internet gateway.
	Public *bool
	// Routes are further ones, by destination.
	Routes map[string]string
	Tags   map[string]string
}

// AddSubnet adds a subnet and returns its id. What it needs is added with it.
func (e *Editor) AddSubnet(accountID, regionName string, spec SubnetSpec) string {
	s := e.scope(accountID, regionName)
	if spec.VPC == "" {
		spec.VPC = s.DefaultVPC
	}
	if spec.VPC == "" {
		spec.VPC = e.AddVPC(accountID, regionName, VPCSpec{})
	}
	v := s.VPCs[spec.VPC]
	if v == nil {
		panic("edit the simulated world: there is no VPC " + spec.VPC)
	}
	if len(spec.AZ) < 2 {
		spec.AZ = regionName + orText(spec.AZ, "a")
	}
	gateway := ""
	switch {
	case spec.Route == "nat" && spec.NAT != "":
		gateway = s.newNAT(v, spec.NAT)
	case spec.Route == "nat":
		gateway = s.newNAT(v, e.AddSubnet(accountID, regionName, SubnetSpec{VPC: spec.VPC, AZ: spec.AZ}))
	case spec.Route == "tgw":
		gateway = s.w.id("tgw-")
	case spec.Route == "" || spec.Route == "igw":
		gateway = "igw-" + strings.TrimPrefix(v.ID, "vpc-")
	}
	n := &subnet{made: s.past("subnet-", spec.ID, spec.Tags), VPC: v.ID, AZ: spec.AZ, CIDR: orText(spec.CIDR, v.nextBlock(s)), ACL: v.ACL, Association: s.w.id("aclassoc-"),
		AutoPublic: strings.HasPrefix(gateway, "igw-")}
	if v.CIDR6 != "" {
		n.CIDR6 = block6(v.CIDR6, len(s.Subnets)+1)
	}
	if spec.Public != nil {
		n.AutoPublic = *spec.Public
	}
	keep(&s.Subnets, n)
	t := &routeTable{made: s.past("rtb-", "", nil), VPC: v.ID, Subnets: map[string]string{s.w.id("rtbassoc-"): n.ID}, Routes: append([]route(nil), s.Tables[v.Table].Routes[:1]...)}
	if gateway != "" {
		t.Routes = append(t.Routes, route{To: "0.0.0.0/0", Via: gateway})
	}
	if v.CIDR6 != "" && n.AutoPublic {
		t.Routes = append(t.Routes, route{To: "::/0", Via: gateway})
	}
	for _, to := range keysOf(spec.Routes) {
		t.Routes = append(t.Routes, route{To: to, Via: spec.Routes[to]})
	}
	keep(&s.Tables, t)
	return n.ID
}

// AddNATGateway adds a NAT gateway in a subnet and returns its id. Routes lead to
// it by SubnetSpec.Routes.
func (e *Editor) AddNATGateway(accountID, regionName, subnetID string) string {
	s := e.scope(accountID, regionName)
	n := s.Subnets[subnetID]
	if n == nil || s.VPCs[n.VPC] == nil {
		panic("edit the simulated world: there is no subnet " + subnetID)
	}
	return s.newNAT(s.VPCs[n.VPC], subnetID)
}

func (s *scope) newNAT(v *vpc, subnetID string) string {
	g := keep(&s.NATs, &natGateway{made: s.past("nat-", "", nil), Subnet: subnetID, VPC: v.ID})
	n := s.newENI("", s.Subnets[subnetID], nil, "Interface for NAT Gateway "+g.ID)
	n.Type, n.Managed, n.Requester = "nat_gateway", true, "amazon-nat"
	n.Public = s.publicAddress()
	return g.ID
}

// nextBlock is the next /24 of a VPC's network.
func (v *vpc) nextBlock(s *scope) string {
	count := 0
	for _, n := range s.Subnets {
		if n.VPC == v.ID {
			count++
		}
	}
	parts := strings.Split(v.CIDR, ".")
	return fmt.Sprintf("%s.%s.%d.0/24", parts[0], parts[1], count+1)
}

// block6 is the nth /64 of a /56.
func block6(cidr string, n int) string {
	head := strings.TrimSuffix(cidr, "::/56")
	return fmt.Sprintf("%s:%x::/64", head, n)
}

// RuleSpec is a rule of a security group. The zero value is everything from
// everywhere.
type RuleSpec struct {
	Egress   bool
	Protocol string // tcp, udp, icmp; empty: all
	From, To int32
	// One of them; none: 0.0.0.0/0.
	CIDR, CIDR6, PrefixList, Group string
	Description                    string
}

// SecurityGroupSpec is a security group. The zero value takes TCP 443 from
// everywhere and lets everything out.
type SecurityGroupSpec struct {
	ID, VPC, Name, Description string
	// Rules replace those of the zero value, when there are any, the one that lets
	// everything out included.
	Rules []RuleSpec
	Tags  map[string]string
}

// AddSecurityGroup adds a security group and returns its id.
func (e *Editor) AddSecurityGroup(accountID, regionName string, spec SecurityGroupSpec) string {
	s := e.scope(accountID, regionName)
	if spec.VPC == "" {
		spec.VPC = s.DefaultVPC
	}
	if spec.VPC == "" {
		spec.VPC = e.AddVPC(accountID, regionName, VPCSpec{})
	}
	g := &group{made: s.past("sg-", spec.ID, spec.Tags), VPC: spec.VPC, Name: spec.Name, Description: orText(spec.Description, "managed by hand")}
	if g.Name == "" {
		g.Name = "group-" + g.ID[len(g.ID)-4:]
	}
	keep(&s.Groups, g)
	if spec.Rules == nil {
		spec.Rules = []RuleSpec{{Protocol: "tcp", From: 443, To: 443}, {Egress: true}}
		if s.VPCs[spec.VPC].CIDR6 != "" {
			spec.Rules = append(spec.Rules, RuleSpec{Egress: true, CIDR6: "::/0"})
		}
	}
	for _, r := range spec.Rules {
		e.AddRule(accountID, regionName, g.ID, r)
	}
	return g.ID
}

// AddRule adds a rule to a security group and returns its id.
func (e *Editor) AddRule(accountID, regionName, groupID string, r RuleSpec) string {
	s := e.scope(accountID, regionName)
	out := &rule{made: s.past("sgr-", "", nil), Egress: r.Egress, Protocol: orText(r.Protocol, "-1"), From: r.From, To: r.To, CIDR: r.CIDR, CIDR6: r.CIDR6, List: r.PrefixList, Group: r.Group, Description: r.Description}
	if out.Protocol == "-1" || out.Protocol == "icmp" {
		out.From, out.To = -1, -1
	}
	if out.CIDR+out.CIDR6+out.List+out.Group == "" {
		out.CIDR = "0.0.0.0/0"
	}
	g := s.Groups[groupID]
	g.Rules = append(g.Rules, out)
	return out.ID
}

// AddFlowLog adds a flow log of all traffic of a VPC, subnet or interface, to a log
// group, and returns its id.
func (e *Editor) AddFlowLog(accountID, regionName, resource, logGroup string) string {
	return e.AddFlowLogOf(accountID, regionName, FlowLogSpec{Resource: resource, Group: logGroup})
}

// AddACLEntry adds an entry to a network ACL.
func (e *Editor) AddACLEntry(accountID, regionName, aclID string, number int32, egress, allow bool, cidr string) {
	n := e.scope(accountID, regionName).ACLs[aclID]
	n.Entries = append(n.Entries, aclEntry{Number: number, Egress: egress, Allow: allow, Protocol: "-1", CIDR: cidr})
}

// InterfaceOf is the id of an interface of an instance, by its device index.
func (e *Editor) InterfaceOf(accountID, regionName, instanceID string, index int32) string {
	for _, n := range e.scope(accountID, regionName).enisOf(instanceID) {
		if n.Index == index {
			return n.ID
		}
	}
	panic(fmt.Sprintf("edit the simulated world: %s has no interface %d", instanceID, index))
}

// SetGroups puts groups on an interface, as a colleague would.
func (e *Editor) SetGroups(accountID, regionName, eniID string, groups ...string) {
	e.scope(accountID, regionName).ENIs[eniID].Groups = groups
}

// ManagedInterfaceSpec is an interface that belongs to a service.
type ManagedInterfaceSpec struct {
	Subnet, Requester, Description, Type string
	Groups                               []string
}

// SetTracking sets the timeouts of connection tracking of an interface, in seconds;
// 0 leaves the default.
func (e *Editor) SetTracking(accountID, regionName, eniID string, tcp, udp, stream int32) {
	n := e.scope(accountID, regionName).ENIs[eniID]
	n.TCP, n.UDP, n.Stream = tcp, udp, stream
}

// AddManagedInterface adds an interface that a service manages, and returns its id.
func (e *Editor) AddManagedInterface(accountID, regionName string, spec ManagedInterfaceSpec) string {
	s := e.scope(accountID, regionName)
	sub := s.Subnets[spec.Subnet]
	groups := spec.Groups
	if groups == nil {
		groups = []string{s.VPCs[sub.VPC].Group}
	}
	n := s.newENI("", sub, groups, orText(spec.Description, "Managed"))
	n.Managed, n.Requester, n.Type = true, orText(spec.Requester, "amazon-rds"), orText(spec.Type, "interface")
	return n.ID
}

// AddressSpec is an Elastic IP; the zero value belongs to nothing.
type AddressSpec struct {
	Interface, PrivateIP string
	Tags                 map[string]string
}

// AddAddress adds an Elastic IP and returns its allocation id.
func (e *Editor) AddAddress(accountID, regionName string, spec AddressSpec) string {
	s := e.scope(accountID, regionName)
	a := keep(&s.Addresses, &address{made: s.past("eipalloc-", "", spec.Tags), IP: s.publicAddress()})
	if n := s.ENIs[spec.Interface]; n != nil {
		a.ENI, a.Private, a.Association = n.ID, orText(spec.PrivateIP, n.IPs[0]), s.w.id("eipassoc-")
		if a.Private == n.IPs[0] {
			n.Public = ""
		}
	}
	return a.ID
}
