package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestPackageOf(t *testing.T) {
	t.Parallel()
	for symbol, want := range map[string]string{
		"main.main":                  "main",
		"net/http.(*Server).Serve":   "net/http",
		"type:*net/http.Server":      "net/http",
		"type:.eq.net/http.Request":  "net/http",
		"go:itab.*os.File,io.Reader": "os",
		"github.com/aws/aws-sdk-go-v2/service/ec2.(*Client).DescribeInstances": "github.com/aws/aws-sdk-go-v2/service/ec2",
		"gopkg%2ein/yaml%2ev3.Unmarshal":                                       "gopkg.in/yaml.v3",
		"slices.SortFunc[go.shape.[]string]":                                   "slices",
	} {
		if got := packageOf(symbol); got != want {
			t.Errorf("packageOf(%q) = %q, want %q", symbol, got, want)
		}
	}
}

func TestCountOfThisProgram(t *testing.T) {
	t.Parallel()
	// A test's own binary has no symbols when go test runs it.
	self := filepath.Join(t.TempDir(), "size")
	if out, err := exec.Command("go", "build", "-o", self, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sizes, err := count(self, map[string]string{"runtime": "the runtime", "strings": "strings"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	var all uint64
	for _, n := range sizes {
		all += n
	}
	if sizes["the runtime"] < 100_000 || sizes["strings"] == 0 || all > uint64(info.Size()) { //nolint:gosec // a file's size
		t.Errorf("of a file of %d bytes these were counted: %v", info.Size(), sizes)
	}
}
