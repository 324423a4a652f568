package calls

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the code anew")

func TestTheCodeIsFresh(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	source := func(elements ...string) []byte {
		b, err := os.ReadFile(filepath.Join(append([]string{root}, elements...)...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want, err := Code(source("respond", "awscalls", "awscalls.go"), source("cloud", "clients.go"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "cloud", "calls.go")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(have)); d != "" {
		t.Errorf("cloud/calls.go is stale; run: go generate ./internal/gen/calls\n%s", d)
	}
}
