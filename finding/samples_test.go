package finding

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleFolder looks for the collected samples beside the checkout.
func sampleFolder() string {
	dir, err := os.Getwd()
	for err == nil {
		path := filepath.Join(dir, "shared", "data", "findings")
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return ""
}

func TestCollectedSamplesAreReadOrRefusedWithAReason(t *testing.T) {
	t.Parallel()
	dir := sampleFolder()
	if dir == "" {
		t.Log("no folder shared/data/findings beside the checkout: the collected samples were not read")
		return
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	refusals := map[string]string{
		"CredentialAccess-RDS-AnomalousBehavior.SuccessfulLogin.damaged.json": "updatedAt is missing",
		"UnauthorizedAccess-EC2-SSHBruteForce.partial-envelope.json":          "accountId is missing",
	}
	found, refused := 0, 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		items, err := DecodeAll(b, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			switch {
			case it.Finding != nil:
				found++
			case it.Rejected != nil:
				refused++
				want, ok := refusals[filepath.Base(file)]
				if !ok || !strings.Contains(it.Rejected.Reason, want) {
					t.Errorf("%s: refused with %q", filepath.Base(file), it.Rejected.Reason)
				}
			default:
				t.Errorf("%s: neither a finding nor refused: %+v", filepath.Base(file), it)
			}
		}
	}
	if found != 28 || refused != 2 {
		t.Errorf("%d findings and %d refused, want 28 and 2", found, refused)
	}
}
