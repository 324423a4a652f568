package main

import (
	"context"
	"fmt"

	"github.com/guardroom/guardroom/api"
)

// RespondCmd is the switch that stops every response at once.
type RespondCmd struct {
	Off    RespondOffCmd    `cmd:"" help:"Stop every response at once, before its next change."`
	On     RespondOnCmd     `cmd:"" help:"Let responses go on."`
	Status RespondStatusCmd `cmd:"" help:"Say whether responses are switched off."`
}

// RespondOffCmd switches off.
type RespondOffCmd struct {
	Reason string `required:"" help:"Reason, for those who ask later."`
}

// Help shows examples.
func (RespondOffCmd) Help() string {
	return "Runs wait before their next change, and no plan can be approved. What is contained stays so.\n\nExamples:\n  guardroom respond off --reason \"something is wrong with the act role\"\n  guardroom --server https://guardroom.example:8443 respond off --reason drill"
}

// Run switches responses off.
func (c *RespondOffCmd) Run(ctx context.Context, e *env) error {
	return e.turn(ctx, "off", c.Reason)
}

// RespondOnCmd switches on.
type RespondOnCmd struct {
	Reason string `required:"" help:"Reason, for those who ask later."`
}

// Help shows examples.
func (RespondOnCmd) Help() string {
	return "Examples:\n  guardroom respond on --reason \"the role is mended\"\n  guardroom --server https://guardroom.example:8443 respond on --reason \"the drill is over\""
}

// Run switches responses on.
func (c *RespondOnCmd) Run(ctx context.Context, e *env) error { return e.turn(ctx, "on", c.Reason) }

func (e *env) turn(ctx context.Context, where, reason string) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var s api.Switch
		if err := cl.Do(ctx, "POST", "/v1/respond/"+where, nil, api.Reason{Reason: reason}, &s); err != nil {
			return err
		}
		return e.switched(s)
	})
}

// RespondStatusCmd says how the switch stands.
type RespondStatusCmd struct{}

// Help shows examples.
func (RespondStatusCmd) Help() string {
	return "Examples:\n  guardroom respond status\n  guardroom respond status --json"
}

// Run says how the switch stands.
func (c *RespondStatusCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var s api.Switch
		if err := cl.Do(ctx, "GET", "/v1/respond", nil, nil, &s); err != nil {
			return err
		}
		return e.switched(s)
	})
}

// whileOff says that responses are switched off, where they are, and how that ends.
// A service that does not say so is not asked twice.
func (e *env) whileOff(ctx context.Context, cl *api.Client) {
	var s api.Switch
	if err := cl.Do(ctx, "GET", "/v1/respond", nil, nil, &s); err != nil || !s.Off {
		return
	}
	e.printf("\n")
	e.block("OFF", fmt.Sprintf("responses are switched off by %s, %s: %s; no plan can be approved, and runs wait before their next change", s.Who, e.when(s.At), s.Why))
	e.command("turn on", "guardroom respond on --reason …")
}

func (e *env) switched(s api.Switch) error {
	if e.JSON {
		return e.object(s)
	}
	words := "on: approved plans are carried out"
	if s.Off {
		words = "off: nothing is changed in AWS, and what is contained stays so"
	}
	e.printf("responses are %s\n", words)
	if s.Who != "" {
		e.pairs("by", s.Who, "since", e.when(s.At), "because", s.Why)
	}
	if s.Off {
		e.say("hint:  guardroom respond on --reason …")
	}
	return nil
}
