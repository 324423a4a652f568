package slack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify/message"
)

const runID = "run_01jd8x7k3m0000000000000077"

// forensic is a run that takes two snapshots, in one of its states.
func forensic(state message.RunState) message.Run {
	done := message.RunCompleted
	r := message.Run{
		ID: runID, Plan: "pln_01jd8x7k3m0000000000000076", Digest: "7b3e91c4", What: "Forensic preparation", Target: "payments-api-3 (i-0f3c9d2a1b)", State: state,
		Requester: "ana", Approvals: []message.RunApproval{{Who: "raj", At: start.Add(-7 * time.Minute), Reason: "confirmed"}}, Started: start.Add(-6 * time.Minute),
		Expected: "about 9 to 25 min", Done: 1, Total: 4, Next: "guardroom run watch " + runID, Cost: "about 31 USD a month until released",
		Stages: []message.RunStage{{Name: "record", State: done, Done: 1, Total: 1, Percent: -1}, {Name: "snapshot", State: message.RunRunning, Total: 2, Percent: 62},
			{Name: "attach", State: message.RunWaiting, Total: 1, Percent: -1}},
		Steps: []message.RunStep{{ID: "record/i", Stage: "record", Title: "everything", State: done, Percent: -1},
			{ID: "snapshot/vol-1", Stage: "snapshot", Title: "vol-1 (100 GiB)", State: message.RunRunning, Percent: 62},
			{ID: "snapshot/vol-2", Stage: "snapshot", Title: "vol-2 (500 GiB)", State: message.RunRunning, Percent: -1},
			{ID: "attach/vol-1", Stage: "attach", Title: "the copy of vol-1", State: message.RunWaiting, Percent: -1}},
	}
	if !state.Ended() {
		return r
	}
	r.Done, r.Took, r.Ended, r.Next = 4, "14 m 3 s", start, "guardroom run undo "+runID
	for i := range r.Stages {
		r.Stages[i].State, r.Stages[i].Done = done, r.Stages[i].Total
	}
	for i := range r.Steps {
		r.Steps[i].State = done
	}
	r.Evidence = []message.RunEvidence{{Kind: "snapshot", Location: "snap-1", SHA256: strings.Repeat("ab", 32)}, {Kind: "snapshot", Location: "snap-2", Gap: "EBS direct APIs are refused"},
		{Kind: "workstation", Location: "i-0bbb"}, {Kind: "evidence volume", Location: "vol-9"}}
	r.Gaps = []message.RunGap{{What: "memory", Why: "the host is not in SSM"}}
	r.Connect = "aws ssm start-session --target i-0bbb --region eu-west-1"
	if state.Bad() {
		r.Stages[1].State, r.Steps[2].State = message.RunFailed, message.RunFailed
		r.Steps[2].Message, r.Steps[2].Safe, r.Steps[2].Hint = "AWS refused ec2:CreateSnapshot (UnauthorizedOperation)", "vol-1 is snapshotted", "add ec2:CreateSnapshot to the act role"
		r.Next = "guardroom run show " + runID
	}
	return r
}

// responds changes what is known of the incident's runs.
func (s *story) responds(runs ...message.Run) *story {
	v := *s.v
	v.Revision++
	v.Runs = runs
	s.v = &v
	return s
}

// begins is a run that starts, with the entry that the timeline gets.
func (s *story) begins() *story {
	s.responds(forensic(message.RunRunning))
	return s.happens(incident.KindRunStarted, false, message.Words("Run ").Value(runID).Words(" started."))
}

// progresses is a revision in which a percent has changed.
func (s *story) progresses(percent int) *story {
	r := forensic(message.RunRunning)
	r.Steps[1].Percent = percent
	return s.responds(r)
}

// ends is the end of the run.
func (s *story) ends(state message.RunState) *story {
	s.responds(forensic(state))
	return s.happens(incident.KindRunEnded, state.Bad(), forensic(state).Headline().Words("."))
}

func (s *story) plans() *story {
	p := forensic(message.RunNeedsApproval)
	p.ID, p.Needed, p.ExpiresAt, p.Next = "", 1, start.Add(18*time.Minute), "guardroom plan approve "+p.Plan+" --digest 7b3e91c4 --reason …"
	s.responds(p)
	return s.happens(incident.KindPlanWaits, true, p.Waits(start).Words(". Approve: ").Join(p.Command()))
}

// runMessages are the messages of runs in the thread.
func (r *room) runMessages() []fakeslack.Message {
	r.t.Helper()
	return slices.DeleteFunc(r.replies(), func(m fakeslack.Message) bool { return !strings.Contains(string(m.Metadata), runEvent) })
}

// showsRuns checks that each run has one message, which is what v wants.
func showsRuns(t *testing.T, r *room, v *message.View) {
	t.Helper()
	got := r.runMessages()
	if len(got) != len(v.Runs) {
		t.Fatalf("%d messages of %d runs", len(got), len(v.Runs))
	}
	for i, x := range v.Runs {
		c := r.n.runCard(x, false)
		if want := string(encode(c.blocks)) + string(encode(c.attachments)); string(got[i].Blocks)+string(got[i].Attachments) != want {
			t.Errorf("Slack shows\n%s%s\nwant\n%s", got[i].Blocks, got[i].Attachments, want)
		}
	}
}

func TestARunHasOneMessageThatIsEdited(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	r.show(s.begins().v)
	for percent := 63; percent < 70; percent++ {
		r.show(s.progresses(percent).v)
	}
	r.show(s.v) // again: nothing is sent
	r.show(s.ends(message.RunCompleted).v)
	if n := r.calls("chat.postMessage"); n != 2 {
		t.Errorf("%d messages were posted, want the root and the run", n)
	}
	got := r.runMessages()
	if len(got) != 1 || got[0].Edits != 8 {
		t.Fatalf("messages of the run: %+v", got)
	}
	if len(r.replies()) != 1 {
		t.Errorf("a run that ended well needs no line of its own: %d replies", len(r.replies()))
	}
	showsRuns(t, r, s.v)
	r.noViolations()
}

func TestARunThatFailsCallsPeople(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	r.show(s.plans().v)
	r.show(s.begins().v)
	r.show(s.ends(message.RunPartFailed).v)
	showsRuns(t, r, s.v)
	broadcast := 0
	for _, m := range r.replies() {
		if m.Broadcast {
			broadcast++
		}
	}
	if broadcast != 2 {
		t.Errorf("%d lines are in the channel too, want the plan and the failure", broadcast)
	}
	r.noViolations()
}

func TestAnotherRunHasItsOwnMessage(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	undo := forensic(message.RunUndoing)
	undo.ID, undo.What, undo.UndoOf = "run_01jd8x7k3m0000000000000088", "Undo", runID
	r.show(s.begins().v)
	r.show(s.responds(forensic(message.RunCompleted), undo).v)
	showsRuns(t, r, s.v)
	// More than a thread should hold: the newest ones.
	var many []message.Run
	for i := range 14 {
		x := forensic(message.RunCompleted)
		x.ID = fmt.Sprintf("run_%026d", i)
		many = append(many, x)
	}
	r.settle(s.responds(many...).v)
	if n := len(r.runMessages()); n != 2+maxRuns {
		t.Errorf("%d messages of runs", n)
	}
	r.noViolations()
}

func TestTheMessageOfARunComesBackWhenItIsGone(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.begins().v)
	for i := range maxRunsLost {
		m := r.runMessages()
		r.fake.Delete(m[0].Channel, m[0].TS)
		r.show(s.progresses(70 + i).v)
		showsRuns(t, r, s.v)
	}
	m := r.runMessages()
	r.fake.Delete(m[0].Channel, m[0].TS)
	out := r.show(s.progresses(80).v)
	if len(r.runMessages()) != 0 || len(out.Warnings) != 1 {
		t.Errorf("after %d losses: %d messages, warnings %q", maxRunsLost+1, len(r.runMessages()), out.Warnings)
	}
	// A thread that is gone with its root gets both again.
	r = newRoom(t, fakeslack.Options{})
	s = newStory()
	r.show(s.begins().v)
	root := r.only()
	for _, m := range r.runMessages() {
		r.fake.Delete(m.Channel, m.TS)
	}
	r.fake.Delete(root.Channel, root.TS)
	r.show(s.ends(message.RunCompleted).v)
	showsRuns(t, r, s.v)
	r.noViolations()
}

func TestAMessageOfARunIsPostedTwiceAtMost(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{Scopes: []string{"chat:write", "channels:read"}})
	s := newStory()
	r.show(s.v)
	r.fake.Fail(fakeslack.ResetAfter, fakeslack.ResetAfter)
	r.settle(s.begins().v)
	out := r.settle(s.progresses(80).v)
	if n := len(r.runMessages()); n != 2 || len(out.Warnings) == 0 {
		t.Errorf("%d messages of the run, warnings %q", n, out.Warnings)
	}
	r.noViolations()
}

func TestARunIsPlainTextWhereSlackRefusesTheLayout(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	r.show(s.v)
	r.fake.FailOn("chat.postMessage", fakeslack.Refuse("invalid_blocks"))
	r.show(s.begins().v)
	m := r.runMessages()
	if len(m) != 1 || string(m[0].Blocks) != "" && string(m[0].Blocks) != "[]" && string(m[0].Blocks) != "null" || !strings.Contains(m[0].Text, "snapshot") {
		t.Errorf("the run as plain text: %+v", m)
	}
}

func TestAWebhookAnnouncesWhatRunsNeedPeopleFor(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.restart(r.byWebhook())
	s := newStory()
	for _, c := range []struct {
		what  string
		want  int
		happy func()
	}{
		{"opened", 1, func() {}}, {"a plan waits", 2, func() { s.plans() }}, {"the run begins", 2, func() { s.begins() }}, {"it goes on", 2, func() { s.progresses(70) }},
		{"it is late", 3, func() { s.happens(incident.KindRunLate, true, message.Words("It is late.")) }},
		{"nothing holds, and it goes on", 4, func() { s.happens(incident.KindNotContained, true, message.Words("It is NOT contained.")) }},
		{"it left something open", 5, func() { s.happens(incident.KindLeftOpen, true, message.Words("Left open.")) }},
		{"that is closed", 6, func() { s.happens(incident.KindClosedAgain, false, message.Words("Closed again.")) }},
		{"it fails", 7, func() { s.ends(message.RunFailed) }},
	} {
		c.happy()
		r.show(s.v)
		if n := len(r.fake.Messages()); n != c.want {
			t.Errorf("%s: %d messages, want %d", c.what, n, c.want)
		}
	}
	r.noViolations()
}

// TestNothingIsSentForWhatChangesByItself lets time pass in a run in which
// nothing happens.
func TestNothingIsSentForWhatChangesByItself(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	slow := func(words string) message.Run {
		x := forensic(message.RunRunning)
		x.Slow, x.Took = "slower than usual ("+words+")", words
		return x
	}
	r.show(s.responds(slow("51 m")).v)
	calls := len(r.fake.Transcript())
	r.clock.pass(time.Hour)
	out := r.show(s.responds(slow("1 h 51 m")).v)
	if n := len(r.fake.Transcript()); n != calls || out.Quiet == "" {
		t.Errorf("%d calls more, %q", n-calls, out.Quiet)
	}
}
