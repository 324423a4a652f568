package finding

import "time"

// Printed is the flat projection of a finding for machines: one object of
// `guardroom finding parse --json`. Its keys are a promise; new ones may come.
// Times are RFC 3339 in UTC, null where the finding has none. Lists are never
// null; objects that the finding does not have are null.
type Printed struct {
	ID            string     `json:"id"`
	ARN           string     `json:"arn"`
	Type          string     `json:"type"`
	Known         bool       `json:"known"`
	Purpose       string     `json:"purpose"`
	ResourceType  string     `json:"resource_type"` // the word in the type
	Family        string     `json:"family"`
	Mechanism     string     `json:"mechanism"`
	Artifact      string     `json:"artifact"`
	Severity      float64    `json:"severity"`
	SeverityLabel string     `json:"severity_label"`
	Account       string     `json:"account"`
	Region        string     `json:"region"`
	Partition     string     `json:"partition"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	CreatedAt     *time.Time `json:"created_at"`
	UpdatedAt     *time.Time `json:"updated_at"`
	FirstSeen     *time.Time `json:"first_seen"`
	LastSeen      *time.Time `json:"last_seen"`
	Count         int        `json:"count"`
	Sample        bool       `json:"sample"`
	Archived      bool       `json:"archived"`
	Role          string     `json:"role"`
	DetectorID    string     `json:"detector_id"`
	Feature       string     `json:"feature"`
	SequenceARN   string     `json:"associated_attack_sequence_arn"`

	Resource PrintedResource   `json:"resource"`
	Context  []PrintedResource `json:"context_resources"`
	Actor    PrintedActor      `json:"actor"`
	Action   PrintedAction     `json:"action"`

	Runtime        *PrintedRuntime   `json:"runtime"`
	Scan           *PrintedScan      `json:"scan"`
	Anomaly        *PrintedAnomaly   `json:"anomaly"`
	Sequence       *PrintedSequence  `json:"sequence"`
	Threats        []PrintedThreat   `json:"threats"`
	AdditionalInfo map[string]string `json:"additional_info"`
	Warnings       []string          `json:"warnings"`
}

// PrintedResource is one resource. Details holds what its kind has more.
type PrintedResource struct {
	Kind    string         `json:"kind"`
	Type    string         `json:"type"` // resource.resourceType as received
	ID      string         `json:"id"`
	ARN     string         `json:"arn"`
	Name    string         `json:"name"`
	Tags    []PrintedTag   `json:"tags"`
	Details map[string]any `json:"details"`
}

// PrintedTag is one tag.
type PrintedTag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// PrintedActor is who did it.
type PrintedActor struct {
	IPs         []string `json:"ips"`
	Domains     []string `json:"domains"`
	ASN         string   `json:"asn"`
	Org         string   `json:"org"`
	Country     string   `json:"country"`
	City        string   `json:"city"`
	UserName    string   `json:"user_name"`
	UserType    string   `json:"user_type"`
	PrincipalID string   `json:"principal_id"`
	AccessKeyID string   `json:"access_key_id"`
	UserAgent   string   `json:"user_agent"`
	Account     string   `json:"account"`
	Service     string   `json:"service"`
	FileHashes  []string `json:"file_hashes"`
}

// PrintedProperty is one name and value.
type PrintedProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Print returns the projection of f. The caller says whether its type is in the
// catalogue.
func Print(f *Finding, known bool) Printed {
	p := Printed{
		ID: string(f.ID), ARN: f.ARN,
		Type: f.Type.Name, Known: known, Purpose: f.Type.Purpose, ResourceType: f.Type.Resource,
		Family: f.Type.Family, Mechanism: f.Type.Mechanism, Artifact: f.Type.Artifact,
		Severity: float64(f.Severity), SeverityLabel: f.Severity.Label(),
		Account: f.AccountID, Region: f.Region, Partition: f.Partition,
		Title: f.Title, Description: f.Description,
		CreatedAt: printTime(f.CreatedAt), UpdatedAt: printTime(f.UpdatedAt),
		FirstSeen: printTime(f.FirstSeen), LastSeen: printTime(f.LastSeen),
		Count: f.Count, Sample: f.Sample, Archived: f.Archived, Role: string(f.Role),
		DetectorID: f.DetectorID, Feature: f.Feature, SequenceARN: f.AssociatedSequenceARN,
		Resource: printResource(f.Resource), Context: mapped(f.Context, printResource),
		Actor: PrintedActor{
			IPs: texts(f.Actor.IPs), Domains: texts(f.Actor.Domains), ASN: f.Actor.ASN, Org: f.Actor.ASNOrg,
			Country: f.Actor.Country, City: f.Actor.City, UserName: f.Actor.UserName, UserType: f.Actor.UserType,
			PrincipalID: f.Actor.PrincipalID, AccessKeyID: f.Actor.AccessKeyID, UserAgent: f.Actor.UserAgent,
			Account: f.Actor.AccountID, Service: f.Actor.Service, FileHashes: texts(f.Actor.FileHashes),
		},
		Action:  printAction(f.Action),
		Runtime: printRuntime(f.Runtime), Scan: printScan(f.Scan), Anomaly: printAnomaly(f.Anomaly),
		Sequence: printSequence(f.Sequence),
		Threats: mapped(f.Threats, func(t Threat) PrintedThreat {
			return PrintedThreat{ListName: t.ListName, Names: texts(t.Names), FileSHA256: t.FileSHA256}
		}),
		AdditionalInfo: map[string]string{},
		Warnings:       texts(f.Warnings),
	}
	for _, e := range f.Extra {
		p.AdditionalInfo[e.Name] = e.Value
	}
	if ni, ok := f.AttackedInterface(); ok && p.Resource.Kind == string(KindInstance) {
		p.Resource.Details["attacked_interface"] = ni.ID
	}
	return p
}

func printTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// texts returns a list that is not nil.
func texts(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

func mapped[T, P any](all []T, to func(T) P) []P {
	out := make([]P, 0, len(all))
	for _, e := range all {
		out = append(out, to(e))
	}
	return out
}

func printProperties(all []Property) []PrintedProperty {
	return mapped(all, func(p Property) PrintedProperty { return PrintedProperty(p) })
}

func printTags(all []Tag) []PrintedTag {
	return mapped(all, func(t Tag) PrintedTag { return PrintedTag(t) })
}
