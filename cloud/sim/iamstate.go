package sim

import (
	"fmt"
	"regexp"
	"time"
)

// iamState is what an account has of IAM.
type iamState struct {
	Users    map[string]*User            `json:"users,omitempty"`
	Roles    map[string]*Role            `json:"roles,omitempty"`
	Profiles map[string]*InstanceProfile `json:"profiles,omitempty"`
}

// User is a user of IAM. What is left out when it is added is filled in.
type User struct {
	Name    string    `json:"name"`
	Path    string    `json:"path,omitempty"`
	ID      string    `json:"id"`
	ARN     string    `json:"arn"`
	Created time.Time `json:"created"`
	// Password reports whether the user may sign in to the console.
	Password bool `json:"password,omitempty"`
	// MFA are serial numbers, Groups names, Attached ARNs of managed policies.
	MFA      []string             `json:"mfa,omitempty"`
	Groups   []string             `json:"groups,omitempty"`
	Attached []string             `json:"attached,omitempty"`
	Keys     []*AccessKey         `json:"keys,omitempty"`
	Inline   map[string]*identity `json:"inline,omitempty"`
	Tags     map[string]string    `json:"tags,omitempty"`
}

// AccessKey is a long-term key of a user.
type AccessKey struct {
	ID      string    `json:"id"`
	Active  bool      `json:"active"`
	Created time.Time `json:"created"`
	// Used is when it was used last, with which service, in which region; zero: never.
	Used    time.Time `json:"used,omitzero"`
	Service string    `json:"service,omitempty"`
	Region  string    `json:"region,omitempty"`
	// Changed is when Active changed last.
	Changed time.Time `json:"changed,omitzero"`
}

// Role is a role of IAM. What is left out when it is added is filled in.
type Role struct {
	Name    string               `json:"name"`
	Path    string               `json:"path,omitempty"`
	ID      string               `json:"id"`
	ARN     string               `json:"arn"`
	Created time.Time            `json:"created"`
	Trust   string               `json:"trust,omitempty"`
	Inline  map[string]*identity `json:"inline,omitempty"`
	Tags    map[string]string    `json:"tags,omitempty"`
	// Sessions are those that are known to have been issued.
	Sessions []Principal `json:"sessions,omitempty"`
}

// InstanceProfile holds the role of instances; its name need not be the role's.
type InstanceProfile struct {
	Name    string    `json:"name"`
	Path    string    `json:"path,omitempty"`
	ID      string    `json:"id"`
	ARN     string    `json:"arn"`
	Created time.Time `json:"created"`
	Role    string    `json:"role,omitempty"`
}

// identity is an inline policy with what it was before, for propagation.
type identity struct {
	Document string    `json:"document"` // empty: deleted
	Since    time.Time `json:"since,omitzero"`
	Before   *identity `json:"before,omitempty"`
}

// Principal is somebody who asks AWS for something: a session of a role, a user
// with a key, or nobody known (the zero value).
type Principal struct {
	Account string `json:"account"`
	// UserID is aws:userid: ROLEID:SESSION, or the id of the user.
	UserID string `json:"user_id"`
	Role   string `json:"role,omitempty"`
	User   string `json:"user,omitempty"`
	// Key is the long-term key; empty for sessions.
	Key string `json:"key,omitempty"`
	// Issued and Expires are of a session.
	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

const (
	roleInline   = 10240
	userInline   = 2048
	sessionLives = 6 * time.Hour
)

var policyName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

func noSuchEntity(format string, args ...any) error { return fail("NoSuchEntity", format, args...) }

func (a *account) user(name string) (*User, error) {
	if u := a.IAM.Users[name]; u != nil {
		return u, nil
	}
	return nil, noSuchEntity("The user with name %s cannot be found.", name)
}

func (a *account) role(name string) (*Role, error) {
	if r := a.IAM.Roles[name]; r != nil {
		return r, nil
	}
	return nil, noSuchEntity("The role with name %s cannot be found.", name)
}

func (a *account) profile(name string) (*InstanceProfile, error) {
	if p := a.IAM.Profiles[name]; p != nil {
		return p, nil
	}
	return nil, noSuchEntity("Instance Profile %s cannot be found.", name)
}

// AddUser adds a user to an account.
func (e *Editor) AddUser(accountID string, u User) *User {
	a, _ := e.w.at(accountID, "us-east-1")
	u.Path = orText(u.Path, "/")
	u.ID = orText(u.ID, e.w.id("AIDA"))
	u.ARN = "arn:aws:iam::" + accountID + ":user" + u.Path + u.Name
	u.Created = orTime(u.Created, e.w.now().Add(-90*24*time.Hour))
	put(&a.IAM.Users, u.Name, &u)
	return &u
}

// AddAccessKey adds a key to a user, who must be there.
func (e *Editor) AddAccessKey(accountID, user string, k AccessKey) *AccessKey {
	u := e.User(accountID, user)
	k.ID = orText(k.ID, e.w.id("AKIA"))
	k.Created = orTime(k.Created, e.w.now().Add(-30*24*time.Hour))
	u.Keys = append(u.Keys, &k)
	return &k
}

// AddRole adds a role to an account.
func (e *Editor) AddRole(accountID string, r Role) *Role {
	a, _ := e.w.at(accountID, "us-east-1")
	r.Path = orText(r.Path, "/")
	r.ID = orText(r.ID, e.w.id("AROA"))
	r.ARN = "arn:aws:iam::" + accountID + ":role" + r.Path + r.Name
	r.Created = orTime(r.Created, e.w.now().Add(-90*24*time.Hour))
	r.Trust = orText(r.Trust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	put(&a.IAM.Roles, r.Name, &r)
	return &r
}

// AddInstanceProfile adds an instance profile to an account.
func (e *Editor) AddInstanceProfile(accountID string, p InstanceProfile) *InstanceProfile {
	a, _ := e.w.at(accountID, "us-east-1")
	p.Path = orText(p.Path, "/")
	p.ID = orText(p.ID, e.w.id("AIPA"))
	p.ARN = "arn:aws:iam::" + accountID + ":instance-profile" + p.Path + p.Name
	p.Created = orTime(p.Created, e.w.now().Add(-90*24*time.Hour))
	put(&a.IAM.Profiles, p.Name, &p)
	return &p
}

// AddSession issues credentials of a role, which must be there, for six hours.
func (e *Editor) AddSession(accountID, role, session string, issued time.Time) Principal {
	r := e.Role(accountID, role)
	p := Principal{Account: accountID, Role: role, UserID: r.ID + ":" + session, Issued: issued.UTC(), Expires: issued.UTC().Add(sessionLives)}
	r.Sessions = append(r.Sessions, p)
	return p
}

// PutRolePolicy sets an inline policy of a role, as a colleague would; an empty
// document deletes it.
func (e *Editor) PutRolePolicy(accountID, role, name, document string) {
	r := e.Role(accountID, role)
	e.w.setInline(&r.Inline, name, document)
}

// PutUserPolicy sets an inline policy of a user, as a colleague would; an empty
// document deletes it.
func (e *Editor) PutUserPolicy(accountID, user, name, document string) {
	u := e.User(accountID, user)
	e.w.setInline(&u.Inline, name, document)
}

// User returns a user that must be there.
func (e *Editor) User(accountID, name string) *User {
	a, _ := e.w.at(accountID, "us-east-1")
	return must(a.user(name))
}

// Role returns a role that must be there.
func (e *Editor) Role(accountID, name string) *Role {
	a, _ := e.w.at(accountID, "us-east-1")
	return must(a.role(name))
}

// InlinePolicy returns an inline policy of a role, or of a user, as it is
// written now; empty: none.
func (r *Role) InlinePolicy(name string) string { return inline(r.Inline, name) }

// InlinePolicy returns an inline policy of a user as it is written now; empty: none.
func (u *User) InlinePolicy(name string) string { return inline(u.Inline, name) }

func inline(m map[string]*identity, name string) string {
	if p := m[name]; p != nil {
		return p.Document
	}
	return ""
}

// setInline writes a policy, or deletes it when the document is empty. What was
// before is kept only for as long as it has an effect.
func (w *World) setInline(m *map[string]*identity, name, document string) {
	if w.opts.Propagation <= 0 {
		if document == "" {
			delete(*m, name)
			return
		}
		put(m, name, &identity{Document: document})
		return
	}
	p := &identity{Document: document, Since: w.now(), Before: (*m)[name]}
	for q := p; q != nil; q = q.Before {
		if !q.Since.After(w.now().Add(-w.opts.Propagation)) {
			q.Before = nil
		}
	}
	put(m, name, p)
}

// written are the names of the policies that are there now.
func written(m map[string]*identity) []string {
	var names []string
	for _, n := range keysOf(m) {
		if m[n].Document != "" {
			names = append(names, n)
		}
	}
	return names
}

// in is the document that has its effect at a time.
func (p *identity) in(at time.Time) string {
	for ; p != nil; p = p.Before {
		if !p.Since.After(at) {
			return p.Document
		}
	}
	return ""
}

// profileByARN finds an instance profile by its ARN; nil: none.
func (a *account) profileByARN(arn string) *InstanceProfile {
	for _, p := range a.IAM.Profiles {
		if p.ARN == arn {
			return p
		}
	}
	return nil
}

// must is for editing: who builds a world names what is in it.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("edit the simulated world: %v", err))
	}
	return v
}
