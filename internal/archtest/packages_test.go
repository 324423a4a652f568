package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		text := packageComment(t, p)
		name := filepath.Base(p.name())
		switch {
		case text == "":
			t.Errorf("%s has no package comment: say what it is for, what comes in and goes out, what it must never do, what to read first", p.name())
		case p.Name == "main" && !strings.HasPrefix(text, "Command "+name+" "):
			t.Errorf("the comment of %s begins %q, not with %q", p.name(), firstWords(text), "Command "+name)
		case p.Name != "main" && !strings.HasPrefix(text, "Package "+name+" "):
			t.Errorf("the comment of %s begins %q, not with %q", p.name(), firstWords(text), "Package "+name)
		case len(strings.Fields(text)) < 12:
			t.Errorf("the comment of %s is %d words long: a newcomer learns nothing from it", p.name(), len(strings.Fields(text)))
		}
	}
}

func firstWords(s string) string {
	f := strings.Fields(s)
	return strings.Join(f[:min(3, len(f))], " ")
}

// parsed are the files of a package that are part of the program.
func parsed(t *testing.T, p pkg) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var list []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return set, list
}

func packageComment(t *testing.T, p pkg) string {
	t.Helper()
	_, list := parsed(t, p)
	for _, f := range list {
		if s := strings.TrimSpace(f.Doc.Text()); s != "" {
			return s
		}
	}
	return ""
}

func TestNothingHidesInInitFunctions(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		set, list := parsed(t, p)
		for _, f := range list {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: an init function: lists of parts stand in app, where they can be seen", set.Position(fn.Pos()))
				}
			}
		}
	}
}

// TestGlobalsNeverChange finds package-level variables that some function
// assigns to, and ones whose type is made to be changed. Tables and errors that
// stay as they were written are fine.
func TestGlobalsNeverChange(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		set, list := parsed(t, p)
		info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
		// Imports stay unknown: only the package's own names matter here.
		cfg := types.Config{Importer: nothing{}, Error: func(error) {}, FakeImportC: true}
		tp, _ := cfg.Check(p.ImportPath, set, list, info)
		global := func(e ast.Expr) (string, bool) {
			id := rootOf(e)
			if id == nil {
				return "", false
			}
			v, ok := info.Uses[id].(*types.Var)
			return id.Name, ok && tp != nil && v.Parent() == tp.Scope()
		}
		for _, f := range list {
			for _, d := range f.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
					for _, s := range g.Specs {
						if v := s.(*ast.ValueSpec); changeable(v) {
							t.Errorf("%s: %s is a global that is made to be changed: give it an owner", set.Position(v.Pos()), v.Names[0].Name)
						}
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				var changed []ast.Expr
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						changed = n.Lhs
					}
				case *ast.IncDecStmt:
					changed = []ast.Expr{n.X}
				case *ast.RangeStmt:
					if n.Tok == token.ASSIGN {
						changed = []ast.Expr{n.Key, n.Value}
					}
				case *ast.CallExpr:
					if fn, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear"}, fn.Name) && len(n.Args) > 0 {
						changed = n.Args[:1]
					}
				}
				for _, e := range changed {
					if name, is := global(e); is {
						t.Errorf("%s: the global %s is changed: make it a field or a parameter", set.Position(n.Pos()), name)
					}
				}
				return true
			})
		}
	}
}

// rootOf is the name at the bottom of x, x.f, x[i], *x and (x).
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// changeable reports whether a variable's type exists in order to be changed:
// locks, atomics, sync.Map, channels.
func changeable(v *ast.ValueSpec) bool {
	found := false
	look := func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncLit:
			return false // what a function makes is its own
		case *ast.ChanType:
			found = true
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				switch id.Name + "." + x.Sel.Name {
				case "sync.Mutex", "sync.RWMutex", "sync.Map", "sync.WaitGroup", "sync.Once":
					found = true
				}
				found = found || id.Name == "atomic"
			}
		}
		return true
	}
	if v.Type != nil {
		ast.Inspect(v.Type, look)
	}
	for _, e := range v.Values {
		ast.Inspect(e, look)
	}
	return found
}

// nothing imports packages without content.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}

// maxLines is where a file certainly holds more than one idea.
const maxLines = 700

func TestFilesHoldOneIdea(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			rel, err := filepath.Rel(folder(t), filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			text := read(t, rel)
			if n := strings.Count(text, "\n"); n > maxLines && !strings.HasPrefix(text, "// Code generated ") {
				t.Errorf("%s has %d lines; split it where a new idea begins (at most %d)", rel, n, maxLines)
			}
			for _, vague := range []string{"util.go", "utils.go", "misc.go", "common.go", "helpers.go", "types.go"} {
				if name == vague {
					t.Errorf("%s says nothing: name the file after its idea", rel)
				}
			}
		}
		for _, vague := range []string{"util", "utils", "common", "types", "helpers", "manager", "impl", "core"} {
			if filepath.Base(p.name()) == vague {
				t.Errorf("the package %s says nothing: a package is one noun that a security person knows", p.name())
			}
		}
	}
}
