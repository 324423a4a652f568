package config

import (
	"reflect"
	"regexp"
	"strings"
)

// harmless reports a line that surely holds no secret, in a file that could not
// be parsed: it begins with a key of guardroom that holds none, and names no key
// that does. Headers have free names, so that no file with headers is shown.
func harmless(lines []string, n int) bool {
	plain, secret := keysOf()
	for _, l := range lines {
		if strings.Contains(l, "headers") {
			return false
		}
	}
	key := firstKey.FindStringSubmatch(lines[n])
	if key == nil || !plain[key[1]] || strings.Contains(lines[n], "{") || strings.Count(lines[n], ":") > 1 {
		return false
	}
	for name := range secret {
		if strings.Contains(lines[n], name) {
			return false
		}
	}
	return true
}

var firstKey = regexp.MustCompile(`^[ \t]*(?:- *)*([a-z_]+):`)

// keysOf are all keys of a configuration: those that hold no secret anywhere,
// and those that do.
func keysOf() (plain, secret map[string]bool) {
	plain, secret = map[string]bool{}, map[string]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			name := yamlName(f)
			switch {
			case name == "":
			case holdsSecrets(f.Type):
				secret[name] = true
			default:
				plain[name] = true
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	for name := range secret {
		delete(plain, name)
	}
	return plain, secret
}
