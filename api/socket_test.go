package api_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

// socket serves h at a Unix socket in a temporary folder. stop ends it and waits.
func socket(t *testing.T, h http.Handler) (path string, stop func() error) {
	t.Helper()
	path = api.SocketPath(filepath.Join(t.TempDir(), "g.db"))
	l, err := api.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- api.ServeSocket(ctx, l, h) }()
	var err2 error
	once := false
	stop = func() error {
		if cancel(); !once {
			once, err2 = true, <-ended
		}
		return err2
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return path, stop
}

func TestSocketKnowsItsPeerFromTheKernel(t *testing.T) {
	// Who somebody is, the environment has no say in.
	for _, name := range []string{"USER", "LOGNAME", "USERNAME", "SUDO_USER"} {
		t.Setenv(name, "mallory")
	}
	s := &service{}
	path, _ := socket(t, api.Handler(s, logger(&log{})))
	c := api.OverSocket(path)
	if err := c.Do(t.Context(), http.MethodPost, "/v1/incidents/7/ack", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	// A user of this machine may name files on it.
	if err := c.Do(t.Context(), http.MethodPost, "/v1/store/backup", nil, api.BackupCommand{Path: "/b.db"}, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ack by " + api.UserName(os.Getuid()), "backup /b.db"}; !slices.Equal(s.told, want) || strings.Contains(s.told[0], "mallory") {
		t.Errorf("%q, want %q", s.told, want)
	}
	if me := api.Self(); me.Name != api.UserName(os.Getuid()) || !me.Local {
		t.Errorf("%+v", me)
	}
}

func TestPeerThatIsNotOnASocketIsNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &service{}
	go func() { ended <- api.ServeSocket(ctx, l, api.Handler(s, logger(&log{}))) }()
	c, err := api.OverHTTPS("http://"+l.Addr().String(), "any")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), http.MethodPost, "/v1/incidents/7/ack", nil, nil, nil); fault.CodeOf(err) != fault.Unauthenticated || len(s.told) > 0 {
		t.Errorf("%v, %v", err, s.told)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSocketIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	path, stop := socket(t, http.NotFoundHandler())
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%s", info.Mode())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSocketThatWasLeftBehindIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.sock")
	old, err := api.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	l, err := api.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := api.ListenSocket(filepath.Join(path, "below", "a", "file")); err == nil {
		t.Error("a folder that is not there can be listened in")
	}
}

func TestEndOfTheServiceWaitsForItsLastAnswers(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	path, stop := socket(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = w.Write([]byte("done"))
	}))
	type answer struct {
		body []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		b, err := api.OverSocket(path).Raw(context.WithoutCancel(t.Context()), http.MethodGet, "/", nil, nil)
		got <- answer{b, err}
	}()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	// The socket is gone as soon as the end has begun.
	for {
		if _, err := os.Stat(path); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with %v while a request waited for its answer", err)
	default:
	}
	close(release)
	if a := <-got; a.err != nil || string(a.body) != "done" {
		t.Errorf("%q, %v", a.body, a.err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLongPathsGetASocketElsewhere(t *testing.T) {
	t.Parallel()
	if got := api.SocketPath("/var/lib/guardroom.db"); got != "/var/lib/guardroom.db.sock" {
		t.Error(got)
	}
	long := "/" + strings.Repeat("a-long-folder/", 10)
	one, other := api.SocketPath(long+"one.db"), api.SocketPath(long+"other.db")
	if len(one) > 107 || one == other || one != api.SocketPath(long+"one.db") {
		t.Errorf("%s and %s", one, other)
	}
}

func TestUsersAreNamedByTheMachine(t *testing.T) {
	t.Parallel()
	if got := api.UserName(0); got != "root" {
		t.Error(got)
	}
	if got := api.UserName(1<<31 - 7); got != "uid:2147483641" {
		t.Error(got)
	}
}
