package forensics_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
)

// seal makes the manifest of what the run preserved, as the room that carries
// plans out does, and keeps it in the evidence bucket.
func (b *bench) seal(records map[string]playbook.Record) (evidence.Sealed, evidence.Manifest) {
	b.t.Helper()
	items, gaps, custody := forensics.Collect(slices.Collect(maps.Values(records)))
	items, custody = evidence.OfRun(string(runID), items, custody)
	m, err := evidence.Build(nil, evidence.Parts{Case: evidence.Case{Incident: "INC-42"}, Run: string(runID), By: "guardroom/" + string(runID), Items: items, Gaps: gaps, Custody: custody, Simulated: true}, b.clock.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := evidence.Seal(m, nil, "a test has no key")
	if err != nil {
		b.t.Fatal(err)
	}
	if s.Location, err = b.keep(s); err != nil {
		b.t.Fatal(err)
	}
	return s, m
}

func (b *bench) keep(s evidence.Sealed) (string, error) {
	where, _, err := forensics.PutManifest(b.t.Context(), b.world.AWS(), b.policy, place(awscalls.Read, victim), s, b.clock.Now())
	return where, err
}

func TestTheManifestAndItsSignatureAreKeptOnceInTheBucket(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	records := b.run()
	b.completed(records)
	s, m := b.seal(records)
	if s.Location != "s3://evidence/INC-42/manifest/0001.json" {
		t.Errorf("it is kept at %q", s.Location)
	}
	if again, err := b.keep(s); err != nil || again != s.Location {
		t.Errorf("the same manifest again: %q, %v", again, err)
	}
	other := m
	other.Gaps = append(slices.Clone(m.Gaps), evidence.Gap{What: "x"})
	o, err := evidence.Seal(other, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.keep(o); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("another manifest under the same name: %v", err)
	}
	if err := b.world.Edit(func(e *sim.Editor) {
		if o := e.Object("evidence", "INC-42/manifest/0001.json"); o == nil || !bytes.Equal(o.Body, s.Bytes) {
			t.Errorf("the object is %+v", o)
		}
		if o := e.Object("evidence", "INC-42/manifest/0001.sig.json"); o == nil || !bytes.Contains(o.Body, []byte(s.SHA256)) {
			t.Errorf("the signature is %+v", o)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutABucketNothingIsWrittenAndThatIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, with(func(p *respond.Policy) { p.Evidence.Bucket = "" }))
	records := b.run()
	b.completed(records)
	s, m := b.seal(records)
	if s.Location != "" || len(b.calls("S3.PutObject")) != 0 {
		t.Errorf("it is kept at %q", s.Location)
	}
	if !slices.ContainsFunc(m.Gaps, func(g evidence.Gap) bool { return strings.Contains(g.Why, "no evidence bucket is configured") }) {
		t.Errorf("the gaps are %v", m.Gaps)
	}
}

func TestABucketWithoutObjectLockKeepsTheObjectsAndSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, func(_ *sim.Options, p *respond.Policy, e *edits) {
		p.Evidence.Bucket = "plain"
		e.first = append(e.first, func(e *sim.Editor) {
			e.AddBucket(victim, sim.Bucket{Name: "plain", Region: region})
			e.PutObject("plain", "tools/avml-x86_64", sim.Object{Body: []byte("avml")})
		})
	})
	records := b.run()
	b.completed(records)
	if why := b.gap(records, "lock of console.txt"); why != "the evidence bucket has no Object Lock" {
		t.Errorf("the gap says %q", why)
	}
}

func TestAnAcquisitionThatIsPartOfALargerPlanWorksAndIsUndoneAsByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	alone := b.draft()
	d := respond.Combine([]respond.Draft{{Target: respond.Target{ID: "AKIA"}}, {Target: alone.Target, Steps: alone.Steps}}, func(int, int) bool { return true })
	b.plan = &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_1", Incident: 42, Playbook: "sequence", Target: d.Target, Steps: d.Steps}
	records := b.run()
	b.completed(records)
	for _, s := range b.snapshots(victim) {
		if left := b.shares(*s.SnapshotId); len(left) != 0 {
			t.Errorf("%s is still shared with %q", *s.SnapshotId, left)
		}
	}
	if left := b.owed.left(); len(left) != 0 {
		t.Errorf("still owed: %q", left)
	}
	_, m := b.seal(records)
	for _, i := range m.Items {
		if !strings.HasPrefix(i.ID, "run_1/p2/") {
			t.Errorf("an item is called %s", i.ID)
		}
		if i.Kind == evidence.Copy && strings.Contains(i.ID, "/copy/") && i.LockMode == "" {
			t.Errorf("%s is not locked", i.ID)
		}
	}
	for id, r := range b.undo() {
		if r.State != playbook.Completed {
			t.Errorf("%s is %s: %s", id, r.State, r.Message)
		}
	}
	if v, w := len(b.copies(lab)), len(b.workstations(lab)); v != 0 || w != 0 {
		t.Errorf("%d volumes and %d workstations are left", v, w)
	}
}
