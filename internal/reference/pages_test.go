package reference_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/reference"
)

// root is the repository, seen from this package's folder.
const root = "../.."

var update = flag.Bool("update", false, "write the pages anew")

func TestPagesAreFresh(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(string) (string, error){
		"docs/reference/conditions.md": reference.Conditions,
		"docs/reference/metrics.md":    reference.Metrics,
		"docs/reference/json.md":       reference.JSON,
		"docs/reference/api.md":        func(string) (string, error) { return reference.API(), nil },
		"docs/reference/openapi.json": func(string) (string, error) {
			b, err := api.OpenAPI()
			return string(b), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := write(root)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(root, name)
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("%s is stale; run make generate (-fresh +committed):\n%s", name, diff)
			}
		})
	}
}

// A test that compares a page with itself would not notice that a field has
// gone; these must be there.
func TestPagesNameWhatPeopleUse(t *testing.T) {
	t.Parallel()
	conditions, err := reference.Conditions(root)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := reference.Metrics(root)
	if err != nil {
		t.Fatal(err)
	}
	for page, names := range map[string][]string{
		conditions: {"`finding.type`", "`resource.tags`", "`actor.ips`", "`account.environment`", "`severity`", "`action.port`", "`cidr(address, network)`", "`any`"},
		metrics:    {"`guardroom_findings_total`", "`guardroom_delivery_latency_seconds`", "`guardroom_delivery_queue_depth`", "`guardroom_destination_paused`"},
	} {
		for _, n := range names {
			if !strings.Contains(page, "| "+n+" |") {
				t.Errorf("the page has no row for %s", n)
			}
		}
	}
}
