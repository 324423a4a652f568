package forensics_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

// actionsCalls are all calls that actions of acquisition may make.
func actionsCalls() []string {
	var out []string
	for _, a := range forensics.Actions() {
		for _, list := range a.Calls {
			out = append(out, list...)
		}
	}
	return out
}

// undoPlan is the plan that takes back what the run did.
func (b *bench) undoPlan() *respond.Plan {
	b.t.Helper()
	list, err := b.journal.Records(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	records := map[string]playbook.Record{}
	for _, r := range list {
		records[r.Name] = r
	}
	p, err := respond.UndoPlan(b.plan, runID, records, respond.NewActions(forensics.Actions()))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// undo carries out the undo of the run.
func (b *bench) undo() map[string]playbook.Record {
	b.t.Helper()
	records, err := b.carryOut(b.undoPlan(), "run_2", &playbook.Memory{})
	if err != nil {
		b.t.Fatal(err)
	}
	return records
}

func TestTheUndoRemovesTheWorkingCopiesAndNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.completed(b.run())
	plan := b.undoPlan()
	if len(plan.Steps) != 7 {
		t.Errorf("%d steps, want 3 to detach, 3 to delete, 1 to terminate", len(plan.Steps))
	}
	for id, r := range b.undo() {
		if r.State != playbook.Completed {
			t.Errorf("%s is %s: %s", id, r.State, r.Message)
		}
	}
	if v, w := len(b.copies(victim)), len(b.workstations(victim)); v != 0 || w != 0 {
		t.Errorf("%d volumes and %d workstations are left", v, w)
	}
	if n := len(b.snapshots(victim)); n != 3 {
		t.Errorf("%d snapshots are left", n)
	}
	locks, err := b.ec2(victim).DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{})
	if err != nil || len(locks.Snapshots) != 3 {
		t.Errorf("%d locks are left: %v", len(locks.Snapshots), err)
	}
	for _, c := range b.calls("EC2.TerminateInstances") {
		if slices.Contains(c.Input.(*ec2.TerminateInstancesInput).InstanceIds, instance) {
			t.Error("the attacked instance was to be terminated")
		}
	}
}

func TestAnUndoThatIsRepeatedFindsItDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	b.completed(b.run())
	b.undo()
	for id, r := range b.undo() {
		if r.State != playbook.Completed {
			t.Errorf("%s is %s: %s", id, r.State, r.Message)
		}
	}
}

func TestTheUndoStopsAtWhatAColleagueTookOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	b.completed(b.run())
	w := aws.ToString(b.workstations(victim)[0].InstanceId)
	v := aws.ToString(b.copies(victim)[0].VolumeId)
	err := b.world.Edit(func(e *sim.Editor) {
		e.SetTag(victim, region, w, respond.TagRun, "a colleague's")
		e.SetTag(victim, region, v, respond.TagRun, "a colleague's")
	})
	if err != nil {
		t.Fatal(err)
	}
	records := b.undo()
	for _, id := range []string{"undo/terminate/" + w, "undo/delete/" + v} {
		if r := records[id]; r.State != playbook.Failed || !strings.Contains(r.Message, "does not carry the tag") {
			t.Errorf("%s is %s: %s", id, r.State, r.Message)
		}
	}
	if i := b.instance(w); i != "running" {
		t.Errorf("the workstation is %s", i)
	}
}

func (b *bench) instance(id string) string {
	b.t.Helper()
	out, err := b.ec2(victim).DescribeInstances(b.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out.Reservations[0].Instances[0].State.Name)
}

func TestWorkingCopiesAreCleanedUpWhenTheirTimeIsOverAndNotBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	records := b.run()
	b.completed(records)
	items, _, _ := b.evidence(records)
	clean := func(at time.Time) []forensics.Released {
		return forensics.Cleanup(t.Context(), b.world.AWS(), "INC-42", runID, items, at)
	}
	if r := clean(noon.AddDate(0, 0, 13)); len(r) != 0 {
		t.Errorf("a day before: %+v", r)
	}
	due := noon.AddDate(0, 0, 15)
	for n := 0; ; n++ {
		open := 0
		for _, r := range clean(due) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if !r.Done {
				open++
			}
		}
		if open == 0 && n > 0 && len(b.workstations(victim)) == 0 {
			break
		}
		if n > 20 {
			t.Fatal("it comes to no end")
		}
		if err := b.clock.Sleep(t.Context(), 10*time.Second, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.copies(victim)); n != 0 {
		t.Errorf("%d volumes are left", n)
	}
	if n := len(b.snapshots(victim)); n != 2 {
		t.Errorf("%d snapshots are left", n)
	}
	if i := b.instance(instance); i != "running" {
		t.Errorf("the attacked instance is %s", i)
	}
}

func TestActionsCallWhatTheyNameAndInTheNamedRole(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	for _, a := range forensics.Actions() {
		for role, list := range a.Calls {
			for _, c := range list {
				named[string(role)+" "+c] = true
			}
		}
	}
	for _, c := range forensics.Closings() {
		for role, list := range c.Calls {
			for _, x := range list {
				named[string(role)+" "+x] = true
			}
		}
	}
	seen := map[string]bool{}
	collect := func(b *bench, from int) {
		for _, c := range b.world.Calls()[from:] {
			if c.Place.Role != "observer" {
				seen[string(c.Place.Role)+" "+c.String()] = true
			}
		}
	}
	for _, settings := range [][]setting{{small, hashed, backups(1)}, {quick, toLab, awsKey}, {quick, small, hashed, toLab}} {
		b := newBench(t, settings...)
		b.draft()
		from := len(b.world.Calls())
		b.completed(b.run())
		b.undo()
		collect(b, from)
	}
	for c := range seen {
		if !named[c] {
			t.Errorf("%s is called and not named by any action", c)
		}
	}
	for c := range named {
		if seen[c] == slices.Contains(rare, c) {
			t.Errorf("%s is named; called in a good run: %v", c, seen[c])
		}
	}
}

// rare are calls that a good run does not make: they are in the tests of what
// goes wrong.
var rare = []string{"act SSM.CancelCommand", "forensics S3.AbortMultipartUpload", "read SSM.ListCommands"}

func hashed(_ *sim.Options, p *respond.Policy, _ *edits) { p.Forensics.Hash = "auto" }

// An auditor joins what an undo released with the item of the run that made it.
func TestTheCustodyOfAnUndoNamesTheItemsOfTheRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	ran := b.run()
	b.completed(ran)
	known := map[string]bool{}
	for _, r := range ran {
		items, _, _ := respond.EvidenceOf(r)
		for _, i := range items {
			known[string(b.undoPlan().UndoOf)+"/"+i.ID] = true
		}
	}
	lines, steps := 0, len(b.undoPlan().Steps)
	for id, r := range b.undo() {
		_, _, custody := respond.EvidenceOf(r)
		for _, c := range custody {
			lines++
			if !known[c.Item] {
				t.Errorf("%s: %s names %q, which is no item", id, c.Action, c.Item)
			}
		}
	}
	if lines == 0 || lines != steps {
		t.Errorf("%d lines of %d steps", lines, steps)
	}
}
