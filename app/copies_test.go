package app

import (
	"io"
	"slices"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
)

// The copy of the manifest in the evidence bucket is what others are shown: one
// bit of it, or of its signature, and a deletion are named.
func TestTheManifestInTheBucketIsReadBack(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	named := func() (list []string) {
		t.Helper()
		report, err := r.desk.VerifyEvidence(t.Context(), 1, "kim")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			list = append(list, p.What)
		}
		return list
	}
	if list := named(); len(list) > 0 {
		t.Fatalf("before anything was changed: %q", list)
	}
	const bucket = "evidence-of-tests"
	for _, key := range []string{"g/INC-1/manifest/0001.json", "g/INC-1/manifest/0001.sig.json"} {
		want := []string{"manifest revision 1 at s3://" + bucket + "/" + key}
		for what, change := range map[string]func(e *sim.Editor){
			"one bit":         func(e *sim.Editor) { e.Object(bucket, key).Body[9] ^= 1 },
			"a byte more":     func(e *sim.Editor) { o := e.Object(bucket, key); o.Body = append(o.Body, 'x') },
			"a delete marker": func(e *sim.Editor) { e.Object(bucket, key).Deleted = true },
		} {
			var kept sim.Object
			if err := r.world.Edit(func(e *sim.Editor) {
				kept = *e.Object(bucket, key)
				kept.Body = slices.Clone(kept.Body)
				change(e)
			}); err != nil {
				t.Fatal(err)
			}
			if list := named(); !slices.Equal(list, want) {
				t.Errorf("%s of %s: named %q", what, key, list)
			}
			if err := r.desk.ExportEvidence(t.Context(), 1, io.Discard, "kim"); fault.CodeOf(err) != fault.Corrupt {
				t.Errorf("%s of %s: the export ended with %v", what, key, err)
			}
			if err := r.world.Edit(func(e *sim.Editor) {
				versions := e.Bucket(bucket).Objects[key]
				*versions[len(versions)-1] = kept
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.desk.ExportEvidence(t.Context(), 1, io.Discard, "kim"); err != nil {
		t.Error("as it was again:", err)
	}
}

func TestWhatTheAuditChainHasAboutCopiesIsReadOnce(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", nil, nil)
	r.take(t, true)
	p := r.plan(t)
	got, err := r.desk.ApprovePlan(t.Context(), p.Row.ID, p.Row.Digest[:8], "it mines", raj)
	if err != nil {
		t.Fatal(err)
	}
	r.ended(t, got.Row.Run)
	c, err := r.desk.chain(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	c.last = 0 // read the whole chain a second time, as after a crash between note and end of the step
	if err := c.read(t.Context(), r.desk.store); err != nil {
		t.Fatal(err)
	}
	want := []evidence.KeptCopy{{Revision: 1, Location: "s3://evidence-of-tests/g/INC-1/manifest/0001.json", Account: victimAccount, Region: victimRegion, SHA256: c.seals[1]}}
	if !slices.Equal(c.kept(), want) {
		t.Errorf("%+v", c.kept())
	}
}
