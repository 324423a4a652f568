package sharing

import (
	"context"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// share is one with whom something is shared: account:111122223333, group:all,
// org:ARN, ou:ARN.
type share string

// The kinds of shares.
const (
	account = "account:"
	group   = "group:"
	org     = "org:"
	unit    = "ou:"
)

// everybody is the share with all accounts of AWS.
const everybody = share(group + "all")

func (s share) cut() (kind, value string) {
	i := strings.IndexByte(string(s), ':') + 1
	return string(s[:i]), string(s[i:])
}

// String is for people.
func (s share) String() string {
	kind, value := s.cut()
	switch {
	case s == everybody:
		return "everybody"
	case kind == account:
		return "account " + value
	case kind == group:
		return "group " + value
	}
	return value
}

func words(list []share) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, s.String())
	}
	return out
}

func sorted(list []share) []share {
	slices.Sort(list)
	return slices.Compact(list)
}

// minus is a without b.
func minus(a, b []share) []share {
	out := []share{}
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// thing is something that is shared, as AWS shows it.
type thing struct {
	ID     string            `json:"id"`
	ARN    string            `json:"arn"`
	Name   string            `json:"name,omitempty"`
	Owner  string            `json:"owner"`
	State  string            `json:"state"`
	Type   string            `json:"type,omitempty"` // manual or automated, of a database
	Key    string            `json:"key,omitempty"`  // of KMS
	Source string            `json:"source,omitempty"`
	Backed []string          `json:"snapshots,omitempty"` // of an image
	Tags   map[string]string `json:"tags,omitempty"`
	Shares []share           `json:"shares"`
}

// kind is how one kind of thing is described and shared.
type kind struct {
	name    string // of the playbook
	summary string
	noun    string
	service string // for the names of actions: ebs, image, rds, rds-cluster
	read    []string
	modify  string // the call that changes
	// id takes the id out of a target; empty: it is none of this kind.
	id       func(t respond.Target) string
	describe func(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (thing, error)
	shares   func(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) ([]share, error)
	change   func(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, add, remove []share) error
	// trial is the input of a change that changes nothing: it takes away the share
	// with an account that has none. nil: the service has no dry run.
	trial func(id, with string) any
}

func kinds() []kind { return []kind{snapshotKind(), imageKind(), dbSnapshotKind(), dbClusterKind()} }
