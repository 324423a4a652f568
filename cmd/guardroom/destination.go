package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	slackapp "github.com/guardroom/guardroom/deploy/slack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/webhook"
)

// DestinationCmd is about destinations.
type DestinationCmd struct {
	List     DestinationListCmd     `cmd:"" help:"List destinations with their state."`
	Manifest DestinationManifestCmd `cmd:"" help:"Print the manifest of the app for a vendor."`
	Test     DestinationTestCmd     `cmd:"" help:"Send something real that says it is a test."`
	Pause    DestinationPauseCmd    `cmd:"" help:"Stop sending to a destination; what it should show is kept."`
	Resume   DestinationResumeCmd   `cmd:"" help:"Go on with a paused destination."`
	Secret   DestinationSecretCmd   `cmd:"" help:"Make a signing secret for a webhook."`
}

// DestinationListCmd lists them.
type DestinationListCmd struct{}

// Run lists destinations.
func (c *DestinationListCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var list api.DestinationList
		if err := cl.Do(ctx, "GET", "/v1/destinations", nil, nil, &list); err != nil {
			return err
		}
		t := newTable("destination", "type", "state", "deliveries", "behind by", "reason").
			cut("destination", 24).wrap().below("reason", "deliveries").drop("type")
		for _, d := range list.Destinations {
			if e.JSON {
				if err := e.object(d); err != nil {
					return err
				}
				continue
			}
			t.row(d.Name, d.Type, destinationState(d), counts(d.Counts), d.BehindBy, d.Reason)
		}
		return e.list(t, len(list.Destinations), "no destinations are configured; see guardroom config init")
	})
}

// destinationState says whether a destination needs a person.
func destinationState(d api.Destination) string {
	var words []string
	if d.Paused {
		words = append(words, "paused")
	}
	for _, s := range []notify.Status{notify.Parked, notify.Unknown} {
		if n := d.Counts[string(s)]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "works")
}

func counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] > 0 {
			out = append(out, fmt.Sprintf("%d %s", m[k], k))
		}
	}
	return strings.Join(out, ", ")
}

func destinationPath(name, verb string) string {
	return "/v1/destinations/" + url.PathEscape(name) + "/" + verb
}

func (e *env) destinationDo(ctx context.Context, o opening, name, verb string, body any) error {
	return e.open(ctx, o, func(c *client) error {
		var told api.Told
		if err := c.Do(ctx, "POST", destinationPath(name, verb), nil, body, &told); err != nil {
			return err
		}
		if e.JSON {
			return e.object(told)
		}
		e.printf("%s\n", clean(told.Message))
		return nil
	})
}

// DestinationTestCmd tests one.
type DestinationTestCmd struct {
	Name string `arg:"" help:"Destination."`
}

// Run sends a test. One that works also ends a pause.
func (c *DestinationTestCmd) Run(ctx context.Context, e *env) error {
	return e.destinationDo(ctx, opening{mode: app.ModeImport, vendors: true}, c.Name, "test", nil)
}

// DestinationManifestCmd prints a manifest.
type DestinationManifestCmd struct {
	Vendor string `arg:"" enum:"slack" help:"slack."`
}

// Run prints the manifest of the Slack app, to paste where Slack asks for it.
func (c *DestinationManifestCmd) Run(e *env) error {
	_, err := e.stdout.Write(slackapp.Manifest())
	return err
}

// DestinationPauseCmd pauses one.
type DestinationPauseCmd struct {
	Name string `arg:"" help:"Destination."`
	Why  string `required:"" help:"Reason, shown until it is resumed."`
}

// Run pauses a destination.
func (c *DestinationPauseCmd) Run(ctx context.Context, e *env) error {
	return e.destinationDo(ctx, opening{mode: app.ModeCommand}, c.Name, "pause", api.Why{Why: c.Why})
}

// DestinationResumeCmd resumes one.
type DestinationResumeCmd struct {
	Name string `arg:"" help:"Destination."`
}

// Run resumes a destination.
func (c *DestinationResumeCmd) Run(ctx context.Context, e *env) error {
	return e.destinationDo(ctx, opening{mode: app.ModeCommand}, c.Name, "resume", nil)
}

// DestinationSecretCmd makes a secret.
type DestinationSecretCmd struct{}

// Run prints a new secret for a webhook.
func (c *DestinationSecretCmd) Run(e *env) error {
	s, err := webhook.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.object(map[string]string{"secret": s})
	}
	e.printf("%s\n", s)
	return nil
}
