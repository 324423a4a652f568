package s3

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// exempted are those that a deny must not lock out.
type exempted struct {
	ours       []string // ARNs of guardroom's own roles
	breakGlass []string
	found      []string // break-glass roles that AWS has shown
	gone       []string // those that are not there
	unseen     []string // those that could not be looked up
	bad        []string // entries that name nobody in particular
	unknown    []string // our own roles that AWS did not name
}

func (e exempted) all() []string {
	list := slices.Concat(e.ours, e.breakGlass)
	slices.Sort(list)
	return slices.Compact(list)
}

// arnForm is an ARN of a user or role. The account may be *: the bucket's.
var arnForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|\*):(role|user)/[\w+=,.@/*?-]+$`)

// findExempt works out who must keep access. It asks AWS whether the break-glass
// roles of this account are there: a wrong list would lock everybody out.
func findExempt(ctx context.Context, a awscalls.AWS, r respond.Request) (exempted, error) {
	var e exempted
	for _, c := range kit.Callers(ctx, a, r) {
		arns := ownARNs(c)
		if len(arns) == 0 && (c.Role != awscalls.Forensics || r.Policy.Forensics.Account != "") {
			e.unknown = append(e.unknown, string(c.Role))
		}
		e.ours = append(e.ours, arns...)
	}
	api, err := a.IAM(ctx, r.Place(awscalls.Read))
	if err != nil {
		return e, err
	}
	for _, entry := range r.Policy.BreakGlass {
		if !arnForm.MatchString(entry) || strings.Trim(path.Base(entry), "*?") == "" {
			e.bad = append(e.bad, entry)
			continue
		}
		entry = strings.Replace(entry, ":iam::*:", ":iam::"+r.Target.Account+":", 1)
		e.breakGlass = append(e.breakGlass, entry)
		if kit.AccountOf(entry) == r.Target.Account {
			e.lookUp(ctx, api, entry)
		}
	}
	return e, nil
}

func (e *exempted) lookUp(ctx context.Context, api awscalls.IAM, arn string) {
	if strings.ContainsAny(arn, "*?") || !strings.Contains(arn, ":role/") {
		e.unseen = append(e.unseen, arn)
		return
	}
	out, err := api.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(path.Base(arn))})
	switch {
	case respond.Is(err, "NoSuchEntity"):
		e.gone = append(e.gone, arn)
	case err != nil:
		e.unseen = append(e.unseen, arn)
	case aws.ToString(out.Role.Arn) != arn:
		e.gone = append(e.gone, arn+" (there is "+aws.ToString(out.Role.Arn)+")")
	default:
		e.found = append(e.found, arn)
	}
}

// ownARNs are the ARNs that aws:PrincipalArn may show for one of our identities.
// The session of a role does not tell the path of the role, and the name of a
// role is unique in its account whatever the path.
func ownARNs(c kit.Caller) []string {
	name, account := c.Name(), kit.AccountOf(c.ARN)
	switch {
	case name == "":
		return nil
	case !c.IsRole():
		return []string{c.ARN}
	}
	prefix := "arn:" + kit.Partition(c.ARN) + ":iam::" + account + ":role/"
	return []string{prefix + name, prefix + "*/" + name}
}

// guards answer whether the list is one that leaves a way in.
func (e exempted) guards(policy respond.Policy) []respond.Guard {
	g := respond.Guard{Name: "break-glass list", Answer: respond.Pass, Hint: "see respond.break_glass; s3-public closes the bucket to the public without such a list"}
	switch {
	case len(policy.BreakGlass) == 0:
		g.Answer, g.Why = respond.Refuse, "it is empty: nobody but guardroom would get into the bucket any more"
	case len(e.bad) > 0:
		g.Answer, g.Why = respond.Refuse, "it holds what names no user or role in particular: "+kit.Join(e.bad)
	case len(e.found)+len(e.unseen) == 0:
		g.Answer, g.Why = respond.Refuse, "none of it is there in this account: "+kit.Join(append(e.gone, "the other accounts' do not help here"))
	case len(e.found) == 0:
		g.Answer, g.Why = respond.Warn, "AWS has not shown that these are there: "+kit.Join(e.unseen)
	case len(e.gone) > 0:
		g.Answer, g.Why = respond.Warn, "these are not there: "+kit.Join(e.gone)
	}
	own := respond.Guard{Name: "guardroom itself", Answer: respond.Pass}
	if len(e.unknown) > 0 {
		own.Answer, own.Why = respond.Refuse, fmt.Sprintf("AWS did not say as whom guardroom works in the role %s: it would lock itself out", kit.Join(e.unknown))
		own.Hint, own.Unsure = "guardroom doctor shows why", true
	}
	return []respond.Guard{g, own}
}
