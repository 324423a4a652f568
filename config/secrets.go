package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// Resolver looks up a secret outside, in AWS for example. Resolve blocks on the
// network, may be repeated and called concurrently. Its errors must not hold the
// value.
type Resolver interface {
	Resolve(ctx context.Context, name string) (string, error)
}

// The kinds of references.
const (
	refEnv            = "env"
	refFile           = "file"
	refSSM            = "ssm"
	refSecretsManager = "secretsmanager"
)

const (
	maxSecretFile  = 64 << 10
	resolveTimeout = 10 * time.Second
	resolveLimit   = 8 // look-ups at the same time
)

// reference finds what is meant as a reference, in places where none is
// allowed.
var reference = regexp.MustCompile(`\$\{(env|file|ssm|secretsmanager):`)

// fragment is a piece of a secret as written: plain text, or a reference.
type fragment struct {
	kind string // empty: text
	text string // or the name
}

func (f fragment) remote() bool { return f.kind == refSSM || f.kind == refSecretsManager }

// fragments splits what a configuration says. Errors repeat nothing of it.
func fragments(s string) ([]fragment, error) {
	var out []fragment
	var plain strings.Builder
	for s != "" {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '$' { // $${ stands for ${
			plain.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		plain.WriteString(s[:i])
		ref, rest, closed := strings.Cut(s[i+2:], "}")
		kind, name, ok := strings.Cut(ref, ":")
		switch {
		case !closed:
			return nil, errors.New("a reference that begins with ${ has no closing brace")
		case !ok || kind != refEnv && kind != refFile && kind != refSSM && kind != refSecretsManager:
			return nil, errors.New("what begins with ${ is no reference that is known")
		case strings.TrimSpace(name) == "":
			return nil, fmt.Errorf("the reference ${%s:} names nothing", kind)
		}
		if plain.Len() > 0 {
			out = append(out, fragment{text: plain.String()})
			plain.Reset()
		}
		out, s = append(out, fragment{kind: kind, text: name}), rest
	}
	if plain.WriteString(s); plain.Len() > 0 {
		out = append(out, fragment{text: plain.String()})
	}
	return out, nil
}

// eachSecret calls do for every secret that is set, and keeps what it returns
// where that is another one.
func eachSecret(v reflect.Value, path string, do func(path string, s Secret) Secret) {
	switch {
	case v.Type() == secretType:
		if s := v.Interface().(Secret); s.IsSet() {
			if next := do(path, s); next != s {
				v.Set(reflect.ValueOf(next))
			}
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		eachSecret(v.Elem(), path, do)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if name := yamlName(v.Type().Field(i)); name != "" {
				eachSecret(v.Field(i), join(path, name), do)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachSecret(v.Index(i), fmt.Sprintf("%s[%d]", path, i), do)
		}
	case v.Kind() == reflect.Map && v.Type().Elem() == secretType:
		for _, k := range v.MapKeys() {
			s := v.MapIndex(k).Interface().(Secret)
			if !s.IsSet() {
				continue
			}
			if next := do(join(path, k.String()), s); next != s {
				v.SetMapIndex(k, reflect.ValueOf(next))
			}
		}
	}
}

// resolveSecrets replaces references by values. Look-ups in AWS run side by
// side, each once, and only when nothing else is wrong so far.
func (d *decoder) resolveSecrets(ctx context.Context, cfg *Config, opts LoadOptions) {
	online := !opts.Offline && len(d.problems) == 0
	remote := map[fragment]*lookup{}
	root := reflect.ValueOf(cfg).Elem()
	left := func(path string) bool { return opts.StoreOnly && path != "store" }
	eachSecret(root, "", func(path string, s Secret) Secret {
		list, _ := fragments(s.Reference())
		for _, f := range list {
			if f.remote() && online && !left(path) && remote[f] == nil {
				remote[f] = &lookup{}
			}
		}
		return s
	})
	var g errgroup.Group
	g.SetLimit(resolveLimit)
	for f, l := range remote {
		g.Go(func() error {
			l.value, l.err = resolveRemote(ctx, opts.Resolvers[f.kind], f)
			return nil
		})
	}
	_ = g.Wait() // each look-up holds its own error
	eachSecret(root, "", func(path string, s Secret) Secret {
		list, err := fragments(s.Reference())
		if err != nil {
			d.failAt(path, "known are ${env:NAME}, ${file:PATH}, ${ssm:NAME} and ${secretsmanager:NAME#KEY}; write $${ for ${ itself", "%s", err)
			return s
		}
		value, whole := "", true
		for _, f := range list {
			part, err := f.text, error(nil)
			switch {
			case f.kind != "" && left(path):
				part, whole = "", false
			case f.kind == refEnv:
				part, err = resolveEnv(f.text, opts.LookupEnv)
			case f.kind == refFile:
				part, err = resolveFile(f.text)
			case f.remote() && remote[f] == nil:
				part, whole = "", false
			case f.remote():
				part, err = remote[f].value, remote[f].err
			}
			if err != nil {
				d.failAt(path, hintFor(f), "the reference ${%s:%s} has no value: %s", f.kind, f.text, err)
				whole = false
			}
			value += part
		}
		if !whole {
			return s
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(value) {
			d.failAt(path, "is there more than the secret in it?", "the value holds a line break or another control character")
		}
		return newSecret(s.Reference(), value)
	})
}

type lookup struct {
	value string
	err   error
}

func hintFor(f fragment) string {
	switch f.kind {
	case refEnv:
		return "set the environment variable " + f.text + " where guardroom runs"
	case refFile:
		return "the path is as seen from the working directory; the file holds the secret and nothing else"
	}
	return "check the name, the region, and that guardroom may read it; config check without --online leaves it out"
}

func resolveEnv(name string, lookup func(string) (string, bool)) (string, error) {
	value, ok := lookup(name)
	switch {
	case !ok:
		return "", errors.New("the environment variable is not set")
	case value == "":
		return "", errors.New("the environment variable is empty")
	}
	return value, nil
}

func resolveFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", cause(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", cause(err)
	}
	if len(data) > maxSecretFile {
		return "", errors.New("the file is larger than 64 KiB")
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return "", errors.New("the file is empty")
	}
	return value, nil
}

func resolveRemote(ctx context.Context, r Resolver, f fragment) (string, error) {
	if r == nil {
		return "", fmt.Errorf("this command cannot look up %s references", f.kind)
	}
	name, key, picked := f.text, "", false
	if f.kind == refSecretsManager {
		name, key, picked = strings.Cut(f.text, "#")
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	value, err := r.Resolve(ctx, name)
	switch {
	case err != nil:
		return "", err
	case !picked && value == "":
		return "", errors.New("it is empty")
	case !picked:
		return value, nil
	}
	return pick(value, key)
}

// pick returns one key of a secret that is a JSON object.
func pick(value, key string) (string, error) {
	var object map[string]any
	dec := json.NewDecoder(strings.NewReader(value))
	dec.UseNumber()
	if dec.Decode(&object) != nil || object == nil {
		return "", errors.New("the secret is not a JSON object, so that no key can be taken from it")
	}
	switch x := object[key].(type) {
	case string:
		if x != "" {
			return x, nil
		}
		return "", fmt.Errorf("its key %q is empty", key)
	case json.Number:
		return x.String(), nil
	case nil:
		return "", fmt.Errorf("it has no key %q", key)
	}
	return "", fmt.Errorf("its key %q is neither text nor a number", key)
}
