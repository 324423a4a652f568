package api

import (
	"context"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// Reader is what the API reads. The store implements most of it.
type Reader interface {
	Incidents(ctx context.Context, f store.IncidentFilter) ([]*incident.Incident, error)
	GetIncident(ctx context.Context, n incident.Number) (*incident.Incident, error)
	Timeline(ctx context.Context, n incident.Number, max int) ([]incident.Entry, error)
	Findings(ctx context.Context, f store.FindingFilter) ([]store.Finding, error)
	GetFinding(ctx context.Context, id finding.ID) (store.Finding, bool, error)
	Revisions(ctx context.Context, id finding.ID, max int) ([]store.Revision, error)
	RevisionsSince(ctx context.Context, since time.Time, yield func(store.Revision) bool) error
	Deliveries(ctx context.Context, f store.DeliveryFilter) ([]notify.Delivery, error)
	GetDelivery(ctx context.Context, id string) (notify.Delivery, error)
	Unfinished(ctx context.Context) (armed, stuck int, err error)
	RejectedInputs(ctx context.Context, before string, max int) ([]store.Rejected, error)
	RejectedInput(ctx context.Context, id string) (store.Rejected, error)
	AuditRecords(ctx context.Context, after int64, limit int, yield func(audit.Record) bool) error
	AuditHead(ctx context.Context) (audit.Head, error)
	RuleUses(ctx context.Context) (map[string]store.RuleUse, error)
	Pauses(ctx context.Context) (map[string]store.Pause, error)
	Sources(ctx context.Context) ([]store.Source, error)
	Workers(ctx context.Context) ([]store.Worker, error)
	IgnoredEvents(ctx context.Context) ([]store.Ignored, error)
	OpenNotices(ctx context.Context) ([]store.Notice, error)
	CountIncidents(ctx context.Context) (map[incident.State]int, error)
	CountDeliveries(ctx context.Context) (map[string]map[notify.Status]int, error)
	OldestBehind(ctx context.Context) (map[string]time.Time, error)
	Backup(ctx context.Context, path string) error
	Place() string
	ResponseReader
}

// ResponseReader is what the API reads about responses. The store implements it.
type ResponseReader interface {
	Plans(ctx context.Context, f store.PlanFilter) ([]respond.PlanRow, error)
	GetPlan(ctx context.Context, id respond.PlanID) (respond.PlanRow, error)
	Runs(ctx context.Context, f store.RunFilter) ([]respond.RunRow, error)
	GetRun(ctx context.Context, id respond.RunID) (respond.RunRow, error)
	Steps(ctx context.Context, run respond.RunID) ([]playbook.Record, error)
	// StepsSince are the steps of a run that changed after a version, and its
	// version now, which rises with everything that happens in it.
	StepsSince(ctx context.Context, run respond.RunID, version int64) ([]playbook.Record, int64, error)
	// OwedOf is what a run has opened and nobody has closed yet.
	OwedOf(ctx context.Context, run respond.RunID) ([]respond.Owed, error)
	Evidence(ctx context.Context, n incident.Number) ([]store.Preserved, error)
	Gaps(ctx context.Context, n incident.Number) ([]store.Lacking, error)
	Custody(ctx context.Context, n incident.Number) ([]evidence.Custody, error)
	Manifests(ctx context.Context, n incident.Number) ([]store.Manifest, error)
	Tokens(ctx context.Context) ([]store.Token, error)
}

// Commander is what people do to incidents and deliveries.
type Commander interface {
	Acknowledge(ctx context.Context, n incident.Number, who string) (*incident.Incident, error)
	Assign(ctx context.Context, n incident.Number, owner, who string) (*incident.Incident, error)
	Note(ctx context.Context, n incident.Number, text, who string) (*incident.Incident, error)
	CloseIncident(ctx context.Context, n incident.Number, verdict incident.Verdict, note, who string) (*incident.Incident, error)
	Reopen(ctx context.Context, n incident.Number, why, who string) (*incident.Incident, error)
	Merge(ctx context.Context, n, into incident.Number, why, who string) (*incident.Incident, error)
	Retry(ctx context.Context, id, who string) (notify.Delivery, error)
	// RetryAll frees what waits for a person at a destination; without statuses
	// what is parked. It returns how many deliveries that were.
	RetryAll(ctx context.Context, destination string, statuses []notify.Status, who string) (int, error)
	Drop(ctx context.Context, id, who, why string) (notify.Delivery, error)
	Pause(ctx context.Context, name, who, why string) error
	Resume(ctx context.Context, name, who string) (int, error)
}

// Destination is a configured destination with its state.
type Destination struct {
	Name     string         `json:"name"`
	Type     string         `json:"type"`
	Paused   bool           `json:"paused"`
	Reason   string         `json:"reason,omitempty"`
	Hint     string         `json:"hint,omitempty"`
	Counts   map[string]int `json:"deliveries"`
	BehindBy string         `json:"behind_by,omitempty"` // how long the oldest wish waits
}

// Suppression is a configured suppression with its use.
type Suppression struct {
	Name      string    `json:"name"`
	When      string    `json:"when"`
	Owner     string    `json:"owner"`
	Reason    string    `json:"reason"`
	Until     time.Time `json:"until"`
	Expired   bool      `json:"expired"`
	Matches   int       `json:"matches"`
	LastMatch time.Time `json:"last_match,omitzero"`
}

// Route is a configured route.
type Route struct {
	Name string   `json:"name"`
	When string   `json:"when,omitempty"`
	To   []string `json:"to"`
	Stop bool     `json:"stop,omitempty"`
}

// Check is one result of doctor or of a destination's check.
type Check struct {
	Area    string `json:"area"` // store, worker, source, destination, aws, clock, …
	What    string `json:"what"`
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty"` // not right, but nothing is lost
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Service is everything behind the API.
type Service interface {
	source.Intake
	Reader() Reader
	Commands() Commander
	// Responses is what people do to plans, runs and evidence.
	Responses() Responder
	// Suppressions and Routes are the configured rules, in their order.
	Suppressions() []Suppression
	Routes() []Route
	Destinations(ctx context.Context) ([]Destination, error)
	// TestDestination sends something real and says what should now be seen.
	TestDestination(ctx context.Context, name string) (string, error)
	// VerifyAudit checks the chain against itself and the heads outside.
	VerifyAudit(ctx context.Context) (audit.Report, error)
	// Explain replays triage's trace of a finding.
	Explain(ctx context.Context, id finding.ID) ([]triage.Step, error)
	// Doctor checks what can be checked from inside the process.
	Doctor(ctx context.Context) []Check
	// Prune removes what is older than the configured retention.
	Prune(ctx context.Context) (int, error)
	Version() string
	// Delivering reports whether this process delivers by itself.
	Delivering() bool
}
