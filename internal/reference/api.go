package reference

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/api"
)

const apiIntro = `# The API

One API serves the command line in three ways: inside the process when the store is free, over the Unix socket beside
the SQLite file while ` + "`guardroom serve`" + ` runs, and over HTTP at ` + "`listen.address`" + ` (put TLS in front of it, or set
` + "`listen.tls_cert` and `listen.tls_key`" + `).

## Who asks, and what they may

| entrance | the caller is | role | approves as |
| --- | --- | --- | --- |
| in the process, on the socket | the user of the machine, as the kernel says it | admin | one user of the machine, who may be several people |
| ` + "`Authorization: Bearer`" + ` with a personal token | the name of the token | that of the token | a person |
| ` + "`Authorization: Bearer`" + ` with ` + "`listen.api_token`" + ` | ` + "`token`" + ` | admin | nobody in particular |

Only a personal token counts where a plan needs more than one person. ` + "`guardroom token create NAME --role ROLE`" + ` makes one; its
secret is shown once, and only its SHA-256 is kept. While there is no token that opens anything, there is no API on the
network: every path is answered with 404. A token that is wrong, revoked or expired is answered with 401 before
anything of the request is read.

| role | may |
| --- | --- |
| viewer | read everything but tokens |
| responder | and work on incidents and deliveries, make plans, abort runs, verify and export evidence |
| approver | and approve and reject plans, and switch responses off |
| admin | and switch responses on, give and end tokens, back up and prune the store |

## Calls

Bodies are JSON, times RFC 3339 in UTC. Lists take ` + "`limit`" + ` and page by the last element that was seen. ` + "`/v1/revisions` and\n`/v1/audit`" + ` answer with one JSON object a line. The objects are those of [JSON output](json.md). Fields are only added.
[openapi.json](openapi.json) describes all of it for programs; a service answers with it at ` + "`/v1/openapi.json`" + `.

| call | role | |
| --- | --- | --- |
`

const apiOutro = `
Findings from other programs come in at ` + "`POST /v1/findings`" + `, which has its own ways to prove the sender: see
[SNS and other senders over HTTP](../how-to/http-intake.md).

## Errors

An error is an object ` + "`{\"error\": {\"message\", \"safe\", \"hint\", \"code\"}}`" + `: what failed, what is true now, what to do next.

| code | status | |
| --- | --- | --- |
| ` + "`usage`" + ` | 400 | the request is wrong; nothing was attempted |
| ` + "`unauthenticated`" + ` | 401 | nobody knows who asks: there is no token, or it is wrong, revoked or expired |
| ` + "`denied`" + ` | 403 | the caller has not the role, or the thing is not allowed |
| ` + "`not_found`" + ` | 404 | there is no such thing |
| ` + "`conflict`" + ` | 409 | the thing is in a state that does not allow it |
| ` + "`corrupt`" + ` | 422 | verification failed |
| ` + "`unavailable`" + ` | 503 | somebody else does not answer |
| ` + "`internal`" + ` | 500 | ours, or the store's: try again |
`

// API writes docs/reference/api.md from the route table.
func API() string {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "api/routes.go")
	b.WriteString(apiIntro)
	for _, o := range api.Operations() {
		fmt.Fprintf(&b, "| `%s %s` | %s | %s |\n", o.Method, o.Path, o.Role, cell(o.Summary))
	}
	b.WriteString(apiOutro)
	return b.String()
}
