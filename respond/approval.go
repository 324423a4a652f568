package respond

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
)

// PlanState is where a plan stands.
type PlanState string

// The states of a plan. Only one that waits can be approved.
const (
	PlanWaiting  PlanState = "waiting"  // for approvals
	PlanApproved PlanState = "approved" // its run was started
	PlanRejected PlanState = "rejected"
	PlanExpired  PlanState = "expired"
	PlanRefused  PlanState = "refused" // by a guard
	PlanChanged  PlanState = "changed" // the world is not what it was: make it again
	// PlanOvertaken is one beside which another was approved that does the same.
	PlanOvertaken PlanState = "overtaken"
)

// Approval is one person's, or one rule's, consent to a plan.
type Approval struct {
	Who    string    `json:"who"`
	How    string    `json:"how"` // socket, token, rule
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Digest string    `json:"digest"`
	// Own says that Who is an identity of its own (a personal token): the socket
	// proves one user of the machine and no more.
	Own bool `json:"own,omitempty"`
	// Rule and RuleSHA256 name the rule that authorised it beforehand.
	Rule       string `json:"rule,omitempty"`
	RuleSHA256 string `json:"rule_sha256,omitempty"`
}

// PlanRow is a stored plan with what people decided about it.
type PlanRow struct {
	ID       PlanID          `json:"id"`
	Incident incident.Number `json:"incident"`
	Playbook string          `json:"playbook"`
	Target   string          `json:"target"` // Target.Key
	Bytes    []byte          `json:"-"`      // the canonical plan
	Before   []byte          `json:"-"`      // the description of the live resource
	Digest   string          `json:"digest"`
	World    string          `json:"world"`

	State     PlanState  `json:"state"`
	Requester string     `json:"requester"`
	Needed    int        `json:"approvals_needed"`
	Approvals []Approval `json:"approvals"`
	Run       RunID      `json:"run,omitempty"`
	UndoOf    RunID      `json:"undo_of,omitempty"`
	Why       string     `json:"why,omitempty"` // of the rejection, refusal, change
	DecidedBy string     `json:"decided_by,omitempty"`
	DecidedAt time.Time  `json:"decided_at,omitzero"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	// Replaces is the plan that had ended because the world changed, or because
	// nobody approved it in time, when this one was made in its place.
	Replaces PlanID `json:"replaces,omitempty"`
	// RemindedAt is when people were told that it expires in some minutes.
	RemindedAt time.Time `json:"reminded_at,omitzero"`
}

// clocksApart is how far the clocks of two workers may be apart.
const clocksApart = time.Minute

// Rules say who may approve.
type Rules struct {
	RequesterMayApprove bool
}

// Approve adds an approval. It reports whether the plan is approved by it now:
// only then a run is started, and only once. Repeating an approval by the same
// person changes nothing.
func (p *PlanRow) Approve(a Approval, rules Rules, now time.Time) (approved bool, err error) {
	if now.Before(p.CreatedAt.Add(-clocksApart)) {
		f := fault.New(fault.Conflict, fmt.Sprintf("plan %s was made at %s, and by the clock of this worker it is %s", p.ID, p.CreatedAt.UTC().Format("15:04:05 UTC"), now.UTC().Format("15:04:05 UTC")),
			"set the clocks of the workers right: what has expired by one looks fresh by another")
		f.Safe = "nothing was changed"
		return false, f
	}
	if p.State == PlanWaiting && !now.Before(p.ExpiresAt) {
		p.expire(now)
	}
	switch p.State {
	case PlanWaiting:
	case PlanApproved:
		who := make([]string, len(p.Approvals))
		for i, x := range p.Approvals {
			who[i] = x.Who
		}
		return false, fault.New(fault.Conflict, fmt.Sprintf("plan %s was approved by %s already; %s carries it out", p.ID, strings.Join(who, ", "), p.Run), "guardroom run watch "+string(p.Run))
	default:
		return false, p.unfit("approved")
	}
	a.Digest = strings.TrimPrefix(strings.ToLower(a.Digest), "sha256:")
	if len(a.Digest) < 8 || !strings.HasPrefix(p.Digest, a.Digest) {
		return false, fault.New(fault.Conflict, fmt.Sprintf("the digest is not that of plan %s", p.ID), "read the plan again: guardroom plan show "+string(p.ID))
	}
	if strings.TrimSpace(a.Reason) == "" {
		return false, fault.New(fault.Usage, "an approval needs a reason", "add --reason")
	}
	if a.Who == p.Requester && !rules.RequesterMayApprove {
		return false, fault.New(fault.Denied, a.Who+" asked for plan "+string(p.ID)+" and may not approve it", "another approver must look at it")
	}
	if !rules.RequesterMayApprove && !a.Own && a.Rule == "" {
		return false, fault.New(fault.Denied, "who asked may not approve, and the socket or a shared token proves no person", "approve with a personal token: guardroom --server URL plan approve PLAN --digest … --reason …")
	}
	if slices.ContainsFunc(p.Approvals, func(o Approval) bool { return o.Who == a.Who }) {
		return false, nil
	}
	if p.Needed > 1 && !a.Own {
		return false, fault.New(fault.Denied, fmt.Sprintf("plan %s needs %d people, and the socket proves no person", p.ID, p.Needed), "approve with a personal token: guardroom --server URL plan approve PLAN --digest … --reason …")
	}
	a.Digest, a.At = p.Digest, now
	p.Approvals = append(p.Approvals, a)
	if len(p.Approvals) < p.Needed {
		return false, nil
	}
	p.State, p.DecidedBy, p.DecidedAt = PlanApproved, a.Who, now
	return true, nil
}

func (p *PlanRow) unfit(what string) error {
	hint := "make a new one: guardroom plan create --incident " + p.Incident.String() + " --playbook " + p.Playbook
	why := ""
	if p.Why != "" {
		why = ": " + p.Why
	}
	f := fault.New(fault.Conflict, fmt.Sprintf("plan %s cannot be %s: it is %s%s", p.ID, what, p.State, why), hint)
	f.Safe = "nothing was changed"
	return f
}

// Reject ends a plan that waits.
func (p *PlanRow) Reject(who, why string, now time.Time) error {
	if p.State != PlanWaiting {
		return p.unfit("rejected")
	}
	p.State, p.DecidedBy, p.DecidedAt, p.Why = PlanRejected, who, now, why
	return nil
}

func (p *PlanRow) expire(now time.Time) {
	p.State, p.DecidedBy, p.DecidedAt, p.Why = PlanExpired, incident.Guardroom, now, "nobody approved it in time; nothing was changed"
}

// Expire ends a plan whose time is over. It reports whether it did.
func (p *PlanRow) Expire(now time.Time) bool {
	if p.State != PlanWaiting || now.Before(p.ExpiresAt) {
		return false
	}
	p.expire(now)
	return true
}

// Change ends a plan because the world is not what it was when it was made.
func (p *PlanRow) Change(differences []string, now time.Time) {
	p.State, p.DecidedBy, p.DecidedAt = PlanChanged, incident.Guardroom, now
	p.Why = "the world has changed: " + strings.Join(differences, "; ")
}

// Overtake ends a plan that waits, because another one that does the same was
// approved. It reports whether it did.
func (p *PlanRow) Overtake(by PlanID, now time.Time) bool {
	if p.State != PlanWaiting {
		return false
	}
	p.State, p.DecidedBy, p.DecidedAt = PlanOvertaken, incident.Guardroom, now
	p.Why = "plan " + string(by) + " does the same and was approved"
	return true
}
