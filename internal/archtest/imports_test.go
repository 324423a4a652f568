package archtest

import (
	"slices"
	"strings"
	"testing"
)

// An importRule says what some packages may not import, and why. Patterns are
// paths in the repository or import paths; "/..." means all below as well.
type importRule struct {
	name string
	from []string // who; "..." alone is everybody
	not  []string // what they may not import; "only standard" is all but the standard library
	but  []string // packages of from that may, or imports of not that are fine
	deep bool     // also through other packages
	why  string
}

const (
	everybody    = "..."
	onlyStandard = "only standard"
)

// importRules are the architecture's arrows. docs/architecture.md has the same
// list in words.
var importRules = []importRule{
	{
		name: "finding imports the standard library only",
		from: []string{"finding"}, not: []string{onlyStandard},
		why: "it is the value that everything starts from; whoever reads it must need nothing else",
	},
	{
		name: "the catalogue imports finding only",
		from: []string{"finding/catalog"}, not: []string{onlyStandard}, but: []string{"finding"},
		why: "it explains types; who shows the explanations is not its business",
	},
	{
		name: "incident knows findings and nothing that does I/O",
		from: []string{"incident"}, not: []string{onlyStandard, "net/http", "os", "database/sql", "log/slog"}, but: []string{"finding", "internal/fault"},
		why: "the state machine is tested as a value; a call from inside it could not be rolled back",
	},
	{
		name: "rule does no I/O",
		from: []string{"rule"}, not: []string{"net", "net/http", "os", "os/exec", "io", "database/sql", "log/slog", "store/...", "notify/...", "app"},
		why: "a condition is a function of the finding: no answer may depend on the day, the disk or the network",
	},
	{
		name: "triage does not know how people are told",
		from: []string{"triage"}, not: []string{"notify/...", "store/...", "app", "api"}, deep: true,
		why: "it decides; that a vendor is slow or down must never change a decision",
	},
	{
		name: "messages do no I/O",
		from: []string{"notify/message"}, not: []string{"net/http", "os", "database/sql", "log/slog", "store/...", "config"},
		why: "every sentence that people read is made here and tested as a value",
	},
	{
		name: "slack imports no other vendor", from: []string{"notify/slack"},
		not: []string{"notify/jira", "notify/pagerduty", "notify/webhook", "notify/email"}, deep: true,
		why: "a change for one vendor must not be able to break another",
	},
	{
		name: "jira imports no other vendor", from: []string{"notify/jira"},
		not: []string{"notify/slack", "notify/pagerduty", "notify/webhook", "notify/email"}, deep: true,
		why: "a change for one vendor must not be able to break another",
	},
	{
		name: "pagerduty imports no other vendor", from: []string{"notify/pagerduty"},
		not: []string{"notify/slack", "notify/jira", "notify/webhook", "notify/email"}, deep: true,
		why: "a change for one vendor must not be able to break another",
	},
	{
		name: "webhook imports no other vendor", from: []string{"notify/webhook"},
		not: []string{"notify/slack", "notify/jira", "notify/pagerduty", "notify/email"}, deep: true,
		why: "a change for one vendor must not be able to break another",
	},
	{
		name: "email imports no other vendor", from: []string{"notify/email"},
		not: []string{"notify/slack", "notify/jira", "notify/pagerduty", "notify/webhook"}, deep: true,
		why: "a change for one vendor must not be able to break another",
	},
	{
		name: "vendors know neither the store nor the engine",
		from: []string{"notify/slack", "notify/jira", "notify/pagerduty", "notify/webhook", "notify/email"}, not: []string{"store/...", "durable", "app", "api", "triage"}, deep: true,
		why: "they keep their memory through Request.Save, so that one ledger decides what was told",
	},
	{
		name: "sources do not know what becomes of a finding",
		from: []string{"source/..."}, not: []string{"notify/...", "triage", "incident", "durable", "app"},
		why: "they hand bytes to source.Intake and acknowledge after its commit; every way in is equal",
	},
	{
		name: "the audit chain knows nothing of what it records",
		from: []string{"audit"}, not: []string{onlyStandard}, but: []string{"internal/fault"},
		why: "whoever verifies an exported chain elsewhere must need this package only",
	},
	{
		name: "config imports no part that it configures",
		from: []string{"config"}, not: []string{"app", "api", "notify/...", "store/...", "source/...", "triage", "durable", "cloud/...", "incident"}, deep: true,
		why: "parts import their section; the other way round everything would depend on everything",
	},
	{
		name: "the store decides nothing",
		from: []string{"store/..."}, not: []string{"app", "api", "durable", "notify/slack", "notify/jira", "notify/pagerduty", "notify/webhook", "notify/email"}, deep: true,
		why: "what becomes of a finding is decided by triage and incident, inside the transaction that the store provides",
	},
	{
		name: "the durable engine knows no incident",
		from: []string{"durable"}, not: []string{"app", "api", "store/...", "notify/...", "triage", "incident", "finding"}, deep: true,
		why: "its items are names; the rows that they name are the checkpoint, and a newer engine must not see our types",
	},
	{
		name: "playbook knows no response",
		from: []string{"playbook"}, not: []string{onlyStandard}, but: []string{"internal/fault"},
		why: "steps, waits and a journal: whoever runs something durably needs this package only, and it can be tested in virtual time",
	},
	{
		name: "responses do not know who shows them, who is told, and what runs them",
		from: []string{"respond/..."}, not: []string{"web", "notify/...", "durable", "store/...", "app", "api", "triage", "config"}, deep: true,
		why: "a response is carried out the same way by the engine, by a test in virtual time and by the demo; that Slack is down must never change one",
	},
	{
		name: "responses reach AWS by their interfaces only",
		from: []string{"respond/..."}, not: []string{"cloud/...", "net", "database/sql"}, but: []string{"respond", "respond/kit/kittest"},
		why: "what awscalls does not list is never called, so that the table of permissions can be exact; the core looks at errors of the network, and the bench of tests begins a simulation",
	},
	{
		name: "the interfaces of AWS hold no logic",
		from: []string{"respond/awscalls"}, not: []string{"respond", "cloud/...", "evidence", "playbook", "incident", "finding", "net/http", "os"},
		why: "the SDK's clients, the simulation and every playbook meet there",
	},
	{
		name: "playbooks do not know each other", from: []string{"respond/iam", "respond/s3", "respond/lambda", "respond/sharing", "respond/block", "respond/manual"},
		not: []string{"respond/ec2", "respond/forensics", "respond/iam", "respond/s3", "respond/lambda", "respond/sharing", "respond/block", "respond/manual"},
		why: "a change for one kind of resource must not be able to break another; what they share is respond/kit",
	},
	{
		name: "evidence proves itself",
		from: []string{"evidence"}, not: []string{"respond/...", "playbook", "store/...", "cloud/...", "notify/...", "app", "api", "durable", "triage", "config"}, deep: true,
		why: "whoever verifies an export elsewhere needs this package and nothing of the program that made it",
	},
	{
		name: "the simulated AWS knows no playbook",
		from: []string{"cloud/sim"}, not: []string{"respond/ec2", "respond/forensics", "respond/iam", "respond/s3", "respond/lambda", "respond/kit", "app", "api", "store/...", "notify/..."},
		why: "it answers what AWS would answer, whoever asks; a simulation that knows its caller proves nothing",
	},
	{
		name: "the contract of AWS stays out of the program",
		from: []string{everybody}, not: []string{"cloud/cloudtest/...", "respond/kit/kittest"}, but: []string{"cloud/cloudtest/...", "respond/kit/kittest"},
		why: "it starts servers and fails tests; only tests import it",
	},
	{
		name: "the API does not build the program",
		from: []string{"api"}, not: []string{"app", "durable", "cloud/..."},
		why: "it speaks to the Service interface, in-process, over the socket and over HTTPS alike",
	},
	{
		name: "only cmd imports app",
		from: []string{everybody}, not: []string{"app"}, but: []string{"cmd/...", "e2e/..."},
		why: "app is where parts are wired; a part that reaches back into it cannot be tested alone",
	},
	{
		name: "nothing imports cmd",
		from: []string{everybody}, not: []string{"cmd/..."}, but: []string{"cmd/..."},
		why: "the command line is an edge",
	},
	{
		name: "fakes and helpers of tests stay out of the program",
		from: []string{everybody}, not: []string{"internal/pgtest", "internal/fakesmtp", "internal/fakewebhook", "testing", "net/http/httptest"},
		but: []string{"internal/...", "demo", "cmd/...", "e2e/..."},
		why: "a program that can answer itself in a vendor's name must not do so by mistake; only the demo shows the fakes on purpose",
	},
	{
		name: "guardroom runs no other programs",
		from: []string{everybody}, not: []string{"os/exec"}, but: []string{"store/postgres", "internal/...", "e2e/..."},
		why: "text of attackers must never come near a shell; store/postgres runs pg_dump with arguments of its own",
	},
	{
		name: "no templates",
		from: []string{everybody}, not: []string{"text/template", "html/template"},
		why: "text of attackers never goes into a template: messages are built from values that escape themselves",
	},
	{
		name: "the standard log is silent",
		from: []string{everybody}, not: []string{"log"}, but: []string{"internal/..."},
		why: "log/slog with constant messages can be searched and redacted",
	},
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, r := range importRules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, named := range slices.Concat(r.from, r.not, r.but) {
				if !exists(all, named) {
					t.Errorf("the rule names %s, which does not exist: mend the rule, so that it cannot rot", named)
				}
			}
			for _, p := range all {
				if !isFrom(r, p.name()) || p.helpsTests() {
					continue
				}
				imports := p.Imports
				if r.deep {
					imports = p.Deps
				}
				for _, i := range imports {
					if r.forbids(all, p.name(), i) {
						t.Errorf("%s imports %s: %s", p.name(), i, r.why)
					}
				}
			}
		})
	}
}

func isFrom(r importRule, path string) bool {
	return (slices.Contains(r.from, everybody) || anyFits(r.from, path)) && !anyFits(r.but, path)
}

// forbids reports whether the rule forbids this import.
func (r importRule) forbids(all map[string]pkg, from, path string) bool {
	if path == from || anyFits(r.but, path) {
		return false
	}
	if anyFits(r.not, path) {
		return true
	}
	return slices.Contains(r.not, onlyStandard) && (ours(all, path) || !standard(path))
}

// notYet are packages of the design that are named in rules before they exist.
// A name leaves this list with the commit that makes the package.
var notYet = []string{}

func exists(all map[string]pkg, pattern string) bool {
	if pattern == everybody || pattern == onlyStandard || slices.Contains(notYet, pattern) {
		return true
	}
	if base := strings.TrimSuffix(pattern, "/..."); standard(base) && !slices.Contains(ownFolders, strings.Split(base, "/")[0]) {
		return true // the standard library; the compiler knows it
	}
	for path := range all {
		if fits(pattern, path) {
			return true
		}
	}
	return false
}

// ownFolders are the top folders of this repository that hold packages.
var ownFolders = []string{"api", "app", "audit", "cloud", "cmd", "config", "demo", "deploy", "durable", "e2e", "evidence", "finding", "incident", "internal", "notify", "playbook", "respond", "rule", "source", "store", "triage"}

func TestOwnFoldersAreListed(t *testing.T) {
	t.Parallel()
	for path := range packages(t) {
		if top, _, _ := strings.Cut(path, "/"); !slices.Contains(ownFolders, top) && path != module {
			t.Errorf("the folder %s holds packages and is not in ownFolders: a rule could name a package of it that does not exist", top)
		}
	}
}
