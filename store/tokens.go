package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Token is a personal API token. Its secret is not kept, only its hash.
type Token struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Hash      []byte    `json:"-"` // SHA-256 of the secret
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"`
}

// Good reports whether the token opens anything at a time.
func (t Token) Good(now time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

const tokenColumns = "name, role, hash, created_at, created_by, expires_at, revoked_at, last_used" //nolint:gosec // names of columns

// PutToken stores a token, by its name.
func (tx *Tx) PutToken(ctx context.Context, t Token) error {
	_, err := tx.exec(ctx, `INSERT INTO tokens (name, role, hash, created_at, created_by, expires_at, revoked_at, last_used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET role = excluded.role, hash = excluded.hash, created_at = excluded.created_at, created_by = excluded.created_by,
		expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, last_used = excluded.last_used`,
		t.Name, t.Role, blob(t.Hash), micros(t.CreatedAt), t.CreatedBy, micros(t.ExpiresAt), micros(t.RevokedAt), micros(t.LastUsed))
	if err != nil {
		return fmt.Errorf("store token %s: %w", t.Name, err)
	}
	return nil
}

// LockToken loads a token for a change, by its name; it is locked until the end
// of the transaction. The error wraps ErrNotFound where there is none.
func (tx *Tx) LockToken(ctx context.Context, name string) (Token, error) {
	return tx.token(ctx, "WHERE name = $1 FOR UPDATE", name)
}

// UseToken notes that a token was used now, unless it is revoked.
func (tx *Tx) UseToken(ctx context.Context, name string) error {
	if _, err := tx.exec(ctx, "UPDATE tokens SET last_used = $1 WHERE name = $2 AND revoked_at = 0", micros(tx.now), name); err != nil {
		return fmt.Errorf("note the use of token %s: %w", name, err)
	}
	return nil
}

// TokenByHash reads the token whose secret has this SHA-256, also one that is
// revoked or has expired: Good tells. The error wraps ErrNotFound where there is none.
func (c q) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	return c.token(ctx, "WHERE hash = $1", blob(hash))
}

// TokenByHash reads the token whose secret has this SHA-256.
func (db *DB) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	return db.read().TokenByHash(ctx, hash)
}

func (c q) token(ctx context.Context, where string, arg any) (Token, error) {
	t, err := scanToken(c.row(ctx, "SELECT "+tokenColumns+" FROM tokens "+where, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("token: %w", ErrNotFound)
	}
	if err != nil {
		return t, fmt.Errorf("read a token: %w", err)
	}
	return t, nil
}

func scanToken(s scanner) (Token, error) {
	var t Token
	var created, expires, revoked, used int64
	err := s.Scan(&t.Name, &t.Role, &t.Hash, &created, &t.CreatedBy, &expires, &revoked, &used)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.LastUsed = timeOf(created), timeOf(expires), timeOf(revoked), timeOf(used)
	return t, err
}

// Tokens lists all tokens by their name, also those that open nothing any more.
func (c q) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := c.query(ctx, "SELECT "+tokenColumns+" FROM tokens ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	defer rows.Close()
	out := []Token{}
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// Tokens lists all tokens by their name, also those that open nothing any more.
func (db *DB) Tokens(ctx context.Context) ([]Token, error) { return db.read().Tokens(ctx) }
