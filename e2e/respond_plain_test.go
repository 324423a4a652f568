package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guardroom/guardroom/respond"
)

// TestWhatAWSDoesNotAnswerStopsNoContainment runs a response against moto alone,
// which answers what it does not implement with 500 and HTML: locks, hashes, the
// agent, the screenshot. Containment is completed and the disks are preserved;
// what could not be done is named, in words for people.
func TestWhatAWSDoesNotAnswerStopsNoContainment(t *testing.T) {
	t.Parallel()
	h := newHost(t, "222222222205", false)
	before := h.outside()
	h.serve("")
	incident := h.attack()
	run := h.approve(h.plan("--incident", incident))
	d := h.follow(run)
	if d.Run.State != respond.RunPartFailed || !d.Run.Contained {
		t.Errorf("the run is %s, contained %v: %s\n%s", d.Run.State, d.Run.Contained, d.Run.Summary, stepLines(d))
	}
	if took := d.Run.EndedAt.Sub(d.Run.StartedAt); took > 15*time.Minute {
		t.Errorf("it took %s", took)
	}
	h.checkContained(run)
	h.checkPreserved(run)
	var failed []string
	for _, s := range d.Progress.Steps {
		if s.State != respond.WordFailed {
			continue
		}
		stage, _, _ := strings.Cut(s.ID, "/")
		if failed = append(failed, s.ID); strings.Contains(s.Message, "operation error") || strings.Contains(s.Message, "StatusCode") {
			t.Errorf("%s speaks as the SDK does: %s", s.ID, s.Message)
		}
		// The proxy gives what moto lacks here. That an interface goes with its
		// instance moto cannot change.
		if s.ID != "volatile/screenshot" && !slices.Contains([]string{"lock", "hash", "protect", "trail"}, stage) {
			t.Errorf("%s failed: %s", s.ID, s.Message)
		}
	}
	list := h.must("evidence", "list", incident)
	lacks := func(words ...string) bool { // in one line, which may speak of several
		for line := range strings.Lines(list) {
			if strings.Contains(line, "lacks ") && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return true
			}
		}
		return false
	}
	for _, v := range h.volumes {
		for _, stage := range []string{"lock", "hash"} {
			if id := stage + "/" + v; !slices.Contains(failed, id) || !lacks(stage, v) {
				t.Errorf("%s is not named among what is lacking:\n%s", id, list)
			}
		}
	}
	for _, want := range []string{"memory of", "picture of the console of"} {
		if !lacks(want) {
			t.Errorf("the list of evidence does not say that %q is lacking:\n%s", want, list)
		}
	}
	if r := h.instance.run("evidence", "verify", incident); r.code != 0 {
		t.Errorf("evidence verify ended with %d\n%s%s", r.code, r.out, r.err)
	}
	completed(t, h.undo(run))
	after := h.outside()
	h.checkNothingOpen(after)
	// moto carries the dry run of metadata options out and forgets the tokens.
	ignore := cmpopts.IgnoreFields(seen{}, "Tokens")
	if diff := cmp.Diff(before, after, ignore, cmpopts.EquateEmpty(), cmpopts.IgnoreMapEntries(func(name string, _ int) bool { return strings.HasPrefix(name, "guardroom-contain") })); diff != "" {
		t.Errorf("the world differs (-before +after):\n%s", diff)
	}
}
