package safety

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

// Own is what guardroom itself lives on, and what nobody may respond to in any
// case. Whoever could make us cut that off would blind us with our own hands.
type Own struct {
	Accounts []Named
	// Resources are ARNs, with * and ?, or ids: of instances, buckets, functions,
	// databases.
	Resources []Named
	// Identities are the roles that guardroom's processes have before they assume
	// any: patterns of ARNs. What works as one of them may be one of its workers.
	Identities []Named
	// Unknown is what could not be found out, in words.
	Unknown []string
}

// Named is a name and what it is.
type Named struct{ Name, What string }

// Has reports what the target is where it is one of these; empty: it is none.
func (o Own) Has(t respond.Target) string {
	if at := slices.IndexFunc(o.Accounts, func(n Named) bool { return n.Name == t.Account }); at >= 0 {
		return fmt.Sprintf("account %s is %s", t.Account, o.Accounts[at].What)
	}
	ids := []string{t.ID, t.Name}
	if t.Kind == finding.KindS3Object {
		bucket, _, _ := strings.Cut(t.ID, "/")
		ids = append(ids, bucket)
	}
	for _, n := range o.Resources {
		pattern := strings.HasPrefix(n.Name, "arn:")
		if n.Name != "" && (pattern && t.ARN != "" && kit.Like(n.Name, t.ARN) || !pattern && slices.Contains(ids, n.Name)) {
			return fmt.Sprintf("%s is %s", t.ID, n.What)
		}
	}
	return ""
}

// Worker refuses what would change a resource that holds the credentials which
// guardroom itself has: it may be another of its workers.
func Worker(q Question, t respond.Target, w respond.World, changes bool) respond.Guard {
	const name = "guardroom's own"
	if !changes || w.Untouched || w.WorksAs == "" {
		return pass(name)
	}
	for _, n := range q.Own.Identities {
		if kit.Like(n.Name, w.WorksAs) {
			return refuse(name, fmt.Sprintf("%s works as %s, %s: it may be one of its workers", t.ID, w.WorksAs, n.What), "give guardroom a role of its own, or respond by hand")
		}
	}
	return pass(name)
}

// own refuses what guardroom lives on.
func own(q Question) respond.Guard {
	const name = "guardroom's own"
	for _, t := range append([]respond.Target{q.Target}, q.Parts...) {
		if what := q.Own.Has(t); what != "" {
			return refuse(name, what, "a person must look at it, with other credentials than guardroom's")
		}
	}
	if len(q.Own.Unknown) > 0 {
		return warn(name, "it is not known "+strings.Join(q.Own.Unknown, ", nor "), "look whether it is one of them; respond.protect names them whatever AWS answers")
	}
	return pass(name)
}
