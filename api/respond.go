package api

import (
	"context"
	"io"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
)

// Playbook describes a response that can be planned.
type Playbook struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Summary string `json:"summary"`
	// Of are the playbooks that it is made of, where it is made of others.
	Of []string `json:"of,omitempty"`
	// Does is what it does, in order.
	Does []string `json:"does,omitempty"`
	// Guards are its own, and those that every plan is asked.
	Guards []string `json:"guards,omitempty"`
	// Calls are the actions of IAM that its plans, and those that undo them, may need.
	Calls []PlaybookCalls `json:"calls,omitempty"`
	Undo  string          `json:"undo,omitempty"`
	// Never is what it never does.
	Never []string `json:"never,omitempty"`
}

// PlaybookCalls are the actions of IAM that a role of guardroom needs.
type PlaybookCalls struct {
	Role    string   `json:"role"` // read, act, forensics
	Actions []string `json:"actions"`
}

// PlanRequest asks for a plan.
type PlanRequest struct {
	Incident incident.Number `json:"incident"`
	// Playbook by name; empty: the one that fits the incident's resource.
	Playbook string `json:"playbook,omitempty"`
	// Resource is the id of one of the incident's resources; empty: the leading one.
	Resource string `json:"resource,omitempty"`
	// DryRun makes a plan whose run changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// PlanDetail is a plan with what was decided about it.
type PlanDetail struct {
	Row  respond.PlanRow `json:"row"`
	Plan *respond.Plan   `json:"plan"`
	// Canonical are the bytes that the digest is over.
	Canonical string `json:"canonical,omitempty"`
}

// Approver is who approves, as the entrance found out.
type Approver struct {
	Name string
	How  string // socket, token
	Own  bool   // an identity of its own
}

// Switch is the one that stops every response at once.
type Switch struct {
	Off bool      `json:"off"`
	Who string    `json:"who,omitempty"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// Responder is what people do to plans, runs and evidence.
type Responder interface {
	Playbooks() []Playbook
	// CreatePlan describes the live resource and stores a plan, also one that a
	// guard refuses. It blocks for as long as AWS needs to describe it.
	CreatePlan(ctx context.Context, r PlanRequest, who string) (PlanDetail, error)
	// ApprovePlan adds an approval; the last one that is needed starts the run.
	ApprovePlan(ctx context.Context, id respond.PlanID, digest, reason string, by Approver) (PlanDetail, error)
	RejectPlan(ctx context.Context, id respond.PlanID, why, who string) (PlanDetail, error)
	// AbortRun stops a run before its next change; what is contained stays so.
	AbortRun(ctx context.Context, id respond.RunID, why, who string) (respond.RunRow, error)
	// UndoRun prepares the plan that undoes a run.
	UndoRun(ctx context.Context, id respond.RunID, who string) (PlanDetail, error)
	Switch(ctx context.Context) (Switch, error)
	SetSwitch(ctx context.Context, off bool, why, who string) (Switch, error)
	// VerifyEvidence computes the hashes again from what is stored.
	VerifyEvidence(ctx context.Context, n incident.Number, who string) (evidence.Report, error)
	// ExportEvidence writes manifest, objects and custody as a tar stream.
	ExportEvidence(ctx context.Context, n incident.Number, w io.Writer, who string) error
	// Tokens are the personal API tokens.
	CreateToken(ctx context.Context, name string, role Role, expires time.Time, who string) (secret string, err error)
	RevokeToken(ctx context.Context, name, who string) error
}

// Role is what a person may do.
type Role string

// The roles; each may do what those before it may.
const (
	Viewer        Role = "viewer"    // reads everything
	ResponderRole Role = "responder" // works on incidents, makes plans, aborts runs
	ApproverRole  Role = "approver"  // approves plans, and switches responses off
	Admin         Role = "admin"     // switches responses on, and gives tokens
)
