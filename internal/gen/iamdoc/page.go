package iamdoc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/cloud"
)

const intro = `# AWS permissions

<!-- Made from cloud/permissions.go by go generate ./internal/gen/iamdoc. Do not edit. -->

Everything that guardroom may do in AWS, and why. Leave out what your configuration does not use; ` + "`guardroom doctor`" + ` says
what is missing.

guardroom runs with one identity, the **service**: a role of the machine, a profile, or keys from the environment. It
assumes up to three roles, each with ` + "`aws.external_id`" + `:

| role | configured as | in | session | may |
| --- | --- | --- | --- | --- |
| **reader** | ` + "`aws.read_role`, or a source's `role`" + ` | every configured account | ` + "`guardroom-read`" + `, or the incident | describe; archive findings |
| **actor** | ` + "`respond.act_role`" + ` | every account in which guardroom responds | the incident, as INC-42 | contain, preserve, undo |
| **examiner** | ` + "`respond.forensics_role`" + ` | the forensic account | the incident | keep, hash and examine evidence |

Without a read role the service needs the reader's actions itself. Without an act role nothing is ever changed but what
the service and the reader do: findings are archived and heads of the audit chain written, each only where it is configured.

` + "`guardroom iam policy --role read|act|forensics`" + ` prints the policies below, each short enough for a managed policy; a role
needs all of them. What a role is denied stands in its first policy: attach that one first. ` + "`--part N`" + ` prints one of them, for a
file of its own. Where ` + "`respond.forensics_role`" + ` is empty the actor does the examiner's part as well, and needs those policies too.
` + "`--partition aws-cn`" + ` or ` + "`aws-us-gov`" + ` prints them for China or GovCloud, where the names of AWS are others, and
` + "`--lock-days`" + ` for a ` + "`respond.evidence.lock_days`" + ` above 365. Words in capitals stand for what is yours:

| word | is |
| --- | --- |
| ` + "`FORENSIC-ACCOUNT`" + ` | the number in ` + "`respond.forensics.account`" + ` |
| ` + "`EVIDENCE-BUCKET`" + ` | the bucket in ` + "`respond.evidence.url`" + ` |
| ` + "`WORKSTATION-ROLE`" + ` | the role in ` + "`respond.forensics.profile`" + ` |
| ` + "`MEMORY-DOCUMENT`" + ` | the SSM document for memory |
| ` + "`IMAGE-PARAMETER`" + ` | the parameter in ` + "`respond.forensics.image`" + `, as ` + "`my/image`" + ` for ` + "`ssm:/my/image`" + `; leave it out for a public one |

`

const trust = `## Trust

Each role trusts the service, and only together with the external id. ` + "`guardroom iam policy --role act --trust 111111111111`" + `
prints this:

` + "```json" + `
%s` + "```" + `

Narrow the principal to the role that guardroom runs with. guardroom assumes roles only in accounts that stand in its
configuration, never in one that a finding names. The source identity of the actor and the examiner is the incident, so that
CloudTrail shows for which one a call was made.

## How much the actor may

A policy that denies is written by the calls that write any policy: whoever has the actor's session may write one that allows, for
any role or user of the account that is not named guardroom…, and is as powerful as an administrator. So guard it as one: let only
guardroom's own role assume it, alarm on each AssumeRole of it in CloudTrail, and bound it from outside, by a permissions boundary
on the roles and users of the account or by a service control policy. The denials above hold what guardroom must not do by mistake;
they do not hold somebody who rules the actor. Without the playbooks for users and roles leave the steps **revoke** and **user** out.

An undo gives back a share that was taken away, so the actor may share any snapshot or image of the account that guardroom did not
make with any other account, though not with everybody. Without the playbooks for shares leave the step **sharing** out.
`

// Page is docs/reference/iam.md.
func Page() (string, error) {
	var b strings.Builder
	b.WriteString(intro)
	for _, as := range []string{cloud.AsService, cloud.AsReader, cloud.AsActor, cloud.AsExaminer} {
		fmt.Fprintf(&b, "## The %s\n\n| step | actions | on | needed with | why |\n| --- | --- | --- | --- | --- |\n", as)
		rows := rowsOf(as)
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Step, code(r.actions), resource(r.Resource), r.When, r.Why)
		}
		if err := denials(&b, as); err != nil {
			return "", err
		}
		if err := policies(&b, as, rows); err != nil {
			return "", err
		}
	}
	doc, err := cloud.Trust("111111111111", "the value of aws.external_id", cloud.Site{}).JSON()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, trust, doc)
	return b.String(), nil
}

// row is the lines of the table that differ in their actions only.
type row struct {
	cloud.Permission
	actions []string
}

func rowsOf(as string) []row {
	var out []row
	for _, p := range cloud.Permissions() {
		if p.As != as {
			continue
		}
		at := slices.IndexFunc(out, func(r row) bool {
			return r.Step == p.Step && r.Resource == p.Resource && r.When == p.When && r.Why == p.Why
		})
		if at < 0 {
			at = len(out)
			out = append(out, row{Permission: p})
		}
		if !slices.Contains(out[at].actions, p.Action) {
			out[at].actions = append(out[at].actions, p.Action)
		}
	}
	return out
}

func code(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// denials are what the policies of a role forbid.
func denials(b *strings.Builder, as string) error {
	head := "\nDenied, whatever else is allowed:\n\n| name | actions | on | why |\n| --- | --- | --- | --- |\n"
	for _, d := range cloud.Denials() {
		if d.As != as {
			continue
		}
		if _, err := fmt.Fprintf(b, "%s| %s | %s | %s | %s |\n", head, d.Name, code(d.Actions), code(d.ARNs), d.Why); err != nil {
			return err
		}
		head = ""
	}
	return nil
}

func policies(b *strings.Builder, as string, rows []row) error {
	role := cloud.RoleOf(as)
	if role == "" {
		var actions []string
		for _, r := range rows {
			for _, a := range r.actions {
				if !slices.Contains(actions, a) {
					actions = append(actions, a)
				}
			}
		}
		doc, err := policy(actions)
		fmt.Fprintf(b, "\nAll of it in one policy; narrow the resources to yours:\n\n```json\n%s\n```\n\n", doc)
		return err
	}
	list, err := cloud.Policies(role, cloud.Site{})
	if err != nil {
		return err
	}
	for i, p := range list {
		doc, err := p.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "\n<details><summary>Policy %d of %d, as <code>guardroom iam policy --role %s</code> prints it</summary>\n\n```json\n%s```\n\n</details>\n", i+1, len(list), role, doc)
	}
	b.WriteString("\n")
	return nil
}

// resource prints patterns as code and words as words.
func resource(r string) string {
	if r == "*" || strings.HasPrefix(r, "arn:") {
		return "`" + r + "`"
	}
	return r
}

func policy(actions []string) (string, error) {
	type statement struct {
		Effect, Resource string
		Action           []string
	}
	b, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{Effect: "Allow", Action: actions, Resource: "*"}}}, "", "  ")
	return string(b), err
}
