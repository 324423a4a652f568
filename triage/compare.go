package triage

import (
	"fmt"
	"slices"
)

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
	return append(out, changes(mergeKeys(a), mergeKeys(b), "would merge by ", "would no longer merge by ")...)
}

func mergeKeys(d Decision) []string {
	var out []string
	for _, k := range d.Keys {
		out = append(out, k.Value)
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
