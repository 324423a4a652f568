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
| ` + "`playbook list`, `show`" + ` | a [playbook](#playbook) each |
| ` + "`plan list`" + ` | a [stored plan](#stored-plan) each |
| ` + "`plan create`, `show`, `approve`, `reject`, `run undo`" + ` | ` + "`row` and `plan`" + `: a [stored plan](#stored-plan) and the [plan](#plan) itself. Its canonical bytes: ` + "`plan show --canonical`" + ` |
| ` + "`run list`, `abort`" + ` | a [run](#run) each |
| ` + "`run show`" + ` | ` + "`run`, `plan`, `progress`, `steps` and `version`" + `: a [run](#run), its [plan](#plan), how it stands as [progress](#progress), and the [records of its steps](#record-of-a-step) |
| ` + "`run watch`" + ` | ` + "`{\"type\": \"step\", \"run\": …}`" + ` with a [step's progress](#progress-of-a-step) for each change, and ` + "`{\"type\": \"run\"}`" + ` with the [progress](#progress) when its state changes |
| ` + "`respond status`, `off`, `on`" + ` | the [switch](#switch) |
| ` + "`evidence list`" + ` | ` + "`{\"type\": \"item\", \"incident\", \"run\"}`" + ` with an [item of evidence](#item-of-evidence) each, and ` + "`{\"type\": \"gap\", \"run\"}`" + ` with a [gap](#gap-of-evidence) each |
| ` + "`evidence show`" + ` | ` + "`items`, `gaps`, `custody` and `manifests`" + ` |
| ` + "`evidence verify`" + ` | an [evidence report](#evidence-report) |
| ` + "`evidence export`" + ` | ` + "`{\"type\": \"exported\", \"incident\", \"to\", \"files\", \"bytes\"}`" + ` |
| ` + "`iam policy`" + ` | ` + "`type`, `role`, `part`, `parts` and `document`" + ` each |
| ` + "`token create`" + ` | a [new token](#new-token) |
| ` + "`token list`" + ` | a [token](#token) each |
| ` + "`token revoke`" + ` | ` + "`message`" + ` |
| ` + "`audit tail`, `export`" + ` | an [audit record](#audit-record) each |
| ` + "`audit verify`" + ` | an [audit report](#audit-report) |
| ` + "`doctor`, `config check --online`" + ` | a [check](#check) each |

`

// jsonObjects are the structs that are printed, in the order of the page.
var jsonObjects = []struct{ title, folder, name string }{
	{"Parsed finding", "finding", "Printed"},
	{"Resource of a parsed finding", "finding", "PrintedResource"},
	{"Actor of a parsed finding", "finding", "PrintedActor"},
	{"Action of a parsed finding", "finding", "PrintedAction"},
	{"Finding", "store", "Finding"},
	{"Revision", "store", "Revision"},
	{"Step", "triage", "Step"},
	{"Rejected input", "store", "Rejected"},
	{"Incident", "incident", "Incident"},
	{"Lead", "incident", "Lead"},
	{"Timeline entry", "incident", "Entry"},
	{"Delivery", "notify", "Delivery"},
	{"Failure of a delivery", "notify", "Fault"},
	{"Destination", "api", "Destination"},
	{"Suppression", "api", "Suppression"},
	{"Route", "api", "Route"},
	{"Playbook", "api", "Playbook"},
	{"Stored plan", "respond", "PlanRow"},
	{"Approval", "respond", "Approval"},
	{"Plan", "respond", "Plan"},
	{"Target", "respond", "Target"},
	{"Step of a plan", "respond", "Step"},
	{"Guard", "respond", "Guard"},
	{"Fact", "respond", "Fact"},
	{"Run", "respond", "RunRow"},
	{"Progress", "respond", "Progress"},
	{"Progress of a stage", "respond", "StageProgress"},
	{"Progress of a step", "respond", "StepProgress"},
	{"Record of a step", "playbook", "Record"},
	{"Switch", "api", "Switch"},
	{"Item of evidence", "evidence", "Item"},
	{"Gap of evidence", "evidence", "Gap"},
	{"Line of custody", "evidence", "Custody"},
	{"Evidence report", "evidence", "Report"},
	{"Checked item", "evidence", "Checked"},
	{"Problem of evidence", "evidence", "Problem"},
	{"New token", "api", "NewToken"},
	{"Token", "store", "Token"},
	{"Audit record", "audit", "Record"},
	{"Audit report", "audit", "Report"},
	{"Fault of the audit chain", "audit", "Fault"},
	{"Check", "api", "Check"},
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
	"PlanID": "text", "RunID": "text", "PlanState": "text", "RunState": "text", "Effect": "text", "Answer": "text", "Word": "text", "Role": "text",
	"awscalls.Role": "text", "Target": "[target](#target)", "[]Target": "list of [targets](#target)", "[]Step": "list of [steps](#step-of-a-plan)",
	"[]Guard": "list of [guards](#guard)", "[]Fact": "list of [facts](#fact)", "[]Approval": "list of [approvals](#approval)",
	"[]StageProgress": "list of [stages](#progress-of-a-stage)", "[]StepProgress": "list of [steps](#progress-of-a-step)",
	"[]evidence.Item": "list of [items](#item-of-evidence)", "[]evidence.Gap": "list of [gaps](#gap-of-evidence)",
	"[]Checked": "list of [items](#checked-item)", "[]Problem": "list of [problems](#problem-of-evidence)", "map[string]json.RawMessage": "object",
	"Progress": "object",
	"*Fault":   "[failure](#failure-of-a-delivery)", "[]Fault": "list of [faults](#fault-of-the-audit-chain)",
	"PrintedResource": "[resource](#resource-of-a-parsed-finding)", "[]PrintedResource": "list of [resources](#resource-of-a-parsed-finding)",
	"PrintedActor": "[actor](#actor-of-a-parsed-finding)", "PrintedAction": "[action](#action-of-a-parsed-finding)",
}

// JSON writes docs/reference/json.md from the structs below root.
func JSON(root string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "the structs that are printed")
	b.WriteString(jsonIntro)
	for _, o := range jsonObjects {
		fields, comments, err := structsIn(root, o.folder, "json")
		if err != nil {
			return "", err
		}
		if len(fields[o.name]) == 0 {
			return "", fmt.Errorf("%s has no struct %s with JSON names", o.folder, o.name)
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
