package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

// PlaybookCmd is about responses that can be planned.
type PlaybookCmd struct {
	List PlaybookListCmd `cmd:"" help:"List what can be planned."`
	Show PlaybookShowCmd `cmd:"" help:"Show what a playbook does, its guards, its calls and its undo."`
}

// PlaybookListCmd lists playbooks.
type PlaybookListCmd struct{}

// Run lists playbooks.
func (c *PlaybookListCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		list, err := playbooks(ctx, cl)
		if err != nil {
			return err
		}
		t := newTable("playbook", "version", "what it does").wrap().drop("version").below("what it does")
		for _, p := range list {
			if e.JSON {
				if err := e.object(p); err != nil {
					return err
				}
				continue
			}
			t.row(p.Name, strconv.Itoa(p.Version), p.Summary)
		}
		return e.list(t, len(list), "no playbooks in this service")
	})
}

func playbooks(ctx context.Context, cl *api.Client) ([]api.Playbook, error) {
	var list api.PlaybookList
	err := cl.Do(ctx, "GET", "/v1/playbooks", nil, nil, &list)
	return list.Playbooks, err
}

// PlaybookShowCmd shows one.
type PlaybookShowCmd struct {
	Name string `arg:"" help:"Playbook."`
}

// Help shows examples.
func (PlaybookShowCmd) Help() string {
	return "The calls are the actions of IAM that its plans, and those that undo them, may need, by the role of guardroom.\n\nExamples:\n  guardroom playbook show ec2-respond\n  guardroom playbook show iam-user --json"
}

// Run shows a playbook.
func (c *PlaybookShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		list, err := playbooks(ctx, cl)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(list, func(p api.Playbook) bool { return p.Name == c.Name })
		if at < 0 {
			return fault.New(fault.NotFound, "there is no playbook "+c.Name, "guardroom playbook list")
		}
		p := list[at]
		if e.JSON {
			return e.object(p)
		}
		e.playbook(p)
		return nil
	})
}

// playbook prints what a playbook does, what it is asked, what it may call, and how
// it is taken back.
func (e *env) playbook(p api.Playbook) {
	e.printf("%s  version %d\n\n", clean(p.Name), p.Version)
	e.block("does", p.Summary)
	e.block("made of", strings.Join(p.Of, ", "))
	steps := make([]string, len(p.Does))
	for i, s := range p.Does {
		steps[i] = strconv.Itoa(i+1) + ". " + s
	}
	e.items("in order", steps, "nothing: people are told what to do")
	e.items("never", p.Never, "")
	e.items("guards", p.Guards, "")
	e.block("undo", p.Undo)
	for _, c := range p.Calls {
		e.block(c.Role, strings.Join(c.Actions, ", "))
	}
	e.command("plan it", "guardroom plan create --incident INC-… --playbook "+p.Name)
}
