package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

const (
	shared = "a-token-of-the-tests"
	anas   = "grt_ana"
)

// keeper has the tokens of ana, and of others that open nothing any more.
type keeper struct {
	broken error
	used   []string
}

func (k *keeper) byHash(_ context.Context, hash []byte) (store.Token, error) {
	for secret, t := range map[string]store.Token{
		anas:          {Name: "ana", Role: "approver"},
		"grt_old":     {Name: "old", Role: "admin", ExpiresAt: noon},
		"grt_gone":    {Name: "gone", Role: "admin", RevokedAt: noon.Add(-time.Hour)},
		"grt_recent":  {Name: "recent", Role: "viewer", LastUsed: noon.Add(-time.Second), ExpiresAt: noon.Add(time.Second)},
		"grt_strange": {Name: "strange", Role: "root"},
	} {
		if sum := sha256.Sum256([]byte(secret)); slices.Equal(hash, sum[:]) {
			t.Hash = sum[:]
			return t, k.broken
		}
	}
	// A store that compares less than the whole hash must not let anybody in.
	if sum := sha256.Sum256([]byte("grt_collides")); slices.Equal(hash, sum[:]) {
		return store.Token{Name: "mallory", Role: "admin", Hash: make([]byte, 32)}, k.broken
	}
	return store.Token{}, errors.Join(k.broken, fmt.Errorf("token: %w", store.ErrNotFound))
}

func (k *keeper) entrance(token string) api.Entrance {
	all := func(context.Context) ([]store.Token, error) { return []store.Token{{Name: "ana"}}, nil }
	return api.Entrance{Shared: token, ByHash: k.byHash, All: all, Now: func() time.Time { return noon }, Log: logger(&log{}),
		Used: func(_ context.Context, name string) error { k.used = append(k.used, name); return nil }}
}

func enter(t *testing.T, e api.Entrance, s *service, header, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	if body != "" {
		r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, newBody(body))
	}
	r.Header.Set("Authorization", header)
	w := httptest.NewRecorder()
	e.Guard(api.Handler(s, logger(&log{}))).ServeHTTP(w, r)
	return w
}

func TestTheEntranceLetsInWhoProvesWhoAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, shared, header string
		status               int
		told                 string
	}{
		{"the shared token opens it", shared, "Bearer " + shared, 200, "ack by token"},
		{"a personal token opens it under its name", shared, "Bearer " + anas, 200, "ack by ana"},
		{"it does so without a shared token", "", "Bearer " + anas, 200, "ack by ana"},
		{"another token does not", shared, "Bearer other", 401, ""},
		{"a longer token does not", shared, "Bearer " + shared + "x", 401, ""},
		{"another kind of credential does not", shared, "Basic " + shared, 401, ""},
		{"no header does not", shared, "", 401, ""},
		{"the bare token does not", shared, shared, 401, ""},
		{"a token that expired at this moment does not", shared, "Bearer grt_old", 401, ""},
		{"a revoked token does not", shared, "Bearer grt_gone", 401, ""},
		{"a token whose whole hash differs does not", shared, "Bearer grt_collides", 401, ""},
		{"a token with a role that is none may do nothing", shared, "Bearer grt_strange", 403, ""},
		{"a viewer may not acknowledge", shared, "Bearer grt_recent", 403, ""},
		{"without a configured token nothing opens it", "", "Bearer ", 401, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, k := &service{}, &keeper{}
			w := enter(t, k.entrance(c.shared), s, c.header, "/v1/incidents/7/ack", "")
			var want []string
			if c.told != "" {
				want = []string{c.told}
			}
			if w.Code != c.status || !slices.Equal(s.told, want) {
				t.Errorf("%d %v %s", w.Code, s.told, w.Body.String())
			}
		})
	}
}

func TestWhoIsNobodyIsToldSoBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	for _, target := range []string{"/v1/incidents/nonsense/ack", "/v1/nothing", "/v1//incidents/../audit", "/v2", "/"} {
		w := enter(t, k.entrance(shared), &service{}, "Bearer other", target, `{"broken`)
		if f := failureOf(t, w); w.Code != http.StatusUnauthorized || f.Error.Code != fault.Unauthenticated {
			t.Errorf("%s: %d %+v", target, w.Code, f)
		}
	}
}

func TestWhereNobodyHasATokenThereIsNoAPI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		shared string
		tokens []store.Token
		status int
	}{
		{"no token at all", "", nil, 404},
		{"only tokens that open nothing any more", "", []store.Token{{RevokedAt: noon}, {ExpiresAt: noon}}, 404},
		{"a shared token", shared, nil, 401},
		{"a personal token", "", []store.Token{{ExpiresAt: noon}, {ExpiresAt: noon.Add(time.Second)}}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := (&keeper{}).entrance(c.shared)
			e.All = func(context.Context) ([]store.Token, error) { return c.tokens, nil }
			if w := enter(t, e, &service{}, "Bearer other", "/v1/incidents/7/ack", ""); w.Code != c.status {
				t.Errorf("%d %s", w.Code, w.Body.String())
			}
		})
	}
	e := (&keeper{}).entrance("")
	e.All = func(context.Context) ([]store.Token, error) { return nil, errors.New("the disk is full") }
	if w := enter(t, e, &service{}, "Bearer other", "/v1/incidents/7/ack", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body.String())
	}
}

func TestAStoreThatDoesNotAnswerIsNoWrongToken(t *testing.T) {
	t.Parallel()
	k := &keeper{broken: errors.New("the disk is full")}
	k.broken = fmt.Errorf("read a token: %w", k.broken)
	e := k.entrance("")
	e.ByHash = func(context.Context, []byte) (store.Token, error) { return store.Token{}, k.broken }
	if w := enter(t, e, &service{}, "Bearer "+anas, "/v1/incidents/7/ack", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body.String())
	}
}

func TestOnlyAPersonalTokenIsAnIdentityOfItsOwn(t *testing.T) {
	t.Parallel()
	approve := `{"digest":"7b3e91c4","reason":"agreed"}`
	for header, want := range map[string]string{
		"Bearer " + shared: "approve 7b3e91c4 agreed {Name:token How:token Own:false}",
		"Bearer " + anas:   "approve 7b3e91c4 agreed {Name:ana How:token Own:true}",
	} {
		s, k := &service{}, &keeper{}
		if w := enter(t, k.entrance(shared), s, header, "/v1/plans/pln_1/approve", approve); w.Code != http.StatusOK || !slices.Equal(s.told, []string{want}) {
			t.Errorf("%d %q, want %q", w.Code, s.told, want)
		}
	}
	// Nor is the socket, whatever else is said of who asks.
	s := &service{}
	ask(t, s, api.Identity{Name: "ana", Local: true, Own: true}, http.MethodPost, "/v1/plans/pln_1/approve", approve)
	if want := "approve 7b3e91c4 agreed {Name:ana How:socket Own:false}"; !slices.Equal(s.told, []string{want}) {
		t.Errorf("%q", s.told)
	}
}

func TestTheUseOfATokenIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	for _, secret := range []string{anas, "grt_recent", "grt_old", "other", shared} {
		enter(t, k.entrance(shared), &service{}, "Bearer "+secret, "/v1/incidents/7/ack", "")
	}
	if !slices.Equal(k.used, []string{"ana"}) {
		t.Errorf("%q", k.used)
	}
}

func TestRolesIncludeThoseBelow(t *testing.T) {
	t.Parallel()
	roles := api.Roles()
	for i, have := range roles {
		for j, need := range roles {
			if have.Includes(need) != (i >= j) {
				t.Errorf("%s includes %s: %v", have, need, have.Includes(need))
			}
		}
		if have.Includes("") || have.Includes("root") || api.Role("").Includes(have) {
			t.Errorf("%s and a word that is no role", have)
		}
	}
}

func TestSecretsOfTokensAreNotListed(t *testing.T) {
	t.Parallel()
	w := ask(t, &service{}, ana, http.MethodGet, "/v1/tokens", "")
	if want := `{"tokens":[{"name":"ana","role":"approver","created_at":"2027-03-01T12:00:00Z","created_by":""}]}` + "\n"; w.Body.String() != want {
		t.Error(w.Body.String())
	}
}
