package sim

import "time"

// ec2State is what EC2 is in one region of one account.
type ec2State struct {
	VPCs       map[string]*vpc         `json:"vpcs,omitempty"`
	Subnets    map[string]*subnet      `json:"subnets,omitempty"`
	Tables     map[string]*routeTable  `json:"route_tables,omitempty"`
	NATs       map[string]*natGateway  `json:"nat_gateways,omitempty"`
	Groups     map[string]*group       `json:"groups,omitempty"`
	ACLs       map[string]*acl         `json:"acls,omitempty"`
	Endpoints  map[string]*endpoint    `json:"endpoints,omitempty"`
	FlowLogs   map[string]*flowLog     `json:"flow_logs,omitempty"`
	Instances  map[string]*instance    `json:"instances,omitempty"`
	ENIs       map[string]*eni         `json:"enis,omitempty"`
	Addresses  map[string]*address     `json:"addresses,omitempty"`
	Volumes    map[string]*volume      `json:"volumes,omitempty"`
	Snapshots  map[string]*snapshot    `json:"snapshots,omitempty"`
	Images     map[string]*image       `json:"images,omitempty"`
	Profiles   map[string]*profileLink `json:"profiles,omitempty"`
	Flows      map[string]*flow        `json:"flows,omitempty"`
	Tokens     map[string]*token       `json:"tokens,omitempty"`
	Capacity   map[string]*capacity    `json:"capacity,omitempty"`
	PublicOK   bool                    `json:"public_sharing,omitempty"`
	DefaultVPC string                  `json:"default_vpc,omitempty"`
}

type tags map[string]string

// made is what everything has that is created: its name, when it was made, and
// from when on it is seen.
type made struct {
	ID   string    `json:"id"`
	Made time.Time `json:"made,omitzero"`
	Seen time.Time `json:"seen,omitzero"`
	Tags tags      `json:"tags,omitempty"`
}

func (m *made) base() *made { return m }

// thing is whatever EC2 has with an id and tags.
type thing interface{ base() *made }

type vpc struct {
	made
	CIDR  string `json:"cidr"`
	CIDR6 string `json:"cidr6,omitempty"`
	ACL   string `json:"acl"`
	Table string `json:"table"`
	Group string `json:"group"`
}

type subnet struct {
	made
	VPC         string `json:"vpc"`
	AZ          string `json:"az"`
	CIDR        string `json:"cidr"`
	CIDR6       string `json:"cidr6,omitempty"`
	AutoPublic  bool   `json:"auto_public,omitempty"`
	Hosts       int    `json:"hosts"`
	ACL         string `json:"acl"`
	Association string `json:"association"`
}

type routeTable struct {
	made
	VPC string `json:"vpc"`
	// Subnets is the subnet of each association; "" is the main one.
	Subnets map[string]string `json:"subnets"`
	Routes  []route           `json:"routes"`
}

type route struct {
	To  string `json:"to"`
	Via string `json:"via"` // local, igw-, nat-, tgw-, vpce-, eni-
}

type natGateway struct {
	made
	Subnet string `json:"subnet"`
	VPC    string `json:"vpc"`
}

type group struct {
	made
	Name        string  `json:"name"`
	Description string  `json:"description"`
	VPC         string  `json:"vpc"`
	Rules       []*rule `json:"rules,omitempty"`
}

type rule struct {
	made
	Egress      bool   `json:"egress,omitempty"`
	Protocol    string `json:"protocol"`
	From        int32  `json:"from"`
	To          int32  `json:"to"`
	CIDR        string `json:"cidr,omitempty"`
	CIDR6       string `json:"cidr6,omitempty"`
	List        string `json:"list,omitempty"`
	Group       string `json:"group,omitempty"`
	Description string `json:"description,omitempty"`
}

type acl struct {
	made
	VPC     string     `json:"vpc"`
	Default bool       `json:"default,omitempty"`
	Entries []aclEntry `json:"entries,omitempty"`
}

type aclEntry struct {
	Number   int32  `json:"number"`
	Egress   bool   `json:"egress,omitempty"`
	Allow    bool   `json:"allow,omitempty"`
	Protocol string `json:"protocol"`
	CIDR     string `json:"cidr,omitempty"`
	CIDR6    string `json:"cidr6,omitempty"`
	From     int32  `json:"from,omitempty"`
	To       int32  `json:"to,omitempty"`
}

type endpoint struct {
	made
	VPC     string   `json:"vpc"`
	Service string   `json:"service"`
	Type    string   `json:"type"`
	Subnets []string `json:"subnets,omitempty"`
	Tables  []string `json:"tables,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	ENIs    []string `json:"enis,omitempty"`
	List    string   `json:"list,omitempty"` // of a gateway: the addresses of the service
	NoNames bool     `json:"no_names,omitempty"`
}

type flowLog struct {
	made
	Resource    string `json:"resource"`
	Traffic     string `json:"traffic"`
	Destination string `json:"destination"`
	Group       string `json:"group,omitempty"`
	Format      string `json:"format,omitempty"`
	// Broken is why nothing is delivered; Silent delivers nothing and says nothing.
	Broken string `json:"broken,omitempty"`
	Silent bool   `json:"silent,omitempty"`
	// Seconds is the longest aggregation interval; 0: a minute.
	Seconds int32 `json:"seconds,omitempty"`
	// Parquet, Hive and Hourly are how objects are written.
	Parquet bool `json:"parquet,omitempty"`
	Hive    bool `json:"hive,omitempty"`
	Hourly  bool `json:"hourly,omitempty"`
}

type instance struct {
	made
	Type         string           `json:"type"`
	Image        string           `json:"image"`
	AZ           string           `json:"az"`
	Subnet       string           `json:"subnet"`
	VPC          string           `json:"vpc"`
	KeyName      string           `json:"key_name,omitempty"`
	Platform     string           `json:"platform,omitempty"`
	Architecture string           `json:"architecture"`
	Launched     time.Time        `json:"launched"`
	State        string           `json:"state"`
	Since        time.Time        `json:"since"`
	Until        time.Time        `json:"until,omitzero"` // end of a state that passes
	Reason       string           `json:"reason,omitempty"`
	Spot         bool             `json:"spot,omitempty"`
	Reclaim      time.Time        `json:"reclaim,omitzero"`
	RootDevice   string           `json:"root_device"`
	StoreRoot    bool             `json:"store_root,omitempty"`
	Stores       []string         `json:"stores,omitempty"` // instance store devices
	Tenancy      string           `json:"tenancy"`
	Operator     string           `json:"operator,omitempty"`
	Codes        []string         `json:"codes,omitempty"`
	Hibernates   bool             `json:"hibernates,omitempty"`
	NoTerminate  bool             `json:"no_terminate,omitempty"`
	NoStop       bool             `json:"no_stop,omitempty"`
	Shutdown     string           `json:"shutdown"`
	UserData     string           `json:"user_data,omitempty"`
	Console      string           `json:"console,omitempty"`
	NoScreenshot bool             `json:"no_screenshot,omitempty"`
	Impaired     bool             `json:"impaired,omitempty"`
	Metadata     metadataOptions  `json:"metadata"`
	Wanted       *metadataOptions `json:"wanted,omitempty"`
	WantedAt     time.Time        `json:"wanted_at,omitzero"`
	Token        string           `json:"token,omitempty"`
	Bad          time.Time        `json:"bad,omitzero"` // since when load balancers find it unhealthy
	Sources      bool             `json:"source_dest_check"`
	Groups       []string         `json:"groups,omitempty"` // of its own, where Options.InstanceGroups says so
}

type metadataOptions struct {
	Tokens   string `json:"tokens"`
	Endpoint string `json:"endpoint"`
	Hops     int32  `json:"hops"`
	IPv6     string `json:"ipv6"`
	Tags     string `json:"tags"`
}

type eni struct {
	made
	Subnet      string    `json:"subnet"`
	VPC         string    `json:"vpc"`
	AZ          string    `json:"az"`
	Description string    `json:"description,omitempty"`
	Type        string    `json:"type"`
	IPs         []string  `json:"ips"`
	IP6s        []string  `json:"ip6s,omitempty"`
	Groups      []string  `json:"groups"`
	Public      string    `json:"public,omitempty"` // the automatic address
	Auto        bool      `json:"auto,omitempty"`   // it was launched with one
	Gets        time.Time `json:"gets,omitzero"`    // when it gets a new one
	Instance    string    `json:"instance,omitempty"`
	Attachment  string    `json:"attachment,omitempty"`
	Attached    time.Time `json:"attached,omitzero"`
	Index       int32     `json:"index"`
	Delete      bool      `json:"delete_on_termination,omitempty"`
	Sources     bool      `json:"source_dest_check"`
	Managed     bool      `json:"requester_managed,omitempty"`
	Requester   string    `json:"requester,omitempty"`
	Operator    string    `json:"operator,omitempty"`
	TCP         int32     `json:"tcp,omitempty"` // seconds; 0: not set
	Stream      int32     `json:"stream,omitempty"`
	UDP         int32     `json:"udp,omitempty"`
}

type address struct {
	made
	IP          string `json:"ip"`
	Association string `json:"association,omitempty"`
	ENI         string `json:"eni,omitempty"`
	Private     string `json:"private,omitempty"`
}

type volume struct {
	made
	AZ          string        `json:"az"`
	Size        int32         `json:"size"`
	Type        string        `json:"type"`
	Encrypted   bool          `json:"encrypted,omitempty"`
	Key         string        `json:"key,omitempty"`
	Snapshot    string        `json:"snapshot,omitempty"`
	Content     string        `json:"content"` // equal: the same bytes
	State       string        `json:"state"`
	Until       time.Time     `json:"until,omitzero"`
	Broken      string        `json:"broken,omitempty"` // why it will end in error
	Multi       bool          `json:"multi,omitempty"`
	Codes       []string      `json:"codes,omitempty"`
	Operator    string        `json:"operator,omitempty"`
	Attachments []*attachment `json:"attachments,omitempty"`
	// Script is what happens to snapshots of it.
	Script []SnapshotScript `json:"script,omitempty"`
}

type attachment struct {
	Instance string    `json:"instance"`
	Device   string    `json:"device"`
	State    string    `json:"state"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until,omitzero"`
	Delete   bool      `json:"delete_on_termination,omitempty"`
}

type snapshot struct {
	made
	Owner       string    `json:"owner"`
	Volume      string    `json:"volume"`
	Source      string    `json:"source,omitempty"` // the device or snapshot that it is of
	Size        int32     `json:"size"`
	Description string    `json:"description,omitempty"`
	Content     string    `json:"content"`
	Encrypted   bool      `json:"encrypted,omitempty"`
	Key         string    `json:"key,omitempty"`
	Codes       []string  `json:"codes,omitempty"`
	Ends        time.Time `json:"ends"`
	Fails       string    `json:"fails,omitempty"` // the state message with which it ends
	Copy        bool      `json:"copy,omitempty"`
	Minutes     int32     `json:"minutes,omitempty"`
	Shares      []string  `json:"shares,omitempty"`
	Public      bool      `json:"public,omitempty"`
	Lock        *lock     `json:"lock,omitempty"`
}

type lock struct {
	Mode     string    `json:"mode"`
	Days     int32     `json:"days,omitempty"`
	Created  time.Time `json:"created"`
	Starts   time.Time `json:"starts"`
	Expires  time.Time `json:"expires"`
	CoolOff  int32     `json:"cool_off,omitempty"`
	CoolEnds time.Time `json:"cool_ends,omitzero"`
}

type image struct {
	made
	Owner        string   `json:"owner"`
	Alias        string   `json:"alias,omitempty"`
	Name         string   `json:"name"`
	Architecture string   `json:"architecture"`
	Platform     string   `json:"platform,omitempty"`
	RootDevice   string   `json:"root_device"`
	RootSize     int32    `json:"root_size"`
	Snapshot     string   `json:"snapshot,omitempty"`
	Codes        []string `json:"codes,omitempty"`
	Public       bool     `json:"public,omitempty"`
	Shares       []string `json:"shares,omitempty"`
}

type profileLink struct {
	made
	Instance string    `json:"instance"`
	ARN      string    `json:"arn"`
	State    string    `json:"state"`
	Until    time.Time `json:"until,omitzero"`
}

type token struct {
	Hash string   `json:"hash"`
	IDs  []string `json:"ids,omitempty"`
}

type capacity struct {
	Times int    `json:"times"` // how often yet; -1: for ever
	Code  string `json:"code"`
}
