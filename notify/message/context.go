package message

import (
	"fmt"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
)

// contextLine is the small print: where it stands, who has it, how much there
// is, where else it is shown, and since when.
func contextLine(inc *incident.Incident, elsewhere []Reference, now time.Time) []Text {
	items := []Text{standing(inc, now)}
	if t := assignment(inc); !t.IsEmpty() {
		items = append(items, t)
	}
	if inc.Sample {
		items = append(items, Words("sample"))
	}
	items = append(items, Words(count(max(inc.FindingCount, 1), "finding", "findings")))
	if inc.ArchivedByOthers > 0 {
		items = append(items, Words(fmt.Sprintf("%d archived in GuardDuty", inc.ArchivedByOthers)))
	}
	for _, r := range elsewhere {
		if t := shownAt(r); !t.IsEmpty() {
			items = append(items, t)
		}
	}
	items = append(items, related(inc)...)
	if t := age(inc, now); t != "" {
		items = append(items, Words(t))
	}
	return items
}

// standing is the state with the person and the time that made it so.
func standing(inc *incident.Incident, now time.Time) Text {
	switch inc.State {
	case incident.Acknowledged:
		t := Words("Acknowledged")
		if inc.AcknowledgedBy != "" {
			t = t.Words(" by ").Join(name(inc.AcknowledgedBy))
		}
		return at(t, inc.AcknowledgedAt, now)
	case incident.Contained:
		return at(Words("Contained"), inc.ContainedAt, now)
	case incident.Closed:
		t := Words("Closed")
		if inc.MergedInto > 0 {
			return at(t, inc.ClosedAt, now).Words(", merged into " + inc.MergedInto.String())
		}
		if w := verdictWords(inc.Verdict); w != "" {
			t = t.Words(" as " + w)
		}
		if inc.ClosedBy != "" {
			t = t.Words(" by ").Join(name(inc.ClosedBy))
		}
		return at(t, inc.ClosedAt, now)
	}
	return Words("Open")
}

func at(t Text, when, now time.Time) Text {
	if when.IsZero() {
		return t
	}
	return t.Words(" " + clock(when, now))
}

func assignment(inc *incident.Incident) Text {
	switch {
	case inc.State == incident.Closed:
		return Text{}
	case inc.Owner == "" && inc.State == incident.Acknowledged && inc.AcknowledgedBy != "":
		return Text{} // somebody has it, and the state says who
	case inc.Owner == "" && inc.AcknowledgedBy != "" && inc.State == incident.Contained:
		return Words("acknowledged by ").Join(name(inc.AcknowledgedBy))
	case inc.Owner == "":
		return Words("unassigned")
	case inc.State == incident.Acknowledged && inc.Owner == inc.AcknowledgedBy:
		return Text{}
	}
	return Words("assigned to ").Join(name(inc.Owner))
}

// shownAt says where else people see this incident. What is on its way is not
// worth a word; what is stuck is.
func shownAt(r Reference) Text {
	who := r.Label
	if who == "" {
		who = r.Destination
	}
	switch r.State {
	case "parked":
		return name(r.Destination).Words(" parked")
	case "delivered":
		return Value(escape.CutMiddle(who, maxName))
	}
	return Text{}
}

func related(inc *incident.Incident) []Text {
	const shown = 2
	var items []Text
	for i, l := range inc.Links {
		if i == shown {
			items = append(items, Words(fmt.Sprintf("%d more related", len(inc.Links)-shown)))
			break
		}
		t := Words("related to " + l.Number.String())
		if l.Why != "" {
			t = t.Words(" (").Join(value(l.Why, maxName)).Words(")")
		}
		items = append(items, t)
	}
	return items
}

func age(inc *incident.Incident, now time.Time) string {
	if inc.OpenedAt.IsZero() {
		return ""
	}
	if inc.State == incident.Closed {
		if inc.ClosedAt.IsZero() {
			return ""
		}
		return "was open for " + length(inc.ClosedAt.Sub(inc.OpenedAt))
	}
	return length(now.Sub(inc.OpenedAt))
}
