package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/internal/fault"
)

// Globals are the flags that every command has.
type Globals struct {
	Config    string `help:"Configuration file [guardroom.yaml]." placeholder:"FILE" env:"GUARDROOM_CONFIG" group:"common"`
	StoreAddr string `name:"store" help:"Another store: sqlite:PATH or postgres://…" placeholder:"URL" env:"GUARDROOM_STORE" group:"common"`
	Server    string `help:"Act through a service elsewhere." placeholder:"URL" env:"GUARDROOM_SERVER" group:"common"`
	TokenFile string `help:"Its token, or GUARDROOM_TOKEN." placeholder:"FILE" env:"GUARDROOM_TOKEN_FILE" group:"common"`
	JSON      bool   `name:"json" help:"Print one JSON object a line." group:"common"`
	Quiet     bool   `short:"q" help:"Print results and errors only." group:"common"`
	Color     string `help:"Colours: auto, always or never." enum:"auto,always,never" default:"auto" group:"common"`
	NoInput   bool   `help:"Never ask." group:"common"`
}

// env is what a command works with beside its own flags.
//
// Where things go: results to stdout; progress, warnings and errors to stderr.
// An error has up to three lines, error, safe and hint. With --json results are
// NDJSON and errors one JSON object on stderr.
type env struct {
	*Globals
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time
	width  int // columns of the terminal; 0: stdout is none
	color  bool
	// failed is set by commands that printed their failures themselves.
	failed int
}

func newEnv(_ context.Context, g *Globals, stdin io.Reader, stdout, stderr io.Writer) *env {
	e := &env{Globals: g, stdin: stdin, stdout: stdout, stderr: stderr, now: func() time.Time { return time.Now().UTC() }}
	terminal := false
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		terminal = true
		e.width = 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 { //nolint:gosec // a descriptor
			e.width = w
		}
	}
	switch g.Color {
	case "always":
		e.color = true
	case "auto":
		e.color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return e
}

// object prints one result as a line of JSON.
func (e *env) object(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printf prints a part of the result. Values that others wrote must have passed
// clean.
func (e *env) printf(format string, args ...any) { fmt.Fprintf(e.stdout, format, args...) }

// say prints progress.
func (e *env) say(format string, args ...any) {
	if !e.Quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// clean makes text of others harmless on a terminal.
func clean(s string) string { return escape.Terminal(s) }

// finish prints an error and gives the exit code.
func (e *env) finish(err error) int {
	if err == nil {
		return e.failed
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		e.problems(problems)
		return exitUsage
	}
	f := fault.Of(err)
	if e.JSON {
		enc := json.NewEncoder(e.stderr)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(api.NewFailure(err))
	} else {
		fmt.Fprintln(e.stderr, "error: "+clean(f.Error()))
		if f.Safe != "" {
			fmt.Fprintln(e.stderr, "safe:  "+clean(f.Safe))
		}
		if f.Hint != "" {
			fmt.Fprintln(e.stderr, "hint:  "+clean(f.Hint))
		}
	}
	switch f.Code {
	case fault.Usage:
		return exitUsage
	case fault.Corrupt:
		return exitVerify
	}
	return exitFailed
}

// problems prints what is wrong in a configuration, each at its place.
func (e *env) problems(list config.Problems) {
	if e.JSON {
		enc := json.NewEncoder(e.stderr)
		enc.SetEscapeHTML(false)
		for _, p := range list {
			_ = enc.Encode(map[string]any{"error": map[string]any{"message": p.Message, "hint": p.Hint, "code": fault.Usage,
				"file": p.File, "line": p.Line, "column": p.Column, "path": p.Path}})
		}
		return
	}
	for _, p := range list {
		fmt.Fprintln(e.stderr, "error: "+p.String())
	}
	fmt.Fprintln(e.stderr, "safe:  nothing was attempted")
}
