package app

import (
	"log/slog"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/rule"
	"github.com/guardroom/guardroom/triage"
)

// buildTriage builds the judging of findings from the configuration.
func buildTriage(cfg *config.Config, types map[string]string, more []triage.Enricher, now func() time.Time, log *slog.Logger) (*triage.Triager, error) {
	return triage.New(triage.Config{Triage: cfg.Triage, Suppress: cfg.Suppress, Routes: cfg.Routes, Accounts: cfg.Accounts,
		Incidents: cfg.Incidents, DestinationTypes: types}, triage.Deps{Now: now, Enrichers: more, Logger: log})
}

// BuildTriage builds the judging of findings without AWS, to try rules.
func BuildTriage(cfg *config.Config, now func() time.Time, log *slog.Logger) (*triage.Triager, error) {
	types := map[string]string{}
	for _, d := range cfg.Destinations {
		types[d.Name] = d.Type
	}
	return buildTriage(cfg, types, nil, now, log)
}

// CheckCondition reports what is wrong with a condition, for config.Load.
func CheckCondition(source string) error {
	_, err := rule.Compile("condition", source)
	return err
}
