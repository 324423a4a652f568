package archtest

import (
	"slices"
	"strings"
	"testing"
)

// A dependency says which packages may import a module of others, and why it is
// there at all. Tests may import what is marked so from anywhere.
type dependency struct {
	module string
	by     []string // packages whose program code may import it
	tests  bool     // tests of every package may import it
	why    string
}

const (
	aws  = "github.com/aws/aws-sdk-go-v2"
	exp  = "github.com/expr-lang/expr"
	dbos = "github.com/dbos-inc/dbos-transact-golang"
)

// dependencies are all modules that the program and its tests import.
var dependencies = []dependency{
	{module: "github.com/alecthomas/kong", by: []string{"cmd/..."}, why: "the command line, one struct a command; nothing else may know flags"},
	{module: "github.com/aws/aws-lambda-go", by: []string{"source/...", "cmd/..."}, tests: true, why: "the Lambda runtime; only the entrance of Lambda knows it"},
	{module: aws, by: []string{"cloud/...", "demo", "respond/...", "source/..."}, tests: true, why: "AWS, through the narrow interfaces of those who need it; unwrapped at the edge"},
	{module: "github.com/aws/smithy-go", by: []string{"cloud/...", "respond/...", "source/..."}, tests: true, why: "error codes of AWS: unwrapped by code, never by text"},
	{module: "github.com/charmbracelet/x/ansi", tests: true, why: "an independent judge of what a terminal shows; too slow to start for the program"},
	{module: "github.com/clipperhouse/displaywidth", by: []string{"internal/width"}, why: "the width of text on a terminal, wide runes included"},
	{module: dbos, by: []string{"durable"}, why: "the durable engine; one package, so that it can be replaced"},
	{module: "github.com/emersion/go-sasl", by: []string{"internal/fakesmtp"}, why: "how mail clients prove who they are, for the fake mail server"},
	{module: "github.com/emersion/go-smtp", by: []string{"internal/fakesmtp"}, tests: true, why: "the fake mail server"},
	{module: exp, by: []string{"rule"}, why: "conditions, checked against our structs when they are loaded"},
	{module: "github.com/goccy/go-yaml", by: []string{"config"}, why: "one decode call, so that the parser can be replaced"},
	{module: "github.com/gofrs/flock", by: []string{"store/sqlite"}, tests: true, why: "one process a SQLite file"},
	{module: "github.com/google/go-cmp", tests: true, why: "comparison that shows the difference"},
	{module: "github.com/google/renameio/v2", by: []string{"cmd/...", "audit", "cloud/...", "store/..."}, why: "files that appear whole or not at all"},
	{module: "github.com/invopop/jsonschema", by: []string{"config", "internal/gen/..."}, tests: true, why: "the schema of the configuration, made from its structs"},
	{module: "github.com/jackc/pgx/v5", by: []string{"store/postgres", "durable"}, tests: true, why: "PostgreSQL; durable passes the pool on to the engine"},
	{module: "github.com/klauspost/compress", by: []string{"store"}, why: "raw findings are stored compressed"},
	{module: "github.com/oklog/ulid/v2", by: []string{"app"}, why: "ids that sort by time"},
	{module: "github.com/oschwald/maxminddb-golang/v2", by: []string{"triage"}, why: "address data that the operator brings"},
	{module: "github.com/prometheus/client_golang", by: []string{"app"}, tests: true, why: "metrics, in a registry of our own"},
	{module: "github.com/rogpeppe/go-internal", tests: true, why: "scripts that run the command line in tests"},
	{module: "github.com/santhosh-tekuri/jsonschema/v6", tests: true, why: "judges what our schemas accept"},
	{module: "github.com/slack-go/slack", by: []string{"notify/slack"}, tests: true, why: "Slack's types; it breaks often, so one package knows it"},
	{module: "github.com/standard-webhooks/standard-webhooks/libraries", tests: true, why: "an independent judge of our signatures"},
	{module: "github.com/wneessen/go-mail", by: []string{"notify/email"}, why: "SMTP with TLS by default"},
	{module: "go.uber.org/goleak", tests: true, why: "nothing goes on after its owner has ended"},
	{module: "golang.org/x/net", by: []string{"triage"}, tests: true, why: "publicsuffix: which part of a domain somebody owns"},
	{module: "golang.org/x/sync", by: []string{"app", "config", "source/...", "cloud/...", "cmd/..."}, tests: true, why: "errgroup: goroutines whose owner waits for them"},
	{module: "golang.org/x/sys", by: []string{"api", "cmd/..."}, tests: true, why: "the user of the peer on the Unix socket"},
	{module: "golang.org/x/term", by: []string{"cmd/...", "demo"}, why: "is it a terminal, and how wide"},
	{module: "golang.org/x/time", by: []string{"notify/...", "source/...", "cloud/..."}, tests: true, why: "the pace of a destination"},
	{module: "modernc.org/sqlite", by: []string{"store/sqlite"}, tests: true, why: "SQLite without cgo"},
	{module: "pgregory.net/rapid", tests: true, why: "properties of state machines"},
}

// module returns the row for an import.
func rowOf(path string) (dependency, bool) {
	for _, d := range dependencies {
		if path == d.module || strings.HasPrefix(path, d.module+"/") {
			return d, true
		}
	}
	return dependency{}, false
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, p := range all {
		program, tests := p.Imports, p.tests()
		if p.helpsTests() {
			program, tests = nil, slices.Concat(program, tests)
		}
		for _, i := range program {
			if standard(i) || ours(all, i) {
				continue
			}
			d, known := rowOf(i)
			switch {
			case !known:
				t.Errorf("%s imports %s, which no row of the table allows: add one with its reason, or do without", p.name(), i)
			case !anyFits(d.by, p.name()):
				t.Errorf("%s imports %s; only %s may: %s", p.name(), i, orNobody(d.by), d.why)
			}
		}
		for _, i := range tests {
			if standard(i) || ours(all, i) {
				continue
			}
			if d, known := rowOf(i); !known || !d.tests && !anyFits(d.by, p.name()) {
				t.Errorf("the tests of %s import %s, which no row of the table allows to tests", p.name(), i)
			}
		}
	}
}

func orNobody(by []string) string {
	if len(by) == 0 {
		return "tests"
	}
	return strings.Join(by, ", ")
}

func TestDependencyRowsAreTrue(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, d := range dependencies {
		if d.why == "" {
			t.Errorf("%s has no reason", d.module)
		}
		for _, by := range d.by {
			if !exists(all, by) {
				t.Errorf("%s may be imported by %s, which does not exist: mend the row", d.module, by)
			}
		}
		used := false
		for _, p := range all {
			used = used || slices.ContainsFunc(slices.Concat(p.Imports, p.tests()), func(i string) bool {
				row, ok := rowOf(i)
				return ok && row.module == d.module
			})
		}
		if !used {
			t.Errorf("nothing imports %s: remove the row and run go mod tidy", d.module)
		}
	}
}

func TestTheProgramNeedsNoHelpersOfTests(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, p := range all {
		if p.helpsTests() {
			continue
		}
		for _, i := range p.Imports {
			if h, is := all[i]; is && h.helpsTests() && !strings.HasPrefix(p.name(), "internal/") {
				t.Errorf("%s imports %s, which exists for tests", p.name(), i)
			}
		}
	}
}

func TestNoCgo(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, "C") {
			t.Errorf("%s uses cgo: the program is static and is built for other machines without their compilers", p.name())
		}
	}
}
