package forensics_test

import (
	"bytes"
	"crypto/md5" //nolint:gosec // S3 asks for it
	"encoding/base64"
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
// parts served over HTTP, by a bucket that locks what is put into it. It returns
// what arrived. Programs named in shims stand before those of this machine.
func host(t *testing.T, tool string, toolSum string, parts int, shims ...string) (arrived []byte, stdout, stderr string, code int) {
	t.Helper()
	for _, name := range []string{"sh", "curl", "sha256sum", "timeout", "md5sum", "base64", "xargs"} {
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
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
		if sum := md5.Sum(body); r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) { //nolint:gosec // S3 asks for it
			w.WriteHeader(http.StatusBadRequest)
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
	dir, none, bin := t.TempDir(), t.TempDir(), t.TempDir()
	for n := 0; n+1 < len(shims); n += 2 {
		if err := os.WriteFile(filepath.Join(bin, shims[n]), []byte("#!/bin/sh\n"+shims[n+1]), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	script := strings.NewReplacer("{{ Tool }}", server.URL+"/tool", "{{ ToolSHA256 }}", toolSum, "{{ Parts }}", server.URL+"/list", "{{ PartBytes }}", "65536",
		// This machine's memory is not to be read, and may well be locked.
		"/proc/kcore", "/dev/null", "/sys/kernel/security/lockdown", filepath.Join(dir, "none"), `"$(stat -f -c %T "$at" 2>/dev/null)"`, "tmpfs", "/dev/shm /run /tmp", none+" "+dir).Replace(strings.Join(doc.MainSteps[0].Inputs.RunCommand, "\n"))
	if strings.Contains(script, "/run") {
		t.Fatal("the script looks at this machine")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NOWHERE="+none, "DIR="+dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, d := range []string{dir, none} {
		left, err := os.ReadDir(d)
		if err != nil || len(left) != 0 {
			t.Errorf("left on the host: %v, %v", left, err)
		}
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

// Hardened hosts let no program run in /dev/shm.
func TestTheDocumentRunsItsToolWhereProgramsMayRunOrSaysThatNoneMay(t *testing.T) {
	t.Parallel()
	const tool = "#!/bin/sh\nhead -c 100 /dev/zero >\"$1\"\n"
	const where = "for a in \"$@\"; do case \"$a\" in %s) exit 0;; esac; done; exec /bin/chmod \"$@\"\n"
	arrived, _, stderr, code := host(t, tool, evidence.Digest([]byte(tool)), 1, "chmod", fmt.Sprintf(where, `"$NOWHERE"/*`))
	if code != 0 || len(arrived) != 100 {
		t.Errorf("the first is noexec: exit code %d: %s", code, stderr)
	}
	arrived, _, stderr, code = host(t, tool, evidence.Digest([]byte(tool)), 1, "chmod", fmt.Sprintf(where, `"$NOWHERE"/*|"$DIR"/*`))
	if code != 42 || len(arrived) != 0 || strings.Count(stderr, "lets no program run (noexec)") != 2 || !strings.Contains(stderr, "cannot: a tool can run from no memory of the host:") {
		t.Errorf("both are noexec: exit code %d: %s", code, stderr)
	}
}

// A host that computes no MD5 sends parts without one: not every bucket asks.
func TestTheDocumentSendsPartsWithoutMD5WhereTheHostComputesNone(t *testing.T) {
	t.Parallel()
	const tool = "#!/bin/sh\nhead -c 100 /dev/zero >\"$1\"\n"
	_, _, stderr, code := host(t, tool, evidence.Digest([]byte(tool)), 1, "md5sum", "echo 'disabled for FIPS' >&2\nexit 1\n")
	if code != 44 || !strings.Contains(stderr, "400") || !strings.Contains(stderr, "a part could not be sent") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
