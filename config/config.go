package config

import "github.com/guardroom/guardroom/finding"

// Config is the whole configuration. The zero value is valid: no sources, no
// destinations, a SQLite file in the working directory.
type Config struct {
	// Store is where everything is kept: sqlite:PATH or a postgres:// URL.
	Store Secret `yaml:"store"`
	// Name of this installation, shown in notices and in the heartbeat.
	Name string `yaml:"name"`
	// BaseURL is the prefix of links to incidents in messages. Without it
	// messages carry no link to guardroom.
	BaseURL string `yaml:"base_url"`

	Log          Log           `yaml:"log"`
	Listen       Listen        `yaml:"listen"`
	AWS          AWS           `yaml:"aws"`
	Accounts     []Account     `yaml:"accounts"`
	Sources      Sources       `yaml:"sources"`
	Triage       Triage        `yaml:"triage"`
	Suppress     []Suppression `yaml:"suppress"`
	Routes       []Route       `yaml:"routes"`
	Destinations []Destination `yaml:"destinations"`
	Incidents    Incidents     `yaml:"incidents"`
	Audit        Audit         `yaml:"audit"`
	Watch        Watch         `yaml:"watch"`
	Retention    Retention     `yaml:"retention"`
	Worker       Worker        `yaml:"worker"`
}

// Log says what is logged and how.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is text, json, or auto: text on a terminal, else json.
	Format string `yaml:"format"`
}

// Listen is the HTTP entrance of `guardroom serve`: health, metrics and intake.
type Listen struct {
	// Address is host:port. Empty: no HTTP entrance.
	Address string `yaml:"address"`
	// TLSCert and TLSKey are PEM files; both or neither.
	TLSCert string `yaml:"tls_cert"`
	TLSKey  string `yaml:"tls_key"`
	// APIToken lets the command line in over the network (--server). Empty: the
	// API is on the Unix socket only.
	APIToken Secret `yaml:"api_token"`
}

// AWS is how guardroom reaches AWS.
type AWS struct {
	// Region is used where nothing else says which; empty: from the environment.
	Region string `yaml:"region"`
	// Profile of the shared configuration files.
	Profile string `yaml:"profile"`
	// EndpointURL stands in for every AWS service, for tests and proxies. The
	// environment variable AWS_ENDPOINT_URL does the same.
	EndpointURL string `yaml:"endpoint_url"`
	// ReadRole is the name of the role to assume in the configured accounts for
	// reading. Empty: use the credentials as they are.
	ReadRole string `yaml:"read_role"`
	// ExternalID is sent with every AssumeRole.
	ExternalID Secret `yaml:"external_id"`
	// Organizations asks AWS Organizations for the names of accounts.
	Organizations bool `yaml:"organizations"`
	// InstanceTags reads the live tags of instances to enrich findings.
	InstanceTags bool `yaml:"instance_tags"`
}

// Account gives an AWS account a name that people know.
type Account struct {
	// ID is the twelve-digit account id; quote it in YAML.
	ID          string `yaml:"id"`
	Name        string `yaml:"name"`
	Environment string `yaml:"environment"`
	Owner       string `yaml:"owner"`
	// Regions of this account that the GuardDuty poller reads; empty: the
	// source's own list.
	Regions []string `yaml:"regions"`
}

// Sources are the ways by which findings come in.
type Sources struct {
	HTTP      HTTPSource        `yaml:"http"`
	SQS       []SQSSource       `yaml:"sqs"`
	GuardDuty []GuardDutySource `yaml:"guardduty"`
	S3        []S3Source        `yaml:"s3"`
}

// HTTPSource is POST /v1/findings on the listen address. At least one of the
// three ways to prove who sends must be configured for it to exist.
type HTTPSource struct {
	// BearerToken is what plain senders put into Authorization: Bearer.
	BearerToken Secret `yaml:"bearer_token"`
	// APIKey is the key of an EventBridge API destination.
	APIKey Secret `yaml:"api_key"`
	// APIKeyHeader is the header that carries the key.
	APIKeyHeader string `yaml:"api_key_header"`
	// SNSTopics are the ARNs of the topics that may deliver here. Subscriptions
	// of other topics are refused.
	SNSTopics []string `yaml:"sns_topics"`
	// SNSCertificateHosts replaces the hosts from which SNS signing
	// certificates are accepted (sns.<region>.amazonaws.com), for tests.
	SNSCertificateHosts []string `yaml:"sns_certificate_hosts"`
	// MaxBody is the largest accepted body, after gunzip.
	MaxBody Size `yaml:"max_body"`
}

// Enabled reports whether any sender could be accepted.
func (h HTTPSource) Enabled() bool {
	return h.BearerToken.IsSet() || h.APIKey.IsSet() || len(h.SNSTopics) > 0
}

// SQSSource reads a queue.
type SQSSource struct {
	Name     string `yaml:"name"`
	QueueURL string `yaml:"queue_url"`
	// Region of the queue; empty: read from the queue's URL, then aws.region.
	Region string `yaml:"region"`
	// Visibility is for how long a message is ours; it is extended while we work.
	Visibility Duration `yaml:"visibility"`
	// MaxReceives after which a message that cannot be taken is parked as
	// rejected and deleted from the queue.
	MaxReceives int `yaml:"max_receives"`
	// SilentAfter overrides watch.silent_after for this source.
	SilentAfter Duration `yaml:"silent_after"`
}

// GuardDutySource polls the GuardDuty API.
type GuardDutySource struct {
	Name string `yaml:"name"`
	// Accounts to read, by id; empty: the account of the credentials.
	Accounts []string `yaml:"accounts"`
	Regions  []string `yaml:"regions"`
	// Role to assume in each account, by name; empty: aws.read_role.
	Role     string   `yaml:"role"`
	Interval Duration `yaml:"interval"`
	// Overlap is how far before the last cursor each poll begins, so that
	// nothing slips between polls.
	Overlap Duration `yaml:"overlap"`
	// LookBack limits how old a finding may be at the very first poll.
	LookBack Duration `yaml:"look_back"`
	// MinSeverity leaves out findings below it.
	MinSeverity float64  `yaml:"min_severity"`
	SilentAfter Duration `yaml:"silent_after"`
}

// S3Source reads GuardDuty's export objects under a prefix.
type S3Source struct {
	Name        string   `yaml:"name"`
	URL         string   `yaml:"url"` // s3://bucket/prefix
	Region      string   `yaml:"region"`
	Interval    Duration `yaml:"interval"`
	SilentAfter Duration `yaml:"silent_after"`
}

// Triage says how findings become incidents.
type Triage struct {
	Merge  Merge  `yaml:"merge"`
	Enrich Enrich `yaml:"enrich"`
	// Samples routes sample findings like others, for a test; they still never
	// page and never act.
	Samples bool `yaml:"samples"`
}

// Merge says which findings are one incident.
type Merge struct {
	// Window after an incident's last activity in which a finding joins it.
	Window Duration `yaml:"window"`
	// Keys, in order: finding, sequence, family_resource, resource, actor. The first two
	// always apply first.
	Keys []string `yaml:"keys"`
}

// Enrich adds what the finding itself does not say.
type Enrich struct {
	// Lists are local address lists, one address or CIDR a line.
	Lists []AddressList `yaml:"lists"`
	// GeoIP is a MaxMind-format database file (City or Country).
	GeoIP string `yaml:"geoip"`
	// ASN is a MaxMind-format database file (ASN).
	ASN string `yaml:"asn"`
	// Timeout for each enricher.
	Timeout Duration `yaml:"timeout"`
}

// AddressList is a named file of addresses.
type AddressList struct {
	Name string `yaml:"name"`
	File string `yaml:"file"`
}

// Suppression keeps matching findings quiet. They are recorded.
type Suppression struct {
	Name string `yaml:"name"`
	// When is a condition; see the conditions reference.
	When string `yaml:"when"`
	// Owner is the person or team who answers for this rule.
	Owner  string `yaml:"owner"`
	Reason string `yaml:"reason"`
	// Until is the date on which the rule ends: 2027-01-31 or RFC 3339.
	Until Time `yaml:"until"`
}

// Route sends matching incidents to destinations. All routes that match apply,
// unless one says stop.
type Route struct {
	Name string `yaml:"name"`
	// When is a condition; empty matches everything.
	When string   `yaml:"when"`
	To   []string `yaml:"to"`
	// Stop ends the list when this route matches.
	Stop bool `yaml:"stop"`
}

// Destination is a configured channel. Exactly the section named by Type is
// set.
type Destination struct {
	Name string `yaml:"name"`
	// Type is slack, jira, pagerduty, webhook or email.
	Type string `yaml:"type"`
	// RateLimit is the most requests in a period: "50/min", "1/s". Empty: the
	// vendor's documented limit.
	RateLimit Rate `yaml:"rate_limit"`
	// Timeout of each call to the vendor.
	Timeout Duration `yaml:"timeout"`
	// DigestAbove is the number of new incidents a minute above which one
	// digest stands for the rest; 0 switches digests off.
	DigestAbove *int `yaml:"digest_above"`
	// GiveUpAfter is for how long a failing delivery is tried before it is
	// parked.
	GiveUpAfter Duration `yaml:"give_up_after"`

	Slack     *Slack     `yaml:"slack,omitempty"`
	Jira      *Jira      `yaml:"jira,omitempty"`
	PagerDuty *PagerDuty `yaml:"pagerduty,omitempty"`
	Webhook   *Webhook   `yaml:"webhook,omitempty"`
	Email     *Email     `yaml:"email,omitempty"`
}

// Slack is a channel, by bot token or by incoming webhook.
type Slack struct {
	// Token is the bot token (xoxb-…).
	Token Secret `yaml:"token"`
	// Channel is a channel id (C…) or name.
	Channel string `yaml:"channel"`
	// WebhookURL is an incoming webhook; instead of token and channel.
	WebhookURL Secret `yaml:"webhook_url"`
	// APIURL replaces https://slack.com/api/.
	APIURL  string  `yaml:"api_url"`
	Mention Mention `yaml:"mention"`
	// Fallback is the channel used when this one is gone or archived.
	Fallback string `yaml:"fallback"`
}

// Mention says who is called, and from which severity upward.
type Mention struct {
	// At is a severity: informational, low, medium, high, critical, or never.
	At string `yaml:"at"`
	// Who is <!here>, a user <@U…> or a group <!subteam^S…>.
	Who string `yaml:"who"`
}

// Jira is a project, on Cloud or Server / Data Center.
type Jira struct {
	// APIURL is the site: https://example.atlassian.net or https://jira.example.com.
	APIURL string `yaml:"api_url"`
	// API is cloud, datacenter or auto (by the host's name).
	API string `yaml:"api"`
	// Email and APIToken authenticate on Cloud.
	Email    string `yaml:"email"`
	APIToken Secret `yaml:"api_token"`
	// Token is the personal access token on Server / Data Center.
	Token Secret `yaml:"token"`
	// Project by key, id or name.
	Project string `yaml:"project"`
	// IssueType by id or name.
	IssueType string   `yaml:"issue_type"`
	Labels    []string `yaml:"labels"`
	// Priorities map a severity (critical, high, …) to a priority's name.
	Priorities map[string]string `yaml:"priorities"`
	// Fields are further fields to set at creation, any JSON.
	Fields map[string]any `yaml:"fields"`
	// CloseTransition and ReopenTransition are names of transitions or of the
	// states that they lead to. Empty: the issue's state is left alone.
	CloseTransition  string `yaml:"close_transition"`
	ReopenTransition string `yaml:"reopen_transition"`
	// SearchSettle is how long Jira's search may lag behind writes before an
	// issue that cannot be found is parked as unknown.
	SearchSettle Duration `yaml:"search_settle"`
}

// PagerDuty is a service, by Events API v2 or by REST incidents.
type PagerDuty struct {
	// Mode is events (default) or incidents.
	Mode string `yaml:"mode"`
	// Region is us or eu.
	Region string `yaml:"region"`
	// RoutingKey is the integration key of Events API v2.
	RoutingKey Secret `yaml:"routing_key"`
	// APIURL replaces the Events API's https://events.pagerduty.com (and with
	// rest_url unset also the REST API's base).
	APIURL string `yaml:"api_url"`
	// RESTURL replaces https://api.pagerduty.com.
	RESTURL string `yaml:"rest_url"`
	// APIToken, From and ServiceID are for mode incidents.
	APIToken  Secret `yaml:"api_token"`
	From      string `yaml:"from"`
	ServiceID string `yaml:"service_id"`
	// Priorities map a severity (critical, high, …) to a priority's name.
	Priorities map[string]string `yaml:"priorities"`
	// PageAgainAt is the severity whose reaching pages again while the alert
	// is acknowledged: critical or never.
	PageAgainAt string `yaml:"page_again_at"`
	// MinSeverity below which nothing is sent: informational, low, …
	MinSeverity string `yaml:"min_severity"`
}

// Webhook is an HTTPS endpoint of your own, signed as Standard Webhooks.
type Webhook struct {
	URL Secret `yaml:"url"`
	// Secret is whsec_ followed by base64; PreviousSecret signs as well while a
	// secret rotates.
	Secret         Secret `yaml:"secret"`
	PreviousSecret Secret `yaml:"previous_secret"`
	// Raw adds the raw finding to the body.
	Raw bool `yaml:"raw"`
	// Insecure allows http:// URLs.
	Insecure bool `yaml:"insecure"`
	// AllowPrivate allows private and loopback addresses.
	AllowPrivate bool              `yaml:"allow_private"`
	Headers      map[string]Secret `yaml:"headers"`
}

// Email is one or more mailboxes, by SMTP.
type Email struct {
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// TLS is starttls (default), implicit, or none (which must be spelled out
	// together with insecure).
	TLS      string `yaml:"tls"`
	Insecure bool   `yaml:"insecure"`
	// CAFile is a PEM file with further certificate authorities.
	CAFile   string   `yaml:"ca_file"`
	Username string   `yaml:"username"`
	Password Secret   `yaml:"password"`
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	// Hello is the name given in EHLO.
	Hello string `yaml:"hello"`
}

// Incidents says how incidents live.
type Incidents struct {
	// ReopenWithin is how long after closing a new revision reopens the
	// incident; later it opens a new one that links the old.
	ReopenWithin Duration `yaml:"reopen_within"`
	// ArchiveOnClose archives the findings of a closed incident in GuardDuty.
	ArchiveOnClose bool `yaml:"archive_on_close"`
}

// Audit says where the head of the chain is written outside the store.
type Audit struct {
	Head AuditHead `yaml:"head"`
}

// AuditHead lists the places; any number of them may be set. Without any, a
// file beside the SQLite store (or a log line with PostgreSQL) is used.
type AuditHead struct {
	File string `yaml:"file"`
	// S3 is s3://bucket/prefix; each head is an object of its own.
	S3  string `yaml:"s3"`
	Log bool   `yaml:"log"`
	// Interval is at most a minute.
	Interval Duration `yaml:"interval"`
}

// Watch is how guardroom watches itself.
type Watch struct {
	// SilentAfter without an event a source is told as silent; 0: never.
	SilentAfter Duration `yaml:"silent_after"`
	// UndeliveredAfter an incident that a destination does not show is told by
	// another destination.
	UndeliveredAfter Duration `yaml:"undelivered_after"`
	// To are the destinations for notices about guardroom itself; empty: the
	// first destination that is not the one spoken about.
	To []string `yaml:"to"`
	// HeartbeatURL is called with GET at every interval while all is well.
	HeartbeatURL      Secret   `yaml:"heartbeat_url"`
	HeartbeatInterval Duration `yaml:"heartbeat_interval"`
}

// Retention says for how long things are kept; 0: for ever.
type Retention struct {
	// Findings: revisions of findings of closed incidents, after closing.
	Findings Duration `yaml:"findings"`
	// Rejected inputs.
	Rejected Duration `yaml:"rejected"`
}

// Worker is this process as one of possibly several on a PostgreSQL store.
type Worker struct {
	// ID names this worker; fixed over restarts. Empty: the host's name.
	ID string `yaml:"id"`
	// Deliveries at the same time.
	Concurrency int `yaml:"concurrency"`
	// Lease after which a silent worker's deliveries are taken over.
	Lease Duration `yaml:"lease"`
	// TimeScale divides every wait of guardroom (backoff, settle times,
	// windows of seconds); 1 in production, more in tests.
	TimeScale float64 `yaml:"time_scale"`
}

// BandOf reads a severity word of the configuration ("high"); "" and "never"
// give false.
func BandOf(word string) (finding.Band, bool) { return finding.ParseBand(word) }
