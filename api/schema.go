package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"
)

// schemas makes JSON Schemas (2020-12) from Go types, as encoding/json writes
// them. Structs that have a name are described once, under components.
type schemas struct {
	known object
	err   error // of the first type that cannot be described
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the schema of what a value of v's type looks like in an answer.
func (s *schemas) of(v any) any { return s.schema(reflect.TypeOf(v)) }

// body is the schema of a request. Fields that are unknown are refused.
func (s *schemas) body(v any) object {
	o := s.object(reflect.TypeOf(v))
	o["additionalProperties"] = false
	return o
}

func (s *schemas) schema(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType:
		return object{}
	case t.Kind() == reflect.Pointer:
		return s.schema(t.Elem())
	case t.Implements(jsonMarshaler) || t.Implements(textMarshaler):
		s.fail(t, "writes its own JSON")
		return object{}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.element(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.element(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return s.named(t)
	}
	s.fail(t, "has no form in JSON")
	return object{}
}

// named refers to the description of a struct.
func (s *schemas) named(t reflect.Type) object {
	if t.Name() == "" {
		return s.object(t)
	}
	name := t.Name()
	if pkg := path.Base(t.PkgPath()); pkg != "api" {
		name = pkg + "." + name
	}
	if _, ok := s.known[name]; !ok {
		s.known[name] = object{} // it may refer to itself
		s.known[name] = s.object(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// element is the schema of what may be null: nil in Go.
func (s *schemas) element(t reflect.Type) object {
	o := s.schema(t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return nullable(o)
	}
	return o
}

func nullable(o object) object {
	switch typ := o["type"].(type) {
	case string:
		o["type"] = []string{typ, "null"}
		return o
	case nil:
		if _, ok := o["$ref"]; ok {
			return object{"anyOf": []object{o, {"type": "null"}}}
		}
	}
	return o
}

// object describes the fields of a struct, those of embedded ones too.
func (s *schemas) object(t reflect.Type) object {
	properties := object{}
	required := map[string]bool{}
	s.fields(t, properties, required)
	o := object{"type": "object", "properties": properties}
	var list []string
	for f := range t.Fields() {
		list = append(list, s.names(f, required)...)
	}
	if len(list) > 0 {
		o["required"] = list
	}
	return o
}

// fields fills in what a struct has. Its own fields win over embedded ones.
func (s *schemas) fields(t reflect.Type, properties object, required map[string]bool) {
	for f := range t.Fields() {
		if f.Anonymous && f.Tag.Get("json") == "" {
			s.fields(f.Type, properties, required)
		}
	}
	for f := range t.Fields() {
		name, options, skip := jsonName(f)
		if skip {
			continue
		}
		if strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") {
			properties[name] = s.schema(f.Type)
			delete(required, name)
			continue
		}
		properties[name] = s.element(f.Type)
		required[name] = true
	}
}

// names are the required names that a field brings, in their order.
func (s *schemas) names(f reflect.StructField, required map[string]bool) []string {
	if f.Anonymous && f.Tag.Get("json") == "" {
		var out []string
		for inner := range f.Type.Fields() {
			out = append(out, s.names(inner, required)...)
		}
		return out
	}
	name, _, skip := jsonName(f)
	if skip || !required[name] {
		return nil
	}
	delete(required, name)
	return []string{name}
}

func jsonName(f reflect.StructField) (name, options string, skip bool) {
	tag := f.Tag.Get("json")
	name, options, _ = strings.Cut(tag, ",")
	if tag == "-" || f.Anonymous && tag == "" || !f.IsExported() {
		return "", "", true
	}
	if name == "" {
		name = f.Name
	}
	return name, options, false
}

func (s *schemas) fail(t reflect.Type, why string) {
	if s.err == nil {
		s.err = fmt.Errorf("the OpenAPI document cannot describe %s: it %s", t, why)
	}
}
