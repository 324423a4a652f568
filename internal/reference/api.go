package reference

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/api"
)

const apiIntro = `# The API

One API serves the command line in three ways: inside the process when the store is free, over the Unix socket beside
the SQLite file while ` + "`guardroom serve`" + ` runs, and over HTTP at ` + "`listen.address`" + ` where ` + "`listen.api_token`" + ` is set (put TLS in front
of it, or set ` + "`listen.tls_cert` and `listen.tls_key`" + `). On the socket the caller is the user of the peer's process, as the kernel
says it; over HTTP it is ` + "`token`" + `. A call without identity is refused.

Bodies are JSON, times RFC 3339 in UTC. Lists take ` + "`limit`" + ` and page by the last element that was seen. ` + "`/v1/revisions` and\n`/v1/audit`" + ` answer with one JSON object a line. The objects are those of [JSON output](json.md). Fields are only added.

| call | |
| --- | --- |
`

const apiOutro = `
Findings from other programs come in at ` + "`POST /v1/findings`" + `, which has its own ways to prove the sender: see
[SNS and other senders over HTTP](../how-to/http-intake.md).

## Errors

An error is an object ` + "`{\"error\": {\"message\", \"safe\", \"hint\", \"code\"}}`" + `: what failed, what is true now, what to do next.

| code | status | |
| --- | --- | --- |
| ` + "`usage`" + ` | 400 | the request is wrong; nothing was attempted |
| ` + "`denied`" + ` | 403 | not allowed |
| ` + "`not_found`" + ` | 404 | there is no such thing |
| ` + "`conflict`" + ` | 409 | the thing is in a state that does not allow it |
| ` + "`corrupt`" + ` | 422 | verification failed |
| ` + "`unavailable`" + ` | 503 | somebody else does not answer |
| ` + "`internal`" + ` | 500 | ours, or the store's: try again |
`

// API writes docs/reference/api.md from the route table.
func API() string {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "api/handler.go")
	b.WriteString(apiIntro)
	for _, o := range api.Operations() {
		fmt.Fprintf(&b, "| `%s %s` | %s |\n", o.Method, o.Path, cell(o.Summary))
	}
	b.WriteString(apiOutro)
	return b.String()
}
