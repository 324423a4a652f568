package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/jira"
	"github.com/guardroom/guardroom/notify/slack"
)

func buildSlack(d config.Destination, rt http.RoundTripper, timeout time.Duration, scale float64, now func() time.Time, log *slog.Logger) (notify.Notifier, error) {
	return slack.New(slack.Config{Slack: *d.Slack, Destination: d.Name, Timeout: timeout, TimeScale: scale}, slack.Deps{Now: now, Transport: rt, Log: log})
}

func buildJira(d config.Destination, rt http.RoundTripper, timeout time.Duration, scale float64, now func() time.Time, log *slog.Logger) (notify.Notifier, error) {
	return jira.New(jira.Config{Jira: *d.Jira, Destination: d.Name, Timeout: timeout, TimeScale: scale}, jira.Deps{Now: now, Transport: rt, Log: log})
}

// allowCreate is, by type of destination, what a person's retry of an unknown
// delivery does to its saved state.
var allowCreate = map[string]func(json.RawMessage) (json.RawMessage, error){
	"slack": slack.AllowCreate,
	"jira":  jira.AllowCreate,
}
