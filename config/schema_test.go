package config_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/guardroom/guardroom/config"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if v := doc.(map[string]any)["$schema"]; v != "https://json-schema.org/draft/2020-12/schema" {
		t.Fatalf("the schema is of the draft %v", v)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("guardroom.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("guardroom.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestGoodFilesPassTheChecksAndTheSchema(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range append(files, "template") {
		data := config.Template()
		if path != "template" {
			if data, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Parse(context.Background(), path, data, options()); err != nil {
				t.Error(err)
			}
		}
		// Account ids without quotes are numbers to editors; they are told so.
		quoted := strings.NewReplacer("000000000012", `"000000000012"`).Replace(string(data))
		if err := schema.Validate(asJSON(t, []byte(quoted))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Whoever edits with the schema shall find there what it can say.
func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	names := []string{"unknown-key", "unknown-key-far-from-any", "list-expected", "mapping-expected", "text-expected", "bool-expected", "integer-expected", "number-expected",
		"duration", "duration-negative", "duration-without-unit", "size", "word", "word-in-a-list", "account-id-missing", "sqs-name-missing", "sqs-max-receives",
		"suppression-without-owner", "suppression-without-until", "suppression-until-form", "destination-type-missing", "destination-type-unknown", "destination-section-missing",
		"destination-section-of-another-type", "jira-empty", "jira-priority-severity", "pagerduty-mode", "webhook-without-secret", "email-empty", "email-tls", "destination-rate", "slack-mention-at", "worker-time-scale"}
	for _, name := range names {
		data, err := os.ReadFile("testdata/bad/" + name + ".yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		if schema.Validate(asJSON(t, data)) == nil {
			t.Errorf("%s is good by the schema", name)
		}
	}
}

func TestEveryKeyOfTheSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	n, defaults := 0, 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if properties, ok := m["properties"].(map[string]any); ok && !strings.Contains(path, "/then") && !strings.Contains(path, "/if") {
			for key, p := range properties {
				n++
				field := p.(map[string]any)
				if d, _ := field["description"].(string); len(d) < 10 {
					t.Errorf("%s.%s has no description", path, key)
				}
				if _, has := field["default"]; has {
					defaults++
				}
			}
		}
		for key, x := range m {
			walk(path+"/"+key, x)
		}
	}
	walk("", doc)
	if n < 140 || defaults < 40 {
		t.Errorf("%d keys, %d with defaults", n, defaults)
	}
	if !slices.Contains(strings.Split(string(text), "\n"), `      "default": "sqlite:guardroom.db"`) {
		t.Error("the default of the store is not there")
	}
}
