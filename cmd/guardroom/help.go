package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/guardroom/guardroom/internal/fault"
)

// HelpCmd shows the help of a command, as --help behind it does.
type HelpCmd struct {
	Words []string `arg:"" optional:"" name:"command" help:"The command, as: incident ack."`
}

// Run prints the help of the command, or of all.
func (c *HelpCmd) Run(k *kong.Kong) error {
	of, err := kong.Trace(k, c.Words)
	if err != nil {
		return err
	}
	if of.Error != nil || len(of.Path) != len(c.Words)+1 {
		return fault.New(fault.Usage, "there is no command "+strings.Join(c.Words, " "), "guardroom --help")
	}
	return of.PrintUsage(false)
}
