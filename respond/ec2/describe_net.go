package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// interfaces asks for the network interfaces that are attached to the instance.
func (d *describer) interfaces() ([]types.NetworkInterface, error) {
	return ask(d, "ec2.DescribeNetworkInterfaces", func(ctx context.Context) ([]types.NetworkInterface, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listInterfaces(ctx, c, filter("attachment.instance-id", d.id))
	})
}

// listInterfaces returns all pages.
func listInterfaces(ctx context.Context, c awscalls.EC2, filters ...types.Filter) ([]types.NetworkInterface, error) {
	var out []types.NetworkInterface
	in := &ec2.DescribeNetworkInterfacesInput{Filters: filters}
	for {
		page, err := c.DescribeNetworkInterfaces(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.NetworkInterfaces...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

func readInterfaces(list []types.NetworkInterface) []Interface {
	out := make([]Interface, 0, len(list))
	for _, n := range list {
		out = append(out, readInterface(n))
	}
	slices.SortFunc(out, func(a, b Interface) int {
		if a.DeviceIndex != b.DeviceIndex {
			return int(a.DeviceIndex - b.DeviceIndex)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func readInterface(n types.NetworkInterface) Interface {
	i := Interface{ID: str(n.NetworkInterfaceId), VPC: str(n.VpcId), Subnet: str(n.SubnetId), Zone: str(n.AvailabilityZone), Type: string(n.InterfaceType),
		SourceDestCheck: aws.ToBool(n.SourceDestCheck), Manager: managerOf(n.Operator), Groups: groupIDs(n.Groups), Tags: tagsOf(n.TagSet)}
	if aws.ToBool(n.RequesterManaged) && i.Manager == "" {
		i.Manager = "requester " + str(n.RequesterId)
	}
	if a := n.Attachment; a != nil {
		i.Instance = str(a.InstanceId)
		i.Attachment, i.DeviceIndex, i.DeleteOnTermination = str(a.AttachmentId), aws.ToInt32(a.DeviceIndex), aws.ToBool(a.DeleteOnTermination)
	}
	if p := str(n.PrivateIpAddress); p != "" {
		i.IPv4 = append(i.IPv4, p)
	}
	for _, p := range n.PrivateIpAddresses {
		if a := str(p.PrivateIpAddress); a != "" && !slices.Contains(i.IPv4, a) {
			i.IPv4 = append(i.IPv4, a)
		}
	}
	for _, p := range n.Ipv6Addresses {
		i.IPv6 = append(i.IPv6, str(p.Ipv6Address))
	}
	for _, p := range n.Ipv4Prefixes {
		i.Prefixes = append(i.Prefixes, str(p.Ipv4Prefix))
	}
	for _, p := range n.Ipv6Prefixes {
		i.Prefixes = append(i.Prefixes, str(p.Ipv6Prefix))
	}
	publics, automatic := publicsOf(n)
	if i.Automatic = automatic; len(publics) > 0 {
		i.PublicIPv4, i.MorePublic = publics[0], publics[1:]
	}
	if t := n.ConnectionTrackingConfiguration; t != nil {
		i.Tracking = &Tracking{TCP: aws.ToInt32(t.TcpEstablishedTimeout), UDP: aws.ToInt32(t.UdpTimeout), UDPStream: aws.ToInt32(t.UdpStreamTimeout)}
	}
	return i
}

// publicsOf returns the addresses by which the interface is reached from outside;
// automatic says that the first is no Elastic IP.
func publicsOf(n types.NetworkInterface) (ips []string, automatic bool) {
	add := func(a *types.NetworkInterfaceAssociation) {
		if a == nil || str(a.PublicIp) == "" || slices.Contains(ips, str(a.PublicIp)) {
			return
		}
		if ips = append(ips, str(a.PublicIp)); len(ips) == 1 {
			automatic = str(a.AllocationId) == ""
		}
	}
	add(n.Association)
	for _, p := range n.PrivateIpAddresses {
		add(p.Association)
	}
	return ips, automatic
}

func groupIDs(list []types.GroupIdentifier) []string {
	out := make([]string, 0, len(list))
	for _, g := range list {
		out = append(out, str(g.GroupId))
	}
	return out
}

// listAddresses asks for the Elastic IPs that pass a filter. AWS gives all at once.
func (d *describer) listAddresses(key string, f types.Filter) ([]types.Address, error) {
	return ask(d, key, func(ctx context.Context) ([]types.Address, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		out, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{f}})
		if err != nil {
			return nil, err
		}
		return out.Addresses, nil
	})
}

// ownAddresses are those that AWS names the instance of.
func (d *describer) ownAddresses() ([]types.Address, error) {
	return d.listAddresses("ec2.DescribeAddresses", filter("instance-id", d.id))
}

// addresses asks for the Elastic IPs of the interfaces too, those on secondary
// private addresses included: one that was given to an interface need not name the
// instance.
func (d *describer) addresses(w *World) {
	own, _ := d.ownAddresses()
	var ids []string
	for _, n := range w.Interfaces {
		ids = append(ids, n.ID)
	}
	var more []types.Address
	if len(ids) > 0 {
		more, _ = d.listAddresses("ec2.DescribeAddresses of the interfaces", filter("network-interface-id", ids...))
	}
	for _, a := range slices.Concat(own, more) {
		have := readAddress(a)
		if !slices.ContainsFunc(w.Addresses, func(b Address) bool { return b.Allocation == have.Allocation && b.PublicIP == have.PublicIP }) {
			w.Addresses = append(w.Addresses, have)
		}
	}
	slices.SortFunc(w.Addresses, func(a, b Address) int { return strings.Compare(a.Allocation, b.Allocation) })
}

// automatic tells the automatic public addresses from the Elastic IPs: an
// interface need not name the allocation.
func (w *World) automatic() {
	for i, n := range w.Interfaces {
		if slices.ContainsFunc(w.Addresses, func(a Address) bool { return a.PublicIP == n.PublicIPv4 }) {
			w.Interfaces[i].Automatic = false
		}
	}
}

func readAddress(a types.Address) Address {
	return Address{Allocation: str(a.AllocationId), Association: str(a.AssociationId), PublicIP: str(a.PublicIp), Instance: str(a.InstanceId),
		Interface: str(a.NetworkInterfaceId), PrivateIP: str(a.PrivateIpAddress), Managed: string(a.ServiceManaged)}
}

func (d *describer) securityGroups(w *World) {
	var ids []string
	for _, n := range w.Interfaces {
		ids = append(ids, n.Groups...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return
	}
	list, err := ask(d, "ec2.DescribeSecurityGroups", func(ctx context.Context) ([]types.SecurityGroup, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		return listGroups(ctx, c, &ec2.DescribeSecurityGroupsInput{GroupIds: ids})
	})
	if err != nil {
		return
	}
	for _, g := range list {
		w.Groups = append(w.Groups, SecurityGroup{ID: str(g.GroupId), Name: str(g.GroupName), VPC: str(g.VpcId),
			Rules: len(g.IpPermissions) + len(g.IpPermissionsEgress), Tags: tagsOf(g.Tags)})
	}
	slices.SortFunc(w.Groups, func(a, b SecurityGroup) int { return strings.Compare(a.ID, b.ID) })
}

// listGroups returns all pages.
func listGroups(ctx context.Context, c awscalls.EC2, in *ec2.DescribeSecurityGroupsInput) ([]types.SecurityGroup, error) {
	var out []types.SecurityGroup
	for {
		page, err := c.DescribeSecurityGroups(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.SecurityGroups...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// subnets asks for the subnets, who else is in them, their ACLs and routes.
func (d *describer) subnets(w *World) {
	var ids []string
	ours := map[string]bool{}
	for _, n := range w.Interfaces {
		ours[n.ID] = true
		if n.Subnet != "" && !slices.Contains(ids, n.Subnet) {
			ids = append(ids, n.Subnet)
		}
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	var subnets []types.Subnet
	var neighbours []types.NetworkInterface
	var acls []types.NetworkAcl
	var tables []types.RouteTable
	d.side(func() {
		subnets, _ = ask(d, "ec2.DescribeSubnets", func(ctx context.Context) ([]types.Subnet, error) {
			c, err := d.aws.EC2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			out, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
			if err != nil {
				return nil, err
			}
			return out.Subnets, nil
		})
	}, func() {
		neighbours, _ = ask(d, "ec2.DescribeNetworkInterfaces of the subnets", func(ctx context.Context) ([]types.NetworkInterface, error) {
			c, err := d.aws.EC2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			return listInterfaces(ctx, c, filter("subnet-id", ids...))
		})
	}, func() {
		acls, _ = ask(d, "ec2.DescribeNetworkAcls", func(ctx context.Context) ([]types.NetworkAcl, error) {
			c, err := d.aws.EC2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			return listACLs(ctx, c, filter("vpc-id", w.vpcs()...))
		})
	}, func() {
		tables, _ = ask(d, "ec2.DescribeRouteTables", func(ctx context.Context) ([]types.RouteTable, error) {
			c, err := d.aws.EC2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			return listTables(ctx, c, filter("vpc-id", w.vpcs()...))
		})
	})
	w.ACLs = readACLs(acls)
	for _, id := range ids {
		s := Subnet{ID: id}
		for _, have := range subnets {
			if str(have.SubnetId) == id {
				s.readSubnet(have)
			}
		}
		if s.VPC == "" {
			i := slices.IndexFunc(w.Interfaces, func(n Interface) bool { return n.Subnet == id })
			s.VPC = w.Interfaces[i].VPC
		}
		for _, n := range neighbours {
			if str(n.SubnetId) == id && !ours[str(n.NetworkInterfaceId)] {
				s.Others = append(s.Others, str(n.NetworkInterfaceId))
			}
		}
		slices.Sort(s.Others)
		s.readACL(acls)
		s.readRoutes(tables)
		w.Subnets = append(w.Subnets, s)
	}
}

func (s *Subnet) readSubnet(have types.Subnet) {
	s.VPC = str(have.VpcId)
	if c := str(have.CidrBlock); c != "" {
		s.CIDR = append(s.CIDR, c)
	}
	for _, a := range have.Ipv6CidrBlockAssociationSet {
		s.CIDR = append(s.CIDR, str(a.Ipv6CidrBlock))
	}
}

// readACL finds the ACL that is tied to the subnet.
func (s *Subnet) readACL(list []types.NetworkAcl) {
	for _, acl := range list {
		for _, a := range acl.Associations {
			if str(a.SubnetId) != s.ID {
				continue
			}
			s.ACL, s.Association = str(acl.NetworkAclId), str(a.NetworkAclAssociationId)
			s.Entries = readRules(acl.Entries)
			s.Sharers = slices.DeleteFunc(readACL(acl).Subnets, func(id string) bool { return id == s.ID })
		}
	}
}

// readRules reads entries; the last one, 32767, is no entry of anybody's.
func readRules(list []types.NetworkAclEntry) []Rule {
	var out []Rule
	for _, e := range list {
		if aws.ToInt32(e.RuleNumber) >= lastRule {
			continue
		}
		r := Rule{Number: aws.ToInt32(e.RuleNumber), Egress: aws.ToBool(e.Egress), Action: string(e.RuleAction), Protocol: str(e.Protocol), CIDR: str(e.CidrBlock)}
		if r.CIDR == "" {
			r.CIDR = str(e.Ipv6CidrBlock)
		}
		if p := e.PortRange; p != nil {
			r.Ports = strconv.Itoa(int(aws.ToInt32(p.From))) + "-" + strconv.Itoa(int(aws.ToInt32(p.To)))
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rule) int {
		if a.Egress != b.Egress {
			if a.Egress {
				return 1
			}
			return -1
		}
		return int(a.Number - b.Number)
	})
	return out
}

// readRoutes finds the table of the subnet: its own, or else the main one.
func (s *Subnet) readRoutes(tables []types.RouteTable) {
	var table *types.RouteTable
	for i, t := range tables {
		for _, a := range t.Associations {
			switch {
			case str(a.SubnetId) == s.ID:
				table = &tables[i]
			case aws.ToBool(a.Main) && table == nil && str(t.VpcId) == s.VPC:
				table = &tables[i]
			}
		}
		if table == &tables[i] && slices.ContainsFunc(t.Associations, func(a types.RouteTableAssociation) bool { return str(a.SubnetId) == s.ID }) {
			break
		}
	}
	if table == nil {
		return
	}
	s.RouteTable = str(table.RouteTableId)
	for _, r := range table.Routes {
		s.readRoute(r)
	}
	slices.Sort(s.Tracked)
	s.Tracked = slices.Compact(s.Tracked)
}

func (s *Subnet) readRoute(r types.Route) {
	gateway := str(r.GatewayId)
	switch {
	case str(r.NatGatewayId) != "":
		s.Tracked = append(s.Tracked, str(r.NatGatewayId))
	case str(r.TransitGatewayId) != "":
		s.Tracked = append(s.Tracked, str(r.TransitGatewayId))
	case str(r.EgressOnlyInternetGatewayId) != "":
		s.Tracked = append(s.Tracked, str(r.EgressOnlyInternetGatewayId))
	case strings.HasPrefix(gateway, "vpce-") && str(r.DestinationPrefixListId) != "":
		s.Gateways = append(s.Gateways, Gateway{Endpoint: gateway, List: str(r.DestinationPrefixListId)})
	case strings.HasPrefix(gateway, "vpce-"):
		s.Tracked = append(s.Tracked, gateway)
	case strings.HasPrefix(gateway, "igw-"):
		s.Internet4 = s.Internet4 || str(r.DestinationCidrBlock) != ""
		s.Internet6 = s.Internet6 || str(r.DestinationIpv6CidrBlock) != ""
	}
}

func listACLs(ctx context.Context, c awscalls.EC2, filters ...types.Filter) ([]types.NetworkAcl, error) {
	var out []types.NetworkAcl
	in := &ec2.DescribeNetworkAclsInput{Filters: filters}
	for {
		page, err := c.DescribeNetworkAcls(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.NetworkAcls...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

func listTables(ctx context.Context, c awscalls.EC2, filters ...types.Filter) ([]types.RouteTable, error) {
	var out []types.RouteTable
	in := &ec2.DescribeRouteTablesInput{Filters: filters}
	for {
		page, err := c.DescribeRouteTables(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.RouteTables...)
		if str(page.NextToken) == "" {
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// flowLogs asks for active flow logs of the VPCs, subnets and interfaces.
func (d *describer) flowLogs(w *World) {
	ids := w.vpcs()
	for _, n := range w.Interfaces {
		ids = append(ids, n.ID, n.Subnet)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	list, err := ask(d, "ec2.DescribeFlowLogs", func(ctx context.Context) ([]FlowLog, error) {
		c, err := d.aws.EC2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		var out []FlowLog
		in := &ec2.DescribeFlowLogsInput{Filter: []types.Filter{filter("resource-id", ids...)}}
		for {
			page, err := c.DescribeFlowLogs(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, f := range page.FlowLogs {
				if str(f.FlowLogStatus) == "ACTIVE" && slices.Contains(ids, str(f.ResourceId)) {
					out = append(out, readFlowLog(f))
				}
			}
			if str(page.NextToken) == "" {
				return out, nil
			}
			in.NextToken = page.NextToken
		}
	})
	if err == nil {
		w.FlowLogs = list
	}
}

// readFlowLog reads a flow log.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html
func readFlowLog(f types.FlowLog) FlowLog {
	l := FlowLog{ID: str(f.FlowLogId), Resource: str(f.ResourceId), Traffic: string(f.TrafficType), To: str(f.LogDestination), Kind: string(f.LogDestinationType),
		Format: str(f.LogFormat), Seconds: aws.ToInt32(f.MaxAggregationInterval), Made: aws.ToTime(f.CreationTime)}
	if l.To == "" {
		l.To = str(f.LogGroupName)
	}
	if o := f.DestinationOptions; o != nil {
		l.Parquet, l.Hive, l.Hourly = o.FileFormat == types.DestinationFileFormatParquet, aws.ToBool(o.HiveCompatiblePartitions), aws.ToBool(o.PerHourPartition)
	}
	if str(f.DeliverLogsStatus) == "FAILED" {
		l.Failed = str(f.DeliverLogsErrorMessage)
		if l.Failed == "" {
			l.Failed = "AWS does not say why"
		}
	}
	return l
}

// targetGroups asks for all target groups; it is known before the interfaces are.
func (d *describer) targetGroups() ([]elbtypes.TargetGroup, error) {
	return ask(d, "elasticloadbalancing.DescribeTargetGroups", func(ctx context.Context) ([]elbtypes.TargetGroup, error) {
		c, err := d.aws.ELBv2(ctx, d.place)
		if err != nil {
			return nil, err
		}
		var out []elbtypes.TargetGroup
		in := &elasticloadbalancingv2.DescribeTargetGroupsInput{}
		for {
			page, err := c.DescribeTargetGroups(ctx, in)
			if err != nil {
				return nil, err
			}
			out = append(out, page.TargetGroups...)
			if str(page.NextMarker) == "" {
				return out, nil
			}
			in.Marker = page.NextMarker
		}
	})
}

// targets asks each target group of our VPCs for registrations of the instance,
// by its id or by an address of it.
func (d *describer) targets(w *World) {
	all, err := d.targetGroups()
	if err != nil {
		return
	}
	vpcs := w.vpcs()
	var groups []elbtypes.TargetGroup
	for _, g := range all {
		// An ip target may be of a peered VPC.
		if g.TargetType == elbtypes.TargetTypeEnumIp || g.TargetType == elbtypes.TargetTypeEnumInstance && slices.Contains(vpcs, str(g.VpcId)) {
			groups = append(groups, g)
		}
	}
	found := make([][]Target, len(groups))
	d.each(len(groups), func(i int) {
		arn := str(groups[i].TargetGroupArn)
		health, err := ask(d, "elasticloadbalancing.DescribeTargetHealth "+str(groups[i].TargetGroupName), func(ctx context.Context) ([]elbtypes.TargetHealthDescription, error) {
			c, err := d.aws.ELBv2(ctx, d.place)
			if err != nil {
				return nil, err
			}
			out, err := c.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &arn})
			if err != nil {
				return nil, err
			}
			return out.TargetHealthDescriptions, nil
		})
		if err == nil {
			found[i] = w.registrations(groups[i], health)
		}
	})
	for _, list := range found {
		w.Targets = append(w.Targets, list...)
	}
	slices.SortFunc(w.Targets, func(a, b Target) int {
		if c := strings.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		return int(a.Port - b.Port)
	})
}

// registrations are ours among those of a target group. One that drains is none
// any more.
func (w *World) registrations(g elbtypes.TargetGroup, health []elbtypes.TargetHealthDescription) []Target {
	var out []Target
	others, healthy := 0, 0
	for _, h := range health {
		if h.Target == nil {
			continue
		}
		state := ""
		if h.TargetHealth != nil {
			state = string(h.TargetHealth.State)
		}
		if !w.isTarget(str(h.Target.Id)) {
			if state != string(elbtypes.TargetHealthStateEnumDraining) {
				others++
			}
			if state == string(elbtypes.TargetHealthStateEnumHealthy) {
				healthy++
			}
			continue
		}
		if state == string(elbtypes.TargetHealthStateEnumDraining) {
			continue
		}
		out = append(out, Target{Group: str(g.TargetGroupArn), Name: str(g.TargetGroupName), LB: len(g.LoadBalancerArns) > 0, Balancers: balancersOf(g), Kind: string(g.TargetType), Protocol: string(g.Protocol),
			ID: str(h.Target.Id), Port: aws.ToInt32(h.Target.Port), Zone: str(h.Target.AvailabilityZone), State: state})
	}
	for i := range out {
		out[i].Others, out[i].Healthy = others, healthy
	}
	return out
}

// balancersOf are the load balancers of a target group, by what follows
// loadbalancer/ in their ARNs: so AWS names their interfaces.
func balancersOf(g elbtypes.TargetGroup) []string {
	var out []string
	for _, arn := range g.LoadBalancerArns {
		if _, name, ok := strings.Cut(arn, ":loadbalancer/"); ok {
			out = append(out, name)
		}
	}
	return out
}

// isTarget reports whether a target is the instance, by id or by address.
func (w *World) isTarget(id string) bool {
	return id == w.InstanceID || slices.ContainsFunc(w.Interfaces, func(n Interface) bool {
		return slices.Contains(n.IPv4, id) || slices.Contains(n.IPv6, id)
	})
}

// classic asks for classic load balancers that hold the instance.
func (d *describer) classic(w *World) {
	list, err := ask(d, "elasticloadbalancing.DescribeLoadBalancers", func(ctx context.Context) ([]Classic, error) {
		c, err := d.aws.ELB(ctx, d.place)
		if err != nil {
			return nil, err
		}
		var out []Classic
		in := &elasticloadbalancing.DescribeLoadBalancersInput{}
		for {
			page, err := c.DescribeLoadBalancers(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, lb := range page.LoadBalancerDescriptions {
				for _, i := range lb.Instances {
					if str(i.InstanceId) == d.id {
						out = append(out, Classic{Name: str(lb.LoadBalancerName), Others: len(lb.Instances) - 1})
					}
				}
			}
			if str(page.NextMarker) == "" {
				return out, nil
			}
			in.Marker = page.NextMarker
		}
	})
	if err == nil {
		w.Classic = list
	}
}
