package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/lambda"
	"github.com/guardroom/guardroom/rule"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/guardduty"
	"github.com/guardroom/guardroom/store"
)

// buildResponses builds the desk, and what carries out its runs.
func (a *App) buildResponses(ctx context.Context, tempo notify.Tempo) error {
	policy, err := policyOf(a.cfg, a.db.path)
	if err != nil {
		return err
	}
	clock := playbook.Real{NowFunc: a.now, Scale: a.cfg.Worker.TimeScale}
	reach, fetching := a.opts.Responses, a.clock.next
	var simulated *sim.World
	var asked *cloud.Cloud // as whom this process works
	switch {
	case reach != nil:
	case a.cfg.Respond.Simulate != "":
		if simulated, err = openSimulation(a.cfg.Respond.Simulate, clock, a.cfg.Worker.TimeScale, &policy); err != nil {
			return err
		}
		reach, fetching = simulated.AWS(), simulated.Transport()
	default:
		if policy.Evidence.Bucket != "" && policy.Evidence.Region == "" {
			// A bucket answers in its own region only, whatever region was attacked.
			if policy.Evidence.Region, err = a.cloud.Region(ctx); err != nil {
				return err
			}
		}
		r := a.cfg.Respond
		asked = a.cloud
		reach = a.cloud.Responses(cloud.ResponseRoles{Ours: a.ours, Read: a.cfg.AWS.ReadRole, Act: r.ActRole, Forensics: cmp.Or(r.ForensicsRole, r.ActRole)})
	}
	fetch := lambda.HTTP(&http.Client{Timeout: time.Minute, Transport: fetching})
	d := &desk{store: a.db.DB, tool: toolOf(a.opts.Version), engine: runQueue{a.engine}, raise: a.engine, newID: a.ids.New, now: a.now, log: a.log, triager: a.triager,
		playbooks: playbooks(), actions: actions(fetch), closings: closings(), aws: reach, simulation: simulated, policy: policy,
		rules: respond.Rules{RequesterMayApprove: policy.RequesterMayApprove}, news: newBell(), tempo: tempo,
		hours: a.cfg.Respond.ProtectedHours, freezes: a.cfg.Respond.Freezes, own: ownOf(a.cfg, asked, a.now).find}
	for _, n := range a.cfg.Respond.NeverTouch {
		r, err := rule.Compile(n.Name, n.When)
		if err != nil {
			return describe("respond.never_touch "+n.Name, err)
		}
		d.never = append(d.never, r)
	}
	for _, p := range a.cfg.Respond.PreAuthorize {
		one, err := preAuthorized(p, d.playbook)
		if err != nil {
			return err
		}
		d.before = append(d.before, one)
	}
	for _, r := range a.cfg.Routes {
		if r.Playbook == "" {
			continue
		}
		if _, err := d.playbook(r.Playbook); err != nil {
			return describe("routes: "+r.Name, err)
		}
	}
	if d.seal, err = newSealer(policy.Evidence.SigningKey); err != nil {
		return err
	}
	a.desk = d
	a.runs = &runs{desk: d, worker: a.db.executor, clock: clock, patience: proofLimit, call: min(callLimit, tempo.Scale(a.cfg.Worker.Lease.Std())/2), stopping: make(chan struct{})}
	if !reach.Simulated() {
		a.runs.fresh = a.confirm
	}
	a.runs.life, a.runs.end = context.WithCancel(context.Background())
	return nil
}

// callLimit is the deadline of one call of AWS.
const callLimit = 30 * time.Second

func preAuthorized(p config.PreAuthorization, find func(string) (respond.Playbook, error)) (preAuthorization, error) {
	r, err := rule.Compile(p.Name, p.When)
	if err != nil {
		return preAuthorization{}, describe("respond.pre_authorize "+p.Name, err)
	}
	for _, name := range p.Playbooks {
		if _, err := find(name); err != nil {
			return preAuthorization{}, describe("respond.pre_authorize "+p.Name, err)
		}
	}
	out := preAuthorization{rule: r, cfg: p}
	if p.Hours != "" {
		w, err := config.ParseHours(p.Hours)
		if err != nil {
			return preAuthorization{}, describe("respond.pre_authorize "+p.Name, err)
		}
		out.hours = &w
	}
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q %q %q %q %q %q", p.Name, p.When, p.Playbooks, p.Hours, p.Owner, p.Reason)))
	out.sha256 = hex.EncodeToString(sum[:])
	return out, nil
}

// policyOf is the configuration in the words of respond.
func policyOf(cfg *config.Config, storePath string) (respond.Policy, error) {
	c := cfg.Respond
	p := respond.DefaultPolicy()
	p.Order, p.OutOfService, p.OpenWindow, p.NACL, p.WholeRole = c.Order, c.OutOfService, c.OpenWindow, c.NetworkACL, c.WholeRole
	p.MemoryAfter, p.IdleTimeouts = c.MemoryAfterIsolation, c.IdleTimeouts
	p.BreakGlass, p.Own, p.BlockFor, p.DryRun = c.BreakGlass, c.OwnNetworks, c.BlockFor.Std(), c.DryRun
	p.Approvals, p.RequesterMayApprove, p.PlanAge = c.Approval.People, c.Approval.Requester != "may_not", c.Approval.Within.Std()
	p.IsolationsAnHour, p.RevocationsAnHour, p.BlocksAnHour, p.ResponsesAnHour = c.Caps.Isolations, c.Caps.Revocations, c.Caps.Blocks, c.Caps.All
	p.PlansAnHour = c.Caps.Plans
	if parts := strings.Split(c.IPSet, "/"); len(parts) == 3 {
		p.IPSet = respond.IPSet{Name: parts[0], ID: parts[1], Scope: parts[2]}
	}
	e := c.Evidence
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(e.URL, "s3://"), "/")
	p.Evidence = respond.Evidence{Bucket: bucket, Prefix: strings.Trim(prefix, "/"), Region: e.Region, KMSKey: e.KMSKey, LockMode: e.Lock, LockDays: e.LockDays,
		CoolOffHours: int(e.CoolOff.Std() / time.Hour), OlderSnapshots: e.OlderSnapshots, SigningKey: e.SigningKey, WorkingDays: e.WorkingDays}
	if p.Evidence.SigningKey == "" && storePath != "" {
		p.Evidence.SigningKey = storePath + ".evidence-key"
	}
	f := c.Forensics
	p.Forensics = respond.Forensics{Account: f.Account, TransferKey: f.TransferKey, Key: f.Key, Image: f.Image, ImageOwners: f.ImageOwners, Types: f.Types,
		Subnets: f.Subnets, SecurityGroups: f.SecurityGroups, Profile: f.Profile, Memory: f.Memory, Hash: f.Hash,
		MemoryTool: map[string]string{}, MemoryToolSHA256: map[string]string{}}
	if parts := strings.Split(f.MemoryDocument, "/"); len(parts) == 3 {
		p.Forensics.MemoryDocument, p.Forensics.MemoryDocVersion, p.Forensics.MemoryDocHash = parts[0], parts[1], parts[2]
	}
	for arch, tool := range f.MemoryTools {
		key, sum, ok := strings.Cut(tool, "@")
		if !ok || len(sum) != 64 {
			return p, fault.New(fault.Usage, fmt.Sprintf("respond.forensics.memory_tools.%s is %q and not KEY@SHA256", arch, tool), "name the object in the evidence bucket and its SHA-256 in hex")
		}
		p.Forensics.MemoryTool[arch], p.Forensics.MemoryToolSHA256[arch] = key, sum
	}
	return p, nil
}

// runQueue enqueues runs in the store's transactions.
type runQueue struct{ engine *durable.Engine }

func (q runQueue) enqueueRun(ctx context.Context, tx *store.Tx, item durable.RunItem) error {
	return q.engine.EnqueueRun(ctx, tx.SQL(), item)
}

// Responses implements api.Service.
func (a *App) Responses() api.Responder { return a.desk }

// confirm asks GuardDuty itself for a finding, and takes its answer as one that
// was read from there. It reports whether the finding is known there.
func (a *App) confirm(ctx context.Context, f store.Finding) (bool, error) {
	if a.opts.Confirm != nil {
		return a.opts.Confirm(ctx, f.ID)
	}
	if err := a.ours.Check(ctx, f.AccountID); err != nil {
		return false, err
	}
	client, err := a.cloud.GuardDuty(ctx, f.AccountID, "", f.Region)
	if err != nil {
		return false, err
	}
	body, known, err := guardduty.Confirm(ctx, client, f.DetectorID, f.ID)
	if err != nil || !known {
		return false, err
	}
	in := source.Input{Source: "guardduty:confirm", Body: body, ReceivedAt: a.now(), Confirmed: true, Refresh: true, Position: "read before a response"}
	if _, err := a.flow.Take(ctx, in); err != nil {
		return false, err
	}
	row, ok, err := a.db.GetFinding(ctx, f.ID)
	return ok && row.Confirmed, err
}

// Respond looks after responses until ctx ends, for a process that delivers and
// does not Serve. It blocks until then.
func (a *App) Respond(ctx context.Context) { a.respond(ctx) }

// respond runs what responses need beside their runs, until ctx ends: the
// sweeper of what is owed, plans that were wished for or have expired, and the
// look at what is contained.
func (a *App) respond(ctx context.Context) {
	tempo := notify.Tempo(a.cfg.Worker.TimeScale)
	jobs := []struct {
		every time.Duration
		do    func(context.Context) error
		what  string
	}{
		{5 * time.Second, a.runs.sweep, "close what is owed"},
		{time.Second, (&wisher{desk: a.desk, confirm: a.confirm}).look, "make the plans that routes want"},
		{5 * time.Second, a.desk.expire, "end plans that nobody approved"},
		{10 * time.Second, a.runs.checks, "look at what is contained"},
		{10 * time.Second, a.late.look, "look for what is late"},
		{10 * time.Minute, a.runs.cleanUp, "remove working copies of evidence"},
	}
	done := make(chan struct{}, len(jobs))
	for _, j := range jobs {
		go func() {
			defer func() { done <- struct{}{} }()
			tick := time.NewTicker(max(tempo.Scale(j.every), 50*time.Millisecond))
			defer tick.Stop()
			for {
				if err := j.do(ctx); err != nil && ctx.Err() == nil {
					a.log.Warn("responses could not be looked after", "what", j.what, "error", err)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	for range jobs {
		<-done
	}
}

// Confirmer says whether GuardDuty knows a finding.
type Confirmer func(ctx context.Context, id finding.ID) (bool, error)
