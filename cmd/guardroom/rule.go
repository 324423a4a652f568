package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/triage"
)

// RuleCmd is about suppressions and routes.
type RuleCmd struct {
	List RuleListCmd `cmd:"" help:"List suppressions and routes with their use."`
	Test RuleTestCmd `cmd:"" help:"Replay past findings through changed rules and show what would differ."`
}

// RuleListCmd lists the rules.
type RuleListCmd struct{}

// Run lists the rules; what has expired or never matched is marked.
func (c *RuleListCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var rules api.Rules
		if err := cl.Do(ctx, "GET", "/v1/rules", nil, nil, &rules); err != nil {
			return err
		}
		if e.JSON {
			for _, s := range rules.Suppressions {
				if err := e.object(struct {
					Kind string `json:"kind"`
					api.Suppression
				}{"suppression", s}); err != nil {
					return err
				}
			}
			for _, r := range rules.Routes {
				if err := e.object(struct {
					Kind string `json:"kind"`
					api.Route
				}{"route", r}); err != nil {
					return err
				}
			}
			return nil
		}
		e.printf("suppressions\n")
		t := newTable("name", "matches", "last match", "until", "owner", "reason", "look at").
			cut("name", 24).cut("owner", 12).below("reason", "look at").drop("owner")
		for _, s := range rules.Suppressions {
			look := ""
			switch {
			case s.Expired:
				look = "expired: suppresses nothing"
			case s.Matches == 0:
				look = "has matched nothing"
			}
			t.row(s.Name, strconv.Itoa(s.Matches), e.moment(s.LastMatch), s.Until.Format("2006-01-02"), s.Owner, s.Reason, look)
		}
		if err := e.list(t, len(rules.Suppressions), "none"); err != nil {
			return err
		}
		e.printf("\nroutes, in their order\n")
		t = newTable("name", "when", "to", "then").cut("name", 24).below("when", "to")
		for _, r := range rules.Routes {
			then := "goes on"
			if r.Stop {
				then = "stops"
			}
			when := r.When
			if when == "" {
				when = "always"
			}
			t.row(r.Name, when, strings.Join(r.To, ", "), then)
		}
		return e.list(t, len(rules.Routes), "none: nobody is told of anything")
	})
}

// RuleTestCmd compares rules.
type RuleTestCmd struct {
	Rules string   `arg:"" help:"Configuration file with the changed rules."`
	Files []string `arg:"" optional:"" help:"Files with findings; without, those of the store." placeholder:"FILE"`
	Since string   `help:"Of the store, those received since: 24h, 7d or an RFC 3339 time." default:"30d"`
}

// Help shows examples.
func (RuleTestCmd) Help() string {
	return "The file may be a whole configuration or only its suppress: and routes: parts; what it leaves out is taken\nfrom the current configuration. Nothing is changed and nobody is told.\n\nExamples:\n  guardroom rule test new-rules.yaml --since 7d\n  guardroom rule test new-rules.yaml past-findings.jsonl"
}

// difference is one finding that changed rules would treat otherwise.
type difference struct {
	Finding  finding.ID `json:"finding"`
	Type     string     `json:"type"`
	Account  string     `json:"account"`
	Resource string     `json:"resource"`
	Changes  []string   `json:"changes"`
}

// Run replays findings through the current and the changed rules.
func (c *RuleTestCmd) Run(ctx context.Context, e *env) error {
	now, then, err := c.configs(ctx, e)
	if err != nil {
		return err
	}
	before, err := app.BuildTriage(now, e.now, e.logger(now))
	if err != nil {
		return err
	}
	after, err := app.BuildTriage(then, e.now, e.logger(then))
	if err != nil {
		return err
	}
	total, differ := 0, 0
	matches := map[string]int{}
	one := func(f *finding.Finding) error {
		total++
		a, b := before.Decide(ctx, f), after.Decide(ctx, f)
		if b.Suppressed {
			matches[b.SuppressedBy]++
		}
		changes := triage.Diff(a, b)
		if len(changes) == 0 {
			return nil
		}
		differ++
		d := difference{Finding: f.ID, Type: f.Type.Name, Account: f.AccountID, Resource: named(f.Resource.Name, f.Resource.ID), Changes: changes}
		if e.JSON {
			return e.object(d)
		}
		e.printf("%s  %s on %s in %s\n", severity(f.Severity), clean(d.Type), clean(d.Resource), clean(d.Account))
		for _, s := range changes {
			e.printf("  %s\n", clean(s))
		}
		return nil
	}
	if len(c.Files) > 0 {
		err = c.fromFiles(ctx, e, one)
	} else {
		err = c.fromStore(ctx, e, one)
	}
	if err != nil {
		return err
	}
	e.say("%s, %d would be treated differently", plural(total, "finding"), differ)
	for _, s := range then.Suppress {
		if matches[s.Name] == 0 {
			e.say("warning: the suppression %q matches none of them", s.Name)
		}
	}
	return nil
}

// configs loads the current and the changed configuration. The current one is
// optional: without, nothing is suppressed and nothing is routed now.
func (c *RuleTestCmd) configs(ctx context.Context, e *env) (now, then *config.Config, err error) {
	if now, err = e.load(ctx, storeSecrets); err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(c.Rules)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Usage, err, "read the changed rules", "nothing was changed", "")
	}
	then, err = config.Parse(ctx, c.Rules, data, config.LoadOptions{CheckCondition: app.CheckCondition, Offline: true, StoreOnly: true, Base: now})
	return now, then, err
}

func (c *RuleTestCmd) fromFiles(ctx context.Context, e *env, one func(*finding.Finding) error) error {
	for _, name := range c.Files {
		files, err := expand(name)
		if err != nil {
			return fault.Wrap(fault.Usage, err, "read findings", "nothing was changed", "")
		}
		for _, file := range files {
			f, err := os.Open(file) //nolint:gosec // the user names it
			if err != nil {
				return fault.Wrap(fault.Usage, err, "read findings", "nothing was changed", "")
			}
			var failed error
			err = finding.Decode(f, finding.Limits{}, func(item finding.Item) bool {
				if item.Finding != nil {
					failed = one(item.Finding)
				} else if item.Rejected != nil {
					e.failed = exitFailed
					e.refuse(file, item.Position, item.Rejected.Reason)
				}
				return failed == nil && ctx.Err() == nil
			})
			if err = errors.Join(err, failed, f.Close(), ctx.Err()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *RuleTestCmd) fromStore(ctx context.Context, e *env, one func(*finding.Finding) error) error {
	q := query()
	if err := e.since(q, c.Since); err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		var failed error
		err := cl.Lines(ctx, "/v1/revisions", q, func(line []byte) bool {
			var r api.RawRevision
			if failed = json.Unmarshal(line, &r); failed != nil {
				return false
			}
			items, err := finding.DecodeAll(r.Raw, finding.Limits{})
			if err != nil || len(items) != 1 || items[0].Finding == nil {
				e.say("warning: the stored revision %d of finding %s cannot be read by this version", r.Seq, clean(string(r.FindingID)))
				return true
			}
			failed = one(items[0].Finding)
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("replay past findings: %w", err)
		}
		return nil
	})
}
