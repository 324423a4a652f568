package app

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// enqueuer adds durable work inside a transaction.
type enqueuer interface {
	Enqueue(ctx context.Context, tx *sql.Tx, destination string, item durable.Item, after time.Duration) error
}

// acceptance is one run of the accept transaction.
type acceptance struct {
	flow    *Flow
	tx      *store.Tx
	in      source.Input
	receipt source.Receipt
	touched []incident.Number
	wants   map[incident.Number]*want
	opened  map[string]int // destination -> new deliveries within the last minute, once they were counted
}

// finding accepts one revision of one finding.
func (a *acceptance) finding(ctx context.Context, j judged) error {
	f := j.finding
	old, exists, err := a.tx.Finding(ctx, f.ID)
	if err != nil {
		return err
	}
	known := triage.Known{Exists: exists}
	var digest []byte
	if exists {
		known.Newest = finding.Revision{ID: old.ID, UpdatedAt: old.UpdatedAt, Count: old.Count}
		if digest, known.HasThis, err = a.tx.RevisionDigest(ctx, storedRevision(f)); err != nil {
			return err
		}
	}
	fresh := triage.Fresh(known, storedRevision(f))
	if fresh == triage.Repeat {
		return a.repeat(ctx, f, old, digest)
	}
	if exists {
		fresh = a.doubted(f, old, fresh)
		j.decision.Before = &old.Severity
	}
	placement, err := a.place(ctx, j, old, fresh)
	if err != nil {
		return err
	}
	number, decision := incident.Number(0), "recorded"
	switch {
	case j.decision.Suppressed:
		decision = "suppressed"
		a.receipt.Suppressed++
		a.tx.Suppressed(j.decision.SuppressedBy)
	case placement.Action != triage.Record:
		decision = "incident"
	}
	if decision == "incident" || (placement.Action == triage.Record && placement.Into.Number > 0 && !j.decision.Suppressed) {
		if number, err = a.incident(ctx, j, old, fresh, placement); err != nil {
			return err
		}
	}
	return a.record(ctx, j, old, exists, fresh, decision, number, placement)
}

// place finds out which incident the revision belongs to. A late revision
// changes nothing that a newer one decided: it goes where its finding is.
func (a *acceptance) place(ctx context.Context, j judged, old store.Finding, fresh triage.Freshness) (triage.Placement, error) {
	if j.decision.Suppressed {
		return triage.Placement{Action: triage.Record}, nil
	}
	if fresh != triage.Late {
		return a.flow.triager.Place(ctx, a.tx, j.finding, j.decision, a.tx.Now())
	}
	if f := j.finding; f.Sample && !old.Sample {
		return recorded("sample", "a sample changes nothing of a real finding"), nil
	}
	c, ok, err := a.tx.IncidentOfFinding(ctx, j.finding.ID)
	switch {
	case err != nil:
		return triage.Placement{}, err
	case !ok && old.Archived && !old.ArchivedConfirmed && !j.finding.Archived:
		// That the newer one was archived is only what somebody said: an open
		// revision of a finding without incident is not kept quiet by it.
		return a.flow.triager.Place(ctx, a.tx, j.finding, j.decision, a.tx.Now())
	case !ok, c.State == incident.Closed:
		return recorded("late", "a newer revision is known"), nil
	}
	return triage.Placement{Action: triage.Join, Into: c, By: "finding"}, nil
}

func recorded(decision, reason string) triage.Placement {
	return triage.Placement{Action: triage.Record, Steps: []triage.Step{{Stage: "merge", Decision: decision, Reason: reason}}}
}

// doubted corrects the order of revisions where the known one is not to be
// believed. Whoever may write to a queue can send a revision of any finding.
func (a *acceptance) doubted(f *finding.Finding, old store.Finding, fresh triage.Freshness) triage.Freshness {
	ahead := old.UpdatedAt.Sub(storedRevision(f).UpdatedAt)
	switch {
	case f.Sample && !old.Sample:
		return triage.Late // a sample never takes the place of a real finding
	case fresh != triage.Late:
		return fresh
	case old.Sample && !f.Sample:
		return triage.Newer // and a real one always that of a sample
	case a.in.Confirmed && !old.Confirmed && ahead > confirmedWins:
		return triage.Newer // GuardDuty itself knows no such newer one
	}
	return fresh
}

// confirmedWins is how much newer a revision must look that only somebody said,
// for GuardDuty's own to count more: an event may be minutes ahead of the API.
const confirmedWins = 15 * time.Minute

// incident opens, joins or reopens the incident of a revision and stores it.
func (a *acceptance) incident(ctx context.Context, j judged, old store.Finding, fresh triage.Freshness, p triage.Placement) (incident.Number, error) {
	f, now := j.finding, a.tx.Now()
	join := incident.Join{Finding: f, Account: account(j), Lists: j.decision.Enrichment.ActorLists, Late: fresh == triage.Late, Now: now}
	announce := a.announces(f)
	var i *incident.Incident
	var entries []incident.Entry
	var err error
	isNew := p.Action == triage.Open
	if isNew {
		n, err := a.tx.NextNumber(ctx)
		if err != nil {
			return 0, err
		}
		i, entries = incident.Start(incident.ID(a.flow.newID()), n, join)
		i.Silent = !announce
		if p.Continues > 0 {
			entries = append(entries, i.LinkTo(p.Continues, "continues", now)...)
		}
		if entries, err = a.absorbAll(ctx, i, p, entries); err != nil {
			return 0, err
		}
	} else {
		if i, err = a.tx.Incident(ctx, p.Into.Number); err != nil {
			return 0, err
		}
		if p.Action == triage.Reopen {
			if entries, err = i.Reopen(incident.Guardroom, "a new revision of its finding came", now); err != nil {
				return 0, err
			}
			if err := a.tx.UnmarkArchive(ctx, i.Number); err != nil {
				return 0, err
			}
		}
		if i.State == incident.Closed {
			// Recorded beside a closed incident, for instance archived.
			return i.Number, nil
		}
		if entries, err = a.absorbAll(ctx, i, p, entries); err != nil {
			return 0, err
		}
		if holds(i, p, old.Incident) {
			join.Previous = &incident.FindingRef{ID: old.ID, Count: old.Count, Archived: old.Archived, UpdatedAt: old.UpdatedAt}
		}
		entries = append(entries, i.Join(join)...)
		if announce {
			i.Silent = false
		}
	}
	for _, l := range p.Links {
		entries = append(entries, i.LinkTo(l.Number, l.Why, now)...)
	}
	if err := a.tx.PutIncident(ctx, i, isNew, entries); err != nil {
		return 0, err
	}
	if fresh != triage.Late || isNew {
		if err := a.tx.SetKeys(ctx, i.Number, keyValues(j.decision.Keys), j.decision.ActorKeys, memberARNs(f), eventTime(f)); err != nil {
			return 0, err
		}
	}
	if book := j.decision.Playbook; book != "" && fresh != triage.Late && !i.Silent && !(f.Archived && a.in.Confirmed) {
		if err := a.tx.WishPlan(ctx, store.Wish{Incident: i.Number, Playbook: book, Finding: f.ID}); err != nil {
			return 0, err
		}
	}
	a.auditEntries(i, entries, placementWords(p))
	a.touched = append(a.touched, i.Number)
	a.want(i, entries, isNew, j.decision)
	return i.Number, nil
}

// holds reports whether i holds the findings of the incident n now: it is that
// incident, or absorbs it.
func holds(i *incident.Incident, p triage.Placement, n incident.Number) bool {
	return n == i.Number || slices.ContainsFunc(p.Absorb, func(c triage.Candidate) bool { return c.Number == n })
}

// absorbAll merges every incident that the placement names into i, and appends
// what that adds to its timeline.
func (a *acceptance) absorbAll(ctx context.Context, i *incident.Incident, p triage.Placement, entries []incident.Entry) ([]incident.Entry, error) {
	for _, other := range p.Absorb {
		mine, err := a.absorb(ctx, i, other)
		if err != nil {
			return nil, err
		}
		entries = append(entries, mine...)
	}
	return entries, nil
}

// absorb merges another incident into i: its findings and keys move, it closes
// everywhere with a link.
func (a *acceptance) absorb(ctx context.Context, i *incident.Incident, c triage.Candidate) ([]incident.Entry, error) {
	if c.Number == i.Number {
		return nil, nil
	}
	other, err := a.tx.Incident(ctx, c.Number)
	if err != nil {
		return nil, err
	}
	if other.State == incident.Closed {
		return i.LinkTo(other.Number, "part of this attack sequence", a.tx.Now()), nil
	}
	mine, theirs := i.Absorb(other, "its finding is part of this attack sequence", a.tx.Now())
	if err := moveInto(ctx, a.tx, i, other, theirs); err != nil {
		return nil, err
	}
	a.auditEntries(other, theirs, "")
	a.touched = append(a.touched, other.Number)
	a.want(other, theirs, false, triage.Decision{})
	return mine, nil
}

// announces reports whether this input may speak: what a source that looks back
// finds at its first look is recorded and listed, unless it is fresh.
func (a *acceptance) announces(f *finding.Finding) bool {
	if a.in.AsHistory {
		return false
	}
	return !a.in.LookBack || !eventTime(f).Before(a.in.AnnounceAfter)
}

// record stores the revision, the finding's newest form and the audit record.
func (a *acceptance) record(ctx context.Context, j judged, old store.Finding, exists bool, fresh triage.Freshness, decision string, number incident.Number, p triage.Placement) error {
	f, now := j.finding, a.tx.Now()
	trace, err := json.Marshal(append(slices.Clip(j.decision.Trace), p.Steps...))
	if err != nil {
		return fmt.Errorf("encode the trace of finding %s: %w", f.ID, err)
	}
	digest := sha256.Sum256(f.Raw)
	rev := storedRevision(f)
	if err := a.tx.AddRevision(ctx, store.Revision{FindingID: f.ID, UpdatedAt: rev.UpdatedAt, Count: rev.Count, ReceivedAt: a.in.ReceivedAt,
		Source: a.in.Source, Position: j.position, Freshness: string(fresh), Decision: decision, Severity: f.Severity,
		Trace: trace, Digest: digest[:], Raw: j.raw}); err != nil {
		return err
	}
	row := store.Finding{ID: f.ID, ARN: f.ARN, Type: f.Type.Name, AccountID: f.AccountID, Region: f.Region, Severity: f.Severity, Title: f.Title,
		ResourceKind: f.Resource.Kind, ResourceID: f.Resource.ID, UpdatedAt: rev.UpdatedAt, Count: rev.Count, FirstSeen: f.FirstSeen, LastSeen: f.LastSeen,
		FirstReceived: now, LastReceived: now, Archived: f.Archived, Sample: f.Sample, Decision: decision, Rule: j.decision.SuppressedBy,
		Incident: number, Revisions: 1, Source: a.in.Source, DetectorID: f.DetectorID, Confirmed: a.in.Confirmed}
	if exists {
		row.FirstReceived, row.Revisions = old.FirstReceived, old.Revisions+1
		// The mark stands until somebody takes the finding out of the archive again.
		row.ArchivedByUs = old.ArchivedByUs && (f.Archived || !old.Archived)
		if fresh != triage.Late && !old.Confirmed && !old.Archived {
			row.ArchivedByUs = false // what a person closed is not what is there now
		}
		row.ArchivedConfirmed = f.Archived && (a.in.Confirmed || old.Archived && old.ArchivedConfirmed)
		row.Confirmed = row.Confirmed || old.Confirmed
		if number == 0 {
			row.Incident = old.Incident // a suppressed revision stays where its finding is
		}
		if fresh == triage.Late {
			// Keep the newer revision's facts; only the count of revisions moves.
			late := row
			row = old
			row.Revisions, row.LastReceived, row.Incident = late.Revisions, now, late.Incident
		}
	}
	if err := a.tx.PutFinding(ctx, row, !exists); err != nil {
		return err
	}
	if a.in.Confirmed && row.Incident > 0 {
		if err := a.tx.ConfirmFinding(ctx, rev, j.raw); err != nil {
			return err
		}
	}
	a.receipt.Accepted++
	why := decision
	if j.decision.SuppressedBy != "" {
		why = "suppressed by " + j.decision.SuppressedBy
	} else if j.decision.Quiet != "" {
		why += "; quiet: " + j.decision.Quiet
	}
	after := fmt.Sprintf("%s, revision %s, count %d, sha256:%s", fresh, rev.UpdatedAt.Format(time.RFC3339Nano), rev.Count, hex.EncodeToString(digest[:]))
	if number > 0 {
		after += ", " + number.String()
	}
	a.tx.Audit(audit.Record{Who: incident.Guardroom, Action: "finding.accepted", Object: "finding/" + string(f.ID), After: after, Why: why + ", from " + a.in.Source})
	if exists && f.Archived != old.Archived && fresh != triage.Late {
		return a.archived(ctx, row)
	}
	return nil
}

// repeat handles a revision that is stored already: nothing changes, but that
// its finding was archived in GuardDuty meanwhile shows only in this way.
func (a *acceptance) repeat(ctx context.Context, f *finding.Finding, old store.Finding, digest []byte) error {
	a.receipt.Known++
	if a.in.Confirmed && old.Incident > 0 {
		if err := a.tx.ConfirmFinding(ctx, storedRevision(f), store.Pack(f.Raw)); err != nil {
			return err
		}
	}
	newest := finding.Revision{ID: old.ID, UpdatedAt: old.UpdatedAt, Count: old.Count}
	isNewest := !storedRevision(f).Newer(newest) && !newest.Newer(storedRevision(f))
	if d := sha256.Sum256(f.Raw); !slices.Equal(d[:], digest) && isNewest && contradicts(f, old) {
		a.tx.Audit(audit.Record{Who: incident.Guardroom, Action: "finding.conflict", Object: "finding/" + string(f.ID),
			Before: "sha256:" + hex.EncodeToString(digest), After: "sha256:" + hex.EncodeToString(d[:]),
			Why: "the same revision came with other content from " + a.in.Source + "; the first one is kept"})
	}
	same := f.Archived == old.Archived && f.Archived == old.ArchivedConfirmed
	confirms := !old.Confirmed && !contradicts(f, old) && f.DetectorID == old.DetectorID
	if !a.in.Confirmed || !isNewest || same && !confirms {
		return nil
	}
	old.Confirmed = old.Confirmed || confirms
	if same {
		return a.tx.PutFinding(ctx, old, false)
	}
	old.ArchivedByUs = old.ArchivedByUs && (f.Archived || !old.Archived)
	old.Archived, old.ArchivedConfirmed = f.Archived, f.Archived
	if err := a.tx.PutFinding(ctx, old, false); err != nil {
		return err
	}
	a.tx.Audit(audit.Record{Who: incident.Guardroom, Action: "finding.archived", Object: "finding/" + string(f.ID),
		Before: fmt.Sprint(!f.Archived), After: fmt.Sprint(f.Archived), Why: "seen in GuardDuty"})
	return a.archived(ctx, old)
}

// contradicts reports whether f says something else than the stored revision with
// the same key. The bytes alone say little: the API spells a finding otherwise
// than an event does.
func contradicts(f *finding.Finding, old store.Finding) bool {
	return f.Type.Name != old.Type || f.AccountID != old.AccountID || f.Region != old.Region || f.Severity != old.Severity ||
		f.Resource.Kind != old.ResourceKind || f.Resource.ID != old.ResourceID
}

// archived closes the incident of a finding when all of its findings were
// archived by others. Only GuardDuty itself is believed: who may write to a
// queue must not be able to close incidents.
func (a *acceptance) archived(ctx context.Context, f store.Finding) error {
	if !a.in.Confirmed || f.Incident == 0 {
		return nil
	}
	i, err := a.tx.Incident(ctx, f.Incident)
	if err != nil || i.State == incident.Closed {
		return err
	}
	n, err := a.tx.CountArchivedByOthers(ctx, i.Number)
	if err != nil {
		return err
	}
	i.ArchivedByOthers = n
	entries := i.CloseArchived(a.tx.Now())
	if err := a.tx.PutIncident(ctx, i, false, entries); err != nil {
		return err
	}
	a.auditEntries(i, entries, "")
	if len(entries) > 0 {
		a.touched = append(a.touched, i.Number)
		a.want(i, entries, false, triage.Decision{})
	}
	return nil
}

// quietKinds are not worth an audit record of their own: the record of the
// finding says the same.
var quietKinds = map[incident.Kind]bool{incident.KindFindingJoined: true, incident.KindFindingUpdated: true, incident.KindResourceJoined: true}

func (a *acceptance) auditEntries(i *incident.Incident, entries []incident.Entry, why string) {
	for _, e := range entries {
		if !quietKinds[e.Kind] {
			a.tx.Audit(entryRecord(i, e, why))
		}
	}
}

// entryRecord is the audit record of a timeline entry.
func entryRecord(i *incident.Incident, e incident.Entry, why string) audit.Record {
	return audit.Record{Who: e.Who, Action: "incident." + string(e.Kind), Object: i.Number.String(), Before: e.From, After: e.To, Why: joinWords(e.Text, why)}
}

func joinWords(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func placementWords(p triage.Placement) string {
	if p.By == "" {
		return ""
	}
	return "by " + p.By
}

// account is what triage knows of the finding's account; its number is always
// the finding's.
func account(j judged) incident.Account {
	acc := j.decision.Account
	acc.ID = j.finding.AccountID
	return acc
}

func keyValues(keys []triage.Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Value
	}
	return out
}

// memberARNs are the findings that an attack sequence names.
func memberARNs(f *finding.Finding) []string {
	if f.Sequence == nil {
		return nil
	}
	var out []string
	for _, s := range f.Sequence.Signals {
		if s.Type == "FINDING" && triage.OfAccount(s.UID, f.AccountID) && !slices.Contains(out, s.UID) {
			out = append(out, s.UID)
		}
	}
	return out
}

func eventTime(f *finding.Finding) time.Time {
	if !f.LastSeen.IsZero() {
		return f.LastSeen
	}
	return f.At()
}

// storedRevision is the revision as the store can tell it apart: to the
// microsecond.
func storedRevision(f *finding.Finding) finding.Revision {
	r := f.Revision()
	r.UpdatedAt = r.UpdatedAt.UTC().Truncate(time.Microsecond)
	return r
}

func sum(b []byte) string {
	d := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(d[:])
}

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
