package message

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// DigestInput is what BuildDigest needs to know: one message that stands for
// many incidents of a storm.
type DigestInput struct {
	Delivery string
	ID       incident.ID // of the digest, stable over its life
	Revision int64
	// Incidents are the views of the incidents, in any order; the most severe
	// are shown.
	Incidents []*View
	// Total is the number of incidents that the digest stands for; at least
	// len(Incidents), which may be fewer.
	Total int
	// Counts are all of them by band, and Band is the worst; zero values are
	// counted from Incidents.
	Counts       [finding.Critical + 1]int
	Band         finding.Band
	Since, Until time.Time // when the incidents were opened
	Link         string    // to the list of incidents
	Now          time.Time
}

// DigestData is the JSON form of a digest in webhooks.
type DigestData struct {
	ID       incident.ID    `json:"id"`
	Revision int64          `json:"revision"`
	Summary  string         `json:"summary"`
	URL      string         `json:"url,omitempty"`
	Total    int            `json:"total"`
	Since    time.Time      `json:"since"`
	Until    time.Time      `json:"until"`
	Lines    []DigestedData `json:"incidents"` // the most severe 20
}

// DigestedData is one incident in a digest.
type DigestedData struct {
	ID            incident.ID    `json:"id"`
	Number        string         `json:"number"`
	URL           string         `json:"url,omitempty"`
	State         incident.State `json:"state"`
	Severity      float64        `json:"severity"`
	SeverityLabel string         `json:"severity_label"`
	Summary       string         `json:"summary"`
}

// BuildDigest makes the message that stands for many. Its severity is that of
// the worst of them.
func BuildDigest(in DigestInput) *View {
	all := slices.Clone(in.Incidents)
	slices.SortStableFunc(all, func(a, b *View) int {
		switch {
		case a.Severity > b.Severity:
			return -1
		case a.Severity < b.Severity:
			return 1
		}
		return 0
	})
	total := max(in.Total, len(all))
	if in.Until.IsZero() {
		in.Until = in.Now
	}
	if in.Since.IsZero() || in.Since.After(in.Until) {
		in.Since = in.Until
	}
	v := &View{
		Kind: KindDigest, Delivery: in.Delivery, Incident: in.ID, Revision: in.Revision, Link: in.Link,
		State: incident.Open, OpenedAt: in.Since, UpdatedAt: in.Now, FirstSeen: in.Since, LastSeen: in.Until,
	}
	if len(all) > 0 {
		v.Severity = all[0].Severity
	}
	v.Band = max(in.Band, v.Severity.Band())
	v.OpeningBand = v.Band

	during := length(in.Until.Sub(in.Since))
	v.Headline = Words(fmt.Sprintf("%s in %s", count(total, "new incident", "new incidents"), during))
	v.Sentence = Words(severityWord(v.Band) + " at most: ").Join(v.Headline).Words(". " + bands(in.Counts, all, total) + ".")
	v.Meaning = Words("More incidents came than are worth a message each; this one stands for all of them.")
	v.Why = Words("Many at once can be one attack, a scan, or one wrong setting.")
	v.DoNext = []Text{Words("Begin with the first line below; then look whether the rest has the same account or actor.")}
	v.Facts = []Fact{
		{Label: "Severities", Value: Words(bands(in.Counts, all, total))},
		{Label: "Opened", Value: Words("between " + span(in.Since, in.Until, in.Now))},
	}
	v.Context = []Text{Words("Digest"), Words(count(total, "incident", "incidents"))}

	data := &DigestData{
		ID: in.ID, Revision: in.Revision, Summary: raw(v.Sentence), URL: in.Link,
		Total: total, Since: in.Since, Until: in.Until, Lines: []DigestedData{},
	}
	shown := all[:min(len(all), maxFindings)]
	if total > maxFindings {
		shown = all[:min(len(all), maxFindings-1)]
	}
	for _, w := range shown {
		line := Words(severityWord(w.Band) + " " + w.Severity.String() + " " + w.Number + " ").Join(w.Headline)
		if w.State != incident.Open {
			line = line.Words(", " + knownState(w.State))
		}
		v.Findings = append(v.Findings, line)
		data.Lines = append(data.Lines, DigestedData{
			ID: w.Incident, Number: w.Number, URL: w.Link, State: w.State,
			Severity: float64(w.Severity), SeverityLabel: w.Severity.Label(), Summary: raw(w.Sentence),
		})
	}
	if total > len(shown) {
		v.Findings = append(v.Findings, Words(fmt.Sprintf("and %d more", total-len(shown))))
	}
	v.Data = data
	return v
}

// bands counts the incidents by severity: 2 critical, 10 high, 25 not listed.
func bands(counts [finding.Critical + 1]int, views []*View, total int) string {
	known := 0
	for _, n := range counts {
		known += n
	}
	if known == 0 {
		for _, v := range views {
			counts[v.Severity.Band()]++
		}
		known = len(views)
	}
	var parts []string
	for b := finding.Critical; b >= finding.Informational; b-- {
		if counts[b] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[b], strings.ToLower(b.String())))
		}
	}
	if rest := total - known; rest > 0 {
		parts = append(parts, fmt.Sprintf("%d not listed", rest))
	}
	return strings.Join(parts, ", ")
}

// knownState returns s when it is one of the states.
func knownState(s incident.State) string {
	switch s {
	case incident.Open, incident.Acknowledged, incident.Contained, incident.Closed:
		return string(s)
	}
	return "open"
}
