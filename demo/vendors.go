package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// vendors are the stand-ins of Slack, Jira and PagerDuty on this machine, and
// what of them was shown already.
type vendors struct {
	slack *fakeslack.Server
	jira  *fakejira.Server
	pager *fakepagerduty.Server

	messages map[string]fakeslack.Message // by ts, as last shown
	numbers  map[string]string            // ts of a root -> INC-7
	issues   map[string]fakejira.Issue    // by key, as last shown
	alerts   []fakepagerduty.Alert        // as last shown
	calls    int                          // of Jira's transcript
}

const channelName = "#soc"

// start starts all three, with the vendors' limits at the tempo of guardroom.
func start(scale float64) (*vendors, error) {
	v := &vendors{messages: map[string]fakeslack.Message{}, numbers: map[string]string{}, issues: map[string]fakejira.Issue{}}
	var err error
	if v.slack, err = fakeslack.New(fakeslack.Options{TimeScale: scale}); err != nil {
		return nil, err
	}
	if v.jira, err = fakejira.New(fakejira.Options{TimeScale: scale, IndexLag: 2 * time.Second}); err != nil {
		v.close()
		return nil, err
	}
	if v.pager, err = fakepagerduty.New(fakepagerduty.Options{}); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *vendors) close() {
	if v.slack != nil {
		v.slack.Close()
	}
	if v.jira != nil {
		v.jira.Close()
	}
	if v.pager != nil {
		v.pager.Close()
	}
}

// setup fills in where the stand-ins are and how they are spoken to.
func (v *vendors) setup(s Setup) Setup {
	s.SlackURL, s.SlackToken, s.Channel = v.slack.URL(), fakeslack.DefaultToken, fakeslack.DefaultChannel
	s.JiraURL, s.JiraEmail, s.JiraToken = v.jira.URL(), fakejira.DefaultEmail, fakejira.DefaultToken
	s.Project, s.IssueType = fakejira.DefaultProject, fakejira.DefaultIssueType
	s.PagerDutyURL, s.RoutingKey = v.pager.URL(), fakepagerduty.DefaultRoutingKey
	return s
}

// fail makes the next requests to a vendor fail, without an effect.
func (v *vendors) fail(o *Outage) error {
	if o.Vendor != "jira" {
		return errors.New("only Jira has an outage in this story")
	}
	for range o.Requests {
		v.jira.Fail(fakejira.RateLimited)
	}
	return nil
}

// row is one line for the screen.
type row struct{ label, text string }

// news returns what the vendors show now and did not show at the last call.
func (v *vendors) news() []row {
	return append(append(v.slackNews(), v.jiraNews()...), v.pagerNews()...)
}

var numberForm = regexp.MustCompile(`\bINC-\d+\b`)

func (v *vendors) slackNews() []row {
	var out []row
	for _, m := range v.slack.All() {
		old, known := v.messages[m.TS]
		v.messages[m.TS] = m
		switch {
		case !known && m.ThreadTS == "":
			head := headline(m)
			v.numbers[m.TS] = numberForm.FindString(head)
			out = append(out, row{"slack", channelName + "  " + head + mention(m)})
		case !known:
			text := v.numbers[m.ThreadTS] + " in its thread: " + plain(m.Text)
			if m.Broadcast {
				text += "  [also in " + channelName + "]"
			}
			out = append(out, row{"slack", text})
		case m.Edits > old.Edits:
			text := headline(m)
			if text == headline(old) {
				text = standing(m)
			}
			out = append(out, row{"slack", fmt.Sprintf("%s edited (%d): %s", v.numbers[m.TS], m.Edits, text)})
		}
	}
	return out
}

// mention says whom a message calls.
func mention(m fakeslack.Message) string {
	for _, b := range blocks(m) {
		if strings.Contains(b.Text.Text, "<!here>") {
			return "  @here"
		}
	}
	return ""
}

func (v *vendors) jiraNews() []row {
	var out []row
	calls := v.jira.Transcript()
	for _, c := range calls[v.calls:] {
		if c.Fault != fakejira.NoFault {
			out = append(out, row{"jira", fmt.Sprintf("answers %d: too many requests, come back later", c.Status)})
		}
	}
	v.calls = len(calls)
	for _, i := range v.jira.Issues() {
		old, known := v.issues[i.Key]
		v.issues[i.Key] = i
		if !known {
			out = append(out, row{"jira", i.Key + " opened: " + i.Summary})
		} else {
			out = append(out, issueNews(old, i)...)
		}
	}
	return out
}

func issueNews(old, i fakejira.Issue) []row {
	var out []row
	if i.Status != old.Status {
		out = append(out, row{"jira", fmt.Sprintf("%s from %s to %s", i.Key, old.Status, i.Status)})
	}
	if i.Summary != old.Summary {
		out = append(out, row{"jira", i.Key + " is now: " + i.Summary})
	}
	for _, c := range i.Comments[min(len(old.Comments), len(i.Comments)):] {
		first, _, _ := strings.Cut(c.Text, "\n")
		out = append(out, row{"jira", i.Key + " comment: " + first})
	}
	if len(out) == 0 && i.Writes > old.Writes {
		out = append(out, row{"jira", i.Key + " has a new description"})
	}
	return out
}

func (v *vendors) pagerNews() []row {
	var out []row
	all := v.pager.Alerts()
	for n, a := range all {
		switch {
		case n >= len(v.alerts):
			out = append(out, row{"pagerduty", "triggered: " + a.Summary})
			if a.Status != fakepagerduty.Triggered {
				out = append(out, row{"pagerduty", string(a.Status) + ": " + a.Summary})
			}
		case a.Status != v.alerts[n].Status:
			out = append(out, row{"pagerduty", string(a.Status) + ": " + a.Summary})
		case a.Triggers > v.alerts[n].Triggers:
			out = append(out, row{"pagerduty", "triggered again: " + a.Summary})
		}
	}
	v.alerts = all
	return out
}

// subject is the id of the incident that a root message belongs to, and whether
// it is one of guardroom's.
func subject(m fakeslack.Message) (string, bool) {
	var meta struct {
		Type    string `json:"event_type"`
		Payload struct {
			Incident string `json:"incident"`
		} `json:"event_payload"`
	}
	if json.Unmarshal(m.Metadata, &meta) != nil {
		return "", false
	}
	return meta.Payload.Incident, meta.Payload.Incident != ""
}
