package reference

import (
	"fmt"
	"strings"
)

const jsonIntro = `# JSON output

With ` + "`--json`" + ` every command prints one object a line on standard output, and errors as one object on standard error:

` + "```json" + `
{"error": {"message": "…", "safe": "…", "hint": "…", "code": "usage"}}
` + "```" + `

Keys are snake_case, times RFC 3339 in UTC. Fields are only added; ignore those that you do not know. A field that is marked
*if any* is absent where it is empty. Text from findings is written by others and is printed as it is, escaped as JSON only:
escape it for wherever you put it. The same objects are the answers of [the API](api.md).

| command | prints |
| --- | --- |
| ` + "`finding parse`" + ` | a [parsed finding](#parsed-finding) each; on standard error an error with ` + "`file`, `line`, `offset`, `path`" + ` for each input that is none |
| ` + "`finding import`" + ` | ` + "`{\"type\": \"imported\", …}`" + ` with counts; with ` + "`--wait`" + ` also ` + "`{\"type\": \"delivered\"}`" + `, or ` + "`{\"type\": \"stuck\", \"delivery\": …}`" + ` for each [delivery](#delivery) that needs a person |
| ` + "`finding list`" + ` | a [finding](#finding) each |
| ` + "`finding show`" + ` | ` + "`finding`" + ` and its ` + "`revisions`" + `: a [finding](#finding) and [revisions](#revision) |
| ` + "`finding explain`" + ` | ` + "`finding`" + ` and ` + "`steps`" + `: a [finding](#finding) and [steps](#step) |
| ` + "`finding rejected list`, `show`" + ` | a [rejected input](#rejected-input) |
| ` + "`incident list`, `ack`, `assign`, `note`, `close`, `reopen`" + ` | an [incident](#incident) each |
| ` + "`incident show`" + ` | ` + "`incident`, `timeline`, `findings`, `deliveries`" + ` |
| ` + "`delivery list`, `show`, `retry`, `drop`" + ` | a [delivery](#delivery) each |
| ` + "`destination list`" + ` | a [destination](#destination) each |
| ` + "`rule list`" + ` | a [suppression](#suppression) or [route](#route) each, with its ` + "`type`" + ` |
| ` + "`audit tail`, `export`" + ` | an [audit record](#audit-record) each |
| ` + "`audit verify`" + ` | an [audit report](#audit-report) |
| ` + "`doctor`, `config check --online`" + ` | a [check](#check) each |

`

// jsonObjects are the structs that are printed, in the order of the page.
var jsonObjects = []struct{ title, file, name string }{
	{"Parsed finding", "finding/print.go", "Printed"},
	{"Resource of a parsed finding", "finding/print.go", "PrintedResource"},
	{"Actor of a parsed finding", "finding/print.go", "PrintedActor"},
	{"Action of a parsed finding", "finding/print_action.go", "PrintedAction"},
	{"Finding", "store/findings.go", "Finding"},
	{"Revision", "store/findings.go", "Revision"},
	{"Step", "triage/trace.go", "Step"},
	{"Rejected input", "store/rejected.go", "Rejected"},
	{"Incident", "incident/incident.go", "Incident"},
	{"Lead", "incident/incident.go", "Lead"},
	{"Timeline entry", "incident/incident.go", "Entry"},
	{"Delivery", "notify/delivery.go", "Delivery"},
	{"Failure of a delivery", "notify/delivery.go", "Fault"},
	{"Destination", "api/service.go", "Destination"},
	{"Suppression", "api/service.go", "Suppression"},
	{"Route", "api/service.go", "Route"},
	{"Audit record", "audit/audit.go", "Record"},
	{"Audit report", "audit/audit.go", "Report"},
	{"Fault of the audit chain", "audit/audit.go", "Fault"},
	{"Check", "api/service.go", "Check"},
}

// jsonTypes are the forms of Go types in JSON; every other type of ours is text
// or an object of this page.
var jsonTypes = map[string]string{
	"string": "text", "bool": "true or false", "int": "whole number", "int64": "whole number", "float64": "number",
	"time.Time": "time", "*time.Time": "time or null", "*bool": "true or false", "[]string": "list of text",
	"map[string]string": "text by key", "map[string]any": "object", "map[string]int": "counts by key", "json.RawMessage": "JSON",
	"finding.ID": "text", "ID": "text", "finding.Severity": "number", "Number": "whole number", "incident.Number": "whole number",
	"finding.ResourceKind": "text", "finding.Role": "text", "State": "text", "Verdict": "text", "Kind": "text", "message.Kind": "text",
	"Status": "text", "Class": "text", "Account": "object", "Resource": "object", "Actor": "object", "Lead": "[lead](#lead)",
	"[]Resource": "list of objects", "[]FindingRef": "list of objects", "[]Link": "list of objects", "Head": "object",
	"*Fault": "[failure](#failure-of-a-delivery)", "[]Fault": "list of [faults](#fault-of-the-audit-chain)",
	"PrintedResource": "[resource](#resource-of-a-parsed-finding)", "[]PrintedResource": "list of [resources](#resource-of-a-parsed-finding)",
	"PrintedActor": "[actor](#actor-of-a-parsed-finding)", "PrintedAction": "[action](#action-of-a-parsed-finding)",
}

// JSON writes docs/reference/json.md from the structs below root.
func JSON(root string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "the structs that are printed")
	b.WriteString(jsonIntro)
	for _, o := range jsonObjects {
		f, err := parse(root, o.file)
		if err != nil {
			return "", err
		}
		fields, comments := structs(f, "json")
		if len(fields[o.name]) == 0 {
			return "", fmt.Errorf("%s has no struct %s with JSON names", o.file, o.name)
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| field | is | |\n| --- | --- | --- |\n", o.title, comments[o.name])
		for _, x := range fields[o.name] {
			text := x.comment
			if x.omitted {
				text = strings.TrimSuffix("if any; "+text, "; ")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", x.name, jsonType(x.typ), cell(text))
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func jsonType(typ string) string {
	if words, ok := jsonTypes[typ]; ok {
		return words
	}
	if strings.HasPrefix(typ, "[]") {
		return "list of objects"
	}
	return "object or null"
}
