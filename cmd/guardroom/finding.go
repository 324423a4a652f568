package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/finding/catalog"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// FindingCmd is about findings.
type FindingCmd struct {
	Parse    FindingParseCmd    `cmd:"" help:"Print what is in files, without a store."`
	Import   FindingImportCmd   `cmd:"" help:"Take findings through the whole flow."`
	List     FindingListCmd     `cmd:"" help:"List findings, newest received first."`
	Show     FindingShowCmd     `cmd:"" help:"Show a finding with its revisions."`
	Explain  FindingExplainCmd  `cmd:"" help:"Say why a finding was suppressed, merged and routed."`
	Replay   FindingReplayCmd   `cmd:"" help:"Take a rejected input again, after an upgrade."`
	Rejected FindingRejectedCmd `cmd:"" help:"Look at inputs that could not be used."`
}

// FindingParseCmd prints findings from files.
type FindingParseCmd struct {
	Files []string `arg:"" help:"Files, folders, or - for stdin." placeholder:"FILE"`
}

// Help shows examples.
func (FindingParseCmd) Help() string {
	return "Examples:\n  guardroom finding parse finding.json\n  aws guardduty get-findings … | guardroom finding parse --json -"
}

// Run prints every finding, and on stderr what is none. It fails when there
// was any of the latter.
func (c *FindingParseCmd) Run(ctx context.Context, e *env) error {
	bad := 0
	for _, name := range c.Files {
		files, err := expand(name)
		if err != nil {
			bad++
			e.refuse(name, finding.Position{}, whyNot(err))
			continue
		}
		for _, f := range files {
			n, err := c.file(ctx, e, f)
			bad += n
			if err != nil {
				return err
			}
		}
	}
	if bad > 0 {
		e.failed = exitFailed
	}
	return nil
}

// expand returns the files below a folder, sorted, without hidden ones.
func expand(name string) ([]string, error) {
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var out []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != name
		if d.IsDir() {
			if hidden {
				return filepath.SkipDir
			}
			return nil
		}
		if !hidden && d.Type().IsRegular() && findingFile(d.Name()) {
			out = append(out, path)
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}

// findingFile reports whether a file in a folder looks like findings by its
// name. A file that is named itself is always read.
func findingFile(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	switch filepath.Ext(name) {
	case ".json", ".jsonl", ".ndjson":
		return true
	}
	return false
}

func (c *FindingParseCmd) file(ctx context.Context, e *env, name string) (bad int, err error) {
	var r io.Reader = e.input(ctx)
	label := "stdin"
	if name != "-" {
		label = name
		f, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			e.refuse(name, finding.Position{}, whyNot(err))
			return 1, nil
		}
		defer f.Close()
		r = f
	}
	var failed error
	count := 0
	err = finding.Decode(r, finding.Limits{}, func(item finding.Item) bool {
		count++
		switch {
		case item.Finding != nil:
			failed = e.finding(item.Finding)
		case item.Rejected != nil:
			bad++
			e.refuse(label, item.Position, item.Rejected.Reason)
		case item.Ignored != nil:
			bad++
			e.refuse(label, item.Position, "not a finding: "+item.Ignored.DetailType)
		case item.Reference != nil:
			bad++
			e.refuse(label, item.Position, fmt.Sprintf("not a finding: it points to s3://%s/%s", item.Reference.Bucket, item.Reference.Key))
		}
		return failed == nil && ctx.Err() == nil
	})
	switch {
	case failed != nil:
		return bad, failed
	case ctx.Err() != nil:
		return bad, ctx.Err()
	case err != nil:
		bad++
		e.refuse(label, finding.Position{}, err.Error())
	case count == 0:
		bad++
		e.refuse(label, finding.Position{}, "nothing is in it")
	}
	return bad, ctx.Err()
}

// refuse tells of an input that is no finding: file, position, reason.
func (e *env) refuse(file string, p finding.Position, reason string) {
	if e.JSON {
		_ = newEncoder(e.stderr).Encode(map[string]any{"error": map[string]any{"message": reason, "code": "not_a_finding",
			"file": file, "line": p.Line, "offset": p.Offset, "path": p.Path}})
		return
	}
	where := file
	if p.Line > 0 {
		where += ":" + strconv.Itoa(p.Line)
	}
	if p.Path != "" {
		where += " " + p.Path
	}
	if p != (finding.Position{}) {
		where += fmt.Sprintf(" (byte %d)", p.Offset)
	}
	fmt.Fprintf(e.stderr, "refused: %s: %s\n", clean(where), clean(reason))
}

// whyNot says why a file cannot be read, without the name, which stands before
// it, and without the name of the system call.
func whyNot(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func (e *env) finding(f *finding.Finding) error {
	known, ok := catalog.Lookup(f.Type.Name)
	if e.JSON {
		return e.object(finding.Print(f, ok))
	}
	entry := known
	if !ok {
		entry = catalog.Explain(f.Type)
	}
	words := ""
	if f.Archived {
		words += ", archived"
	}
	if f.Sample {
		words += ", sample"
	}
	if !ok {
		words += ", type unknown to this version"
	}
	e.printf("%s %s  %s%s\n", strings.ToUpper(f.Severity.Label()), f.Severity, clean(f.Type.Name), words)
	e.printf("  %-9s %s\n", "id", clean(string(f.ID)))
	e.printf("  %-9s %s\n", "title", clean(f.Title))
	e.printf("  %-9s %s, %s\n", "account", clean(f.AccountID), clean(f.Region))
	e.printf("  %-9s %s %s\n", "resource", clean(string(f.Resource.Kind)), clean(named(f.Resource.Name, f.Resource.ID)))
	if a := actorWords(f.Actor); a != "" {
		e.printf("  %-9s %s\n", "actor", clean(a))
	}
	if !f.LastSeen.IsZero() {
		e.printf("  %-9s %s, last %s\n", "seen", plural(f.Count, "time"), e.when(f.LastSeen))
	}
	e.printf("  %-9s %s\n", "meaning", clean(entry.Seen))
	for i, s := range entry.First {
		label := ""
		if i == 0 {
			label = "check"
		}
		e.printf("  %-9s %s\n", label, clean(s))
	}
	for _, w := range f.Warnings {
		e.printf("  %-9s %s\n", "note", clean(w))
	}
	e.printf("\n")
	return nil
}

func named(name, id string) string {
	if name == "" || name == id {
		return id
	}
	return name + " (" + id + ")"
}

func actorWords(a finding.Actor) string {
	var words []string
	words = append(words, a.IPs...)
	words = append(words, a.Domains...)
	for _, s := range []string{a.UserName, a.ASNOrg, a.Country} {
		if s != "" {
			words = append(words, s)
		}
	}
	if len(words) > 6 {
		words = append(words[:6], "…")
	}
	return strings.Join(words, ", ")
}

// FindingListCmd lists findings.
type FindingListCmd struct {
	Account  string `help:"Account id." group:"filter"`
	Region   string `help:"Region." group:"filter"`
	Type     string `help:"Finding type." group:"filter"`
	Decision string `help:"incident, suppressed or recorded." group:"filter" values:"incident,suppressed,recorded"`
	Incident string `help:"Incident, as INC-42." group:"filter"`
	Since    string `help:"Received since: 24h, 7d or an RFC 3339 time." group:"filter"`
	Limit    int    `help:"At most so many." default:"50" group:"filter"`
}

// Run lists findings.
func (c *FindingListCmd) Run(ctx context.Context, e *env) error {
	q := query("account", c.Account, "region", c.Region, "type", c.Type, "decision", c.Decision, "incident", c.Incident)
	if err := e.since(q, c.Since); err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("severity", "type", "resource", "account", "incident", "decision", "last received", "id").
			cut("type", 40).cut("resource", 20).below("type", "resource", "account", "id")
		fetch := func(q url.Values) ([]store.Finding, error) {
			var list api.FindingList
			err := cl.Do(ctx, "GET", "/v1/findings", q, nil, &list)
			if n := len(list.Findings); n > 0 {
				q.Set("after_at", list.Findings[n-1].LastReceived.Format(timeFormat))
				q.Set("after_id", string(list.Findings[n-1].ID))
			}
			return list.Findings, err
		}
		n, err := pages(e, c.Limit, fetch, q, func(f store.Finding) error {
			if e.JSON {
				return e.object(f)
			}
			t.row(severity(f.Severity), f.Type, f.ResourceID, f.AccountID, numberOrDash(f.Incident), f.Decision, e.moment(f.LastReceived), string(f.ID))
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no findings; guardroom finding import FILE… or guardroom serve brings some")
	})
}

// FindingShowCmd shows one finding.
type FindingShowCmd struct {
	ID  string `arg:"" help:"Finding id."`
	Raw bool   `help:"Print the newest revision as it was received."`
}

// Run shows a finding.
func (c *FindingShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		path := "/v1/findings/" + url.PathEscape(c.ID)
		if c.Raw {
			raw, err := cl.Raw(ctx, "GET", path+"/raw", nil, nil)
			if err != nil {
				return err
			}
			_, err = e.stdout.Write(append(raw, '\n'))
			return err
		}
		var d api.FindingDetail
		if err := cl.Do(ctx, "GET", path, nil, nil, &d); err != nil {
			return err
		}
		if e.JSON {
			return e.object(d)
		}
		f := d.Finding
		e.printf("%s  %s\n", severity(f.Severity), clean(f.Type))
		e.pairs("id", string(f.ID), "title", f.Title, "account", f.AccountID+", "+f.Region, "resource", string(f.ResourceKind)+" "+f.ResourceID,
			"decision", decisionWords(f.Decision, f.Rule), "incident", numberOrDash(f.Incident), "seen", fmt.Sprintf("%s, last %s", plural(f.Count, "time"), e.when(f.LastSeen)),
			"received", e.when(f.LastReceived)+" from "+f.Source)
		e.printf("\nrevisions, newest first\n")
		t := newTable("updated", "count", "severity", "received", "source", "position", "decision").
			cut("source", 16).cut("position", 30).below("position", "source").drop("count", "received")
		for _, r := range d.Revisions {
			t.row(stamp(r.UpdatedAt), strconv.Itoa(r.Count), severity(r.Severity), stamp(r.ReceivedAt), r.Source, r.Position, r.Decision+", "+r.Freshness)
		}
		t.print(e)
		return nil
	})
}

func decisionWords(decision, rule string) string {
	if rule != "" {
		return decision + " by " + rule
	}
	return decision
}

// FindingExplainCmd says why.
type FindingExplainCmd struct {
	ID string `arg:"" help:"Finding id."`
}

// Run explains what triage did with a finding.
func (c *FindingExplainCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var x api.Explanation
		if err := cl.Do(ctx, "GET", "/v1/findings/"+url.PathEscape(c.ID)+"/explain", nil, nil, &x); err != nil {
			return err
		}
		if e.JSON {
			return e.object(x)
		}
		f := x.Finding
		e.printf("%s  %s on %s, %s\n", severity(f.Severity), clean(f.Type), clean(f.ResourceID), clean(decisionWords(f.Decision, f.Rule)))
		if f.Title != "" {
			e.printf("%s\n", clean(f.Title))
		}
		e.printf("\n%s", clean2(triage.Explain(x.Steps)))
		if f.Incident > 0 {
			e.printf("\nsee: guardroom incident show %s\n", f.Incident)
		}
		return nil
	})
}

// clean2 cleans text of several lines.
func clean2(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}

// FindingRejectedCmd is about inputs that could not be used.
type FindingRejectedCmd struct {
	List RejectedListCmd `cmd:"" help:"List rejected inputs, newest first."`
	Show RejectedShowCmd `cmd:"" help:"Show a rejected input."`
}

// RejectedListCmd lists them.
type RejectedListCmd struct {
	Limit int `help:"At most so many." default:"50"`
}

// Run lists rejected inputs.
func (c *RejectedListCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		t := newTable("id", "when", "source", "position", "size", "reason").
			cut("source", 16).cut("position", 24).wrap().drop("size").below("reason", "position", "source")
		fetch := func(q url.Values) ([]store.Rejected, error) {
			var list api.RejectedList
			err := cl.Do(ctx, "GET", "/v1/rejected", q, nil, &list)
			if n := len(list.Rejected); n > 0 {
				q.Set("before", list.Rejected[n-1].ID)
			}
			return list.Rejected, err
		}
		n, err := pages(e, c.Limit, fetch, query(), func(r store.Rejected) error {
			if e.JSON {
				return e.object(r)
			}
			t.row(r.ID, e.moment(r.At), r.Source, r.Position, strconv.Itoa(r.Size), r.Reason)
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no rejected inputs")
	})
}

// RejectedShowCmd shows one.
type RejectedShowCmd struct {
	ID string `arg:"" help:"Id of the rejected input."`
}

// Run shows a rejected input with its first bytes, or with --json all of them.
func (c *RejectedShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var r api.RejectedDetail
		if err := cl.Do(ctx, "GET", "/v1/rejected/"+url.PathEscape(c.ID), nil, nil, &r); err != nil {
			return err
		}
		if e.JSON {
			return e.object(struct {
				api.RejectedDetail
				Body string `json:"body_base64"`
			}{r, base64.StdEncoding.EncodeToString(r.Body)})
		}
		e.pairs("id", r.ID, "when", e.when(r.At), "source", r.Source, "position", r.Position, "size", fmt.Sprintf("%d bytes", r.Size), "reason", r.Reason)
		const shown = 4096
		e.printf("\n%s\n", clean2(string(r.Body[:min(len(r.Body), shown)])))
		if len(r.Body) > shown {
			e.printf("… %d bytes more; --json prints all\n", len(r.Body)-shown)
		}
		return nil
	})
}

// FindingReplayCmd takes a rejected input again.
type FindingReplayCmd struct {
	ID string `arg:"" help:"Id of a rejected input."`
}

// Run takes a rejected input through the flow again.
func (c *FindingReplayCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var r api.RejectedDetail
		if err := cl.Do(ctx, "GET", "/v1/rejected/"+url.PathEscape(c.ID), nil, nil, &r); err != nil {
			return err
		}
		if len(r.Body) < r.Size {
			return fault.New(fault.Conflict, fmt.Sprintf("only %d of %d bytes of it were kept", len(r.Body), r.Size), "import the original file")
		}
		receipt, err := importBody(ctx, cl, source.Input{Position: "rejected/" + c.ID, Body: r.Body}, false)
		if err != nil {
			return err
		}
		if receipt.Rejected > 0 {
			return fault.New(fault.Usage, "it was rejected again: "+strings.Join(receipt.Reasons, "; "), "guardroom finding rejected show "+c.ID)
		}
		if e.JSON {
			return e.object(receipt)
		}
		e.printf("%d accepted, %d known, incidents %s\n", receipt.Accepted, receipt.Known, strings.Join(receipt.Incidents, " "))
		return nil
	})
}
