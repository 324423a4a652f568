package finding

import "time"

// ActionKind is the kind of activity that GuardDuty saw.
type ActionKind string

// The kinds of actions, by the block that is present in the finding.
const (
	ActionNone              ActionKind = ""
	ActionAWSAPICall        ActionKind = "aws_api_call"
	ActionNetworkConnection ActionKind = "network_connection"
	ActionPortProbe         ActionKind = "port_probe"
	ActionDNSRequest        ActionKind = "dns_request"
	ActionKubernetesAPICall ActionKind = "kubernetes_api_call"
	ActionRDSLoginAttempt   ActionKind = "rds_login_attempt"
	ActionOther             ActionKind = "other" // an actionType that we do not know
)

// Action is what happened. Exactly the block that fits Kind is set.
type Action struct {
	Kind ActionKind
	Type string // service.action.actionType as received

	AWSAPICall        *AWSAPICall
	NetworkConnection *NetworkConnection
	PortProbe         *PortProbe
	DNSRequest        *DNSRequest
	KubernetesAPICall *KubernetesAPICall
	RDSLoginAttempt   *RDSLoginAttempt
}

// Remote is the far end of an action.
type Remote struct {
	IPv4, IPv6       string
	ASN              string // digits
	ASNOrg, ISP, Org string
	Country, City    string
	CountryCode      string
	Lat, Lon         float64 // 0/0 means unknown
}

// Port is a port with the name that GuardDuty gives it.
type Port struct {
	Port int // 0 if absent
	Name string
}

// AWSAPICall is service.action.awsApiCallAction.
type AWSAPICall struct {
	API, Service, CallerType string
	ErrorCode                string // non-empty: the call failed
	UserAgent                string
	Remote                   *Remote
	Domain                   string // domainDetails.domain: an AWS service
	RemoteAccountID          string
	RemoteAccountAffiliated  *bool
	AffectedResources        []Property // CloudFormation type name, id or ARN
}

// NetworkConnection is service.action.networkConnectionAction.
type NetworkConnection struct {
	Direction, Protocol   string
	Blocked               *bool
	LocalPort, RemotePort Port
	LocalIPv4, LocalIPv6  string
	LocalNetworkInterface string
	Remote                *Remote
}

// PortProbe is service.action.portProbeAction. Every entry has its own remote.
type PortProbe struct {
	Blocked *bool
	Probes  []Probe
}

// Probe is one entry of a port probe.
type Probe struct {
	LocalPort            Port
	LocalIPv4, LocalIPv6 string
	Remote               *Remote
}

// DNSRequest is service.action.dnsRequestAction. It has no remote address: the
// actor is the domain.
type DNSRequest struct {
	Domain, DomainWithSuffix, Protocol, VPCOwnerAccountID string
	Blocked                                               *bool
}

// KubernetesAPICall is service.action.kubernetesApiCallAction, with the blocks
// that may stand beside it.
type KubernetesAPICall struct {
	Verb, RequestURI, Resource, ResourceName, Subresource, Namespace string
	StatusCode                                                       int
	UserAgent, Parameters                                            string
	SourceIPs                                                        []string
	Remote                                                           *Remote
	// Permission, Role and RoleBinding are rendered as name/value pairs.
	Permission, Role, RoleBinding []Property
}

// RDSLoginAttempt is service.action.rdsLoginAttemptAction.
type RDSLoginAttempt struct {
	Remote *Remote
	Logins []Login
}

// Login is one entry of LoginAttributes.
type Login struct {
	User, Application  string
	Failed, Successful int
}

// Property is one name and value, kept as text.
type Property struct{ Name, Value string }

// Threat is one entry of the threat intelligence evidence.
type Threat struct {
	ListName, FileSHA256 string
	Names                []string
}

// Runtime is service.runtimeDetails.
type Runtime struct {
	Process *Process
	Context []Property // sorted by name
	// Processes are those of the context: modifyingProcess and targetProcess.
	Processes []NamedProcess
}

// NamedProcess is a process with its part in the activity.
type NamedProcess struct {
	Name    string
	Process Process
}

// Process is a process seen by the runtime agent.
type Process struct {
	Name, ExecutablePath, ExecutableSHA256, PWD, UUID, ParentUUID, User string
	PID, NamespacePID, UserID, EUID                                     int
	StartTime                                                           time.Time
	Lineage                                                             []Process
}

// Scan is a malware scan of volumes, objects or backups.
type Scan struct {
	ID, Type, Category, TriggerFindingID string
	StartedAt, CompletedAt               time.Time
	Sources                              []string
	FilesScanned, ThreatFiles            int
	Truncated                            bool // the threat list is not complete
	// TriggerType, BaselineResourceARN and UniqueThreats are of the scans of S3
	// objects and backups.
	TriggerType, BaselineResourceARN string
	UniqueThreats                    int
	Threats                          []MalwareThreat
}

// MalwareThreat is one malware that a scan found.
type MalwareThreat struct {
	Name, Severity string
	Count          int
	Files          []MalwareFile
}

// MalwareFile is one file in which malware was found.
type MalwareFile struct{ Path, Name, SHA256, Resource string }

// Anomaly is why GuardDuty thinks that the behaviour is unusual.
type Anomaly struct {
	Profiled []AnomalyFact
	Unusual  []AnomalyFact
	APIs     []Property // from the anomalies mini-grammar: service:Api and result
}

// AnomalyFact is one observation: entity, feature, how frequent, and values.
type AnomalyFact struct {
	Entity, Feature, Frequency string
	Values                     []string
}

// Sequence is service.detection.sequence of an attack sequence finding.
type Sequence struct {
	UID, Description string
	AdditionalTypes  []string
	Indicators       []Indicator
	Signals          []Signal
	Actors           []SequenceActor
	Endpoints        []Endpoint
	Resources        []SequenceResource
}

// Indicator is one sequence indicator.
type Indicator struct {
	Key, Title string
	Values     []string
}

// Signal is one signal of a sequence. For type FINDING the UID is the ARN of
// the finding that became part of the sequence.
type Signal struct {
	UID, Type, Name, Description              string
	Severity                                  Severity
	Count                                     int
	CreatedAt, UpdatedAt, FirstSeen, LastSeen time.Time
	ResourceUIDs, ActorIDs, EndpointIDs       []string
	Indicators                                []Indicator
}

// SequenceActor is one actor of a sequence.
type SequenceActor struct {
	ID, UserName, UserType, UserUID, CredentialUID, AccountID string
	SessionUID, SessionMFA, SessionIssuer                     string
	ProcessName, ProcessPath, ProcessSHA256                   string
}

// Endpoint is one network endpoint of a sequence.
type Endpoint struct {
	ID, IP, Domain, City, Country, ASN, ASNOrg, Direction string
	Port                                                  int
}

// SequenceResource is one resource of a sequence. Type is GuardDuty's word
// (EC2_INSTANCE, ACCESS_KEY, …); Kind is ours.
type SequenceResource struct {
	UID, Name, AccountID, Region, Service, Partition, Type string
	Kind                                                   ResourceKind
	Tags                                                   []Tag
	// Data is the block by type, flattened; the blocks that we know are typed
	// beside it.
	Data      []Property
	AccessKey *AccessKey
	Workload  *Workload
	Instance  *Instance
}
