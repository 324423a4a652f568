package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/store/sqlite"
)

// seen calls found once when words were written to it.
type seen struct {
	words string
	found func()

	mu  sync.Mutex
	all bytes.Buffer
}

func (s *seen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(b)
	if bytes.Contains(s.all.Bytes(), []byte(s.words)) {
		s.found()
	}
	return len(b), nil
}

// After a crash the socket answers nobody, and a command opens the store by
// itself for a moment. The service that starts in that moment must not give up.
func TestServeWaitsForACommandThatHasTheStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.db")
	file := filepath.Join(t.TempDir(), "guardroom.yaml")
	if err := os.WriteFile(file, []byte("destinations: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := sqlite.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = held.Close() })
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	log := &seen{words: `"msg":"ready"`, found: stop}
	e := newEnv(ctx, &Globals{Config: file, StoreAddr: "sqlite:" + path}, bytes.NewReader(nil), io.Discard, log)
	if err := new(ServeCmd).Run(ctx, e); err != nil {
		t.Errorf("%v\n%s", err, log.all.String())
	}
	if !bytes.Contains(log.all.Bytes(), []byte(log.words)) {
		t.Errorf("it was never ready:\n%s", log.all.String())
	}
}
