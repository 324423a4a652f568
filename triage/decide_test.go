package triage

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	types := map[string]string{"chat": "slack", "oncall": "pagerduty", "tickets": "jira"}
	routes := []config.Route{to("urgent", "severity >= 7", false, "oncall", "chat"), to("dev", `account.environment == "dev"`, true, "tickets"), to("all", "", false, "chat")}
	page := config.Triage{Root: "page"}
	root := func(f *finding.Finding) {
		f.Severity, f.Resource.AccessKey = 2, &finding.AccessKey{UserType: "Root", UserName: "Root"}
	}
	broken := config.Route{Name: "broken", When: `int(finding.title) > 1`, To: []string{"tickets"}}
	for _, c := range []struct {
		name   string
		cfg    Config
		change func(f *finding.Finding)
		to     []string
		routes []string
		quiet  string
	}{
		{"every route that matches counts, each destination once", Config{Routes: routes}, func(f *finding.Finding) { f.Severity = 8 }, []string{"chat", "oncall"}, []string{"urgent", "all"}, ""},
		{"stop ends the list", Config{Routes: routes, Accounts: []config.Account{{ID: "111111111111", Environment: "dev"}}}, nil, []string{"tickets"}, []string{"dev"}, ""},
		{"none matches", Config{Routes: routes[:2]}, nil, nil, nil, "no route matches"},
		{"no routes at all", Config{}, nil, nil, nil, "no route matches"},
		{"one that cannot be evaluated counts", Config{Routes: []config.Route{broken}}, nil, []string{"tickets"}, []string{"broken"}, ""},
		{"the root user pages whatever the severity", Config{Routes: routes, Triage: page}, root, []string{"chat", "oncall"}, []string{"all"}, ""},
		{"so does what is named after it", Config{Routes: routes, Triage: page}, func(f *finding.Finding) { f.Type = finding.ParseType("Policy:IAMUser/RootCredentialUsage") }, []string{"chat", "oncall"}, []string{"all"}, ""},
		{"the root user where no route matches", Config{Routes: routes[:1], Triage: page}, root, []string{"oncall"}, nil, ""},
		{"the root user, where a route says stop", Config{Routes: routes, Triage: page, Accounts: []config.Account{{ID: "111111111111", Environment: "dev"}}}, root, []string{"tickets"}, []string{"dev"}, ""},
		{"the root user as the routes say", Config{Routes: routes, Triage: config.Triage{Root: "route"}}, root, []string{"chat"}, []string{"all"}, ""},
		{"a sample of the root user never pages", Config{Routes: routes, Triage: config.Triage{Root: "page", Samples: true}}, func(f *finding.Finding) { root(f); f.Sample = true }, []string{"chat"}, []string{"all"}, ""},
		{"any other user", Config{Routes: routes, Triage: page}, func(f *finding.Finding) {
			f.Resource.AccessKey = &finding.AccessKey{UserType: "IAMUser", UserName: "root"}
		}, []string{"chat"}, []string{"all"}, ""},
		{"archived", Config{Routes: routes}, func(f *finding.Finding) { f.Archived = true }, nil, nil, "archived in GuardDuty"},
		{"a sample", Config{Routes: routes}, func(f *finding.Finding) { f.Sample = true }, nil, nil, "a sample finding (triage.samples shows them)"},
		{"a sample that is to be shown never pages", Config{Routes: routes, Triage: config.Triage{Samples: true}}, func(f *finding.Finding) { f.Sample, f.Severity = true, 9 }, []string{"chat"}, []string{"urgent", "all"}, ""},
		{"a sample for nobody but the pager", Config{Routes: routes[:1], Triage: config.Triage{Samples: true}}, func(f *finding.Finding) { f.Sample, f.Severity = true, 9 }, []string{"chat"}, []string{"urgent"}, ""},
		{"a sample that is archived", Config{Routes: routes, Triage: config.Triage{Samples: true}}, func(f *finding.Finding) { f.Sample, f.Archived = true, true }, nil, nil, "archived in GuardDuty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.DestinationTypes = types
			f := scan("a")
			if c.change != nil {
				c.change(f)
			}
			d := triager(t, c.cfg).Decide(t.Context(), f)
			if !slices.Equal(d.Destinations, c.to) || !slices.Equal(d.Routes, c.routes) || d.Quiet != c.quiet {
				t.Errorf("to %v by %v, quiet %q; %+v", d.Destinations, d.Routes, d.Quiet, d.Trace)
			}
			if c.quiet != "" && !hasStep(d.Trace, "route", "quiet") {
				t.Error("the trace does not say that it is quiet")
			}
		})
	}
}

func TestSuppression(t *testing.T) {
	t.Parallel()
	rule := func(name, when string, until time.Time) config.Suppression {
		return config.Suppression{Name: name, When: when, Owner: "secops", Reason: "our scanner", Until: config.Time{Time: until}}
	}
	later, over := now.Add(time.Hour), now.Add(-time.Second)
	all := []config.Route{to("all", "", false, "chat")}
	for _, c := range []struct {
		name  string
		rules []config.Suppression
		by    string
		step  string // a decision that the trace must show
	}{
		{"the first that matches", []config.Suppression{rule("no", "severity > 9", later), rule("scanner", `"203.0.113.9" in actor.ips`, later), rule("also", "", later)}, "scanner", "suppressed"},
		{"one that is over says so", []config.Suppression{rule("old", "severity > 1", over)}, "", "expired"},
		{"one that is over leaves it to the next", []config.Suppression{rule("old", "severity > 1", over), rule("new", "severity > 1", later)}, "new", "expired"},
		{"at its very end it still holds", []config.Suppression{rule("edge", "severity > 1", now)}, "edge", "suppressed"},
		{"none matches", []config.Suppression{rule("no", "severity > 9", later)}, "", "no match"},
		{"one that cannot be evaluated does not count", []config.Suppression{rule("bad", "int(finding.title) > 1", later)}, "", "failed"},
	} {
		d := triager(t, Config{Suppress: c.rules, Routes: all}).Decide(t.Context(), scan("a"))
		if d.SuppressedBy != c.by || d.Suppressed != (c.by != "") || !hasStep(d.Trace, "suppress", c.step) {
			t.Errorf("%s: by %q, %+v", c.name, d.SuppressedBy, d.Trace)
		}
		if d.Suppressed != (len(d.Destinations) == 0) || d.Suppressed != (d.Quiet == "suppressed by "+c.by && c.by != "") {
			t.Errorf("%s: told to %v, quiet %q", c.name, d.Destinations, d.Quiet)
		}
	}
	_, err := New(Config{Suppress: []config.Suppression{rule("a", "severty > 1", later)}, Routes: []config.Route{to("", "nonsense(", false, "chat")}}, Deps{})
	if err == nil || !strings.Contains(err.Error(), "severty") || !strings.Contains(err.Error(), "route 1") {
		t.Errorf("every wrong rule is named: %v", err)
	}
}

// told is an enricher of one test.
type told struct {
	name string
	do   func(ctx context.Context, e *Enrichment) error
}

func (x told) Name() string { return x.name }
func (x told) Enrich(ctx context.Context, _ *finding.Finding, e *Enrichment) error {
	return x.do(ctx, e)
}

func TestEnrichersThatFailDegrade(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	tr := triager(t, Config{Triage: config.Triage{Enrich: config.Enrich{Timeout: config.Duration(2 * time.Second)}},
		Routes: []config.Route{to("prod", `account.environment == "prod" and resource.tags["team"] == "pay" and "bad" in actor.lists`, false, "chat")}},
		told{"good", func(_ context.Context, e *Enrichment) error {
			e.Account, e.Tags = incident.Account{Name: "payments", Environment: "prod", Owner: "ann"}, []finding.Tag{{Key: "team", Value: "pay"}}
			e.ActorLists, e.Country, e.ASN, e.Org, e.Notes = []string{"bad"}, "Nowhere", "64500", "Org", []string{"a note"}
			return nil
		}},
		told{"second", func(_ context.Context, e *Enrichment) error { e.Account.Name = "not used"; return nil }},
		told{"failing", func(_ context.Context, e *Enrichment) error {
			e.Account.Owner = "dropped"
			return errors.New("no permission")
		}},
		told{"panicking", func(context.Context, *Enrichment) error { panic("nil map") }},
		told{"slow", func(_ context.Context, e *Enrichment) error { <-release; e.Country = "dropped"; return nil }},
	)
	d := tr.Decide(t.Context(), scan("a"))
	want := incident.Account{ID: "111111111111", Name: "payments", Environment: "prod", Owner: "ann"}
	if diff := cmp.Diff(want, d.Account); diff != "" || d.Enrichment.Country != "Nowhere" {
		t.Errorf("%s %+v", diff, d.Enrichment)
	}
	if !slices.Equal(d.Destinations, []string{"chat"}) {
		t.Errorf("conditions do not see it: %+v", d.Trace)
	}
	text := Explain(d.Trace)
	for _, words := range []string{"failing: no permission", "panicking: panicked: nil map", "slow did not answer within 2s",
		"good: account payments; environment prod; owner ann; country Nowhere; ASN 64500; organization Org; 1 tags; on the lists bad; a note"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is missing in\n%s", words, text)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if d := tr.Decide(ended, scan("a")); d.Account.ID != "111111111111" {
		t.Errorf("with a context that is over: %+v", d)
	}
}

func TestAddressLists(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\ufeff# bad people\r\n203.0.113.9 # one\r\n198.51.100.77/24\n\n2001:db8::/32\n2001:db9::1\n::ffff:192.0.2.0/120\n0.0.0.0/32\n")
	l, err := OpenList("bad", path)
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]bool{"203.0.113.9": true, "203.0.113.10": false, "198.51.100.1": true, "198.51.101.1": false, "2001:db8:ffff::1": true,
		"2001:db9::1": true, "2001:db9::2": false, "::ffff:203.0.113.9": true, "192.0.2.5": true, "fe80::1%eth0": false, "0.0.0.0": true} {
		if got := l.Contains(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	at := now
	l.now = func() time.Time { return at }
	enrich := func() (Enrichment, string) {
		t.Helper()
		var e Enrichment
		if err := l.Enrich(t.Context(), scan("a"), &e); err != nil {
			t.Fatal(err)
		}
		return e, strings.Join(e.Notes, " ")
	}
	if e, note := enrich(); !slices.Equal(e.ActorLists, []string{"bad"}) || note != "" {
		t.Errorf("%v %q", e.ActorLists, note)
	}
	write("10.0.0.0/8\n")
	if e, _ := enrich(); len(e.ActorLists) != 1 {
		t.Error("it is read again too soon")
	}
	at = at.Add(reloadEvery)
	if e, _ := enrich(); len(e.ActorLists) != 0 {
		t.Error("a changed file is not read again")
	}
	write("10.0.0.0/8\n203.0.113.9\n10.0.0.0/99\n")
	at = at.Add(reloadEvery)
	if e, note := enrich(); len(e.ActorLists) != 0 || !strings.Contains(note, `list:3: "10.0.0.0/99"`) {
		t.Errorf("a broken file leaves the list as it was and says so: %v %q", e.ActorLists, note)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	at = at.Add(reloadEvery)
	if _, note := enrich(); note == "" {
		t.Error("a file that is gone is not said")
	}
	for _, text := range []string{"1.2.3", "1.2.3.4/33", "example.com", "1.2.3.4 5.6.7.8", "::1/129"} {
		write("1.1.1.1\n" + text + "\n")
		if _, err := OpenList("bad", path); err == nil || !strings.Contains(err.Error(), "list:2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := New(Config{Triage: config.Triage{Enrich: config.Enrich{Lists: []config.AddressList{{Name: "x", File: path + "none"}}}}}, Deps{}); err == nil {
		t.Error("a list that is not there at the start")
	}
}

func TestAddressDataThatIsMissingSwitchesOffAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "city.mmdb")
	g := NewGeo(path, "", slog.New(slog.NewTextHandler(&log, nil)))
	at := now
	g.now = func() time.Time { return at }
	for range 3 {
		at = at.Add(time.Hour)
		var e Enrichment
		if err := g.Enrich(t.Context(), scan("a"), &e); err != nil || e.Country != "" {
			t.Errorf("%+v %v", e, err)
		}
	}
	if n := strings.Count(log.String(), "cannot be opened"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Hour)
	if err := g.Enrich(t.Context(), scan("a"), &Enrichment{}); err != nil {
		t.Errorf("a broken file: %v", err)
	}
	without := scan("b")
	without.Actor.IPs = nil
	if err := g.Enrich(t.Context(), without, &Enrichment{}); err != nil {
		t.Error(err)
	}
}

func TestDiffSaysWhatWouldBeDecidedOtherwise(t *testing.T) {
	t.Parallel()
	until := config.Time{Time: now.Add(time.Hour)}
	before := triager(t, Config{Routes: []config.Route{to("all", "", false, "chat"), to("severe", "severity > 4", false, "tickets")}})
	after := triager(t, Config{Triage: config.Triage{Merge: config.Merge{Keys: []string{ByResource}}}, Routes: []config.Route{to("all", "", false, "chat", "mail")}})
	differ := func(a, b *Triager) []string {
		return Diff(a.Decide(t.Context(), scan("a")), b.Decide(t.Context(), scan("a")))
	}
	want := []string{"would go to mail", "would no longer go to tickets", "would no longer match the route severe",
		"would merge by resource:instance|i-1|111111111111|eu-west-1|aws", "would no longer merge by family:portscan|instance|i-1|111111111111|eu-west-1|aws"}
	if diff := cmp.Diff(want, differ(before, after)); diff != "" {
		t.Error(diff)
	}
	if d := differ(before, before); len(d) > 0 {
		t.Errorf("the same rules: %q", d)
	}
	quiet := func(name string) *Triager {
		return triager(t, Config{Suppress: []config.Suppression{{Name: name, When: "severity > 1", Until: until}}, Routes: []config.Route{to("all", "", false, "chat")}})
	}
	for name, c := range map[string]struct {
		a, b *Triager
		want string
	}{
		"suppressed":            {before, quiet("x"), "would be suppressed by x"},
		"no longer suppressed":  {quiet("x"), before, "would no longer be suppressed by x"},
		"suppressed by another": {quiet("x"), quiet("y"), "would be suppressed by y instead of x"},
	} {
		if d := differ(c.a, c.b); len(d) == 0 || d[0] != c.want {
			t.Errorf("%s: %q", name, d)
		}
	}
}
