package demo

import (
	_ "embed"
	"strconv"
	"strings"
	"time"
)

//go:embed guardroom.yaml
var configYAML string

// Setup is what the demo's configuration needs beside the story.
type Setup struct {
	Store     string    // sqlite:PATH
	Start     time.Time // of the day
	TimeScale float64   // by which every wait is divided
	// SimulatedAWS is the file of the AWS in which responses are carried out.
	SimulatedAWS string

	SlackURL, SlackToken, Channel string
	JiraURL, JiraEmail, JiraToken string
	Project, IssueType            string
	PagerDutyURL, RoutingKey      string
}

// Config returns the demo's configuration, as a person would write it.
func Config(s Setup) []byte {
	return []byte(strings.NewReplacer("{{store}}", s.Store, "{{slack}}", s.SlackURL, "{{slack_token}}", s.SlackToken, "{{channel}}", s.Channel,
		"{{jira}}", s.JiraURL, "{{jira_email}}", s.JiraEmail, "{{jira_token}}", s.JiraToken, "{{project}}", s.Project, "{{issue_type}}", s.IssueType,
		"{{pagerduty}}", s.PagerDutyURL, "{{routing_key}}", s.RoutingKey, "{{simulated_aws}}", s.SimulatedAWS, "{{time_scale}}", strconv.FormatFloat(s.TimeScale, 'f', -1, 64),
		"{{earlier}}", s.Start.AddDate(0, 0, -5).Format(time.DateOnly), "{{later}}", s.Start.AddDate(0, 2, 0).Format(time.DateOnly)).Replace(configYAML))
}
