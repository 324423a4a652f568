package demo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/finding/catalog"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

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
		s.screen.line("finding", findingWords(f))
	}
	if more := len(list) - shown; more > 0 {
		s.screen.line("", fmt.Sprintf("and %d more", more))
	}
}

func findingWords(f *finding.Finding) string {
	text := fmt.Sprintf("%s %s  %s", strings.ToUpper(f.Severity.Label()), f.Severity, f.Type.Name)
	if f.Count > 1 {
		text += fmt.Sprintf(" x%d", f.Count)
	}
	if agent := f.Actor.UserAgent; escape.Visible(agent) != agent {
		text += ", by " + agent
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
	late := false
	for _, f := range findings(in) {
		if r.Accepted == 0 {
			break
		}
		is, err := s.decision(ctx, f)
		if err != nil {
			return err
		}
		late = late || is
	}
	if late {
		return nil
	}
	if err := s.incidents(ctx, r.Incidents); err != nil {
		return err
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
			s.screen.line("digest", fmt.Sprintf("in %s one digest stands for %d of them", name, more))
		}
		s.digested[name] = n
	}
	return nil
}

// decision shows what triage decided where that is more than an incident. It
// reports whether the revision is an older one that came late.
func (s *show) decision(ctx context.Context, f *finding.Finding) (late bool, err error) {
	revisions, err := s.room.Reader().Revisions(ctx, f.ID, 100)
	if err != nil {
		return false, err
	}
	for _, r := range revisions {
		if r.Freshness == string(triage.Late) && r.UpdatedAt.Equal(f.UpdatedAt) {
			s.screen.line("late", fmt.Sprintf("kept as one of its %d revisions; a newer one is known", len(revisions)))
			return true, nil
		}
	}
	steps, err := s.room.Explain(ctx, f.ID)
	if err != nil {
		return false, err
	}
	for _, step := range steps {
		switch step.Stage + " " + step.Decision {
		case "suppress suppressed":
			s.screen.line("suppressed", f.Title+" By the rule "+step.Reason)
		case "suppress expired":
			s.screen.line("rule", step.Reason)
		case "merge record":
			s.screen.line("quiet", step.Reason)
		case "route quiet":
			if f.Sample {
				s.screen.line("quiet", step.Reason)
			}
		}
	}
	return false, nil
}

func (s *show) ignored(ctx context.Context) error {
	list, err := s.room.Reader().IgnoredEvents(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	newest := slices.MaxFunc(list, func(a, b store.Ignored) int { return a.LastAt.Compare(b.LastAt) })
	s.screen.line("ignored", fmt.Sprintf("%q is no finding; counted", newest.DetailType))
	return nil
}

func (s *show) rejected(ctx context.Context) error {
	list, err := s.room.Reader().RejectedInputs(ctx, "", 1)
	if err != nil || len(list) == 0 {
		return err
	}
	s.screen.line("rejected", list[0].Reason)
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
	rows, err := s.changes(ctx, f.Incident, false)
	s.rows(rows)
	return err
}

// incidents shows what an input did to incidents, those that go on first.
func (s *show) incidents(ctx context.Context, numbers []string) error {
	var open, closed []incident.Number
	for _, text := range numbers {
		n, err := incident.ParseNumber(text)
		if err != nil {
			return err
		}
		i, err := s.room.Reader().GetIncident(ctx, n)
		if err != nil {
			return err
		}
		if i.State == incident.Closed {
			closed = append(closed, n)
		} else {
			open = append(open, n)
		}
	}
	var rows []row
	for i, n := range slices.Concat(open, closed) {
		list, err := s.changes(ctx, n, len(numbers) > shown+3)
		if err != nil {
			return err
		}
		if len(closed) == 0 && len(open) > shown+3 && i >= shown {
			continue // a burst
		}
		rows = append(rows, list...)
	}
	s.rows(grouped(rows))
	if more := len(open) - shown; len(closed) == 0 && len(open) > shown+3 {
		s.screen.line("", fmt.Sprintf("and %d more, up to %s", more, open[len(open)-1]))
	}
	return nil
}

func (s *show) rows(rows []row) {
	for _, r := range rows {
		s.screen.line(r.label, strings.TrimSpace(r.who+" "+r.text))
	}
}

// changes is what is new in the timeline of an incident, briefly or in full.
func (s *show) changes(ctx context.Context, n incident.Number, brief bool) ([]row, error) {
	i, err := s.room.Reader().GetIncident(ctx, n)
	if err != nil {
		return nil, err
	}
	timeline, err := s.room.Reader().Timeline(ctx, n, 0)
	if err != nil {
		return nil, err
	}
	var out []row
	say := func(text string) { out = append(out, row{label: "incident", who: n.String(), text: text}) }
	linked, absorbed := []string{}, []string{}
	why := ""
	for _, e := range timeline {
		if e.Seq <= s.seen[n] {
			continue
		}
		s.seen[n] = e.Seq
		switch e.Kind {
		case incident.KindAbsorbed:
			absorbed = append(absorbed, e.To)
		case incident.KindLinked:
			linked = append(linked, e.To)
			_, why, _ = strings.Cut(e.Text, ": ")
		case incident.KindArchived:
			// The closing that follows says it too.
		default:
			say(entryWords(i, e))
		}
	}
	if len(absorbed) > 0 {
		say("takes over " + strings.Join(absorbed, ", "))
	}
	if len(linked) > 0 && !brief {
		say("has the " + why + " as " + strings.Join(linked, ", "))
	}
	if len(out) == 0 && i.State != incident.Closed {
		say(fmt.Sprintf("goes on: seen %d times", i.Occurrences))
	}
	return out, nil
}

// entryWords says what happened, as a row after the incident's number.
func entryWords(i *incident.Incident, e incident.Entry) string {
	switch e.Kind {
	case incident.KindOpened:
		return "opens: " + title(i)
	case incident.KindFindingJoined:
		return "takes it in"
	case incident.KindClosed:
		if i.MergedInto > 0 {
			return "closed: " + i.Note
		}
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
