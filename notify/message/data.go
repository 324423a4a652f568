package message

import (
	"time"

	"github.com/guardroom/guardroom/incident"
)

// IncidentData is the JSON form of an incident in webhooks. Fields are only
// ever added; a reader ignores what it does not know. Text in it is as
// received: whoever shows it escapes it.
type IncidentData struct {
	ID          incident.ID      `json:"id"`
	Number      string           `json:"number"` // INC-42
	Revision    int64            `json:"revision"`
	URL         string           `json:"url,omitempty"`
	Summary     string           `json:"summary"`
	State       incident.State   `json:"state"`
	Verdict     incident.Verdict `json:"verdict,omitempty"`
	ClosingNote string           `json:"closing_note,omitempty"`
	MergedInto  string           `json:"merged_into,omitempty"`
	Sample      bool             `json:"sample"`

	Severity      float64 `json:"severity"`
	SeverityLabel string  `json:"severity_label"`
	Type          string  `json:"type"`
	Title         string  `json:"title,omitempty"`
	Role          string  `json:"role,omitempty"`
	Action        string  `json:"action,omitempty"`
	Exposure      string  `json:"exposure,omitempty"`
	GuardDutyURL  string  `json:"guardduty_url,omitempty"`

	Account   incident.Account    `json:"account"`
	Region    string              `json:"region"`
	Partition string              `json:"partition,omitempty"`
	Resource  incident.Resource   `json:"resource"`
	Resources []incident.Resource `json:"resources"` // newest 50
	Actor     incident.Actor      `json:"actor"`
	Warnings  []string            `json:"warnings"`

	Findings     []incident.FindingRef `json:"findings"` // newest 20
	FindingCount int                   `json:"finding_count"`
	Occurrences  int                   `json:"occurrences"`

	Owner          string          `json:"owner,omitempty"`
	AcknowledgedBy string          `json:"acknowledged_by,omitempty"`
	ClosedBy       string          `json:"closed_by,omitempty"`
	Links          []incident.Link `json:"links"`
	Elsewhere      []PlaceData     `json:"elsewhere"`
	LastEntry      *EntryData      `json:"last_entry,omitempty"`

	OpenedAt       time.Time `json:"opened_at"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	ContainedAt    time.Time `json:"contained_at,omitzero"`
	ClosedAt       time.Time `json:"closed_at,omitzero"`
	FirstSeen      time.Time `json:"first_seen,omitzero"`
	LastSeen       time.Time `json:"last_seen,omitzero"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// PlaceData is where else the incident is shown.
type PlaceData struct {
	Destination string `json:"destination"`
	Type        string `json:"type"`
	Label       string `json:"label,omitempty"`
	URL         string `json:"url,omitempty"`
	State       string `json:"state"`
}

// EntryData is a line of the timeline.
type EntryData struct {
	Seq        int64         `json:"seq"`
	Kind       incident.Kind `json:"kind"`
	Who        string        `json:"who"`
	Text       string        `json:"text"`
	EventAt    time.Time     `json:"event_at"`
	RecordedAt time.Time     `json:"recorded_at"`
}

func incidentData(inc *incident.Incident, v *View, timeline []incident.Entry) *IncidentData {
	d := &IncidentData{
		ID: inc.ID, Number: v.Number, Revision: inc.Revision, URL: v.Link, Summary: raw(v.Sentence),
		State: inc.State, Verdict: inc.Verdict, ClosingNote: inc.Note, MergedInto: v.MergedInto, Sample: inc.Sample,
		Severity: float64(inc.Severity), SeverityLabel: inc.Severity.Label(),
		Type: inc.Lead.Type, Title: inc.Lead.Title, Role: string(inc.Lead.Role),
		Action: inc.Lead.Action, Exposure: inc.Lead.Exposure, GuardDutyURL: v.GuardDutyURL,
		Account: inc.Account, Region: inc.Region, Partition: inc.Partition,
		Resource: inc.Lead.Resource, Resources: list(inc.Resources), Actor: inc.Lead.Actor, Warnings: list(inc.Lead.Warnings),
		Findings: list(inc.Findings[:min(len(inc.Findings), maxFindings)]), FindingCount: inc.FindingCount, Occurrences: inc.Occurrences,
		Owner: inc.Owner, AcknowledgedBy: inc.AcknowledgedBy, ClosedBy: inc.ClosedBy, Links: list(inc.Links),
		Elsewhere: []PlaceData{},
		OpenedAt:  inc.OpenedAt, AcknowledgedAt: inc.AcknowledgedAt, ContainedAt: inc.ContainedAt, ClosedAt: inc.ClosedAt,
		FirstSeen: inc.FirstSeen, LastSeen: inc.LastSeen, UpdatedAt: inc.UpdatedAt,
	}
	for _, r := range v.Elsewhere {
		d.Elsewhere = append(d.Elsewhere, PlaceData(r))
	}
	if n := len(timeline); n > 0 {
		e := timeline[n-1]
		d.LastEntry = &EntryData{Seq: e.Seq, Kind: e.Kind, Who: e.Who, Text: e.Text, EventAt: e.EventAt, RecordedAt: e.RecordedAt}
	}
	return d
}

// raw returns a text for JSON, whose encoder is the escaper.
func raw(t Text) string {
	same := func(s string) string { return s }
	return t.Render(same, same)
}

// list returns s, never nil: arrays in JSON are not null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
