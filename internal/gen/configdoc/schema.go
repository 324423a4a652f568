package configdoc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/guardroom/guardroom/config"
)

// Schema writes the JSON Schema (draft 2020-12) of a configuration file. root is
// the folder of the repository.
func Schema(root string) ([]byte, error) {
	docs, err := readComments(root)
	if err != nil {
		return nil, err
	}
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml",
		LookupComment: docs.of, Mapper: special}
	s := r.Reflect(&config.Config{})
	s.Title = "guardroom configuration"
	complete(s, reflect.ValueOf(config.Sample()).Elem())
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// special is the schema of the value types of package config.
func special(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	switch t {
	case reflect.TypeFor[config.Secret]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[config.Duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text(`^(([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|[0-9]+(\.[0-9]+)?d|0)$`), {Const: 0}}}
	case reflect.TypeFor[config.Size]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text(`^[0-9]+ *(B|KiB|MiB|GiB|KB|MB|GB)?$`), {Type: "integer", Minimum: "0"}}}
	case reflect.TypeFor[config.Rate]():
		return text(`^[1-9][0-9]* */ *[0-9a-zµ.]+$`)
	case reflect.TypeFor[config.Time]():
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.+)?$`)
	}
	return nil
}

// complete adds what stands in the tags of the fields, and the defaults, which
// v has.
func complete(s *jsonschema.Schema, v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if key(f) == "" {
			continue
		}
		p, _ := s.Properties.Get(key(f))
		if f.Tag.Get("required") != "" {
			s.Required = append(s.Required, key(f))
		}
		words(p, f)
		if d := defaultOf(v.Field(i)); d != nil {
			p.Default = d
		}
		switch inner := reflect.Indirect(v.Field(i)); {
		case inner.Kind() == reflect.Struct && special(inner.Type()) == nil:
			complete(p, inner)
		case inner.Kind() == reflect.Slice && inner.Type().Elem().Kind() == reflect.Struct:
			complete(p.Items, inner.Index(0))
		}
	}
	if t == reflect.TypeFor[config.Destination]() {
		sections(s, t)
	}
}

// words adds enumerations and lower limits.
func words(p *jsonschema.Schema, f reflect.StructField) {
	for w := range strings.FieldsSeq(f.Tag.Get("words")) {
		if p.Type == "array" {
			p.Items.Enum = append(p.Items.Enum, w)
		} else {
			p.Enum = append(p.Enum, w)
		}
	}
	if list := strings.Fields(f.Tag.Get("keys")); len(list) > 0 {
		p.PropertyNames = &jsonschema.Schema{}
		for _, w := range list {
			p.PropertyNames.Enum = append(p.PropertyNames.Enum, w)
		}
	}
	if f.Tag.Get("positive") != "" && p.AnyOf == nil {
		p.ExclusiveMinimum = "0"
	}
}

// sections ties the type of a destination to its section.
func sections(s *jsonschema.Schema, t reflect.Type) {
	var names []string
	for f := range t.Fields() {
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct {
			names = append(names, key(f))
		}
	}
	for _, name := range names {
		is := jsonschema.NewProperties()
		is.Set("type", &jsonschema.Schema{Const: name})
		others := jsonschema.NewProperties()
		for _, other := range names {
			if other != name {
				others.Set(other, jsonschema.FalseSchema)
			}
		}
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: &jsonschema.Schema{Properties: is}, Then: &jsonschema.Schema{Properties: others, Required: []string{name}}})
	}
}

// defaultOf is a default as JSON; nil where there is none, or where zero is not
// a choice of ours.
func defaultOf(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case config.Secret:
		if x.IsSet() {
			return x.Reveal() // of Sample: the store's address
		}
		return nil
	case fmt.Stringer:
		if v.IsZero() {
			return nil
		}
		return x.String()
	}
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.String, reflect.Int, reflect.Float64:
		if !v.IsZero() {
			return v.Interface()
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String && v.Len() > 0 {
			return v.Interface()
		}
	}
	return nil
}
