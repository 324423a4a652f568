package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SocketPath is where the service of a SQLite store listens: beside the file.
// A socket's name may be about a hundred bytes long; for a longer one it is a
// name made from the path, in the folder for temporary files.
func SocketPath(store string) string {
	p := store + ".sock"
	if len(p) < 100 {
		return p
	}
	sum := sha256.Sum256([]byte(store))
	return filepath.Join(os.TempDir(), fmt.Sprintf("guardroom-%d-%s.sock", os.Getuid(), hex.EncodeToString(sum[:8])))
}

// ListenSocket listens at path with mode 0600. A leftover socket of an earlier
// run is removed; the store's lock makes sure that it is one.
func ListenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	// The mode is that of the socket before it has a name; so there is no moment
	// at which others may connect, and no umask of the whole process to change.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) }); err != nil { //nolint:gosec // a descriptor
			return err
		}
		return failed
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return l, nil
}

// ServeSocket serves h on l until ctx ends, and returns when the last request has
// its answer. Who asks is the user of the peer's process, as the kernel says.
func ServeSocket(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			who, err := peer(c)
			if err != nil {
				return ctx // no identity: every call is refused
			}
			return WithIdentity(ctx, who)
		}}
	return Serve(ctx, server, 5*time.Second, func() error { return server.Serve(l) })
}

func peer(c net.Conn) (Identity, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Identity{}, errors.New("not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Identity{}, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) //nolint:gosec // a descriptor
	}); err != nil {
		return Identity{}, err
	}
	if failed != nil {
		return Identity{}, failed
	}
	return Identity{Name: UserName(int(cred.Uid)), Local: true}, nil
}

// Self is the user of this process.
func Self() Identity { return Identity{Name: UserName(os.Getuid()), Local: true} }

// UserName is the name of a user by number, from the machine's own list. The
// standard library's lookup falls back to $USER, and the environment must have
// no say in who somebody is.
func UserName(uid int) string {
	unnamed := "uid:" + strconv.Itoa(uid)
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return unnamed
	}
	for line := range strings.Lines(string(b)) {
		// name:password:uid:…
		f := strings.SplitN(line, ":", 4)
		if len(f) == 4 && f[2] == strconv.Itoa(uid) && f[0] != "" {
			return f[0]
		}
	}
	return unnamed
}
