package forensics_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

func (b *bench) manifest(records map[string]playbook.Record, step string) (evidence.Sealed, evidence.Manifest) {
	b.t.Helper()
	s, err := forensics.Manifest(records[step])
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := evidence.Decode(s.Bytes)
	if err != nil {
		b.t.Fatal(err)
	}
	return s, m
}

func TestTheManifestIsSignedByTheKeyOfThePolicy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "evidence.pem")
	b := newBench(t, quick, with(func(p *respond.Policy) { p.Evidence.SigningKey = file }))
	records := b.run()
	b.completed(records)
	key, err := evidence.OpenKey(file, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, m := b.manifest(records, forensics.StepSeal)
	if err := s.Check(key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	if m.Case.Incident != "INC-42" || !m.Simulated || !slices.Equal(m.Runs, []string{string(runID)}) || m.SealedBy != "guardroom/run_1" {
		t.Errorf("the manifest is of %+v, runs %q, by %s, simulated %v", m.Case, m.Runs, m.SealedBy, m.Simulated)
	}
}

func TestAKeyThatCannotBeUsedLeavesTheManifestUnsignedWithTheReason(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "evidence.pem")
	if err := os.WriteFile(file, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, quick, with(func(p *respond.Policy) { p.Evidence.SigningKey = file }))
	records := b.run()
	b.completed(records)
	s, m := b.manifest(records, forensics.StepSeal)
	if s.Signature.Value != "" || !strings.Contains(s.Signature.Unsigned, "holds no signing key") {
		t.Errorf("the signature is %+v", s.Signature)
	}
	if !slices.ContainsFunc(m.Gaps, func(g evidence.Gap) bool { return g.What == "signature of the manifest" }) {
		t.Errorf("the gap is not stated: %v", m.Gaps)
	}
}

func TestWithoutABucketTheManifestStaysInTheRecordAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, with(func(p *respond.Policy) { p.Evidence.Bucket = "" }))
	records := b.run()
	b.completed(records)
	s, m := b.manifest(records, forensics.StepSeal)
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

func TestTwoRunsThatSealAtTheSameTimeMakeTwoRevisions(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick)
	b.draft()
	once := false
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		// Another run seals between our look and our write.
		if phase != sim.After || c.String() != "S3.ListObjectsV2" || once {
			return nil
		}
		once = true
		m, err := evidence.Build(nil, evidence.Parts{Case: evidence.Case{Incident: "INC-42"}, Run: "run_0", Items: []evidence.Item{{ID: "run_0/other", Gap: "x", CreatedAt: noon}}}, noon)
		if err != nil {
			return err
		}
		s, err := evidence.Seal(m, nil, "")
		if err != nil {
			return err
		}
		return b.world.Edit(func(e *sim.Editor) {
			e.PutObject("evidence", "INC-42/manifest/0001.json", sim.Object{Body: s.Bytes})
		})
	}
	records := b.run()
	b.completed(records)
	s, m := b.manifest(records, forensics.StepSeal)
	if s.Revision != 2 || m.Items[0].ID != "run_0/other" || len(m.Items) < 5 {
		t.Errorf("revision %d with %d items", s.Revision, len(m.Items))
	}
}

func TestAManifestThatSomebodyChangedHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, first(func(e *sim.Editor) {
		e.AddBucket(victim, sim.Bucket{Name: "evidence", Region: region, ObjectLock: true})
	}), also(func(e *sim.Editor, _ []string) {
		e.PutObject("evidence", "INC-42/manifest/0004.json", sim.Object{Body: []byte(`{"schema":1}`)})
	}))
	records := b.run()
	b.completed(records)
	s, m := b.manifest(records, forensics.StepSeal)
	if s.Revision != 5 || m.Previous != evidence.Digest([]byte(`{"schema":1}`)) {
		t.Errorf("revision %d after %s", s.Revision, m.Previous)
	}
	if !slices.ContainsFunc(m.Gaps, func(g evidence.Gap) bool { return g.What == "manifest revision 4" }) {
		t.Errorf("nothing says that the one before cannot be read: %v", m.Gaps)
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
	_, m := b.manifest(records, "p2/"+forensics.StepSeal)
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
