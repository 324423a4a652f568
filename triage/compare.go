package triage

import (
	"context"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/finding"
)

// Difference is what a second configuration would decide otherwise about one
// finding. Its zero lists and empty strings mean "the same".
type Difference struct {
	Finding finding.ID `json:"finding"`
	Type    string     `json:"type"`
	Before  Outcome    `json:"before"`
	After   Outcome    `json:"after"`
	// Changes holds one sentence for each difference, for people; none where
	// both decide the same.
	Changes []string `json:"changes"`
}

// Outcome is the part of a Decision that rules can change.
type Outcome struct {
	SuppressedBy string   `json:"suppressed_by,omitempty"`
	Routes       []string `json:"routes"`
	Destinations []string `json:"destinations"`
	MergeKeys    []string `json:"merge_keys"`
	LinkKeys     []string `json:"link_keys"`
	Quiet        string   `json:"quiet,omitempty"`
}

// Same reports whether both configurations decide the same.
func (d Difference) Same() bool { return len(d.Changes) == 0 }

// Compare judges f by both triagers and says what is different. It looks into
// no store, so it compares which findings would be told to whom and by which
// keys they merge, not the incidents that follow from that. It blocks for as
// long as the enrichers of both; it may be repeated and called concurrently.
func Compare(ctx context.Context, before, after *Triager, f *finding.Finding) Difference {
	a, b := before.Decide(ctx, f), after.Decide(ctx, f)
	d := Difference{Finding: f.ID, Type: f.Type.Name, Before: outcome(a), After: outcome(b), Changes: Diff(a, b)}
	if d.Changes == nil {
		d.Changes = []string{}
	}
	return d
}

func outcome(d Decision) Outcome {
	o := Outcome{SuppressedBy: d.SuppressedBy, Quiet: d.Quiet, Routes: []string{}, Destinations: []string{}, MergeKeys: []string{}, LinkKeys: []string{}}
	o.Routes = append(o.Routes, d.Routes...)
	o.Destinations = append(o.Destinations, d.Destinations...)
	o.LinkKeys = append(o.LinkKeys, d.ActorKeys...)
	for _, k := range d.Keys {
		o.MergeKeys = append(o.MergeKeys, k.Value)
	}
	return o
}

// Diff says what is different in b compared with a, one sentence each; none if
// nothing is.
func Diff(a, b Decision) []string {
	var out []string
	switch {
	case a.Suppressed != b.Suppressed && b.Suppressed:
		out = append(out, "would be suppressed by "+b.SuppressedBy)
	case a.Suppressed != b.Suppressed:
		out = append(out, "would no longer be suppressed by "+a.SuppressedBy)
	case a.SuppressedBy != b.SuppressedBy:
		out = append(out, fmt.Sprintf("would be suppressed by %s instead of %s", b.SuppressedBy, a.SuppressedBy))
	}
	out = append(out, changes(a.Destinations, b.Destinations, "would go to ", "would no longer go to ")...)
	out = append(out, changes(a.Routes, b.Routes, "would match the route ", "would no longer match the route ")...)
	if x, y := outcome(a), outcome(b); !slices.Equal(x.MergeKeys, y.MergeKeys) {
		out = append(out, changes(x.MergeKeys, y.MergeKeys, "would merge by ", "would no longer merge by ")...)
	}
	return out
}

// changes says what was added and what is gone, in the order of the lists.
func changes(a, b []string, added, gone string) []string {
	var out []string
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, added+s)
		}
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, gone+s)
		}
	}
	return out
}
