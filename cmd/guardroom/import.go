package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/file"
)

// FindingImportCmd takes findings from files through the whole flow.
type FindingImportCmd struct {
	Files     []string `arg:"" help:"Files, folders, s3://bucket/prefix, or - for stdin." placeholder:"FILE"`
	Wait      bool     `help:"Wait until every destination shows what was imported."`
	AsHistory bool     `help:"Record and list, and announce nothing."`
	Samples   bool     `help:"Show sample findings like others, for a test; they still never page."`
}

// Help shows examples.
func (FindingImportCmd) Help() string {
	return "Examples:\n  guardroom finding import finding.json --wait\n  guardroom finding import s3://my-exports/AWSLogs/ --as-history\n\nTaking the same file twice changes nothing. Exits with 1 when an input was rejected or, with --wait,\nwhen a delivery needs a person."
}

// remoteIntake is the flow behind the API, for source/file.
type remoteIntake struct {
	client  *api.Client
	samples bool
	touched map[string]bool // incidents
}

// Take implements source.Intake.
func (r *remoteIntake) Take(ctx context.Context, in source.Input) (source.Receipt, error) {
	receipt, err := importBody(ctx, r.client, in, r.samples)
	for _, n := range receipt.Incidents {
		r.touched[n] = true
	}
	return receipt, err
}

// Run imports the files, tells what became of them, and with --wait stays until
// everybody was told.
func (c *FindingImportCmd) Run(ctx context.Context, e *env) error {
	return e.open(ctx, opening{mode: app.ModeImport, vendors: c.Wait}, func(cl *client) error {
		if cl.app != nil && c.Wait {
			if err := cl.app.Deliver(ctx); err != nil {
				return err
			}
			beating, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() { cl.app.Beat(beating); close(done) }()
			defer func() { stop(); <-done }()
		}
		before, err := stuck(ctx, cl.Client)
		if err != nil {
			return err
		}
		intake := &remoteIntake{client: cl.Client, samples: c.Samples, touched: map[string]bool{}}
		cfg, err := e.load(ctx, storeSecrets)
		if err != nil {
			return err
		}
		started := time.Now()
		summary, err := file.Import(ctx, c.Files, intake, file.Options{Places: file.Places{Stdin: e.input(ctx), S3: app.S3(cfg)}, AsHistory: c.AsHistory,
			Progress: e.importProgress(started)})
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			e.say("stopped; what was taken is kept, and importing the same files again takes the rest")
			return err
		}
		if err != nil {
			return fault.Wrap(fault.CodeOf(err), err, "import findings",
				plural(summary.Receipt.Accepted, "finding")+" taken and kept; importing the same files again changes nothing for them", fault.Of(err).Hint)
		}
		if err := c.report(e, summary); err != nil {
			return err
		}
		if !c.Wait {
			return c.later(ctx, e, cl)
		}
		return c.wait(ctx, e, cl.Client, intake, before)
	})
}

func (e *env) importProgress(started time.Time) func(file.Progress) {
	last := started
	return func(p file.Progress) {
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			e.say("%s: %d findings so far, %d rejected (%s)", clean(p.Name), p.Receipt.Accepted+p.Receipt.Known, p.Receipt.Rejected, now.Sub(started).Round(time.Second))
		}
	}
}

func (c *FindingImportCmd) report(e *env, s file.Summary) error {
	r := s.Receipt
	for _, reason := range r.Reasons {
		if e.JSON {
			_ = newEncoder(e.stderr).Encode(map[string]any{"error": map[string]any{"message": reason, "code": "not_a_finding"}})
			continue
		}
		e.say("rejected: %s", clean(reason))
	}
	for _, f := range s.Failures {
		if e.JSON {
			_ = newEncoder(e.stderr).Encode(api.NewFailure(importFault(f)))
			continue
		}
		fmt.Fprintf(e.stderr, "error: %s: %s\n", clean(f.Name), clean(whyNot(f.Err)))
	}
	if r.Rejected > 0 || s.Failed > 0 {
		e.failed = exitFailed
	}
	if e.JSON {
		return e.object(map[string]any{"type": "imported", "files": s.Files, "accepted": r.Accepted, "known": r.Known, "ignored": r.Ignored,
			"rejected": r.Rejected, "suppressed": r.Suppressed, "failed_files": s.Failed, "incidents": emptyNotNull(r.Incidents)})
	}
	e.printf("%s: %s taken, %d known already, %d suppressed, %d ignored, %d rejected\n", plural(s.Files, "file"), plural(r.Accepted, "finding"), r.Known, r.Suppressed, r.Ignored, r.Rejected)
	if len(r.Incidents) > 0 {
		e.printf("incidents: %s\n", strings.Join(r.Incidents[:min(len(r.Incidents), 20)], " "))
		if n := len(r.Incidents); n > 20 {
			e.printf("  and %d more: guardroom incident list\n", n-20)
		}
	}
	if r.Rejected > 0 && !e.JSON {
		e.say("hint:  guardroom finding rejected list")
	}
	return nil
}

func importFault(f file.Failure) error {
	code := fault.CodeOf(f.Err)
	if errors.Is(f.Err, fs.ErrNotExist) {
		code = fault.NotFound
	}
	return fault.New(code, f.Name+": "+whyNot(f.Err), fault.Of(f.Err).Hint)
}

func emptyNotNull(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// later says who delivers when this process does not.
func (c *FindingImportCmd) later(ctx context.Context, e *env, cl *client) error {
	if cl.app == nil {
		return nil
	}
	var u api.Unfinished
	if err := cl.Do(ctx, "GET", "/v1/deliveries/unfinished", nil, nil, &u); err != nil {
		return err
	}
	if u.Armed > 0 {
		e.say("note: waiting for guardroom serve, or for finding import --wait: %s", plural(u.Armed, "delivery"))
	}
	return nil
}

// stuck lists deliveries that wait for a person.
func stuck(ctx context.Context, cl *api.Client) (map[string]notify.Delivery, error) {
	out := map[string]notify.Delivery{}
	q := query("status", "parked,unknown,paused", "limit", "500")
	for {
		var list api.DeliveryList
		if err := cl.Do(ctx, "GET", "/v1/deliveries", q, nil, &list); err != nil {
			return nil, err
		}
		for _, d := range list.Deliveries {
			out[d.ID] = d
		}
		if len(list.Deliveries) == 0 || len(out) >= 100_000 {
			return out, nil
		}
		last := list.Deliveries[len(list.Deliveries)-1]
		q.Set("after_at", last.CreatedAt.Format(timeFormat))
		q.Set("after_id", last.ID)
	}
}

// wait stays until nothing is under way any more. Deliveries that a person must look at
// by then, and did not before, make the command fail.
func (c *FindingImportCmd) wait(ctx context.Context, e *env, cl *api.Client, in *remoteIntake, before map[string]notify.Delivery) error {
	started, last := time.Now(), -1
	shown := started
	for {
		var u api.Unfinished
		err := cl.Do(ctx, "GET", "/v1/deliveries/unfinished", nil, nil, &u)
		if ctx.Err() != nil { // however it answered meanwhile
			e.say("stopped waiting; what was taken is kept, and guardroom serve delivers it")
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if u.Armed == 0 {
			break
		}
		if now := time.Now(); u.Armed != last && now.Sub(shown) >= time.Second {
			e.say("waiting for %s (%s)", plural(u.Armed, "delivery"), now.Sub(started).Round(time.Second))
			last, shown = u.Armed, now
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	after, err := stuck(ctx, cl)
	if err != nil {
		return err
	}
	var list []notify.Delivery
	for id, d := range after {
		if _, old := before[id]; !old || in.touched[d.Subject] {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		if e.JSON {
			return e.object(map[string]any{"type": "delivered", "seconds": time.Since(started).Seconds()})
		}
		e.printf("delivered: every destination shows the newest revision\n")
		return nil
	}
	slices.SortFunc(list, func(a, b notify.Delivery) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range list[:min(len(list), 20)] {
		if e.JSON {
			if err := e.object(map[string]any{"type": "stuck", "delivery": d}); err != nil {
				return err
			}
			continue
		}
		e.say("%s to %s is %s: %s", d.ID, clean(d.Destination), d.Status, clean(troubleOf(d)))
	}
	return &fault.Error{Code: fault.Unavailable, Message: "a person must look at " + plural(len(list), "delivery"),
		Safe: "the findings are kept; the other destinations show them", Hint: "guardroom delivery list --status parked,unknown,paused"}
}
