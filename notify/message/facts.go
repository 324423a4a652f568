package message

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// facts returns what is known, in the order in which it is asked for. Resource,
// Account and Region are always there; the others where something is known.
func facts(inc *incident.Incident, runs []Run, now time.Time) []Fact {
	list := []Fact{
		{Label: "Resource", Value: longResource(inc)},
		{Label: "Account", Value: longAccount(inc)},
		{Label: "Region", Value: orWords(name(inc.Region), "not named in the finding")},
		{Label: "Actor", Value: actor(inc)},
		{Label: "Owner", Value: name(inc.Account.Owner)},
		{Label: "Seen", Value: seen(inc, now)},
		{Label: "Exposure", Value: value(inc.Lead.Exposure, maxSentence)},
		{Label: "Response", Value: responses(runs, now)},
		{Label: "Contained", Value: contained(runs, now)},
		{Label: "Evidence", Value: preserved(runs)},
		{Label: "Note", Value: doubts(inc)},
	}
	return slices.DeleteFunc(list, func(f Fact) bool { return f.Value.IsEmpty() })
}

func orWords(t Text, words string) Text {
	if t.IsEmpty() {
		return Words(words)
	}
	return t
}

// sequence reports whether the lead stands for many resources.
func sequence(inc *incident.Incident) bool {
	return inc.Lead.Resource.Kind == finding.KindAttackSequence
}

// shortResource is the name that people use; empty when there is none, and for
// sequences, whose own id says nothing to anybody.
func shortResource(inc *incident.Incident) Text {
	r := inc.Lead.Resource
	switch {
	case sequence(inc):
		return Text{}
	case r.Name != "":
		return name(r.Name)
	case r.ID != "":
		return name(r.ID)
	}
	return name(r.ARN)
}

func longResource(inc *incident.Incident) Text {
	r := inc.Lead.Resource
	if sequence(inc) {
		return sequenceResources(inc.Resources)
	}
	t := shortResource(inc)
	if t.IsEmpty() {
		return Words("not named in the finding")
	}
	if r.Name != "" && r.ID != "" && r.ID != r.Name {
		t = t.Words(" (").Join(name(r.ID)).Words(")")
	}
	if others := otherResources(inc); others > 0 {
		t = t.Words(fmt.Sprintf(" and %s", count(others, "other resource", "other resources")))
	}
	return t
}

func otherResources(inc *incident.Incident) int {
	n := 0
	for _, r := range inc.Resources {
		if r.Kind != inc.Lead.Resource.Kind || r.ID != inc.Lead.Resource.ID {
			n++
		}
	}
	return n
}

func sequenceResources(rs []incident.Resource) Text {
	const shown = 3
	var t Text
	named := 0
	for _, r := range rs {
		if r.Kind == finding.KindAttackSequence {
			continue
		}
		id := r.Name
		if id == "" {
			id = r.ID
		}
		if id == "" {
			continue
		}
		if named++; named > shown {
			continue
		}
		if named > 1 {
			t = t.Words(", ")
		}
		t = t.Join(name(id))
	}
	if named > shown {
		t = t.Words(fmt.Sprintf(" and %d more", named-shown))
	}
	return orWords(t, "several; see the finding")
}

// shortAccount is the account's name, or its number where it has none.
func shortAccount(inc *incident.Incident) Text {
	if inc.Account.Name != "" {
		return name(inc.Account.Name)
	}
	if inc.Account.ID != "" {
		return Words("account ").Join(name(inc.Account.ID))
	}
	return Words("an unnamed account")
}

// longAccount is the name first, the number after, then the environment.
func longAccount(inc *incident.Incident) Text {
	a := inc.Account
	var t Text
	switch {
	case a.Name != "" && a.ID != "":
		t = name(a.Name).Words(" (").Join(name(a.ID)).Words(")")
	case a.Name != "":
		t = name(a.Name)
	case a.ID != "":
		t = name(a.ID)
	default:
		return Words("not named in the finding")
	}
	if a.Environment != "" {
		t = t.Words(", ").Join(name(a.Environment))
	}
	return t
}

// actor says who did it. Where GuardDuty says that the resource itself acts,
// the addresses are the other side, and the line says so.
func actor(inc *incident.Incident) Text {
	const shown = 3
	a := inc.Lead.Actor
	var items []Text
	items = append(items, some(a.IPs, shown, name)...)
	items = append(items, some(a.Domains, shown, func(s string) Text { return name(escape.Defang(s)) })...)
	if net := network(a); !net.IsEmpty() {
		items = append(items, net)
	}
	if a.Country != "" {
		items = append(items, name(a.Country))
	}
	if who := a.UserName; who != "" {
		items = append(items, Words("user ").Join(name(who)))
	} else if a.PrincipalID != "" {
		items = append(items, Words("principal ").Join(name(a.PrincipalID)))
	}
	for _, list := range some(a.Lists, shown, name) {
		items = append(items, Words("on list ").Join(list))
	}
	t := join(items, ", ")
	if inc.Lead.Role != finding.RoleActor {
		return t
	}
	if t.IsEmpty() {
		return Words("the resource itself")
	}
	return Words("the resource itself; other side: ").Join(t)
}

func network(a incident.Actor) Text {
	var t Text
	if a.ASN != "" {
		t = Words("AS").Join(name(a.ASN))
	}
	if a.Org != "" {
		if !t.IsEmpty() {
			t = t.Words(" ")
		}
		t = t.Join(value(a.Org, maxName))
	}
	return t
}

// some returns the first n values; the last one says how many more there are.
func some(values []string, n int, text func(string) Text) []Text {
	var list []Text
	for i, s := range values {
		if i == n {
			last := list[len(list)-1]
			list[len(list)-1] = last.Words(fmt.Sprintf(" and %d more", len(values)-n))
			break
		}
		if s != "" {
			list = append(list, text(s))
		} else {
			list = append(list, Words("(empty)"))
		}
	}
	return list
}

func join(items []Text, sep string) Text {
	var t Text
	for i, item := range items {
		if i > 0 {
			t = t.Words(sep)
		}
		t = t.Join(item)
	}
	return t
}

// seen says how often, when, and what was done.
func seen(inc *incident.Incident, now time.Time) Text {
	times := "once"
	if inc.Occurrences > 1 {
		times = fmt.Sprintf("%d times", inc.Occurrences)
	}
	t := Words(times)
	switch first, last := inc.FirstSeen, inc.LastSeen; {
	case first.IsZero() && last.IsZero():
		t = t.Words(", the finding does not say when")
	case first.IsZero() || last.IsZero() || sameMinute(first, last):
		if first.IsZero() {
			first = last
		}
		t = t.Words(" at " + clock(first, now))
	default:
		t = t.Words(" between " + span(first, last, now))
	}
	if inc.Lead.Action != "" {
		t = t.Words("; ").Join(value(inc.Lead.Action, maxSentence))
	}
	return t
}

// doubts says where the finding contradicts itself or had to be interpreted.
func doubts(inc *incident.Incident) Text {
	const shown = 3
	list := some(inc.Lead.Warnings, shown, func(s string) Text {
		return value(strings.TrimRight(s, ". "), maxSentence)
	})
	if len(list) == 0 {
		return Text{}
	}
	return Words("odd about this finding: ").Join(join(list, "; "))
}

// findingLines returns a line for each finding, newest first.
func findingLines(inc *incident.Incident, now time.Time) []Text {
	refs := slices.Clone(inc.Findings)
	slices.SortStableFunc(refs, func(a, b incident.FindingRef) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	shown := refs[:min(len(refs), maxFindings)]
	all := max(inc.FindingCount, len(refs))
	if all > maxFindings {
		shown = shown[:min(len(shown), maxFindings-1)]
	}
	lines := make([]Text, 0, len(shown)+1)
	for _, r := range shown {
		t := Words(severityWord(r.Severity.Band()) + " " + r.Severity.String() + " ").
			Join(Value(escape.CutMiddle(r.Type, maxTitle)))
		if r.Count > 1 {
			t = t.Words(fmt.Sprintf(", %d times", r.Count))
		}
		if last := newest(r.LastSeen, r.UpdatedAt); !last.IsZero() {
			t = t.Words(", last at " + clock(last, now))
		}
		if r.Archived {
			t = t.Words(", archived in GuardDuty")
		}
		lines = append(lines, t)
	}
	if all > len(shown) {
		lines = append(lines, Words(fmt.Sprintf("and %d more", all-len(shown))))
	}
	return lines
}

// newest prefers when something happened over when it was told.
func newest(seen, updated time.Time) time.Time {
	if seen.IsZero() {
		return updated
	}
	return seen
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
