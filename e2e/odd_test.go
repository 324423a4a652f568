package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTextThatNoDatabaseKeepsOnSQLite(t *testing.T) {
	t.Parallel()
	textThatNoDatabaseKeeps(t, "")
}

func TestTextThatNoDatabaseKeepsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	textThatNoDatabaseKeeps(t, postgresURL(t))
}

// textThatNoDatabaseKeeps has people and file systems give bytes that are not
// UTF-8 and NULs, which PostgreSQL refuses.
func textThatNoDatabaseKeeps(t *testing.T, store string) {
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50, store: store})
	i.edit("listen: {address: \""+i.address+"\"}", "listen: {address: \""+i.address+"\", api_token: "+secretAPI+"}")
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	const bad = "a\xff\xfe\xed\xa0\x80b"
	folder := filepath.Join(i.dir, "in")
	mkdir(t, folder)
	at := time.Now().Add(-time.Hour)
	path := filepath.Join(folder, bad+".jsonl")
	write(t, path, string(makeRevision(1, 1, 8, at, at).body)+"\noh no "+bad+"\x00\n"+string(makeRevision(2, 1, 8, at, at).body))
	if r := i.run("finding", "import", folder, "--json"); r.code != 1 || !strings.Contains(r.out, `"accepted":2`) || !strings.Contains(r.out, `"rejected":1`) {
		t.Errorf("import ended with %d: %s%s", r.code, r.out, r.err)
	}
	for _, args := range [][]string{
		{"incident", "note", "INC-1", bad}, {"incident", "assign", "INC-1", bad}, {"incident", "ack", "INC-1"}, {"incident", "close", "INC-1", "--verdict", "benign", "--note", bad},
		{"incident", "reopen", "INC-1", "--note", bad}, {"destination", "pause", "chat", "--why", bad}, {"destination", "resume", "chat"},
	} {
		if r := i.run(args...); r.code != 0 && !strings.Contains(r.err, "unknown flag") {
			t.Errorf("%q ended with %d: %s%s", args, r.code, r.out, r.err)
		}
	}
	for _, args := range [][]string{{"finding", "show", bad}, {"finding", "list", "--account", bad}, {"finding", "list", "--type", bad}, {"delivery", "show", bad}, {"incident", "show", bad}, {"finding", "list", "--limit", "-1"}, {"finding", "rejected", "show", bad}} {
		if r := i.run(args...); strings.Contains(r.err, "own code broke") || strings.Contains(r.err, "SQLSTATE") || strings.Contains(r.err, "internal") {
			t.Errorf("%q ended with %d: %s%s", args, r.code, r.out, r.err)
		}
	}
	for path, body := range map[string]string{"/v1/incidents/INC-1/note": `{"note":"a\u0000b\ud800"}`, "/v1/incidents/INC-1/assign": `{"who":"\u0000"}`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secretAPI)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 500 {
			t.Errorf("%s answered %s %s", path, res.Status, b)
		}
	}
	for _, query := range []string{"/v1/findings?account=%00", "/v1/findings?after_id=%00&after_at=2026-01-01T00:00:00Z", "/v1/findings/%00", "/v1/findings/%FF", "/v1/deliveries?destination=%00", "/v1/deliveries/%00",
		"/v1/findings?limit=99999999999999999999", "/v1/findings?limit=-5", "/v1/incidents?state=%00", "/v1/incidents/99999999999999999999", "/v1/incidents?after=-1", "/v1/findings?since=0001-01-01T00:00:00Z", "/v1/findings?since=9999-12-31T23:59:59Z",
		"/v1/audit?from=-1", "/v1/rejected/%00", "/v1/rejected?before=%00", "/v1/revisions?since=x", "/v1/destinations"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.address+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secretAPI)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 500 || strings.Contains(string(b), "SQLSTATE") {
			t.Errorf("%s answered %s %s", query, res.Status, b)
		}
	}
	i.settle()
	if r := i.run("audit", "verify"); r.code != 0 {
		t.Errorf("audit verify: %s%s", r.out, r.err)
	}
	for _, s := range append(append(v.slack.Violations(), v.jira.Violations()...), v.pager.Violations()...) {
		t.Errorf("a limit was broken: %s", s)
	}
}

// TestAnInterruptedReaderOfStdinEnds interrupts commands that wait for input.
func TestAnInterruptedReaderOfStdinEnds(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{})
	at := time.Now().Add(-time.Hour)
	for _, args := range [][]string{{"finding", "parse", "-"}, {"finding", "import", "-"}} {
		cmd := i.command(args...)
		reading, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer reading.Close()
		defer in.Close()
		var out lockedBuffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = reading, &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(makeRevision(1, 1, 5, at, at).body, '\n')); err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() { end <- cmd.Wait() }()
		await(t, i, "it has read what there is", func() bool {
			left, err := unix.IoctlGetInt(int(reading.Fd()), unix.TIOCINQ)
			return err == nil && left == 0
		})
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err := <-end:
			if exitCode(err) != 130 {
				t.Errorf("%v ended with %v: %s", args, err, out.String())
			}
		case <-time.After(patience):
			t.Errorf("%v goes on after Ctrl-C: %s", args, out.String())
			_ = cmd.Process.Kill()
			<-end
		}
	}
}

// TestWhatCannotBeStartedIsToldClearly is about surroundings that do not fit.
func TestWhatCannotBeStartedIsToldClearly(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>\x1b[31mhello</html>")
	}))
	t.Cleanup(page.Close)
	for _, c := range []struct {
		name, old, by string
		args          []string
	}{
		{"the port is taken", "listen: {address: \"ADDRESS\"}", "listen: {address: \"" + taken.Addr().String() + "\"}", []string{"serve"}},
		{"no certificate", "listen: {address: \"ADDRESS\"}", "listen: {address: \"ADDRESS\", tls_cert: /nowhere/c.pem, tls_key: /nowhere/k.pem}", []string{"serve"}},
		{"a folder that is not there", "guardroom.db", "nowhere/deep/guardroom.db", []string{"incident", "list"}},
		{"a PostgreSQL that is not there", "store: sqlite:", "store: postgres://u:hunter2secret@127.0.0.1:1/x?connect_timeout=1 #", []string{"serve"}},
		{"a secret that is not there", "bearer_token: " + intakeToken, "bearer_token: \"${env:GUARDROOM_NOT_THERE}\"", []string{"serve"}},
		{"a server that is none", "", "", []string{"--server", page.URL, "incident", "list"}},
		{"a server that is not there", "", "", []string{"--server", "http://127.0.0.1:1", "incident", "list"}},
		{"a server elsewhere without encryption", "", "", []string{"--server", "http://192.0.2.1", "incident", "list"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := newInstance(t, v, settings{env: []string{"GUARDROOM_TOKEN=" + secretAPI}})
			if c.old != "" {
				i.edit(strings.ReplaceAll(c.old, "ADDRESS", i.address), strings.ReplaceAll(c.by, "ADDRESS", i.address))
			}
			cmd := i.command(c.args...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if code := exitCode(err); code != 1 && code != 2 || !strings.Contains(errs.String(), "error:") || !strings.Contains(errs.String(), "hint:") {
				t.Errorf("it ended with %v and said\n%s%s", err, out.String(), errs.String())
			}
			if strings.Contains(errs.String(), "panic") || strings.Contains(errs.String(), "hunter2secret") || strings.Contains(errs.String(), secretAPI) {
				t.Errorf("it said\n%s", errs.String())
			}
			checkTerminal(t, c.name, out.String()+errs.String())
		})
	}
}

// TestAReaderThatLeavesEndsTheCommand closes the pipe that a list is written to.
func TestAReaderThatLeavesEndsTheCommand(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{routes: "  - {name: nobody, to: [], stop: true}"})
	at := time.Now().Add(-time.Hour)
	var in bytes.Buffer
	for n := range 2000 {
		in.Write(makeRevision(n, 1, 5, at, at).body)
		in.WriteByte('\n')
	}
	path := filepath.Join(i.dir, "in.jsonl")
	if err := os.WriteFile(path, in.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must("finding", "import", path)
	for _, command := range []string{"finding list --json --limit 2000", "audit export", "finding parse --json " + path} {
		cmd := exec.Command("sh", "-c", `"$0" --config "$1" `+command+` | head -n 1 >/dev/null; echo done`, binary, i.config)
		cmd.Env = append(os.Environ(), "NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "panic") || !strings.Contains(string(out), "done") {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
}
