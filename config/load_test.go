package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/config"
)

func parse(t *testing.T, text string, opts config.LoadOptions) *config.Config {
	t.Helper()
	cfg, err := config.Parse(context.Background(), "test.yaml", []byte(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var sameSecrets = cmp.Options{cmp.Transformer("reveal", func(s config.Secret) string { return s.Reveal() }), cmpopts.IgnoreUnexported(config.Config{})}

func TestAnEmptyFileIsTheDefault(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"nothing": "", "a comment": "# nothing\n", "keys without values": "log:\nroutes:\nname:\n", "empty text": "name: \"\"\nlog: {level: \"\"}\n", "a document without content": "---\n",
		"a byte order mark": "\ufeff# x\n", "a null": "null\n"} {
		if diff := cmp.Diff(config.Default(), parse(t, text, config.LoadOptions{}), sameSecrets); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestZeroIsAChoiceWhereItMeansSomething(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
watch: {silent_after: 0, undelivered_after: 0s}
destinations:
  - {name: a, type: slack, digest_above: 0, slack: {webhook_url: "https://h/x"}}
  - {name: b, type: webhook, webhook: {url: "https://h/x", secret: "${env:SIGNING}"}}
routes: [{to: [a, b]}]
`, options())
	if cfg.Watch.SilentAfter != 0 || cfg.Watch.UndeliveredAfter != 0 || *cfg.Destinations[0].DigestAbove != 0 {
		t.Errorf("zero was replaced: %v %v %v", cfg.Watch.SilentAfter, cfg.Watch.UndeliveredAfter, *cfg.Destinations[0].DigestAbove)
	}
	if *cfg.Destinations[1].DigestAbove != 20 || cfg.Destinations[1].GiveUpAfter.Std() != 72*time.Hour || cfg.Destinations[0].GiveUpAfter.Std() != 24*time.Hour {
		t.Errorf("defaults of the destinations: %+v", cfg.Destinations)
	}
}

func TestWhatTheFileSaysWins(t *testing.T) {
	t.Parallel()
	base := config.Default()
	base.Routes = []config.Route{{Name: "of the base", Stop: true}}
	cfg := parse(t, "name: mine\ntriage: {merge: {keys: [finding]}}\r\naccounts: [{id: 012345678901}]\rstore: 'sqlite:x.db'\n", config.LoadOptions{Base: base})
	if cfg.Name != "mine" || len(cfg.Triage.Merge.Keys) != 1 || cfg.Triage.Merge.Window.Std() != 24*time.Hour || cfg.Accounts[0].ID != "012345678901" ||
		cfg.Store.Reveal() != "sqlite:x.db" || cfg.Routes[0].Name != "of the base" {
		t.Errorf("%+v", cfg)
	}
	if base.Name != "guardroom" || base.Accounts != nil {
		t.Errorf("the base was changed: %+v", base)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.ToSlash(filepath.Join(dir, "token"))
	if err := os.WriteFile(file, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options()
	opts.Resolvers["ssm"] = vault{"/a/b": "from ssm"}
	for name, c := range map[string]struct{ written, want string }{
		"plain text stays":                              {"plain", "plain"},
		"an environment variable":                       {"${env:TOKEN}", planted},
		"a file without its last line end":              {"${file:" + file + "}", "from a file"},
		"a parameter":                                   {"${ssm:/a/b}", "from ssm"},
		"a secret":                                      {"${secretsmanager:plain}", planted},
		"a key of a secret":                             {"${secretsmanager:json#key}", planted},
		"a number of a secret keeps digits":             {"${secretsmanager:json#n}", "12345678901234567890"},
		"a reference within text":                       {"a ${env:TOKEN} b ${ssm:/a/b}.", "a " + planted + " b from ssm."},
		"an escaped reference":                          {"a $${env:TOKEN} b", "a ${env:TOKEN} b"},
		"dollars alone are dollars":                     {"$1 $$ {x} $", "$1 $$ {x} $"},
		"what a value holds is not read as a reference": {"${env:NESTED}", "${env:TOKEN}"},
	} {
		opts := opts
		lookup := opts.LookupEnv
		opts.LookupEnv = func(n string) (string, bool) {
			if n == "NESTED" {
				return "${env:TOKEN}", true
			}
			return lookup(n)
		}
		quoted, err := json.Marshal(c.written)
		if err != nil {
			t.Fatal(err)
		}
		cfg := parse(t, "aws: {external_id: "+string(quoted)+"}\n", opts)
		if have := cfg.AWS.ExternalID.Reveal(); have != c.want {
			t.Errorf("%s: %q, want %q", name, have, c.want)
		}
	}
}

func TestOfflineLeavesWhatAWSHoldsUnresolved(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.Offline, opts.Resolvers = true, nil
	cfg := parse(t, `
store: postgres://u:${ssm:/db}@h/d
destinations:
  - {name: x, type: pagerduty, pagerduty: {routing_key: "${secretsmanager:pd}"}}
  - {name: y, type: slack, slack: {token: "${env:TOKEN}", channel: C1}}
  - {name: w, type: webhook, webhook: {url: "${ssm:/url}", secret: "${ssm:/s}", headers: {X-Key: "${ssm:/k}"}}}
routes: [{to: [x, y, w]}]
`, opts)
	for name, s := range map[string]config.Secret{"store": cfg.Store, "key": cfg.Destinations[0].PagerDuty.RoutingKey, "header": cfg.Destinations[2].Webhook.Headers["X-Key"]} {
		if !s.IsSet() || s.Reveal() != "" {
			t.Errorf("%s: set %v, value %q", name, s.IsSet(), s.Reveal())
		}
	}
	if cfg.Destinations[1].Slack.Token.Reveal() != planted {
		t.Error("the environment was not asked")
	}
}

func TestStoreOnlyNeedsNoOtherSecret(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
store: postgres://u:${env:TOKEN}@h/d
destinations: [{name: y, type: slack, slack: {token: "${env:NOT_SET}", channel: C1}}]
`, config.LoadOptions{StoreOnly: true, LookupEnv: environment(map[string]string{"TOKEN": "x"})})
	if cfg.Store.Reveal() != "postgres://u:x@h/d" || !cfg.Destinations[0].Slack.Token.IsSet() {
		t.Errorf("%q", cfg.Store.Reveal())
	}
}

type slow struct{ asked chan string }

func (s slow) Resolve(ctx context.Context, name string) (string, error) {
	s.asked <- name
	<-ctx.Done()
	return "", ctx.Err()
}

func TestALookupThatHangsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s := slow{asked: make(chan string, 2)}
	go func() { <-s.asked; <-s.asked; cancel() }() // both are asked side by side
	_, err := config.Parse(ctx, "x.yaml", []byte("store: ${ssm:a}\naws: {external_id: \"${ssm:b}${ssm:a}\"}\n"), config.LoadOptions{Resolvers: map[string]config.Resolver{"ssm": s}})
	if err == nil || strings.Count(err.Error(), "context canceled") != 2 {
		t.Errorf("%v", err)
	}
}

// everything has a secret in each place that takes one.
const everything = `
store: postgres://u:${env:TOKEN}@h/d?sslmode=disable
listen: {address: ":1", api_token: "${env:TOKEN}"}
aws: {external_id: hunter2}
sources:
  http: {bearer_token: hunter2, api_key: "${env:TOKEN}"}
  sqs: [{name: q, queue_url: "https://h/q"}]
  guardduty: [{name: g, regions: [us-gov-west-1]}]
  s3: [{name: s, url: "s3://bucket/prefix"}]
triage: {enrich: {lists: [{name: a, file: b}]}}
suppress: [{name: n, when: severity < 4, owner: o, reason: r, until: 2020-01-31}]
routes: [{to: [a, b, c, d, e, f, g]}, {name: rest, stop: true}]
destinations:
  - {name: a, type: slack, rate_limit: 30/min, slack: {token: hunter2, channel: C1}}
  - {name: b, type: slack, slack: {webhook_url: "https://h/hunter2"}}
  - name: c
    type: jira
    jira: {api_url: "https://e.atlassian.net", email: a@example.com, api_token: hunter2, project: P, issue_type: T, priorities: {high: P1}, fields: {customfield_1: {value: [1, x, true, null, 1.5]}}}
  - {name: d, type: jira, jira: {api_url: "https://jira.example.com", token: hunter2, project: P, issue_type: T}}
  - {name: e, type: pagerduty, pagerduty: {mode: incidents, api_token: hunter2, from: a@example.com, service_id: P1, priorities: {critical: P1}}}
  - name: f
    type: webhook
    webhook: {url: "https://h/hunter2", secret: "${env:SIGNING}", previous_secret: "${env:SIGNING}", headers: {X-Key: hunter2, Authorization: "Bearer ${env:TOKEN}"}}
  - {name: g, type: email, email: {host: h, from: a@example.com, to: [b@example.com], username: u, password: hunter2}}
watch: {heartbeat_url: "https://h/hunter2", to: [a]}
worker: {time_scale: 2.5}
`

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg := parse(t, everything, options())
	if cfg.Destinations[5].Webhook.Headers["Authorization"].Reveal() != "Bearer "+planted {
		t.Fatal("the secrets were not read")
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := config.Masked(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", cfg, "secret", cfg.AWS.ExternalID, "slack", *cfg.Destinations[0].Slack)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", cfg, "secret", cfg.AWS.ExternalID, "slack", *cfg.Destinations[0].Slack)
	var warnings []string
	for _, w := range cfg.Warnings(time.Now()) {
		warnings = append(warnings, w.String())
	}
	outputs := map[string]string{"json": string(asJSON), "yaml": string(asYAML), "masked": string(shown), "slog": log.String(), "warnings": strings.Join(warnings, "\n")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outputs["config "+verb] = fmt.Sprintf(verb, *cfg)
		outputs["slack "+verb] = fmt.Sprintf(verb, *cfg.Destinations[0].Slack)
		outputs["secret "+verb] = fmt.Sprintf(verb, cfg.AWS.ExternalID)
		outputs["headers "+verb] = fmt.Sprintf(verb, cfg.Destinations[5].Webhook.Headers)
	}
	for name, text := range outputs {
		for _, hidden := range []string{planted, fmt.Sprintf("%x", planted), "MfKQMfKQ", "[104 117 110"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows the secret: %.2000s", name, text)
			}
		}
	}
}

// Wherever one thing is wrong, no secret beside it may be shown.
func TestNoProblemShowsASecret(t *testing.T) {
	t.Parallel()
	mistakes := []string{"", ": ", "\n", "\n    ", "x", "{", "]", "\"", "'", "- ", "|", "*", "&a ", "!!str ", "[", "? "}
	opts := options()
	opts.CheckCondition = nil
	for i := 0; i < len(everything); i += 3 {
		wrong := mistakes[i%len(mistakes)]
		text := everything[:i] + wrong + everything[i+1:]
		_, err := config.Parse(context.Background(), "x.yaml", []byte(text), opts)
		if err != nil && strings.Contains(err.Error(), planted) {
			t.Errorf("%q at %d shows the secret:\n%s", wrong, i, err)
		}
	}
}

var secretLine = regexp.MustCompile(`(?m): "\*\*\*".*$`)

// withoutSecrets takes out what Masked hides.
func withoutSecrets(shown []byte) string { return secretLine.ReplaceAllString(string(shown), ": _") }

// unmask puts values in the place of secrets that pass the checks.
func unmask(shown []byte) []byte {
	lines := strings.Split(string(shown), "\n")
	for i, l := range lines {
		key, _, is := strings.Cut(l, `: "***"`)
		if !is {
			continue
		}
		value := "x"
		switch key = strings.TrimSpace(key); key {
		case "routing_key":
			value = "${env:ROUTING_KEY}"
		case "secret", "previous_secret":
			value = "${env:SIGNING}"
		case "url", "webhook_url", "heartbeat_url":
			value = "https://h/x"
		case "store":
			value = "postgres://h/d"
		}
		lines[i] = strings.Replace(l, `"***"`, `"`+value+`"`, 1)
	}
	return []byte(strings.Join(lines, "\n"))
}

func TestWhatIsShownCanBeReadBack(t *testing.T) {
	t.Parallel()
	cfg := parse(t, everything, options())
	shown, err := config.Masked(cfg)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/everything.shown", string(shown))
	again, err := config.Parse(context.Background(), "again.yaml", unmask(shown), options())
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	ignore := cmp.Options{cmp.Comparer(func(a, b config.Secret) bool { return a.IsSet() == b.IsSet() }), cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(cfg, again, ignore); diff != "" {
		t.Error(diff)
	}
}

func TestTheStoreIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{"sqlite:a.db": "sqlite:a.db", "postgres://u:hunter2@h/d?password=hunter2": "postgres://u@h/d", "postgres://h/d": "postgres://h/d"} {
		shown, err := config.Masked(parse(t, "store: "+written+"\n", config.LoadOptions{}))
		if err != nil || !strings.HasPrefix(string(shown), "store: "+want+"\n") {
			t.Errorf("%s: %v\n%s", written, err, shown)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
suppress:
  - {name: over, when: "true", owner: ana, reason: r, until: 2026-01-31}
  - {name: not yet, when: "true", owner: ana, reason: r, until: 2026-02-01}
routes: [{to: [used]}]
destinations:
  - {name: used, type: slack, slack: {token: "${env:TOKEN}", channel: C1}}
  - {name: unused, type: webhook, webhook: {url: "http://h/x", insecure: true, secret: "${env:SIGNING}"}}
  - {name: told, type: email, email: {host: h, tls: none, insecure: true, from: a@example.com, to: [b@example.com], username: u, password: hunter2}}
watch: {to: [told]}
worker: {time_scale: 10}
`, options())
	var have strings.Builder
	for _, w := range cfg.Warnings(time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)) {
		have.WriteString(w.String() + "\n")
	}
	golden(t, "testdata/warnings.want", have.String())
	exposed := parse(t, `
listen: {address: ":8443", api_token: "${env:SHORT}"}
sources: {http: {bearer_token: "${env:LONG}", api_key: "${env:SHORT}"}}
`, withEnv(map[string]string{"SHORT": "letmein", "LONG": strings.Repeat("k", 16)}))
	have.Reset()
	for _, w := range exposed.Warnings(time.Now()) {
		have.WriteString(w.String() + "\n")
	}
	golden(t, "testdata/exposed.want", have.String())
	if w := config.Default().Warnings(time.Now()); len(w) != 0 {
		t.Errorf("the defaults warn: %v", w)
	}
}

func withEnv(env map[string]string) config.LoadOptions {
	opts := options()
	opts.LookupEnv = environment(env)
	return opts
}

func TestTokensInTheClearAreWarnedAbout(t *testing.T) {
	t.Parallel()
	opts := withEnv(map[string]string{"TOKEN": strings.Repeat("k", 32)})
	for _, tt := range []struct {
		name, listen, http string
		warns              bool
	}{
		{"every address, with a token", `{address: ":8080"}`, `{bearer_token: "${env:TOKEN}"}`, true},
		{"every address, with a key", `{address: "0.0.0.0:8080"}`, `{api_key: "${env:TOKEN}"}`, true},
		{"a name, with the API's token", `{address: "guardroom.example.com:8080", api_token: "${env:TOKEN}"}`, `{}`, true},
		{"this machine only", `{address: "127.0.0.1:8080", api_token: "${env:TOKEN}"}`, `{bearer_token: "${env:TOKEN}"}`, false},
		{"this machine by IPv6", `{address: "[::1]:8080"}`, `{bearer_token: "${env:TOKEN}"}`, false},
		{"this machine by name", `{address: "localhost:8080"}`, `{bearer_token: "${env:TOKEN}"}`, false},
		{"no token", `{address: ":8080"}`, `{sns_topics: ["arn:aws:sns:eu-central-1:111111111111:t"]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := parse(t, "listen: "+tt.listen+"\nsources: {http: "+tt.http+"}\n", opts)
			if w := cfg.Warnings(time.Now()); (len(w) > 0) != tt.warns {
				t.Errorf("%v", w)
			}
			cfg.Listen.TLSCert, cfg.Listen.TLSKey = "cert.pem", "key.pem"
			if w := cfg.Warnings(time.Now()); len(w) != 0 {
				t.Errorf("with TLS: %v", w)
			}
		})
	}
}

func TestTheTemplateWorks(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.LookupEnv = environment(map[string]string{"GUARDROOM_INTAKE_TOKEN": strings.Repeat("a", 32), "SLACK_BOT_TOKEN": "xoxb-b", "PAGERDUTY_ROUTING_KEY": strings.Repeat("k", 32)})
	path := filepath.Join(t.TempDir(), "guardroom.yaml")
	if err := os.WriteFile(path, config.Template(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(context.Background(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	if w := cfg.Warnings(time.Now()); len(w) != 0 {
		t.Errorf("the template warns: %v", w)
	}
	if len(cfg.Destinations) != 2 || len(cfg.Routes) != 2 || !cfg.Sources.HTTP.Enabled() {
		t.Errorf("%+v", cfg)
	}
	// What is commented out works as well.
	all := regexp.MustCompile(`(?m)^(\s*)# ( *(?:accounts:|sqs:|suppress:|- name:|- \{id|queue_url:|when:|owner:|reason:|until:|type:|jira:|api_url:|email:|api_token:|project:|issue_type:))`).ReplaceAllString(string(config.Template()), "$1$2")
	opts.LookupEnv = environment(map[string]string{"GUARDROOM_INTAKE_TOKEN": strings.Repeat("a", 32), "SLACK_BOT_TOKEN": "xoxb-b", "PAGERDUTY_ROUTING_KEY": strings.Repeat("k", 32), "JIRA_API_TOKEN": "c"})
	full := parse(t, all, opts)
	if len(full.Destinations) != 3 || len(full.Suppress) != 1 || len(full.Accounts) != 1 || len(full.Sources.SQS) != 1 {
		t.Errorf("a comment was not taken in:\n%s", all)
	}
}
