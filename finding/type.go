package finding

import "strings"

// Type is a finding type, Purpose:Resource/Family[.Mechanism][!Artifact]. Any
// string is accepted: types are free strings in the API model, and AWS adds
// some every month.
type Type struct {
	Name      string // as received: UnauthorizedAccess:EC2/SSHBruteForce
	Purpose   string
	Resource  string // the word in the type, not the kind of resource
	Family    string
	Mechanism string // empty where absent
	Artifact  string // empty where absent
}

// ParseType splits s by the grammar of types. Parts that s does not have stay
// empty; it never fails.
func ParseType(s string) Type {
	t := Type{Name: s}
	rest := s
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		t.Purpose, rest = rest[:i], rest[i+1:]
	} else {
		t.Family = rest
		return t
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		t.Resource, rest = rest[:i], rest[i+1:]
	}
	if i := strings.IndexByte(rest, '!'); i >= 0 {
		rest, t.Artifact = rest[:i], rest[i+1:]
	}
	if i := strings.IndexByte(rest, '.'); i >= 0 {
		rest, t.Mechanism = rest[:i], rest[i+1:]
	}
	t.Family = rest
	return t
}

// String returns the type as received.
func (t Type) String() string { return t.Name }

// IsSequence reports whether findings of this type are attack sequences.
func (t Type) IsSequence() bool { return strings.EqualFold(t.Purpose, "AttackSequence") }
