package forensics_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
)

// sealedRun acquires one small volume with hashes, and returns the manifest.
func sealedRun(t *testing.T) (*bench, evidence.Sealed, string) {
	t.Helper()
	b := newBench(t, small, hashed, func(o *sim.Options, _ *respond.Policy, _ *edits) { o.Latency = 0 }, also(func(e *sim.Editor, volumes []string) {
		blocks := map[int32][]byte{}
		for n := range int32(40) {
			blocks[n*50] = []byte{byte(n), 7}
		}
		e.SetBlocks(victim, region, volumes[0], blocks)
	}))
	records := b.run()
	b.completed(records)
	s, _ := b.seal(records)
	return b, s, aws.ToString(b.snapshots(victim)[0].SnapshotId)
}

func TestVerificationReadsWhatIsStoredAndNamesOneChangedByte(t *testing.T) {
	t.Parallel()
	b, s, snapshot := sealedRun(t)
	verify := func(s evidence.Sealed) evidence.Report {
		t.Helper()
		read := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42"}
		r, err := evidence.Verify(t.Context(), s, read, read, evidence.Options{At: b.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	named := func(r evidence.Report) string {
		var out []string
		for _, p := range r.Problems {
			out = append(out, p.What)
		}
		return strings.Join(out, " | ")
	}
	good := verify(s)
	if !good.Good() {
		t.Fatalf("as it is: %+v", good.Problems)
	}
	checked := 0
	for _, i := range good.Items {
		if i.Good {
			checked++
		}
	}
	if checked < 7 { // manifest, snapshot, block list, picture, output, metadata, user data, memory
		t.Errorf("only %d items were checked: %+v", checked, good.Items)
	}
	image := make([]byte, 1<<30)
	for n := range 40 {
		at := image[n*50*sim.BlockSize : (n*50+1)*sim.BlockSize]
		for k := range at {
			at[k] = []byte{byte(n), 7}[k%2]
		}
	}
	m, err := evidence.Decode(s.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(m.Items, func(i evidence.Item) bool { return i.Location == snapshot })
	if n < 0 || m.Items[n].SHA256 != evidence.Digest(image) {
		t.Errorf("the hash of %s is not that of its image with zeros in the gaps", snapshot)
	}
	err = b.world.Edit(func(e *sim.Editor) {
		e.ChangeBlock(victim, region, snapshot, 100, []byte{1, 2, 3})
		o := e.Object("evidence", "INC-42/run_1/console.txt")
		o.Body = bytes.Clone(o.Body)
		o.Body[0] ^= 1
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Bytes = bytes.Replace(s.Bytes, []byte("simulated"), []byte("simulatef"), 1)
	if got := named(verify(s)); got != "manifest revision 1" {
		t.Errorf("a manifest that cannot be read is named as %q", got)
	}
	s.Bytes = bytes.Replace(s.Bytes, []byte("simulatef"), []byte("simulated"), 1)
	s.Bytes = bytes.Replace(s.Bytes, []byte("picture of"), []byte("picture oF"), 1)
	volume := b.volumes[0]
	want := "manifest revision 1 | run_1/snapshot/" + volume + ", block 100 of " + snapshot + " | run_1/snapshot/" + volume + " | run_1/volatile/console"
	if got := named(verify(s)); got != want {
		t.Errorf("one byte of the manifest, of a block and of an object are named as\n%q, want\n%q", got, want)
	}
}

// TestWhatLiesOverASealedObjectIsNamed writes a changed copy over an object in a
// bucket that keeps versions, and then a delete marker: the sealed version is whole,
// and whoever reads the object without naming it is deceived.
func TestWhatLiesOverASealedObjectIsNamed(t *testing.T) {
	t.Parallel()
	b, s, _ := sealedRun(t)
	c, err := b.world.AWS().S3(t.Context(), awscalls.Place{Account: victim, Region: region, Role: awscalls.Act})
	if err != nil {
		t.Fatal(err)
	}
	bucket, key := aws.String("evidence"), aws.String("INC-42/run_1/console.txt")
	says := func(want string) {
		t.Helper()
		read := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42"}
		r, err := evidence.Verify(t.Context(), s, read, read, evidence.Options{At: b.clock.Now(), Places: read})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) != 1 || r.Problems[0].What != "run_1/volatile/console" || !strings.Contains(r.Problems[0].Why, want) || !strings.Contains(r.Problems[0].Why, "is there") {
			t.Errorf("want %q: %+v", want, r.Problems)
		}
	}
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("other")}); err != nil {
		t.Fatal(err)
	}
	says("lies over version")
	if err := b.world.Edit(func(e *sim.Editor) { e.DeleteObject(*bucket, *key) }); err != nil {
		t.Fatal(err)
	}
	says("hidden by a delete marker")
}

func TestAnythingThatIsGoneOrLessLockedIsNamed(t *testing.T) {
	t.Parallel()
	b, s, snapshot := sealedRun(t)
	volume := b.volumes[0]
	read := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42"}
	named := func() string {
		t.Helper()
		r, err := evidence.Verify(t.Context(), s, read, read, evidence.Options{At: b.clock.Now(), Places: read})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range r.Problems {
			out = append(out, p.What+": "+p.Why)
		}
		return strings.Join(out, "\n")
	}
	if got := named(); got != "" {
		t.Fatalf("as it is: %s", got)
	}
	edit := func(f func(e *sim.Editor)) {
		t.Helper()
		if err := b.world.Edit(f); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(e *sim.Editor) { e.UnlockSnapshot(victim, region, snapshot) })
	if got := named(); !strings.HasPrefix(got, "run_1/snapshot/"+volume+": "+snapshot+" is not locked any more; it was locked (governance) until ") || strings.Contains(got, "\n") {
		t.Errorf("a lock that is gone: %s", got)
	}
	machine := aws.ToString(b.workstations(victim)[0].InstanceId)
	edit(func(e *sim.Editor) {
		o := e.Object("evidence", "INC-42/run_1/console.txt")
		o.LockMode, o.LockUntil = "", time.Time{}
		e.DeleteSnapshot(victim, region, snapshot)
		e.TerminateInstance(victim, region, machine)
	})
	b.clock.Sleep(t.Context(), 10*time.Minute, nil)
	got := named()
	for _, want := range []string{"run_1/snapshot/" + volume + ": " + snapshot + ": missing", "run_1/workstation: i-", "run_1/volatile/console: s3://evidence/INC-42/run_1/console.txt is not locked any more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among\n%s", want, got)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("more is named:\n%s", got)
	}
}

func TestABlockThatDoesNotFitItsChecksumIsAnErrorAndNoHash(t *testing.T) {
	t.Parallel()
	b := newBench(t, small, hashed)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error { return nil }
	b.journal.OnPut = func(r playbook.Record) {
		if r.Name != "lock/"+b.volumes[0] || r.State != playbook.Completed {
			return
		}
		err := b.world.Edit(func(e *sim.Editor) {
			var by map[string]struct{ ID string }
			list, _ := b.journal.Records(t.Context())
			for _, rec := range list {
				if rec.Load("snapshots", &by) {
					e.CorruptBlock(victim, region, by[b.volumes[0]].ID, 0)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	records := b.run()
	b.completed(records, "hash/"+b.volumes[0])
	r := records["hash/"+b.volumes[0]]
	if r.State != playbook.Failed || !strings.Contains(r.Message, "does not fit the checksum") {
		t.Errorf("the hash is %s: %s", r.State, r.Message)
	}
	items, _, _ := b.evidence(records)
	for _, i := range items {
		if i.Kind == evidence.Snapshot && (i.SHA256 != "" || i.Gap == "") {
			t.Errorf("%s has the hash %q, gap %q", i.ID, i.SHA256, i.Gap)
		}
	}
}

func TestAHashGoesOnWhereItWasAfterACrash(t *testing.T) {
	t.Parallel()
	full := func(o *sim.Options, _ *respond.Policy, e *edits) {
		o.Latency, e.noAgent = 0, true
		e.then = append(e.then, func(e *sim.Editor, volumes []string) {
			blocks := map[int32][]byte{}
			for n := range int32(300) { // more than one part of the list
				blocks[n] = []byte{1}
			}
			e.SetBlocks(victim, region, volumes[0], blocks)
		})
	}
	whole := newBench(t, small, hashed, full)
	want := whole.run()
	whole.completed(want)

	b := newBench(t, small, hashed, full)
	b.draft()
	hash := "hash/" + b.volumes[0]
	reads := 0
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if c.String() == "EBS.GetSnapshotBlock" && phase == sim.Before {
			reads++
		}
		return nil
	}
	b.journal.OnPut = func(r playbook.Record) {
		var at struct{ Next int64 }
		if r.Name == hash && r.Load("hashing", &at) && at.Next > 0 && !r.State.Ended() {
			b.life.mu.Lock()
			b.life.dead = true
			b.life.mu.Unlock()
		}
	}
	if _, err := b.execute(); err == nil {
		t.Fatal("the process did not die")
	}
	b.journal.OnPut, b.life.dead = nil, false
	again := reads
	records := b.run()
	b.completed(records)
	_, got, _ := strings.Cut(records[hash].Message, ": ") // ids of snapshots depend on who asked first
	if _, said, _ := strings.Cut(want[hash].Message, ": "); got != said || !strings.Contains(got, "300 blocks") {
		t.Errorf("the hash is another: %s, want %s", records[hash].Message, want[hash].Message)
	}
	if again < 256 || reads-again != 300-256 {
		t.Errorf("%d blocks were read before and %d after, of 300", again, reads-again)
	}
}

func TestTheSlowestSnapshotAndTheBootAreTheWholeTime(t *testing.T) {
	b := newBench(t)
	b.draft()
	start := b.clock.Now()
	records := b.run()
	b.completed(records)
	took := func(id string) time.Duration { return records[id].Ended.Sub(records[id].Started) }
	end := time.Time{}
	slowest, slowVolume, slowAttach, sum := time.Duration(0), time.Duration(0), time.Duration(0), took(forensics.StepSnapshots)
	for _, v := range b.volumes {
		slowest = max(slowest, took("snapshot/"+v))
		slowVolume, slowAttach = max(slowVolume, took("volume/"+v)), max(slowAttach, took("attach/"+v))
		sum += took("snapshot/"+v) + took("lock/"+v) + took("volume/"+v) + took("attach/"+v)
		if e := records["attach/"+v].Ended; e.After(end) {
			end = e
		}
	}
	boot := took(forensics.StepWorkstation) + took(forensics.StepReady)
	sum += boot + took(forensics.StepMemory)
	critical := took(forensics.StepSnapshots) + max(slowest, boot) + slowVolume + slowAttach
	total := end.Sub(start)
	t.Logf("three volumes of 8, 100 and 1 GiB: all attached after %s; one after the other the same steps take %s", total, sum)
	t.Log("\n" + forensics.Timeline(b.plan, records))
	if total > critical+15*time.Second { // one look at the longest pause may come late
		t.Errorf("it took %s, and the critical path is %s", total, critical)
	}
	if total*3/2 > sum {
		t.Errorf("it took %s, and one after the other takes only %s", total, sum)
	}
}
