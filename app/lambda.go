package app

import (
	"context"

	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/eventbridge"
)

// Lambda takes the invocations of a Lambda function until the runtime ends.
// With PostgreSQL it accepts only. Without, nobody else could deliver from a
// store that goes with the function: every invocation delivers what it took,
// and fails when a vendor does, so that the source repeats it.
func (a *App) Lambda(ctx context.Context) error {
	h := &eventbridge.Handler{Intake: a, Fetcher: a.fetcher(), Now: a.now, Log: a.log}
	if a.flow.config.Synchronous {
		if err := a.Deliver(ctx); err != nil {
			return err
		}
		h.After = func(ctx context.Context, r source.Receipt) error { return a.delivered(ctx, r.Incidents) }
	}
	return eventbridge.Run(ctx, h)
}
