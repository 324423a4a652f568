package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md anew")

const referenceFile = "../../docs/reference/cli.md"

// reference writes the page of the command line from its model.
func reference(t *testing.T) []byte {
	t.Helper()
	var c cli
	p, err := kong.New(&c, kong.Name("guardroom"), kong.Vars{"version": "dev"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# Command line\n\n<!-- Generated from cmd/guardroom by `make generate`; do not edit. -->\n\n" + referenceIntro)
	b.WriteString("\n## Flags of every command\n\n| flag | meaning |\n| --- | --- |\n")
	for _, f := range p.Model.Flags {
		if !f.Hidden && f.Name != "help" {
			fmt.Fprintf(&b, "| %s | %s |\n", flagWords(f), flagMeaning(f))
		}
	}
	b.WriteString("\n## Commands\n")
	for _, n := range p.Model.Leaves(true) {
		fmt.Fprintf(&b, "\n### guardroom %s\n\n%s\n", strings.TrimPrefix(n.FullPath(), "guardroom "), n.Help)
		usage := "guardroom " + strings.TrimPrefix(n.FullPath(), "guardroom ")
		for _, a := range n.Positional {
			usage += " " + a.Summary()
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n", usage)
		if n.Detail != "" {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", n.Detail)
		}
		rows := ""
		for _, a := range n.Positional {
			rows += fmt.Sprintf("| `%s` | %s |\n", strings.Trim(a.Summary(), "[]"), strings.TrimSuffix(a.Help, "."))
		}
		for _, f := range n.Flags {
			if !f.Hidden && f.Name != "help" {
				rows += fmt.Sprintf("| %s | %s |\n", flagWords(f), flagMeaning(f))
			}
		}
		if rows != "" {
			b.WriteString("\n| argument | meaning |\n| --- | --- |\n" + rows)
		}
	}
	return b.Bytes()
}

func flagWords(f *kong.Flag) string {
	s := "`--" + f.Name + "`"
	if !f.IsBool() {
		s = "`--" + f.Name + "=" + f.FormatPlaceHolder() + "`"
	}
	if f.Short != 0 {
		s += ", `-" + string(f.Short) + "`"
	}
	return s
}

func flagMeaning(f *kong.Flag) string {
	s := strings.TrimSuffix(f.Help, ".")
	if len(f.Envs) > 0 {
		s += "; also `" + strings.Join(f.Envs, "`, `") + "`"
	}
	return strings.ReplaceAll(s, "|", "\\|")
}

const referenceIntro = `Results go to stdout; progress, warnings and errors to stderr. With ` + "`--json`" + ` results are one JSON
object a line (see [json.md](json.md)), and an error is one object on stderr.

A command speaks the same API in three ways: over the Unix socket beside the store while
` + "`guardroom serve`" + ` runs there, in this process while the store is free, and over HTTPS with
` + "`--server`" + `. Who asks is, on the socket and in this process, the user of the machine as the kernel
names it.

| exit | meaning |
| --- | --- |
| 0 | done, or nothing to do |
| 1 | failed, or part failed (with ` + "`--wait`" + `: a delivery needs a person, or the run failed, part failed or was aborted) |
| 2 | usage or configuration error: nothing was attempted |
| 3 | stopped waiting: an approval is pending (with ` + "`plan create --wait` or `plan approve --wait`" + `) |
| 4 | verification failed (the audit chain, evidence) |
| 130, 143 | ended by Ctrl-C or SIGTERM after an orderly stop |
`

func TestReferenceOfTheCommandLineIsFresh(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil { //nolint:gosec // a page that everybody reads
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/reference/cli.md is stale: run make generate")
	}
}
