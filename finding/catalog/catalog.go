package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/guardroom/guardroom/finding"
)

// Known says how well an Entry fits the type that was asked for.
type Known string

// The ways in which Explain finds an entry.
const (
	Exact  Known = "exact"  // the type itself is in the catalogue
	Family Known = "family" // the same purpose, resource and family
	Guess  Known = "guess"  // only words by purpose and resource
)

// Entry is what is known of one finding type. Its slices are the caller's own.
type Entry struct {
	Type        string
	Known       Known
	Status      string   // active, custom_detection_rule, retired, renamed, historic
	Severity    string   // default: low, medium, high, critical, varies; may be empty
	Varies      bool     // the severity depends on context
	Sources     []string // what GuardDuty reads for it: vpc_flow_logs
	Feature     string   // the protection plan that must be on
	Successor   string   // the type that replaced a retired or renamed one
	Role        string   // actor, target, or empty where it depends
	Title       string   // "SSH brute force"
	Preposition string   // between title and resource: from, against, on, in, by
	Tactics     []string // MITRE ATT&CK tactics
	Seen        string   // what was seen
	Why         string   // why it matters
	First       []string // what to check first
}

//go:embed facts.json
var factsJSON []byte

//go:embed texts.json
var textsJSON []byte

type fact struct {
	Type      string   `json:"type"`
	Status    string   `json:"status"`
	Severity  string   `json:"severity"`
	Varies    bool     `json:"severity_varies"`
	Sources   []string `json:"sources"`
	Feature   string   `json:"feature"`
	Role      []string `json:"resource_role"`
	Successor string   `json:"successor"`
}

type words struct {
	Families  map[string][3]string `json:"families"`  // title, preposition, seen
	Purposes  map[string][]string  `json:"purposes"`  // why, then tactics
	Resources map[string][]string  `json:"resources"` // noun, then first steps
}

type table struct {
	words   words
	entries []Entry
	byName  map[string]int // lower-case type
	family  map[string]int // lower-case purpose:resource/family
}

var load = sync.OnceValue(func() *table {
	var facts []fact
	t := &table{byName: map[string]int{}, family: map[string]int{}}
	// Both files are part of the program; the tests read them first.
	if err := json.Unmarshal(factsJSON, &facts); err != nil {
		panic(fmt.Sprintf("catalog: read facts.json: %v", err))
	}
	if err := json.Unmarshal(textsJSON, &t.words); err != nil {
		panic(fmt.Sprintf("catalog: read texts.json: %v", err))
	}
	slices.SortFunc(facts, func(a, b fact) int { return strings.Compare(a.Type, b.Type) })
	for i, f := range facts {
		e := t.compose(finding.ParseType(f.Type))
		e.Known, e.Status, e.Severity, e.Varies = Exact, f.Status, f.Severity, f.Varies
		e.Sources, e.Feature, e.Successor = f.Sources, f.Feature, f.Successor
		if len(f.Role) == 1 {
			e.Role = strings.ToLower(f.Role[0])
		}
		t.entries = append(t.entries, e)
		t.byName[strings.ToLower(f.Type)] = i
		key := familyKey(finding.ParseType(f.Type))
		if j, ok := t.family[key]; !ok || f.Status == "active" && t.entries[j].Status != "active" {
			t.family[key] = i
		}
	}
	return t
})

func familyKey(t finding.Type) string {
	return strings.ToLower(t.Purpose + ":" + t.Resource + "/" + t.Family)
}

// phrase returns the words of the most specific key for t.
func (w words) phrase(t finding.Type) ([3]string, bool) {
	full := t.Family
	if t.Mechanism != "" {
		full += "." + t.Mechanism
	}
	art := full
	if t.Artifact != "" {
		art += "!" + t.Artifact
	}
	for _, k := range []string{
		t.Purpose + ":" + t.Resource + "/" + full, t.Purpose + ":" + t.Resource + "/" + t.Family,
		t.Purpose + ":" + full, t.Purpose + ":" + t.Family, art, full, t.Family,
	} {
		if p, ok := w.Families[k]; ok {
			return p, true
		}
	}
	return [3]string{"Suspicious activity", "on", "GuardDuty reports suspicious activity that involves {r}."}, false
}

func (t *table) compose(ty finding.Type) Entry {
	p, _ := t.words.phrase(ty)
	why, ok := t.words.Purposes[ty.Purpose]
	if !ok {
		why = t.words.Purposes[""]
	}
	res, ok := t.words.Resources[ty.Resource]
	if !ok {
		res = t.words.Resources[""]
	}
	return Entry{
		Type: ty.Name, Title: p[0], Preposition: p[1],
		Seen: strings.ReplaceAll(p[2], "{r}", res[0]),
		Why:  why[0], Tactics: why[1:], First: res[1:],
	}
}

func (e Entry) own() Entry {
	e.Sources, e.Tactics, e.First = slices.Clone(e.Sources), slices.Clone(e.Tactics), slices.Clone(e.First)
	return e
}

// Lookup returns the entry of a type, whatever the case of its letters, and
// whether the catalogue has it. It is safe for concurrent use.
func Lookup(typeName string) (Entry, bool) {
	t := load()
	i, ok := t.byName[strings.ToLower(typeName)]
	if !ok {
		return Entry{}, false
	}
	return t.entries[i].own(), true
}

// Explain returns the best entry for ty and never fails: the type itself, else
// its family, else words by purpose and resource. Entry.Known says which, and
// Entry.Type is always the type asked for, but for the case of its letters. Facts of a type (status, severity,
// successor, role) are only given for an exact entry.
func Explain(ty finding.Type) Entry {
	if e, ok := Lookup(ty.Name); ok {
		return e
	}
	t := load()
	if i, ok := t.family[familyKey(ty)]; ok {
		near := finding.ParseType(t.entries[i].Type)
		near.Mechanism, near.Artifact = "", ""
		e := t.compose(near)
		if _, ok := t.words.phrase(near); !ok {
			e = t.entries[i].own()
			e.Status, e.Severity, e.Varies, e.Successor, e.Role = "", "", false, "", ""
		}
		e.Type, e.Known = ty.Name, Family
		return e.own()
	}
	e := t.compose(ty)
	e.Type, e.Known = ty.Name, Guess
	return e.own()
}
