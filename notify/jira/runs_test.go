package jira

import (
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify/message"
)

// forensic is a run in one of its states.
func forensic(state message.RunState) message.Run {
	done := message.RunCompleted
	r := message.Run{
		ID: "run_01jd8x77", Plan: "pln_01jd8x76", Digest: "7b3e91c4", What: "Forensic preparation", Target: "payments-api-3 (i-0f3c9d2a1b)", State: state,
		Requester: "ana", Approvals: []message.RunApproval{{Who: "raj", At: start}}, Started: start, Expected: "about 9 to 25 min", Done: 1, Total: 3,
		Stages: []message.RunStage{{Name: "record", State: done, Done: 1, Total: 1, Percent: -1}, {Name: "snapshot", State: message.RunRunning, Total: 2, Percent: 62}},
		Steps:  []message.RunStep{{ID: "snapshot/vol-1", Stage: "snapshot", Title: "vol-1 (100 GiB)", State: message.RunRunning, Percent: 62}},
	}
	if !state.Ended() {
		return r
	}
	r.Done, r.Took, r.Ended = 3, "14 m 3 s", start.Add(14*time.Minute)
	r.Stages[1].State, r.Stages[1].Done = done, 2
	r.Steps[0].State = done
	r.Evidence = []message.RunEvidence{{Kind: "snapshot", Location: "snap-1", SHA256: strings.Repeat("ab", 32)}, {Kind: "snapshot", Location: "snap-2", Gap: "EBS direct APIs are refused"}, {Kind: "workstation", Location: "i-0bbb"}}
	r.Gaps = []message.RunGap{{What: "memory", Why: "the host is not in SSM"}}
	if state.Bad() {
		r.Stages[1].State, r.Steps[0].State, r.Steps[0].Message = message.RunFailed, message.RunFailed, "AWS refused ec2:CreateSnapshot (UnauthorizedOperation)"
	}
	return r
}

// hostileRun has s wherever an attacker may write.
func hostileRun(s string) message.Run {
	r := forensic(message.RunPartFailed)
	r.Target, r.Requester, r.Connect, r.AbortedBy, r.AbortWhy, r.Contained, r.StillOpen = s, s, s, s, s, true, []string{s, s, s, s}
	for i := range r.Steps {
		r.Steps[i].Title, r.Steps[i].Message, r.Steps[i].Safe, r.Steps[i].Hint, r.Steps[i].State = s, s, s, s, message.RunFailed
	}
	for range 60 {
		r.Evidence = append(r.Evidence, message.RunEvidence{Kind: "configuration", Location: s, Gap: s}, message.RunEvidence{Kind: "code", Title: s})
		r.Gaps = append(r.Gaps, message.RunGap{What: s, Why: s})
	}
	return r
}

func (s *story) responds(runs ...message.Run) *story {
	v := *s.v
	v.Revision++
	v.Runs = runs
	s.v = &v
	return s
}

func (s *story) plans() *story {
	p := forensic(message.RunNeedsApproval)
	p.ID, p.Needed, p.ExpiresAt, p.Next = "", 1, start.Add(30*time.Minute), "guardroom plan approve pln_01jd8x76 --digest 7b3e91c4 --reason …"
	return s.responds(p).happens(incident.KindPlanWaits)
}

func (s *story) begins() *story {
	return s.responds(forensic(message.RunRunning)).happens(incident.KindRunStarted)
}

func (s *story) ends(state message.RunState) *story {
	s.responds(forensic(state)).happens(incident.KindRunEnded)
	s.v.Events[len(s.v.Events)-1].Alerts = state.Bad()
	return s
}

func TestARunStandsInTheDescription(t *testing.T) {
	t.Parallel()
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		r := newRoom(t, fakejira.Options{Dialect: d})
		s := newStory()
		holds := func(what string, words ...string) {
			t.Helper()
			text := r.only().Text
			for _, w := range words {
				if d == fakejira.DataCenter {
					w = escapeWiki(w)
				}
				if !strings.Contains(bare(text), bare(w)) {
					t.Errorf("%s: %q is not in %s", what, w, text)
				}
			}
			if strings.Contains(text, "62 %") {
				t.Errorf("%s: per cent reached Jira: %s", what, text)
			}
		}
		r.show(s.v)
		r.show(s.plans().v)
		holds("a plan that waits", "waits for 1 approval until 10:32 UTC", "guardroom plan approve pln_01jd8x76 --digest 7b3e91c4")
		r.show(s.begins().v)
		holds("a run", "Forensic preparation of payments-api-3 (i-0f3c9d2a1b): running", "snapshot: running, 0 of 2", "approved by raj")
		writes := r.only().Writes
		more := forensic(message.RunRunning)
		more.Stages[1].Percent, more.Steps[0].Percent, more.Took, more.Slow = 99, 99, "9 m", ""
		r.show(s.responds(more).v)
		if n := r.only().Writes; n != writes {
			t.Errorf("%d writes because of a percentage", n-writes)
		}
		r.show(s.ends(message.RunCompleted).happens(incident.KindEvidenceReady).v)
		holds("an end", "completed", "snap-1", strings.Repeat("ab", 32), "EBS direct APIs are refused", "memory")
		i := r.only()
		if len(i.Comments) != 2 || !strings.Contains(i.Comments[1].Text, "snap") || !strings.Contains(i.Comments[0].Text, "plan") {
			t.Errorf("comments: %+v", i.Comments)
		}
		r.show(s.ends(message.RunPartFailed).v)
		if n := len(r.only().Comments); n != 3 {
			t.Errorf("%d comments after a failure", n)
		}
		if i := r.only(); len(r.fake.Issues()) != 1 || strings.Count(i.Text, "Forensic preparation") != 1 {
			t.Errorf("the run stands there more than once: %s", i.Text)
		}
		r.noViolations()
	})
}

func TestHostileRunsAreNoMarkup(t *testing.T) {
	t.Parallel()
	const bad = "[~admin] {noformat}{code}|h1. *b* !p.png! [l|https://evil.example]\n\\\\ \x00\u202e <b>"
	dialects(t, func(t *testing.T, d fakejira.Dialect) {
		for _, s := range []string{bad, strings.Repeat("[~*|\"\\\u202e", 5000)} {
			r := newRoom(t, fakejira.Options{Dialect: d})
			st := newStory().responds(hostileRun(s), hostileRun(s), hostileRun(s))
			r.show(st.v)
			st.happens(incident.KindEvidenceReady)
			r.show(st.v)
			outside, _, _ := strings.Cut(r.only().Description, "{noformat}")
			bad := []string{"\x00", "\u202e", `"mention"`}
			if d == fakejira.DataCenter { // on Cloud the text of a node is no markup
				bad = append(bad, "[~", "{code}", "[l|", "!p")
			}
			for _, w := range bad {
				if strings.Contains(outside, w) {
					t.Errorf("%q is in the description", w)
				}
			}
			r.noViolations()
		}
	})
}
