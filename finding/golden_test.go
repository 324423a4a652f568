package finding

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixtures returns the hand-made findings by name: one per action kind and
// resource kind, in the spelling of the wire.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = b
	}
	return all
}

// one decodes an input that holds exactly one finding.
func one(t testing.TB, input []byte) *Finding {
	t.Helper()
	items, err := DecodeAll(input, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 1 || items[0].Finding == nil {
		t.Fatalf("want one finding, got %s", describe(items))
	}
	return items[0].Finding
}

// describe prints items for a failed test.
func describe(items []Item) string {
	var b strings.Builder
	for _, it := range items {
		switch {
		case it.Finding != nil:
			b.WriteString("finding " + string(it.Finding.ID))
		case it.Rejected != nil:
			b.WriteString("rejected: " + it.Rejected.Reason)
		case it.Ignored != nil:
			b.WriteString("ignored: " + it.Ignored.DetailType)
		case it.Reference != nil:
			b.WriteString("reference: " + it.Reference.Bucket + "/" + it.Reference.Key)
		}
		b.WriteString(" at " + it.Position.Path + "\n")
	}
	return b.String()
}

func TestEachKindReadsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	for name, input := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(Print(one(t, input), true), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// plain returns a finding without what depends on its spelling.
func plain(f *Finding) *Finding {
	c := *f
	c.Raw, c.Warnings = nil, nil
	return &c
}

func TestBothSpellingsReadTheSame(t *testing.T) {
	t.Parallel()
	for name, input := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := plain(one(t, input))
			for spelling, respelled := range map[string][]byte{
				"PascalCase": respell(t, input, pascal),
				"lower case": respell(t, input, strings.ToLower),
				"upper case": respell(t, input, strings.ToUpper),
			} {
				got := plain(one(t, respelled))
				if spelling != "PascalCase" {
					// Names that we have no field for keep their spelling.
					got, want := foldProperties(got), foldProperties(want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s (-want +got):\n%s", spelling, diff)
					}
					continue
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", spelling, diff)
				}
			}
		})
	}
}

// foldProperties folds the names of what is kept as text.
func foldProperties(f *Finding) *Finding {
	c := *f
	fold := func(all []Property) []Property {
		var out []Property
		for _, p := range all {
			out = append(out, Property{strings.ToLower(p.Name), p.Value})
		}
		sortProperties(out)
		return out
	}
	c.Extra = fold(c.Extra)
	if c.Runtime != nil {
		r := *c.Runtime
		r.Context, r.Processes = fold(r.Context), nil
		c.Runtime = &r
	}
	if k := c.Action.KubernetesAPICall; k != nil {
		call := *k
		call.Permission, call.Role, call.RoleBinding = fold(call.Permission), fold(call.Role), fold(call.RoleBinding)
		c.Action.KubernetesAPICall = &call
	}
	if c.Sequence != nil {
		s := *c.Sequence
		s.Resources = nil
		c.Sequence = &s
	}
	return &c
}

// pascal spells a key as the SDKs and the command line do.
func pascal(key string) string {
	switch key {
	case "productCodeId":
		return "Code"
	case "productCodeType":
		return "ProductType"
	case "sourceIPs":
		return "SourceIps"
	}
	return strings.ToUpper(key[:1]) + key[1:]
}

// respell changes the keys of a finding, except those that are data.
func respell(t testing.TB, input []byte, key func(string) string) []byte {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(input))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any, fold int) any
	walk = func(v any, keep int) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = walk(v[i], keep)
			}
		case map[string]any:
			out := map[string]any{}
			for k, e := range v {
				next := 0
				switch {
				case k == "affectedResources":
					next = 1
				case k == "profiles" || k == "behavior":
					next = 2
				case keep > 0:
					next = keep - 1
				}
				if keep > 0 {
					out[k] = walk(e, next)
				} else {
					out[key(k)] = walk(e, next)
				}
			}
			return out
		}
		return v
	}
	b, err := json.Marshal(walk(v, 0))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestListsAndObjectsOfTheProjectionAreNeverNull(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(Print(one(t, []byte(`{"id":"a","type":"A:B/C","accountId":"111111111111","region":"eu-west-1","severity":0,"updatedAt":1740909600}`)), false))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"created_at", "first_seen", "last_seen"} {
		if v, ok := m[key]; !ok || v != nil {
			t.Errorf("%s is %v, want null", key, v)
		}
	}
	for _, key := range []string{"context_resources", "threats", "warnings"} {
		if _, ok := m[key].([]any); !ok {
			t.Errorf("%s is %v, want a list", key, m[key])
		}
	}
	actor := m["actor"].(map[string]any)
	for _, key := range []string{"ips", "domains", "file_hashes"} {
		if _, ok := actor[key].([]any); !ok {
			t.Errorf("actor.%s is %v, want a list", key, actor[key])
		}
	}
	if m["updated_at"] != "2025-03-02T10:00:00Z" || m["severity_label"] != "Informational" || m["known"] != false {
		t.Errorf("updated_at %v, severity_label %v, known %v", m["updated_at"], m["severity_label"], m["known"])
	}
}
