package demo

import (
	_ "embed"
	"strings"
)

//go:embed guardroom.yaml
var configYAML string

// Config returns the configuration of the demo with the addresses of the
// stand-ins for the vendors and the store filled in.
func Config(slackURL, jiraURL, pagerdutyURL, store string) []byte {
	return []byte(strings.NewReplacer("{{slack}}", slackURL, "{{jira}}", jiraURL,
		"{{pagerduty}}", pagerdutyURL, "{{store}}", store).Replace(configYAML))
}
