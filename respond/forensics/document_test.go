package forensics_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/respond/forensics"
)

// host runs the document's script as the agent would, with a tool and a list of
// parts served over HTTP. It returns what arrived.
func host(t *testing.T, tool string, toolSum string, parts int) (arrived []byte, stdout, stderr string, code int) {
	t.Helper()
	for _, name := range []string{"sh", "curl", "sha256sum", "timeout"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is missing: install curl and coreutils", name)
		}
	}
	var mu sync.Mutex
	got := map[string][]byte{}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /tool", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tool) })
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, _ *http.Request) {
		for n := range parts {
			_, _ = fmt.Fprintf(w, "%s/part/%d?signed=1\n", server.URL, n)
		}
	})
	mux.HandleFunc("PUT /part/{n}", func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 { // S3 refuses a part whose length is not said
			w.WriteHeader(http.StatusLengthRequired)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.PathValue("n")] = body
	})
	var doc struct {
		MainSteps []struct {
			Inputs struct {
				RunCommand []string `json:"runCommand"`
			} `json:"inputs"`
		} `json:"mainSteps"`
	}
	if err := json.Unmarshal(forensics.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := strings.NewReplacer("{{ Tool }}", server.URL+"/tool", "{{ ToolSHA256 }}", toolSum, "{{ Parts }}", server.URL+"/list", "{{ PartBytes }}", "65536",
		// This machine's memory is not to be read, and may well be locked.
		"/proc/kcore", "/dev/null", "/sys/kernel/security/lockdown", filepath.Join(dir, "none"), "/dev/shm/", dir+"/").Replace(strings.Join(doc.MainSteps[0].Inputs.RunCommand, "\n"))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left on the host: %v, %v", left, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for n := range parts {
		arrived = append(arrived, got[fmt.Sprint(n)]...)
	}
	return arrived, out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestTheDocumentSendsMemoryInPartsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	const tool = "#!/bin/sh\nhead -c 150000 /dev/zero | tr '\\0' 'm' >\"$1\"\n"
	image := bytes.Repeat([]byte("m"), 150000)
	arrived, stdout, stderr, code := host(t, tool, evidence.Digest([]byte(tool)), 5)
	if code != 0 || !bytes.Equal(arrived, image) {
		t.Fatalf("exit code %d, %d bytes arrived of %d: %s", code, len(arrived), len(image), stderr)
	}
	var said struct {
		SHA256, Kernel string
		Bytes          int64
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || said.SHA256 != evidence.Digest(image) || said.Bytes != 150000 || said.Kernel == "" {
		t.Errorf("the host says %q: %v", stdout, err)
	}
}

func TestTheDocumentRunsNoToolWithAnotherHash(t *testing.T) {
	t.Parallel()
	arrived, _, stderr, code := host(t, "#!/bin/sh\necho evil >\"$1\"\n", strings.Repeat("0", 64), 2)
	if code != 42 || len(arrived) != 0 || !strings.Contains(stderr, "cannot: the tool does not have the expected SHA-256") {
		t.Errorf("exit code %d, %d bytes: %s", code, len(arrived), stderr)
	}
}

func TestTheDocumentFailsWhereTheToolDoes(t *testing.T) {
	t.Parallel()
	const tool = "#!/bin/sh\necho unable to read >&2\nexit 3\n"
	_, stdout, stderr, code := host(t, tool, evidence.Digest([]byte(tool)), 2)
	if code != 45 || stdout != "" || !strings.Contains(stderr, "unable to read") {
		t.Errorf("exit code %d: %s %s", code, stdout, stderr)
	}
}

func TestTheDocumentFailsWhereTheImageIsLargerThanThePartsAllow(t *testing.T) {
	t.Parallel()
	const tool = "#!/bin/sh\nhead -c 900000 /dev/zero >\"$1\"\n"
	_, stdout, _, code := host(t, tool, evidence.Digest([]byte(tool)), 2)
	if code != 45 || stdout != "" {
		t.Errorf("exit code %d, and the host says %q", code, stdout)
	}
}
