package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// Flow is the way of a finding: a source hands bytes to Take; they are decoded
// into findings (finding), judged (triage), and accepted into the store in one
// transaction with their incidents, their audit records and the deliveries that
// are now wanted. After the commit the source may acknowledge; the deliverer
// (notify) does the rest.
type Flow struct {
	store   *store.DB
	triager *triage.Triager
	engine  enqueuer
	config  flowConfig
	now     func() time.Time
	newID   func() string // ULIDs, rising
	observe flowObserver
	log     *slog.Logger

	together together
}

// flowConfig is what the flow needs of the configuration.
type flowConfig struct {
	// DigestAbove is the number of new incidents a minute and destination above
	// which one digest stands for the rest; 0: never.
	DigestAbove map[string]int
	Minute      time.Duration // a minute at the configured time scale
	Synchronous bool          // deliveries follow within the call (Lambda without PostgreSQL)
}

var (
	_ source.Intake = (*Flow)(nil)
	_ source.Parker = (*Flow)(nil)
)

// A chunk is what one transaction accepts: enough to share a commit, few enough
// that nobody waits long behind it.
const chunk = 100

// mostRejected is how many broken parts of one input are kept one by one.
const mostRejected = 100

// Take implements source.Intake.
func (f *Flow) Take(ctx context.Context, in source.Input) (source.Receipt, error) {
	if in.ReceivedAt.IsZero() {
		in.ReceivedAt = f.now()
	}
	var receipt source.Receipt
	seen := map[incident.Number]bool{}
	next := make([]finding.Item, 0, chunk)
	var failed error
	rejected, last := 0, ""

	flush := func() bool {
		if len(next) > 0 {
			failed = f.accept(ctx, in, next, &receipt, seen)
			next = next[:0]
		}
		return failed == nil
	}
	err := finding.Decode(bytes.NewReader(in.Body), finding.Limits{}, func(item finding.Item) bool {
		if item.Reference != nil {
			r := source.Reference{Bucket: item.Reference.Bucket, Key: item.Reference.Key, Region: item.Reference.Region}
			receipt.References = append(receipt.References, r)
			return true
		}
		if item.Rejected != nil {
			if rejected++; rejected > mostRejected {
				last = item.Rejected.Reason
				return true
			}
		}
		next = append(next, item)
		return len(next) < chunk || flush()
	})
	if failed != nil {
		return receipt, failed
	}
	if more := rejected - mostRejected; more > 0 {
		// A small input can hold very many broken parts: they are kept together.
		next = append(next, finding.Item{Rejected: &finding.Rejected{Raw: head(in.Body),
			Reason: fmt.Sprintf("%d more parts of this input were refused; the last one: %s", more, last)}})
		receipt.Rejected += more - 1
	}
	if err != nil {
		// A limit was broken or the bytes are no readable stream: what came
		// before stands, the rest is kept where people can look at it.
		next = append(next, finding.Item{Rejected: &finding.Rejected{Reason: err.Error(), Raw: head(in.Body)}})
	}
	flush()
	return receipt, failed
}

// Park implements source.Parker.
func (f *Flow) Park(ctx context.Context, in source.Input, reason string) error {
	item := finding.Item{Rejected: &finding.Rejected{Reason: reason, Raw: head(in.Body)}}
	var receipt source.Receipt
	return f.accept(ctx, in, []finding.Item{item}, &receipt, nil)
}

// head is the part of an unreadable input that is worth keeping.
func head(body []byte) []byte { return body[:min(len(body), 1<<20)] }

// judged is a finding with what triage said about it.
type judged struct {
	finding  *finding.Finding
	decision triage.Decision
	position string
	raw      []byte // packed
}

// accept judges a chunk of items and commits them in one transaction, which
// others may share.
func (f *Flow) accept(ctx context.Context, in source.Input, items []finding.Item, receipt *source.Receipt, seen map[incident.Number]bool) error {
	list, err := f.judge(ctx, in, items)
	if err != nil {
		return err
	}
	c := &call{ctx: ctx, in: in, list: list, items: items}
	f.commit(c)
	if c.err != nil {
		return fmt.Errorf("accept findings from %s: %w", in.Source, c.err)
	}
	outcome, numbers := c.outcome, c.numbers
	receipt.Accepted += outcome.Accepted
	receipt.Known += outcome.Known
	receipt.Ignored += outcome.Ignored
	receipt.Rejected += outcome.Rejected
	receipt.Suppressed += outcome.Suppressed
	receipt.Reasons = append(receipt.Reasons, outcome.Reasons[:min(len(outcome.Reasons), max(0, 20-len(receipt.Reasons)))]...)
	for _, n := range numbers {
		if !seen[n] && len(receipt.Incidents) < 1000 {
			seen[n] = true
			receipt.Incidents = append(receipt.Incidents, n.String())
		}
	}
	f.observe.Accepted(in.Source, outcome)
	return nil
}

// judge asks triage about every finding, side by side, because enrichers may
// have to wait for others. It needs no transaction.
func (f *Flow) judge(ctx context.Context, in source.Input, items []finding.Item) ([]judged, error) {
	list := make([]judged, 0, len(items))
	for _, item := range items {
		if item.Finding != nil {
			list = append(list, judged{finding: item.Finding, position: position(in, item)})
		}
	}
	triager := f.triager
	if in.ShowSamples {
		triager = triager.WithSamples()
	}
	one := func(j *judged) {
		notAhead(j.finding, in.ReceivedAt)
		defer func() {
			if p := recover(); p != nil {
				// The finding goes on without a route rather than being lost.
				f.log.Error("triage broke on a finding", "finding_id", string(j.finding.ID), "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				j.decision = triage.Decision{Quiet: "triage broke on it", Trace: []triage.Step{{Stage: "triage", Decision: "failed", Reason: fmt.Sprint(p)}}}
			}
		}()
		j.decision = triager.Decide(ctx, j.finding)
		j.raw = store.Pack(j.finding.Raw)
	}
	if len(list) == 1 {
		one(&list[0])
		return list, ctx.Err()
	}
	var g errgroup.Group
	g.SetLimit(8)
	for i := range list {
		g.Go(func() error { one(&list[i]); return nil })
	}
	_ = g.Wait()
	return list, ctx.Err()
}

// aheadOfUs is how much later than its receipt a finding may say that it is: so
// much may clocks differ, or a test be careless.
const aheadOfUs = 24 * time.Hour

// notAhead takes times in the future for the time of receipt: a revision of the
// year 2036 would make every real one that follows look old.
func notAhead(f *finding.Finding, received time.Time) {
	latest := received.Add(aheadOfUs)
	for _, t := range []struct {
		name string
		at   *time.Time
	}{{"createdAt", &f.CreatedAt}, {"updatedAt", &f.UpdatedAt}, {"eventFirstSeen", &f.FirstSeen}, {"eventLastSeen", &f.LastSeen}} {
		if t.at.After(latest) {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s is in the future (%s): the time of receipt counts", t.name, t.at.UTC().Format(time.RFC3339)))
			*t.at = received
		}
	}
}

func position(in source.Input, item finding.Item) string {
	p := item.Position
	s := in.Position
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line+max(0, in.FirstLine-1))
	}
	if p.Path != "" {
		s += " " + p.Path
	}
	return s
}

// others records what was not a finding: rejected inputs are kept, ignored
// events are counted.
func (a *acceptance) others(ctx context.Context, items []finding.Item) error {
	ignored := map[string]int{}
	for _, item := range items {
		switch {
		case item.Ignored != nil:
			ignored[item.Ignored.DetailType]++
			a.receipt.Ignored++
		case item.Rejected != nil:
			a.receipt.Rejected++
			r := store.Rejected{ID: a.flow.newID(), At: a.tx.Now(), Source: a.in.Source, Position: position(a.in, item),
				Reason: item.Rejected.Reason, Size: len(item.Rejected.Raw), Body: item.Rejected.Raw}
			if err := a.tx.Reject(ctx, r); err != nil {
				return err
			}
			a.tx.Audit(audit.Record{Who: incident.Guardroom, Action: "input.rejected", Object: "rejected/" + r.ID,
				After: sum(item.Rejected.Raw), Why: r.Reason})
			a.receipt.Reasons = append(a.receipt.Reasons, r.Position+": "+r.Reason)
		}
	}
	for _, name := range slices.Sorted(keysOf(ignored)) {
		a.tx.Ignore(a.in.Source, name, ignored[name])
	}
	if a.in.Refresh {
		return nil // looking at what we know already is no event of the source
	}
	a.tx.SawEvent(a.in.Source)
	return nil
}
