package incident

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
)

// ID identifies an incident for machines: a ULID in lower case.
type ID string

// Number identifies an incident for people. It is unique and never used twice;
// gaps are possible.
type Number int64

// String returns the form that people say: INC-42.
func (n Number) String() string { return "INC-" + strconv.FormatInt(int64(n), 10) }

// ParseNumber reads INC-42, inc-42 or 42.
func ParseNumber(s string) (Number, error) {
	t := s
	if len(t) > 4 && strings.EqualFold(t[:4], "INC-") {
		t = t[4:]
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not an incident number; it looks like INC-42", s)
	}
	return Number(n), nil
}

// UnmarshalJSON reads a number, and the form that people say too: 42, "INC-42".
func (n *Number) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		if json.Unmarshal(b, (*int64)(n)) != nil {
			return fmt.Errorf("%s is not an incident number; it looks like 42 or INC-42", b)
		}
		return nil
	}
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("%s is not an incident number; it looks like 42 or INC-42", b)
	}
	*n, err = ParseNumber(s)
	return err
}

// State is where an incident stands.
type State string

// The states. Contained is set only by a response that was verified.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Contained    State = "contained"
	Closed       State = "closed"
)

// Verdict is what people found out, set when an incident is closed.
type Verdict string

// The verdicts. Merged is set by guardroom only, when another incident
// absorbed this one.
const (
	NoVerdict     Verdict = ""
	Malicious     Verdict = "malicious"
	Benign        Verdict = "benign"
	FalsePositive Verdict = "false_positive"
	Test          Verdict = "test"
	Unknown       Verdict = "unknown"
	Merged        Verdict = "merged"
)

// ParseVerdict reads one of the verdicts that people may give. It accepts
// "false positive" and "false-positive" as well.
func ParseVerdict(s string) (Verdict, error) {
	switch v := Verdict(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))); v {
	case Malicious, Benign, FalsePositive, Test, Unknown:
		return v, nil
	}
	return "", fmt.Errorf("%q is not a verdict; use malicious, benign, false_positive, test or unknown", s)
}

// Account is an AWS account with what we know about it beside its number.
type Account struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Environment string `json:"environment,omitempty"`
	Owner       string `json:"owner,omitempty"`
}

// Resource names one resource of an incident.
type Resource struct {
	Kind   finding.ResourceKind `json:"kind"`
	ID     string               `json:"id"`
	ARN    string               `json:"arn,omitempty"`
	Name   string               `json:"name,omitempty"`
	Region string               `json:"region,omitempty"`
}

// Lead is what the messages are written from: the facts of the finding that
// leads the incident. An attack sequence leads before all others; then the
// finding that was the most severe at any time, the newest among equals.
type Lead struct {
	FindingID finding.ID `json:"finding_id"`
	// Peak is the highest severity that the finding had in this incident, and
	// UpdatedAt when it last changed: what it is compared with others by.
	Peak        finding.Severity `json:"peak"`
	UpdatedAt   time.Time        `json:"updated_at"`
	FindingARN  string           `json:"finding_arn,omitempty"`
	Type        string           `json:"type"`
	Severity    finding.Severity `json:"severity"` // the latest revision's
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Role        finding.Role     `json:"role,omitempty"`
	Resource    Resource         `json:"resource"`
	DetectorID  string           `json:"detector_id,omitempty"`
	Actor       Actor            `json:"actor"`
	// Action is one short phrase without verbs of ours, for example
	// "outbound TCP to port 3333" or "s3:PutBucketPolicy (AccessDenied)".
	Action string `json:"action,omitempty"`
	// Exposure says how the resource can be reached, for example
	// "public 203.0.113.4, role payments-api"; empty if unknown.
	Exposure string   `json:"exposure,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Actor is the part of finding.Actor that an incident keeps.
type Actor struct {
	IPs         []string `json:"ips,omitempty"`
	Domains     []string `json:"domains,omitempty"`
	ASN         string   `json:"asn,omitempty"`
	Org         string   `json:"org,omitempty"`
	Country     string   `json:"country,omitempty"`
	UserName    string   `json:"user_name,omitempty"`
	PrincipalID string   `json:"principal_id,omitempty"`
	Lists       []string `json:"lists,omitempty"` // local lists on which an address was found
}

// FindingRef is one finding of an incident at the newest revision that we have.
type FindingRef struct {
	ID        finding.ID       `json:"id"`
	ARN       string           `json:"arn,omitempty"`
	Type      string           `json:"type"`
	Severity  finding.Severity `json:"severity"`
	UpdatedAt time.Time        `json:"updated_at"`
	Count     int              `json:"count"`
	FirstSeen time.Time        `json:"first_seen,omitzero"`
	LastSeen  time.Time        `json:"last_seen,omitzero"`
	Archived  bool             `json:"archived,omitempty"`
}

// Incident is the aggregate. All times are UTC.
type Incident struct {
	ID       ID     `json:"id"`
	Number   Number `json:"number"`
	Revision int64  `json:"revision"` // raised by every change that people can see

	State    State            `json:"state"`
	Severity finding.Severity `json:"severity"` // the highest that any finding had
	Verdict  Verdict          `json:"verdict,omitempty"`
	Note     string           `json:"note,omitempty"`  // the closing note
	Owner    string           `json:"owner,omitempty"` // the person who works on it
	Sample   bool             `json:"sample,omitempty"`
	// Silent incidents were read at the first look back of a source: they are
	// listed, and not announced until something new happens.
	Silent bool `json:"silent,omitempty"`

	Account   Account `json:"account"`
	Region    string  `json:"region"`
	Partition string  `json:"partition,omitempty"`
	Family    string  `json:"family"` // type family of the first finding
	Lead      Lead    `json:"lead"`

	Resources    []Resource   `json:"resources"`     // newest 50
	Findings     []FindingRef `json:"findings"`      // newest 50
	FindingCount int          `json:"finding_count"` // all of them
	Occurrences  int          `json:"occurrences"`   // sum of the findings' counts
	// ArchivedByOthers counts findings archived in GuardDuty by someone else.
	ArchivedByOthers int `json:"archived_by_others,omitempty"`

	OpenedAt       time.Time `json:"opened_at"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	ContainedAt    time.Time `json:"contained_at,omitzero"`
	ClosedAt       time.Time `json:"closed_at,omitzero"`
	ClosedBy       string    `json:"closed_by,omitempty"`
	LastActivity   time.Time `json:"last_activity"` // event time of the newest revision
	FirstSeen      time.Time `json:"first_seen,omitzero"`
	LastSeen       time.Time `json:"last_seen,omitzero"`
	UpdatedAt      time.Time `json:"updated_at"`

	MergedInto Number `json:"merged_into,omitempty"`
	Links      []Link `json:"links,omitempty"` // newest 20
	// Entries is the number of timeline entries written so far; the next one
	// gets Entries+1.
	Entries int64 `json:"entries"`
}

// Link is a relation to another incident.
type Link struct {
	Number Number `json:"number"`
	Why    string `json:"why"` // "same actor 203.0.113.7", "continues", "absorbed"
}

// Kind is the kind of a timeline entry.
type Kind string

// The kinds of timeline entries. The comment says whether it is spoken in
// threads and comments (architecture: surfaces).
const (
	KindOpened         Kind = "opened"
	KindFindingJoined  Kind = "finding_joined"
	KindFindingUpdated Kind = "finding_updated"
	KindResourceJoined Kind = "resource_joined" // spoken in Slack
	KindSeverityRaised Kind = "severity_raised" // spoken, alerts
	KindAcknowledged   Kind = "acknowledged"    // spoken
	KindAssigned       Kind = "assigned"        // spoken in Slack
	KindNote           Kind = "note"
	KindContained      Kind = "contained" // spoken, alerts
	KindClosed         Kind = "closed"    // spoken
	KindReopened       Kind = "reopened"  // spoken, alerts
	KindAbsorbed       Kind = "absorbed"
	KindLinked         Kind = "linked"
	KindArchived       Kind = "archived"        // a finding was archived in GuardDuty
	KindDeliveryParked Kind = "delivery_parked" // spoken in Slack, once
	KindReleased       Kind = "released"        // spoken
	KindPlanWaits      Kind = "plan_waits"      // spoken, alerts
	KindPlanExpires    Kind = "plan_expires"    // spoken in Slack, alerts: nobody has approved a plan, and it expires in some minutes
	KindPlanDecided    Kind = "plan_decided"    // approved, rejected, expired, refused
	KindRunStarted     Kind = "run_started"     // spoken
	KindRunEnded       Kind = "run_ended"       // spoken; alerts where it failed
	KindEvidenceReady  Kind = "evidence_ready"  // spoken
	KindDrift          Kind = "drift"           // spoken, alerts: the containment no longer holds
	KindProven         Kind = "proven"          // spoken: the containment holds, as was found later
	KindRunLate        Kind = "run_late"        // spoken, alerts: nobody begins a run, or it takes much longer than its plan said
	KindNotContained   Kind = "not_contained"   // spoken, alerts: what a run was to isolate is still open, and the run goes on
	KindLeftOpen       Kind = "left_open"       // spoken, alerts: what a run opened could not be closed
	KindClosedAgain    Kind = "closed_again"    // spoken: what was left open is closed
)

// Entry is one line of the timeline. Text is written by guardroom and may
// contain attacker-written values: escape it.
type Entry struct {
	Seq        int64     `json:"seq"`
	EventAt    time.Time `json:"event_at"`    // when it happened
	RecordedAt time.Time `json:"recorded_at"` // when guardroom learned of it
	Kind       Kind      `json:"kind"`
	Who        string    `json:"who"` // guardroom, or a person
	Text       string    `json:"text"`
	// From and To hold the values that changed, where there are any.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}
