package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder fills a Config from the syntax tree, with everything that is wrong
// reported at its place. A library's decoder stops at the first error and does
// not tell where a value stood that is found wrong later.
type decoder struct {
	file     string
	lines    []string
	problems Problems
	places   map[string]*token.Token // path -> where its value stands
	secrets  map[string]bool         // lines that hold secrets, by number
}

func (d *decoder) fail(node ast.Node, path, hint, format string, args ...any) {
	p := Problem{File: d.file, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if node != nil {
		d.at(&p, node.GetToken())
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) at(p *Problem, t *token.Token) {
	if t == nil || t.Position == nil {
		return
	}
	p.Line, p.Column = t.Position.Line, t.Position.Column
	if n := p.Line - 1; n >= 0 && n < len(d.lines) && !d.secrets[strconv.Itoa(p.Line)] {
		p.source = d.lines[n]
	}
}

var (
	secretType   = reflect.TypeFor[Secret]()
	durationType = reflect.TypeFor[Duration]()
	sizeType     = reflect.TypeFor[Size]()
	rateType     = reflect.TypeFor[Rate]()
	timeType     = reflect.TypeFor[Time]()
)

// value decodes node into v.
func (d *decoder) value(node ast.Node, v reflect.Value, path string) {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.fail(node, path, "write the value out", "anchors, aliases and merge keys are not allowed")
		return
	case *ast.TagNode:
		d.fail(node, path, "leave the tag out", "YAML tags are not allowed")
		return
	case *ast.NullNode, nil:
		return // a key without value keeps its default
	case *ast.CommentGroupNode:
		return
	}
	d.places[path] = node.GetToken()
	switch v.Type() {
	case secretType, durationType, sizeType, rateType, timeType:
		d.special(node, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(node, v.Elem(), path)
	case reflect.Struct:
		d.structure(node, v, path)
	case reflect.Slice:
		d.slice(node, v, path)
	case reflect.Map:
		d.mapping(node, v, path)
	case reflect.Interface:
		v.Set(reflect.ValueOf(d.any(node, path)))
	default:
		d.scalar(node, v, path)
	}
}

// pairs returns the entries of a mapping, or nil after reporting that node is
// none.
func (d *decoder) pairs(node ast.Node, path string) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	d.fail(node, path, "", "this must be a mapping of keys to values, not %s", describe(node))
	return nil
}

func (d *decoder) structure(node ast.Node, v reflect.Value, path string) {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		fields[name] = i
		names = append(names, name)
	}
	seen := map[string]bool{}
	for _, pair := range d.pairs(node, path) {
		key := keyText(pair.Key)
		at := join(path, key)
		i, known := fields[key]
		switch {
		case !known:
			hint := "known here: " + strings.Join(names, ", ")
			if n := nearest(key, names); n != "" {
				hint = "did you mean " + n + "?"
			}
			d.fail(pair.Key, at, hint, "there is no key %q here", key)
		case seen[key]:
			d.fail(pair.Key, at, "keep one of them", "the key %q is there twice", key)
		default:
			seen[key] = true
			d.value(pair.Value, v.Field(i), at)
		}
	}
}

func (d *decoder) slice(node ast.Node, v reflect.Value, path string) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fail(node, path, "write a list: one line each, beginning with a dash", "this must be a list, not %s", describe(node))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, n := range seq.Values {
		d.value(n, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) mapping(node ast.Node, v reflect.Value, path string) {
	out := reflect.MakeMap(v.Type())
	for _, pair := range d.pairs(node, path) {
		key := keyText(pair.Key)
		at := join(path, key)
		if out.MapIndex(reflect.ValueOf(key)).IsValid() {
			d.fail(pair.Key, at, "keep one of them", "the key %q is there twice", key)
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if e.Kind() == reflect.Interface {
			if x := d.any(pair.Value, at); x != nil {
				e.Set(reflect.ValueOf(x))
			}
		} else {
			d.value(pair.Value, e, at)
		}
		out.SetMapIndex(reflect.ValueOf(key), e)
	}
	v.Set(out)
}

// any decodes free-form values, as JSON would have them.
func (d *decoder) any(node ast.Node, path string) any {
	switch n := node.(type) {
	case *ast.NullNode, nil:
		return nil
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		if i, err := strconv.ParseInt(n.GetToken().Value, 10, 64); err == nil {
			return i
		}
		return n.GetToken().Value
	case *ast.FloatNode:
		return n.Value
	case *ast.SequenceNode:
		out := make([]any, len(n.Values))
		for i, x := range n.Values {
			out[i] = d.any(x, fmt.Sprintf("%s[%d]", path, i))
		}
		return out
	case *ast.MappingNode, *ast.MappingValueNode:
		out := map[string]any{}
		for _, pair := range d.pairs(node, path) {
			out[keyText(pair.Key)] = d.any(pair.Value, join(path, keyText(pair.Key)))
		}
		return out
	}
	s, ok := text(node)
	if !ok {
		d.fail(node, path, "", "this value cannot be %s", describe(node))
	}
	return s
}

func (d *decoder) scalar(node ast.Node, v reflect.Value, path string) {
	s, ok := text(node)
	if !ok {
		d.fail(node, path, "", "this must be %s, not %s", kindWords(v.Kind()), describe(node))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(s, "${") {
			d.fail(node, path, "references are for secrets: tokens, keys, passwords, URLs that carry them", "a reference is not allowed here")
			return
		}
		v.SetString(s)
	case reflect.Bool:
		switch s {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			d.fail(node, path, "", "this must be true or false, not %q", s)
		}
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			d.fail(node, path, "", "this must be a whole number, not %q", s)
			return
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			d.fail(node, path, "", "this must be a number, not %q", s)
			return
		}
		v.SetFloat(f)
	default:
		d.fail(node, path, "", "this value cannot be read")
	}
}

// special decodes the value types of this package.
func (d *decoder) special(node ast.Node, v reflect.Value, path string) {
	s, ok := text(node)
	if !ok {
		d.fail(node, path, "", "this must be a single value, not %s", describe(node))
		return
	}
	var err error
	switch p := v.Addr().Interface().(type) {
	case *Secret:
		for i := range 1 + strings.Count(s, "\n") {
			d.secrets[strconv.Itoa(node.GetToken().Position.Line+i)] = true
		}
		*p = Secret{ref: s}
	case *Duration:
		*p, err = ParseDuration(s)
	case *Size:
		*p, err = ParseSize(s)
	case *Rate:
		*p, err = ParseRate(s)
	case *Time:
		*p, err = ParseTime(s)
	}
	if err != nil {
		d.fail(node, path, "", "%s", err)
	}
}

// text is the text of a scalar as it was written, so that an account id keeps
// its leading zeros without quotes.
func text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	}
	return "", false
}

func keyText(key ast.MapKeyNode) string {
	if s, ok := text(key); ok {
		return s
	}
	return strings.TrimSpace(key.String())
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func describe(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "this"
}

func kindWords(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "a single value"
}

// ParseSize reads a number of bytes: 1048576, 512KiB, 10MiB, 1GiB.
func ParseSize(s string) (Size, error) {
	units := []struct {
		name  string
		bytes int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1000}, {"MB", 1_000_000}, {"GB", 1_000_000_000}, {"B", 1}, {"", 1}}
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			if err != nil || v < 0 || v > (1<<50)/u.bytes {
				break
			}
			return Size(v * u.bytes), nil
		}
	}
	return 0, fmt.Errorf("%q is not a size; write 512KiB, 10MiB or 1GiB", s)
}

// ParseRate reads so many in a period: 50/min, 1/s, 10/5s, 200/h.
func ParseRate(s string) (Rate, error) {
	wrong := fmt.Errorf("%q is not a rate; write 50/min, 1/s or 10/5s", s)
	count, period, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n <= 0 || n > 1_000_000 {
		return Rate{}, wrong
	}
	period = strings.TrimSpace(period)
	if p, ok := map[string]time.Duration{"s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute,
		"minute": time.Minute, "h": time.Hour, "hour": time.Hour}[period]; ok {
		return Rate{Count: n, Period: p}, nil
	}
	d, err := time.ParseDuration(period)
	if err != nil || d <= 0 {
		return Rate{}, wrong
	}
	return Rate{Count: n, Period: d}, nil
}

// ParseTime reads a date, which means the end of that day in UTC, or an RFC
// 3339 time.
func ParseTime(s string) (Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return Time{t.Add(24*time.Hour - time.Second)}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Time{}, fmt.Errorf("%q is neither a date (2027-01-31) nor a time (2027-01-31T12:00:00Z)", s)
	}
	return Time{t.UTC()}, nil
}
