package awscalls

import "context"

type stepKey struct{}

// ForStep is a context of calls that are made for a step of a plan.
func ForStep(ctx context.Context, step string) context.Context {
	return context.WithValue(ctx, stepKey{}, step)
}

// StepOf is the id of the step that a call is made for; empty: none is known.
func StepOf(ctx context.Context) string {
	id, _ := ctx.Value(stepKey{}).(string)
	return id
}
