package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/demo"
	"github.com/guardroom/guardroom/internal/fault"
)

// DemoCmd shows a made-up day with everything embedded, and a response at its end.
type DemoCmd struct {
	Fast bool   `help:"Take about a quarter of a minute instead of one and a half."`
	Keep string `help:"Keep store and configuration in this folder, which must be empty or new [a new temporary one]." placeholder:"DIR"`
}

// Help shows examples.
func (DemoCmd) Help() string {
	return "Needs nothing but this program: no account, no network, no configuration. What it leaves is one folder.\n" +
		"The response at its end is carried out in an AWS that is simulated.\n\n" +
		"Examples:\n  guardroom demo\n  guardroom demo --fast --keep ./day"
}

// Run shows the day on stdout.
func (c *DemoCmd) Run(ctx context.Context, e *env) error {
	if e.JSON {
		return fault.New(fault.Usage, "the demo is for people and has no --json", "guardroom finding import --json reads findings for programs")
	}
	return runDemo(ctx, demo.Options{Out: e.stdout, Fast: c.Fast, Width: e.width, Color: e.color, Dir: c.Keep, Command: invocation()})
}

// runDemo plays the day on a guardroom in this process.
func runDemo(ctx context.Context, opts demo.Options) error {
	opts.Open = openDemo
	_, err := demo.Play(ctx, opts)
	if errors.Is(err, syscall.EPIPE) {
		return nil // who watched has seen enough
	}
	return err
}

// openDemo opens the demo's guardroom. Its log is dropped: what matters of it is
// on the screen.
func openDemo(ctx context.Context, data []byte, now func() time.Time) (demo.Room, error) {
	cfg, err := config.Parse(ctx, "guardroom.yaml", data, config.LoadOptions{CheckCondition: app.CheckCondition, Offline: true})
	if err != nil {
		return nil, err
	}
	return app.New(ctx, cfg, app.Options{Mode: app.ModeServe, Version: version, Now: now})
}

// invocation is how the person called this program: go run builds it in a
// temporary folder, where it cannot be called again.
func invocation() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(exe, "go-build") {
		return "go run ./cmd/guardroom"
	}
	if strings.ContainsRune(os.Args[0], os.PathSeparator) && !strings.ContainsAny(os.Args[0], " '\"$\\") {
		return os.Args[0] // it may be in no folder of PATH
	}
	return "guardroom"
}
