package main

import (
	"context"
	"io"
)

// input is stdin for commands that read findings from it. Reading ends with
// ctx: a read of a terminal or a pipe cannot be interrupted itself, and Ctrl-C
// must end a command that waits for more.
func (e *env) input(ctx context.Context) io.Reader {
	return &stoppable{ctx: ctx, r: e.stdin, ready: make(chan chunk, 1)}
}

// stoppable reads ahead by one chunk, in a goroutine that ends with its
// read, or with the process where nothing comes any more.
type stoppable struct {
	ctx     context.Context
	r       io.Reader
	ready   chan chunk
	reading bool
	have    chunk
}

type chunk struct {
	b   []byte
	err error
}

// Read implements io.Reader.
func (i *stoppable) Read(p []byte) (int, error) {
	for len(i.have.b) == 0 && i.have.err == nil {
		if !i.reading {
			i.reading = true
			go func() {
				b := make([]byte, 64<<10)
				n, err := i.r.Read(b)
				i.ready <- chunk{b[:n], err}
			}()
		}
		select {
		case i.have = <-i.ready:
			i.reading = false
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		}
	}
	n := copy(p, i.have.b)
	i.have.b = i.have.b[n:]
	if n == 0 {
		return 0, i.have.err
	}
	return n, nil
}
