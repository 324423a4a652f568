package reference

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

const conditionsIntro = `# Conditions

A condition says which findings a suppression or a route is about. It is an expression of
[expr](https://expr-lang.org/docs/language-definition) over the fields below, and its value is true or false.
Conditions are checked when the configuration is loaded: an unknown field or a wrong type is an error that marks the
place.

` + "```expr" + `
finding.family == "CryptoCurrency" && account.environment == "production"
` + "```" + `

` + "```expr" + `
glob(finding.type, "Recon:*") && any(actor.ips, cidr(#, "203.0.113.0/24"))
` + "```" + `

` + "```expr" + `
severity >= 7 && resource.tags["team"] in ["payments", "identity"] && not finding.archived
` + "```" + `

What does not hold here although the language has it: there are no regular expressions (` + "`matches`" + `: over text that
attackers write they can run for very long; use ` + "`glob`, `startsWith`, `endsWith` or `contains`" + `) and no functions
but those listed at the end. A condition may be 4,096 bytes long. An empty condition is always true.

When a condition cannot be evaluated for a finding, a suppression does not count and a route does: a doubtful finding is
told once too often rather than never. ` + "`guardroom finding explain ID`" + ` shows both.

All text that comes from findings is written by whoever caused them. Compare it; never trust it to say who somebody is.

`

// conditionTypes are the types of fields in words.
var conditionTypes = map[string]string{
	"string": "text", "float64": "number", "int": "whole number", "bool": "true or false", "time.Time": "time",
	"[]string": "list of text", "map[string]string": "text by key", "[]Resource": "list, each as `resource`",
}

// conditionFunctions describe the functions that conditions may call.
var conditionFunctions = map[string]string{
	"cidr(address, network)": "is the address, or any of a list of addresses, in the network? `cidr(actor.ips, \"10.0.0.0/8\")`",
	"glob(text, pattern)":    "does the text, or any of a list, fit the pattern? `*` is any text, `?` one character; the whole text must fit",
	"len":                    "length of a list or text",
	"any":                    "is the condition true for any element? `any(resources, .kind == \"s3_bucket\")`",
	"all":                    "… for all elements?",
	"none":                   "… for none?",
	"one":                    "… for exactly one?",
	"count":                  "for how many elements is it true?",
	"lower":                  "text in lower case",
	"upper":                  "text in upper case",
	"trim":                   "text without blanks at its ends",
	"max":                    "the largest",
	"min":                    "the smallest",
	"int":                    "as a whole number",
	"float":                  "as a number",
	"string":                 "as text",
	"abs":                    "without sign",
	"date":                   "a time from text: `date(\"2027-01-31\")`",
	"duration":               "a duration from text: `now - finding.first_seen > duration(\"24h\")`",
}

// Conditions writes docs/reference/conditions.md from rule/env.go and
// rule/rule.go below root.
func Conditions(root string) (string, error) {
	env, err := parse(root, "rule/env.go")
	if err != nil {
		return "", err
	}
	rules, err := parse(root, "rule/rule.go")
	if err != nil {
		return "", err
	}
	fields, comments := structs(env, "expr")
	var b strings.Builder
	fmt.Fprintf(&b, generated, "rule/env.go")
	b.WriteString(conditionsIntro)
	b.WriteString("## Fields\n\n| field | is | |\n| --- | --- | --- |\n")
	var parts []field
	for _, f := range fields["Env"] {
		if _, isStruct := fields[f.typ]; isStruct {
			parts = append(parts, f)
			continue
		}
		if err := row(&b, f.name, f); err != nil {
			return "", err
		}
	}
	for _, p := range parts {
		fmt.Fprintf(&b, "\n### %s\n\n%s", p.name, comments[p.typ])
		if p.comment != "" {
			fmt.Fprintf(&b, " Here: %s.", strings.TrimSuffix(p.comment, "."))
		}
		b.WriteString("\n\n| field | is | |\n| --- | --- | --- |\n")
		for _, f := range fields[p.typ] {
			if err := row(&b, p.name+"."+f.name, f); err != nil {
				return "", err
			}
		}
	}
	return b.String() + functions(rules, &err), err
}

func row(b *strings.Builder, name string, f field) error {
	words, ok := conditionTypes[f.typ]
	if !ok {
		return fmt.Errorf("the field %s has the type %s, which has no words here", name, f.typ)
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, words, cell(f.comment))
	return nil
}

// functions lists what rule.go allows. A function without description is an
// error, and so is a description without function.
func functions(rules *ast.File, err *error) string {
	var b strings.Builder
	b.WriteString("\n## Functions\n\n| function | |\n| --- | --- |\n")
	own := []string{"cidr(address, network)", "glob(text, pattern)"}
	builtins := builtinsOf(rules)
	if len(builtins) == 0 {
		*err = fmt.Errorf("rule/rule.go has no list named builtins")
	}
	for _, name := range append(own, builtins...) {
		text, ok := conditionFunctions[name]
		if !ok {
			*err = fmt.Errorf("the function %s has no description here", name)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, cell(text))
	}
	if want := len(own) + len(builtins); want != len(conditionFunctions) {
		*err = fmt.Errorf("%d functions are described and %d exist", len(conditionFunctions), want)
	}
	return b.String()
}

func builtinsOf(f *ast.File) []string {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			if v := s.(*ast.ValueSpec); v.Names[0].Name == "builtins" && len(v.Values) == 1 {
				return words(v.Values[0])
			}
		}
	}
	return nil
}
