package forensics_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

// filled gives the first volume of the host a few blocks.
var filled = also(func(e *sim.Editor, volumes []string) {
	blocks := map[int32][]byte{}
	for n := range int32(30) {
		blocks[n*60] = []byte{byte(n), 9}
	}
	e.SetBlocks(victim, region, volumes[0], blocks)
})

func TestACopyCountsAsVerifiedOnceItsBlocksAreThoseOfTheOriginal(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, small, hashed, toLab, filled)
	records := b.run()
	b.completed(records)
	v := b.volumes[0]
	items, _, custody := b.evidence(records)
	sums := map[string]string{}
	for _, i := range items {
		sums[i.ID] = i.SHA256
	}
	if sums["snapshot/"+v] == "" || sums["snapshot/"+v] != sums["copy/"+v] {
		t.Errorf("the hashes are %q", sums)
	}
	verified := false
	for _, c := range custody {
		verified = verified || c.Action == "verified" && c.Item == "copy/"+v
	}
	if !verified {
		t.Errorf("the chain of custody is %+v", custody)
	}
	s, _ := b.seal(records)
	read := forensics.Reader{AWS: b.world.AWS(), Incident: "INC-42", Home: lab}
	r, err := evidence.Verify(t.Context(), s, read, read, evidence.Options{At: b.clock.Now(), Places: read})
	if err != nil || !r.Good() {
		t.Errorf("the evidence: %+v, %v", r.Problems, err)
	}
}

func TestACopyThatDiffersIsNamedWithItsBlocksAndNothingElseIsHeldUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, small, hashed, toLab, filled)
	b.draft()
	v := b.volumes[0]
	b.journal.OnPut = func(r playbook.Record) {
		if r.Name != "lock-copy/"+v || r.State != playbook.Completed {
			return
		}
		id := aws.ToString(b.snapshots(lab)[0].SnapshotId)
		if err := b.world.Edit(func(e *sim.Editor) {
			e.ChangeBlock(lab, region, id, 120, []byte{1, 2, 3})
			e.ChangeBlock(lab, region, id, 121, []byte{4})
		}); err != nil {
			t.Error(err)
		}
	}
	records := b.run()
	b.completed(records, "compare/"+v)
	r := records["compare/"+v]
	if r.State != playbook.Failed || !strings.Contains(r.Message, "block 120, 121 differ") {
		t.Errorf("the comparison is %s: %s", r.State, r.Message)
	}
	if why := b.gap(records, "proof that the copy of "+v); !strings.Contains(why, "block 120, 121 differ") {
		t.Errorf("the gap says %q", why)
	}
	_, _, custody := b.evidence(records)
	for _, c := range custody {
		if c.Action == "verified" {
			t.Errorf("it counts as verified: %+v", c)
		}
	}
}

func TestAnOriginalThatMayNotBeReadIsAGapOfTheComparisonAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, small, hashed, toLab, filled)
	b.draft()
	v := b.volumes[0]
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.Before && c.Service == "EBS" && c.Place.Account == victim {
			return refusal("AccessDeniedException")
		}
		return nil
	}
	records := b.run()
	b.completed(records, "hash-original/"+v, "compare/"+v)
	if r := records["compare/"+v]; r.State != playbook.Skipped {
		t.Errorf("the comparison is %s: %s", r.State, r.Message)
	}
	if why := b.gap(records, "hash of the original snapshot of "+v); why == "" {
		t.Error("nothing says that the copy was not compared")
	}
	if s := records["hash/"+v]; s.State != playbook.Completed {
		t.Errorf("the copy is not hashed: %s", s.Message)
	}
}

func TestWithoutHashesNothingIsCompared(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Forensics.Account, p.Forensics.Hash = lab, "never"
	for _, s := range draft(t, described(), p, forensics.Hooks{}).Steps {
		if s.Stage == "compare" || s.Stage == "hash-original" {
			t.Errorf("%s is planned", s.ID)
		}
	}
	p.Forensics.Hash = "auto"
	d := draft(t, described(), p, forensics.Hooks{})
	if s := step(t, d, "hash-original/vol-a"); s.Account != victim || s.Role != "act" || s.Effect != respond.Creates {
		t.Errorf("the original is hashed in %s as %s", s.Account, s.Role)
	}
}
