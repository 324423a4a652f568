package kit

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Caller is one of guardroom's own identities in an account.
type Caller struct {
	Role awscalls.Role `json:"role"`
	// ARN as STS says it: of a user, or of the session of a role.
	ARN   string `json:"arn,omitempty"`
	Error string `json:"error,omitempty"`
}

// Name is the name of the role or the user; empty for others.
func (c Caller) Name() string {
	_, rest, ok := cutResource(c.ARN)
	if !ok {
		return ""
	}
	switch words := strings.Split(rest, "/"); words[0] {
	case "assumed-role":
		if len(words) > 1 {
			return words[1]
		}
	case "user":
		return words[len(words)-1]
	}
	return ""
}

// IsRole reports whether the identity is the session of a role.
func (c Caller) IsRole() bool {
	_, rest, ok := cutResource(c.ARN)
	return ok && strings.HasPrefix(rest, "assumed-role/")
}

// Partition is aws, aws-cn or aws-us-gov, from an ARN; aws where there is none.
func Partition(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 && parts[0] == "arn" && parts[1] != "" {
		return parts[1]
	}
	return "aws"
}

// PartitionOf is the partition of a region.
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// AccountOf is the account in an ARN, or empty.
func AccountOf(arn string) string {
	account, _, _ := cutResource(arn)
	return account
}

func cutResource(arn string) (account, resource string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", "", false
	}
	return parts[4], parts[5], true
}

// Callers asks AWS as whom guardroom works in the target's account, role by
// role. What cannot be asked is said in the answer.
func Callers(ctx context.Context, a awscalls.AWS, r respond.Request) []Caller {
	var out []Caller
	for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
		p := r.Place(role)
		if role == awscalls.Forensics && r.Policy.Forensics.Account != "" {
			p.Account = r.Policy.Forensics.Account
		}
		c := Caller{Role: role}
		id, err := Identity(ctx, a, p)
		if err != nil {
			c.Error = respond.Explain(err, "ask as whom guardroom works", "").Error()
		}
		c.ARN = id
		out = append(out, c)
	}
	return out
}

// Identity asks AWS as whom guardroom works in a place, by ARN.
func Identity(ctx context.Context, a awscalls.AWS, p awscalls.Place) (string, error) {
	api, err := a.STS(ctx, p)
	if err != nil {
		return "", err
	}
	out, err := api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Arn), nil
}

// IsOurs answers whether the user or role with that ARN is guardroom itself.
func IsOurs(callers []Caller, arn string) respond.Guard {
	g := respond.Guard{Name: "guardroom itself", Answer: respond.Pass}
	account, resource, _ := cutResource(arn)
	name := path.Base(resource)
	var unknown []string
	for _, c := range callers {
		same := AccountOf(c.ARN) == account && c.Name() == name && c.IsRole() == strings.HasPrefix(resource, "role/")
		if c.ARN != "" && (c.ARN == arn || same) {
			g.Answer, g.Why = respond.Refuse, fmt.Sprintf("%s is the identity with which guardroom works (%s role)", arn, c.Role)
			g.Hint = "guardroom never locks itself out: a person must look at it with other credentials"
			return g
		}
		if c.Error != "" {
			unknown = append(unknown, string(c.Role))
		}
	}
	if len(unknown) > 0 {
		g.Answer, g.Why = respond.Warn, "AWS did not say as whom guardroom works in the role "+Join(unknown)
	}
	return g
}

// IsBreakGlass answers whether the ARN is one that people keep for the worst day.
func IsBreakGlass(p respond.Policy, arn string) respond.Guard {
	g := respond.Guard{Name: "break-glass", Answer: respond.Pass}
	if slices.ContainsFunc(p.BreakGlass, func(want string) bool { return Like(want, arn) }) {
		g.Answer, g.Why = respond.Refuse, arn+" is in the break-glass list"
		g.Hint = "respond.break_glass lists identities that are never locked out; act by hand"
	}
	return g
}

// NeverTouch answers whether the resource carries the tag that forbids responses.
func NeverTouch(tags map[string]string) respond.Guard {
	g := respond.Guard{Name: "never-touch", Answer: respond.Pass}
	if v, ok := tags[respond.TagNever]; ok && !strings.EqualFold(v, "false") {
		g.Answer, g.Why, g.Hint = respond.Refuse, "it carries the tag "+respond.TagNever, "take the tag off, or act by hand"
	}
	return g
}

// Like reports whether an ARN fits a pattern with * and ?, as in the condition
// ArnLike: each of the six parts of the ARN by itself.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func Like(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != 6 || len(a) != 6 {
		return pattern == arn
	}
	for i := range p {
		if !glob(p[i], a[i]) {
			return false
		}
	}
	return true
}

func glob(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(s); i++ {
				if glob(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
