package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/guardroom/guardroom/internal/spelling"
)

// decoder fills a Config from the syntax tree, with everything that is wrong
// reported at its place. A library's decoder stops at the first error and does
// not tell where a value stood that is found wrong later.
type decoder struct {
	file     string
	lines    []string
	problems Problems
	broken   bool                    // nothing could be decoded
	places   map[string]*token.Token // path -> where its value stands
	bad      map[string]bool         // paths that were found wrong already
	hidden   map[int]bool            // lines that may hold secrets, from 1
	values   map[string]ast.Node     // path -> scalar
	heads    map[int]int             // of them, those that may be shown up to this column
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, places: map[string]*token.Token{}, bad: map[string]bool{}, values: map[string]ast.Node{}, hidden: map[int]bool{}, heads: map[int]int{}}
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
	switch n := node.(type) {
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
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 && d.places[path] == nil {
			d.places[path] = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		if d.places[path] == nil {
			d.places[path] = n.Key.GetToken()
		}
	case *ast.SequenceNode:
	default:
		d.places[path], d.values[path] = node.GetToken(), node // before, it was the key's
	}
	if d.places[path] == nil {
		d.places[path] = node.GetToken()
	}
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

// keyLike is what may be repeated in a message: a secret that stands in the
// place of a key by mistake is not.
var keyLike = regexp.MustCompile(`^[A-Za-z_]{1,40}$`)

// pairs returns the entries of a mapping, or nil after reporting that node is
// none.
func (d *decoder) pairs(node ast.Node, path string) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	if _, scalar := text(node); scalar {
		d.hide(node.GetToken(), node) // token:xoxb-1 without the space is text
	}
	d.fail(node, path, "write key: value, with a space after the colon", "this must be a mapping of keys to values, not %s", describe(node))
	return nil
}

func (d *decoder) structure(node ast.Node, v reflect.Value, path string) {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if name := yamlName(v.Type().Field(i)); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	seen := map[string]bool{}
	for _, pair := range d.pairs(node, path) {
		key := keyText(pair.Key)
		i, known := fields[key]
		if pair.Key.IsMergeKey() {
			d.fail(pair.Key, path, "write the keys out", "anchors, aliases and merge keys are not allowed")
			d.hide(pair.Key.GetToken(), pair.Value)
			continue
		}
		if !known && !keyLike.MatchString(key) {
			d.hide(pair.Key.GetToken(), pair.Value)
			d.fail(pair.Key, path, "known here: "+strings.Join(names, ", "), "this is no key that is known here")
			continue
		}
		at := join(path, key)
		if !known || holdsSecrets(v.Type().Field(i).Type) {
			// An unknown key may be a misspelt secret.
			d.hide(pair.Key.GetToken(), pair.Value)
		}
		switch {
		case !known:
			hint := "known here: " + strings.Join(names, ", ")
			if n := spelling.Nearest(key, names); n != "" {
				hint = "did you mean " + n + "?"
			}
			d.fail(pair.Key, at, hint, "there is no key %q here", key)
		case seen[key]:
			d.fail(pair.Key, at, "keep one of them", "the key %q is there twice", key)
		default:
			seen[key] = true
			d.places[at] = pair.Key.GetToken()
			d.value(pair.Value, v.Field(i), at)
			if valued(pair.Value) {
				d.tags(v.Type().Field(i).Tag, v.Field(i), at)
			}
		}
	}
}

// valued reports a value: null and empty text keep the default.
func valued(node ast.Node) bool {
	if node == nil || node.Type() == ast.NullType {
		return false
	}
	s, scalar := text(node)
	return !scalar || s != ""
}

// yamlName is the key of a field; empty for one that is no key.
func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// holdsSecrets reports a secret, or a map of them.
func holdsSecrets(t reflect.Type) bool {
	return t == secretType || t.Kind() == reflect.Map && t.Elem() == secretType
}

// tags checks a field that the file sets: one of a few words (tag words), a list
// of such, a map from them (keys), a number or duration above 0 (positive).
func (d *decoder) tags(tag reflect.StructTag, v reflect.Value, path string) {
	check := func(word, at, list string) {
		known := strings.Fields(list)
		if slices.Contains(known, word) {
			return
		}
		hint := "use " + either(known)
		if n := spelling.Nearest(word, known); n != "" {
			hint = "did you mean " + n + "?"
		}
		d.failAt(at, hint, "%q is not known here", word)
	}
	if list := tag.Get("words"); list != "" {
		switch v.Kind() {
		case reflect.String:
			check(v.String(), path, list)
		case reflect.Slice:
			for i := range v.Len() {
				check(v.Index(i).String(), fmt.Sprintf("%s[%d]", path, i), list)
			}
		}
	}
	if tag.Get("positive") != "" && v.CanConvert(reflect.TypeFor[float64]()) && !(v.Convert(reflect.TypeFor[float64]()).Float() > 0) {
		d.failAt(path, "leave it out for the default", "this must be more than 0")
	}
	if list := tag.Get("keys"); list != "" {
		for _, k := range v.MapKeys() {
			check(k.String(), join(path, k.String()), list)
		}
	}
}

// either joins words for a sentence.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
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
		if v.Type().Elem() == secretType && !headerName.MatchString(key) {
			d.fail(pair.Key, path, "", "this is not the name of a header") // it may be a value
			continue
		}
		d.places[at] = pair.Key.GetToken()
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
	switch {
	case !ok:
		d.fail(node, path, "", "this value cannot be %s", describe(node))
	case reference.MatchString(s):
		d.fail(node, path, referencesHint, "a reference is not allowed here")
	}
	return s
}

const referencesHint = "references are for secrets: tokens, keys, passwords, URLs that carry them"

func (d *decoder) scalar(node ast.Node, v reflect.Value, path string) {
	s, ok := text(node)
	if !ok {
		d.fail(node, path, "", "this must be %s, not %s", kindWords(v.Kind()), describe(node))
		return
	}
	if t := node.GetToken(); t.Type == token.StringType && strings.Contains(s, ": ") && !strings.Contains(s, "\n") {
		if _, block := node.(*ast.LiteralNode); !block {
			// What follows may be a secret.
			d.hide(t, node)
			d.fail(node, path, "write a comma between two keys in braces, and quotes around text with a colon", "there is a second key in this value; is a comma missing?")
			return
		}
	}
	switch v.Kind() {
	case reflect.String:
		if reference.MatchString(s) {
			d.fail(node, path, referencesHint, "a reference is not allowed here")
			return
		}
		if s != "" { // as a key without value
			v.SetString(s)
		}
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
		*p = newSecret(s, "")
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
