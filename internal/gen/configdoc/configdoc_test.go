package configdoc_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/gen/configdoc"
	"github.com/guardroom/guardroom/rule"
)

var update = flag.Bool("update", false, "write the files anew")

func TestGeneratedFilesAreFresh(t *testing.T) {
	const root = "../../.."
	for name, write := range map[string]func(string) ([]byte, error){
		"config/schema.json":              configdoc.Schema,
		"docs/reference/configuration.md": configdoc.Page,
	} {
		want, err := write(root)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.FromSlash(name))
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is stale; run: go generate ./config", name)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	page, err := configdoc.Page("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(page), "\n") {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |") {
			t.Errorf("no doc comment: %s", line)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	values := map[string]string{"PAGERDUTY_ROUTING_KEY": strings.Repeat("k", 32), "WEBHOOK_SECRET": "whsec_" + strings.Repeat("MfKQ", 8), "SMTP_PASSWORD": "x"}
	opts := config.LoadOptions{Offline: true,
		LookupEnv:      func(name string) (string, bool) { v, ok := values[name]; return v, ok },
		CheckCondition: func(s string) error { _, err := rule.Compile("", s); return err }}
	dir := t.TempDir()
	secret := filepath.Join(dir, "api")
	if err := os.WriteFile(secret, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := configdoc.Page("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for section, text := range configdoc.Examples() {
		if !bytes.Contains(page, []byte("## `"+section+"`\n")) {
			t.Errorf("the example of %s belongs to no section", section)
		}
		text = strings.ReplaceAll(text, "/run/secrets/guardroom-api", filepath.ToSlash(secret))
		if _, err := config.Parse(context.Background(), section, []byte(text), opts); err != nil {
			t.Error(err)
		}
	}
}
