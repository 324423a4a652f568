package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/google/renameio/v2"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/internal/fault"
)

// AuditCmd is about the audit chain.
type AuditCmd struct {
	Tail   AuditTailCmd   `cmd:"" help:"Print the newest records."`
	Verify AuditVerifyCmd `cmd:"" help:"Check the chain against itself and the heads outside."`
	Export AuditExportCmd `cmd:"" help:"Write all records as JSON lines."`
}

// AuditTailCmd prints the newest records.
type AuditTailCmd struct {
	Lines int `short:"n" help:"So many." default:"20"`
}

// Run prints the end of the chain, oldest first.
func (c *AuditTailCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("record", "when", "who", "action", "object", "after", "why").
			cut("who", 12).wrap().below("why", "after", "object")
		n := 0
		var failed error
		err := cl.Lines(ctx, "/v1/audit", query("tail", strconv.Itoa(c.Lines)), func(line []byte) bool {
			var r audit.Record
			if failed = json.Unmarshal(line, &r); failed != nil {
				return false
			}
			n++
			if e.JSON {
				failed = e.object(r)
				return failed == nil
			}
			t.row(strconv.FormatInt(r.Seq, 10), e.exactly(r.At), r.Who, r.Action, r.Object, r.After, r.Why)
			return true
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		return e.list(t, n, "no audit records yet")
	})
}

// AuditVerifyCmd checks the chain.
type AuditVerifyCmd struct {
	File string `arg:"" optional:"" help:"An exported file instead of the store."`
	Head string `help:"File of heads written outside (JSON lines), to compare with as well." placeholder:"FILE"`
}

// Help shows examples.
func (AuditVerifyCmd) Help() string {
	return "Examples:\n  guardroom audit verify\n  guardroom audit verify audit.jsonl --head guardroom.db.audit-heads\n\nExits with 4 when something is wrong."
}

// Run verifies the chain and names what is wrong.
func (c *AuditVerifyCmd) Run(ctx context.Context, e *env) error {
	var report audit.Report
	if c.File != "" || c.Head != "" {
		var err error
		if report, err = c.export(ctx, e); err != nil {
			return err
		}
	} else if err := e.withClient(ctx, func(cl *api.Client) error {
		return cl.Do(ctx, "POST", "/v1/audit/verify", nil, nil, &report)
	}); err != nil {
		return err
	}
	if !report.OK() {
		e.failed = exitVerify
	}
	if e.JSON {
		return e.object(report)
	}
	if report.OK() {
		e.printf("ok: %s agree with %s outside; head %d %s\n", plural(int(report.Records), "record"), plural(int(report.Heads), "head"), report.Last.Seq, report.Last.Hash)
		if report.Heads == 0 {
			e.say("note: no head outside was compared, so a cut end or a chain rewritten as a whole would not show")
		}
		return nil
	}
	for _, f := range report.Faults {
		fmt.Fprintf(e.stderr, "error: %s\n", clean(f.Message))
	}
	fmt.Fprintf(e.stderr, "safe:  nothing was changed by this check; %d records were read\n", report.Records)
	fmt.Fprintf(e.stderr, "hint:  keep the database and the heads as they are, and compare with a backup from before record %d\n", report.Faults[0].Seq)
	return nil
}

// export verifies records from a file, or from the store, against a file of
// heads.
func (c *AuditVerifyCmd) export(ctx context.Context, e *env) (audit.Report, error) {
	var heads []audit.Head
	if c.Head != "" {
		if _, err := os.Stat(c.Head); err != nil {
			return audit.Report{}, fault.Wrap(fault.Usage, err, "read the heads", "", "--head names a file that audit.head wrote")
		}
		var err error
		if heads, err = (audit.FileKeeper{Path: c.Head}).Heads(ctx); err != nil {
			return audit.Report{}, fault.Wrap(fault.Corrupt, err, "read the heads", "the chain itself was not looked at", "somebody changed that file")
		}
	}
	if c.File == "" {
		return c.store(ctx, e, heads)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return audit.Report{}, fault.Wrap(fault.Usage, err, "open the export", "", "guardroom audit export -o audit.jsonl makes one")
	}
	defer f.Close()
	return audit.VerifyExport(f, heads)
}

// store verifies the store's records as they are read, against heads at hand.
func (c *AuditVerifyCmd) store(ctx context.Context, e *env, heads []audit.Head) (report audit.Report, err error) {
	err = e.withClient(ctx, func(cl *api.Client) error {
		r, w := io.Pipe()
		go func() {
			w.CloseWithError(cl.Lines(ctx, "/v1/audit", nil, func(line []byte) bool {
				_, err := w.Write(append(line, '\n'))
				return err == nil
			}))
		}()
		report, err = audit.VerifyExport(r, heads)
		return errors.Join(err, r.Close())
	})
	return report, err
}

// AuditExportCmd writes all records.
type AuditExportCmd struct {
	Output string `short:"o" help:"File to write [stdout]." placeholder:"FILE"`
}

// Run exports the chain. A file appears whole or not at all.
func (c *AuditExportCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var w io.Writer = e.stdout
		var file *renameio.PendingFile
		if c.Output != "" {
			var err error
			if file, err = renameio.NewPendingFile(c.Output, renameio.WithPermissions(0o600)); err != nil {
				return fault.Wrap(fault.Usage, err, "write "+c.Output, "nothing was written", "")
			}
			defer file.Cleanup() //nolint:errcheck // nothing to clean after the replacement
			w = file
		}
		b := bufio.NewWriter(w)
		n := 0
		var failed error
		err := cl.Lines(ctx, "/v1/audit", nil, func(line []byte) bool {
			n++
			_, failed = b.Write(append(line, '\n'))
			return failed == nil
		})
		if err = errors.Join(err, failed, b.Flush()); err != nil {
			return err
		}
		if file != nil {
			if err := file.CloseAtomicallyReplace(); err != nil {
				return err
			}
			e.say("wrote %s to %s", plural(n, "record"), c.Output)
		}
		return nil
	})
}
