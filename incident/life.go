package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// Guardroom is the Who of entries that no person caused.
const Guardroom = "guardroom"

// entry appends to the timeline's numbering and returns the new entry.
func (i *Incident) entry(now, eventAt time.Time, kind Kind, who, text string) Entry {
	i.Entries++
	i.UpdatedAt = now
	if eventAt.IsZero() {
		eventAt = now
	}
	return Entry{Seq: i.Entries, EventAt: eventAt, RecordedAt: now, Kind: kind, Who: who, Text: text}
}

// changed raises the revision: people can see a difference.
func (i *Incident) changed(now time.Time) {
	i.Revision++
	i.UpdatedAt = now
}

// Acknowledge records that a person takes the incident. Acknowledging again by
// the same person changes nothing; by another it is a take-over.
func (i *Incident) Acknowledge(who string, now time.Time) ([]Entry, error) {
	if i.State == Closed {
		return nil, closedError(i, "acknowledged", "ack %s")
	}
	if i.AcknowledgedBy == who && i.State != Open {
		return nil, nil
	}
	text := "acknowledged"
	if i.State != Open && i.AcknowledgedBy != "" {
		text = "taken over from " + i.AcknowledgedBy
	}
	from := i.AcknowledgedBy
	if i.State == Open {
		i.State = Acknowledged
	}
	i.AcknowledgedAt, i.AcknowledgedBy = now, who
	if i.Owner == "" || i.Owner == from {
		i.Owner = who
	}
	i.Silent = false
	e := i.entry(now, now, KindAcknowledged, who, text)
	e.From, e.To = from, who
	i.changed(now)
	return []Entry{e}, nil
}

// Assign gives the incident to owner; an empty owner leaves it unassigned.
func (i *Incident) Assign(owner, who string, now time.Time) ([]Entry, error) {
	if i.State == Closed {
		return nil, closedError(i, "assigned", "assign %s "+cmp.Or(owner, "--nobody"))
	}
	if i.Owner == owner {
		return nil, nil
	}
	text := "assigned to " + owner
	if owner == "" {
		text = "unassigned"
	}
	e := i.entry(now, now, KindAssigned, who, text)
	e.From, e.To = i.Owner, owner
	i.Owner = owner
	i.changed(now)
	return []Entry{e}, nil
}

// AddNote adds a person's words to the timeline, in any state.
func (i *Incident) AddNote(text, who string, now time.Time) ([]Entry, error) {
	if text == "" {
		return nil, fault.New(fault.Usage, "the note is empty", "give its text")
	}
	e := i.entry(now, now, KindNote, who, text)
	i.changed(now)
	return []Entry{e}, nil
}

// Close ends the incident with a verdict. Closing a closed incident with the
// same verdict changes nothing; with another it is an error.
func (i *Incident) Close(verdict Verdict, note, who string, now time.Time) ([]Entry, error) {
	if i.State == Closed {
		if i.Verdict == verdict {
			return nil, nil
		}
		return nil, closedError(i, "closed again with another verdict", "close %s --verdict "+string(verdict))
	}
	if verdict == NoVerdict || verdict == Merged {
		return nil, fault.New(fault.Usage, "closing needs a verdict", "use malicious, benign, false_positive, test or unknown")
	}
	return []Entry{i.close(verdict, note, who, now, now)}, nil
}

func (i *Incident) close(verdict Verdict, note, who string, eventAt, now time.Time) Entry {
	from := i.State
	i.State, i.Verdict, i.Note = Closed, verdict, note
	i.ClosedAt, i.ClosedBy = now, who
	text := "closed as " + verdict.Words()
	if note != "" {
		text += ": " + note
	}
	e := i.entry(now, eventAt, KindClosed, who, text)
	e.From, e.To = string(from), string(verdict)
	i.changed(now)
	return e
}

// CloseArchived closes the incident because all of its findings were archived
// in GuardDuty by others. It does nothing when some are not.
func (i *Incident) CloseArchived(now time.Time) []Entry {
	if i.State == Closed || i.FindingCount == 0 || i.ArchivedByOthers < i.FindingCount {
		return nil
	}
	return []Entry{i.close(Unknown, "all of its findings were archived in GuardDuty", Guardroom, now, now)}
}

// Reopen opens a closed incident again. A merged incident cannot be reopened:
// its findings live on in the one that it was merged into.
func (i *Incident) Reopen(who, why string, now time.Time) ([]Entry, error) {
	if i.State != Closed {
		return nil, fault.New(fault.Conflict, fmt.Sprintf("%s is not closed but %s", i.Number, i.State), "nothing to do")
	}
	if i.Verdict == Merged {
		return nil, closedError(i, "reopened", "reopen %s")
	}
	text := "reopened"
	if why != "" {
		text += ": " + why
	}
	e := i.entry(now, now, KindReopened, who, text)
	e.From, e.To = string(i.Verdict), string(Open)
	i.State, i.Verdict, i.Note = Open, NoVerdict, ""
	i.ClosedAt, i.ClosedBy = time.Time{}, ""
	i.AcknowledgedAt, i.AcknowledgedBy, i.ContainedAt = time.Time{}, "", time.Time{}
	i.Silent = false
	i.changed(now)
	return []Entry{e}, nil
}

// Contain records that a response contained the resource, which was verified by
// a second look at AWS. A closed incident stays closed; again changes nothing.
func (i *Incident) Contain(text string, now time.Time) []Entry {
	if i.State == Closed || i.State == Contained {
		return nil
	}
	e := i.entry(now, now, KindContained, Guardroom, text)
	i.becomes(&e, Contained, now)
	i.changed(now)
	return []Entry{e}
}

// Release records that a containment was undone, by an undo that people approved. An
// incident that was contained is acknowledged or open again, as it was taken by a
// person or not.
func (i *Incident) Release(text string, now time.Time) []Entry {
	e := i.entry(now, now, KindReleased, Guardroom, text)
	switch {
	case i.State == Contained && i.AcknowledgedBy != "":
		i.becomes(&e, Acknowledged, now)
	case i.State == Contained:
		i.becomes(&e, Open, now)
	}
	i.changed(now)
	return []Entry{e}
}

// Loosen records that a containment does not hold any more: a part of it was undone,
// or somebody changed it. Unless it is closed the incident is open again, until people
// act: whoever acknowledged it before has not seen this.
func (i *Incident) Loosen(text string, now time.Time) []Entry {
	e := i.entry(now, now, KindDrift, Guardroom, text)
	if i.State != Closed {
		i.AcknowledgedAt, i.AcknowledgedBy = time.Time{}, ""
		i.becomes(&e, Open, now)
	}
	i.changed(now)
	return []Entry{e}
}

// becomes changes the state by an entry.
func (i *Incident) becomes(e *Entry, to State, now time.Time) {
	e.From, e.To = string(i.State), string(to)
	i.State, i.ContainedAt = to, time.Time{}
	if to == Contained {
		i.ContainedAt = now
	}
}

// Responded records what happened in a response: a plan that was made or
// decided, a run that began or ended, a containment that no longer holds.
func (i *Incident) Responded(kind Kind, who, text string, now time.Time) []Entry {
	e := i.entry(now, now, kind, who, text)
	i.changed(now)
	return []Entry{e}
}

// Progressed says that a run of a response went on: destinations show it, and
// the timeline does not grow.
func (i *Incident) Progressed(now time.Time) { i.changed(now) }

// Absorb records that other became part of i, and closes other as merged into
// i. Both get their entries; neither may be closed. A finding that both hold must
// be moved by the caller, who then joins it with what other knew as Previous.
func (i *Incident) Absorb(other *Incident, why string, now time.Time) (mine, theirs []Entry) {
	return i.AbsorbBy(other, Guardroom, why, now)
}

// AbsorbBy is Absorb by a person's decision.
func (i *Incident) AbsorbBy(other *Incident, who, why string, now time.Time) (mine, theirs []Entry) {
	text := "absorbed " + other.Number.String()
	if why != "" {
		text += ": " + why
	}
	e := i.entry(now, now, KindAbsorbed, who, text)
	e.To = other.Number.String()
	i.link(other.Number, "absorbed")
	mine = append(mine, e)
	if other.Severity > i.Severity {
		mine = append(mine, i.raise(other.Severity, now, now))
	}
	i.fold(other)
	i.changed(now)

	other.MergedInto = i.Number
	other.link(i.Number, "merged into")
	theirs = append(theirs, other.close(Merged, "merged into "+i.Number.String(), who, now, now))
	return mine, theirs
}

// fold adds what other knew to the summary of i.
func (i *Incident) fold(other *Incident) {
	i.FindingCount += other.FindingCount
	i.Occurrences += other.Occurrences
	for _, r := range other.Findings {
		i.Findings = slices.DeleteFunc(i.Findings, func(o FindingRef) bool { return o.ID == r.ID && !o.UpdatedAt.After(r.UpdatedAt) })
		if !slices.ContainsFunc(i.Findings, func(o FindingRef) bool { return o.ID == r.ID }) {
			i.Findings = append(i.Findings, r)
		}
	}
	i.sortFindings()
	for _, r := range other.Resources {
		i.addResource(r)
	}
	i.FirstSeen, i.LastSeen = earliest(i.FirstSeen, other.FirstSeen), latest(i.LastSeen, other.LastSeen)
	i.LastActivity = latest(i.LastActivity, other.LastActivity)
	i.Silent = i.Silent && other.Silent
}

// LinkTo records a relation to another incident. A second link to the same one
// changes nothing, nor does one more than an incident can have: an actor that
// knocks everywhere would fill the timeline.
func (i *Incident) LinkTo(other Number, why string, now time.Time) []Entry {
	if other == i.Number || len(i.Links) >= maxLinks || slices.ContainsFunc(i.Links, func(l Link) bool { return l.Number == other }) {
		return nil
	}
	i.link(other, why)
	e := i.entry(now, now, KindLinked, Guardroom, fmt.Sprintf("linked to %s: %s", other, why))
	e.To = other.String()
	i.changed(now)
	return []Entry{e}
}

const maxLinks = 20

func (i *Incident) link(other Number, why string) {
	i.Links = append(i.Links, Link{Number: other, Why: why})
	if len(i.Links) > maxLinks {
		i.Links = i.Links[len(i.Links)-maxLinks:]
	}
}

// Parked records, once per destination, that a delivery to it is parked.
func (i *Incident) Parked(destination, message string, now time.Time) []Entry {
	e := i.entry(now, now, KindDeliveryParked, Guardroom, fmt.Sprintf("the delivery to %s is parked: %s", destination, message))
	e.To = destination
	i.changed(now)
	return []Entry{e}
}

// closedError says what may be done instead: of a merged incident, the same with
// the one that it lives on in, which command names with %s for the number.
func closedError(i *Incident, what, command string) error {
	if i.MergedInto > 0 {
		return fault.New(fault.Conflict, fmt.Sprintf("%s is merged into %s", i.Number, i.MergedInto),
			"guardroom incident "+strings.Replace(command, "%s", i.MergedInto.String(), 1))
	}
	return fault.New(fault.Conflict, fmt.Sprintf("%s is closed (%s) and cannot be %s", i.Number, i.Verdict.Words(), what),
		fmt.Sprintf("reopen it first: guardroom incident reopen %s", i.Number))
}

// Words returns the verdict as people write it: false positive.
func (v Verdict) Words() string {
	switch v {
	case FalsePositive:
		return "false positive"
	case NoVerdict:
		return "no verdict"
	}
	return string(v)
}
