package main

import (
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// VersionCmd prints the version.
type VersionCmd struct{}

// versionFlag is --version, which people try first.
type versionFlag bool

// BeforeReset prints the version and ends.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	e := env{Globals: &Globals{}, stdout: k.Stdout}
	if err := (&VersionCmd{}).Run(&e); err != nil {
		return err
	}
	k.Exit(exitOK)
	return nil
}

// Run prints the version and how it was built.
func (c *VersionCmd) Run(e *env) error {
	revision := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	if e.JSON {
		return e.object(map[string]string{"version": version, "revision": revision, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	e.printf("guardroom %s %.12s (%s, %s/%s)\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
