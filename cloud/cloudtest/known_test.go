package cloudtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAListedDifferenceMustBeThere(t *testing.T) {
	t.Parallel()
	known := []Difference{{Case: "c", Check: "listed", AWS: "a", Sim: Same, Moto: "m"}}
	for _, c := range []struct{ name, backend, check, have, want, problem string }{
		{"as AWS does, not listed", Moto, "other", "a", "a", ""},
		{"otherwise, not listed", Moto, "other", "m", "a", "other: m; AWS: a"},
		{"otherwise, as listed", Moto, "listed", "m", "a", ""},
		{"otherwise, not as listed", Moto, "listed", "x", "a", "the list of known differences says m"},
		{"the difference is gone", Moto, "listed", "a", "a", "take it out"},
		{"the other backend, as AWS does", Sim, "listed", "a", "a", ""},
		{"the other backend, otherwise", Sim, "listed", "m", "a", "listed: m; AWS: a"},
		{"the case changed", Moto, "listed", "m", "b", "the case says b"},
	} {
		got := verdict(known, c.backend, "c", c.check, c.have, c.want)
		if (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestEveryKnownDifferenceIsCompleteAndNamesACase(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range Cases() {
		if names[c.Name] {
			t.Errorf("two cases %q", c.Name)
		}
		names[c.Name] = true
	}
	for _, k := range Known {
		if !names[k.Case] || k.Check == "" || k.Source == "" || (k.Sim == Same && k.Moto == Same) || k.Sim == k.AWS || k.Moto == k.AWS {
			t.Errorf("%+v", k)
		}
	}
}

// TestTheContractMakesEveryCallThatResponsesMay reads the interfaces: what has
// no case could differ unseen.
func TestTheContractMakesEveryCallThatResponsesMay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("cases*.go")
	if err != nil {
		t.Fatal(err)
	}
	var cases strings.Builder
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		cases.Write(src)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "respond", "awscalls", "awscalls.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	ast.Inspect(tree, func(n ast.Node) bool {
		face, ok := n.(*ast.InterfaceType)
		if !ok {
			return true
		}
		for _, m := range face.Methods.List {
			f, ok := m.Type.(*ast.FuncType)
			if !ok || len(f.Params.List) != 3 { // not a call: an embedded interface, or a client
				continue
			}
			calls++
			if !strings.Contains(cases.String(), "."+m.Names[0].Name+"(") {
				t.Errorf("no case calls %s", m.Names[0].Name)
			}
		}
		return true
	})
	if calls < 100 {
		t.Errorf("only %d calls are declared", calls)
	}
}
