package configdoc

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/guardroom/guardroom/config"
)

const intro = `# Configuration

<!-- Written by go generate ./config from the structs in config/config.go. Do not edit. -->

guardroom reads one YAML file. ` + "`guardroom config init`" + ` writes one to begin with, ` + "`guardroom config check`" + ` reports
everything that is wrong with its place, ` + "`guardroom config show`" + ` prints what is in effect with every secret as ` + "`***`" + `,
and ` + "`guardroom config schema`" + ` prints the JSON Schema for editors. Without a file the defaults below hold.

- **Strict.** An unknown key is an error. There are no anchors, aliases, merge keys or tags. A file is at most 1 MiB.
- **Durations** are ` + "`90s`, `5m`, `24h`, `7d`" + `; **sizes** ` + "`512KiB`, `10MiB`, `1GiB`" + `; **rates** ` + "`50/min`, `1/s`, `10/5s`" + `;
  **times** a date (the end of that day in UTC) or RFC 3339.
- **Severities** are words: ` + "`informational`, `low`, `medium`, `high`, `critical`" + `.
- **Secrets** may be references, also within text (` + "`postgres://guardroom:${env:DB_PASSWORD}@db/guardroom`" + `):

  | reference | value |
  | --- | --- |
  | ` + "`${env:NAME}`" + ` | the environment variable |
  | ` + "`${file:PATH}`" + ` | the file's content without its last line end, at most 64 KiB; a relative path begins at the working directory |
  | ` + "`${ssm:NAME}`" + ` | the SSM parameter, decrypted |
  | ` + "`${secretsmanager:NAME}`" + ` | the secret's text; with ` + "`#KEY`" + ` after the name, that key of a secret that is a JSON object |

  ` + "`$${`" + ` stands for ` + "`${`" + ` itself. A reference that has no value is an error. References are allowed where the type below is *secret*.
- **Paths** of files are as seen from the working directory.

A complete example:

` + "```yaml\n"

// Page writes docs/reference/configuration.md. root is the folder of the
// repository.
func Page(root string) ([]byte, error) {
	docs, err := readComments(root)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(intro)
	b.Write(config.Template())
	b.WriteString("```\n")
	section(&b, docs, "", reflect.ValueOf(config.Sample()).Elem())
	return []byte(b.String()), nil
}

// section writes the table of one struct, and then those of the structs in it.
func section(b *strings.Builder, docs comments, path string, v reflect.Value) {
	t := v.Type()
	title := "Top level"
	if path != "" {
		title = "`" + path + "`"
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n", title, docs.section(t, path))
	for i := range t.NumField() {
		f := t.Field(i)
		if key(f) == "" {
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key(f), typeWords(f), defaultWords(f, v.Field(i)), cell(docs.of(t, f.Name)))
	}
	example(b, path)
	for i := range t.NumField() {
		at := strings.TrimPrefix(path+"."+key(t.Field(i)), ".")
		switch inner := reflect.Indirect(v.Field(i)); {
		case key(t.Field(i)) == "":
		case inner.Kind() == reflect.Struct && special(inner.Type()) == nil:
			section(b, docs, at, inner)
		case inner.Kind() == reflect.Slice && inner.Type().Elem().Kind() == reflect.Struct:
			section(b, docs, at+"[]", inner.Index(0))
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func typeWords(f reflect.StructField) string {
	if list := f.Tag.Get("words"); list != "" {
		words := "`" + strings.Join(strings.Fields(list), "`, `") + "`"
		if f.Type.Kind() == reflect.Slice {
			return "list of " + words
		}
		return words
	}
	return goType(f.Type)
}

func goType(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[config.Secret]():
		return "secret"
	case reflect.TypeFor[config.Duration]():
		return "duration"
	case reflect.TypeFor[config.Size]():
		return "size"
	case reflect.TypeFor[config.Rate]():
		return "rate"
	case reflect.TypeFor[config.Time]():
		return "date or time"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return goType(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list of sections"
		}
		return "list of " + goType(t.Elem())
	case reflect.Map:
		return goType(t.Elem()) + " by key"
	case reflect.Struct:
		return "section"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Interface:
		return "any value"
	}
	return "text"
}

func defaultWords(f reflect.StructField, v reflect.Value) string {
	if f.Tag.Get("required") != "" {
		return "required"
	}
	switch d := defaultOf(v).(type) {
	case nil:
		if k := v.Kind(); k == reflect.Int64 || k == reflect.Float64 {
			return "`0`"
		}
		return ""
	case []string:
		return "`" + strings.Join(d, "`, `") + "`"
	default:
		return fmt.Sprintf("`%v`", d)
	}
}
