package main

import (
	"fmt"
	"regexp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// IamCmd is about permissions in AWS.
type IamCmd struct {
	Policy IamPolicyCmd `cmd:"" help:"Print the policies of a role, with exactly what guardroom needs."`
}

// IamPolicyCmd prints policies.
type IamPolicyCmd struct {
	Role      string `required:"" help:"read, act or forensics." enum:"read,act,forensics"`
	Part      int    `help:"Only this one of several policies; each is short enough for a managed policy." placeholder:"N"`
	Partition string `help:"Of AWS: aws, aws-cn or aws-us-gov." enum:"aws,aws-cn,aws-us-gov" default:"aws"`
	LockDays  int    `help:"Allow locks of snapshots for so many days at most." default:"365" placeholder:"N"`
	Trust     string `help:"Print who may assume the role instead: guardroom's own account." placeholder:"ACCOUNT"`
}

// Help shows examples.
func (IamPolicyCmd) Help() string {
	return "Words in capitals stand for what is yours: see docs/reference/iam.md.\n\nExamples:\n  guardroom iam policy --role read > read.json\n  guardroom iam policy --role act --part 1 > act-1.json\n  guardroom iam policy --role act --part 2 > act-2.json\n  guardroom iam policy --role act --trust 111111111111 > trust.json"
}

// externalID stands for the value of aws.external_id, which is a secret.
const externalID = "EXTERNAL-ID"

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

// policyLine is one object of --json.
type policyLine struct {
	Type     string       `json:"type"` // policy, trust
	Role     string       `json:"role"`
	Part     int          `json:"part"`
	Parts    int          `json:"parts"`
	Document cloud.Policy `json:"document"`
}

// Run prints the policies of a role. It asks nobody.
func (c *IamPolicyCmd) Run(e *env) error {
	if c.LockDays < 1 || c.LockDays > 36500 {
		return fault.New(fault.Usage, fmt.Sprintf("a snapshot is locked for 1 to 36500 days, not for %d", c.LockDays), "take the value of respond.evidence.lock_days")
	}
	site := cloud.Site{Partition: c.Partition, LockDays: c.LockDays}
	if c.Trust != "" {
		if !accountForm.MatchString(c.Trust) {
			return fault.New(fault.Usage, fmt.Sprintf("%q is no AWS account", c.Trust), "an account has twelve digits")
		}
		return e.policies("trust", c.Role, 1, []cloud.Policy{cloud.Trust(c.Trust, externalID, site)})
	}
	list, err := cloud.Policies(awscalls.Role(c.Role), site)
	if err != nil {
		return err
	}
	if c.Part < 0 || c.Part > len(list) {
		return fault.New(fault.Usage, fmt.Sprintf("there is no part %d: the role %s has %d", c.Part, c.Role, len(list)), "guardroom iam policy --role "+c.Role)
	}
	if c.Part > 0 {
		return e.policies("policy", c.Role, len(list), list[c.Part-1:c.Part])
	}
	if len(list) > 1 && !e.JSON {
		e.say("note: these are %d policies, and the role needs all, the first one first: it has what is denied; --part N prints one for a file of its own", len(list))
	}
	return e.policies("policy", c.Role, len(list), list)
}

func (e *env) policies(kind, role string, parts int, list []cloud.Policy) error {
	for i, p := range list {
		if e.JSON {
			if err := e.object(policyLine{Type: kind, Role: role, Part: i + 1, Parts: parts, Document: p}); err != nil {
				return err
			}
			continue
		}
		b, err := p.JSON()
		if err != nil {
			return err
		}
		e.printf("%s", b)
	}
	return nil
}
