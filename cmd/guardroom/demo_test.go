package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/demo"
)

func TestTheDemoEndsAsItsStoryDoes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "day")
	var out bytes.Buffer
	got, err := demo.Play(t.Context(), demo.Options{Open: openDemo, Out: &out, Fast: true, Dir: dir})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := demo.Result{Dir: dir, Accepted: 67, Suppressed: 2, Known: 1, Ignored: 2, Rejected: 2,
		Slack:        demo.Tally{Wanted: 46, Shown: 46, Digested: 7, Digests: 1, Closed: 16},
		Jira:         demo.Tally{Wanted: 42, Shown: 42, Digested: 5, Digests: 1, Closed: 13},
		PagerDuty:    demo.Tally{Wanted: 19, Shown: 19, Closed: 9},
		AuditRecords: got.AuditRecords, Evidence: 14, EvidenceChecked: 18, Restored: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.AuditRecords < 400 {
		t.Errorf("%d audit records", got.AuditRecords)
	}
	screen := out.String()
	if strings.Contains(screen, "no longer holds") {
		t.Error("the undo is told as a containment that failed")
	}
	t.Run("its rows fit and are harmless", func(t *testing.T) { harmless(t, screen) })
	t.Run("its rows tell the story", func(t *testing.T) { inOrder(t, screen) })
	t.Run("its run tells what it made, in whichever order", func(t *testing.T) { inTheRun(t, screen) })
	t.Run("what it keeps can be read by other commands", func(t *testing.T) { keeps(t, dir) })
}

func harmless(t *testing.T, screen string) {
	for row := range strings.SplitSeq(screen, "\n") {
		if w := ansi.StringWidth(row); w > 80 && !strings.HasPrefix(row, "  ") {
			t.Errorf("%d columns: %q", w, row)
		}
		if strings.ContainsFunc(row, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Errorf("a control character in %q", row)
		}
	}
}

// inOrder looks for what people should see, in the order in which it happens.
// Rows are joined, because where they break depends on names.
func inOrder(t *testing.T, screen string) {
	rest := strings.Join(strings.Fields(screen), " ")
	for _, want := range []string{
		"06:05 Our own scanner", "suppressed An unprotected port of lab-0 is being probed. By the rule our scanner",
		"rule penetration test would match but ended on", "incident INC-1 opens: MEDIUM 5.0 Calls from Kali Linux",
		"incident INC-2 opens: LOW 2.0 SSH brute force", "INC-2 edited: Seen: 240 times", "known this revision is stored already", "late kept as one of its 3 revisions",
		"INC-2 severity raised from Low 2.0 to High 8.0", "INC-2 thread, also in #soc: Severity rose from Low 2.0 to High 8.0.", "pagerduty pages: HIGH SSH brute force",
		"INC-2 acknowledged, by ana", "07:20 and then talks to it", "INC-3 takes it in",
		"INC-8 opens: CRITICAL 9.2", "INC-8 takes over INC-2, INC-3, INC-4, INC-5, INC-6, INC-7", "INC-2, INC-3, INC-4, INC-5, INC-6, INC-7 closed: merged into INC-8",
		"jira answers 429", "SEC-9 [MEDIUM] Access without login",
		"INC-12 closed as benign", "INC-13 has the same actor 203.0.113.50 as INC-8", "quiet INC-12 was closed as benign and the severity did not rise",
		"Bucket opened to everyone on <!channel>", `invoice\u202efdp.exe aws-cli/2.1`, `\x1b[2J\x1b[31mALL CLEAR\x1b[0m`, `invoice\u202efdp.exe`,
		"rejected damaged JSON", "rejected severity is missing", `ignored "AWS API Call via CloudTrail"`,
		"HIGH 8.5 Impact:QuantumLedger/HistoryRewritten.Silent", "The history of ledger-7 was rewritten", "quiet a sample finding", "quiet archived in GuardDuty",
		"INC-39 closed as malicious: key deleted, by raj", "digest in slack one digest stands for 7 of them", "7 new incidents",
		"INC-39 reopened", "SEC-34 Done -> To Do", "INC-52 closed: merged into INC-53", "INC-38 closed as unknown: all of its findings were archived in GuardDuty",
		"INC-8 closed as malicious", "pagerduty INC-8 resolved",
		"17:05 And batch-1", "INC-54 opens: HIGH 8.0 Contact with a control server", "INC-54 acknowledged, by ana",
		"Guardroom acts", "an AWS that is simulated", "200 times faster",
		"17:10 Ana asks for a plan", "aws simulated: batch-1 is running, in security group batch, instance profile batch, metadata service enabled, denied by 0 entries",
		"plan SIMULATED plan ec2-respond on batch-1", "will protect:", "isolate: eni-", "credentials: role batch", "preserve: i-0a1b2c3d4e5f60002: snapshots of 2 volumes", "examine: start a workstation",
		"will not stop, reboot or terminate", "also hits", "mind shared role", "takes about", "simulated, 200 times faster", "undo in the reverse order", "waits for 1 approval",
		"slack INC-54 edited: Response: Simulated: plan", "jira SEC-43 comment: Simulated: plan",
		"17:14 Raj reads it", "approved by raj, sha256:", "contained batch-1 (i-0a1b2c3d4e5f60002) is contained, as a second look at AWS has shown",
		"sealed manifest 1 of INC-54, 14 items", "completed",
		"Evidence is ready", "aws simulated: batch-1 is running, in security group guardroom-contain, instance profile none, metadata service disabled",
		"17:20 What is preserved", "evidence the instance as it was before, sha256", "is snap-", "locked until", "to work on working copy of", "lacks memory of", "verified the manifest, its signature and every hash", "0 differ", "the chain is whole",
		"18:30 The program is found", "plan SIMULATED undo plan ec2-respond", "will restore:", "will not delete snapshots", "18:34 Raj approves that too", "completed 16 of 16",
		"Released:", "aws simulated: batch-1 is running, in security group batch, instance profile batch, metadata service enabled, denied by 0 entries", "compared looked at past guardroom, the host is as it was before the plan",
		"What is left of the day", "compared every incident is where it was routed", "audit ", "the chain is whole", "One message in Slack, in full", "HIGH 8.0 INC-54", "Response: Simulated: Undo of batch-1",
		"The same in Jira: SEC-43", "Response | Simulated: Undo of batch-1", "[x] isolation: completed", "v Evidence", "Look further", "export GUARDROOM_CONFIG=", "guardroom run list", "guardroom audit verify",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("%q is missing, or comes too early", want)
			continue
		}
		rest = after
	}
}

// inTheRun looks for what goes side by side in the run.
func inTheRun(t *testing.T, screen string) {
	_, run, _ := strings.Cut(strings.Join(strings.Fields(screen), " "), "17:14 Raj reads it")
	run, _, sealed := strings.Cut(run, "sealed manifest 1")
	for _, want := range []string{"done check", "contained batch-1", "booted i-", "snapshots snap-", "attached vol-", "as /dev/sd", "hashed snap-", "image SHA-256"} {
		if !sealed || !strings.Contains(run, want) {
			t.Errorf("%q is missing before the seal of the run:\n%s", want, run)
		}
	}
}

// keeps runs commands of the kind that the demo names at its end.
func keeps(t *testing.T, dir string) {
	cfg := filepath.Join(dir, "guardroom.yaml")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"incident", "list"}, "INC-54"},
		{[]string{"plan", "list"}, "approved"},
		{[]string{"run", "list"}, "undo of run_"},
		{[]string{"evidence", "list", "INC-54"}, "snapshot of vol-"},
		{[]string{"evidence", "verify", "INC-54"}, "ok: INC-54 agrees with what is stored: 21 checked"},
		{[]string{"incident", "show", "INC-39"}, "reopened"},
		{[]string{"finding", "explain", demo.FindingID("scan-lab")}, "our scanner"},
		{[]string{"finding", "rejected", "list"}, "severity is missing"},
		{[]string{"rule", "list"}, "penetration test"},
		{[]string{"delivery", "list"}, "SEC-"},
		{[]string{"audit", "tail"}, "incident."},
		{[]string{"audit", "verify"}, "ok: "},
	} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"--config", cfg}, c.args...), strings.NewReader(""), &out, &errs); code != exitOK {
			t.Errorf("%s: exit %d: %s", c.args, code, errs.String())
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s does not show %q:\n%s", c.args, c.want, out.String())
		}
	}
}

// stopper ends a context as soon as a text was written.
type stopper struct {
	at   string
	stop context.CancelFunc

	mu  sync.Mutex
	all bytes.Buffer
}

func (s *stopper) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(b)
	if strings.Contains(s.all.String(), s.at) {
		s.stop()
	}
	return len(b), nil
}

func TestTheDemoStopsInOrderWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, at   string
		args       []string
		shows, not string
	}{
		{"in the morning", "07:10", []string{"incident", "list"}, "INC-2", "INC-54"},
		{"in the middle of a run", "is contained", []string{"run", "list"}, "simulated", "undo of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out := &stopper{at: c.at, stop: stop}
			dir := t.TempDir()
			if _, err := demo.Play(ctx, demo.Options{Open: openDemo, Out: out, Fast: true, Dir: dir}); !errors.Is(err, context.Canceled) {
				t.Fatalf("ended with %v", err)
			}
			if !strings.Contains(out.all.String(), "stopped; what came so far is kept in "+dir) {
				t.Errorf("it does not say where to look:\n%s", out.all.String())
			}
			cfg := filepath.Join(dir, "guardroom.yaml")
			var text, errs bytes.Buffer
			if code := run([]string{"--config", cfg, "audit", "verify"}, strings.NewReader(""), &text, &errs); code != exitOK {
				t.Errorf("exit %d: %s", code, errs.String())
			}
			text.Reset()
			if code := run(append([]string{"--config", cfg}, c.args...), strings.NewReader(""), &text, &errs); code != exitOK || !strings.Contains(text.String(), c.shows) || strings.Contains(text.String(), c.not) {
				t.Errorf("exit %d: %s\n%s", code, errs.String(), text.String())
			}
		})
	}
}

func TestTheDemoRefusesAFolderThatHoldsSomething(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := demo.Play(t.Context(), demo.Options{Open: openDemo, Out: &bytes.Buffer{}, Dir: filepath.Dir(dir)}); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("%v", err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"demo", "--json"}, strings.NewReader(""), &out, &errs); code != exitUsage || out.Len() > 0 || !strings.Contains(errs.String(), "--json") {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
}
