package message

import (
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
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
	case "parked", "paused":
		return name(r.Destination).Words(" " + r.State)
	case "unknown":
		return name(r.Destination).Words(" needs a look")
	case "dropped", "digested":
		return Text{}
	}
	if r.Label == "" && r.State != "delivered" {
		return Text{} // on its way for the first time
	}
	switch r.Type {
	case "slack":
		return Words("Slack") // its label is a channel and a time stamp
	case "pagerduty":
		return Words("PagerDuty")
	case "email", "webhook":
		return Text{} // nobody goes there to look
	}
	return name(who)
}

// absorbed is why a link to an incident exists that was merged into this one.
const absorbed = "absorbed"

func related(inc *incident.Incident) []Text {
	const shown = 2
	links := slices.DeleteFunc(slices.Clone(inc.Links), func(l incident.Link) bool {
		return inc.MergedInto > 0 && l.Number == inc.MergedInto // the state says so
	})
	var items []Text
	for i, l := range links {
		if i == shown {
			items = append(items, Words(fmt.Sprintf("%d more related", len(links)-shown)))
			break
		}
		if l.Why == absorbed {
			items = append(items, Words("absorbed "+l.Number.String()))
			continue
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
