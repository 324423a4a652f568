package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/internal/loopback"
	"github.com/guardroom/guardroom/internal/pgtest"
)

// patience is for how long the tests wait for what must come. A wait that is
// over earlier costs nothing, and the machine may be slow.
const patience = 5 * time.Minute

// binary is the program under test, built once for all tests.
var binary string

// postgres starts a server when the first test asks for one.
var postgres = sync.OnceValues(pgtest.Start)

// together is how many tests run at the same time on a small machine: most of
// them wait for a process most of the time.
const together = 5

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen && runtime.GOMAXPROCS(0) < together {
		if err := flag.Set("test.parallel", fmt.Sprint(together)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "guardroom-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "guardroom")
		build := exec.Command("go", "build", "-o", binary, "../cmd/guardroom")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the binary under test: %v\n%s", err, out)
			return 1
		}
		code := m.Run()
		if used.Load() {
			if s, err := postgres(); err == nil {
				s.Stop()
			}
		}
		if usedAWS.Load() {
			if s, err := awsServer(); err == nil {
				s.Stop()
			}
		}
		return code
	}())
}

// dependOnSources looks at every source of the program, so that go test takes a
// result from its cache only while none of them has changed: it does not see what
// the binary under test is built from. It notices only what tests look at, not
// what TestMain does.
var dependOnSources = sync.OnceValue(func() error {
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".." {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".sql" && ext != ".mod" {
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
})

// vendors are the three fakes with what makes them fail.
type vendors struct {
	slack *fakeslack.Server
	jira  *fakejira.Server
	pager *fakepagerduty.Server

	mu   sync.Mutex
	hook func(vendor, stage, path string)
}

// intercept has fn called for every request of every vendor; nil: nobody.
func (v *vendors) intercept(fn func(vendor, stage, path string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hook = fn
}

func (v *vendors) on(vendor string) func(stage, path string) {
	return func(stage, path string) {
		v.mu.Lock()
		fn := v.hook
		v.mu.Unlock()
		if fn != nil {
			fn(vendor, stage, path)
		}
	}
}

// newVendors starts the fakes at a time scale; rate is the share of requests
// that fail, before and after their effect.
func newVendors(t testing.TB, scale, rate float64, seed uint64) *vendors {
	t.Helper()
	v := &vendors{}
	var err error
	v.slack, err = fakeslack.New(fakeslack.Options{TimeScale: scale, Faults: fakeslack.Faults{Seed: seed, Rate: rate}, Hook: v.on("slack")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.slack.Close)
	v.jira, err = fakejira.New(fakejira.Options{TimeScale: scale, IndexLag: 10 * time.Second, Faults: fakejira.Faults{Seed: seed + 1, Rate: rate}, Hook: v.on("jira")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.jira.Close)
	v.pager, err = fakepagerduty.New(fakepagerduty.Options{Faults: fakepagerduty.Faults{Seed: seed + 2, Rate: rate}, EventsPerMinute: int(120 * scale), Hook: v.on("pagerduty")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.pager.Close)
	return v
}

// instance is one guardroom process with its configuration.
type instance struct {
	t       testing.TB
	dir     string
	config  string
	address string // of its HTTP entrance
	extra   []string

	mu  sync.Mutex
	cmd *exec.Cmd
	out *lockedBuffer
	end chan error
}

const intakeToken = "intake-token-of-the-tests"

// settings are what differs between tests.
type settings struct {
	store   string // empty: a SQLite file in the instance's folder
	worker  string
	scale   float64
	more    string // further YAML
	sources string // further YAML below sources:
	env     []string
	routes  string // YAML list; empty: everything goes to all three
}

func newInstance(t testing.TB, v *vendors, s settings) *instance {
	t.Helper()
	if err := dependOnSources(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if s.store == "" {
		s.store = "sqlite:" + filepath.Join(dir, "guardroom.db")
	}
	if s.worker == "" {
		s.worker = "w1"
	}
	if s.routes == "" {
		s.routes = "  - {name: all, to: [chat, tickets, pager]}"
	}
	i := &instance{t: t, dir: dir, config: filepath.Join(dir, "guardroom.yaml"), address: freeAddress(t), extra: s.env}
	yaml := fmt.Sprintf(`store: %s
listen: {address: "%s"}
log: {level: warn, format: text}
worker: {id: %s, time_scale: %g, concurrency: 8, lease: 30s}
accounts:
  - {id: "111111111111", name: payments-prod, environment: prod, owner: payments}
sources:
  http: {bearer_token: %s}
%s
destinations:
  - name: chat
    type: slack
    timeout: 1s
    digest_above: 0
    slack: {token: "%s", channel: "#soc", api_url: "%s"}
  - name: tickets
    type: jira
    timeout: 1s
    digest_above: 0
    jira: {api_url: "%s", api: cloud, email: "%s", api_token: "%s", project: "%s", issue_type: "%s", close_transition: Done, reopen_transition: "To Do"}
  - name: pager
    type: pagerduty
    timeout: 1s
    digest_above: 0
    pagerduty: {routing_key: "%s", api_url: "%s", min_severity: informational}
routes:
%s
%s
`, s.store, i.address, s.worker, max(1, s.scale), intakeToken, s.sources, fakeslack.DefaultToken, v.slack.URL(), v.jira.URL(),
		fakejira.DefaultEmail, fakejira.DefaultToken, fakejira.DefaultProject, fakejira.DefaultIssueType, fakepagerduty.DefaultRoutingKey, v.pager.URL(), s.routes, s.more)
	if err := os.WriteFile(i.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.kill(syscall.SIGKILL) })
	return i
}

// freeAddress is where nobody listens, and nobody will while the instance is
// started again.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := loopback.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// lockedBuffer keeps the last part of what a process printed.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 16<<20 {
		l.b.Next(8 << 20)
	}
	return l.b.Write(p)
}

// String is what was printed.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (i *instance) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, append([]string{"--config", i.config}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "AWS_EC2_METADATA_DISABLED=true")
	cmd.Env = append(cmd.Env, i.extra...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs the service and returns at once.
func (i *instance) start(args ...string) {
	i.t.Helper()
	if len(args) == 0 {
		args = []string{"serve"}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.out, i.end = &lockedBuffer{}, make(chan error, 1)
	i.cmd = i.command(args...)
	i.cmd.Stdout, i.cmd.Stderr = i.out, i.out
	if err := i.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, end chan error) { end <- cmd.Wait() }(i.cmd, i.end)
}

// ready blocks until the service says that it is.
func (i *instance) ready() error {
	for until := time.Now().Add(patience); time.Now().Before(until); {
		select {
		case err := <-i.end:
			i.end <- err
			return fmt.Errorf("it ended: %w\n%s", err, i.out)
		default:
		}
		res, err := http.Get("http://" + i.address + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("it did not become ready\n%s", i.out)
}

// kill ends the process with a signal and waits for its end. Without a process
// it does nothing.
func (i *instance) kill(s syscall.Signal) error {
	i.mu.Lock()
	cmd, end := i.cmd, i.end
	i.cmd = nil
	i.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(s)
	select {
	case err := <-end:
		return err
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		return errors.New("it did not end")
	}
}

// shoot kills the process at once and does not wait: it may be called from
// inside a vendor's request.
func (i *instance) shoot() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cmd != nil {
		_ = i.cmd.Process.Kill()
	}
}

// post sends a body to the intake; it reports whether it was acknowledged.
func (i *instance) post(ctx context.Context, body []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+i.address+"/v1/findings", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+intakeToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusAccepted {
		return false, fmt.Errorf("%s: %s", res.Status, answer)
	}
	return true, nil
}

// result is how a command of the command line ended.
type result struct {
	out, err string
	code     int
}

// run runs a command to its end.
func (i *instance) run(args ...string) result {
	i.t.Helper()
	cmd := i.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	r := result{out: out.String(), err: errs.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if err != nil {
		i.t.Fatal(err)
	}
	return r
}

// must runs a command that must succeed and returns what it printed.
func (i *instance) must(args ...string) string {
	i.t.Helper()
	r := i.run(args...)
	if r.code != 0 {
		i.t.Fatalf("guardroom %s ended with %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// lines decodes NDJSON.
func lines[T any](t testing.TB, s string) []T {
	t.Helper()
	var out []T
	dec := json.NewDecoder(strings.NewReader(s))
	for {
		var v T
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %.500s", err, s)
		}
		out = append(out, v)
	}
}

// settle waits until no delivery is under way.
func (i *instance) settle() {
	i.t.Helper()
	for until := time.Now().Add(patience); ; {
		behind := lines[delivery](i.t, i.must("delivery", "list", "--behind", "--json", "--limit", "1000"))
		waiting := 0
		for _, d := range behind {
			if d.Armed {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(until) {
			i.t.Fatalf("%d deliveries are still under way, for example %+v", waiting, behind[0])
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// The parts of the command line's JSON that the tests read.
type (
	delivery struct {
		ID          string `json:"id"`
		Kind        string `json:"kind"`
		Subject     string `json:"subject"`
		Destination string `json:"destination"`
		Wanted      int64  `json:"wanted"`
		Done        int64  `json:"done"`
		Armed       bool   `json:"armed"`
		Status      string `json:"status"`
		Reference   string `json:"reference"`
		Attempts    int    `json:"attempts"`
		Error       *struct {
			Reason, Message string
		} `json:"error"`
	}
	incidentLine struct {
		ID           string  `json:"id"`
		Number       int64   `json:"number"`
		Revision     int64   `json:"revision"`
		State        string  `json:"state"`
		Severity     float64 `json:"severity"`
		FindingCount int     `json:"finding_count"`
		Occurrences  int     `json:"occurrences"`
		MergedInto   int64   `json:"merged_into"`
		Silent       bool    `json:"silent"`
		Sample       bool    `json:"sample"`
		Findings     []struct {
			ID    string `json:"id"`
			Count int    `json:"count"`
		} `json:"findings"`
	}
	findingLine struct {
		ID        string    `json:"id"`
		Count     int       `json:"count"`
		UpdatedAt time.Time `json:"updated_at"`
		Decision  string    `json:"decision"`
		Incident  int64     `json:"incident"`
		Revisions int       `json:"revisions"`
	}
)
