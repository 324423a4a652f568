package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // to tamper with a store as somebody would

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/respond"
)

func TestMain(m *testing.M) {
	if testing.CoverMode() != "" { // the program under test counts as well
		testscript.Main(m, map[string]func(){"guardroom": main})
		return
	}
	os.Exit(func() int {
		// The scripts start the program some hundred times. Built without the race
		// detector it starts ten times as fast; what runs in this process has it.
		dir, err := os.MkdirTemp("", "guardroom-scripts")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "guardroom"), ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
			return 1
		}
		if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// TestScripts runs every script in testdata/script: each is a session at the
// command line, and reads as an example.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"vendors": vendors,
			"tamper":  tamper,
			"await":   await,
			"code":    code,
			"repeat":  repeat,
			"service": service,
			"digest":  digest,
			"detach":  detach,
		},
		RequireExplicitExec: true,
	})
}

// vendors starts fakes of Slack, Jira and PagerDuty, puts their secrets into the
// environment, and their addresses for {{slack}}, {{jira}} and {{pagerduty}} in
// the configuration.
func vendors(ts *testscript.TestScript, neg bool, args []string) {
	slack, err := fakeslack.New(fakeslack.Options{TimeScale: 50})
	ts.Check(err)
	ts.Defer(slack.Close)
	jira, err := fakejira.New(fakejira.Options{TimeScale: 50})
	ts.Check(err)
	ts.Defer(jira.Close)
	pager, err := fakepagerduty.New(fakepagerduty.Options{})
	ts.Check(err)
	ts.Defer(pager.Close)
	ts.Setenv("SLACK_BOT_TOKEN", fakeslack.DefaultToken)
	ts.Setenv("JIRA_TOKEN", fakejira.DefaultToken)
	ts.Setenv("PAGERDUTY_KEY", fakepagerduty.DefaultRoutingKey)
	yaml := strings.NewReplacer("{{slack}}", slack.URL(), "{{jira}}", jira.URL(), "{{pagerduty}}", pager.URL(),
		"{{email}}", fakejira.DefaultEmail).Replace(ts.ReadFile("guardroom.yaml"))
	ts.Check(os.WriteFile(ts.MkAbs("guardroom.yaml"), []byte(yaml), 0o600))
}

// tamper runs a statement on a store that nobody has open.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: tamper FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// await polls a URL until it answers 200.
func await(ts *testscript.TestScript, neg bool, args []string) {
	for range 6000 {
		if res, err := http.Get(args[0]); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("%s did not answer", args[0])
}

// code runs guardroom and checks its exit code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("guardroom", args[1:]...)
	got := "exit status 0"
	if err != nil {
		got = err.Error()
	}
	if got != "exit status "+args[0] {
		ts.Fatalf("guardroom %s ended with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// repeat writes a file that holds a text many times: repeat FILE COUNT TEXT.
func repeat(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(args[2], n)), 0o600))
}

// digest puts the SHA-256 of a file into DIGEST, and into the file "answer" what
// a person types for it.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	d := respond.Digest([]byte(ts.ReadFile(args[0])))
	ts.Setenv("DIGEST", d)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), []byte(d[4:8]+"\n"), 0o600))
}

// detach runs guardroom, sends it Ctrl-C once it has printed something, and
// checks that it ends with 130. What it printed is in the files out and err.
func detach(ts *testscript.TestScript, neg bool, args []string) {
	stdout, w, err := os.Pipe()
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs("err"))
	ts.Check(err)
	defer stderr.Close()
	path, err := exec.LookPath("guardroom")
	ts.Check(err)
	c := exec.Command(path, args...)
	c.Dir, c.Stdout, c.Stderr = ts.MkAbs("."), w, stderr
	for _, k := range []string{"GUARDROOM_SERVER", "GUARDROOM_TOKEN", "PATH", "HOME"} {
		c.Env = append(c.Env, k+"="+ts.Getenv(k))
	}
	ts.Check(c.Start())
	ts.Check(w.Close())
	first := make([]byte, 1<<16)
	n, err := stdout.Read(first)
	ts.Check(err)
	ts.Check(c.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stdout)
	ts.Check(err)
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		ts.Fatalf("it ended with %v, want 130", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("out"), append(first[:n], rest...), 0o600))
}
