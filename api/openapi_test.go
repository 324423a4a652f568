package api_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/guardroom/guardroom/api"
)

type tree = map[string]any

func document(t *testing.T) tree {
	t.Helper()
	b, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	d, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return d.(tree)
}

// at walks down a document.
func at(t *testing.T, d any, keys ...string) any {
	t.Helper()
	for _, k := range keys {
		m, ok := d.(tree)
		if !ok || m[k] == nil {
			t.Fatalf("there is no %s of %v", k, keys)
		}
		d = m[k]
	}
	return d
}

func TestEveryCallIsInTheDocument(t *testing.T) {
	t.Parallel()
	d := document(t)
	ids := map[string]bool{}
	n := 0
	for _, o := range api.Operations() {
		call := at(t, d, "paths", o.Path, strings.ToLower(o.Method)).(tree)
		n++
		if id := call["operationId"].(string); ids[id] {
			t.Errorf("two calls have the id %s", id)
		} else {
			ids[id] = true
		}
		if call["x-role"] != string(o.Role) || call["summary"] != o.Summary {
			t.Errorf("%s %s: %v %v", o.Method, o.Path, call["x-role"], call["summary"])
		}
		for _, status := range []string{"200", "401", "403", "default"} {
			at(t, call, "responses", status, "content")
		}
	}
	for _, p := range at(t, d, "paths").(tree) {
		n -= len(p.(tree))
	}
	if n != 0 {
		t.Errorf("the document has %d calls that there are not", -n)
	}
}

// sourceParams are the parameters that each handler reads, as its source says.
func sourceParams(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if name, is := parameter(call); is {
					out[fn.Name.Name] = append(out[fn.Name.Name], name)
				}
				return true
			})
		}
	}
	return out
}

// parameter is the name in p.text("name"), p.number("name") and among(&p, "name", …).
func parameter(call *ast.CallExpr) (string, bool) {
	arg := 0
	switch fn := call.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := fn.X.(*ast.Ident); !ok || x.Name != "p" {
			return "", false
		}
	case *ast.Ident:
		if fn.Name != "among" {
			return "", false
		}
		arg = 1
	}
	if len(call.Args) <= arg {
		return "", false
	}
	lit, ok := call.Args[arg].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// handlers are the names of the functions behind the calls, as the table has them.
func handlers(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "routes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		fields := map[string]ast.Expr{}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if id, ok := kv.Key.(*ast.Ident); ok {
					fields[id.Name] = kv.Value
				}
			}
		}
		do, ok := fields["do"].(*ast.SelectorExpr)
		if !ok {
			return true
		}
		path, err := strconv.Unquote(fields["Path"].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.ToUpper(fields["Method"].(*ast.Ident).Name)+" "+path] = do.Sel.Name
		return true
	})
	return out
}

func TestEveryParameterIsInTheDocument(t *testing.T) {
	t.Parallel()
	d, read, names := document(t), sourceParams(t), handlers(t)
	for _, o := range api.Operations() {
		call := o.Method + " " + o.Path
		if names[call] == "" {
			t.Fatalf("%s is not found in the table of the source", call)
		}
		var have []string
		params, _ := at(t, d, "paths", o.Path, strings.ToLower(o.Method)).(tree)["parameters"].([]any)
		for _, p := range params {
			p := p.(tree)
			switch name := p["name"].(string); p["in"] {
			case "path":
				if !strings.Contains(o.Path, "{"+name+"}") || p["required"] != true {
					t.Errorf("%s: %v", call, p)
				}
			case "query":
				have = append(have, name)
			}
		}
		if in := strings.Count(o.Path, "{"); len(params)-len(have) != in {
			t.Errorf("%s has %d parameters in its path, and the document %d", call, in, len(params)-len(have))
		}
		want := slices.Compact(slices.Sorted(slices.Values(read[names[call]])))
		slices.Sort(have)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-read +documented):\n%s", call, diff)
		}
	}
}

// strict forbids fields that are not described, everywhere.
func strict(d any) {
	switch x := d.(type) {
	case tree:
		if x["properties"] != nil && x["additionalProperties"] == nil {
			x["additionalProperties"] = false
		}
		for _, v := range x {
			strict(v)
		}
	case []any:
		for _, v := range x {
			strict(v)
		}
	}
}

const where = "https://guardroom.test/openapi.json"

// compiled is the schema at a place in the document, judged by a library that
// is not ours.
func compiled(t *testing.T, d tree, pointer string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource(where, d); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(where + "#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pointer leads to the schema of a call's 200, or of its body.
func pointer(o api.Operation, keys ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	out := "/paths/" + escape.Replace(o.Path) + "/" + strings.ToLower(o.Method)
	for _, k := range keys {
		out += "/" + escape.Replace(k)
	}
	return out + "/schema"
}

func TestAnswersAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	for _, o := range api.Operations() {
		call := o.Method + " " + o.Path
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			e := examples[call]
			w := ask(t, &service{records: 2}, ana, o.Method, e.target, e.body)
			kind := "application/json"
			if o.Type != "" {
				kind = o.Type
			}
			if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != kind {
				t.Fatalf("%d %s, and the table says %s", w.Code, got, kind)
			}
			if o.Answer == nil {
				return // bytes
			}
			d := document(t)
			strict(d)
			schema := compiled(t, d, pointer(o, "responses", "200", "content", kind))
			dec := json.NewDecoder(w.Body)
			dec.UseNumber()
			n := 0
			for dec.More() {
				var v any
				if err := dec.Decode(&v); err != nil {
					t.Fatal(err)
				}
				n++
				if err := schema.Validate(v); err != nil {
					t.Error(err)
				}
			}
			if n == 0 {
				t.Error("nothing was answered")
			}
			// The schema is not one that lets everything pass.
			if o.Path != "/v1/openapi.json" && !strings.HasSuffix(o.Path, "/raw") && schema.Validate(tree{"surprise": true}) == nil {
				t.Error("the schema accepts anything")
			}
		})
	}
}

func TestBodiesOfExamplesAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	d := document(t)
	for _, o := range api.Operations() {
		e := examples[o.Method+" "+o.Path]
		if o.Body == nil || e.body == "" {
			continue
		}
		schema := compiled(t, d, pointer(o, "requestBody", "content", "application/json"))
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(e.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", o.Path, err)
		}
		if schema.Validate(tree{"surprise": true}) == nil {
			t.Errorf("%s takes fields that the handler refuses", o.Path)
		}
	}
}

func TestErrorsAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	d := document(t)
	strict(d)
	for _, o := range api.Operations() {
		if slices.Sorted(maps.Keys(at(t, d, "paths", o.Path, strings.ToLower(o.Method), "responses").(tree)))[0] != "200" {
			t.Errorf("%s has no answer", o.Path)
		}
		for status, who := range map[string]api.Identity{"401": {}, "403": {Name: "raj"}} {
			e := examples[o.Method+" "+o.Path]
			w := ask(t, &service{}, who, o.Method, e.target, e.body)
			v, err := jsonschema.UnmarshalJSON(w.Body)
			if err != nil || strconv.Itoa(w.Code) != status {
				t.Fatalf("%d %v", w.Code, err)
			}
			if err := compiled(t, d, pointer(o, "responses", status, "content", "application/json")).Validate(v); err != nil {
				t.Error(err)
			}
		}
	}
}
