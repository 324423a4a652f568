package reference_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// command is a struct of the command line: its commands by word, its flags.
type command struct {
	words map[string]string // word -> name of the struct
	flags []string
}

// commands reads the structs of cmd/guardroom as kong does: fields with the tag
// cmd are commands, those without arg are flags.
func commands(t *testing.T) map[string]command {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "cmd/guardroom/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]command{}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				out[spec.Name.Name] = commandOf(st)
			}
			return false
		})
	}
	if len(out["cli"].words) < 10 || len(out["Globals"].flags) < 5 {
		t.Fatalf("the command line could not be read: %v", out["cli"])
	}
	return out
}

func commandOf(st *ast.StructType) command {
	c := command{words: map[string]string{}}
	for _, f := range st.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		raw, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		tag := reflect.StructTag(raw)
		name := tag.Get("name")
		if name == "" {
			name = kebab(f.Names[0].Name)
		}
		_, isCommand := tag.Lookup("cmd")
		_, isArgument := tag.Lookup("arg")
		typ, isNamed := f.Type.(*ast.Ident)
		switch {
		case isCommand && isNamed:
			c.words[name] = typ.Name
		case !isArgument:
			c.flags = append(c.flags, name)
		}
	}
	return c
}

// kebab is a field's name as a flag: AsHistory is as-history.
func kebab(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var (
	consoleBlock = regexp.MustCompile("(?sm)^ *```console\n(.*?)^ *```")
	inlineCode   = regexp.MustCompile("`(guardroom [a-z][^`\n]*)`")
	comment      = regexp.MustCompile(`\s#.*`)
)

func TestCommandsInTheDocumentationExist(t *testing.T) {
	t.Parallel()
	all := commands(t)
	found := 0
	handwritten(t, func(name, page string) {
		var lines []string
		for _, m := range consoleBlock.FindAllStringSubmatch(page, -1) {
			for line := range strings.Lines(m[1]) {
				lines = append(lines, strings.TrimSpace(comment.ReplaceAllString(line, "")))
			}
		}
		for _, m := range inlineCode.FindAllStringSubmatch(page, -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "guardroom" {
				continue
			}
			found++
			if problem := missing(all, words[1:]); problem != "" {
				t.Errorf("%s: %q: %s", name, line, problem)
			}
		}
	})
	if found < 50 {
		t.Errorf("found only %d commands in the documentation", found)
	}
}

// missing says what of a command does not exist; empty: all of it does.
func missing(all map[string]command, words []string) string {
	at := all["cli"]
	for len(words) > 0 && len(at.words) > 0 && !strings.HasPrefix(words[0], "-") {
		next, ok := at.words[words[0]]
		if !ok {
			return "there is no command " + words[0]
		}
		at, words = all[next], words[1:]
	}
	known := append(slices.Clone(all["Globals"].flags), at.flags...)
	for _, w := range words {
		flag, is := strings.CutPrefix(w, "--")
		flag, _, _ = strings.Cut(flag, "=")
		if is && !slices.Contains(known, strings.Trim(flag, "`.,;)")) {
			return "there is no flag --" + flag
		}
	}
	return ""
}
