package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// TokenCmd is about personal tokens of the API.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make a token for a person; its secret is shown once."`
	List   TokenListCmd   `cmd:"" help:"List tokens, without their secrets."`
	Revoke TokenRevokeCmd `cmd:"" help:"End a token at once."`
}

// TokenCreateCmd makes a token.
type TokenCreateCmd struct {
	Name    string `arg:"" help:"Person, as what is done will be written down under."`
	Role    string `required:"" help:"viewer, responder, approver or admin." enum:"viewer,responder,approver,admin"`
	Expires string `help:"After 90d, or at an RFC 3339 time [never]." placeholder:"WHEN"`
}

// Help shows examples.
func (TokenCreateCmd) Help() string {
	return "Each role may do what those before it may: docs/reference/api.md.\n\nExamples:\n  guardroom token create ana --role approver --expires 90d > ana.token\n  guardroom --server https://guardroom.example.com --token-file ana.token plan list"
}

// Run makes a token. The secret goes to stdout and is nowhere else.
func (c *TokenCreateCmd) Run(ctx context.Context, e *env) error {
	expires, err := e.until(c.Expires)
	if err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		var t api.NewToken
		if err := cl.Do(ctx, "POST", "/v1/tokens", nil, api.TokenRequest{Name: c.Name, Role: api.Role(c.Role), ExpiresAt: expires}, &t); err != nil {
			return err
		}
		if e.JSON {
			return e.object(t)
		}
		e.printf("%s\n", t.Secret)
		e.say("note: this is the only time that it is shown; give it to %s and nobody else", clean(t.Name))
		return nil
	})
}

// until reads 90d or a time that is to come; zero where nothing is given.
func (e *env) until(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	d, err := config.ParseDuration(s)
	if err != nil {
		return time.Time{}, fault.New(fault.Usage, fmt.Sprintf("--expires %s: it is neither a duration nor a time", s), "write 90d or 2027-01-31T12:00:00Z")
	}
	return e.now().Add(d.Std()), nil
}

// TokenListCmd lists tokens.
type TokenListCmd struct{}

// Run lists tokens.
func (c *TokenListCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		list, err := tokens(ctx, cl)
		if err != nil {
			return err
		}
		t := newTable("name", "role", "state", "made", "by", "last used").drop("by", "made")
		for _, x := range list {
			if e.JSON {
				if err := e.object(x); err != nil {
					return err
				}
				continue
			}
			t.row(x.Name, x.Role, e.tokenState(x), e.moment(x.CreatedAt), x.CreatedBy, e.moment(x.LastUsed))
		}
		return e.list(t, len(list), "no tokens: guardroom token create NAME --role ROLE makes one")
	})
}

func tokens(ctx context.Context, cl *api.Client) ([]store.Token, error) {
	var list api.TokenList
	err := cl.Do(ctx, "GET", "/v1/tokens", nil, nil, &list)
	return list.Tokens, err
}

func (e *env) tokenState(t store.Token) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case !t.Good(e.now()):
		return "expired"
	case t.ExpiresAt.IsZero():
		return "good"
	}
	return "good until " + t.ExpiresAt.UTC().Format("2006-01-02")
}

// TokenRevokeCmd ends one.
type TokenRevokeCmd struct {
	Name string `arg:"" help:"Person."`
}

// Run revokes a token.
func (c *TokenRevokeCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var told api.Told
		if err := cl.Do(ctx, "POST", "/v1/tokens/"+url.PathEscape(c.Name)+"/revoke", nil, nil, &told); err != nil {
			return err
		}
		return e.told(told)
	})
}
