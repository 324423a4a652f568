package s3

import (
	"context"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Playbooks are those for buckets and objects: s3-bucket, s3-public, s3-object.
func Playbooks() []respond.Playbook {
	return []respond.Playbook{bucket{}, bucket{publicOnly: true}, object{}}
}

// Actions are what their steps do.
func Actions() []respond.Action {
	return []respond.Action{
		recordBucket(), addStatement(), restorePolicy(), blockPublic(), restoreBlock(), switchVersioning(), restoreVersioning(), verifyBucket(),
		recordObject(), tagObject(), untagObject(), verifyObject(),
	}
}

// Closings is empty: nothing here is opened that must be closed.
func Closings() []respond.Closing { return nil }

// brief bounds the steps of containment, and those that it waits for.
const brief = 5 * time.Minute

// on calls S3 with a role at the place of the step.
func on(ctx context.Context, x *respond.Exec, role awscalls.Role) (awscalls.S3, error) {
	return x.AWS.S3(ctx, x.In(role, x.Def.Account, x.Def.Region))
}

func internal(what string, err error) error {
	if err == nil {
		return fault.New(fault.Internal, what, "")
	}
	return fault.Wrap(fault.Internal, err, what, "nothing was changed", "")
}

// sid is a word for our statement, of letters and digits: GuardroomContainINC42.
func sid(what string, r respond.Request) string {
	return "Guardroom" + what + strings.ReplaceAll(r.Incident.Number.String(), "-", "")
}

// Suits reports whether the playbook is the one to take where nobody named any:
// a bucket is closed to all but a list only where there is such a list.
func (b bucket) Suits(p respond.Policy) bool { return b.publicOnly || len(p.BreakGlass) > 0 }
