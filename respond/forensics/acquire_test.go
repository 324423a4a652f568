package forensics_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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
	"github.com/guardroom/guardroom/respond/forensics"
)

func TestDefect01ThreeVolumesThreeSnapshotsOfOneInstant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	list := b.snapshots(victim)
	of := map[string]bool{}
	for _, s := range list {
		of[aws.ToString(s.VolumeId)] = true
		if s.State != types.SnapshotStateCompleted || !s.StartTime.Equal(*list[0].StartTime) {
			t.Errorf("%s is %s and of %s, the first of %s", *s.SnapshotId, s.State, s.StartTime, list[0].StartTime)
		}
	}
	if len(list) != 3 || len(of) != 3 {
		t.Errorf("%d snapshots of %d volumes, want 3 of 3", len(list), len(of))
	}
	if n := len(b.calls("EC2.CreateSnapshots")); n != 1 {
		t.Errorf("%d calls for one set", n)
	}
	items, _, _ := b.evidence(records)
	sets := map[string]int{}
	for _, i := range items {
		if i.Kind == evidence.Snapshot {
			sets[i.Set]++
		}
	}
	if len(sets) != 1 || sets[""] != 0 {
		t.Errorf("the items are of the sets %v, want one", sets)
	}
}

func TestDefect54EveryVolumeIsAttachedToAWorkstationInTheConfiguredGroups(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, _ []string) {
		e.AddSecurityGroup(victim, region, sim.SecurityGroupSpec{ID: "sg-more", VPC: "vpc-lab", Name: "more"})
	}), with(func(p *respond.Policy) { p.Forensics.SecurityGroups = []string{"sg-lab", "sg-more"} }))
	b.completed(b.run())
	w := b.workstations(victim)
	if len(w) != 1 {
		t.Fatalf("%d workstations", len(w))
	}
	var groups []string
	for _, g := range w[0].NetworkInterfaces[0].Groups {
		groups = append(groups, aws.ToString(g.GroupId))
	}
	slices.Sort(groups)
	if !slices.Equal(groups, []string{"sg-lab", "sg-more"}) {
		t.Errorf("it is in %q", groups)
	}
	var devices []string
	for _, v := range b.copies(victim) {
		if len(v.Attachments) != 1 || aws.ToString(v.Attachments[0].InstanceId) != aws.ToString(w[0].InstanceId) || v.Attachments[0].State != types.VolumeAttachmentStateAttached {
			t.Errorf("%s is attached as %+v", *v.VolumeId, v.Attachments)
			continue
		}
		if aws.ToBool(v.Attachments[0].DeleteOnTermination) {
			t.Errorf("%s would be deleted with the workstation", *v.VolumeId)
		}
		devices = append(devices, aws.ToString(v.Attachments[0].Device))
	}
	slices.Sort(devices)
	if !slices.Equal(devices, []string{"/dev/sdf", "/dev/sdg", "/dev/sdh"}) {
		t.Errorf("attached at %q", devices)
	}
}

func TestDefect27TheWorkstationIsPrivateEncryptedAndProtected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.completed(b.run())
	w := b.workstations(victim)
	if len(w) != 1 {
		t.Fatalf("%d workstations", len(w))
	}
	i := w[0]
	if i.PublicIpAddress != nil || i.MetadataOptions == nil || i.MetadataOptions.HttpTokens != types.HttpTokensStateRequired || aws.ToInt32(i.MetadataOptions.HttpPutResponseHopLimit) != 1 {
		t.Errorf("public address %v, metadata %+v", i.PublicIpAddress, i.MetadataOptions)
	}
	if i.KeyName != nil {
		t.Errorf("it can be logged in to with the key %s", *i.KeyName)
	}
	a, err := b.ec2(victim).DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: types.InstanceAttributeNameDisableApiTermination})
	if err != nil || !aws.ToBool(a.DisableApiTermination.Value) {
		t.Errorf("it is not protected from termination: %+v, %v", a, err)
	}
	out, err := b.ec2(victim).DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{*i.InstanceId}}}})
	if err != nil || len(out.Volumes) != 4 {
		t.Fatalf("%d volumes are attached, want root and three: %v", len(out.Volumes), err)
	}
	for _, v := range out.Volumes {
		if !aws.ToBool(v.Encrypted) {
			t.Errorf("%s is not encrypted", *v.VolumeId)
		}
	}
	for _, tag := range []string{respond.TagIncident, respond.TagRun, respond.TagStep, respond.TagExpires} {
		if !slices.ContainsFunc(i.Tags, func(x types.Tag) bool { return aws.ToString(x.Key) == tag }) {
			t.Errorf("it has no tag %s", tag)
		}
	}
}

func TestDefect05VolumesFollowTheZoneInWhichThereWasCapacity(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, _ []string) {
		for _, typ := range []string{"m7i.xlarge", "m6i.xlarge"} {
			e.ShortCapacity(victim, region, typ, "b", -1, "")
			e.ShortCapacity(victim, region, typ, "c", -1, "")
		}
		e.ShortCapacity(victim, region, "m5.xlarge", "b", -1, "")
	}))
	records := b.run()
	b.completed(records)
	w := b.workstations(victim)
	if len(w) != 1 || w[0].InstanceType != "m5.xlarge" || aws.ToString(w[0].Placement.AvailabilityZone) != region+"c" {
		t.Fatalf("workstations: %+v", w)
	}
	for _, v := range b.copies(victim) {
		if aws.ToString(v.AvailabilityZone) != region+"c" {
			t.Errorf("%s is in %s, and the workstation in %sc", *v.VolumeId, *v.AvailabilityZone, region)
		}
	}
	tokens := map[string]bool{}
	for _, c := range b.calls("EC2.RunInstances") {
		tokens[aws.ToString(c.Input.(*ec2.RunInstancesInput).ClientToken)] = true
	}
	if len(tokens) != 6 || len(b.calls("EC2.RunInstances")) != 6 {
		t.Errorf("%d calls with %d tokens, want 6 with one each", len(b.calls("EC2.RunInstances")), len(tokens))
	}
}

func TestCapacityThatComesBackIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, _ []string) {
		for _, typ := range []string{"m7i.xlarge", "m6i.xlarge", "m5.xlarge"} {
			e.ShortCapacity(victim, region, typ, "b", 2, "")
			e.ShortCapacity(victim, region, typ, "c", -1, "")
		}
	}))
	b.completed(b.run())
	if n := len(b.workstations(victim)); n != 1 {
		t.Errorf("%d workstations", n)
	}
}

func TestAQuotaLeavesTheSnapshotsAndNamesEveryRefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, _ []string) {
		for _, typ := range []string{"m7i.xlarge", "m6i.xlarge", "m5.xlarge"} {
			for _, az := range []string{"b", "c"} {
				e.ShortCapacity(victim, region, typ, az, -1, "VcpuLimitExceeded")
			}
		}
	}))
	records := b.run()
	if r := records["workstation"]; r.State != playbook.Failed || !strings.Contains(r.Message, "m5.xlarge in subnet-b: VcpuLimitExceeded") || !strings.Contains(r.Message, "quota of the account") || r.Ended.Sub(r.Started) > 3*time.Minute {
		t.Errorf("the workstation is %s after %s: %s", r.State, r.Ended.Sub(r.Started), r.Message)
	}
	for _, id := range []string{"snapshot/" + b.volumes[0], "lock/" + b.volumes[0], "report", "memory"} {
		if records[id].State != playbook.Completed {
			t.Errorf("%s is %s: %s", id, records[id].State, records[id].Message)
		}
	}
	if why := b.gap(records, "workstation"); !strings.Contains(why, "VcpuLimitExceeded") || !strings.HasSuffix(why, "; so the working copies and attachments of "+b.volumes[0]+", "+b.volumes[1]+" and "+b.volumes[2]+" are missing as well") {
		t.Errorf("the gap says %q", why)
	}
}

func TestDefect04SlowVolumesAreAttachedOnlyWhenTheyAreAvailable(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *sim.Options, _ *respond.Policy, _ *edits) { o.Times.CreateVolume = 7 * time.Minute })
	b.completed(b.run())
	made := map[string]time.Time{}
	for _, c := range b.calls("EC2.CreateVolume") {
		made[aws.ToString(c.Input.(*ec2.CreateVolumeInput).SnapshotId)] = c.At
	}
	asked := b.calls("EC2.AttachVolume")
	if len(made) != 3 || len(asked) != 3 {
		t.Fatalf("%d volumes were made and %d times attached", len(made), len(asked))
	}
	last := time.Time{}
	for _, at := range made {
		if at.After(last) {
			last = at
		}
	}
	for _, c := range asked {
		if c.Err != nil {
			t.Errorf("AWS refused: %v", c.Err)
		}
	}
	if asked[2].At.Before(last.Add(7 * time.Minute)) {
		t.Errorf("attached at %s, and the last volume was asked for at %s", asked[2].At, last)
	}
}

func TestDefect06AnEmptyListOfStatusChecksIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *sim.Options, _ *respond.Policy, _ *edits) {
		o.Times.StatusShown, o.Times.StatusOK = 3*time.Minute, 4*time.Minute
	})
	records := b.run()
	b.completed(records)
	r := records["workstation/ready"]
	if took := r.Ended.Sub(r.Started); took < 4*time.Minute {
		t.Errorf("it was called ready after %s", took)
	}
}

func TestDefect03WaitingForADayAsksSomeHundredTimes(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, volumes []string) {
		e.ScriptSnapshots(victim, region, volumes[1], sim.SnapshotScript{Takes: 6 * time.Hour})
	}))
	b.completed(b.run())
	if n := len(b.calls("EC2.DescribeSnapshots")); n > 600 {
		t.Errorf("%d calls to wait six hours", n)
	}
}

func TestDefect31WaitingIsAStateWithProgressAndNoFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := map[int64]bool{}
	wait := "snapshot/" + b.volumes[1]
	b.journal.OnPut = func(r playbook.Record) {
		if r.Name != wait {
			return
		}
		if !r.State.Ended() && (r.State != playbook.Running || r.Error != nil || strings.Contains(r.Message, "again")) {
			t.Errorf("while it waits it is %s: %s", r.State, r.Message)
		}
		seen[r.Progress.Done] = true
		if r.Progress.Total == 100 && r.Progress.Done < 100 && (r.Progress.ShortestSeconds <= 0 || r.Progress.LongestSeconds < r.Progress.ShortestSeconds) {
			t.Errorf("the range is %d to %d s", r.Progress.ShortestSeconds, r.Progress.LongestSeconds)
		}
	}
	b.completed(b.run())
	if len(seen) < 5 || !seen[100] {
		t.Errorf("percentages seen: %v", seen)
	}
}

func TestDefect43ASnapshotThatEndsInErrorIsNamedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, also(func(e *sim.Editor, volumes []string) {
		e.ScriptSnapshots(victim, region, volumes[1], sim.SnapshotScript{Message: "the disk is on fire"})
	}))
	records := b.run()
	bad := b.volumes[1]
	b.completed(records, "snapshot/"+bad, "volume/"+bad, "attach/"+bad, "hash/"+bad)
	r := records["snapshot/"+bad]
	if r.State != playbook.Failed || !strings.Contains(r.Message, "state error: the disk is on fire") {
		t.Errorf("it is %s: %s", r.State, r.Message)
	}
	if len(b.copies(victim)) != 2 {
		t.Errorf("%d evidence volumes, want those of the other two", len(b.copies(victim)))
	}
	if why := b.gap(records, "snapshot of "+bad); !strings.Contains(why, "the disk is on fire; so its working copy and attachment are missing as well") {
		t.Errorf("the gap says %q", why)
	}
}

func TestDefect02ADescribeThatFailsFailsTheStepAndKeepsTheSnapshot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.String() == "EC2.DescribeSnapshots" {
			return refusal("UnauthorizedOperation")
		}
		return nil
	}
	records := b.run()
	r := records["snapshot/"+b.volumes[0]]
	if r.State != playbook.Failed || r.Error == nil || r.Error.Code != "denied" {
		t.Errorf("it is %s: %+v", r.State, r.Error)
	}
	if items, _, _ := b.evidence(records); !slices.ContainsFunc(items, func(i evidence.Item) bool {
		return i.Kind == evidence.Snapshot && strings.HasPrefix(i.Location, "snap-")
	}) {
		t.Error("the id of the snapshot is lost")
	}
	if n := len(b.copies(victim)); n != 0 {
		t.Errorf("%d volumes were made of what nobody knows to be complete", n)
	}
	if n := len(b.snapshots(victim)); n != 3 {
		t.Errorf("%d snapshots", n)
	}
}

func TestALostAnswerMakesNoSecondSet(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"cut", "InternalError"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(o *sim.Options, _ *respond.Policy, _ *edits) {
				o.Invisible = map[string]time.Duration{"CreateSnapshots": 40 * time.Second}
			})
			b.draft()
			lost := false
			b.life.script = func(phase sim.Phase, c sim.Call) error {
				if phase == sim.After && c.String() == "EC2.CreateSnapshots" && !lost {
					lost = true
					if code == "cut" {
						return io.ErrUnexpectedEOF
					}
					return refusal(code)
				}
				return nil
			}
			records := b.run()
			b.completed(records)
			if n := len(b.snapshots(victim)); !lost || n != 3 {
				t.Errorf("%d snapshots", n)
			}
		})
	}
}

func TestAThrottledSetIsAskedForAgainAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	n := 0
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.String() == "EC2.CreateSnapshots" && n < 3 {
			n++
			return refusal("RequestLimitExceeded")
		}
		return nil
	}
	records := b.run()
	b.completed(records)
	r := records[forensics.StepSnapshots]
	if took := r.Ended.Sub(r.Started); took > 30*time.Second {
		t.Errorf("it took %s: a plain no was taken for a lost answer", took)
	}
}

func TestVolumesThatTheSetCannotHoldGetASnapshotOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.String() == "EC2.CreateSnapshots" {
			return refusal("UnsupportedOperation")
		}
		if in, ok := c.Input.(*ec2.CreateSnapshotInput); ok && phase == sim.Before && aws.ToString(in.VolumeId) == b.volumes[2] {
			return refusal("UnauthorizedOperation")
		}
		return nil
	}
	records := b.run()
	bad := b.volumes[2]
	b.completed(records, "snapshot/"+bad, "lock/"+bad, "volume/"+bad, "attach/"+bad)
	if n := len(b.snapshots(victim)); n != 2 {
		t.Errorf("%d snapshots, want 2", n)
	}
	if why := b.gap(records, "one instant of "+b.volumes[0]); !strings.Contains(why, "UnsupportedOperation") {
		t.Errorf("that the two are not of one instant is said so: %q", why)
	}
	if why := b.gap(records, "snapshot of "+bad); !strings.Contains(why, "UnauthorizedOperation") {
		t.Errorf("the missing one is said so: %q", why)
	}
}

func TestALockThatIsRefusedIsAGapAndStopsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.String() == "EC2.LockSnapshot" {
			return refusal("UnauthorizedOperation")
		}
		return nil
	}
	records := b.run()
	var locks []string
	for _, v := range b.volumes {
		locks = append(locks, "lock/"+v)
		if r := records["lock/"+v]; r.State != playbook.Failed {
			t.Errorf("%s is %s", r.Name, r.State)
		}
	}
	b.completed(records, locks...)
	if why := b.gap(records, "locks of the snapshots of "+b.volumes[0]+", "+b.volumes[1]+" and "+b.volumes[2]); !strings.Contains(why, "UnauthorizedOperation") {
		t.Errorf("the gap says %q", why)
	}
}

func TestDefect26SnapshotsAreLockedForTheDaysOfThePolicy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	out, err := b.ec2(victim).DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{})
	if err != nil || len(out.Snapshots) != 3 {
		t.Fatalf("%d are locked: %v", len(out.Snapshots), err)
	}
	for _, l := range out.Snapshots {
		if l.LockState != types.LockStateGovernance || aws.ToInt32(l.LockDuration) != 30 {
			t.Errorf("%s is locked as %s for %d days", *l.SnapshotId, l.LockState, aws.ToInt32(l.LockDuration))
		}
	}
	items, _, _ := b.evidence(records)
	for _, i := range items {
		if i.Kind == evidence.Snapshot && (i.LockMode != "governance" || i.LockUntil.Before(noon.AddDate(0, 0, 29))) {
			t.Errorf("%s says it is locked %q until %s", i.ID, i.LockMode, i.LockUntil)
		}
	}
}

func TestAnImageThatIsMissingIsFoundWhenThePlanIsMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ image, want string }{
		"no such parameter": {"ssm:/no/such", "there is no parameter /no/such"},
		"no such image":     {"ami-0123456789abcdef0", "does not exist"},
		"no id":             {"ubuntu", "is no id of an image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, with(func(p *respond.Policy) { p.Forensics.Image = c.image }))
			plan := b.draft()
			if !slices.ContainsFunc(plan.Guards, func(g respond.Guard) bool {
				return g.Name == "workstation" && g.Answer == respond.Warn && strings.Contains(g.Why, c.want)
			}) {
				t.Errorf("no guard says %q: %+v", c.want, plan.Guards)
			}
			records := b.run()
			b.completed(records)
			if len(b.snapshots(victim)) != 3 || b.gap(records, "workstation") == "" {
				t.Error("the snapshots, or the stated gap, are missing")
			}
		})
	}
}

func TestAnImageOfAStrangerIsNotStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.draft()
	err := b.world.Edit(func(e *sim.Editor) { // between the plan and the run
		img := e.AddImage(victim, region, sim.ImageSpec{Owner: "999999999999", Public: true})
		e.AddParameter(victim, region, sim.Parameter{Name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Value: img})
	})
	if err != nil {
		t.Fatal(err)
	}
	records := b.run()
	if r := records["workstation"]; r.State != playbook.Failed || !strings.Contains(r.Message, "owned by 999999999999") {
		t.Errorf("it is %s: %s", r.State, r.Message)
	}
	if len(b.workstations(victim)) != 0 || len(b.snapshots(victim)) != 3 {
		t.Error("something was started, or the snapshots were not made")
	}
}

func TestAnInstanceThatIsGoneIsSaidSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.request()
	r.Target.ID = "i-0ffffffffffffffff"
	if _, err := forensics.Playbook().Describe(t.Context(), b.world.AWS(), r); err == nil || !strings.Contains(err.Error(), "is not in eu-west-1 any more") {
		t.Errorf("an unknown instance: %v", err)
	}
	r.Target.ID = "i-1; rm -rf /"
	if _, err := forensics.Playbook().Describe(t.Context(), b.world.AWS(), r); err == nil || !strings.Contains(err.Error(), "is no id of an instance") {
		t.Errorf("an id that is none: %v", err)
	}
	if n := len(b.world.Calls()); n != 1 {
		t.Errorf("%d calls; a text that is no id reaches AWS", n)
	}
}

func TestWhatAWSShowsIsKeptInTheBucketAndUserDataNowhereElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	err := b.world.Edit(func(e *sim.Editor) {
		for name, want := range map[string]string{"console.txt": "login:", "user-data.bin": "password=hunter2"} {
			o := e.Object("evidence", "INC-42/run_1/"+name)
			if o == nil || !strings.Contains(string(o.Body), want) {
				t.Errorf("%s holds %+v, want %q", name, o, want)
			}
		}
		var doc struct {
			Volumes []struct{ VolumeId string }
		}
		if err := json.Unmarshal(e.Object("evidence", "INC-42/run_1/instance.json").Body, &doc); err != nil || len(doc.Volumes) != 3 {
			t.Errorf("instance.json: %+v, %v", doc, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(records)
	if err != nil || bytes.Contains(raw, []byte("hunter2")) || bytes.Contains(raw, []byte("cGFzc3dvcmQ")) {
		t.Error("the user data stands in the journal")
	}
	if m := fmt.Sprintf("%+v", b.plan); strings.Contains(m, "hunter2") {
		t.Error("the user data stands in the plan")
	}
}

func TestABucketThatIsNotThereIsNamedAndNotTheInstance(t *testing.T) {
	t.Parallel()
	b := newBench(t, with(func(p *respond.Policy) { p.Evidence.Bucket = "evidence-typo" }))
	records := b.run()
	for _, id := range []string{forensics.StepScreenshot, forensics.StepConsole, forensics.StepMetadata} {
		rec := records[id]
		if rec.State != playbook.Completed || !strings.Contains(rec.Message, "in the record of this step, SHA-256 ") || strings.Contains(rec.Message, "terminated") {
			t.Errorf("%s is %s: %s", id, rec.State, rec.Message)
		}
		var kept []byte
		if !rec.Load("data", &kept) || len(kept) == 0 {
			t.Errorf("%s kept nothing", id)
		}
		if _, _, custody := respond.EvidenceOf(rec); len(custody) != 1 {
			t.Errorf("%s: custody %+v", id, custody)
		}
	}
	what := "picture of the console, console output and description by AWS of " + instance + ", in the evidence bucket"
	if why := b.gap(records, what); !strings.HasPrefix(why, "evidence bucket evidence-typo: AWS answered S3.PutObject with NoSuchBucket") || !strings.HasSuffix(why, "; guardroom's store has what was read") {
		_, gaps, _ := b.evidence(records)
		t.Errorf("the gap says %q: %+v", why, gaps)
	}
	secret := records[forensics.StepUserData]
	if secret.State != playbook.Failed || !strings.Contains(secret.Error.Hint, "the bucket is not there") || secret.Load("data", new([]byte)) {
		t.Errorf("the user data: %s, %+v", secret.State, secret.Error)
	}
	if records[forensics.StepSnapshots].State != playbook.Completed {
		t.Errorf("the snapshots: %s", records[forensics.StepSnapshots].Message)
	}
}

func TestDefect12EachItemIsTaggedHashedLockedAndEncryptedOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	b := newBench(t, small, with(func(p *respond.Policy) { p.Forensics.Hash, p.Evidence.KMSKey = "auto", "" }))
	records := b.run()
	b.completed(records)
	items, gaps, custody := b.evidence(records)
	if len(items) != 10 || len(custody) < 9 || len(gaps) != 0 {
		t.Errorf("%d items, %d lines of custody, gaps %v", len(items), len(custody), gaps)
	}
	for _, i := range items {
		if i.SHA256 == "" && i.Gap == "" {
			t.Errorf("%s has neither a hash nor a reason", i.ID)
		}
		if i.LockMode == "" && !i.Working && i.Kind != evidence.Memory {
			t.Errorf("%s is not locked", i.ID)
		}
		if i.How == "" || i.Trust == "" || i.Account == "" || i.CreatedAt.IsZero() || !i.Simulated {
			t.Errorf("%s lacks how, trust, account, time, or that it is simulated: %+v", i.ID, i)
		}
		if i.Working != !i.WorkingUntil.IsZero() {
			t.Errorf("%s: working %v until %s", i.ID, i.Working, i.WorkingUntil)
		}
	}
	for _, s := range b.snapshots(victim) {
		for _, tag := range []string{respond.TagIncident, respond.TagRun, respond.TagStep} {
			if !slices.ContainsFunc(s.Tags, func(x types.Tag) bool { return aws.ToString(x.Key) == tag }) {
				t.Errorf("%s has no tag %s", *s.SnapshotId, tag)
			}
		}
	}
}

// small makes the volumes as small as they can be, for tests that read them.
func small(_ *sim.Options, _ *respond.Policy, e *edits) {
	e.instance.Volumes = []sim.VolumeSpec{{GiB: 1}}
}

func TestDefect50ThePathOfAVolumeIsThatByItsID(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	records := b.run()
	b.completed(records)
	for _, v := range b.copies(victim) {
		of := ""
		for _, tag := range v.Tags {
			if aws.ToString(tag.Key) == "guardroom:source-volume" {
				of = aws.ToString(tag.Value)
			}
		}
		want := "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_" + strings.ReplaceAll(aws.ToString(v.VolumeId), "-", "")
		if m := records["attach/"+of].Message; !strings.Contains(m, want) {
			t.Errorf("%s does not say %s", m, want)
		}
	}
}
