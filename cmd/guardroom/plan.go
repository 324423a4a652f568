package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
)

// PlanCmd is about plans.
type PlanCmd struct {
	Create  PlanCreateCmd  `cmd:"" help:"Describe the live resource and make a plan; nothing is changed."`
	List    PlanListCmd    `cmd:"" help:"List plans, newest first."`
	Show    PlanShowCmd    `cmd:"" help:"Show exactly what a plan would do."`
	Approve PlanApproveCmd `cmd:"" help:"Approve exactly this plan; the last approval that is needed starts its run."`
	Reject  PlanRejectCmd  `cmd:"" help:"End a plan that waits."`
}

func planPath(id string) string { return "/v1/plans/" + url.PathEscape(id) }

// PlanCreateCmd makes a plan.
type PlanCreateCmd struct {
	Incident string `required:"" help:"Incident, as INC-42."`
	Playbook string `help:"Playbook [the one that fits the resource]."`
	Resource string `help:"One of the incident's resources [the leading one]."`
	DryRun   bool   `help:"Make a plan whose run changes nothing."`
	Wait     bool   `help:"Follow its run; exits with 3 where a person must approve."`
}

// Help shows examples.
func (PlanCreateCmd) Help() string {
	return "Examples:\n  guardroom plan create --incident INC-42\n  guardroom plan create --incident INC-42 --playbook forensics --dry-run"
}

// Run makes a plan and prints it.
func (c *PlanCreateCmd) Run(ctx context.Context, e *env) error {
	n, err := incident.ParseNumber(c.Incident)
	if err != nil {
		return fault.New(fault.Usage, err.Error(), "guardroom incident list")
	}
	var d api.PlanDetail
	err = e.withClient(ctx, func(cl *api.Client) error {
		if !e.JSON {
			e.say("describing the live resource …")
		}
		in := api.PlanRequest{Incident: n, Playbook: c.Playbook, Resource: c.Resource, DryRun: c.DryRun}
		if err := cl.Do(ctx, "POST", "/v1/plans", nil, in, &d); err != nil {
			return err
		}
		if err := e.showPlan(ctx, cl, d); err != nil {
			return err
		}
		return refusal(d)
	})
	if err != nil || !c.Wait {
		return err
	}
	return e.follow(ctx, d)
}

// refusal is why a plan cannot be approved, in the three parts of an error; nil
// where it can.
func refusal(d api.PlanDetail) error {
	if d.Row.State != respond.PlanRefused {
		return nil
	}
	f := fault.New(fault.Denied, fmt.Sprintf("plan %s is refused: %s", d.Row.ID, d.Row.Why), "guardroom plan show "+string(d.Row.ID))
	f.Safe = "nothing was changed"
	if d.Plan != nil {
		if g, ok := d.Plan.Refused(); ok && g.Hint != "" {
			f.Hint = g.Hint
		}
	}
	return f
}

// follow watches the run of a plan, or says that people must approve it first.
func (e *env) follow(ctx context.Context, d api.PlanDetail) error {
	if d.Row.Run != "" {
		return e.watch(ctx, d.Row.Run)
	}
	e.failed = exitPending
	if !e.JSON {
		left := d.Row.Needed - len(d.Row.Approvals)
		e.say("waiting for %s until %s: guardroom plan approve %s --digest %s --reason …", plural(max(left, 1), "approval"), clock(d.Row.ExpiresAt), clean(string(d.Row.ID)), short(d.Row.Digest))
	}
	return nil
}

// showPlan prints a plan as an object or for people.
func (e *env) showPlan(ctx context.Context, cl *api.Client, d api.PlanDetail) error {
	if e.JSON {
		d.Canonical = ""
		return e.object(d)
	}
	e.plan(d)
	if d.Row.State == respond.PlanWaiting || d.Row.State == respond.PlanApproved {
		e.whileOff(ctx, cl)
	}
	return nil
}

// PlanListCmd lists plans.
type PlanListCmd struct {
	Incident string   `help:"Incident, as INC-42." group:"filter"`
	State    []string `help:"waiting, approved, rejected, expired, refused, changed or overtaken." group:"filter" values:"waiting,approved,rejected,expired,refused,changed,overtaken"`
	Limit    int      `help:"At most so many." default:"50" group:"filter"`
}

// Help shows examples.
func (PlanListCmd) Help() string {
	return "Examples:\n  guardroom plan list --state waiting\n  guardroom plan list --incident INC-42 --json"
}

// Run lists plans.
func (c *PlanListCmd) Run(ctx context.Context, e *env) error {
	q := query("incident", c.Incident, "state", strings.Join(c.State, ","))
	return e.withClient(ctx, func(cl *api.Client) error {
		t := plansTable()
		fetch := func(q url.Values) ([]respond.PlanRow, error) {
			var list api.PlanList
			err := cl.Do(ctx, "GET", "/v1/plans", q, nil, &list)
			if n := len(list.Plans); n > 0 {
				q.Set("before", string(list.Plans[n-1].ID))
			}
			return list.Plans, err
		}
		n, err := pages(e, c.Limit, fetch, q, func(p respond.PlanRow) error {
			if e.JSON {
				return e.object(p)
			}
			t.row(string(p.ID), short(p.Digest), string(p.State), p.Incident.String(), playbookWords(p.Playbook, p.UndoOf), targetWords(p.Target), p.Requester, e.moment(p.CreatedAt), p.Why)
			return nil
		})
		if err != nil {
			return err
		}
		return e.list(t, n, "no plans here: guardroom plan create --incident INC-… makes one")
	})
}

func plansTable() *table {
	return newTable("plan", "digest", "state", "incident", "playbook", "target", "requester", "made", "why").
		cut("requester", 12).wrap().below("why").drop("requester").below("target", "playbook")
}

// playbookWords is the playbook of a plan or a run, or the run that it undoes.
func playbookWords(playbook string, undoOf respond.RunID) string {
	if undoOf == "" {
		return playbook
	}
	return "undo of " + string(undoOf)
}

// targetWords is the id of a target and its account, from its key.
func targetWords(key string) string {
	parts := strings.SplitN(key, "/", 4)
	if len(parts) < 4 {
		return key
	}
	return parts[3] + " in " + parts[0]
}

// PlanShowCmd shows one.
type PlanShowCmd struct {
	ID        string `arg:"" help:"Plan."`
	Canonical bool   `help:"Print the bytes that the digest is over, and nothing else."`
}

// Help shows examples.
func (PlanShowCmd) Help() string {
	return "Examples:\n  guardroom plan show pln_01k2wxk7n5s6p4q3r2t1v0w9xy\n  guardroom plan show --canonical pln_01k2wxk7n5s6p4q3r2t1v0w9xy | sha256sum"
}

// Run shows a plan.
func (c *PlanShowCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		d, err := getPlan(ctx, cl, c.ID)
		if err != nil {
			return err
		}
		if c.Canonical {
			e.printf("%s", d.Canonical)
			return nil
		}
		return e.showPlan(ctx, cl, d)
	})
}

func getPlan(ctx context.Context, cl *api.Client, id string) (d api.PlanDetail, err error) {
	return d, cl.Do(ctx, "GET", planPath(id), nil, nil, &d)
}

// PlanApproveCmd approves.
type PlanApproveCmd struct {
	ID     string `arg:"" help:"Plan."`
	Digest string `help:"Digest of the plan that was read, its first 8 digits or more; without it a terminal asks." placeholder:"HEX"`
	Reason string `required:"" help:"Reason, for those who ask later."`
	Wait   bool   `help:"Follow its run; exits with 3 where further people must approve."`
}

// Help shows examples.
func (PlanApproveCmd) Help() string {
	return "Examples:\n  guardroom plan approve pln_01k2wxk7n5s6p4q3r2t1v0w9xy --digest 7b3e91c4 --reason \"confirmed with payments\"\n  guardroom plan approve pln_01k2wxk7n5s6p4q3r2t1v0w9xy --digest 7b3e91c4 --reason \"it mines\" --wait"
}

// Run approves a plan. Without a digest a person reads the plan first, and types
// a part of it.
func (c *PlanApproveCmd) Run(ctx context.Context, e *env) error {
	asks := e.asks()
	if c.Digest == "" && !asks {
		return fault.New(fault.Usage, "an approval needs --digest: it is for exactly the plan that was read", "guardroom plan show "+c.ID)
	}
	var d api.PlanDetail
	err := e.withClient(ctx, func(cl *api.Client) error {
		digest := c.Digest
		if digest == "" {
			var err error
			if digest, err = e.confirm(ctx, cl, c.ID); err != nil {
				return err
			}
		}
		if err := cl.Do(ctx, "POST", planPath(c.ID)+"/approve", nil, api.Approve{Digest: digest, Reason: c.Reason}, &d); err != nil {
			return err
		}
		if err := e.approved(d); err != nil {
			return err
		}
		if d.Row.Run != "" {
			e.nobodyWorks(ctx, cl)
		}
		return nil
	})
	if err != nil || !c.Wait {
		return err
	}
	return e.follow(ctx, d)
}

func (e *env) approved(d api.PlanDetail) error {
	if e.JSON {
		d.Canonical = ""
		return e.object(d)
	}
	r := d.Row
	if r.Run == "" {
		e.printf("%s has %d of %s\n", clean(string(r.ID)), len(r.Approvals), plural(r.Needed, "approval"))
		return nil
	}
	e.printf("%s is approved; %s carries it out: guardroom run watch %s\n", clean(string(r.ID)), clean(string(r.Run)), clean(string(r.Run)))
	return nil
}

// nobodyWorks says that an approved plan waits, where no service is there to carry
// it out.
func (e *env) nobodyWorks(ctx context.Context, cl *api.Client) {
	var st api.Status
	if err := cl.Do(ctx, "GET", "/v1/status", nil, nil, &st); err != nil || st.Delivering {
		return
	}
	for _, w := range st.Workers {
		if w.Mode == "serve" && time.Since(w.Heartbeat) < 5*time.Minute {
			return
		}
	}
	fmt.Fprintln(e.stderr, "no service runs here: nothing is carried out until guardroom serve runs")
}

// asks reports whether a question would be answered by a person.
func (e *env) asks() bool {
	f, ok := e.stdin.(*os.File)
	return ok && !e.NoInput && !e.JSON && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor
}

// confirm shows a plan and asks for a part of its digest. It returns the whole
// digest of what was shown.
func (e *env) confirm(ctx context.Context, cl *api.Client, id string) (string, error) {
	d, err := getPlan(ctx, cl, id)
	if err != nil {
		return "", err
	}
	if d.Row.State != respond.PlanWaiting {
		return d.Row.Digest, nil // the service says best why it cannot be approved
	}
	e.plan(d)
	shown := short(d.Row.Digest)
	fmt.Fprintf(e.stderr, "\nTo approve it, type the last four characters of %s: ", shown)
	given, err := e.line(ctx)
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(given, shown[len(shown)-4:]) {
		f := fault.New(fault.Usage, fmt.Sprintf("%q is not the end of %s", given, shown), "guardroom plan show "+id)
		f.Safe = "nothing was approved"
		return "", f
	}
	return d.Row.Digest, nil
}

// line reads one line that a person types.
func (e *env) line(ctx context.Context) (string, error) {
	var b strings.Builder
	in, one := e.input(ctx), make([]byte, 1)
	for b.Len() < 100 {
		n, err := in.Read(one)
		if n > 0 && one[0] == '\n' {
			break
		}
		b.Write(one[:n])
		if err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			break
		}
	}
	return strings.TrimSpace(b.String()), nil
}

// PlanRejectCmd rejects.
type PlanRejectCmd struct {
	ID     string `arg:"" help:"Plan."`
	Reason string `required:"" help:"Reason, for those who ask later."`
}

// Help shows examples.
func (PlanRejectCmd) Help() string {
	return "A plan that is rejected is never carried out; another one can be made.\n\nExamples:\n  guardroom plan reject pln_01k2wxk7n5s6p4q3r2t1v0w9xy --reason \"it is a test host\"\n  guardroom plan reject pln_01k2wxk7n5s6p4q3r2t1v0w9xy --reason \"it is a test host\" --json"
}

// Run rejects a plan.
func (c *PlanRejectCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d api.PlanDetail
		if err := cl.Do(ctx, "POST", planPath(c.ID)+"/reject", nil, api.Reason{Reason: c.Reason}, &d); err != nil {
			return err
		}
		if e.JSON {
			d.Canonical = ""
			return e.object(d)
		}
		e.printf("%s is rejected; nothing was changed\n", clean(string(d.Row.ID)))
		return nil
	})
}
