package evidence

import (
	"slices"
	"strings"
)

// MergeItems adds items to a list. An item with an id that is in the list is
// merged into it.
func MergeItems(list []Item, more ...Item) []Item {
	out := slices.Clone(list)
	for _, m := range more {
		i := slices.IndexFunc(out, func(o Item) bool { return o.ID == m.ID })
		if i < 0 {
			out = append(out, m)
			continue
		}
		out[i] = Merge(out[i], m)
	}
	return out
}

// MergeGaps adds gaps to a list. What is missing is said once: the later reason
// takes the place of the earlier one.
func MergeGaps(list []Gap, more ...Gap) []Gap {
	out := slices.Clone(list)
	for _, m := range more {
		if i := slices.IndexFunc(out, func(o Gap) bool { return o.What == m.What }); i >= 0 {
			out[i] = m
		} else {
			out = append(out, m)
		}
	}
	return out
}

// Merge returns what two steps said of one item: the later one's words where it
// said anything, the earlier one's otherwise. A hash ends the gap that stood for it.
func Merge(old, now Item) Item {
	out := now
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&out.Title, old.Title}, {&out.Source, old.Source}, {&out.Location, old.Location}, {&out.Version, old.Version},
		{&out.Account, old.Account}, {&out.Region, old.Region}, {&out.Device, old.Device}, {&out.HashOver, old.HashOver},
		{&out.How, old.How}, {&out.Tool, old.Tool}, {&out.Key, old.Key}, {&out.LockMode, old.LockMode},
		{&out.Trust, old.Trust}, {&out.Set, old.Set},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if strings.HasPrefix(out.Tool, Guardroom) && old.Tool != "" {
		out.Tool = old.Tool // what made it, not who spoke of it later
	}
	if out.Kind == "" {
		out.Kind = old.Kind
	}
	if out.SizeBytes == 0 {
		out.SizeBytes = old.SizeBytes
	}
	if !old.CreatedAt.IsZero() {
		out.CreatedAt = old.CreatedAt // when it was made, not when more became known of it
	}
	if out.AWSTime.IsZero() {
		out.AWSTime = old.AWSTime
	}
	if out.LockUntil.Before(old.LockUntil) {
		out.LockUntil = old.LockUntil
	}
	if out.WorkingUntil.IsZero() {
		out.WorkingUntil = old.WorkingUntil
	}
	out.Working = out.Working || old.Working
	out.Simulated = out.Simulated || old.Simulated
	if out.SHA256 == "" {
		out.SHA256 = old.SHA256
		if out.SHA256 == "" && out.Gap == "" {
			out.Gap = old.Gap
		}
	}
	return out
}
