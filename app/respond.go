package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// Responses implements api.Service.
func (a *App) Responses() api.Responder { return responses{store: a.db.DB} }

// responses is a responder without playbooks: it keeps the switch and the
// tokens, and says of everything else that there is nothing to respond with.
type responses struct{ store *store.DB }

var _ api.Responder = responses{}

func nothingToRespondWith() error {
	return fault.New(fault.Unavailable, "this service has no playbooks", "guardroom playbook list")
}

// Playbooks implements api.Responder.
func (responses) Playbooks() []api.Playbook { return []api.Playbook{} }

// CreatePlan implements api.Responder.
func (responses) CreatePlan(context.Context, api.PlanRequest, string) (api.PlanDetail, error) {
	return api.PlanDetail{}, nothingToRespondWith()
}

// ApprovePlan implements api.Responder.
func (responses) ApprovePlan(context.Context, respond.PlanID, string, string, api.Approver) (api.PlanDetail, error) {
	return api.PlanDetail{}, nothingToRespondWith()
}

// RejectPlan implements api.Responder.
func (responses) RejectPlan(context.Context, respond.PlanID, string, string) (api.PlanDetail, error) {
	return api.PlanDetail{}, nothingToRespondWith()
}

// AbortRun implements api.Responder.
func (responses) AbortRun(context.Context, respond.RunID, string, string) (respond.RunRow, error) {
	return respond.RunRow{}, nothingToRespondWith()
}

// UndoRun implements api.Responder.
func (responses) UndoRun(context.Context, respond.RunID, string) (api.PlanDetail, error) {
	return api.PlanDetail{}, nothingToRespondWith()
}

// Switch implements api.Responder.
func (r responses) Switch(ctx context.Context) (api.Switch, error) {
	s, err := r.store.Switch(ctx)
	return api.Switch(s), err
}

// SetSwitch implements api.Responder.
func (r responses) SetSwitch(ctx context.Context, off bool, why, who string) (s api.Switch, err error) {
	err = r.store.Write(ctx, func(tx *store.Tx) error {
		before, err := tx.Switch(ctx)
		if err != nil {
			return err
		}
		now, err := tx.SetSwitch(ctx, off, who, why)
		if err == nil && now.Off != before.Off {
			tx.Audit(audit.Record{Who: who, Action: "respond.switched", Object: "respond", Before: before.String(), After: now.String(), Why: why})
		}
		s = api.Switch(now)
		return err
	})
	return s, err
}

// VerifyEvidence implements api.Responder.
func (responses) VerifyEvidence(context.Context, incident.Number, string) (evidence.Report, error) {
	return evidence.Report{}, nothingToRespondWith()
}

// ExportEvidence implements api.Responder.
func (responses) ExportEvidence(context.Context, incident.Number, io.Writer, string) error {
	return nothingToRespondWith()
}

// CreateToken implements api.Responder: only the SHA-256 of the secret is kept.
func (r responses) CreateToken(ctx context.Context, name string, role api.Role, expires time.Time, who string) (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	secret := "grt_" + base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(secret))
	err := r.store.Write(ctx, func(tx *store.Tx) error {
		switch have, err := tx.LockToken(ctx, name); {
		case err == nil && have.Good(tx.Now()):
			return fault.New(fault.Conflict, name+" has a token already", "guardroom token revoke "+name)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		tx.Audit(audit.Record{Who: who, Action: "token.created", Object: "token/" + name, After: string(role)})
		return tx.PutToken(ctx, store.Token{Name: name, Role: string(role), Hash: hash[:], CreatedAt: tx.Now(), CreatedBy: who, ExpiresAt: expires})
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// RevokeToken implements api.Responder.
func (r responses) RevokeToken(ctx context.Context, name, who string) error {
	return r.store.Write(ctx, func(tx *store.Tx) error {
		have, err := tx.LockToken(ctx, name)
		if err != nil || !have.RevokedAt.IsZero() {
			return err
		}
		have.RevokedAt = tx.Now()
		tx.Audit(audit.Record{Who: who, Action: "token.revoked", Object: "token/" + name, Before: have.Role})
		return tx.PutToken(ctx, have)
	})
}
