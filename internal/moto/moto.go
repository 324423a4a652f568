// Package moto starts one moto server for the tests of a package: somebody
// else's idea of AWS on the real wire protocol.
//
// The program comes from GUARDROOM_MOTO, from .tools/moto/bin/moto_server below
// the module's root, or from PATH, in this order. Where it is missing or of
// another version the tests fail with a line that says how to get it; they are
// never skipped. Everything in it is shared by the tests of the package: give
// each test names of its own, and call Reset only where no other test runs.
//
// The package must never keep a server running after its tests. Read Start.
package moto

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/guardroom/guardroom/internal/loopback"
)

// Version is the version whose behaviour the tests know.
const Version = "5.2.1"

const (
	howTo = "moto server " + Version + " is missing: run make test, which fetches it, or pip install 'moto[server]==" + Version + "'"
	ready = 5 * time.Minute // measured: one to two seconds; a busy machine needs more
)

// Server is a running moto server.
type Server struct {
	// URL is the endpoint for every service: http://, an address of this machine,
	// and a port.
	URL string

	cmd   *exec.Cmd
	out   output
	ended chan struct{}
}

// Program finds the moto server's program.
func Program() (string, error) {
	if p := os.Getenv("GUARDROOM_MOTO"); p != "" {
		if found, err := exec.LookPath(p); err == nil {
			return found, nil
		}
		return "", fmt.Errorf("GUARDROOM_MOTO names %s, which is no program; %s", p, howTo)
	}
	if root, err := moduleRoot(); err == nil {
		if found, err := exec.LookPath(filepath.Join(root, ".tools", "moto", "bin", "moto_server")); err == nil {
			return found, nil
		}
	}
	if found, err := exec.LookPath("moto_server"); err == nil {
		return found, nil
	}
	return "", errors.New(howTo)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return "", errors.Join(errors.New("no go.mod above the working directory"), err)
}

// Start starts a server and returns when it answers. Call Stop at the end of
// TestMain. Another version than Version is an error.
func Start() (*Server, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	found, err := version(program)
	if err != nil {
		return nil, err
	}
	if found != Version {
		return nil, fmt.Errorf("moto server at %s is version %s; %s", program, found, howTo)
	}
	// Between choosing a port and using it somebody else may take it.
	for range 3 {
		var s *Server
		if s, err = start(program); err == nil {
			return s, nil
		}
		if !strings.Contains(err.Error(), "ddress already in use") {
			break
		}
	}
	return nil, err
}

func start(program string) (*Server, error) {
	address, err := loopback.Address()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + address, ended: make(chan struct{})}
	s.cmd = exec.Command(program, "-H", host, "-p", port) //nolint:gosec // our own arguments
	s.cmd.Env = environment()
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; %s", program, err, howTo)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is seen by whoever calls it
		close(s.ended)
	}()
	if err := s.await(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// environment keeps settings of the person's AWS away from the server.
func environment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			out = append(out, v)
		}
	}
	return append(out, "PYTHONUNBUFFERED=1")
}

func (s *Server) await() error {
	limit := time.NewTimer(ready)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.call(http.MethodGet, "/moto-api/") == nil {
				return nil
			}
		case <-s.ended:
			return fmt.Errorf("moto server ended at once: %s", s.out.String())
		case <-limit.C:
			return fmt.Errorf("moto server did not answer within %s: %s", ready, s.out.String())
		}
	}
}

// version asks the Python that belongs to the program; the server does not tell.
func version(program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	pythons := []string{filepath.Join(filepath.Dir(program), "python3"), "python3"}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		pythons = append([]string{filepath.Join(filepath.Dir(real), "python3")}, pythons...)
	}
	for _, python := range pythons {
		cmd := exec.CommandContext(ctx, python, "-c", "import moto; print(moto.__version__)") //nolint:gosec // beside the program
		cmd.Env = environment()
		if out, err := cmd.Output(); err == nil {
			return strings.TrimSpace(string(out)), nil
		}
	}
	return "", fmt.Errorf("the version of %s cannot be told; %s", program, howTo)
}

// Reset forgets everything that the server holds.
func (s *Server) Reset() error {
	return s.call(http.MethodPost, "/moto-api/reset")
}

func (s *Server) call(method, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("moto server answered %s to %s", resp.Status, path)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// Output is what the server printed, for the message of a failed test.
func (s *Server) Output() string { return s.out.String() }

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
}

// output is a buffer that two goroutines may use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps the last megabyte.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 1<<20 {
		o.buf.Reset()
	}
	return o.buf.Write(p)
}

// String returns what was kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
