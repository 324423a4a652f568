package rule

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Env is everything that a condition can ask about.
type Env struct {
	Finding       Finding    `expr:"finding"`
	Resource      Resource   `expr:"resource"`  // the primary resource
	Resources     []Resource `expr:"resources"` // all of them, the primary one first
	Actor         Actor      `expr:"actor"`
	Action        Action     `expr:"action"`
	Account       Account    `expr:"account"`
	Region        string     `expr:"region"`         // of the finding
	Severity      float64    `expr:"severity"`       // the number: 8.0
	SeverityLabel string     `expr:"severity_label"` // the word: Informational, Low, Medium, High or Critical
	Now           time.Time  `expr:"now"`            // when the finding is judged
}

// Finding is the finding itself.
type Finding struct {
	ID           string    `expr:"id"`
	ARN          string    `expr:"arn"`
	Type         string    `expr:"type"`          // UnauthorizedAccess:EC2/SSHBruteForce
	Purpose      string    `expr:"purpose"`       // UnauthorizedAccess
	ResourceType string    `expr:"resource_type"` // the word in the type: EC2
	Family       string    `expr:"family"`        // SSHBruteForce
	Mechanism    string    `expr:"mechanism"`     // Custom, Reputation, …
	Artifact     string    `expr:"artifact"`      // DNS, …
	Title        string    `expr:"title"`
	Description  string    `expr:"description"`
	Severity     float64   `expr:"severity"`
	Count        int       `expr:"count"`
	Sample       bool      `expr:"sample"`
	Archived     bool      `expr:"archived"`
	Role         string    `expr:"role"` // ACTOR, TARGET or empty
	Feature      string    `expr:"feature"`
	Region       string    `expr:"region"`
	Partition    string    `expr:"partition"`
	Account      string    `expr:"account"`
	DetectorID   string    `expr:"detector_id"`
	CreatedAt    time.Time `expr:"created_at"`
	UpdatedAt    time.Time `expr:"updated_at"`
	FirstSeen    time.Time `expr:"first_seen"`
	LastSeen     time.Time `expr:"last_seen"`
	Threats      []string  `expr:"threats"` // names from threat lists
}

// Resource is a resource of the finding.
type Resource struct {
	Kind string            `expr:"kind"` // instance, access_key, s3_bucket, …
	ID   string            `expr:"id"`
	ARN  string            `expr:"arn"`
	Name string            `expr:"name"`
	Tags map[string]string `expr:"tags"`
}

// Actor is who did it, as far as the finding says.
type Actor struct {
	IPs         []string `expr:"ips"`
	Domains     []string `expr:"domains"`
	ASN         string   `expr:"asn"`
	Org         string   `expr:"org"`
	Country     string   `expr:"country"`
	City        string   `expr:"city"`
	UserName    string   `expr:"user_name"`
	UserType    string   `expr:"user_type"`
	PrincipalID string   `expr:"principal_id"`
	AccessKeyID string   `expr:"access_key_id"`
	UserAgent   string   `expr:"user_agent"`
	Account     string   `expr:"account"`
	Service     string   `expr:"service"`
	Lists       []string `expr:"lists"` // local address lists that name one of its addresses
}

// Action is what happened.
type Action struct {
	Kind      string `expr:"kind"` // aws_api_call, network_connection, port_probe, dns_request, …
	API       string `expr:"api"`
	Service   string `expr:"service"`
	ErrorCode string `expr:"error_code"`
	Direction string `expr:"direction"`
	Protocol  string `expr:"protocol"`
	Port      int    `expr:"port"` // local port when inbound, remote port when outbound
	Domain    string `expr:"domain"`
	Blocked   bool   `expr:"blocked"`
	Verb      string `expr:"verb"`
	Namespace string `expr:"namespace"`
}

// Account is the AWS account of the resource.
type Account struct {
	ID          string `expr:"id"`
	Name        string `expr:"name"`
	Environment string `expr:"environment"`
	Owner       string `expr:"owner"`
}

// NewEnv describes a finding with what enrichment added.
func NewEnv(f *finding.Finding, account incident.Account, tags []finding.Tag, lists []string, now time.Time) *Env {
	e := &Env{
		Finding: Finding{ID: string(f.ID), ARN: f.ARN, Type: f.Type.Name, Purpose: f.Type.Purpose, ResourceType: f.Type.Resource,
			Family: f.Type.Family, Mechanism: f.Type.Mechanism, Artifact: f.Type.Artifact, Title: f.Title, Description: f.Description,
			Severity: float64(f.Severity), Count: f.Count, Sample: f.Sample, Archived: f.Archived, Role: string(f.Role), Feature: f.Feature,
			Region: f.Region, Partition: f.Partition, Account: f.AccountID, DetectorID: f.DetectorID, CreatedAt: f.CreatedAt,
			UpdatedAt: f.UpdatedAt, FirstSeen: f.FirstSeen, LastSeen: f.LastSeen, Threats: threats(f)},
		Resource: resource(f.Resource, tags),
		Actor: Actor{IPs: f.Actor.IPs, Domains: f.Actor.Domains, ASN: f.Actor.ASN, Org: f.Actor.ASNOrg, Country: f.Actor.Country, City: f.Actor.City,
			UserName: f.Actor.UserName, UserType: f.Actor.UserType, PrincipalID: f.Actor.PrincipalID, AccessKeyID: f.Actor.AccessKeyID,
			UserAgent: f.Actor.UserAgent, Account: f.Actor.AccountID, Service: f.Actor.Service, Lists: lists},
		Action:  action(f),
		Account: Account{ID: f.AccountID, Name: account.Name, Environment: account.Environment, Owner: account.Owner},
		Region:  f.Region, Severity: float64(f.Severity), SeverityLabel: f.Severity.Label(), Now: now,
	}
	e.Resources = append(e.Resources, e.Resource)
	for _, r := range f.Context {
		e.Resources = append(e.Resources, resource(r, nil))
	}
	return e
}

func resource(r finding.Resource, more []finding.Tag) Resource {
	out := Resource{Kind: string(r.Kind), ID: r.ID, ARN: r.ARN, Name: r.Name, Tags: map[string]string{}}
	for _, t := range slices.Concat(r.Tags, more) {
		out.Tags[t.Key] = t.Value
	}
	return out
}

func threats(f *finding.Finding) []string {
	names := map[string]bool{}
	for _, t := range f.Threats {
		for _, n := range t.Names {
			names[n] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func action(f *finding.Finding) Action {
	a := Action{Kind: string(f.Action.Kind)}
	blocked := func(b *bool) bool { return b != nil && *b }
	switch x := f.Action; {
	case x.AWSAPICall != nil:
		a.API, a.Service, a.ErrorCode, a.Domain = x.AWSAPICall.API, x.AWSAPICall.Service, x.AWSAPICall.ErrorCode, x.AWSAPICall.Domain
	case x.NetworkConnection != nil:
		n := x.NetworkConnection
		a.Direction, a.Protocol, a.Blocked, a.Port = n.Direction, n.Protocol, blocked(n.Blocked), n.RemotePort.Port
		if strings.EqualFold(n.Direction, "INBOUND") {
			a.Port = n.LocalPort.Port
		}
	case x.PortProbe != nil:
		a.Blocked = blocked(x.PortProbe.Blocked)
		if len(x.PortProbe.Probes) > 0 {
			a.Port = x.PortProbe.Probes[0].LocalPort.Port
		}
	case x.DNSRequest != nil:
		a.Domain, a.Protocol, a.Blocked = x.DNSRequest.Domain, x.DNSRequest.Protocol, blocked(x.DNSRequest.Blocked)
	case x.KubernetesAPICall != nil:
		a.Verb, a.Namespace = x.KubernetesAPICall.Verb, x.KubernetesAPICall.Namespace
	}
	return a
}
