package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/kit"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/lambda"
)

// scenario is one response from its plan to its end, in a world of its own.
type scenario struct {
	name     string
	playbook string
	build    func(e *sim.Editor, b *kittest.Bench)
	// trouble makes calls fail or lose their answer; nil: nothing does. It is
	// made anew for each run.
	trouble func(w *sim.World) sim.Hook
	// partly is set where even with all permissions some steps do not complete.
	partly bool
	// crash keeps the run from ending, so that only the sweeper is left.
	crash func(c sim.Call) bool
	// proves looks for proof twelve minutes after the run.
	proves bool
	// late is how long the sweeper waits before it looks.
	late time.Duration
	// keep leaves the response in place; what was copied is cleaned up in time.
	keep bool
}

// told is what a scenario said to people, and the calls it made.
type told struct {
	playbook string
	plan     *respond.Plan // nil: it could not be made
	undo     *respond.Plan // nil: nothing was changed
	calls    []sim.Call
	steps    map[string]playbook.Record
	// wrong is everything that did not go well, in the words that people read.
	wrong []string
	// lacks is what was left out and what is not preserved, and why.
	lacks []string
	// said is all else: facts, guards and messages.
	said []string
}

func (o *told) failed(what string, err error) bool {
	if err != nil {
		o.wrong = append(o.wrong, what+": "+err.Error())
	}
	return err != nil
}

// note takes the records of a run.
func (o *told) note(prefix string, records map[string]playbook.Record) {
	var list []playbook.Record
	for _, id := range slices.Sorted(maps.Keys(records)) {
		r := records[id]
		list = append(list, r)
		o.steps[prefix+id] = r
		line := fmt.Sprintf("%s%s is %s: %s", prefix, id, r.State, r.Message)
		if r.Error != nil {
			line += " | " + r.Error.Message + " | " + r.Error.Hint
		}
		switch r.State {
		case playbook.Completed:
			o.said = append(o.said, line)
		case playbook.Skipped:
			o.lacks = append(o.lacks, line)
		default:
			o.wrong = append(o.wrong, line)
		}
	}
	_, gaps, _ := forensics.Collect(list)
	for _, g := range gaps {
		o.lacks = append(o.lacks, "gap "+g.What+": "+g.Why)
	}
}

// play carries a scenario out as guardroom does: plan, run, look again, verify,
// sweep, undo, sweep, clean up. What fails stops nothing that could still be done.
func (s scenario) play(deny map[awscalls.Role][]string) (*told, error) {
	i := slices.IndexFunc(playbooks(), func(p respond.Playbook) bool { return p.Name() == s.playbook })
	if i < 0 {
		return nil, fmt.Errorf("there is no playbook %s", s.playbook)
	}
	b := kittest.On(nil, nil, playbooks()[i], nil, slices.Collect(maps.Values(closings())))
	life := &span{ends: s.crash}
	o := sim.Options{Clock: b.Clock, Deny: deny, Hook: life.hook, SmallParts: true}
	o.Times.SnapshotPerGiB, o.Times.CopyPerGiB = time.Second, time.Second
	w, err := sim.New(o)
	if err != nil {
		return nil, err
	}
	b.World, b.AWS = w, w.AWS()
	if s.trouble != nil {
		life.trouble = s.trouble(w)
	}
	b.Actions = actions(lambda.HTTP(&http.Client{Transport: w.Transport()}))
	if err := w.Edit(func(e *sim.Editor) { s.build(e, b) }); err != nil {
		return nil, err
	}
	out := &told{playbook: s.playbook, steps: map[string]playbook.Record{}}
	s.respond(b, life, out)
	out.calls = w.Calls()
	return out, nil
}

func (s scenario) respond(b *kittest.Bench, life *span, out *told) {
	world, err := b.Describe()
	if out.failed("describe", err) {
		return
	}
	d, err := b.Playbook.Draft(world, b.Request())
	if out.failed("draft", err) {
		return
	}
	out.said = slices.Concat(out.said, d.Manual, d.WillNot, d.AlsoHits)
	for _, g := range d.Guards {
		out.said = append(out.said, fmt.Sprintf("guard %s: %s %s", g.Name, g.Answer, g.Why))
	}
	for _, f := range slices.Concat(world.Facts, world.Watched) {
		out.said = append(out.said, "fact "+f.Name+": "+f.Value)
	}
	p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_01test", Incident: 42, Playbook: b.Playbook.Name(), Target: d.Target, Steps: d.Steps, Guards: d.Guards}
	out.plan = p
	if b.Policy.Evidence.Bucket != "" && keeps(b.Actions, p) {
		g := kit.LookAtVault(context.Background(), b.AWS, b.Policy, kit.HomeOf(b.Policy, b.Request().Place(awscalls.Read))).Guard()
		out.said = append(out.said, fmt.Sprintf("guard %s: %s %s", g.Name, g.Answer, g.Why))
	}
	life.begin(b.Journal)
	records, err := b.Execute(kittest.Run, p, b.Journal)
	life.over(b.Journal)
	if s.crash != nil {
		list, err := b.Journal.Records(context.Background())
		out.failed("read the journal", err)
		records = map[string]playbook.Record{}
		for _, r := range list {
			records[r.Name] = r
		}
	} else {
		out.failed("run", err)
	}
	out.note("", records)
	again, err := drift(context.Background(), b.AWS, p, records)
	out.failed("look again", err)
	for _, line := range again {
		out.wrong = append(out.wrong, "drift: "+line)
	}
	s.prove(b, p, records, out)
	s.verify(b, p, records, out)
	s.pass(b, out, s.late)
	out.failed("sweep", b.Sweep())
	for _, row := range b.Owed.Rows() {
		out.wrong = append(out.wrong, "still owed: "+row.Why)
	}
	if s.keep {
		s.cleanUp(b, records, out)
		return
	}
	s.pass(b, out, 5*time.Minute)
	undo, err := respond.UndoPlan(p, kittest.Run, records, b.Actions)
	if fault.CodeOf(err) == fault.Conflict {
		return // nothing was changed
	}
	if out.failed("plan the undo", err) {
		return
	}
	undo.ID, out.undo = "pln_01undo", undo
	undone, err := b.Execute(kittest.UndoRun, undo, &playbook.Memory{})
	out.note("", undone)
	out.failed("undo", err)
	s.pass(b, out, time.Hour)
	out.failed("sweep after the undo", b.Sweep())
}

// verify seals what was preserved, as every run does, and reads all of it again.
func (s scenario) verify(b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record, out *told) {
	ctx := context.Background()
	items, gaps, custody := forensics.Collect(slices.Collect(maps.Values(records)))
	if len(items)+len(gaps) == 0 {
		return
	}
	items, custody = evidence.OfRun(string(kittest.Run), items, custody)
	m, err := evidence.Build(nil, evidence.Parts{Case: evidence.Case{Incident: "INC-42", Accounts: []string{p.Target.Account}, Regions: []string{p.Target.Region}},
		Run: string(kittest.Run), By: "guardroom/" + string(kittest.Run), Items: items, Gaps: gaps, Custody: custody, Simulated: true}, b.Clock.Now())
	if out.failed("seal", err) {
		return
	}
	sealed, err := evidence.Seal(m, nil, "a test has no key")
	if out.failed("seal", err) {
		return
	}
	for range 2 { // the second finds it done
		_, _, err = forensics.PutManifest(ctx, b.AWS, b.Policy, awscalls.Place{Account: p.Target.Account, Region: p.Target.Region, Incident: "INC-42"}, sealed, b.Clock.Now())
		out.failed("keep the manifest", respond.Explain(err, "keep the manifest", ""))
	}
	read := forensics.Reader{AWS: b.AWS, Incident: "INC-42", Home: b.Policy.Forensics.Account}
	report, err := evidence.Verify(ctx, sealed, read, read, evidence.Options{At: b.Clock.Now(), Places: read})
	out.failed("verify", err)
	for _, p := range report.Problems {
		out.wrong = append(out.wrong, fmt.Sprintf("verify: %+v", p))
	}
}

func (s scenario) pass(b *kittest.Bench, out *told, d time.Duration) {
	out.failed("let time pass", b.Clock.Sleep(context.Background(), d, nil))
}

// cleanUp removes working copies when their time is over.
func (s scenario) cleanUp(b *kittest.Bench, records map[string]playbook.Record, out *told) {
	items, _, _ := forensics.Collect(slices.Collect(maps.Values(records)))
	s.pass(b, out, 15*24*time.Hour)
	for range 20 {
		open := false
		for _, r := range forensics.Cleanup(context.Background(), b.AWS, "INC-42", kittest.Run, items, b.Clock.Now()) {
			open = open || !r.Done
			if out.failed("clean up "+r.Item, r.Err) {
				return
			}
		}
		if !open {
			return
		}
		s.pass(b, out, 10*time.Second)
	}
	out.wrong = append(out.wrong, "the clean-up comes to no end")
}

// span is the life of the process that runs the plan. When it ends, what it does
// afterwards has no effect.
type span struct {
	trouble sim.Hook // nil: none
	ends    func(c sim.Call) bool

	mu      sync.Mutex
	journal *playbook.Memory
	dead    bool
}

func (l *span) begin(j *playbook.Memory) { l.mu.Lock(); defer l.mu.Unlock(); l.journal = j }

func (l *span) over(j *playbook.Memory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.journal, l.dead = nil, false
	j.Set(playbook.Standing{})
}

func (l *span) hook(phase sim.Phase, c sim.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal == nil {
		return nil
	}
	if l.dead && phase == sim.Before {
		return context.Canceled
	}
	if l.ends != nil && phase == sim.After && l.ends(c) {
		l.dead = true
		l.journal.Set(playbook.Standing{Fenced: true})
		return context.Canceled
	}
	if l.trouble != nil {
		return l.trouble(phase, c)
	}
	return nil
}

// callOf is a call in the words of the table.
func callOf(c sim.Call) string {
	return strings.NewReplacer("Auto Scaling", "AutoScaling", "Elastic Load Balancing v2", "ELBv2", "Elastic Load Balancing", "ELB", "WAFV2", "WAF", "CloudWatch Logs", "Logs").Replace(c.Service) + "." + c.Operation
}

// prove looks for proof that the containment holds. What is not proven is lacking.
func (s scenario) prove(b *kittest.Bench, p *respond.Plan, records map[string]playbook.Record, out *told) {
	if !s.proves {
		return
	}
	s.pass(b, out, 12*time.Minute)
	list, err := respond.Prove(context.Background(), b.AWS, b.Actions, p, records, b.Clock.Now(), nil)
	out.failed("look for proof", err)
	for _, v := range list {
		switch {
		case v.IsOpen():
			out.wrong = append(out.wrong, v.String())
		case !v.IsProven():
			out.lacks = append(out.lacks, v.String())
		}
	}
}
