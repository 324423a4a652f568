package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// Entrance decides who asks over the network, by the token of the request.
type Entrance struct {
	// Shared is the token of the configuration; empty: there is none. Whoever
	// has it is an admin called "token", which is no identity of anybody.
	Shared string
	// ByHash finds a personal token by the SHA-256 of its secret; the error
	// wraps store.ErrNotFound where there is none. nil: there are none.
	ByHash func(ctx context.Context, hash []byte) (store.Token, error)
	// All lists the personal tokens. While there is no good one, and no shared
	// one either, there is no API here: everything is answered with 404. nil: there
	// are none.
	All func(ctx context.Context) ([]store.Token, error)
	// Used notes that a personal token was used; nil: nobody wants to know.
	Used func(ctx context.Context, name string) error
	Now  func() time.Time
	Log  *slog.Logger
}

// sharedName is who asks with the token of the configuration.
const sharedName = "token"

// noteUse is how exactly it is known when a token was last used.
const noteUse = time.Minute

// Guard lets requests into h with the identity that their token proves. h
// refuses those without one.
func (e Entrance) Guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := e.identify(r)
		there := who.Name != ""
		if err == nil && !there {
			there, err = e.there(r.Context())
		}
		if err != nil {
			e.Log.Error("the tokens cannot be read", "error", err.Error())
			writeFault(w, fault.New(fault.Unavailable, "the store does not answer, so nobody knows who asks", "try again; guardroom doctor"))
			return
		}
		if !there {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), who)))
	})
}

// there reports whether anybody could get in.
func (e Entrance) there(ctx context.Context) (bool, error) {
	if e.Shared != "" || e.All == nil {
		return e.Shared != "", nil
	}
	list, err := e.All(ctx)
	now := e.Now()
	return slices.ContainsFunc(list, func(t store.Token) bool { return t.Good(now) }), err
}

func (e Entrance) identify(r *http.Request) (Identity, error) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given = strings.TrimLeft(given, " ")
	if !strings.EqualFold(scheme, "Bearer") || given == "" {
		return Identity{}, nil
	}
	// Hashes have equal lengths, so that the comparison tells nothing.
	hash := sha256.Sum256([]byte(given))
	if shared := sha256.Sum256([]byte(e.Shared)); e.Shared != "" && subtle.ConstantTimeCompare(hash[:], shared[:]) == 1 {
		return Identity{Name: sharedName, Role: Admin}, nil
	}
	if e.ByHash == nil {
		return Identity{}, nil
	}
	t, err := e.ByHash(r.Context(), hash[:])
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, err
	}
	now := e.Now()
	if subtle.ConstantTimeCompare(hash[:], t.Hash) != 1 || !t.Good(now) {
		return Identity{}, nil
	}
	if e.Used != nil && now.Sub(t.LastUsed) >= noteUse {
		if err := e.Used(r.Context(), t.Name); err != nil {
			e.Log.Warn("the use of a token is not noted", "token", t.Name, "error", err.Error())
		}
	}
	return Identity{Name: t.Name, Role: Role(t.Role), Own: true}, nil
}

// TokenList is the answer of GET /v1/tokens.
type TokenList struct {
	Tokens []store.Token `json:"tokens"`
}

func (h *handler) tokens(w http.ResponseWriter, r *http.Request) error {
	list, err := h.s.Reader().Tokens(r.Context())
	if err != nil {
		return err
	}
	return answer(w, TokenList{Tokens: list})
}

// TokenRequest is the body of POST /v1/tokens.
type TokenRequest struct {
	// Name is the person's; what is done with the token is written down under it.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// ExpiresAt is when it ends; never where it is left out.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// NewToken is the answer of POST /v1/tokens.
type NewToken struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Secret is shown this once; only its hash is kept.
	Secret    string    `json:"secret"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// tokenName keeps names apart from those that guardroom uses for others.
var (
	tokenName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)
	taken     = []string{sharedName, "guardroom", "rule"}
)

func (h *handler) createToken(w http.ResponseWriter, r *http.Request) error {
	var c TokenRequest
	if err := read(r, &c); err != nil {
		return err
	}
	switch {
	case !tokenName.MatchString(c.Name):
		return fault.New(fault.Usage, fmt.Sprintf("%q is no name for a token", c.Name), "use the person's name: lower case, digits and . _ @ -, at most 64 characters")
	case slices.Contains(taken, c.Name):
		return fault.New(fault.Usage, c.Name+" is a name that guardroom uses itself", "use the person's name")
	case !slices.Contains(Roles(), c.Role):
		return fault.New(fault.Usage, fmt.Sprintf("%q is no role", c.Role), "use "+either(Roles()))
	case !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(time.Now()):
		return fault.New(fault.Usage, "the token would have expired already", "give a time that is to come")
	}
	secret, err := h.s.Responses().CreateToken(r.Context(), c.Name, c.Role, c.ExpiresAt, identity(r))
	if err != nil {
		return err
	}
	return answer(w, NewToken{Name: c.Name, Role: c.Role, Secret: secret, ExpiresAt: c.ExpiresAt})
}

func (h *handler) revokeToken(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := h.s.Responses().RevokeToken(r.Context(), name, identity(r)); err != nil {
		return missing(err, "token "+name, "guardroom token list")
	}
	return answer(w, Told{Message: "the token of " + name + " opens nothing any more"})
}
