package api

import (
	"context"
	"net/http"
	"slices"
)

type whoKey struct{}

// Identity is who asks, as the entrance found out.
type Identity struct {
	Name string
	// Local says that the asker is a user of this machine, who may name files
	// on it, and who is an admin: the store is that user's file.
	Local bool
	// Role is what the asker may do; empty: nothing.
	Role Role
	// Own says that Name stands for one person: a personal token does, the
	// socket and the token of the configuration do not.
	Own bool
}

// WithIdentity returns a context in which requests are made by who. Entrances
// call it; nothing in a request does.
func WithIdentity(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, whoKey{}, who)
}

// Proven reports whether the request of this context is made by one person, who
// proved to be that one.
func Proven(ctx context.Context) bool {
	who, _ := ctx.Value(whoKey{}).(Identity)
	return who.approver().Own
}

func identityOf(r *http.Request) Identity {
	who, _ := r.Context().Value(whoKey{}).(Identity)
	return who
}

func identity(r *http.Request) string { return identityOf(r).Name }

func (i Identity) role() Role {
	if i.Local {
		return Admin
	}
	return i.Role
}

func (i Identity) may(least Role) bool { return i.role().Includes(least) }

// approver is who asks, as a plan's approvals want to know it.
func (i Identity) approver() Approver {
	a := Approver{Name: i.Name, How: "token", Own: i.Own}
	if i.Local {
		a.How, a.Own = "socket", false
	}
	return a
}

// Roles are all roles; each may do what those before it may.
func Roles() []Role { return []Role{Viewer, ResponderRole, ApproverRole, Admin} }

// Includes reports whether whoever has the role may do what least may. A word
// that is no role may do nothing.
func (r Role) Includes(least Role) bool {
	have, need := slices.Index(Roles(), r), slices.Index(Roles(), least)
	return need >= 0 && have >= need
}
