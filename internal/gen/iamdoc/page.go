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

Everything that guardroom may do in AWS, and why. It changes nothing there but two things, each only where it is
configured: it archives findings, and it writes heads of the audit chain. Leave out what your configuration does not use;
` + "`guardroom doctor`" + ` says what is missing.

guardroom runs with one identity, the **service**: a role of the machine, a profile, or keys from the environment. Where
` + "`aws.read_role`" + ` (or a source's ` + "`role`" + `) is set, it assumes that role in every configured account, as session
` + "`guardroom-read`" + ` and with ` + "`aws.external_id`" + `; that is the **reader**. Without a read role the service needs the
reader's actions itself.

`

const trust = `## Trust

The reader trusts the service, and only together with the external id:

` + "```json" + `
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": { "AWS": "arn:aws:iam::111111111111:role/guardroom" },
      "Action": "sts:AssumeRole",
      "Condition": { "StringEquals": { "sts:ExternalId": "the value of aws.external_id" } }
    }
  ]
}
` + "```" + `

guardroom assumes roles only in accounts that stand in its configuration, never in one that a finding names.
`

// Page is docs/reference/iam.md.
func Page() (string, error) {
	var b strings.Builder
	b.WriteString(intro)
	for _, as := range []string{cloud.AsService, cloud.AsReader} {
		fmt.Fprintf(&b, "## The %s\n\n| step | action | on | needed with | why |\n| --- | --- | --- | --- | --- |\n", as)
		var actions []string
		for _, p := range cloud.Permissions() {
			if p.As != as {
				continue
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", p.Step, p.Action, resource(p.Resource), p.When, p.Why)
			if !slices.Contains(actions, p.Action) {
				actions = append(actions, p.Action)
			}
		}
		policy, err := policy(actions)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\nAll of it in one policy; narrow the resources to yours:\n\n```json\n%s\n```\n\n", policy)
	}
	b.WriteString(trust)
	return b.String(), nil
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
