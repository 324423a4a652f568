package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestInputIsReadWholeAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 50_000)
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "in halves": iotest.HalfReader(strings.NewReader(text)), "end with data": iotest.DataErrReader(strings.NewReader(text))} {
		e := &env{stdin: r}
		got, err := io.ReadAll(iotest.HalfReader(e.input(t.Context())))
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	broken := errors.New("broken")
	if _, err := io.ReadAll((&env{stdin: io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))}).input(t.Context())); !errors.Is(err, broken) {
		t.Errorf("an error of stdin became %v", err)
	}

	// A pipe that nobody writes to any more.
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	in := (&env{stdin: r}).input(ctx)
	go func() { _, _ = w.Write([]byte("first")) }()
	b := make([]byte, 100)
	if n, err := in.Read(b); string(b[:n]) != "first" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
	cancel()
	if n, err := in.Read(b); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %d, %v", n, err)
	}
}
