package forensics_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// shares are the accounts that a snapshot of the victim is shared with.
func (b *bench) shares(id string) []string {
	b.t.Helper()
	out, err := b.ec2(victim).DescribeSnapshotAttribute(b.t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: aws.String(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission})
	if err != nil {
		b.t.Fatal(err)
	}
	var list []string
	for _, p := range out.CreateVolumePermissions {
		list = append(list, aws.ToString(p.UserId)+string(p.Group))
	}
	return list
}

func TestEvidenceIsPulledIntoTheForensicAccountUnderItsKeyAndTheShareWithdrawn(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, func(_ *sim.Options, _ *respond.Policy, e *edits) {
		e.instance.Volumes = append(e.instance.Volumes, sim.VolumeSpec{GiB: 1, Key: "arn:aws:kms:" + region + ":" + victim + ":key/own"})
	}, first(func(e *sim.Editor) { e.AddKMSKey(victim, region, sim.KMSKey{ID: "own"}) }))
	records := b.run()
	b.completed(records)
	if n := len(b.snapshots(victim)); n != 3 {
		t.Errorf("%d snapshots in the attacked account", n)
	}
	copies := b.snapshots(lab)
	if len(copies) != 3 {
		t.Fatalf("%d copies", len(copies))
	}
	for _, c := range copies {
		if !aws.ToBool(c.Encrypted) || !strings.HasSuffix(aws.ToString(c.KmsKeyId), "key/evidence") || c.State != types.SnapshotStateCompleted {
			t.Errorf("%s is %s under %s", *c.SnapshotId, c.State, aws.ToString(c.KmsKeyId))
		}
	}
	locks, err := b.ec2(lab).DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{})
	if err != nil || len(locks.Snapshots) != 3 {
		t.Errorf("%d copies are locked: %v", len(locks.Snapshots), err)
	}
	for _, s := range b.snapshots(victim) {
		if left := b.shares(*s.SnapshotId); len(left) != 0 {
			t.Errorf("%s is still shared with %q", *s.SnapshotId, left)
		}
	}
	if left := b.owed.left(); len(left) != 0 || b.owed.ever < 3 {
		t.Errorf("still owed: %q, of %d ever", left, b.owed.ever)
	}
	for _, c := range b.calls("EC2.ModifySnapshotAttribute") {
		in := c.Input.(*ec2.ModifySnapshotAttributeInput)
		if raw, _ := json.Marshal(in); strings.Contains(string(raw), `"all"`) || in.OperationType == "" || len(in.UserIds) != 1 || in.CreateVolumePermission != nil {
			t.Errorf("shared as %s", raw)
		}
	}
	if n := len(b.workstations(lab)); n != 1 || len(b.workstations(victim)) != 0 {
		t.Errorf("%d workstations in the forensic account, %d in the attacked", n, len(b.workstations(victim)))
	}
	err = b.world.Edit(func(e *sim.Editor) {
		if g := e.KMSKey(victim, region, "own").Grants; len(g) != 0 {
			t.Errorf("grants are left: %v", g)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// first edits the world before the instance is there.
func first(f func(e *sim.Editor)) setting {
	return func(_ *sim.Options, _ *respond.Policy, e *edits) { e.first = append(e.first, f) }
}

func TestDefect25WhatIsUnderTheAWSKeyIsEncryptedAnewBeforeItIsShared(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	records := b.run()
	b.completed(records)
	v := b.volumes[0]
	if _, ok := records["rekey/"+v]; !ok {
		t.Fatal("there is no step that encrypts it anew")
	}
	var first, second types.Snapshot
	for _, s := range b.snapshots(victim) {
		switch {
		case aws.ToString(s.VolumeId) == v:
			first = s
		case strings.HasSuffix(aws.ToString(s.KmsKeyId), "key/transfer"):
			second = s
		}
	}
	if first.SnapshotId == nil || second.SnapshotId == nil {
		t.Fatalf("original %v, intermediate %v", first.SnapshotId, second.SnapshotId)
	}
	for _, c := range b.calls("EC2.ModifySnapshotAttribute") {
		if aws.ToString(c.Input.(*ec2.ModifySnapshotAttributeInput).SnapshotId) == *first.SnapshotId {
			t.Error("the original under the AWS-managed key was to be shared")
		}
	}
	if n := len(b.copies(lab)); n != 2 {
		t.Errorf("%d evidence volumes", n)
	}
}

func TestDefect48OriginalsStayWhatEverBecomesOfCopies(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	b.completed(b.run())
	had := len(b.snapshots(victim)) + len(b.snapshots(lab))
	b.undo()
	if now := len(b.snapshots(victim)) + len(b.snapshots(lab)); now != had {
		t.Errorf("%d snapshots of %d are left after the undo", now, had)
	}
	for _, a := range actionsCalls() {
		for _, bad := range []string{"DeleteSnapshot", "UnlockSnapshot", "StopInstances", "RebootInstances"} {
			if strings.Contains(a, bad) {
				t.Errorf("an action may call %s", a)
			}
		}
	}
}

func TestAKeyThatCannotBeUsedIsNamedByTheCopyAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab)
	b.draft()
	bad := ""
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		in, ok := c.Input.(*ec2.CopySnapshotInput)
		if ok && phase == sim.Before && c.Place.Account == lab && (bad == "" || bad == *in.SourceSnapshotId) {
			bad = *in.SourceSnapshotId
			in.KmsKeyId = aws.String("arn:aws:kms:" + region + ":" + lab + ":key/none") // as if it had been deleted
		}
		return nil
	}
	records := b.run()
	failed := 0
	for _, v := range b.volumes {
		r := records["copy/"+v]
		if r.State == playbook.Failed {
			failed++
			if !strings.Contains(r.Message, "key") && !strings.Contains(r.Message, "Key") {
				t.Errorf("it says %q", r.Message)
			}
		}
		if w := records["withdraw/"+v]; w.State != playbook.Completed {
			t.Errorf("the share of %s is %s: %s", v, w.State, w.Message)
		}
	}
	if failed != 1 || len(b.copies(lab)) != 1 || len(b.owed.left()) != 0 {
		t.Errorf("%d copies failed, %d volumes, owed %q", failed, len(b.copies(lab)), b.owed.left())
	}
}

func TestAnAbortKeepsTheSnapshotsAndWithdrawsTheShares(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.After && c.String() == "EC2.CopySnapshot" {
			b.journal.Send(playbook.AbortTopic, nil)
		}
		return nil
	}
	records := b.run()
	for _, id := range []string{"volume/" + b.volumes[0], "attach/" + b.volumes[0]} {
		if records[id].State != playbook.Skipped {
			t.Errorf("%s is %s", id, records[id].State)
		}
	}
	b.sweep()
	for _, s := range b.snapshots(victim) {
		if left := b.shares(*s.SnapshotId); len(left) != 0 {
			t.Errorf("%s is still shared with %q", *s.SnapshotId, left)
		}
	}
	if n := len(b.snapshots(victim)); n != 2 || len(b.owed.left()) != 0 {
		t.Errorf("%d snapshots, owed %q", n, b.owed.left())
	}
	if records["report"].State != playbook.Completed {
		t.Errorf("what there is was not reported: %s", records["report"].Message)
	}
	if len(b.calls("EC2.CreateVolume")) > 0 {
		t.Error("a volume was made after the abort")
	}
}

func TestACrashBetweenSharingAndWithdrawingIsClosedByTheSweeper(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.After && c.String() == "EC2.ModifySnapshotAttribute" {
			b.life.dead = true // the lock is held by the hook
		}
		return nil
	}
	if _, err := b.execute(); err == nil {
		t.Fatal("the process did not die")
	}
	b.life.dead, b.life.script = false, nil
	if len(b.owed.left()) == 0 {
		t.Fatal("nothing is owed, and something is open")
	}
	b.sweep()
	for _, s := range b.snapshots(victim) {
		if left := b.shares(*s.SnapshotId); len(left) != 0 {
			t.Errorf("%s is still shared with %q", *s.SnapshotId, left)
		}
	}
}

func TestDefect14WithoutAnAgentTheDisksAreDoneAndTheGapOfMemoryIsStated(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(_ *sim.Options, _ *respond.Policy, e *edits) { e.noAgent = true })
	records := b.run()
	b.completed(records)
	if why := b.gap(records, "memory of "+instance); !strings.Contains(why, "SSM does not know the instance") {
		t.Errorf("the gap says %q", why)
	}
	if len(b.snapshots(victim)) != 3 || len(b.calls("SSM.SendCommand")) != 0 {
		t.Error("the disks are not done, or a command was sent")
	}
}

func TestAnAgentThatGoesAwayAfterThePlanIsAStatedGap(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	err := b.world.Edit(func(e *sim.Editor) { e.SetAgent(victim, region, sim.SSMAgent{Instance: instance, Offline: true}) })
	if err != nil {
		t.Fatal(err)
	}
	records := b.run()
	b.completed(records, "memory")
	if r := records["memory"]; r.State != playbook.Skipped || !strings.HasPrefix(r.Message, "cannot, because ") {
		t.Errorf("memory is %s: %s", r.State, r.Message)
	}
}

func TestMemoryArrivesIsHashedByUsAndMarkedAsAnUntrustedHosts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	items, _, _ := b.evidence(records)
	n := slices.IndexFunc(items, func(i evidence.Item) bool { return i.Kind == evidence.Memory })
	if n < 0 {
		t.Fatal("there is no memory among the evidence")
	}
	i := items[n]
	if i.SHA256 != evidence.Digest([]byte("all that was in memory")) || i.Trust != "untrusted host" || i.SizeBytes != 22 || !strings.Contains(i.Tool, "document guardroom-memory version 1") {
		t.Errorf("the item is %+v", i)
	}
	cmds := b.calls("SSM.SendCommand")
	if len(cmds) != 1 {
		t.Errorf("%d commands", len(cmds))
	}
	raw, _ := json.Marshal(records)
	if strings.Contains(string(raw), "X-Amz-Signature") {
		t.Error("a signed address stands in the journal")
	}
	if len(b.owed.left()) != 0 {
		t.Errorf("owed: %q", b.owed.left())
	}
}

func TestMemoryThatCannotBeReadIsSaidInTheHostsWordsAndLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer sim.AgentAnswer
		state  playbook.State
		want   string
	}{
		"locked down": {sim.AgentAnswer{Code: 42, Error: "cannot: the kernel is locked down\n"}, playbook.Skipped, "cannot, because the kernel is locked down"},
		"broken":      {sim.AgentAnswer{Code: 45, Error: "unable to read"}, playbook.Failed, "unable to read"},
		"silent":      {sim.AgentAnswer{Takes: 5 * time.Hour}, playbook.Failed, "sent no more of its memory for 10m0s"},
		"lying":       {sim.AgentAnswer{Takes: time.Minute, Output: `{"sha256":"none"}`}, playbook.Failed, "nothing arrived"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, also(func(e *sim.Editor, _ []string) {
				e.AddDocument(victim, region, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour, Answer: c.answer})
			}))
			records := b.run()
			b.completed(records, "memory")
			if r := records["memory"]; r.State != c.state || !strings.Contains(r.Message, c.want) {
				t.Errorf("memory is %s: %s", r.State, r.Message)
			}
			b.sweep()
			err := b.world.Edit(func(e *sim.Editor) {
				if u := e.Bucket("evidence").Uploads; len(u) != 0 {
					t.Errorf("an upload is still open: %v", u)
				}
				for _, cmd := range e.Commands(victim, region) {
					for _, run := range cmd.Runs {
						if run.Ended.IsZero() {
							t.Error("the command still runs")
						}
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAToolThatIsNotTheConfiguredOneIsNotRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, _ []string) {
		e.PutObject("evidence", "tools/avml-x86_64", sim.Object{Body: []byte("another")})
	}))
	records := b.run()
	if r := records["memory"]; r.State != playbook.Skipped || !strings.Contains(r.Message, "does not have the configured SHA-256") {
		t.Errorf("memory is %s: %s", r.State, r.Message)
	}
	if n := len(b.calls("SSM.SendCommand")); n != 0 {
		t.Errorf("%d commands were sent", n)
	}
}
