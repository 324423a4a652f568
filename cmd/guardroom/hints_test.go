package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	verb    = regexp.MustCompile(`%[-+# 0-9.]*[a-z]`)
	command = regexp.MustCompile(`guardroom ([a-z-][^;:,()|\n]*)`)
)

// spoken is the text of an expression, with a word for what only a run knows.
func spoken(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(x.Value); err == nil && x.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		if x.Op == token.ADD {
			return spoken(x.X) + spoken(x.Y)
		}
	case *ast.CallExpr:
		if f, ok := x.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" && len(x.Args) > 0 {
			return verb.ReplaceAllString(spoken(x.Args[0]), "WORD")
		}
	}
	return "WORD"
}

// about are words that begin as a command does, and are none.
var about = map[string]bool{"audit record": true, "evidence manifest": true, "incident WORD": true, "store": true, "run": true}

// filled puts something fit for what a text leaves open.
func filled(words []string) []string {
	if len(words) > 2 && words[0] == "--server" {
		words = words[2:]
	}
	for i := 1; i < len(words); i++ {
		if words[i-1] == "--role" {
			words[i] = map[string]string{"iam": "act", "token": "viewer"}[words[0]]
		}
	}
	return words
}

// parses reports whether the command line takes the words, or those before the
// text that goes on behind them.
func parses(t *testing.T, words []string) bool {
	t.Helper()
	for n := len(words); n > 0; n-- {
		var c cli
		p, err := kong.New(&c, kong.Name("guardroom"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}), kong.Vars{"version": "test"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(words[:n]); err == nil {
			return true
		}
	}
	return false
}

// TestHintsCanBePasted reads every text of the program: what says "guardroom …" in
// it is a command that somebody pastes at three in the morning.
func TestHintsCanBePasted(t *testing.T) {
	t.Parallel()
	nouns := map[string]bool{}
	var c cli
	p, err := kong.New(&c, kong.Name("guardroom"), kong.Vars{"version": "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Model.Children {
		nouns[n.Name] = true
	}
	found := 0
	for _, dir := range []string{"api", "app", "cmd", "respond", "notify", "store", "config", "cloud", "audit", "evidence", "incident", "triage", "source"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				e, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				switch e.(type) {
				case *ast.BasicLit, *ast.BinaryExpr:
				default:
					return true
				}
				text := spoken(e)
				for _, m := range command.FindAllStringSubmatch(verb.ReplaceAllString(text, "WORD"), -1) {
					words := strings.Fields(strings.TrimRight(m[1], ".\"'` "))
					if len(words) == 0 || !nouns[words[0]] && words[0] != "--server" || strings.HasPrefix(words[len(words)-1], "http") {
						continue
					}
					if len(words) == 2 || about[strings.Join(words[:min(2, len(words))], " ")] { // the name of a command, in a sentence
						continue
					}
					found++
					if words = filled(words); !parses(t, words) && !parses(t, append(words, "INC-1")) {
						t.Errorf("%s: guardroom %s", set.Position(e.Pos()), fmt.Sprint(strings.Join(words, " ")))
					}
				}
				return false
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 50 {
		t.Errorf("only %d commands were found", found)
	}
}
