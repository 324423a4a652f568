package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
)

const (
	maxFindings  = 50
	maxResources = 50
	maxActorIPs  = 20
)

// Join is what Incident.Join takes: one revision of one finding.
type Join struct {
	Finding *finding.Finding
	Account Account
	Lists   []string // local lists on which an actor's address was found
	// Previous is the finding as this incident knows it; nil when it is new to
	// the incident.
	Previous *FindingRef
	// Late says that a newer revision of the finding is known already.
	Late bool
	Now  time.Time
}

// Start opens an incident with its first finding. The caller gives id and
// number, both never used before.
func Start(id ID, number Number, in Join) (*Incident, []Entry) {
	f := in.Finding
	i := &Incident{
		ID: id, Number: number, State: Open, Sample: f.Sample,
		Account: in.Account, Region: f.Region, Partition: f.Partition, Family: f.Type.Family,
		OpenedAt: in.Now, Severity: f.Severity,
		Resources: []Resource{}, Findings: []FindingRef{},
	}
	e := i.entry(in.Now, eventTime(f), KindOpened, Guardroom, "opened by "+f.Type.Name)
	e.To = f.Severity.String()
	i.take(in)
	i.changed(in.Now)
	return i, []Entry{e}
}

// Join adds one revision of a finding to an open incident and returns what is
// worth a line in the timeline; the revision itself is kept elsewhere. Severity
// only rises. A late revision changes nothing that a newer one said.
func (i *Incident) Join(in Join) []Entry {
	f := in.Finding
	var entries []Entry
	isNew := in.Previous == nil
	if isNew {
		e := i.entry(in.Now, eventTime(f), KindFindingJoined, Guardroom, fmt.Sprintf("%s joined", f.Type.Name))
		e.To = string(f.ID)
		entries = append(entries, e)
	}
	if r := resourceOf(f); r.ID != "" && isNew && !i.hasResource(r) {
		e := i.entry(in.Now, eventTime(f), KindResourceJoined, Guardroom, resourceWords(r)+" is affected too")
		e.To = r.ID
		entries = append(entries, e)
	}
	if f.Severity > i.Severity {
		entries = append(entries, i.raise(f.Severity, eventTime(f), in.Now))
	}
	if !isNew && !in.Late && f.Archived && !in.Previous.Archived {
		e := i.entry(in.Now, f.UpdatedAt, KindArchived, Guardroom, fmt.Sprintf("finding %s was archived in GuardDuty", f.ID))
		e.To = string(f.ID)
		entries = append(entries, e)
	}
	i.take(in)
	i.changed(in.Now)
	return entries
}

// raise lifts the severity. The entry says from which band to which, because
// that is what alerts people.
func (i *Incident) raise(to finding.Severity, eventAt, now time.Time) Entry {
	e := i.entry(now, eventAt, KindSeverityRaised, Guardroom,
		fmt.Sprintf("severity raised from %s %s to %s %s", i.Severity.Label(), i.Severity, to.Label(), to))
	e.From, e.To = i.Severity.String(), to.String()
	i.Severity = to
	return e
}

// take folds the revision into the summary.
func (i *Incident) take(in Join) {
	f := in.Finding
	if in.Account.Name != "" && i.Account.ID == in.Account.ID {
		i.Account = in.Account
	}
	i.FirstSeen = earliest(i.FirstSeen, f.FirstSeen)
	i.LastSeen = latest(i.LastSeen, f.LastSeen)
	i.LastActivity = latest(i.LastActivity, eventTime(f))

	ref := FindingRef{ID: f.ID, ARN: f.ARN, Type: f.Type.Name, Severity: f.Severity,
		UpdatedAt: f.At(), Count: f.Count, FirstSeen: f.FirstSeen, LastSeen: f.LastSeen, Archived: f.Archived}
	if in.Previous == nil {
		i.FindingCount++
		i.Occurrences += ref.Count
	} else if !in.Late {
		i.Occurrences += ref.Count - in.Previous.Count
	}
	if in.Late {
		return
	}
	i.Findings = slices.DeleteFunc(i.Findings, func(r FindingRef) bool { return r.ID == ref.ID })
	i.Findings = append(i.Findings, ref)
	i.sortFindings()
	i.addResource(resourceOf(f))
	if f.Type.IsSequence() && f.Sequence != nil {
		for _, r := range f.Sequence.Resources {
			i.addResource(Resource{Kind: r.Kind, ID: cmp.Or(r.Name, r.UID), ARN: r.UID, Name: r.Name, Region: r.Region})
		}
	}
	if i.leads(f) {
		peak := f.Severity
		if i.Lead.FindingID == f.ID {
			peak = max(peak, i.Lead.Peak)
		}
		i.Lead = leadOf(f, in.Lists)
		i.Lead.Peak = peak
	}
}

func (i *Incident) sortFindings() {
	slices.SortStableFunc(i.Findings, func(a, b FindingRef) int {
		return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	if len(i.Findings) > maxFindings {
		i.Findings = i.Findings[:maxFindings]
	}
}

func (i *Incident) addResource(r Resource) {
	if r.ID == "" || i.hasResource(r) {
		return
	}
	i.Resources = append(i.Resources, r)
	slices.SortStableFunc(i.Resources, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	if len(i.Resources) > maxResources {
		i.Resources = i.Resources[:maxResources]
	}
}

// leads reports whether f is what the messages should be about: the more
// severe finding leads, among equals the newer, then the smaller id, so that
// the order of arrival does not matter.
func (i *Incident) leads(f *finding.Finding) bool {
	l := i.Lead
	if l.FindingID == "" || l.FindingID == f.ID {
		return true
	}
	if seq := finding.ParseType(l.Type).IsSequence(); seq != f.Type.IsSequence() {
		return f.Type.IsSequence()
	}
	if f.Severity != l.Peak {
		return f.Severity > l.Peak
	}
	if !f.At().Equal(l.UpdatedAt) {
		return f.At().After(l.UpdatedAt)
	}
	return f.ID < l.FindingID
}

func (i *Incident) hasResource(r Resource) bool {
	return slices.ContainsFunc(i.Resources, func(o Resource) bool {
		return o.Kind == r.Kind && o.ID == r.ID && o.Region == r.Region
	})
}

func resourceOf(f *finding.Finding) Resource {
	return Resource{Kind: f.Resource.Kind, ID: f.Resource.ID, ARN: f.Resource.ARN, Name: f.Resource.Name, Region: f.Region}
}

func resourceWords(r Resource) string {
	if r.Name != "" && r.Name != r.ID {
		return r.Name + " (" + r.ID + ")"
	}
	return r.ID
}

func leadOf(f *finding.Finding, lists []string) Lead {
	ips := f.Actor.IPs
	if len(ips) > maxActorIPs {
		ips = ips[:maxActorIPs]
	}
	return Lead{
		FindingID: f.ID, UpdatedAt: f.At(), FindingARN: f.ARN, Type: f.Type.Name, Severity: f.Severity,
		Title: f.Title, Description: f.Description, Role: f.Role, DetectorID: f.DetectorID,
		Resource: resourceOf(f),
		Actor: Actor{IPs: ips, Domains: f.Actor.Domains, ASN: f.Actor.ASN, Org: f.Actor.ASNOrg, Country: f.Actor.Country,
			UserName: f.Actor.UserName, PrincipalID: f.Actor.PrincipalID, Lists: lists},
		Action: actionWords(f), Exposure: exposureWords(f), Warnings: f.Warnings,
	}
}

// actionWords says in a phrase what was done, from facts only.
func actionWords(f *finding.Finding) string {
	a := f.Action
	switch {
	case a.AWSAPICall != nil:
		s := strings.TrimSuffix(a.AWSAPICall.Service, ".amazonaws.com") + ":" + a.AWSAPICall.API
		if a.AWSAPICall.ErrorCode != "" {
			s += " (" + a.AWSAPICall.ErrorCode + ")"
		}
		return s
	case a.NetworkConnection != nil:
		n := a.NetworkConnection
		port := n.RemotePort.Port
		if strings.EqualFold(n.Direction, "INBOUND") {
			port = n.LocalPort.Port
		}
		s := strings.ToLower(n.Direction) + " " + n.Protocol
		if port > 0 {
			s += " to port " + strconv.Itoa(port)
		}
		return strings.TrimSpace(s) + blockedWords(n.Blocked)
	case a.PortProbe != nil:
		var ports []string
		for _, p := range a.PortProbe.Probes {
			if s := strconv.Itoa(p.LocalPort.Port); p.LocalPort.Port > 0 && !slices.Contains(ports, s) {
				ports = append(ports, s)
			}
		}
		return "probe of port " + strings.Join(ports, ", ") + blockedWords(a.PortProbe.Blocked)
	case a.DNSRequest != nil:
		return "DNS request for " + a.DNSRequest.Domain + blockedWords(a.DNSRequest.Blocked)
	case a.KubernetesAPICall != nil:
		k := a.KubernetesAPICall
		return strings.TrimSpace(k.Verb + " " + k.RequestURI)
	case a.RDSLoginAttempt != nil:
		var failed, ok int
		for _, l := range a.RDSLoginAttempt.Logins {
			failed += l.Failed
			ok += l.Successful
		}
		return fmt.Sprintf("database logins: %d failed, %d successful", failed, ok)
	case f.Runtime != nil && f.Runtime.Process != nil:
		return "process " + cmp.Or(f.Runtime.Process.ExecutablePath, f.Runtime.Process.Name)
	}
	return ""
}

func blockedWords(b *bool) string {
	if b != nil && *b {
		return " (blocked)"
	}
	return ""
}

// exposureWords says how the resource can be reached, as far as the finding
// tells.
func exposureWords(f *finding.Finding) string {
	var parts []string
	if in := f.Resource.Instance; in != nil {
		for _, n := range in.Interfaces {
			if n.PublicIP != "" && !slices.Contains(parts, "public "+n.PublicIP) {
				parts = append(parts, "public "+n.PublicIP)
			}
		}
		if in.ProfileARN != "" {
			parts = append(parts, "role "+in.ProfileARN[strings.LastIndexByte(in.ProfileARN, '/')+1:])
		}
	}
	if b := f.Resource.Bucket; b != nil && b.EffectivePermission != "" {
		parts = append(parts, strings.ToLower(strings.ReplaceAll(b.EffectivePermission, "_", " ")))
	}
	return strings.Join(parts, ", ")
}

// eventTime is when the activity last happened, as far as the finding says.
func eventTime(f *finding.Finding) time.Time {
	if !f.LastSeen.IsZero() {
		return f.LastSeen
	}
	return f.At()
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
