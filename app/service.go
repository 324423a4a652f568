package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

var _ api.Service = (*App)(nil)

// Reader implements api.Service.
func (a *App) Reader() api.Reader { return a.db.DB }

// Commands implements api.Service.
func (a *App) Commands() api.Commander { return a.command }

// Version implements api.Service.
func (a *App) Version() string { return a.opts.Version }

// Delivering implements api.Service.
func (a *App) Delivering() bool { return a.delivering }

// Suppressions implements api.Service.
func (a *App) Suppressions() []api.Suppression {
	out := []api.Suppression{}
	for _, s := range a.cfg.Suppress {
		out = append(out, api.Suppression{Name: s.Name, When: s.When, Owner: s.Owner, Reason: s.Reason, Until: s.Until.Time, Expired: a.now().After(s.Until.Time)})
	}
	return out
}

// Routes implements api.Service.
func (a *App) Routes() []api.Route {
	out := []api.Route{}
	for _, r := range a.cfg.Routes {
		out = append(out, api.Route{Name: r.Name, When: r.When, To: r.To, Stop: r.Stop})
	}
	return out
}

// Destinations implements api.Service.
func (a *App) Destinations(ctx context.Context) ([]api.Destination, error) {
	pauses, err := a.db.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := a.db.CountDeliveries(ctx)
	if err != nil {
		return nil, err
	}
	behind, err := a.db.OldestBehind(ctx)
	if err != nil {
		return nil, err
	}
	out := []api.Destination{}
	for _, d := range a.cfg.Destinations {
		x := api.Destination{Name: d.Name, Type: d.Type, Counts: map[string]int{}}
		if p, ok := pauses[d.Name]; ok {
			x.Paused, x.Reason, x.Hint = true, p.Reason, p.Hint
		}
		for status, n := range counts[d.Name] {
			x.Counts[string(status)] = n
		}
		if at, ok := behind[d.Name]; ok {
			x.BehindBy = a.now().Sub(at).Round(time.Second).String()
		}
		out = append(out, x)
	}
	return out, nil
}

// TestDestination implements api.Service. A test that works also ends a pause
// that guardroom itself began: the reason for it is gone.
func (a *App) TestDestination(ctx context.Context, name string) (string, error) {
	d, ok := a.deliver.Destinations[name]
	if !ok {
		return "", a.command.noDestination(name)
	}
	said, err := d.Notifier.Test(ctx)
	if err != nil {
		return "", destinationFault(name, err)
	}
	pauses, err := a.db.Pauses(ctx)
	if err != nil {
		return said, err
	}
	if p, paused := pauses[name]; paused {
		n, err := a.command.Resume(ctx, name, "guardroom")
		if err != nil {
			return said, err
		}
		said += fmt.Sprintf("; it was paused (%s) and goes on with %d deliveries", p.Reason, n)
	}
	return said, nil
}

// VerifyAudit implements api.Service. The heads outside are read first, so that
// one written meanwhile is not taken for a cut tail. Plans and the records of steps
// in the store are compared with what the chain says of them.
func (a *App) VerifyAudit(ctx context.Context) (audit.Report, error) {
	var heads []audit.Head
	for _, k := range a.watch.keepers {
		list, err := k.Heads(ctx)
		if err != nil {
			return audit.Report{}, fault.Wrap(fault.Corrupt, err, "read the audit heads in "+k.String(), "the chain itself was not looked at", "restore that file, or move it away and say why in your records")
		}
		heads = append(heads, list...)
	}
	w := testimony{}
	report, err := a.db.VerifyAudit(ctx, heads, w.hear)
	if err != nil {
		return report, err
	}
	differ, err := w.compare(ctx, a.db.DB)
	report.Faults = append(report.Faults, differ...)
	return report, err
}

// Explain implements api.Service with the trace of the newest revision.
func (a *App) Explain(ctx context.Context, id finding.ID) ([]triage.Step, error) {
	list, err := a.db.Revisions(ctx, id, 1)
	if err != nil {
		return nil, err
	}
	steps := []triage.Step{}
	if len(list) == 0 || len(list[0].Trace) == 0 {
		return steps, nil
	}
	if err := json.Unmarshal(list[0].Trace, &steps); err != nil {
		return nil, fmt.Errorf("read the trace of finding %s: %w", id, err)
	}
	return steps, nil
}

// Prune implements api.Service.
func (a *App) Prune(ctx context.Context) (int, error) {
	var r store.Retention
	if d := a.cfg.Retention.Findings.Std(); d > 0 {
		r.ClosedBefore = a.now().Add(-d)
		r.ResponsesBefore = r.ClosedBefore
	}
	if d := a.cfg.Retention.Rejected.Std(); d > 0 {
		r.RejectedBefore = a.now().Add(-d)
	}
	total := 0
	for ctx.Err() == nil {
		n, err := a.db.Prune(ctx, r, 500)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
	return total, ctx.Err()
}
