package config

// Config is the whole configuration. Without a file it is Default: no sources, no
// destinations, a SQLite file in the working directory.
type Config struct {
	// Store is where everything is kept: sqlite:PATH or a postgres:// URL.
	Store Secret `yaml:"store"`
	// Name of this installation, shown in notices and in the heartbeat.
	Name string `yaml:"name"`
	// BaseURL is the prefix of links to incidents in messages. Without it
	// messages carry no link to guardroom.
	BaseURL string `yaml:"base_url"`

	// Log says what is logged and how.
	Log Log `yaml:"log"`
	// Listen is the HTTP entrance of guardroom serve: health, metrics and intake.
	Listen Listen `yaml:"listen"`
	// AWS says how guardroom reaches AWS.
	AWS AWS `yaml:"aws"`
	// Accounts give AWS accounts the names that people know.
	Accounts []Account `yaml:"accounts"`
	// Sources are the ways by which findings come in.
	Sources Sources `yaml:"sources"`
	// Triage says how findings become incidents.
	Triage Triage `yaml:"triage"`
	// Suppress lists the findings that are recorded and told to nobody.
	Suppress []Suppression `yaml:"suppress"`
	// Routes say which incidents go to which destinations, in order.
	Routes []Route `yaml:"routes"`
	// Destinations are the channels by which people are told.
	Destinations []Destination `yaml:"destinations"`
	// Incidents says how incidents live.
	Incidents Incidents `yaml:"incidents"`
	// Respond says how attacked resources are contained and evidence preserved.
	Respond Respond `yaml:"respond"`
	// Audit says where the head of the audit chain is kept outside the store.
	Audit Audit `yaml:"audit"`
	// Watch is how guardroom watches itself.
	Watch Watch `yaml:"watch"`
	// Retention says for how long things are kept.
	Retention Retention `yaml:"retention"`
	// Worker is this process as one of possibly several on a PostgreSQL store.
	Worker Worker `yaml:"worker"`

	origin origin
}

// Log says what is logged and how.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level" words:"debug info warn error"`
	// Format is text, json, or auto: text on a terminal, else json.
	Format string `yaml:"format" words:"auto text json"`
}

// Listen is the HTTP entrance of `guardroom serve`: health, metrics and intake.
type Listen struct {
	// Address is host:port. Empty: no HTTP entrance.
	Address string `yaml:"address"`
	// TLSCert is a PEM file with the certificate and those between it and the
	// root. It goes together with tls_key.
	TLSCert string `yaml:"tls_cert"`
	// TLSKey is a PEM file with the certificate's private key.
	TLSKey string `yaml:"tls_key"`
	// APIToken lets the command line in over the network (--server), as an admin
	// who is nobody in particular. Personal tokens (guardroom token create) do so
	// by name and role. Without any token the API is on the Unix socket only.
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
	// Organizations asks AWS Organizations for the names of accounts, and whether an
	// account that is not listed is one of ours.
	Organizations bool `yaml:"organizations"`
	// InstanceTags reads the live tags of instances to enrich findings.
	InstanceTags bool `yaml:"instance_tags"`
}

// Account gives an AWS account a name that people know.
type Account struct {
	// ID is the twelve-digit account id.
	ID string `yaml:"id" required:"true"`
	// Name is what people call the account; messages show it beside the id.
	Name string `yaml:"name"`
	// Environment is production, sandbox, … in your own words; conditions may ask
	// for it as account.environment.
	Environment string `yaml:"environment"`
	// Owner is the team that answers for the account.
	Owner string `yaml:"owner"`
	// Regions of this account that the GuardDuty poller reads; empty: the
	// source's own list.
	Regions []string `yaml:"regions"`
}

// Sources are the ways by which findings come in.
type Sources struct {
	// HTTP is POST /v1/findings on listen.address.
	HTTP HTTPSource `yaml:"http"`
	// SQS are queues to which EventBridge or SNS delivers findings.
	SQS []SQSSource `yaml:"sqs"`
	// GuardDuty are pollers of the GuardDuty API.
	GuardDuty []GuardDutySource `yaml:"guardduty"`
	// S3 are buckets to which GuardDuty exports findings.
	S3 []S3Source `yaml:"s3"`
	// FollowBuckets are the buckets whose objects are fetched when a message
	// points to one, beside those of s3. A pointer to any other bucket is parked:
	// whoever may send messages must not choose what guardroom reads.
	FollowBuckets []string `yaml:"follow_buckets"`
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
	MaxBody Size `yaml:"max_body" positive:"true"`
}

// Enabled reports whether any sender could be accepted.
func (h HTTPSource) Enabled() bool {
	return h.BearerToken.IsSet() || h.APIKey.IsSet() || len(h.SNSTopics) > 0
}

// SQSSource reads a queue.
type SQSSource struct {
	// Name of the source, unique among the queues.
	Name string `yaml:"name" required:"true"`
	// QueueURL is the queue's URL as SQS gives it.
	QueueURL string `yaml:"queue_url" required:"true"`
	// Region of the queue; empty: read from the queue's URL, then aws.region.
	Region string `yaml:"region"`
	// Visibility is for how long a message is ours; it is extended while we work.
	Visibility Duration `yaml:"visibility" positive:"true"`
	// MaxReceives is the number of receives after which a message that cannot be
	// taken is parked as rejected and deleted from the queue.
	MaxReceives int `yaml:"max_receives" positive:"true"`
	// SilentAfter overrides watch.silent_after for this source; 0: as there.
	SilentAfter Duration `yaml:"silent_after"`
}

// GuardDutySource polls the GuardDuty API.
type GuardDutySource struct {
	// Name of the source, unique among the pollers.
	Name string `yaml:"name" required:"true"`
	// Accounts to read, by id; empty: the account of the credentials.
	Accounts []string `yaml:"accounts"`
	// Regions to read in each account that names none itself; empty: aws.region.
	Regions []string `yaml:"regions"`
	// Role to assume in each account, by name; empty: aws.read_role.
	Role string `yaml:"role"`
	// Interval between two polls.
	Interval Duration `yaml:"interval" positive:"true"`
	// Overlap is how far before the last cursor each poll begins, so that
	// nothing slips between polls; at least a minute.
	Overlap Duration `yaml:"overlap" positive:"true"`
	// LookBack limits how old a finding may be at the very first poll.
	LookBack Duration `yaml:"look_back" positive:"true"`
	// MinSeverity leaves out findings below it, as a number from 0 to 10.
	MinSeverity float64 `yaml:"min_severity"`
	// SilentAfter overrides watch.silent_after for this source; 0: as there.
	SilentAfter Duration `yaml:"silent_after"`
}

// S3Source reads GuardDuty's export objects under a prefix.
type S3Source struct {
	// Name of the source, unique among the buckets.
	Name string `yaml:"name" required:"true"`
	// URL is s3://bucket/prefix.
	URL string `yaml:"url" required:"true"`
	// Region of the bucket; empty: aws.region.
	Region string `yaml:"region"`
	// Interval between two looks for new objects.
	Interval Duration `yaml:"interval" positive:"true"`
	// SilentAfter overrides watch.silent_after for this source; 0: as there.
	SilentAfter Duration `yaml:"silent_after"`
}

// Triage says how findings become incidents.
type Triage struct {
	// Merge says which findings are one incident.
	Merge Merge `yaml:"merge"`
	// Enrich adds what the finding itself does not say.
	Enrich Enrich `yaml:"enrich"`
	// Samples routes sample findings like others, for a test; they still never
	// page and never act.
	Samples bool `yaml:"samples"`
	// Root is what happens to findings about the root user of an account: page
	// tells every pager beside those of the routes, whatever the severity, unless a
	// route that matches says stop; route leaves them to the routes alone.
	Root string `yaml:"root" words:"page route"`
}

// Merge says which findings are one incident.
type Merge struct {
	// Window is how long after an incident's last activity a finding may join it.
	Window Duration `yaml:"window" positive:"true"`
	// Keys by which findings are one incident, in order: the same finding, the
	// same attack sequence, the same type family on the same resource, the same
	// resource. finding and sequence always apply first; actor only links
	// incidents.
	Keys []string `yaml:"keys" words:"finding sequence family_resource resource actor"`
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
	Timeout Duration `yaml:"timeout" positive:"true"`
}

// AddressList is a named file of addresses.
type AddressList struct {
	// Name of the list, for conditions and messages.
	Name string `yaml:"name" required:"true"`
	// File has one address or CIDR a line; # begins a comment.
	File string `yaml:"file" required:"true"`
}

// Suppression keeps matching findings quiet. They are recorded.
type Suppression struct {
	// Name of the rule, unique; finding explain shows it.
	Name string `yaml:"name" required:"true"`
	// When is a condition; see the conditions reference.
	When string `yaml:"when" required:"true"`
	// Owner is the person or team who answers for this rule.
	Owner string `yaml:"owner" required:"true"`
	// Reason why nobody needs to know, for those who ask later.
	Reason string `yaml:"reason" required:"true"`
	// Until is the day at whose end (UTC) the rule ends, 2027-01-31, or a time,
	// 2027-01-31T12:00:00Z.
	Until Time `yaml:"until" required:"true"`
}

// Route sends matching incidents to destinations. All routes that match apply,
// unless one says stop.
type Route struct {
	// Name of the route; finding explain shows it.
	Name string `yaml:"name"`
	// When is a condition; empty matches everything.
	When string `yaml:"when"`
	// To are the names of destinations. It may be empty where stop is true: then
	// nobody is told.
	To []string `yaml:"to"`
	// Stop ends the list when this route matches.
	Stop bool `yaml:"stop"`
	// Playbook is the response whose plan is made by itself, once GuardDuty has
	// confirmed the finding in its account. It waits for approval like any other.
	Playbook string `yaml:"playbook"`
}

// Destination is a configured channel. Exactly the section named by Type is
// set.
type Destination struct {
	// Name of the destination, unique; routes, commands and metrics use it.
	Name string `yaml:"name" required:"true"`
	// Type says what it is; the section of the same name holds the rest.
	Type string `yaml:"type" required:"true" words:"slack jira pagerduty webhook email"`
	// RateLimit is the most requests in a period: "50/min", "1/s". Empty: the
	// vendor's documented limit.
	RateLimit Rate `yaml:"rate_limit"`
	// Timeout of each call to the vendor.
	Timeout Duration `yaml:"timeout" positive:"true"`
	// DigestAbove is the number of new incidents a minute above which one
	// digest stands for the rest; 0 switches digests off.
	DigestAbove *int `yaml:"digest_above"`
	// GiveUpAfter is for how long a failing delivery is tried before it is
	// parked. A webhook is tried for 72h where nothing is said.
	GiveUpAfter Duration `yaml:"give_up_after" positive:"true"`

	// Slack is set where type is slack.
	Slack *Slack `yaml:"slack,omitempty"`
	// Jira is set where type is jira.
	Jira *Jira `yaml:"jira,omitempty"`
	// PagerDuty is set where type is pagerduty.
	PagerDuty *PagerDuty `yaml:"pagerduty,omitempty"`
	// Webhook is set where type is webhook.
	Webhook *Webhook `yaml:"webhook,omitempty"`
	// Email is set where type is email.
	Email *Email `yaml:"email,omitempty"`
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
	APIURL string `yaml:"api_url"`
	// Mention says who is called, and from which severity upward.
	Mention Mention `yaml:"mention"`
	// Fallback is the channel used when this one is gone or archived. It needs a
	// token.
	Fallback string `yaml:"fallback"`
}

// Mention says who is called, and from which severity upward.
type Mention struct {
	// At is the severity from which upward somebody is called.
	At string `yaml:"at" words:"informational low medium high critical never"`
	// Who is <!here>, a user <@U…> or a group <!subteam^S…>.
	Who string `yaml:"who"`
}

// Jira is a project, on Cloud or Server / Data Center.
type Jira struct {
	// APIURL is the site: https://example.atlassian.net or https://jira.example.com.
	APIURL string `yaml:"api_url" required:"true"`
	// API is the kind of Jira. auto means cloud where the host is under
	// atlassian.net or email and api_token are set, else datacenter.
	API string `yaml:"api" words:"auto cloud datacenter"`
	// Email of the user whose api_token is used, on Cloud.
	Email string `yaml:"email"`
	// APIToken of that user, on Cloud.
	APIToken Secret `yaml:"api_token"`
	// Token is the personal access token on Server / Data Center.
	Token Secret `yaml:"token"`
	// Project by key, id or name.
	Project string `yaml:"project" required:"true"`
	// IssueType by id or name.
	IssueType string `yaml:"issue_type" required:"true"`
	// Labels are set beside those of guardroom; without spaces.
	Labels []string `yaml:"labels"`
	// Priorities map a severity (critical, high, …) to a priority's name. Without:
	// Highest, High, Medium, Low.
	Priorities map[string]string `yaml:"priorities" keys:"informational low medium high critical"`
	// Fields are further fields to set at creation, any JSON.
	Fields map[string]any `yaml:"fields"`
	// CloseTransition is the name of the transition on closing, or of the status
	// that it leads to. Empty: the issue's status is left alone.
	CloseTransition string `yaml:"close_transition"`
	// ReopenTransition is the same for reopening.
	ReopenTransition string `yaml:"reopen_transition"`
	// SearchSettle is how long Jira's search may lag behind writes before an
	// issue that cannot be found is parked as unknown.
	SearchSettle Duration `yaml:"search_settle" positive:"true"`
}

// PagerDuty is a service, by Events API v2 or by REST incidents.
type PagerDuty struct {
	// Mode is events for Events API v2, or incidents for the REST API.
	Mode string `yaml:"mode" words:"events incidents"`
	// Region is the service region of the account.
	Region string `yaml:"region" words:"us eu"`
	// RoutingKey is the integration key of Events API v2, for mode events.
	RoutingKey Secret `yaml:"routing_key"`
	// APIURL replaces the Events API's https://events.pagerduty.com (and with
	// rest_url unset also the REST API's base).
	APIURL string `yaml:"api_url"`
	// RESTURL replaces https://api.pagerduty.com.
	RESTURL string `yaml:"rest_url"`
	// APIToken is a REST API key, for mode incidents.
	APIToken Secret `yaml:"api_token"`
	// From is the e-mail address of a user of the account, for mode incidents.
	From string `yaml:"from"`
	// ServiceID is the service that incidents belong to, for mode incidents.
	ServiceID string `yaml:"service_id"`
	// Priorities map a severity (critical, high, …) to a priority's name, for mode
	// incidents. Without: P1 for critical to P4 for low.
	Priorities map[string]string `yaml:"priorities" keys:"informational low medium high critical"`
	// PageAgainAt is the severity whose reaching pages again while the alert
	// is acknowledged.
	PageAgainAt string `yaml:"page_again_at" words:"critical never"`
	// MinSeverity is the severity below which nothing is sent.
	MinSeverity string `yaml:"min_severity" words:"informational low medium high critical"`
}

// Webhook is an HTTPS endpoint of your own, signed as Standard Webhooks.
type Webhook struct {
	// URL to which each event is sent with POST.
	URL Secret `yaml:"url" required:"true"`
	// Secret signs what is sent: whsec_ and the base64 of 24 to 64 random bytes.
	Secret Secret `yaml:"secret" required:"true"`
	// PreviousSecret signs as well, while a secret rotates.
	PreviousSecret Secret `yaml:"previous_secret"`
	// Raw adds the raw finding to the body.
	Raw bool `yaml:"raw"`
	// Insecure allows http:// URLs.
	Insecure bool `yaml:"insecure"`
	// AllowPrivate allows private and loopback addresses.
	AllowPrivate bool `yaml:"allow_private"`
	// Headers are sent with each request; their values may be references.
	Headers map[string]Secret `yaml:"headers"`
}

// Email is one or more mailboxes, by SMTP.
type Email struct {
	// Host of the SMTP server.
	Host string `yaml:"host" required:"true"`
	// Port of the SMTP server. Without: 587 with starttls, 465 with implicit TLS,
	// 25 with none.
	Port int `yaml:"port" positive:"true"`
	// TLS is how the connection is encrypted. none needs insecure as well.
	TLS string `yaml:"tls" words:"starttls implicit none"`
	// Insecure allows tls: none. Certificates are always checked.
	Insecure bool `yaml:"insecure"`
	// CAFile is a PEM file with further certificate authorities.
	CAFile string `yaml:"ca_file"`
	// Username to log in with; together with password.
	Username string `yaml:"username"`
	// Password to log in with.
	Password Secret `yaml:"password"`
	// From is the sender's address, possibly with a name.
	From string `yaml:"from" required:"true"`
	// To are the addresses of those who are told.
	To []string `yaml:"to" required:"true"`
	// Hello is the name given in EHLO. Empty: the domain of from.
	Hello string `yaml:"hello"`
}

// Incidents says how incidents live.
type Incidents struct {
	// ReopenWithin is how long after closing a new revision reopens the
	// incident; later it opens a new one that links the old.
	ReopenWithin Duration `yaml:"reopen_within" positive:"true"`
	// ArchiveOnClose archives the findings of a closed incident in GuardDuty. It
	// needs a source guardduty: only findings that this source has read itself
	// are archived, not those that only a queue or a sender told of.
	ArchiveOnClose bool `yaml:"archive_on_close"`
}

// Audit says where the head of the chain is written outside the store.
type Audit struct {
	// Head lists the places where the head of the chain is kept.
	Head AuditHead `yaml:"head"`
}

// AuditHead lists the places; any number of them may be set. Without any, a
// file beside the SQLite store (or a log line with PostgreSQL) is used.
type AuditHead struct {
	// File to which each head is appended.
	File string `yaml:"file"`
	// S3 is s3://bucket/prefix; each head is an object of its own.
	S3 string `yaml:"s3"`
	// Log writes each head as a log line.
	Log bool `yaml:"log"`
	// Interval between two writes, at most a minute.
	Interval Duration `yaml:"interval" positive:"true"`
}

// Watch is how guardroom watches itself.
type Watch struct {
	// SilentAfter is how long a source may bring no event before people are told;
	// 0: never.
	SilentAfter Duration `yaml:"silent_after"`
	// UndeliveredAfter is how long a destination may fail to show an incident
	// before another destination tells it; 0: never.
	UndeliveredAfter Duration `yaml:"undelivered_after"`
	// To are the destinations for notices about guardroom itself; empty: the
	// first destination that is not the one spoken about.
	To []string `yaml:"to"`
	// HeartbeatURL is called with GET at every interval while all is well.
	HeartbeatURL Secret `yaml:"heartbeat_url"`
	// HeartbeatInterval is the time between two calls of heartbeat_url.
	HeartbeatInterval Duration `yaml:"heartbeat_interval" positive:"true"`
}

// Retention says for how long things are kept; 0: for ever.
type Retention struct {
	// Findings is for how long after closing the findings of an incident are kept,
	// and the plans and runs of which there is no evidence; 0: for ever.
	Findings Duration `yaml:"findings"`
	// Rejected is for how long rejected inputs are kept; 0: for ever.
	Rejected Duration `yaml:"rejected"`
}

// Worker is this process as one of possibly several on a PostgreSQL store.
type Worker struct {
	// ID names this worker; fixed over restarts. Empty: the host's name.
	ID string `yaml:"id"`
	// Concurrency is the number of deliveries of one destination at a time.
	Concurrency int `yaml:"concurrency" positive:"true"`
	// Lease is how long a worker may be silent before others take over its
	// deliveries.
	Lease Duration `yaml:"lease" positive:"true"`
	// TimeScale divides every wait of guardroom (backoff, settle times,
	// windows of seconds); 1 in production, more in tests.
	TimeScale float64 `yaml:"time_scale" positive:"true"`
}
