// Package pgtest starts one PostgreSQL server for the tests of a package, in a
// temporary folder, and gives each test a database of its own.
//
// It needs the server's programs. Where they are missing the tests fail with a
// line that says how to get them. Read Start.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/loopback"
)

// Server is a running PostgreSQL.
type Server struct {
	dir  string
	host string
	port string
	bin  string
	cmd  *exec.Cmd
	out  bytes.Buffer
	next atomic.Int64
	uid  *syscall.Credential
}

// howTo is what a person must do to get the server's programs.
const howTo = "PostgreSQL's server programs are missing: apt-get install postgresql (or put initdb and postgres on PATH)"

// Bin finds the folder of the server's programs.
func Bin() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), "postgres")); err == nil {
				return filepath.Dir(p), nil
			}
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New(howTo)
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Start starts a server for the tests of one package; call Stop at the end of
// TestMain. It blocks until the server answers.
func Start() (*Server, error) {
	bin, err := Bin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "guardroom-pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin}
	if err := s.start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// start prepares the data folder and runs the server. PostgreSQL refuses to run
// as root, so root's tests run it as the user postgres or nobody.
func (s *Server) start() error {
	if os.Getuid() == 0 {
		u, err := unprivileged()
		if err != nil {
			return err
		}
		s.uid = u
		if err := os.Chown(s.dir, int(u.Uid), int(u.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := s.command("initdb", "-D", data, "-U", "guardroom", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	address, err := loopback.Address()
	if err != nil {
		return err
	}
	if s.host, s.port, err = net.SplitHostPort(address); err != nil {
		return err
	}
	s.cmd = s.command("postgres", "-D", data, "-p", s.port, "-k", s.dir, "-c", "listen_addresses="+s.host,
		"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "fsync=off")
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < ready; time.Sleep(50 * time.Millisecond) {
		if s.command("pg_isready", "-q", "-h", s.host, "-p", s.port).Run() == nil {
			return nil
		}
	}
	s.Stop()
	return fmt.Errorf("PostgreSQL did not start: %s", s.out.String())
}

// ready is how long a server may take until it answers; a busy machine needs more
// than the second that it usually takes.
const ready = 5 * time.Minute

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root and there is no user postgres or nobody: run the tests as another user")
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...) //nolint:gosec // our own arguments
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.uid, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		_ = s.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// Database makes an empty database and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.next.Add(1))
	if out, err := s.command("createdb", "-h", s.host, "-p", s.port, "-U", "guardroom", name).CombinedOutput(); err != nil {
		tb.Fatalf("createdb: %v: %s", err, out)
	}
	return fmt.Sprintf("postgres://guardroom@%s/%s?sslmode=disable", net.JoinHostPort(s.host, s.port), name)
}
