// Command size prints what takes the room in a Go program: the modules whose
// code and data are the largest part of the file.
//
// It is for `make size`. A program with its symbol table and the package to
// which it was built come in, a table of at most ten rows goes out. Memory that
// the file does not hold (zeroed data) is not counted; the tables of functions,
// which belong to all modules, are a row of their own. It must never change
// anything.
//
// Read count.
package main

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

const rows = 10

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: size PROGRAM PACKAGE")
	}
	modules, err := modulesOf(args[1])
	if err != nil {
		return err
	}
	sizes, err := count(args[0], modules)
	if err != nil {
		return err
	}
	names := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	for _, name := range names[:min(rows, len(names))] {
		fmt.Printf("%7.2f MiB  %s\n", float64(sizes[name])/(1<<20), name)
	}
	return nil
}

// modulesOf maps each package that a package needs to its module.
func modulesOf(pkg string) (map[string]string, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{else}}the standard library{{end}}", pkg).Output() //nolint:gosec // our own package, named by scripts/size.sh
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", pkg, err)
	}
	modules := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, module, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			modules[path] = module
		}
	}
	return modules, nil
}

// count adds the bytes of every symbol to its module.
func count(program string, modules map[string]string) (map[string]uint64, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", program, err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("read the symbols of %s: %w", program, err)
	}
	sizes := map[string]uint64{}
	for _, s := range symbols {
		if i := int(s.Section); i <= 0 || i >= len(f.Sections) || f.Sections[i].Type == elf.SHT_NOBITS || f.Sections[i].Name == tables {
			continue
		}
		module, ok := modules[packageOf(s.Name)]
		if !ok {
			module = "(data of the linker)"
		}
		sizes[module] += s.Size
	}
	if section := f.Section(tables); section != nil {
		sizes["(tables of functions)"] = section.Size
	}
	return sizes, nil
}

const tables = ".gopclntab"

// packageOf is the package of a symbol: what stands before the first dot after
// the last slash, without what the linker puts in front.
func packageOf(symbol string) string {
	for _, prefix := range []string{"type:.eq.", "type:.hash.", "type:", "go:itab.", "go:struct."} {
		if rest, ok := strings.CutPrefix(symbol, prefix); ok {
			symbol = rest
			break
		}
	}
	symbol = strings.TrimLeft(symbol, "*[]")
	if i := strings.IndexAny(symbol, "([,{ "); i >= 0 {
		symbol = symbol[:i]
	}
	slash := strings.LastIndexByte(symbol, '/') + 1
	if dot := strings.IndexByte(symbol[slash:], '.'); dot >= 0 {
		symbol = symbol[:slash+dot]
	}
	return strings.ReplaceAll(symbol, "%2e", ".")
}
