package ec2

import (
	"slices"
	"strings"
	"time"
)

// World is an instance and what surrounds it, as AWS described it at one time.
// It is the before-image of a plan. Texts in it, tags above all, may have been
// written by whoever holds the instance.
type World struct {
	InstanceID string `json:"instance_id"`
	Account    string `json:"account"`
	Region     string `json:"region"`
	ARN        string `json:"arn"`

	State          string    `json:"state"`
	Type           string    `json:"type"`
	Platform       string    `json:"platform,omitempty"` // windows, or empty
	Architecture   string    `json:"architecture,omitempty"`
	Lifecycle      string    `json:"lifecycle,omitempty"` // spot, scheduled, or empty
	RootDevice     string    `json:"root_device,omitempty"`
	RootDeviceType string    `json:"root_device_type,omitempty"` // ebs or instance-store
	Tenancy        string    `json:"tenancy,omitempty"`
	Operator       string    `json:"operator,omitempty"` // the service that manages it
	Image          string    `json:"image,omitempty"`
	Zone           string    `json:"zone"`
	VPC            string    `json:"vpc"`
	Subnet         string    `json:"subnet"`
	KeyName        string    `json:"key_name,omitempty"`
	LaunchTime     time.Time `json:"launch_time"`
	Hibernation    bool      `json:"hibernation,omitempty"`
	// ProductCodes are those of the marketplace.
	ProductCodes []string          `json:"product_codes,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`

	Metadata   Metadata   `json:"metadata"`
	Attributes Attributes `json:"attributes"`

	Interfaces []Interface     `json:"interfaces"`
	Volumes    []Volume        `json:"volumes"`
	Addresses  []Address       `json:"addresses,omitempty"`
	Groups     []SecurityGroup `json:"groups,omitempty"` // those of the interfaces
	Subnets    []Subnet        `json:"subnets,omitempty"`
	Passages   []Passage       `json:"passages,omitempty"`
	FlowLogs   []FlowLog       `json:"flow_logs,omitempty"`
	Endpoints  []Endpoint      `json:"endpoints,omitempty"`
	// Through are our groups that endpoints let in by name.
	Through []string `json:"through,omitempty"`

	Profile *Profile         `json:"profile,omitempty"`
	Scaling *Scaling         `json:"scaling,omitempty"`
	Targets []Target         `json:"targets,omitempty"`
	Classic []Classic        `json:"classic,omitempty"`
	Agent   Agent            `json:"agent"`
	Keys    map[string]Owner `json:"keys,omitempty"` // KMS keys of the volumes

	ACLs []ACL `json:"-"` // all of the VPCs, as they are now

	// Unknown says what could not be described, and why: call: reason.
	Unknown []string `json:"unknown,omitempty"`
	// Unanswered are those of them that may be answered later.
	Unanswered []string `json:"-"`
}

// answered reports whether AWS said what a call asks for.
func (w *World) answered(call string) bool {
	return !slices.ContainsFunc(w.Unknown, func(line string) bool { return strings.HasPrefix(line, call+": ") })
}

// Owner says who manages a KMS key: AWS or CUSTOMER.
type Owner string

// Metadata are the options of the metadata service of the instance.
type Metadata struct {
	State    string `json:"state,omitempty"`
	Endpoint string `json:"endpoint"`
	Tokens   string `json:"tokens,omitempty"`
	HopLimit int32  `json:"hop_limit,omitempty"`
	IPv6     string `json:"ipv6,omitempty"`
	Tags     string `json:"tags,omitempty"`
}

// Attributes are what keeps the instance alive.
type Attributes struct {
	DisableTermination bool   `json:"disable_termination"`
	DisableStop        bool   `json:"disable_stop"`
	ShutdownBehavior   string `json:"shutdown_behavior,omitempty"`
	// UserDataBytes and UserDataSHA256 are about the user data, which may hold
	// secrets and is not kept here.
	UserDataBytes  int    `json:"user_data_bytes,omitempty"`
	UserDataSHA256 string `json:"user_data_sha256,omitempty"`
}

// Interface is a network interface of the instance.
type Interface struct {
	ID                  string   `json:"id"`
	VPC                 string   `json:"vpc"`
	Subnet              string   `json:"subnet"`
	Zone                string   `json:"zone,omitempty"`
	Type                string   `json:"type,omitempty"`
	DeviceIndex         int32    `json:"device_index"`
	Attachment          string   `json:"attachment"`
	Instance            string   `json:"-"` // that it is attached to
	DeleteOnTermination bool     `json:"delete_on_termination"`
	SourceDestCheck     bool     `json:"source_dest_check"`
	Groups              []string `json:"groups"` // ids, in the order of AWS
	IPv4                []string `json:"ipv4"`   // private addresses, the first is the primary one
	IPv6                []string `json:"ipv6,omitempty"`
	Prefixes            []string `json:"prefixes,omitempty"` // delegated, v4 and v6
	// PublicIPv4 is an address that reaches it; Automatic says that it is no
	// Elastic IP and never comes back once it is gone.
	PublicIPv4 string `json:"public_ipv4,omitempty"`
	Automatic  bool   `json:"automatic,omitempty"`
	// MorePublic are further ones, of its secondary private addresses.
	MorePublic []string `json:"more_public,omitempty"`
	// Manager is the AWS service that manages it; only that one may change it.
	Manager string `json:"manager,omitempty"`
	// Tracking are its own timeouts of connection tracking, in seconds; nil: the
	// default.
	Tracking *Tracking         `json:"tracking,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Tracking are timeouts of connection tracking, in seconds; 0: the default.
type Tracking struct {
	TCP       int32 `json:"tcp,omitempty"`
	UDP       int32 `json:"udp,omitempty"`
	UDPStream int32 `json:"udp_stream,omitempty"`
}

// Volume is an EBS volume that is attached to the instance.
type Volume struct {
	ID                  string            `json:"id"`
	Device              string            `json:"device"`
	DeleteOnTermination bool              `json:"delete_on_termination"`
	SizeGiB             int32             `json:"size_gib,omitempty"`
	Type                string            `json:"type,omitempty"`
	State               string            `json:"state,omitempty"`
	Encrypted           bool              `json:"encrypted,omitempty"`
	Key                 string            `json:"key,omitempty"` // ARN of the KMS key
	MultiAttach         bool              `json:"multi_attach,omitempty"`
	Managed             string            `json:"managed,omitempty"` // the service that manages it
	Snapshot            string            `json:"snapshot,omitempty"`
	Tags                map[string]string `json:"tags,omitempty"`
}

// Address is an Elastic IP on the instance.
type Address struct {
	Allocation  string `json:"allocation"`
	Association string `json:"association"`
	PublicIP    string `json:"public_ip"`
	Interface   string `json:"interface"`
	PrivateIP   string `json:"private_ip"`
	// Instance is the one that AWS names with it.
	Instance string `json:"instance,omitempty"`
	Managed  string `json:"managed,omitempty"`
}

// SecurityGroup is a group on an interface of the instance.
type SecurityGroup struct {
	ID    string            `json:"id"`
	Name  string            `json:"name"`
	VPC   string            `json:"vpc"`
	Rules int               `json:"rules"` // of both directions
	Tags  map[string]string `json:"tags,omitempty"`
}

// Subnet is a subnet with an interface of the instance in it.
type Subnet struct {
	ID   string   `json:"id"`
	VPC  string   `json:"vpc"`
	CIDR []string `json:"cidr,omitempty"`
	// Others are interfaces in it that are not the instance's.
	Others []string `json:"others,omitempty"`
	// ACL is its network ACL, and Association what ties them.
	ACL         string `json:"acl,omitempty"`
	Association string `json:"association,omitempty"`
	Entries     []Rule `json:"entries,omitempty"`
	// Sharers are other subnets with the same network ACL.
	Sharers    []string `json:"sharers,omitempty"`
	RouteTable string   `json:"route_table,omitempty"`
	// Tracked are the ways out on which connections are tracked whatever the
	// rules say: NAT gateways, transit gateways, egress-only internet gateways,
	// endpoints of Gateway Load Balancers.
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
	Tracked []string `json:"tracked,omitempty"`
	// Gateways are its routes to gateway endpoints.
	Gateways []Gateway `json:"gateways,omitempty"`
	// Internet4 and Internet6 say that a route leads to an internet gateway.
	Internet4 bool `json:"internet4,omitempty"`
	Internet6 bool `json:"internet6,omitempty"`
}

// Rule is an entry of a network ACL.
type Rule struct {
	Number   int32  `json:"number"`
	Egress   bool   `json:"egress"`
	Action   string `json:"action"`
	Protocol string `json:"protocol"`
	CIDR     string `json:"cidr"` // of either family
	Ports    string `json:"ports,omitempty"`
}

// FlowLog is a flow log that sees an interface of the instance.
type FlowLog struct {
	ID       string `json:"id"`
	Resource string `json:"resource"`
	Traffic  string `json:"traffic"` // ALL, ACCEPT or REJECT
	// To is the ARN of where it delivers, or the name of the log group; Kind is
	// cloud-watch-logs, s3 or kinesis-data-firehose.
	To   string `json:"to,omitempty"`
	Kind string `json:"kind,omitempty"`
	// Format names the fields of a record; empty: the default.
	Format string `json:"format,omitempty"`
	// Seconds is the longest aggregation interval.
	Seconds int32 `json:"seconds,omitempty"`
	// Parquet, Hive and Hourly are how objects are written.
	Parquet bool `json:"parquet,omitempty"`
	Hive    bool `json:"hive,omitempty"`
	Hourly  bool `json:"hourly,omitempty"`

	Failed string    `json:"-"` // why AWS delivers nothing, as of now
	Made   time.Time `json:"-"` // since when there is one
}

// Profile is the instance profile and the role in it.
type Profile struct {
	Association string `json:"association"`
	ARN         string `json:"arn"`
	Name        string `json:"name"`
	Role        string `json:"role,omitempty"` // its name, which is not the profile's
	RoleID      string `json:"role_id,omitempty"`
	RoleARN     string `json:"role_arn,omitempty"`
	// Others are further instances that hold the role, by any profile.
	Others []string `json:"others,omitempty"`
}

// Scaling is the Auto Scaling group of the instance.
type Scaling struct {
	Group          string            `json:"group"`
	Lifecycle      string            `json:"lifecycle"`
	Protected      bool              `json:"protected"` // from scale-in
	Min            int32             `json:"min"`
	Max            int32             `json:"max"`
	Desired        int32             `json:"desired"`
	HealthCheck    string            `json:"health_check,omitempty"`
	Suspended      []string          `json:"suspended,omitempty"`
	LaunchTemplate string            `json:"launch_template,omitempty"`
	Members        map[string]string `json:"members"` // instance to lifecycle state
	Subnets        []string          `json:"subnets,omitempty"`
	TargetGroups   []string          `json:"target_groups,omitempty"`
	Classic        []string          `json:"classic,omitempty"`
}

// Target is one registration in a target group.
type Target struct {
	Group string `json:"group"` // ARN
	Name  string `json:"name"`
	LB    bool   `json:"lb"` // a load balancer uses the group
	// Balancers are those that do, as AWS names their interfaces.
	Balancers []string `json:"balancers,omitempty"`
	Kind      string   `json:"kind"` // instance or ip
	ID        string   `json:"id"`   // of the instance, or an address
	Port      int32    `json:"port"`
	Zone      string   `json:"zone,omitempty"`
	State     string   `json:"-"` // changes by itself
	Others    int      `json:"others"`
	Healthy   int      `json:"-"` // others that are healthy
	Protocol  string   `json:"protocol,omitempty"`
}

// Classic is one registration with a classic load balancer.
type Classic struct {
	Name   string `json:"name"`
	Others int    `json:"others"`
}

// Agent is what Systems Manager knows of the instance.
type Agent struct {
	Ping     string   `json:"ping,omitempty"` // Online, ConnectionLost; empty: not managed
	Version  string   `json:"version,omitempty"`
	Platform string   `json:"platform,omitempty"`
	Sessions []string `json:"-"` // open sessions now
}

// Interface returns the network interface with the id.
func (w *World) Interface(id string) (Interface, bool) {
	i := slices.IndexFunc(w.Interfaces, func(n Interface) bool { return n.ID == id })
	if i < 0 {
		return Interface{}, false
	}
	return w.Interfaces[i], true
}

// subnet returns the subnet with the id.
func (w *World) subnet(id string) (Subnet, bool) {
	i := slices.IndexFunc(w.Subnets, func(s Subnet) bool { return s.ID == id })
	if i < 0 {
		return Subnet{}, false
	}
	return w.Subnets[i], true
}

// Gone reports whether there is no instance to respond to any more.
func (w *World) Gone() bool { return w.State == "terminated" || w.State == "shutting-down" }

// Name is the Name tag; whoever holds the instance may have written it.
func (w *World) Name() string { return w.Tags["Name"] }

// VPCs are those of the interfaces, sorted.
func (w *World) vpcs() []string {
	var out []string
	for _, n := range w.Interfaces {
		if n.VPC != "" && !slices.Contains(out, n.VPC) {
			out = append(out, n.VPC)
		}
	}
	slices.Sort(out)
	return out
}

// blocks are the addresses of the interface as CIDR blocks.
func (n Interface) blocks() []string {
	var out []string
	for _, a := range n.IPv4 {
		out = append(out, a+"/32")
	}
	for _, a := range n.IPv6 {
		out = append(out, a+"/128")
	}
	return append(out, n.Prefixes...)
}

// publics are the addresses by which the interface is reached from outside.
func (n Interface) publics() []string {
	if n.PublicIPv4 == "" {
		return nil
	}
	return append([]string{n.PublicIPv4}, n.MorePublic...)
}

// uses reports whether a way out can be one of the interface: an egress-only
// gateway takes IPv6 alone.
func (n Interface) uses(way string) bool {
	return !strings.HasPrefix(way, egressOnly) || slices.ContainsFunc(n.blocks(), isV6)
}

// isV6 reports whether a CIDR block is of IPv6.
func isV6(cidr string) bool { return strings.Contains(cidr, ":") }
