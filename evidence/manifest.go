package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// SchemaVersion of a stored manifest.
const SchemaVersion = 1

// MaxManifest is how many bytes a manifest may have; a longer one is refused
// before it is read.
const MaxManifest = 64 << 20

// Manifest is all the evidence of an incident at one revision. A later revision
// holds everything that an earlier one held, and the digest of its bytes.
type Manifest struct {
	Schema   int    `json:"schema"`
	Case     Case   `json:"case"`
	Revision int    `json:"revision"`           // counts from 1
	Previous string `json:"previous,omitempty"` // SHA-256 of the revision before
	Items    []Item `json:"items"`              // sorted by id
	Gaps     []Gap  `json:"gaps"`
	// Custody is append-only, in the order of time.
	Custody  []Custody `json:"custody"`
	SealedAt time.Time `json:"sealed_at"`
	SealedBy string    `json:"sealed_by"`
	// SealedWith is the guardroom that sealed this revision, with its version.
	SealedWith string   `json:"sealed_with,omitempty"`
	Runs       []string `json:"runs"`
	// Approvals are who approved the plans of the runs, in the order of the runs.
	Approvals []Approval `json:"approvals,omitempty"`
	// AuditSeq and AuditHash are where the audit chain stood, where it was known.
	AuditSeq  int64  `json:"audit_seq,omitempty"`
	AuditHash string `json:"audit_hash,omitempty"`
	Simulated bool   `json:"simulated,omitempty"`
}

// Case is what the evidence is about.
type Case struct {
	Incident string    `json:"incident"`
	Findings []Finding `json:"findings,omitempty"`
	Accounts []string  `json:"accounts"`
	Regions  []string  `json:"regions"`
	OpenedBy string    `json:"opened_by,omitempty"`
}

// Approval is one consent to a plan that a run carried out.
type Approval struct {
	Run string `json:"run"`
	// Plan and Digest name the plan and the SHA-256 of exactly what was approved.
	Plan   string    `json:"plan"`
	Digest string    `json:"digest"`
	Who    string    `json:"who"`
	How    string    `json:"how"` // socket, token, rule
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	// Rule and RuleSHA256 name the rule that approved it beforehand.
	Rule       string `json:"rule,omitempty"`
	RuleSHA256 string `json:"rule_sha256,omitempty"`
}

// Finding is a finding of the case.
type Finding struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	UpdatedAt time.Time `json:"updated_at"`
	Count     int       `json:"count,omitempty"`
	SHA256    string    `json:"sha256,omitempty"` // of its JSON as it was received
}

// Parts are what a revision adds.
type Parts struct {
	Case    Case
	Run     string
	Items   []Item
	Gaps    []Gap
	Custody []Custody
	By      string
	With    string // this guardroom with its version
	// Approvals are those of the run's plan.
	Approvals []Approval
	// AuditSeq and AuditHash are where the audit chain stands; zero: not known.
	AuditSeq  int64
	AuditHash string
	Simulated bool
}

// OfRun puts a run before the ids of items, which are unique in their run only,
// and before those that lines of custody name.
func OfRun(run string, items []Item, custody []Custody) ([]Item, []Custody) {
	items, custody = slices.Clone(items), slices.Clone(custody)
	for i := range items {
		items[i].ID = run + "/" + items[i].ID
	}
	for i := range custody {
		if custody[i].Item != "" {
			custody[i].Item = run + "/" + custody[i].Item
		}
	}
	return items, custody
}

// Build makes the next revision after previous, which is nil for the first. It
// drops nothing that previous holds; an item with an id that it holds is merged,
// so ids of items must be unique in the incident: see OfRun.
func Build(previous []byte, p Parts, now time.Time) (Manifest, error) {
	m := Manifest{Schema: SchemaVersion, Case: p.Case, Revision: 1, SealedAt: now.UTC(), SealedBy: p.By, SealedWith: p.With,
		AuditSeq: p.AuditSeq, AuditHash: p.AuditHash, Simulated: p.Simulated}
	if previous != nil {
		old, err := Decode(previous)
		if err != nil {
			return Manifest{}, err
		}
		if old.Case.Incident != p.Case.Incident {
			return Manifest{}, fault.New(fault.Conflict, fmt.Sprintf("the manifest before is of %s and not of %s", old.Case.Incident, p.Case.Incident), "")
		}
		m.Revision, m.Previous = old.Revision+1, Digest(previous)
		m.Case = mergeCase(old.Case, p.Case)
		m.Items, m.Gaps, m.Custody, m.Runs = old.Items, old.Gaps, old.Custody, old.Runs
		m.Approvals = old.Approvals
		m.Simulated = m.Simulated || old.Simulated
	}
	m.Items = MergeItems(m.Items, p.Items...)
	slices.SortStableFunc(m.Items, func(a, b Item) int { return strings.Compare(a.ID, b.ID) })
	for _, g := range p.Gaps {
		if !slices.Contains(m.Gaps, g) {
			m.Gaps = append(m.Gaps, g)
		}
	}
	for _, c := range p.Custody {
		c.At = c.At.UTC()
		if !slices.Contains(m.Custody, c) {
			m.Custody = append(m.Custody, c)
		}
	}
	slices.SortStableFunc(m.Custody, func(a, b Custody) int { return a.At.Compare(b.At) })
	for _, a := range p.Approvals {
		a.At = a.At.UTC()
		if !slices.Contains(m.Approvals, a) {
			m.Approvals = append(m.Approvals, a)
		}
	}
	if p.Run != "" && !slices.Contains(m.Runs, p.Run) {
		m.Runs = append(m.Runs, p.Run)
	}
	m.fill()
	return m, nil
}

// fill makes lists of nothing where there are none, and every time UTC: what is
// decoded is then what was built.
func (m *Manifest) fill() {
	m.Items, m.Gaps, m.Custody = some(m.Items), some(m.Gaps), some(m.Custody)
	m.Runs, m.Case.Accounts, m.Case.Regions = some(m.Runs), some(m.Case.Accounts), some(m.Case.Regions)
	for i := range m.Items {
		it := &m.Items[i]
		it.CreatedAt, it.AWSTime = it.CreatedAt.UTC(), it.AWSTime.UTC()
		it.LockUntil, it.WorkingUntil = it.LockUntil.UTC(), it.WorkingUntil.UTC()
	}
	for i := range m.Approvals {
		m.Approvals[i].At = m.Approvals[i].At.UTC()
	}
	for i := range m.Case.Findings {
		m.Case.Findings[i].UpdatedAt = m.Case.Findings[i].UpdatedAt.UTC()
	}
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func mergeCase(old, now Case) Case {
	out := old
	if out.OpenedBy == "" {
		out.OpenedBy = now.OpenedBy
	}
	for _, f := range now.Findings {
		i := slices.IndexFunc(out.Findings, func(o Finding) bool { return o.ID == f.ID })
		if i < 0 {
			out.Findings = append(out.Findings, f)
		} else if was := out.Findings[i]; !f.UpdatedAt.Before(was.UpdatedAt) {
			if f.SHA256 == "" && f.UpdatedAt.Equal(was.UpdatedAt) && f.Count == was.Count {
				f.SHA256 = was.SHA256 // its JSON was pruned since
			}
			out.Findings[i] = f
		}
	}
	out.Accounts = union(out.Accounts, now.Accounts)
	out.Regions = union(out.Regions, now.Regions)
	return out
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// Bytes are the canonical bytes, which are stored and signed.
func (m Manifest) Bytes() ([]byte, error) {
	m.fill()
	return Canonical(m)
}

// Decode reads a stored manifest. Bytes that are not exactly the canonical form
// of what they say are an error: nothing can be hidden in them.
func Decode(raw []byte) (Manifest, error) {
	var m Manifest
	if len(raw) > MaxManifest {
		return m, corrupt(fmt.Errorf("it has %d bytes, and at most %d are read", len(raw), MaxManifest))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, corrupt(err)
	}
	if m.Schema != SchemaVersion {
		return Manifest{}, corrupt(fmt.Errorf("it has schema %d, and this guardroom knows %d", m.Schema, SchemaVersion))
	}
	again, err := m.Bytes()
	if err != nil {
		return Manifest{}, corrupt(err)
	}
	if !bytes.Equal(again, raw) {
		return Manifest{}, corrupt(fmt.Errorf("its bytes are not the canonical form of what they say"))
	}
	if err := m.check(); err != nil {
		return Manifest{}, corrupt(err)
	}
	return m, nil
}

// check refuses what no build makes.
func (m Manifest) check() error {
	switch {
	case m.Case.Incident == "":
		return fmt.Errorf("it names no incident")
	case m.Revision < 1:
		return fmt.Errorf("it has no revision")
	case m.Revision == 1 && m.Previous != "", m.Revision > 1 && len(m.Previous) != 64:
		return fmt.Errorf("revision %d does not name the one before as it should", m.Revision)
	}
	last := ""
	for i, it := range m.Items {
		if it.ID == "" || i > 0 && it.ID <= last {
			return fmt.Errorf("its items are not in order at %q", it.ID)
		}
		last = it.ID
	}
	return nil
}

func corrupt(err error) error {
	return fault.Wrap(fault.Corrupt, err, "read the evidence manifest", "the evidence itself was not touched", "compare with another copy: guardroom evidence export")
}
