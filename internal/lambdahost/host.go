package lambdahost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options say what runs.
type Options struct {
	Program string
	Args    []string
	// Env is added to the variables that Lambda sets. Variables of the test's
	// own environment reach the function only where they are no AWS setting.
	Env []string
	// Timeout of each invocation; 0: two minutes, so that a busy machine is fast
	// enough.
	Timeout time.Duration
	// Grace is how long after its deadline a function is killed. Lambda gives none;
	// a busy machine needs some to answer in the moment before.
	Grace time.Duration
	// InitTimeout is how long the function may take to ask for its first
	// event; 0: two minutes, where Lambda gives 10 s.
	InitTimeout time.Duration
	// Freeze stops the process between events, as Lambda does.
	Freeze bool
}

// Answer is what the function said to one event.
type Answer struct {
	Payload []byte
	// Error is set when the function failed; ErrorType names it.
	Error     string
	ErrorType string
	Duration  time.Duration
}

// Host runs one function. It is safe for concurrent use; events are delivered
// one at a time.
type Host struct {
	// Init is how long the process took from its start to its first request for
	// an event.
	Init time.Duration

	tb      testing.TB
	opts    Options
	cmd     *exec.Cmd
	out     output
	server  *http.Server
	ended   chan struct{}
	endedBy error
	serving sync.WaitGroup

	one    sync.Mutex // holds an invocation
	events chan event // to the function
	asked  chan struct{}
	first  chan struct{}
	once   sync.Once
	quit   chan struct{}

	mu      sync.Mutex
	current *event
	nextID  int
	initErr string
}

type event struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan Answer
}

// Errors of Invoke.
var (
	// ErrTimeout says that the function did not answer in time; its process was
	// killed.
	ErrTimeout = errors.New("the function ran into its deadline and was killed")
	// ErrEnded says that the process is gone.
	ErrEnded = errors.New("the function's process has ended")
)

// Start starts the function and returns when it asks for its first event. The
// test's end stops it.
func Start(tb testing.TB, opts Options) *Host {
	tb.Helper()
	if opts.Timeout <= 0 {
		opts.Timeout = 2 * time.Minute
	}
	if opts.InitTimeout <= 0 {
		opts.InitTimeout = 2 * time.Minute
	}
	h := &Host{tb: tb, opts: opts, ended: make(chan struct{}), events: make(chan event), asked: make(chan struct{}, 1),
		first: make(chan struct{}), quit: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	h.server = &http.Server{Handler: h.api(), ReadHeaderTimeout: 10 * time.Second}
	h.serving.Go(func() { _ = h.server.Serve(l) })
	tb.Cleanup(h.stop)

	h.cmd = exec.Command(opts.Program, opts.Args...) //nolint:gosec // the test's own program
	h.cmd.Env = append(environment(l.Addr().String()), opts.Env...)
	h.cmd.Stdout, h.cmd.Stderr = &h.out, &h.out
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	h.cmd.WaitDelay = 5 * time.Second
	began := time.Now()
	if err := h.cmd.Start(); err != nil {
		close(h.ended)
		tb.Fatalf("start %s: %v", opts.Program, err)
	}
	h.serving.Go(func() {
		h.endedBy = h.cmd.Wait()
		close(h.ended)
	})
	limit := time.NewTimer(opts.InitTimeout)
	defer limit.Stop()
	select {
	case <-h.first:
		h.Init = time.Since(began)
	case <-h.ended:
		tb.Fatalf("the function ended before its first event: %v %s\n%s", h.endedBy, h.initError(), h.Output())
	case <-limit.C:
		tb.Fatalf("the function asked for no event within %s\n%s", opts.InitTimeout, h.Output())
	}
	return h
}

// environment is what Lambda sets.
func environment(address string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "_X_AMZN") })
	return append(env, "AWS_LAMBDA_RUNTIME_API="+address, "AWS_LAMBDA_FUNCTION_NAME=guardroom", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/guardroom", "AWS_LAMBDA_LOG_STREAM_NAME=test",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023", "AWS_REGION=eu-central-1",
		"AWS_DEFAULT_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"LAMBDA_TASK_ROOT=/var/task", "TZ=:UTC")
}

// Invoke delivers one event and waits for the answer.
func (h *Host) Invoke(ctx context.Context, payload []byte) (Answer, error) {
	h.one.Lock()
	defer h.one.Unlock()
	h.mu.Lock()
	h.nextID++
	e := event{id: fmt.Sprintf("00000000-0000-4000-8000-%012d", h.nextID), payload: payload, deadline: time.Now().Add(h.opts.Timeout), answer: make(chan Answer, 1)}
	h.mu.Unlock()
	if h.opts.Freeze {
		if err := h.Thaw(); err != nil {
			return Answer{}, err
		}
	}
	began := time.Now()
	limit := time.NewTimer(h.opts.Timeout + h.opts.Grace)
	defer limit.Stop()
	deliver := h.events
	for {
		select {
		case deliver <- e:
			deliver = nil
		case a := <-e.answer:
			a.Duration = time.Since(began)
			if h.opts.Freeze {
				return a, h.freezeWhenIdle(ctx)
			}
			return a, nil
		case <-h.ended:
			return Answer{}, fmt.Errorf("%w\n%s", errors.Join(ErrEnded, h.endedBy), h.Output())
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-limit.C:
			h.kill()
			return Answer{}, ErrTimeout
		}
	}
}

// freezeWhenIdle stops the process after it asked for its next event, which is
// when Lambda does it.
func (h *Host) freezeWhenIdle(ctx context.Context) error {
	select {
	case <-h.asked:
		return h.Freeze()
	case <-h.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Freeze stops the process with SIGSTOP; Thaw continues it.
func (h *Host) Freeze() error { return syscall.Kill(-h.cmd.Process.Pid, syscall.SIGSTOP) }

// Thaw continues a frozen process.
func (h *Host) Thaw() error { return syscall.Kill(-h.cmd.Process.Pid, syscall.SIGCONT) }

// Terminate sends SIGTERM, as Lambda does before it kills, and waits for the
// process. The error says how it ended; nil is exit 0.
func (h *Host) Terminate(ctx context.Context) error {
	if err := errors.Join(h.Thaw(), syscall.Kill(-h.cmd.Process.Pid, syscall.SIGTERM)); err != nil {
		return err
	}
	select {
	case <-h.ended:
		return h.endedBy
	case <-ctx.Done():
		return fmt.Errorf("the process did not end after SIGTERM: %w", ctx.Err())
	}
}

// Output is what the process printed.
func (h *Host) Output() string { return h.out.String() }

func (h *Host) initError() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.initErr
}

func (h *Host) kill() {
	if h.cmd != nil && h.cmd.Process != nil {
		_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
		<-h.ended
	}
}

func (h *Host) stop() {
	h.kill()
	close(h.quit)
	_ = h.server.Close()
	h.serving.Wait()
	if h.tb.Failed() {
		h.tb.Logf("the function printed:\n%s", h.Output())
	}
}

// output is a buffer that two goroutines may use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps everything: a test prints little.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns what was kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
