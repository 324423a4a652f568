package demo

import (
	"encoding/json"
	"errors"
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
