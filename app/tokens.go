package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// secretPrefix lets secret scanners know what they have found.
const secretPrefix = "grt_"

// CreateToken makes a personal API token. Its secret is returned this once; the
// store keeps its hash. A name that had one which was revoked gets a new one.
func (d *desk) CreateToken(ctx context.Context, name string, role api.Role, expires time.Time, who string) (string, error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	secret := secretPrefix + base64.RawURLEncoding.EncodeToString(random)
	hash := sha256.Sum256([]byte(secret))
	err := d.store.Write(ctx, func(tx *store.Tx) error {
		old, err := tx.LockToken(ctx, name)
		switch {
		case err == nil && old.Good(tx.Now()):
			return fault.New(fault.Conflict, name+" has a token already", "guardroom token revoke "+name+", then create it again")
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

// RevokeToken ends a personal token at once. Repeating it changes nothing.
func (d *desk) RevokeToken(ctx context.Context, name, who string) error {
	return d.store.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.LockToken(ctx, name)
		if err != nil || !t.RevokedAt.IsZero() {
			return err
		}
		t.RevokedAt = tx.Now()
		tx.Audit(audit.Record{Who: who, Action: "token.revoked", Object: "token/" + name, Before: t.Role})
		return tx.PutToken(ctx, t)
	})
}
