package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // hours have a time zone, and not every machine knows them
)

// Respond says how attacked resources are contained and evidence is preserved.
// Plans can always be made and shown; nothing is carried out without approval.
type Respond struct {
	// Simulate keeps a simulated AWS in this file and responds there, never in
	// AWS. Everything that people see then says so.
	Simulate string `yaml:"simulate"`
	// ActRole is the name of the role that changes things in the attacked
	// account. Empty: no response can be carried out there.
	ActRole string `yaml:"act_role"`
	// ForensicsRole is the name of the role that preserves evidence, in the
	// forensic account where there is one. Empty: act_role does that as well.
	ForensicsRole string `yaml:"forensics_role"`
	// Order is isolate_first, volatile_first (memory and console before the
	// network is cut), or auto: isolation first while data is leaving.
	Order string `yaml:"order" words:"auto isolate_first volatile_first"`
	// MemoryAfterIsolation says whether memory may be taken where isolation goes
	// first: port 443 then stays open to the VPC's own endpoints, S3 among them, for
	// at most 30 minutes, and credentials stay until then. auto: unless data is
	// leaving. Without such endpoints memory is not taken.
	MemoryAfterIsolation string `yaml:"memory_after_isolation" words:"auto always never"`
	// OutOfService says how a member leaves its Auto Scaling group.
	OutOfService string `yaml:"out_of_service" words:"detach standby"`
	// OpenWindow says whether the group that opens everything may be on an
	// interface for a few seconds, so that tracked connections are cut.
	OpenWindow string `yaml:"open_window" words:"auto never"`
	// NetworkACL says when network ACLs are changed as well: they cut what
	// security groups do not.
	NetworkACL string `yaml:"network_acl" words:"auto always never"`
	// IdleTimeouts says whether the timeouts of connection tracking are set to their
	// least on interfaces whose open connections may live on: only idle ones end by
	// it, and AWS cannot unset them again, so the undo writes the defaults of the type.
	IdleTimeouts string `yaml:"idle_timeouts" words:"never auto"`
	// WholeRole lets a plan revoke every session of a role where the session
	// itself is not known.
	WholeRole bool `yaml:"whole_role"`
	// BreakGlass are the ARNs of roles that are never locked out.
	BreakGlass []string `yaml:"break_glass"`
	// OwnNetworks are addresses and CIDRs that are never blocked.
	OwnNetworks []string `yaml:"own_networks"`
	// BlockFor is for how long a network actor is blocked.
	BlockFor Duration `yaml:"block_for" positive:"true"`
	// IPSet is the WAF IP set of guardroom: NAME/ID/REGIONAL or NAME/ID/CLOUDFRONT.
	// Empty: network ACLs are used.
	IPSet string `yaml:"ip_set"`
	// DryRun makes every plan one that changes nothing.
	DryRun bool `yaml:"dry_run"`

	// Approval says who must agree.
	Approval Approval `yaml:"approval"`
	// Caps bound how much is done in an hour.
	Caps Caps `yaml:"caps"`
	// NeverTouch are conditions on resources that are never responded to. Each
	// resource is judged by itself, by the tags that it carries now; the tag
	// guardroom:never-touch on a resource does the same.
	NeverTouch []NeverTouch `yaml:"never_touch"`
	// Protect names what nobody may respond to, beside what guardroom itself lives
	// on and knows of.
	Protect Protect `yaml:"protect"`
	// ProtectedHours are hours of the week in which two people must approve a
	// plan, and no rule approves one beforehand. An undo is not held up by them.
	ProtectedHours []ProtectedHours `yaml:"protected_hours"`
	// Freezes are dates between which the same holds.
	Freezes []Freeze `yaml:"freezes"`
	// PreAuthorize are rules that approve plans beforehand. None by default.
	PreAuthorize []PreAuthorization `yaml:"pre_authorize"`
	// Evidence says where evidence is kept.
	Evidence RespondEvidence `yaml:"evidence"`
	// Forensics says where and with what evidence is examined.
	Forensics RespondForensics `yaml:"forensics"`
}

// Approval says who must agree to a plan.
type Approval struct {
	// People is how many must approve. More than one needs personal tokens.
	People int `yaml:"people" positive:"true"`
	// Requester says whether the one who asked for the plan may approve it.
	Requester string `yaml:"requester" words:"may may_not"`
	// Within is how long a plan may wait; after that it must be made again.
	Within Duration `yaml:"within" positive:"true"`
}

// Caps bound how much is done in an hour; a plan above them is refused.
type Caps struct {
	// Isolations an hour and account.
	Isolations int `yaml:"isolations" positive:"true"`
	// Revocations of credentials an hour and account.
	Revocations int `yaml:"revocations" positive:"true"`
	// Blocks of network actors an hour and account.
	Blocks int `yaml:"blocks" positive:"true"`
	// All responses an hour, over all accounts.
	All int `yaml:"all" positive:"true"`
	// Plans that routes have made by themselves, an hour. People may always make
	// more.
	Plans int `yaml:"plans" positive:"true"`
}

// NeverTouch is a rule that forbids responses.
type NeverTouch struct {
	// Name of the rule; a refused plan shows it.
	Name string `yaml:"name" required:"true"`
	// When is a condition; see the conditions reference. resource, and the only one
	// of resources, is what is judged. One that asks for tags which nobody could
	// read forbids.
	When string `yaml:"when" required:"true"`
}

// Protect names what is never responded to. guardroom's own roles, the instance
// that it runs on, its buckets and its database on RDS are protected by
// themselves.
type Protect struct {
	// ManagementAccount of the organization. Empty: AWS Organizations is asked
	// where aws.organizations is set.
	ManagementAccount string `yaml:"management_account"`
	// Accounts in which nothing is responded to.
	Accounts []string `yaml:"accounts"`
	// Resources are ARNs, with * and ?, or ids: of instances, buckets, functions,
	// databases, users and roles.
	Resources []string `yaml:"resources"`
}

// ProtectedHours are hours of the week in which a response costs more than at
// other times.
type ProtectedHours struct {
	// Name of the hours; a plan shows it.
	Name string `yaml:"name" required:"true"`
	// Days on which they begin; empty: every day.
	Days []string `yaml:"days" words:"mon tue wed thu fri sat sun"`
	// Hours of the day, 08:00-18:00; they may pass midnight.
	Hours string `yaml:"hours" required:"true"`
	// TimeZone of the hours, as Europe/Berlin; empty: UTC.
	TimeZone string `yaml:"time_zone"`
	// Reason, for those who are asked to approve.
	Reason string `yaml:"reason"`
}

// Freeze is a time in which changes are not welcome.
type Freeze struct {
	// Name of the freeze; a plan shows it.
	Name string `yaml:"name" required:"true"`
	// From is when it begins: a date (its first moment in UTC) or a time.
	From Time `yaml:"from" required:"true"`
	// To is when it ends: a date (the end of that day in UTC) or a time.
	To Time `yaml:"to" required:"true"`
	// Reason, for those who are asked to approve.
	Reason string `yaml:"reason" required:"true"`
}

// Contains reports whether a time is in the hours. What cannot be read holds
// always: it is there to keep something alive.
func (p ProtectedHours) Contains(t time.Time) bool {
	w, err := ParseHours(p.Hours)
	if err != nil {
		return true
	}
	zone, err := time.LoadLocation(p.TimeZone)
	if err != nil {
		return true
	}
	t = t.In(zone)
	if !w.holds(t) {
		return false
	}
	day := t.Weekday()
	if w.From > w.To && clockOf(t) < w.To {
		day = (day + 6) % 7 // they began the day before
	}
	return len(p.Days) == 0 || slices.Contains(p.Days, strings.ToLower(day.String()[:3]))
}

// Contains reports whether a time is in the freeze.
func (f Freeze) Contains(t time.Time) bool { return !t.Before(f.begin()) && !t.After(f.To.Time) }

// begin is the first moment: a date was read as the end of its day.
func (f Freeze) begin() time.Time {
	if from := f.From.UTC(); from.Format(time.TimeOnly) == "23:59:59" {
		return from.Truncate(24 * time.Hour)
	}
	return f.From.Time
}

// PreAuthorization approves plans beforehand: only those that can be undone
// whole, and only for findings that GuardDuty itself has confirmed.
type PreAuthorization struct {
	// Name of the rule; the approval shows it.
	Name string `yaml:"name" required:"true"`
	// When is a condition; see the conditions reference.
	When string `yaml:"when" required:"true"`
	// Playbooks that it approves.
	Playbooks []string `yaml:"playbooks" required:"true"`
	// Hours of the day (UTC) in which it holds, 22:00-06:00; empty: always.
	Hours string `yaml:"hours"`
	// Owner is the person or team who answers for this rule.
	Owner string `yaml:"owner" required:"true"`
	// Reason why no person needs to decide, for those who ask later.
	Reason string `yaml:"reason" required:"true"`
}

// RespondEvidence says where evidence is kept.
type RespondEvidence struct {
	// URL is s3://bucket/prefix for objects and manifests. Empty: in the store
	// only, with what can be kept there.
	URL string `yaml:"url"`
	// Region of the bucket; empty: aws.region.
	Region string `yaml:"region"`
	// KMSKey encrypts the objects; empty: the bucket's default.
	KMSKey string `yaml:"kms_key"`
	// Lock is the mode in which snapshots are locked. compliance cannot be undone.
	Lock string `yaml:"lock" words:"governance compliance none"`
	// LockDays is for how many days. For more than 365 the policies of the roles
	// are printed with guardroom iam policy --lock-days.
	LockDays int `yaml:"lock_days" positive:"true"`
	// CoolOff is for how long a lock in compliance mode can be taken back, 1h to 72h.
	// The locks of objects in the bucket cannot, from their first moment.
	CoolOff Duration `yaml:"cool_off" positive:"true"`
	// OlderSnapshots says what becomes of snapshots of the same volumes that were
	// there before: lock marks and locks the newest of them (governance), list
	// names them in the evidence only.
	OlderSnapshots string `yaml:"older_snapshots" words:"lock list"`
	// WorkingDays is after how many days evidence volumes and workstations are
	// cleaned up; sealed evidence never is.
	WorkingDays int `yaml:"working_days" positive:"true"`
	// SigningKey is a file with the Ed25519 key that seals manifests; it is made
	// when it is not there. Empty: beside the SQLite store.
	SigningKey string `yaml:"signing_key"`
}

// RespondForensics says where and with what evidence is examined.
type RespondForensics struct {
	// Account is the forensic account; empty: evidence stays in the attacked one.
	Account string `yaml:"account"`
	// TransferKey is a KMS key of the attacked account, for snapshots whose own
	// key cannot be shared.
	TransferKey string `yaml:"transfer_key"`
	// Key is the KMS key of the forensic account.
	Key string `yaml:"key"`
	// Image of the workstation: an AMI id, or ssm:PARAMETER.
	Image string `yaml:"image"`
	// ImageOwners are the accounts that may own it.
	ImageOwners []string `yaml:"image_owners"`
	// Types of the workstation, tried in this order.
	Types []string `yaml:"types"`
	// Subnets for it, private ones, tried in this order. Empty: no workstation.
	Subnets []string `yaml:"subnets"`
	// SecurityGroups of it.
	SecurityGroups []string `yaml:"security_groups"`
	// Profile is its instance profile.
	Profile string `yaml:"profile"`
	// Memory says whether the memory of a host is taken where that is possible.
	Memory string `yaml:"memory" words:"auto never"`
	// MemoryDocument is the SSM document that takes it: NAME/VERSION/SHA256.
	MemoryDocument string `yaml:"memory_document"`
	// MemoryTools are the acquisition programs by architecture, KEY@SHA256 in
	// the evidence bucket.
	MemoryTools map[string]string `yaml:"memory_tools" keys:"x86_64 arm64"`
	// Hash says whether the blocks of snapshots are hashed.
	Hash string `yaml:"hash" words:"auto never"`
}

func (r *Respond) setDefaults() {
	fill(&r.Order, "auto")
	fill(&r.MemoryAfterIsolation, "auto")
	fill(&r.IdleTimeouts, "never")
	fill(&r.OutOfService, "detach")
	fill(&r.OpenWindow, "auto")
	fill(&r.NetworkACL, "auto")
	fill(&r.BlockFor, day)
	fill(&r.Approval.People, 1)
	fill(&r.Approval.Requester, "may")
	fill(&r.Approval.Within, Duration(30*time.Minute))
	fill(&r.Caps.Isolations, 3)
	fill(&r.Caps.Revocations, 3)
	fill(&r.Caps.Blocks, 10)
	fill(&r.Caps.All, 10)
	fill(&r.Caps.Plans, 30)
	fill(&r.Evidence.Lock, "governance")
	fill(&r.Evidence.LockDays, 30)
	fill(&r.Evidence.CoolOff, day)
	fill(&r.Evidence.OlderSnapshots, "lock")
	fill(&r.Evidence.WorkingDays, 14)
	fill(&r.Forensics.Image, "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")
	fill(&r.Forensics.Memory, "auto")
	fill(&r.Forensics.Hash, "auto")
}

func (r *Respond) setListDefaults() {
	if len(r.Forensics.ImageOwners) == 0 {
		r.Forensics.ImageOwners = []string{"amazon"}
	}
	if len(r.Forensics.Types) == 0 {
		r.Forensics.Types = []string{"m7i.xlarge", "m6i.xlarge", "m5.xlarge"}
	}
}

// Window is a span of the day in UTC; it may pass midnight.
type Window struct{ From, To time.Duration }

// Contains reports whether a time is in the window.
func (w Window) Contains(t time.Time) bool {
	return w.holds(t.UTC())
}

func clockOf(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// holds reports whether the clock that t shows is in the window.
func (w Window) holds(t time.Time) bool {
	at := clockOf(t)
	if w.From <= w.To {
		return w.From <= at && at < w.To
	}
	return at >= w.From || at < w.To
}

// ParseHours reads 22:00-06:00.
func ParseHours(s string) (Window, error) {
	var fh, fm, th, tm int
	if n, err := fmt.Sscanf(s, "%d:%d-%d:%d", &fh, &fm, &th, &tm); n != 4 || err != nil || fmt.Sprintf("%02d:%02d-%02d:%02d", fh, fm, th, tm) != s {
		return Window{}, fmt.Errorf("%q is no span of hours", s)
	}
	if fh > 24 || th > 24 || fm > 59 || tm > 59 {
		return Window{}, fmt.Errorf("%q is no span of hours", s)
	}
	clock := func(h, m int) time.Duration { return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute }
	return Window{clock(fh, fm), clock(th, tm)}, nil
}

func (d *decoder) respond(c *Config, check func(string) error) {
	r := c.Respond
	d.role("respond.act_role", r.ActRole)
	d.role("respond.forensics_role", r.ForensicsRole)
	if r.Evidence.URL != "" {
		d.bucket("respond.evidence.url", r.Evidence.URL)
	}
	d.region("respond.evidence.region", r.Evidence.Region)
	if r.Forensics.Account != "" {
		d.account("respond.forensics.account", r.Forensics.Account)
	}
	if r.Evidence.LockDays > 36500 {
		d.failAt("respond.evidence.lock_days", "30 is a good value", "AWS takes at most 36500")
	}
	if c := r.Evidence.CoolOff.Std(); c != 0 && (c < time.Hour || c > 72*time.Hour || c%time.Hour != 0) {
		d.failAt("respond.evidence.cool_off", "24h is a good value", "AWS takes whole hours from 1h to 72h")
	}
	if r.BlockFor.Std() > 30*24*time.Hour {
		d.failAt("respond.block_for", "24h is a good value", "at most 720h: addresses change hands")
	}
	for i, n := range r.OwnNetworks {
		_, err := netip.ParsePrefix(n)
		if _, bad := netip.ParseAddr(n); err != nil && bad != nil {
			d.failAt(fmt.Sprintf("respond.own_networks[%d]", i), "write 203.0.113.0/24", "%q is neither an address nor a CIDR", n)
		}
	}
	if parts := strings.Split(r.IPSet, "/"); r.IPSet != "" && (len(parts) != 3 || !slices.Contains([]string{"REGIONAL", "CLOUDFRONT"}, parts[2]) || parts[0] == "" || parts[1] == "") {
		d.failAt("respond.ip_set", "write NAME/ID/REGIONAL, as aws wafv2 list-ip-sets prints them", "%q names no IP set", r.IPSet)
	}
	for i, arn := range r.BreakGlass {
		if !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":iam::") {
			d.failAt(fmt.Sprintf("respond.break_glass[%d]", i), "write arn:aws:iam::111122223333:role/break-glass", "%q is not the ARN of a role or user", arn)
		}
	}
	d.awsIDs("respond.forensics.subnets", "subnet", r.Forensics.Subnets)
	d.awsIDs("respond.forensics.security_groups", "sg", r.Forensics.SecurityGroups)
	if s := r.Forensics.MemoryDocument; s != "" && len(strings.Split(s, "/")) != 3 {
		d.failAt("respond.forensics.memory_document", "write NAME/VERSION/SHA256", "%q is not NAME/VERSION/SHA256", s)
	}
	d.names("respond.never_touch", len(r.NeverTouch), func(i int) string { return r.NeverTouch[i].Name }, oneLine)
	for i, n := range r.NeverTouch {
		d.condition(fmt.Sprintf("respond.never_touch[%d].when", i), n.When, check)
	}
	d.protect(r)
	d.names("respond.pre_authorize", len(r.PreAuthorize), func(i int) string { return r.PreAuthorize[i].Name }, oneLine)
	for i, p := range r.PreAuthorize {
		at := fmt.Sprintf("respond.pre_authorize[%d]", i)
		d.condition(at+".when", p.When, check)
		if p.Hours != "" {
			if _, err := ParseHours(p.Hours); err != nil {
				d.failAt(at+".hours", "write 22:00-06:00, in UTC", "%s", err)
			}
		}
	}
}

// awsIDs checks ids of EC2: a prefix, a dash, and 8 or 17 hex digits.
func (d *decoder) awsIDs(path, prefix string, ids []string) {
	for i, id := range ids {
		if !ec2ID.MatchString(id) || !strings.HasPrefix(id, prefix+"-") {
			d.failAt(fmt.Sprintf("%s[%d]", path, i), "write "+prefix+"-0123456789abcdef0, as AWS shows it", "%q is no id of AWS: %s- and 8 or 17 hex digits", id, prefix)
		}
	}
}

// protect checks what is protected, and when.
func (d *decoder) protect(r Respond) {
	if id := r.Protect.ManagementAccount; id != "" {
		d.account("respond.protect.management_account", id)
	}
	for i, id := range r.Protect.Accounts {
		d.account(fmt.Sprintf("respond.protect.accounts[%d]", i), id)
	}
	for i, name := range r.Protect.Resources {
		if strings.TrimSpace(name) == "" || strings.HasPrefix(name, "arn:") && len(strings.SplitN(name, ":", 6)) != 6 {
			d.failAt(fmt.Sprintf("respond.protect.resources[%d]", i), "write arn:aws:ec2:*:111122223333:instance/i-0abc, or the id alone", "%q is neither an ARN nor an id", name)
		}
	}
	d.names("respond.protected_hours", len(r.ProtectedHours), func(i int) string { return r.ProtectedHours[i].Name }, oneLine)
	for i, p := range r.ProtectedHours {
		at := fmt.Sprintf("respond.protected_hours[%d]", i)
		if _, err := ParseHours(p.Hours); p.Hours != "" && err != nil {
			d.failAt(at+".hours", "write 08:00-18:00", "%s", err)
		}
		if _, err := time.LoadLocation(p.TimeZone); err != nil || p.TimeZone == "Local" {
			d.failAt(at+".time_zone", "write Europe/Berlin, or leave it out for UTC", "%q is no time zone", p.TimeZone)
		}
	}
	d.names("respond.freezes", len(r.Freezes), func(i int) string { return r.Freezes[i].Name }, oneLine)
	for i, f := range r.Freezes {
		if !f.From.IsZero() && !f.To.IsZero() && !f.begin().Before(f.To.Time) {
			d.failAt(fmt.Sprintf("respond.freezes[%d].to", i), "it ends after it begins", "the freeze ends on %s and begins on %s", f.To, f.From)
		}
	}
}
