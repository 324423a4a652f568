// Command guardroom is a security operations room around Amazon GuardDuty:
// findings come in, incidents go out to where people work, everything is kept
// and audited.
//
// Each noun of the command line has a file of its own here; what they do is in
// the packages that they call. Read cli in this file, then env.go.
package main

//go:generate go test -run TestReferenceOfTheCommandLineIsFresh . -update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/guardroom/guardroom/internal/fault"
)

// version is set by the build.
var version = "dev"

// cli is the command line. The words are those of docs/architecture.md.
type cli struct {
	Globals
	VersionFlag versionFlag `name:"version" help:"Print the version." group:"common"`

	Demo   DemoCmd   `cmd:"" help:"Show a made-up day on embedded defaults."`
	Serve  ServeCmd  `cmd:"" help:"Run the service: sources, triage, deliveries, API."`
	Lambda LambdaCmd `cmd:"" help:"Run as an AWS Lambda function."`
	Doctor DoctorCmd `cmd:"" help:"Check every part and say what to mend."`

	Finding     FindingCmd     `cmd:"" help:"Parse, import, list and explain findings."`
	Incident    IncidentCmd    `cmd:"" help:"List and work on incidents."`
	Rule        RuleCmd        `cmd:"" help:"List and test suppressions and routes."`
	Destination DestinationCmd `cmd:"" help:"List, test, pause and resume destinations."`
	Delivery    DeliveryCmd    `cmd:"" help:"List, show and retry deliveries."`
	Playbook    PlaybookCmd    `cmd:"" help:"List what can be planned."`
	Plan        PlanCmd        `cmd:"" help:"Make, read, approve and reject plans."`
	Run         RunCmd         `cmd:"" help:"Follow, abort and undo runs of plans."`
	Respond     RespondCmd     `cmd:"" help:"Stop every response at once, or let them go on."`
	Evidence    EvidenceCmd    `cmd:"" help:"List, verify and export what was preserved."`
	Audit       AuditCmd       `cmd:"" help:"Read, verify and export the audit chain."`
	Store       StoreCmd       `cmd:"" help:"Back up and prune the store."`
	Config      ConfigCmd      `cmd:"" help:"Write, check and show the configuration."`
	Token       TokenCmd       `cmd:"" help:"Make, list and end personal tokens of the API."`
	Iam         IamCmd         `cmd:"" help:"Print the policies that guardroom needs in AWS."`

	Help       HelpCmd       `cmd:"" help:"Show what a command is for and how it is called."`
	Version    VersionCmd    `cmd:"" help:"Print the version."`
	Completion CompletionCmd `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Complete   CompleteCmd   `cmd:"" hidden:"" name:"__complete" help:"Complete a command line."`
}

// Exit codes, as docs/reference/cli.md promises.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitPending: stopped waiting, a person must approve.
	exitPending = 3
	exitVerify  = 4
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: arguments in, exit code out.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 && os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		args = []string{"lambda"}
	}
	ctx, signalled := interruptible()
	var c cli
	left := -1
	parser, err := kong.New(&c, kong.Name("guardroom"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ShortUsageOnError(), kong.Exit(func(code int) { left = code; panic(leave{}) }), kong.Vars{"version": version})
	if err != nil {
		fmt.Fprintln(stderr, "error: guardroom's own command line is wrong:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, code, done := parse(parser, args, &left)
	if done {
		if code != exitOK {
			code = exitUsage
		}
		return code
	}
	if k == nil {
		return exitUsage
	}
	e := newEnv(ctx, &c.Globals, stdin, stdout, stderr)
	if err := hereOnly(k); err != nil {
		return e.finish(err)
	}
	k.BindTo(ctx, (*context.Context)(nil))
	err = k.Run(e)
	// Lambda ends its functions by SIGTERM: there it is the ordinary end.
	if s := signalled.Load(); s != 0 && k.Command() != "lambda" && (err == nil || errors.Is(err, context.Canceled)) {
		return 128 + int(s)
	}
	return e.finish(err)
}

const description = `A security operations room around Amazon GuardDuty.

Begin with:
  guardroom demo
  guardroom finding parse finding.json

Documentation: https://github.com/guardroom/guardroom/tree/main/docs`

// leave ends the parser where it asked to exit (after --help).
type leave struct{}

// parse reads the arguments. done is set when the parser ended by itself:
// help was shown, or the usage was wrong.
func parse(p *kong.Kong, args []string, left *int) (k *kong.Context, code int, done bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(leave); !ok {
				panic(r)
			}
			code, done = *left, true
		}
	}()
	k, err := p.Parse(args)
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		// The flags are not known yet, and how to write must be.
		e := env{Globals: &Globals{JSON: wantsJSON(args)}, stderr: p.Stderr}
		return nil, e.finish(fault.New(fault.Usage, message, helpFor(err))), true
	}
	return k, 0, false
}

// here are the commands that are about this machine, and speak to no service.
var here = []string{"demo", "serve", "lambda", "config", "iam", "finding parse", "version", "completion"}

// hereOnly refuses --server where it would be taken no notice of. The environment
// may name a service for all commands.
func hereOnly(k *kong.Context) error {
	given := slices.ContainsFunc(k.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == "server" && !p.Resolved })
	name := k.Command()
	if given && slices.ContainsFunc(here, func(c string) bool { return name == c || strings.HasPrefix(name, c+" ") }) {
		words, _, _ := strings.Cut(name, " <")
		return fault.New(fault.Usage, "guardroom "+words+" is about this machine, and asks no service elsewhere", "leave --server out, or run it there")
	}
	return nil
}

// wantsJSON reports whether --json is among arguments that could not be parsed.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	return false
}

func helpFor(err error) string {
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil {
		if cmd := strings.TrimSpace(pe.Context.Command()); cmd != "" {
			words := strings.Fields(cmd)
			var plain []string
			for _, w := range words {
				if !strings.HasPrefix(w, "<") {
					plain = append(plain, w)
				}
			}
			return "guardroom " + strings.Join(plain, " ") + " --help"
		}
	}
	return "guardroom --help"
}

// interruptible returns a context that ends at Ctrl-C or SIGTERM, and which of
// them came. A second one ends the process at once.
func interruptible() (context.Context, *atomic.Int32) {
	ctx, cancel := context.WithCancel(context.Background())
	var which atomic.Int32
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-c
		if n, ok := s.(syscall.Signal); ok {
			which.Store(int32(n)) //nolint:gosec // signal numbers are small
		}
		cancel()
		<-c
		os.Exit(exitFailed)
	}()
	return ctx, &which
}
