package iam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Playbooks are those for principals: iam-user, iam-role, iam-root.
func Playbooks() []respond.Playbook { return []respond.Playbook{user{}, role{}, root{}} }

// Actions are what their steps do.
func Actions() []respond.Action {
	return []respond.Action{
		recordUser(), denyUser(), undoDenyUser(), disableKey(), disableRest(), enableKey(), verifyUser(), watchUser(),
		recordRole(), denySession(), denyRole(), denyRoleAgain(), undoDenyRole(), verifyRole(), watchRole(),
		keepTrail(),
	}
}

// Closings is empty: nothing here is opened that must be closed.
func Closings() []respond.Closing { return nil }

// nameForm is the form of names of users and roles.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
var nameForm = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

// sessionForm is the form of the name of a session.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
var sessionForm = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func userType(t respond.Target) string {
	if t.Kind != finding.KindAccessKey {
		return "none"
	}
	kind, principal := strings.ToLower(t.Parts[respond.PartUserType]), t.Parts[respond.PartPrincipalID]
	switch {
	case kind != "":
		return kind
	case strings.HasPrefix(principal, "AIDA"):
		return "iamuser"
	case strings.HasPrefix(principal, "AROA"):
		return "assumedrole"
	case principal != "" && principal == t.Account:
		return "root"
	case strings.HasPrefix(t.Parts[respond.PartAccessKeyID], "AKIA") && t.Parts[respond.PartUserName] != "":
		return "iamuser"
	}
	return ""
}

// policyName is our name for an inline policy, one for each incident.
func policyName(what string, r respond.Request) string {
	return "guardroom-" + what + "-" + r.Incident.Number.String()
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:12]
}

// pages calls f with the marker of each page until there is none.
func pages(f func(marker *string) (next *string, more bool, err error)) error {
	var marker *string
	for {
		next, more, err := f(marker)
		if err != nil || !more || next == nil {
			return err
		}
		marker = next
	}
}

func badName(what, name string) error {
	return fault.New(fault.Usage, fmt.Sprintf("%q is no name of %s", name, what), "look at the finding: guardroom incident show")
}

func foreign(what, arn, account string) error {
	f := fault.New(fault.Denied, fmt.Sprintf("%s is %s, which is not in account %s that the finding names", what, arn, account), "look at the finding; nothing is done in another account than its own")
	f.Safe = "nothing was changed"
	return f
}

func otherOne(what, is, was string) error {
	f := fault.New(fault.Conflict, fmt.Sprintf("%s has the id %s now, and the finding is about %s: it was deleted and made again", what, is, was), "look at the one that there is now, and act by hand")
	f.Safe = "nothing was changed"
	return f
}

// onIAM looks with the read role.
func onIAM(x *respond.Exec, f func(ctx context.Context, api awscalls.IAM) error) error {
	return x.Look(func(ctx context.Context) error {
		api, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
		if err != nil {
			return err
		}
		return f(ctx, api)
	})
}

// sizeGuard answers whether one more inline policy fits.
func sizeGuard(inline map[string]string, name, doc string, limit int) respond.Guard {
	sum := kit.Weight(doc)
	for n, d := range inline {
		if n != name {
			sum += kit.Weight(d)
		}
	}
	g := respond.Guard{Name: "size of the inline policies", Answer: respond.Pass}
	if sum > limit {
		g.Answer, g.Why = respond.Warn, fmt.Sprintf("with ours they would have %d characters, and AWS allows %d", sum, limit)
	}
	return g
}

// watchAt are the times after the start at which a change of IAM is looked at
// again: it takes effect in seconds to minutes.
var watchAt = [...]int{30, 120, 300}

// watch looks again at each of those times.
func watch(x *respond.Exec, look func() ([]string, error)) (playbook.Outcome, error) {
	for _, s := range watchAt {
		if err := x.Sleep(sinceStart(x, s)); err != nil {
			return playbook.Outcome{}, err
		}
		missing, err := look()
		if err != nil {
			return playbook.Outcome{}, err
		}
		if len(missing) > 0 {
			f := fault.New(fault.Conflict, "it does not hold: "+kit.Join(missing), "look who changed it, and make a new plan")
			f.Safe = "what was done before stays"
			return playbook.Outcome{}, playbook.Permanent(f)
		}
	}
	return playbook.Outcome{Message: "it held after 30 s, 2 and 5 minutes"}, nil
}

// sinceStart is how long it is until so many seconds after the step's start.
func sinceStart(x *respond.Exec, seconds int) time.Duration {
	return x.Started().Add(time.Duration(seconds) * time.Second).Sub(x.Now())
}
