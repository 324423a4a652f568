package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
)

// TestCommandsWhileTheServiceRuns has a second process speak to the service:
// over the socket beside the store, because the store is locked.
func TestCommandsWhileTheServiceRuns(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	if ok, err := i.post(t.Context(), makeRevision(1, 1, 8, first, first).body); !ok {
		t.Fatal(err)
	}
	i.settle()

	if out := i.must("incident", "ack", "INC-1"); !strings.Contains(out, "INC-1 is acknowledged") {
		t.Errorf("ack said %q", out)
	}
	i.settle()
	if a := v.pager.Alerts(); len(a) != 1 || a[0].Status != "acknowledged" {
		t.Errorf("PagerDuty has %+v", a)
	}
	list := lines[delivery](t, i.must("delivery", "list", "--destination", "chat", "--json"))
	if len(list) != 1 {
		t.Fatalf("%d deliveries to chat", len(list))
	}
	before := list[0].Attempts
	i.must("delivery", "retry", list[0].ID)
	i.settle()
	again := lines[delivery](t, i.must("delivery", "show", list[0].ID, "--json"))[0]
	if again.Attempts <= before || again.Status != "delivered" {
		t.Errorf("after the retry: %+v", again)
	}
	if out := i.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Errorf("verify said %q", out)
	}
	backup := filepath.Join(i.dir, "backup.db")
	i.must("store", "backup", backup)
	if r := i.run("store", "backup", backup); r.code == 0 {
		t.Error("a backup overwrote a file")
	}

	// A second service on the same file is told to go away, and the first lives.
	second := i.run("serve")
	if second.code == 0 || !strings.Contains(second.err, "hint:") {
		t.Errorf("a second service ended with %d: %s", second.code, second.err)
	}
	i.must("incident", "note", "INC-1", "looked", "at", "it")
	i.must("incident", "close", "INC-1", "--verdict", "benign", "--note", "a load test")
	i.settle()
	if a := v.pager.Alerts(); a[0].Status != "resolved" {
		t.Errorf("PagerDuty has %+v", a)
	}
	if err := i.kill(syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "143") {
		t.Errorf("it ended with %v\n%s", err, i.out)
	}

	// The backup is a whole store of its own.
	old := &instance{t: t, dir: i.dir, config: i.config, extra: []string{"GUARDROOM_STORE=sqlite:" + backup}}
	if out := old.must("incident", "list", "--json"); !strings.Contains(out, `"state":"acknowledged"`) {
		t.Errorf("the backup has %s", out)
	}
	if r := old.run("audit", "verify", "--head", filepath.Join(i.dir, "backup.db.audit-heads")); r.code == 0 {
		t.Error("a file of heads that is not there was passed over")
	}
	// To the heads that were written later the backup is a chain whose end was
	// cut.
	if r := old.run("audit", "verify", "--head", filepath.Join(i.dir, "guardroom.db.audit-heads")); r.code != 4 || !strings.Contains(r.err, "the end of the chain was cut") {
		t.Errorf("verifying the backup against later heads ended with %d: %s", r.code, r.err)
	}
}

// TestADeadVendorLosesNothing has one vendor refuse everything for a while: the
// others are told, and it catches up with the newest revision only.
func TestADeadVendorLosesNothing(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50})
	v.jira.SetFaults(fakejira.Faults{Rate: 1, Kinds: []fakejira.Fault{fakejira.ServerError}})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	for n := range 5 {
		if ok, err := i.post(t.Context(), makeRevision(1, n+1, 8, first, first.Add(time.Duration(n)*time.Minute)).body); !ok {
			t.Fatal(err)
		}
	}
	await(t, i, "the others are told", func() bool { return len(slackRoots(v)) > 0 && len(pagerAlerts(v)) > 0 })
	if out := i.must("delivery", "list", "--destination", "tickets"); !strings.Contains(out, "pending") {
		t.Errorf("the list says\n%s", out)
	}
	v.jira.SetFaults(fakejira.Faults{})
	i.settle()
	checkVendors(t, i, v)
}

// TestADeadStoreIsToldClearly starts on files that cannot be used.
func TestADeadStoreIsToldClearly(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	for name, prepare := range map[string]func(path string){
		"not a database": func(path string) { write(t, path, strings.Repeat("this is no database\n", 100)) },
		"a folder":       func(path string) { mkdir(t, path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.db")
			prepare(path)
			i := newInstance(t, v, settings{store: "sqlite:" + path})
			r := i.run("serve")
			if (r.code != 1 && r.code != 4) || !strings.Contains(r.err, "error:") || !strings.Contains(r.err, "hint:") {
				t.Errorf("it ended with %d and said\n%s", r.code, r.err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
