package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Masked is the effective configuration as YAML, defaults included, in the
// order of the fields, with *** for every secret. A reference beside it says
// where the secret comes from. What is not set is left out; apart from the
// secrets, reading it back gives the same configuration.
func Masked(c *Config) ([]byte, error) {
	comments := yaml.CommentMap{}
	out, err := yaml.MarshalWithOptions(masked(reflect.ValueOf(c).Elem(), "$", comments), yaml.WithComment(comments), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	return out, nil
}

// masked turns a value into what the YAML encoder takes; nil where nothing is
// set.
func masked(v reflect.Value, path string, comments yaml.CommentMap) any {
	switch x := v.Interface().(type) {
	case Secret:
		return maskedSecret(x, path, comments)
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil || len(text) == 0 {
			return nil
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return masked(v.Elem(), path, comments)
	case reflect.Struct:
		var out yaml.MapSlice
		for i := range v.NumField() {
			name := yamlName(v.Type().Field(i))
			if name == "" {
				continue
			}
			if value := masked(v.Field(i), path+"."+name, comments); value != nil {
				out = append(out, yaml.MapItem{Key: name, Value: value})
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = masked(v.Index(i), fmt.Sprintf("%s[%d]", path, i), comments)
		}
		return out
	case reflect.Map:
		var out yaml.MapSlice
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			value := v.MapIndex(k).Interface()
			if s, ok := value.(Secret); ok {
				value = s.String()
			}
			out = append(out, yaml.MapItem{Key: k.String(), Value: value})
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case reflect.String:
		if v.String() == "" {
			return nil
		}
	}
	return v.Interface()
}

// maskedSecret shows what is no secret: the path of a SQLite file, and a URL of
// PostgreSQL without its password.
func maskedSecret(s Secret, path string, comments yaml.CommentMap) any {
	if !s.IsSet() {
		return nil
	}
	if list, err := fragments(s.Reference()); err == nil && len(list) == 1 && list[0].kind != "" {
		comments[path] = []*yaml.Comment{yaml.LineComment(fmt.Sprintf(" from ${%s:%s}", list[0].kind, list[0].text))}
	}
	if path != "$.store" {
		return mask
	}
	if strings.HasPrefix(s.Reveal(), "sqlite:") {
		return s.Reveal()
	}
	if u, err := url.Parse(s.Reveal()); err == nil && u.Host != "" {
		u.RawQuery = ""
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		return u.String()
	}
	return mask
}
