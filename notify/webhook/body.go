package webhook

import (
	"bytes"
	_ "embed" // schema.json
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema of the body.
func Schema() []byte { return bytes.Clone(schema) }

// Body is what is sent. Fields are only added.
type Body struct {
	Type string `json:"type"`
	// Timestamp is when it happened, not when it was sent.
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is the incident at the newest revision, and the event that the message
// is about. Texts are plain, with hidden characters written out (\u202e).
type Data struct {
	Delivery   string `json:"delivery"`
	IncidentID string `json:"incident_id,omitempty"`
	Number     string `json:"number,omitempty"`
	Revision   int64  `json:"revision"`
	URL        string `json:"url,omitempty"`

	State         string  `json:"state,omitempty"`
	Severity      float64 `json:"severity"`
	SeverityLabel string  `json:"severity_label"`
	Sample        bool    `json:"sample"`
	Verdict       string  `json:"verdict,omitempty"`
	MergedInto    string  `json:"merged_into,omitempty"`

	Headline string   `json:"headline,omitempty"`
	Sentence string   `json:"sentence,omitempty"`
	Meaning  string   `json:"meaning,omitempty"`
	Why      string   `json:"why,omitempty"`
	DoNext   []string `json:"do_next,omitempty"`
	Facts    []Fact   `json:"facts,omitempty"`
	Findings []string `json:"findings,omitempty"`

	FindingType    string `json:"finding_type,omitempty"`
	FindingID      string `json:"finding_id,omitempty"`
	AccountID      string `json:"account_id,omitempty"`
	AccountName    string `json:"account_name,omitempty"`
	Region         string `json:"region,omitempty"`
	ResourceARN    string `json:"resource_arn,omitempty"`
	ResourceKind   string `json:"resource_kind,omitempty"`
	GuardDutyURL   string `json:"guardduty_url,omitempty"`
	Owner          string `json:"owner,omitempty"`
	AcknowledgedBy string `json:"acknowledged_by,omitempty"`
	ClosingNote    string `json:"closing_note,omitempty"`

	OpenedAt  time.Time `json:"opened_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`

	Event     *Event `json:"event,omitempty"`
	Elsewhere []Link `json:"elsewhere,omitempty"`
	// Runs are the responses, and the plans that wait for one, the newest first.
	Runs []Run `json:"runs,omitempty"`
	// Incident is the incident as the API gives it, where there is one.
	Incident any `json:"incident,omitempty"`
	// RawFinding is the leading finding as it came in; only with raw: true.
	RawFinding json.RawMessage `json:"raw_finding,omitempty"`
}

// Fact is a labelled value.
type Fact struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Event is an entry of the timeline.
type Event struct {
	Seq  int64     `json:"seq"`
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Who  string    `json:"who,omitempty"`
	Text string    `json:"text,omitempty"`
}

// Link is where the same incident is shown.
type Link struct {
	Type  string `json:"type"`
	Label string `json:"label,omitempty"`
	URL   string `json:"url,omitempty"`
	State string `json:"state,omitempty"`
}

// Run is how a response stands.
type Run struct {
	ID        string `json:"id,omitempty"` // none: the plan waits
	Plan      string `json:"plan"`
	Digest    string `json:"digest"`
	What      string `json:"what"`
	Target    string `json:"target"`
	State     string `json:"state"`
	Done      int    `json:"done"`
	Total     int    `json:"total"`
	Contained bool   `json:"contained"`
	Evidence  int    `json:"evidence"`
	Simulated bool   `json:"simulated,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Next      string `json:"next,omitempty"`
}

const (
	maxRuns  = 5
	maxText  = 1000
	maxShort = 300
	maxList  = 20
	// maxDetail is what View.Data may add: messages stay well under 20 kB.
	maxDetail = 12 << 10
	maxRaw    = 512 << 10
)

func text(t message.Text) string {
	return escape.CutEnd(t.Render(escape.Visible, escape.Visible), maxText)
}

func short(s string) string { return escape.CutMiddle(escape.Visible(s), maxShort) }

func texts(in []message.Text) []string {
	var out []string
	for _, t := range in[:min(len(in), maxList)] {
		out = append(out, escape.CutEnd(text(t), maxShort))
	}
	return out
}

// body writes the message. Equal views give equal bytes.
func (n *Notifier) body(v *message.View, m msg) ([]byte, []string, error) {
	b := Body{Type: m.kind, Timestamp: m.at.UTC(), Data: dataOf(v)}
	if m.at.IsZero() {
		b.Timestamp = v.UpdatedAt.UTC()
	}
	if e := m.event; e != nil {
		b.Data.Event = &Event{Seq: e.Seq, Kind: string(e.Kind), At: e.At.UTC(), Who: text(e.Who), Text: text(e.Text)}
	}
	var warnings []string
	if v.Data != nil {
		switch raw, err := json.Marshal(v.Data); {
		case err != nil:
			return nil, nil, fmt.Errorf("write the incident as JSON: %w", err)
		case !isObject(raw):
			warnings = append(warnings, "data.incident was left out: it is no JSON object")
		case len(raw) > maxDetail:
			warnings = append(warnings, fmt.Sprintf("data.incident was left out: it has %d bytes, more than %d", len(raw), maxDetail))
		default:
			b.Data.Incident = json.RawMessage(raw)
		}
	}
	if n.cfg.Raw && len(v.RawFinding) > 0 {
		if len(v.RawFinding) <= maxRaw && isObject(v.RawFinding) {
			b.Data.RawFinding = v.RawFinding
		} else {
			warnings = append(warnings, "data.raw_finding was left out: it is no JSON object or larger than 512 KiB")
		}
	}
	out, err := json.Marshal(b)
	if err != nil {
		return nil, nil, fmt.Errorf("write the message: %w", err)
	}
	return out, warnings, nil
}

func isObject(raw []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) && json.Valid(raw)
}

func dataOf(v *message.View) Data {
	band := max(v.Band, v.Severity.Band())
	d := Data{
		Delivery: v.Delivery, IncidentID: string(v.Incident), Number: v.Number, Revision: v.Revision, URL: escape.Visible(v.Link),
		State: string(v.State), Severity: float64(v.Severity), SeverityLabel: band.String(), Sample: v.Sample,
		Verdict: string(v.Verdict), MergedInto: v.MergedInto,
		Headline: text(v.Headline), Sentence: text(v.Sentence), Meaning: text(v.Meaning), Why: text(v.Why),
		DoNext: texts(v.DoNext), Findings: texts(v.Findings),
		FindingType: short(v.Type), FindingID: short(v.FindingID), AccountID: short(v.AccountID), AccountName: short(v.AccountName),
		Region: short(v.Region), ResourceARN: escape.CutMiddle(escape.Visible(v.ResourceARN), 2048), ResourceKind: string(v.ResourceKind),
		GuardDutyURL: escape.Visible(v.GuardDutyURL), Owner: short(v.Owner), AcknowledgedBy: short(v.AcknowledgedBy),
		ClosingNote: escape.CutEnd(escape.Visible(v.ClosingNote), maxText),
		OpenedAt:    utc(v.OpenedAt), UpdatedAt: utc(v.UpdatedAt), FirstSeen: utc(v.FirstSeen), LastSeen: utc(v.LastSeen),
	}
	for _, f := range v.Facts[:min(len(v.Facts), maxList)] {
		d.Facts = append(d.Facts, Fact{Label: short(f.Label), Value: escape.CutEnd(text(f.Value), maxShort)})
	}
	for _, r := range slices.Backward(v.Runs[max(0, len(v.Runs)-maxRuns):]) {
		d.Runs = append(d.Runs, Run{ID: short(r.ID), Plan: short(r.Plan), Digest: short(r.Digest), What: short(r.What), Target: short(r.Target), State: string(r.State),
			Done: r.Done, Total: r.Total, Contained: r.Contained, Evidence: len(r.Evidence), Simulated: r.Simulated, DryRun: r.DryRun, Next: short(r.Next)})
	}
	for _, r := range v.Elsewhere[:min(len(v.Elsewhere), maxList)] {
		d.Elsewhere = append(d.Elsewhere, Link{Type: short(r.Type), Label: short(r.Label), URL: escape.Visible(r.URL), State: short(r.State)})
	}
	return d
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
