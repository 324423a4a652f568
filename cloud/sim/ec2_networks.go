package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// DescribeSubnets implements awscalls.EC2.
func (c *ec2Client) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return ec2Do(ctx, c, "DescribeSubnets", false, in, func(s *scope) (*ec2.DescribeSubnetsOutput, error) {
		all, err := list(s, s.Subnets, kindSubnet, in.SubnetIds)
		if err != nil {
			return nil, err
		}
		table := filters[*subnet]{
			"subnet-id":         func(n *subnet) []string { return one(n.ID) },
			"vpc-id":            func(n *subnet) []string { return one(n.VPC) },
			"availability-zone": func(n *subnet) []string { return one(n.AZ) },
			"cidr-block":        func(n *subnet) []string { return one(n.CIDR) },
			"state":             func(*subnet) []string { return one("available") },
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.SubnetIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeSubnetsOutput{NextToken: next}
		for _, n := range all {
			shown := types.Subnet{SubnetId: aws.String(n.ID), VpcId: aws.String(n.VPC), AvailabilityZone: aws.String(n.AZ), CidrBlock: aws.String(n.CIDR),
				MapPublicIpOnLaunch: aws.Bool(n.AutoPublic), State: types.SubnetStateAvailable, OwnerId: aws.String(s.a.ID),
				AvailableIpAddressCount: aws.Int32(int32(max(0, 251-n.Hosts))), SubnetArn: aws.String(s.arn("ec2", "subnet/"+n.ID)), Tags: tagList(n.Tags)} // #nosec G115 -- below 251
			if n.CIDR6 != "" {
				shown.Ipv6CidrBlockAssociationSet = []types.SubnetIpv6CidrBlockAssociation{{Ipv6CidrBlock: aws.String(n.CIDR6),
					Ipv6CidrBlockState: &types.SubnetCidrBlockState{State: types.SubnetCidrBlockStateCodeAssociated}}}
			}
			out.Subnets = append(out.Subnets, shown)
		}
		return out, nil
	})
}

// DescribeRouteTables implements awscalls.EC2.
func (c *ec2Client) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return ec2Do(ctx, c, "DescribeRouteTables", false, in, func(s *scope) (*ec2.DescribeRouteTablesOutput, error) {
		all, err := list(s, s.Tables, kindTable, in.RouteTableIds)
		if err != nil {
			return nil, err
		}
		subnets := func(t *routeTable) []string {
			var out []string
			for _, k := range keysOf(t.Subnets) {
				out = append(out, one(t.Subnets[k])...)
			}
			return out
		}
		via := func(prefix string) func(*routeTable) []string {
			return func(t *routeTable) []string {
				var out []string
				for _, r := range t.Routes {
					if strings.HasPrefix(r.Via, prefix) {
						out = append(out, r.Via)
					}
				}
				return out
			}
		}
		table := filters[*routeTable]{
			"route-table-id":        func(t *routeTable) []string { return one(t.ID) },
			"vpc-id":                func(t *routeTable) []string { return one(t.VPC) },
			"association.subnet-id": subnets,
			"association.main": func(t *routeTable) []string {
				var out []string
				for _, subnet := range t.Subnets {
					out = append(out, yes(subnet == "")...)
				}
				return out
			},
			"association.route-table-association-id": func(t *routeTable) []string { return keysOf(t.Subnets) },
			"route.nat-gateway-id":                   via("nat-"),
			"route.gateway-id":                       via("igw-"),
			"route.transit-gateway-id":               via("tgw-"),
		}
		if all, err = table.apply(in.Filters, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.RouteTableIds), Least: 5, Most: 100})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeRouteTablesOutput{NextToken: next}
		for _, t := range all {
			out.RouteTables = append(out.RouteTables, s.showTable(t))
		}
		return out, nil
	})
}

func (s *scope) showTable(t *routeTable) types.RouteTable {
	out := types.RouteTable{RouteTableId: aws.String(t.ID), VpcId: aws.String(t.VPC), OwnerId: aws.String(s.a.ID), Tags: tagList(t.Tags)}
	for _, k := range keysOf(t.Subnets) {
		a := types.RouteTableAssociation{RouteTableAssociationId: aws.String(k), RouteTableId: aws.String(t.ID), Main: aws.Bool(t.Subnets[k] == "")}
		if t.Subnets[k] != "" {
			a.SubnetId = aws.String(t.Subnets[k])
		}
		out.Associations = append(out.Associations, a)
	}
	for _, r := range t.Routes {
		shown := types.Route{State: types.RouteStateActive, Origin: types.RouteOriginCreateRoute}
		switch {
		case strings.HasPrefix(r.To, "pl-"):
			shown.DestinationPrefixListId = aws.String(r.To)
		case strings.Contains(r.To, ":"):
			shown.DestinationIpv6CidrBlock = aws.String(r.To)
		default:
			shown.DestinationCidrBlock = aws.String(r.To)
		}
		switch {
		case r.Via == "local":
			shown.Origin, shown.GatewayId = types.RouteOriginCreateRouteTable, aws.String(r.Via)
		case strings.HasPrefix(r.Via, "nat-"):
			shown.NatGatewayId = aws.String(r.Via)
		case strings.HasPrefix(r.Via, "tgw-"):
			shown.TransitGatewayId = aws.String(r.Via)
		case strings.HasPrefix(r.Via, "eni-"):
			shown.NetworkInterfaceId = aws.String(r.Via)
		case strings.HasPrefix(r.Via, "pcx-"):
			shown.VpcPeeringConnectionId = aws.String(r.Via)
		default:
			shown.GatewayId = aws.String(r.Via)
		}
		out.Routes = append(out.Routes, shown)
	}
	return out
}

// DescribeNatGateways implements awscalls.EC2. A gateway is shown with the address
// of its interface in the subnet where it stands.
func (c *ec2Client) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	return ec2Do(ctx, c, "DescribeNatGateways", false, in, func(s *scope) (*ec2.DescribeNatGatewaysOutput, error) {
		all, err := list(s, s.NATs, kindNAT, in.NatGatewayIds)
		if err != nil {
			return nil, err
		}
		table := filters[*natGateway]{
			"nat-gateway-id": func(g *natGateway) []string { return one(g.ID) },
			"subnet-id":      func(g *natGateway) []string { return one(g.Subnet) },
			"vpc-id":         func(g *natGateway) []string { return one(g.VPC) },
			"state":          func(*natGateway) []string { return one("available") },
		}
		if all, err = table.apply(in.Filter, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.NatGatewayIds), Least: 5, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeNatGatewaysOutput{NextToken: next}
		for _, g := range all {
			shown := types.NatGateway{NatGatewayId: aws.String(g.ID), SubnetId: aws.String(g.Subnet), VpcId: aws.String(g.VPC), State: types.NatGatewayStateAvailable,
				ConnectivityType: types.ConnectivityTypePublic, CreateTime: aws.Time(g.Made), Tags: tagList(g.Tags)}
			for _, n := range inOrder(s.ENIs) {
				if n.Description == "Interface for NAT Gateway "+g.ID {
					shown.NatGatewayAddresses = append(shown.NatGatewayAddresses, types.NatGatewayAddress{NetworkInterfaceId: aws.String(n.ID), PrivateIp: aws.String(n.IPs[0]), PublicIp: aws.String(n.Public)})
				}
			}
			out.NatGateways = append(out.NatGateways, shown)
		}
		return out, nil
	})
}

// DescribeFlowLogs implements awscalls.EC2.
func (c *ec2Client) DescribeFlowLogs(ctx context.Context, in *ec2.DescribeFlowLogsInput, _ ...func(*ec2.Options)) (*ec2.DescribeFlowLogsOutput, error) {
	return ec2Do(ctx, c, "DescribeFlowLogs", false, in, func(s *scope) (*ec2.DescribeFlowLogsOutput, error) {
		all, err := list(s, s.FlowLogs, kindFlowLog, in.FlowLogIds)
		if err != nil {
			return nil, err
		}
		table := filters[*flowLog]{
			"resource-id":          func(l *flowLog) []string { return one(l.Resource) },
			"flow-log-id":          func(l *flowLog) []string { return one(l.ID) },
			"traffic-type":         func(l *flowLog) []string { return one(l.Traffic) },
			"log-destination-type": func(l *flowLog) []string { return one(l.kind()) },
			"log-group-name":       func(l *flowLog) []string { return one(l.Group) },
		}
		if all, err = table.apply(in.Filter, all); err != nil {
			return nil, err
		}
		all, next, err := page(s, all, paging{Max: in.MaxResults, Next: in.NextToken, IDs: len(in.FlowLogIds), Least: 1, Most: 1000})
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeFlowLogsOutput{NextToken: next}
		for _, l := range all {
			shown := types.FlowLog{FlowLogId: aws.String(l.ID), ResourceId: aws.String(l.Resource), TrafficType: types.TrafficType(l.Traffic), FlowLogStatus: aws.String("ACTIVE"),
				LogDestinationType: types.LogDestinationType(l.kind()), CreationTime: aws.Time(l.Made), DeliverLogsStatus: aws.String("SUCCESS"),
				MaxAggregationInterval: aws.Int32(int32(l.every(s.w).Seconds())), LogFormat: aws.String(l.format()), Tags: tagList(l.Tags)}
			if l.Broken != "" {
				shown.DeliverLogsStatus, shown.DeliverLogsErrorMessage = aws.String("FAILED"), aws.String(l.Broken)
			}
			if l.kind() == "s3" {
				file := types.DestinationFileFormatPlainText
				if l.Parquet {
					file = types.DestinationFileFormatParquet
				}
				shown.DestinationOptions = &types.DestinationOptionsResponse{FileFormat: file, HiveCompatiblePartitions: aws.Bool(l.Hive), PerHourPartition: aws.Bool(l.Hourly)}
			}
			if l.Group != "" {
				shown.LogGroupName = aws.String(l.Group)
			}
			if l.Destination != "" {
				shown.LogDestination = aws.String(l.Destination)
			}
			out.FlowLogs = append(out.FlowLogs, shown)
		}
		return out, nil
	})
}

func (l *flowLog) kind() string {
	if l.Group != "" {
		return "cloud-watch-logs"
	}
	return "s3"
}

// tableOf is the route table of a subnet: its own, or the main one.
func (s *scope) tableOf(subnetID string) *routeTable {
	for _, t := range inOrder(s.Tables) {
		if slices.Contains(values(t.Subnets), subnetID) {
			return t
		}
	}
	if n := s.Subnets[subnetID]; n != nil && s.VPCs[n.VPC] != nil {
		return s.Tables[s.VPCs[n.VPC].Table]
	}
	return nil
}

func values(m map[string]string) []string {
	var out []string
	for _, k := range keysOf(m) {
		out = append(out, m[k])
	}
	return out
}
