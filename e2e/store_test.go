package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/store/sqlite"
)

// TestAFullDiskIsToldAndLosesNothing takes the room for files away from the
// running service: what cannot be kept is not acknowledged, and with room again
// everything goes on.
func TestAFullDiskIsToldAndLosesNothing(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	var book ledger
	first := time.Now().Add(-time.Hour)
	post := func(n, count int) bool {
		r := makeRevision(n, count, 5, first, first.Add(time.Duration(count)*time.Minute))
		a := i.send(strings.NewReader(string(r.body)))
		switch a.status {
		case http.StatusAccepted:
			book.acknowledged(r)
			return true
		case http.StatusServiceUnavailable:
			if !strings.Contains(a.text, "come again") {
				t.Errorf("it answered %s", a.text)
			}
		default:
			t.Errorf("it answered %d %s", a.status, a.text)
		}
		return false
	}
	for n := range 5 {
		if !post(n, 1) {
			t.Fatal("nothing is taken while there is room")
		}
	}
	pid := i.cmd.Process.Pid
	room := func(n uint64) {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &old); err != nil {
			t.Fatal(err)
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: min(n, old.Max), Max: old.Max}, nil); err != nil {
			t.Fatal(err)
		}
	}
	room(4096)
	refused := 0
	for n := range 20 {
		if !post(n%10, 2+n/10) {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 20 findings were taken without room for them", 20-refused)
	}
	await(t, i, "the log says it", func() bool {
		return strings.Contains(i.out.String(), "write to the store") && strings.Contains(i.out.String(), "told to come again")
	})
	if r := i.run("incident", "ack", "INC-1"); r.code != 1 || !strings.Contains(r.err, "error:") || !strings.Contains(r.err, "hint:") || !strings.Contains(r.err, "safe:") {
		t.Errorf("a command ended with %d: %s%s", r.code, r.out, r.err)
	}
	if out := i.must("incident", "list", "--json"); !strings.Contains(out, `"number":1`) {
		t.Errorf("reading does not go on: %s", out)
	}
	room(1 << 62)
	for n := range 20 {
		if !post(n%10, 2+n/10) {
			t.Errorf("with room again finding %d was not taken", n)
		}
	}
	i.settle()
	check(t, i, v, &book)
	if err := i.kill(syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "143") {
		t.Errorf("it ended with %v\n%s", err, i.out)
	}
}

// TestAFullFileSystemIsToldAsThat does the same with a file system of a few
// megabytes, where this user may mount one.
func TestAFullFileSystemIsToldAsThat(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	small := filepath.Join(t.TempDir(), "small")
	mkdir(t, small)
	i := newInstance(t, v, settings{scale: 50, store: "sqlite:" + filepath.Join(small, "g.db"), routes: "  - {name: nobody, to: [], stop: true}"})
	const mount = `mount -t tmpfs -o size=4m none "$0" && echo mounted >&2 && exec "$@"`
	probe := exec.Command("unshare", "-Urm", "sh", "-c", mount, small, "true")
	if out, err := probe.CombinedOutput(); err != nil {
		t.Logf("this user may mount nothing in a name space of its own, so a really full file system was not tried: %s", out)
		return
	}
	i.mu.Lock()
	i.out, i.end = &lockedBuffer{}, make(chan error, 1)
	plain := i.command("serve")
	i.cmd = exec.Command("unshare", append([]string{"-Urm", "sh", "-c", mount, small}, plain.Args...)...)
	i.cmd.Env, i.cmd.SysProcAttr, i.cmd.Stdout, i.cmd.Stderr = plain.Env, plain.SysProcAttr, i.out, i.out
	err := i.cmd.Start()
	if err == nil {
		go func(cmd *exec.Cmd, end chan error) { end <- cmd.Wait() }(i.cmd, i.end)
	}
	i.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	acked, status := 0, 0
	for n := 0; n < 3000 && status != http.StatusServiceUnavailable; n++ {
		body := strings.Replace(string(makeRevision(n, 1, 5, first, first).body), `"description":"`, `"description":"`+noise(n, 12_000), 1)
		if status = i.send(strings.NewReader(body)).status; status == http.StatusAccepted {
			acked++
		}
	}
	if status != http.StatusServiceUnavailable || acked < 10 {
		t.Fatalf("%d were taken, then the answer was %d\n%s", acked, status, i.out)
	}
	await(t, i, "the log says it", func() bool { return strings.Contains(i.out.String(), "the disk is full") })
	res, err := http.Get("http://" + i.address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	// What the try writes may still find room.
	if res.StatusCode != http.StatusOK && (res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(said), "the store cannot be written")) {
		t.Errorf("the process lives and says %s: %s", res.Status, said)
	}
	if n := i.metrics(t).value("guardroom_findings_total", "decision", "accepted"); int(n) != acked {
		t.Errorf("%v were committed, %d acknowledged", n, acked)
	}
}

// noise is text that does not compress well, the same for the same n.
func noise(n, size int) string {
	x := uint64(n)*2654435761 + 88172645463325252 //nolint:gosec // small
	var b strings.Builder
	for b.Len() < size {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[x%64])
	}
	return b.String()
}

// TestWhatMayNotBeWrittenIsToldClearly starts on a file and in a folder that
// this user may only read.
func TestWhatMayNotBeWrittenIsToldClearly(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{})
	i.must("finding", "import", "../finding/testdata/dns-request.json")
	program := binary
	command := i.command("serve")
	if os.Geteuid() == 0 {
		// For root nothing is read-only: another user tries.
		// Copied by a process of its own: a child that another test starts meanwhile
		// would hold a file that is written here, and it could not be started.
		program = filepath.Join(i.dir, "guardroom")
		if out, err := exec.Command("cp", binary, program).CombinedOutput(); err != nil { //nolint:gosec // both are the test's own
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(program, 0o755); err != nil { //nolint:gosec // it is run by another user
			t.Fatal(err)
		}
		for path, mode := range map[string]os.FileMode{filepath.Dir(i.dir): 0o711, i.config: 0o644, i.dir + "/guardroom.db": 0o644} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		command.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for path, mode := range map[string]os.FileMode{i.dir + "/guardroom.db": 0o444, i.dir: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(i.dir, 0o755) }) //nolint:gosec // so that it can be removed
	for _, args := range [][]string{{"serve"}, {"incident", "list"}, {"finding", "import", "x.json"}, {"--store", "sqlite:" + i.dir + "/new.db", "serve"}} {
		cmd := exec.Command(program, append([]string{"--config", i.config}, args...)...)
		cmd.Env, cmd.SysProcAttr = command.Env, command.SysProcAttr
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		stop()
		cancel()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "error:") || !strings.Contains(string(out), "hint:") || !strings.Contains(string(out), "permission") {
			t.Errorf("%v ended with %v and said\n%s", args, err, out)
		}
	}
}

// TestAStoreOfANewerGuardroomIsRefused changes the number of the schema.
func TestAStoreOfANewerGuardroomIsRefused(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{})
	i.must("finding", "import", "../finding/testdata/dns-request.json")
	path := filepath.Join(i.dir, "guardroom.db")
	b, err := sqlite.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	var old string
	if err := b.Write(t.Context(), func(tx *sql.Tx) error {
		if err := tx.QueryRow("SELECT value FROM meta WHERE key = 'schema'").Scan(&old); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE meta SET value = '9999' WHERE key = 'schema'")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	shortest := patience
	for _, args := range [][]string{{"serve"}, {"incident", "list"}, {"finding", "import", "../finding/testdata/lambda.json"}, {"store", "prune"}, {"audit", "verify"}} {
		began := time.Now()
		r := i.run(args...)
		shortest = min(shortest, time.Since(began))
		if r.code == 0 || !strings.Contains(r.err, "9999") || !strings.Contains(r.err, "newer") || !strings.Contains(r.err, "hint:") {
			t.Errorf("%v ended with %d: %s%s", args, r.code, r.out, r.err)
		}
	}
	// Each of them that waited for the store to be free took 3 s and more.
	if shortest > 3*time.Second {
		t.Errorf("it took at least %s to see that no waiting helps", shortest)
	}
}

// TestADamagedFileOfHeadsIsTold changes, cuts and empties the file of heads
// beside the store. The service starts with each; verify says what is wrong.
func TestADamagedFileOfHeadsIsTold(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50})
	i.must("finding", "import", "../finding/testdata/dns-request.json", "--wait")
	i.must("incident", "ack", "INC-1")
	path := filepath.Join(i.dir, "guardroom.db.audit-heads")
	whole, err := os.ReadFile(path)
	if err != nil || strings.Count(string(whole), "\n") < 2 {
		t.Fatalf("the heads are %q, %v", whole, err)
	}
	for _, c := range []struct {
		name, content string
		ok            bool
	}{
		{"the last line was cut by a crash", string(whole[:len(whole)-20]), true},
		{"a line that is no head", "oh no\n" + string(whole), false},
		{"a head with another hash", strings.Replace(string(whole), `"hash":"`, `"hash":"00`, 1), false},
		{"bytes", "\x00\xff\x00\n" + string(whole), false},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := i.run("audit", "verify")
		if c.ok && (r.code != 0 || !strings.HasPrefix(r.out, "ok: ")) {
			t.Errorf("%s: verify ended with %d: %s%s", c.name, r.code, r.out, r.err)
		}
		if !c.ok && (r.code != 4 || !strings.Contains(r.err, "error:") || !strings.Contains(r.err, "hint:")) {
			t.Errorf("%s: verify ended with %d: %s%s", c.name, r.code, r.out, r.err)
		}
		i.start()
		if err := i.ready(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := i.kill(syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "143") {
			t.Errorf("%s: it ended with %v\n%s", c.name, err, i.out)
		}
	}
}

// TestInterruptionsEndInOrder interrupts what takes time: the exit code says by
// what, nothing is lost, and the next run goes on.
func TestInterruptionsEndInOrder(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	if err := i.kill(syscall.SIGINT); exitCode(err) != 130 {
		t.Errorf("serve at Ctrl-C ended with %v\n%s", err, i.out)
	}
	if strings.Contains(i.out.String(), "error:") {
		t.Errorf("serve at Ctrl-C said\n%s", i.out)
	}

	// An import that waits for a vendor that does not answer.
	v.jira.SetFaults(fakejira.Faults{Rate: 1, Kinds: []fakejira.Fault{fakejira.ServerError}})
	path := filepath.Join(i.dir, "in.jsonl")
	first := time.Now().Add(-time.Hour)
	var in strings.Builder
	for n := range 10 {
		in.Write(makeRevision(n, 1, 5, first, first).body)
		in.WriteByte('\n')
	}
	write(t, path, in.String())
	for s, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		before := len(v.jira.Transcript())
		i.start("finding", "import", path, "--wait")
		await(t, i, "the import has read its file and waits", func() bool {
			return strings.Contains(i.out.String(), "known already") && len(v.jira.Transcript()) > before
		})
		began := time.Now()
		if err := i.kill(s); exitCode(err) != want {
			t.Errorf("import at %v ended with %v, want %d\n%s", s, err, want, i.out)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it took %s to end", took)
		}
		if !strings.Contains(i.out.String(), "what was taken is kept") {
			t.Errorf("import at %v said\n%s", s, i.out)
		}
	}
	v.jira.SetFaults(fakejira.Faults{})
	if r := i.run("finding", "import", path, "--wait"); r.code != 0 || !strings.Contains(r.out, "10 known") {
		t.Errorf("the next import ended with %d: %s%s", r.code, r.out, r.err)
	}
	checkVendors(t, i, v)

	// The demo removes its folder or says where it is; its exit code says why it
	// ended.
	cmd := exec.Command(binary, "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); exitCode(err) != 130 {
		t.Errorf("the demo at Ctrl-C ended with %v: %s", err, rest)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0
	}
	return exit.ExitCode()
}

// TestTwoProcessesOnOneFileNeverBothWrite has an import come while the service
// holds the file: it speaks to the service, and without the socket it is told.
func TestTwoProcessesOnOneFileNeverBothWrite(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	if out := i.must("finding", "import", "../finding/testdata/dns-request.json", "--wait", "--json"); !strings.Contains(out, `"accepted":1`) || !strings.Contains(out, `"delivered"`) {
		t.Errorf("the import through the service said %s", out)
	}
	if err := os.Remove(filepath.Join(i.dir, "guardroom.db.sock")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"incident", "list"}, {"finding", "import", "../finding/testdata/lambda.json"}} {
		r := i.run(args...)
		if r.code != 1 || !strings.Contains(r.err, "another process") || !strings.Contains(r.err, "hint:") {
			t.Errorf("%v without the socket ended with %d: %s%s", args, r.code, r.out, r.err)
		}
	}
	var status struct{ Error struct{ Code string } }
	r := i.run("incident", "list", "--json")
	if err := json.Unmarshal([]byte(r.err), &status); err != nil || status.Error.Code == "" {
		t.Errorf("for programs it said %q, %v", r.err, err)
	}
}
