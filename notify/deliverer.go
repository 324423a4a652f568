package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/guardroom/guardroom/notify/message"
)

// ErrVoid says that a delivery has another generation by now: the work item is
// not ours any more, and nothing may be written for it.
var ErrVoid = errors.New("the delivery belongs to a newer work item")

// Ledger keeps the deliveries. Every method is one transaction, returns after
// its commit, and returns ErrVoid when the delivery's generation is not the
// given one.
type Ledger interface {
	// Claim takes the delivery for worker. It returns ErrVoid also when there
	// is nothing to do (disarmed, destination paused).
	Claim(ctx context.Context, id string, generation int64, worker string) (Delivery, error)
	// SaveState stores the vendor's memory of the delivery.
	SaveState(ctx context.Context, id string, generation int64, state json.RawMessage) error
	// Shown records that the destination shows a revision.
	Shown(ctx context.Context, id string, generation, revision int64, out Outcome) (Next, error)
	// Failed records a failure, to be repeated after a time.
	Failed(ctx context.Context, id string, generation int64, fault Fault, after time.Duration) (Next, error)
	// Stop ends the work until a person frees it (Parked, Unknown), or pauses
	// the whole destination (Paused).
	Stop(ctx context.Context, id string, generation int64, status Status, fault Fault) error
}

// Next says how a work item goes on.
type Next struct {
	// Again: this work item continues after Wait. Otherwise it is finished, or
	// a later one was enqueued.
	Again bool
	Wait  time.Duration
}

// Views makes what a destination may show of a delivery's subject, at its
// newest revision.
type Views interface {
	View(ctx context.Context, d Delivery) (*message.View, error)
}

// Destination is a configured channel with its pace.
type Destination struct {
	Name     string
	Type     string // slack, jira, pagerduty, webhook, email
	Notifier Notifier
	Gate     *Gate
	// GiveUpAfter is for how long a failing delivery is tried, at any tempo.
	GiveUpAfter time.Duration
}

// Observer hears of outcomes, for metrics. Calls must not block.
type Observer interface {
	Delivered(destination string, sinceWanted time.Duration)
	DeliveryFailed(destination, reason string)
}

// Deliverer carries out work items: one claim, one look at the newest revision,
// one reconciliation each.
type Deliverer struct {
	Ledger       Ledger
	Views        Views
	Destinations map[string]*Destination
	Worker       string
	Tempo        Tempo
	Now          func() time.Time
	Observer     Observer
	Logger       *slog.Logger
}

// ReconcileLimit is the longest that a reconciliation may take, before the
// limit of the tempo is applied. A reconciliation consists of a few calls with
// deadlines of their own; this is what ends one whose calls all take their
// longest.
const ReconcileLimit = 90 * time.Second

// Deliver brings one delivery up to its newest revision. It blocks for as long
// as the destination's pace and calls take. The error is nil unless the ledger
// did not answer; the work item must then be kept and repeated.
func (d *Deliverer) Deliver(ctx context.Context, destination, id string, generation int64) error {
	dest, ok := d.Destinations[destination]
	if !ok {
		return nil // no longer configured; the row shows that it is behind
	}
	for {
		if err := dest.Gate.Wait(ctx); err != nil {
			return err
		}
		next, err := d.round(ctx, dest, id, generation)
		if errors.Is(err, ErrVoid) {
			return nil
		}
		if err != nil || !next.Again {
			return err
		}
		select {
		case <-time.After(next.Wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Deliverer) round(ctx context.Context, dest *Destination, id string, generation int64) (Next, error) {
	del, err := d.Ledger.Claim(ctx, id, generation, d.Worker)
	if err != nil {
		return Next{}, err
	}
	view, err := d.view(ctx, dest, del)
	if broken := (*Error)(nil); errors.As(err, &broken) {
		return d.failed(ctx, d.Logger.With("destination", dest.Name, "delivery", id), dest, del, broken)
	}
	if err != nil {
		return Next{}, fmt.Errorf("prepare what %s should show: %w", dest.Name, err)
	}
	var lost error
	save := func(ctx context.Context, state any) error {
		b, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("encode the state of delivery %s: %w", id, err)
		}
		// The state is saved although the call's deadline may be over: it is
		// what keeps the vendor from being told twice.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := d.Ledger.SaveState(ctx, id, generation, b); err != nil {
			lost = err
			return err
		}
		return nil
	}
	started := d.Now()
	out, err := d.reconcile(ctx, dest, Request{View: view, State: del.State, Save: save})
	took := slog.Int64("duration_ms", d.Now().Sub(started).Milliseconds())
	log := d.Logger.With("destination", dest.Name, "delivery", id, "incident", view.Number)
	if lost != nil {
		return Next{}, lost
	}
	if err == nil {
		next, err := d.Ledger.Shown(ctx, id, generation, view.Revision, out)
		if err == nil {
			d.Observer.Delivered(dest.Name, d.Now().Sub(del.WantedAt))
			log.Info("delivered", "revision", view.Revision, "reference", out.Reference, took)
		}
		return next, err
	}
	if ctx.Err() != nil {
		return Next{}, ctx.Err() // stopping; not the vendor's fault
	}
	return d.failed(ctx, log, dest, del, AsError(err))
}

// view makes what the destination should show. A panic on what others wrote is a
// failure of this delivery only, which parks it in the end.
func (d *Deliverer) view(ctx context.Context, dest *Destination, del Delivery) (v *message.View, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.Logger.Error("making a message panicked", "destination", dest.Name, "delivery", del.ID, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &Error{Class: Retry, Reason: "internal", Message: "guardroom's own code broke while it wrote to " + dest.Name,
				Safe: "the incident is kept", Hint: "report this with the log; it is tried again"}
		}
	}()
	return d.Views.View(ctx, del)
}

// reconcile calls the vendor and turns a panic into a failure of this delivery
// only.
func (d *Deliverer) reconcile(ctx context.Context, dest *Destination, req Request) (out Outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.Tempo.Limit(ReconcileLimit))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.Logger.Error("a destination's code panicked", "destination", dest.Name, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &Error{Class: Retry, Reason: "internal", Message: "guardroom's own code broke while it told " + dest.Name,
				Safe: "the incident is kept", Hint: "report this with the log; it is tried again"}
		}
	}()
	return dest.Notifier.Reconcile(ctx, req)
}

func (d *Deliverer) failed(ctx context.Context, log *slog.Logger, dest *Destination, del Delivery, e *Error) (Next, error) {
	now := d.Now()
	d.Observer.DeliveryFailed(dest.Name, e.Reason)
	hint := named(e.Hint, dest.Name, del.ID)
	fault := Fault{At: now, Class: e.Class, Reason: e.Reason, Message: e.Error(), Safe: e.Safe, Hint: hint}
	attrs := []any{"reason", e.Reason, "error", e.Error(), "attempt", del.Failures + 1}
	switch e.Class {
	case Park:
		log.Error("a delivery is parked until a person changes something", append(attrs, "hint", hint)...)
		return Next{}, d.Ledger.Stop(ctx, del.ID, del.Generation, Parked, fault)
	case Undecided:
		log.Error("a delivery waits for a person to look", append(attrs, "hint", hint)...)
		return Next{}, d.Ledger.Stop(ctx, del.ID, del.Generation, Unknown, fault)
	case Pause:
		log.Error("a destination is paused", append(attrs, "hint", hint)...)
		return Next{}, d.Ledger.Stop(ctx, del.ID, del.Generation, Paused, fault)
	}
	if !del.FailingSince.IsZero() && dest.GiveUpAfter > 0 && now.Sub(del.FailingSince) > dest.GiveUpAfter {
		fault.Hint = "look at the destination, then: guardroom delivery retry " + del.ID
		log.Error("a delivery is given up and parked", attrs...)
		return Next{}, d.Ledger.Stop(ctx, del.ID, del.Generation, Parked, fault)
	}
	after := e.After
	if after <= 0 {
		after = d.Tempo.Scale(Backoff(del.Failures))
	}
	if e.DestinationWide {
		dest.Gate.Block(now.Add(after))
	}
	log.Warn("a delivery failed and is repeated", append(attrs, "after_ms", after.Milliseconds())...)
	return d.Ledger.Failed(ctx, del.ID, del.Generation, fault, after)
}

// named completes the command that a hint ends with, so that it can be copied as
// it stands: vendors' code need not know the delivery.
func named(hint, destination, delivery string) string {
	for _, verb := range []string{"guardroom delivery retry", "guardroom delivery show"} {
		if strings.HasSuffix(hint, verb) {
			return hint + " " + delivery
		}
	}
	for _, verb := range []string{"guardroom destination test ", "guardroom destination resume "} {
		if before, found := strings.CutSuffix(hint, verb+"NAME"); found {
			return before + verb + destination
		}
	}
	return hint
}

// Backoff is how long to wait after so many failures in a row: 1 s doubled up
// to 5 min, with a quarter of jitter either way so that deliveries that failed
// together do not come back together.
func Backoff(failures int) time.Duration {
	d := time.Second << min(failures, 9)
	d = min(d, 5*time.Minute)
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2)) //nolint:gosec // jitter
}
