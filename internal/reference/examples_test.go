package reference_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/rule"
)

// handwritten are the pages with examples that people copy.
func handwritten(t *testing.T, do func(name, page string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		page, err := os.ReadFile(path)
		if err == nil {
			do(strings.TrimPrefix(filepath.ToSlash(path), root+"/"), string(page))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var exprBlock = regexp.MustCompile("(?s)```expr\n(.*?)```")

func TestConditionsInTheDocumentationCompile(t *testing.T) {
	t.Parallel()
	found := 0
	handwritten(t, func(name, page string) {
		for _, m := range exprBlock.FindAllStringSubmatch(page, -1) {
			found++
			if _, err := rule.Compile(name, strings.TrimSpace(m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if found < 3 {
		t.Errorf("found only %d conditions in the documentation", found)
	}
}

var (
	yamlBlock     = regexp.MustCompile("(?sm)^```yaml\n(.*?)^```")
	fileReference = regexp.MustCompile(`\$\{file:[^}]*\}`)
)

// environment holds a value of the right form for each reference in examples.
var environment = map[string]string{
	"PAGERDUTY_KEY":  "0123456789abcdef0123456789abcdef",
	"WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
	"HEARTBEAT_URL":  "https://example.com/ping/guardroom",
	"SLACK_WEBHOOK":  "https://hooks.slack.com/services/T0/B0/secret",
	"SLACK_TOKEN":    "xoxb-0-example",
}

func TestConfigurationsInTheDocumentationLoad(t *testing.T) {
	t.Parallel()
	found := 0
	handwritten(t, func(name, page string) {
		for _, m := range yamlBlock.FindAllStringSubmatch(page, -1) {
			found++
			// The files that examples name are on the reader's machine.
			text := fileReference.ReplaceAllString(m[1], "${env:FILE}")
			_, err := config.Parse(context.Background(), name, []byte(text), config.LoadOptions{
				Offline: true,
				LookupEnv: func(key string) (string, bool) {
					if v, ok := environment[key]; ok {
						return v, true
					}
					return "0123456789abcdef0123456789abcdef", true
				},
				CheckCondition: func(source string) error {
					_, err := rule.Compile(name, source)
					return err
				},
			})
			if err != nil {
				t.Errorf("%s: this example does not load: %v\n%s", name, err, m[1])
			}
		}
	})
	if found < 10 {
		t.Errorf("found only %d configurations in the documentation", found)
	}
}
