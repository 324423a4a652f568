package rule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

func env() *Env {
	f := &finding.Finding{ID: "1", Type: finding.ParseType("Recon:EC2/PortProbeUnprotectedPort"), Severity: 5, Region: "eu-west-1",
		Resource: finding.Resource{Kind: finding.KindInstance, ID: "i-1", Tags: []finding.Tag{{Key: "team", Value: "web"}}},
		Actor:    finding.Actor{IPs: []string{"198.51.100.77"}, Domains: []string{}}}
	return NewEnv(f, incident.Account{ID: "1", Name: "prod", Environment: "production"}, nil, []string{"scanners"}, time.Unix(0, 0))
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		``:                                             true,
		`severity >= 4`:                                true,
		`severity >= 7`:                                false,
		`finding.type startsWith "Recon:EC2/"`:         true,
		`"198.51.100.77" in actor.ips`:                 true,
		`cidr(actor.ips, "198.51.100.0/24")`:           true,
		`cidr(actor.ips, "10.0.0.0/8")`:                false,
		`glob(finding.type, "*:EC2/Port*")`:            true,
		`account.environment == "production"`:          true,
		`resource.tags["team"] == "web"`:               true,
		`resource.tags["none"] == ""`:                  true,
		`"scanners" in actor.lists`:                    true,
		`severity_label in ["Medium", "High"]`:         true,
		`any(resources, .kind == "instance")`:          true,
		`not finding.sample and region == "eu-west-1"`: true,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			r, err := Compile("x", source)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Match(env()); err != nil || got != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestWrongConditionsAreMarkedAtTheirPlace(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`severty >= 4`:                    "severty",
		`finding.typ == "x"`:              "typ",
		`severity`:                        "bool",
		`severity >=`:                     "unexpected",
		`finding.title matches "(a+)+$"`:  "matches",
		`finding.title matches actor.asn`: "matches",
		`fromJSON("1") == 1`:              "fromJSON",
		`now() == now`:                    "now",
		strings.Repeat("(", 3000):         "",
	} {
		_, err := Compile("x", source)
		var ce *CompileError
		if !errors.As(err, &ce) {
			t.Errorf("%s: got %v", source, err)
			continue
		}
		if !strings.Contains(ce.Error(), want) || ce.Column() < 1 {
			t.Errorf("%s: got %q at %d", source, ce.Error(), ce.Column())
		}
	}
}

func TestExplainShowsWhichClauseDecided(t *testing.T) {
	t.Parallel()
	r, err := Compile("x", `severity >= 4 && account.name == "dev" && "198.51.100.77" in actor.ips`)
	if err != nil {
		t.Fatal(err)
	}
	parts := r.Explain(env())
	if len(parts) != 3 || !parts[0].Value || parts[1].Value || !parts[2].Value {
		t.Errorf("got %+v", parts)
	}
}

func TestAWrongConditionIsToldHowItWasMeant(t *testing.T) {
	t.Parallel()
	const numberOrText = "a number is compared with a number, and text with text in quotes"
	for source, want := range map[string]string{
		`severty >= 7`:                      "did you mean severity?",
		`finding.tipe == "x"`:               "did you mean type?",
		`"198.51.100.7" in actor.ip`:        "did you mean ips?",
		`any(resources, .nme == "x")`:       "did you mean name?",
		`sevrity_label == "High"`:           "did you mean severity_label?",
		`elephants > 1`:                     allFields,
		`finding.elephants > 1`:             allFields,
		`severity >= "high"`:                `write a number: severity >= 7 (high and more), or compare the word: severity_label == "High"`,
		`finding.severity == 'critical'`:    `write a number: severity >= 9 (critical and more), or compare the word: severity_label == "Critical"`,
		`region == "x" && severity > "low"`: `write a number: severity >= 1 (low and more), or compare the word: severity_label == "Low"`,
		`severity >= "7"`:                   `write a number: severity >= 7 (high and more), or compare the word: severity_label == "High"`,
		`severity_label >= 7`:               numberOrText,
		`finding.count > "3"`:               numberOrText,
		`finding.title matches "(a+)+$"`:    `use glob(text, "pattern*"), startsWith, endsWith or contains`,
	} {
		_, err := Compile("x", source)
		ce, ok := errors.AsType[*CompileError](err)
		if !ok {
			t.Errorf("%s: got %v", source, err)
			continue
		}
		if ce.Hint != want {
			t.Errorf("%s: the hint is %q, want %q", source, ce.Hint, want)
		}
	}
}

// What a hint proposes is right.
func TestWhatHintsProposeCompiles(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`severity >= 7`, `severity_label == "High"`} {
		if _, err := Compile("x", source); err != nil {
			t.Error(err)
		}
	}
}

func TestGlobIsBounded(t *testing.T) {
	t.Parallel()
	if Glob(strings.Repeat("*a", 50)+"b", strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
}

func FuzzCompileAndMatch(f *testing.F) {
	for _, s := range []string{`severity >= 4`, `any(resources, .kind == "x")`, `cidr(actor.ips, "1.2.3.4/8")`, `glob("a", "*")`, `1 in [1,2]`} {
		f.Add(s)
	}
	e := env()
	f.Fuzz(func(_ *testing.T, source string) {
		r, err := Compile("x", source)
		if err != nil {
			return
		}
		_, _ = r.Match(e)
		r.Explain(e)
	})
}

func BenchmarkMatch(b *testing.B) {
	r, err := Compile("x", `severity >= 4 && finding.type startsWith "Recon:EC2/" && "198.51.100.77" in actor.ips`)
	if err != nil {
		b.Fatal(err)
	}
	e := env()
	for b.Loop() {
		if ok, err := r.Match(e); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
