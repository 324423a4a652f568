package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
)

// IncidentCmd is about incidents.
type IncidentCmd struct {
	List   IncidentListCmd   `cmd:"" help:"List incidents, newest first."`
	Show   IncidentShowCmd   `cmd:"" help:"Show an incident with timeline, findings and deliveries."`
	Ack    IncidentAckCmd    `cmd:"" help:"Acknowledge an incident: you have it."`
	Assign IncidentAssignCmd `cmd:"" help:"Give an incident to a person."`
	Note   IncidentNoteCmd   `cmd:"" help:"Add a note to the timeline."`
	Merge  IncidentMergeCmd  `cmd:"" help:"Make an incident part of another one."`
	Close  IncidentCloseCmd  `cmd:"" help:"Close an incident with a verdict."`
	Reopen IncidentReopenCmd `cmd:"" help:"Open a closed incident again."`
}

// IncidentListCmd lists incidents.
type IncidentListCmd struct {
	State       []string `help:"open, acknowledged, contained or closed." group:"filter" values:"open,acknowledged,contained,closed"`
	MinSeverity string   `help:"informational, low, medium, high or critical." group:"filter" values:"informational,low,medium,high,critical"`
	Account     string   `help:"Account id." group:"filter"`
	Region      string   `help:"Region." group:"filter"`
	Owner       string   `help:"Person who works on it." group:"filter"`
	Since       string   `help:"Active since: 24h, 7d or an RFC 3339 time." group:"filter"`
	All         bool     `help:"Closed ones too." group:"filter"`
	Limit       int      `help:"At most so many." default:"50" group:"filter"`
}

// Help shows examples.
func (IncidentListCmd) Help() string {
	return "Examples:\n  guardroom incident list\n  guardroom incident list --all --min-severity high --since 7d"
}

// Run lists incidents, by default those that are not closed.
func (c *IncidentListCmd) Run(ctx context.Context, e *env) error {
	states := strings.Join(c.State, ",")
	if states == "" && !c.All {
		states = "open,acknowledged,contained"
	}
	q := query("state", states, "min_severity", c.MinSeverity, "account", c.Account, "region", c.Region, "owner", c.Owner)
	if err := e.since(q, c.Since); err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("incident", "severity", "state", "what", "account", "owner", "findings", "last activity").
			cut("what", 40).cut("account", 16).cut("owner", 12).drop("findings").below("what").drop("owner", "account")
		fetch := func(q url.Values) ([]*incident.Incident, error) {
			var list api.IncidentList
			err := cl.Do(ctx, "GET", "/v1/incidents", q, nil, &list)
			if n := len(list.Incidents); n > 0 {
				q.Set("before", strconv.FormatInt(int64(list.Incidents[n-1].Number), 10))
			}
			return list.Incidents, err
		}
		n, err := pages(e, c.Limit, fetch, q, func(i *incident.Incident) error {
			if e.JSON {
				return e.object(i)
			}
			account := cell{accountWords(i.Account), cmp.Or(i.Account.Name, i.Account.ID)}
			t.row(i.Number.String(), severity(i.Severity), stateWords(i), headline(i), account, i.Owner, strconv.Itoa(i.FindingCount), e.moment(i.LastActivity))
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no incidents here; --all lists closed ones too")
	})
}

func stateWords(i *incident.Incident) string {
	switch {
	case i.MergedInto > 0:
		return "merged into " + i.MergedInto.String()
	case i.State == incident.Closed && i.Verdict != "":
		return "closed, " + strings.ReplaceAll(string(i.Verdict), "_", " ")
	case i.Sample:
		return string(i.State) + ", sample"
	}
	return string(i.State)
}

func headline(i *incident.Incident) string {
	what := named(i.Lead.Resource.Name, i.Lead.Resource.ID)
	if finding.ParseType(i.Lead.Type).IsSequence() && i.Lead.Resource.Name == "" {
		// A sequence is about several resources, and its own id says nothing.
		what = "on " + plural(len(i.Resources), "resource")
	}
	return i.Lead.Type + " " + what
}

func accountWords(a incident.Account) string {
	if a.Name == "" {
		return a.ID
	}
	return a.Name + " (" + a.ID + ")"
}

// IncidentShowCmd shows one incident.
type IncidentShowCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
}

func incidentPath(n string) string { return "/v1/incidents/" + url.PathEscape(n) }

// Run shows an incident.
func (c *IncidentShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d api.IncidentDetail
		if err := cl.Do(ctx, "GET", incidentPath(c.Number), nil, nil, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		e.incident(d)
		return e.responses(ctx, cl, d.Incident.Number)
	})
}

// responses prints the runs of an incident, and the plans that wait for people.
func (e *env) responses(ctx context.Context, cl *api.Client, n incident.Number) error {
	var runs api.RunList
	var plans api.PlanList
	if err := cl.Do(ctx, "GET", "/v1/runs", query("incident", n.String(), "limit", "20"), nil, &runs); err != nil {
		return err
	}
	if err := cl.Do(ctx, "GET", "/v1/plans", query("incident", n.String(), "state", string(respond.PlanWaiting), "limit", "20"), nil, &plans); err != nil {
		return err
	}
	if len(runs.Runs)+len(plans.Plans) == 0 {
		return nil
	}
	e.printf("\nresponses\n")
	t := newTable("plan or run", "state", "playbook", "target", "result").wrap().below("result", "target", "playbook")
	for _, p := range plans.Plans {
		t.row(string(p.ID), string(p.State), playbookWords(p.Playbook, p.UndoOf), targetWords(p.Target), "until "+clock(p.ExpiresAt)+": guardroom plan show "+string(p.ID))
	}
	for _, r := range runs.Runs {
		t.row(string(r.ID), runState(r), playbookWords(r.Playbook, r.UndoOf), targetWords(r.Target), r.Summary)
	}
	t.print(e)
	e.whileOff(ctx, cl)
	return nil
}

func (e *env) incident(d api.IncidentDetail) {
	i := d.Incident
	e.printf("%s  %s  %s\n", i.Number, severity(i.Severity), clean(stateWords(i)))
	seen := ""
	if !i.LastSeen.IsZero() {
		seen = fmt.Sprintf("%s to %s, %s", stamp(i.FirstSeen), stamp(i.LastSeen), plural(i.Occurrences, "time"))
	}
	e.pairs("what", headline(i), "title", i.Lead.Title, "account", accountWords(i.Account)+", "+i.Region, "owner", i.Owner,
		"actor", strings.Join(append(append([]string{}, i.Lead.Actor.IPs...), i.Lead.Actor.UserName, i.Lead.Actor.Org, i.Lead.Actor.Country), " "),
		"action", i.Lead.Action, "exposure", i.Lead.Exposure, "seen", seen, "note", i.Note)
	for _, l := range i.Links {
		e.pairs("see also", l.Number.String()+": "+l.Why)
	}
	e.printf("\ntimeline\n")
	t := newTable("happened", "learned", "who", "what").cut("who", 12).wrap().drop("learned").below("what")
	for _, x := range d.Timeline {
		t.row(stamp(x.EventAt), stamp(x.RecordedAt), x.Who, x.Text)
	}
	t.print(e)
	e.printf("\nfindings (%d)\n", i.FindingCount)
	t = newTable("severity", "type", "resource", "count", "last seen", "id").
		cut("resource", 24).drop("count").below("resource", "id", "type")
	for _, f := range d.Findings {
		t.row(severity(f.Severity), f.Type, f.ResourceID, strconv.Itoa(f.Count), e.exactly(f.LastSeen), string(f.ID))
	}
	t.print(e)
	if len(d.Deliveries) == 0 {
		e.printf("\nno deliveries: no route sent it anywhere; guardroom finding explain %s says why\n", clean(string(i.Lead.FindingID)))
		return
	}
	e.printf("\ndeliveries\n")
	t = newTable("destination", "status", "reference", "link", "trouble").wrap().below("trouble", "link", "reference")
	for _, x := range d.Deliveries {
		trouble := ""
		if x.Fault != nil {
			trouble = x.Fault.Message
		}
		t.row(x.Destination, string(x.Status), x.Reference, x.URL, trouble)
	}
	t.print(e)
}

// incidentDo sends a command and prints the incident's new state.
func (e *env) incidentDo(ctx context.Context, number, verb string, body api.IncidentCommand) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var i incident.Incident
		if err := cl.Do(ctx, "POST", incidentPath(number)+"/"+verb, nil, body, &i); err != nil {
			return err
		}
		if e.JSON {
			return e.object(&i)
		}
		owner := ""
		if i.Owner != "" || verb == "assign" {
			owner = ", owner " + cmp.Or(i.Owner, "nobody")
		}
		e.printf("%s is %s%s\n", i.Number, clean(stateWords(&i)), clean(owner))
		return nil
	})
}

// IncidentAckCmd acknowledges.
type IncidentAckCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
}

// Run acknowledges an incident.
func (c *IncidentAckCmd) Run(ctx context.Context, e *env) error {
	return e.incidentDo(ctx, c.Number, "ack", api.IncidentCommand{})
}

// IncidentAssignCmd assigns.
type IncidentAssignCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
	Person string `arg:"" optional:"" help:"Who works on it."`
	Nobody bool   `help:"Take it from whoever has it."`
}

// Run assigns an incident. Leaving the person out by mistake takes it from
// nobody.
func (c *IncidentAssignCmd) Run(ctx context.Context, e *env) error {
	if (c.Person == "") != c.Nobody {
		return fault.New(fault.Usage, "name either a person or --nobody", "guardroom incident assign "+c.Number+" ana, or: guardroom incident assign "+c.Number+" --nobody")
	}
	return e.incidentDo(ctx, c.Number, "assign", api.IncidentCommand{Owner: c.Person})
}

// IncidentNoteCmd adds a note.
type IncidentNoteCmd struct {
	Number string   `arg:"" help:"Incident, as INC-42."`
	Text   []string `arg:"" help:"The note."`
}

// Run adds a note.
func (c *IncidentNoteCmd) Run(ctx context.Context, e *env) error {
	return e.incidentDo(ctx, c.Number, "note", api.IncidentCommand{Text: strings.Join(c.Text, " ")})
}

// IncidentMergeCmd merges.
type IncidentMergeCmd struct {
	Number string `arg:"" help:"Incident that ends, as INC-42."`
	Into   string `arg:"" help:"Incident that lives on."`
	Why    string `help:"Reason, for the timeline."`
}

// Run merges an incident into another one.
func (c *IncidentMergeCmd) Run(ctx context.Context, e *env) error {
	return e.incidentDo(ctx, c.Number, "merge", api.IncidentCommand{Into: c.Into, Text: c.Why})
}

// IncidentCloseCmd closes.
type IncidentCloseCmd struct {
	Number  string `arg:"" help:"Incident, as INC-42."`
	Verdict string `required:"" help:"malicious, benign, false_positive, test or unknown." values:"malicious,benign,false_positive,test,unknown"`
	Note    string `help:"What was found out."`
}

// Run closes an incident.
func (c *IncidentCloseCmd) Run(ctx context.Context, e *env) error {
	return e.incidentDo(ctx, c.Number, "close", api.IncidentCommand{Verdict: c.Verdict, Text: c.Note})
}

// IncidentReopenCmd reopens.
type IncidentReopenCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
	Why    string `help:"Reason, for the timeline."`
}

// Run reopens an incident.
func (c *IncidentReopenCmd) Run(ctx context.Context, e *env) error {
	return e.incidentDo(ctx, c.Number, "reopen", api.IncidentCommand{Text: c.Why})
}
