package configdoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

// comments holds the doc comments of package config: "Type" and "Type.Field".
type comments map[string]string

// files hold the sections of the configuration.
var files = []string{"config.go", "respond.go"}

// readComments parses the files of package config below root.
func readComments(root string) (comments, error) {
	out := comments{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "config", name), nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the comments of the configuration: %w", err)
		}
		out.read(file)
	}
	return out, nil
}

// read adds the comments of a file.
func (c comments) read(file *ast.File) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			t, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			c[t.Name.Name] = oneLine(group.Doc.Text())
			s, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					c[t.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
				}
			}
		}
	}
}

// of is the comment of a field in the words of the file: it begins with the key
// where it began with the field's name. An empty name asks for the type's.
func (c comments) of(t reflect.Type, name string) string {
	if name == "" {
		return c[t.Name()]
	}
	f, _ := t.FieldByName(name)
	return rename(c[t.Name()+"."+name], name, key(f))
}

// section is the comment of a type whose values stand at path.
func (c comments) section(t reflect.Type, path string) string {
	if path == "" {
		return "The keys at the top of the file."
	}
	path = strings.TrimSuffix(path, "[]")
	return rename(c[t.Name()], t.Name(), path[strings.LastIndexByte(path, '.')+1:])
}

func rename(comment, from, to string) string {
	if rest, ok := strings.CutPrefix(comment, from+" "); ok && from != "" {
		return to + " " + rest
	}
	return comment
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// key is the YAML key of a field; empty for one that is none.
func key(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}
