package triage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/rule"
)

// Config is what triage needs of the configuration.
type Config struct {
	Triage    config.Triage
	Suppress  []config.Suppression
	Routes    []config.Route
	Accounts  []config.Account
	Incidents config.Incidents
	// DestinationTypes maps the names of destinations to their types.
	DestinationTypes map[string]string
}

// Deps are the parts from outside.
type Deps struct {
	Now       func() time.Time
	Enrichers []Enricher // run beside those that the configuration asks for
	Logger    *slog.Logger
}

// Triager judges findings. It is safe for concurrent use.
type Triager struct {
	cfg          Config
	now          func() time.Time
	log          *slog.Logger
	suppressions []suppression
	routes       []route
	accounts     map[string]incident.Account
	enrichers    []Enricher
}

// Decision is what triage says about a finding without looking into the store.
type Decision struct {
	Suppressed   bool
	SuppressedBy string
	Destinations []string // names, sorted, without repetition
	Routes       []string // names of the routes that matched
	Playbook     string   // of the first route that names one; empty: none
	Account      incident.Account
	Enrichment   Enrichment
	Keys         []Key    // merge keys, sorted: this is the order of their locks
	ActorKeys    []string // sorted
	Trace        []Step
	// Before is the severity of the finding's newest known revision; nil: none is
	// known. The caller of Place sets it.
	Before *finding.Severity
	// Quiet says why nobody is told: sample, archived, suppressed, no route.
	// Empty: somebody is.
	Quiet string
}

// New compiles the rules and opens the enrichers' files. Every rule that is
// wrong is reported.
func New(cfg Config, deps Deps) (*Triager, error) {
	t := &Triager{cfg: cfg, now: deps.Now, log: deps.Logger, accounts: map[string]incident.Account{}}
	if t.now == nil {
		t.now = time.Now
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	for _, a := range cfg.Accounts {
		t.accounts[a.ID] = incident.Account{ID: a.ID, Name: a.Name, Environment: a.Environment, Owner: a.Owner}
	}
	if err := t.compile(); err != nil {
		return nil, err
	}
	own, err := ownEnrichers(cfg.Triage.Enrich, t.log)
	if err != nil {
		return nil, err
	}
	t.enrichers = append(own, deps.Enrichers...)
	return t, nil
}

// Decide judges one finding: enrich, suppress, keys, route. It never fails; a
// stage that does says so in the trace. It blocks for as long as the slowest
// enricher may take.
//
// Enrichment comes first, so that conditions may ask for what it adds.
func (t *Triager) Decide(ctx context.Context, f *finding.Finding) Decision {
	d := Decision{Account: t.account(f)}
	t.enrich(ctx, f, &d)
	env := rule.NewEnv(f, d.Account, d.Enrichment.Tags, d.Enrichment.ActorLists, t.now())
	t.suppress(env, &d)
	d.Keys, d.ActorKeys = t.keys(f)
	t.route(f, env, &d)
	return d
}

// Env describes a finding for conditions, with what enrichment adds. It blocks
// like Decide.
func (t *Triager) Env(ctx context.Context, f *finding.Finding) *rule.Env {
	d := Decision{Account: t.account(f)}
	t.enrich(ctx, f, &d)
	return rule.NewEnv(f, d.Account, d.Enrichment.Tags, d.Enrichment.ActorLists, t.now())
}

// WithSamples returns a triager that routes sample findings like others. It
// shares everything else with t.
func (t *Triager) WithSamples() *Triager {
	c := *t
	c.cfg.Triage.Samples = true
	return &c
}

func (d *Decision) step(stage, decision, format string, args ...any) {
	d.Trace = append(d.Trace, Step{Stage: stage, Decision: decision, Reason: fmt.Sprintf(format, args...)})
}

func (t *Triager) account(f *finding.Finding) incident.Account {
	a, ok := t.accounts[f.AccountID]
	if !ok {
		a = incident.Account{ID: f.AccountID}
	}
	return a
}

// Suppressions returns the names of the configured suppressions.
func (t *Triager) Suppressions() []string {
	out := make([]string, 0, len(t.suppressions))
	for _, s := range t.suppressions {
		out = append(out, s.name)
	}
	return out
}

func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
