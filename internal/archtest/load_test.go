package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/guardroom/guardroom"

// pkg is what `go list` says of a package of ours, with short import paths:
// "notify/slack" for one of ours, the full path for others'.
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	Doc          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// name is the package's path in the repository.
func (p pkg) name() string { return short(p.ImportPath) }

// tests are what only its tests import.
func (p pkg) tests() []string { return slices.Concat(p.TestImports, p.XTestImports) }

// helpsTests reports a package that exists for tests in several packages: a
// contract suite, or a program that they start. Its name begins or ends with
// "test".
func (p pkg) helpsTests() bool {
	base := path.Base(p.name())
	return strings.HasSuffix(base, "test") || strings.HasPrefix(base, "test")
}

// root is the folder of the module.
var root = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
})

// load lists every package of the module once for all tests.
var load = sync.OnceValues(func() (map[string]pkg, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	all := map[string]pkg{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		for _, list := range []*[]string{&p.Imports, &p.TestImports, &p.XTestImports, &p.Deps} {
			for i, s := range *list {
				(*list)[i] = short(s)
			}
		}
		all[p.name()] = p
	}
})

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// packages returns every package, or ends the test.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatalf("go list: %v (is go on PATH?)", err)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// folder returns the module's folder, or ends the test.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatalf("go list -m: %v (is go on PATH?)", err)
	}
	return dir
}

// fits reports whether a package path is meant by a pattern: the path itself,
// or everything below it when the pattern ends in "/...".
func fits(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == pattern
}

func anyFits(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, path) })
}

// ours reports whether an import is a package of this module.
func ours(all map[string]pkg, path string) bool {
	_, ok := all[path]
	return ok
}

// standard reports whether an import is of the standard library.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// files returns the repository's files whose names end in one of the suffixes,
// without what git ignores by folder.
func files(t *testing.T, suffixes ...string) []string {
	t.Helper()
	dir := folder(t)
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".tools", "bin", "dist", ".cache":
				return filepath.SkipDir
			}
			return nil
		}
		for _, s := range suffixes {
			if strings.HasSuffix(path, s) {
				rel, err := filepath.Rel(dir, path)
				if err != nil {
					return err
				}
				out = append(out, filepath.ToSlash(rel))
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
