package demo

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/finding/catalog"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// accountNames are those of guardroom.yaml.
var accountNames = map[string]string{payments: "payments-prod", lake: "data-lake", sandbox: "sandbox"}

// shown is how many findings of one input get a line each.
const shown = 4

// findings reads what an input holds, as guardroom's own decoder does.
func findings(in source.Input) []*finding.Finding {
	var out []*finding.Finding
	// Broken input is guardroom's to judge; here it only has no line.
	_ = finding.Decode(bytes.NewReader(in.Body), finding.Limits{}, func(i finding.Item) bool {
		if i.Finding != nil {
			out = append(out, i.Finding)
		}
		return true
	})
	return out
}

// before shows the findings of an input.
func (s *show) before(in source.Input) {
	list := findings(in)
	for _, f := range list[:min(len(list), shown)] {
		s.screen.lines("finding", findingWords(f))
	}
	if more := len(list) - shown; more > 0 {
		s.screen.line("", fmt.Sprintf("and %d more", more))
	}
}

func findingWords(f *finding.Finding) string {
	text := fmt.Sprintf("%s %s  %s", strings.ToUpper(f.Severity.Label()), f.Severity, f.Type.Name)
	if name := cmp.Or(f.Resource.Name, f.Resource.ID); name != "" {
		text += ", " + name
	}
	text += " in " + cmp.Or(accountNames[f.AccountID], f.AccountID)
	if f.Count > 1 {
		text += fmt.Sprintf(", %d times", f.Count)
	}
	return text
}

// took shows what guardroom made of an input.
func (s *show) took(ctx context.Context, in source.Input, r source.Receipt) error {
	s.result.count(r)
	if r.Known > 0 && r.Accepted == 0 {
		s.screen.line("known", "this revision is stored already; nothing changes")
	}
	if r.Ignored > 0 {
		if err := s.ignored(ctx); err != nil {
			return err
		}
	}
	if r.Rejected > 0 {
		if err := s.rejected(ctx); err != nil {
			return err
		}
	}
	for _, f := range findings(in) {
		if r.Accepted == 0 {
			break
		}
		if err := s.decision(ctx, f); err != nil {
			return err
		}
	}
	for _, text := range r.Incidents {
		n, err := incident.ParseNumber(text)
		if err != nil {
			return err
		}
		if err := s.changes(ctx, n); err != nil {
			return err
		}
	}
	return s.digests(ctx)
}

// digests shows for how many more incidents a digest stands now.
func (s *show) digests(ctx context.Context) error {
	counts, err := s.room.Reader().CountDeliveries(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		n := counts[name][notify.Digested]
		if more := n - s.digested[name]; more > 0 {
			s.screen.line("digest", fmt.Sprintf("%d of them share one message in %s", more, name))
		}
		s.digested[name] = n
	}
	return nil
}

// decision shows what triage decided where that is more than an incident.
func (s *show) decision(ctx context.Context, f *finding.Finding) error {
	revisions, err := s.room.Reader().Revisions(ctx, f.ID, 100)
	if err != nil {
		return err
	}
	for _, r := range revisions {
		if r.Freshness == string(triage.Late) && r.UpdatedAt.Equal(f.UpdatedAt) {
			s.screen.line("late", "kept as one of its "+fmt.Sprint(len(revisions))+" revisions")
			return nil
		}
	}
	steps, err := s.room.Explain(ctx, f.ID)
	if err != nil {
		return err
	}
	for _, step := range steps {
		switch step.Stage + " " + step.Decision {
		case "suppress suppressed":
			s.screen.lines("suppressed", "by "+step.Reason)
		case "suppress expired":
			s.screen.lines("rule", step.Reason)
		case "merge record":
			s.screen.lines("quiet", step.Reason)
		case "route quiet":
			if f.Sample {
				s.screen.lines("quiet", step.Reason)
			}
		}
	}
	return nil
}

func (s *show) ignored(ctx context.Context) error {
	list, err := s.room.Reader().IgnoredEvents(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	newest := slices.MaxFunc(list, func(a, b store.Ignored) int { return a.LastAt.Compare(b.LastAt) })
	s.screen.lines("ignored", fmt.Sprintf("%q is no finding; counted", newest.DetailType))
	return nil
}

func (s *show) rejected(ctx context.Context) error {
	list, err := s.room.Reader().RejectedInputs(ctx, "", 1)
	if err != nil || len(list) == 0 {
		return err
	}
	s.screen.lines("rejected", list[0].Reason)
	s.screen.line("", "kept as "+list[0].ID)
	return nil
}

// act does what a person does, and shows it.
func (s *show) act(ctx context.Context, a *Act) error {
	f, ok, err := s.room.Reader().GetFinding(ctx, finding.ID(a.Finding))
	if err != nil {
		return err
	}
	if !ok || f.Incident == 0 {
		return fmt.Errorf("%s has no incident to %s", a.Finding, a.Do)
	}
	do := s.room.Commands()
	switch a.Do {
	case Acknowledge:
		_, err = do.Acknowledge(ctx, f.Incident, a.Who)
	case Assign:
		_, err = do.Assign(ctx, f.Incident, a.Text, a.Who)
	case Note:
		_, err = do.Note(ctx, f.Incident, a.Text, a.Who)
	case Close:
		var v incident.Verdict
		if v, err = incident.ParseVerdict(a.Verdict); err == nil {
			_, err = do.CloseIncident(ctx, f.Incident, v, a.Text, a.Who)
		}
	}
	if err != nil {
		return err
	}
	return s.changes(ctx, f.Incident)
}

// changes shows what is new in the timeline of an incident.
func (s *show) changes(ctx context.Context, n incident.Number) error {
	i, err := s.room.Reader().GetIncident(ctx, n)
	if err != nil {
		return err
	}
	timeline, err := s.room.Reader().Timeline(ctx, n, 0)
	if err != nil {
		return err
	}
	absorbed, told := []string{}, false
	for _, e := range timeline {
		if e.Seq <= s.seen[n] {
			continue
		}
		s.seen[n] = e.Seq
		if e.Kind == incident.KindAbsorbed {
			absorbed = append(absorbed, e.To)
			continue
		}
		told = true
		s.screen.lines("incident", n.String()+" "+entryWords(i, e))
	}
	if len(absorbed) > 0 {
		s.screen.lines("incident", n.String()+" takes over "+strings.Join(absorbed, ", "))
	}
	if !told && len(absorbed) == 0 && i.State != incident.Closed {
		s.screen.line("incident", fmt.Sprintf("%s seen %d times by now", n, i.Occurrences))
	}
	return nil
}

// entryWords says what happened, as a row after the incident's number.
func entryWords(i *incident.Incident, e incident.Entry) string {
	switch e.Kind {
	case incident.KindOpened:
		return "opens: " + title(i)
	case incident.KindFindingJoined:
		return "takes it in: " + e.Text
	case incident.KindNote:
		return "note by " + e.Who + ": " + e.Text
	}
	if e.Who != incident.Guardroom {
		return e.Text + ", by " + e.Who
	}
	return e.Text
}

// title is the incident's headline in guardroom's own words.
func title(i *incident.Incident) string {
	e := catalog.Explain(finding.ParseType(i.Lead.Type))
	v := message.Build(message.Input{Incident: i, Now: i.UpdatedAt, Explanation: message.Explanation{Title: e.Title, Preposition: e.Preposition,
		Seen: e.Seen, Why: e.Why, First: e.First, Known: e.Known != catalog.Guess}})
	same := func(s string) string { return s }
	return strings.ToUpper(i.Severity.Label()) + " " + i.Severity.String() + "  " + v.Headline.Render(same, same)
}
