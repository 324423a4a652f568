package pagerduty

import (
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// act is what is done to an alert.
type act string

const (
	actOpen        act = "open"
	actRefresh     act = "refresh"
	actAcknowledge act = "acknowledge"
	actResolve     act = "resolve"
)

// step is one call, on the main alert or on the second one for Critical.
type step struct {
	act      act
	critical bool
}

// wanted is what PagerDuty should show, read from a View.
type wanted struct {
	stage    stage // triggered, acknowledged or resolved
	severity float64
	pages    bool // severe enough to be sent at all
	again    bool // a second page is configured

	resourceSeq, reopenSeq, outSeq, ackSeq, raiseSeq, releasedSeq, lastSeq int64
}

func (n *Notifier) wanted(v *message.View, s state) wanted {
	w := wanted{stage: stageTriggered, severity: float64(v.Severity), again: n.cfg.PageAgainAt == "critical"}
	switch v.State {
	case incident.Acknowledged, incident.Contained:
		w.stage = stageAcknowledged
	case incident.Closed:
		w.stage = stageResolved
	}
	w.pages = v.Kind != message.KindIncident || band(v) >= n.min
	if v.Kind == message.KindTest && (s.Main.Stage == stageTriggered || s.Main.Stage == stageResolved) {
		w.stage = stageResolved // a test ends as soon as it has begun
	}
	for _, e := range v.Events {
		w.lastSeq = max(w.lastSeq, e.Seq)
		switch e.Kind {
		case incident.KindResourceJoined:
			w.resourceSeq = max(w.resourceSeq, e.Seq)
		case incident.KindReopened:
			w.reopenSeq = max(w.reopenSeq, e.Seq)
		case incident.KindAcknowledged:
			w.ackSeq = max(w.ackSeq, e.Seq)
		case incident.KindSeverityRaised:
			w.raiseSeq = max(w.raiseSeq, e.Seq)
		case incident.KindReleased:
			if e.Became != "" {
				w.releasedSeq = max(w.releasedSeq, e.Seq)
			}
		case incident.KindDrift:
			if e.Became == incident.Open { // as if it were opened again
				w.reopenSeq, w.outSeq = e.Seq, e.Seq
			}
		}
	}
	if v.State == incident.Open && w.releasedSeq > w.reopenSeq {
		// People let it out by an undo that they approved: nobody is to be called
		// for it, and the alert of the open incident is not to be resolved.
		w.stage = stageAcknowledged
	}
	return w
}

// band trusts the number where the View has both.
func band(v *message.View) finding.Band { return max(v.Band, v.Severity.Band()) }

// next returns the one call that brings PagerDuty nearer to w, and false when
// there is none left. It is asked again after each call with the new state, so
// that a crash between two calls needs no thought of its own.
func next(s state, w wanted) (step, bool) {
	if w.stage == stageResolved {
		return closing(s)
	}
	// An end that was begun comes to its end, also when the incident was
	// reopened meanwhile: else nobody could tell whether the alert is open.
	if s.Main.Ending || s.Critical.Ending {
		return closing(state{Main: ifEnding(s.Main), Critical: ifEnding(s.Critical)})
	}
	// Events cannot take an acknowledgement back, so an incident that is open
	// again gets a new alert; a second page belongs to the life before.
	if w.stage == stageTriggered && (s.Main.Stage == stageAcknowledged || s.Critical.live()) {
		return closing(state{Main: ifStage(s.Main, stageAcknowledged), Critical: s.Critical})
	}
	// What was let out calls anew, also whoever has acknowledged the alert in
	// PagerDuty itself, which is not known here.
	if w.stage == stageTriggered && s.Main.Stage == stageTriggered && w.outSeq > s.ReopenSeq {
		return closing(state{Main: s.Main})
	}
	if pagesAgain(s, w) {
		return step{actOpen, true}, true
	}
	switch s.Main.Stage {
	case stageNone, stageBegun, stageResolved:
		lost := s.Lost && s.Main.Stage == stageNone && w.stage == stageAcknowledged
		if !lost && (w.pages || s.Main.Stage == stageBegun) {
			return step{actOpen, false}, true
		}
	case stageEnded:
		if w.stage == stageTriggered && w.reopenSeq > s.ReopenSeq {
			return step{actOpen, false}, true
		}
	case stageTriggered, stageAcknowledged:
		if w.severity > s.Severity || w.resourceSeq > s.ResourceSeq || w.reopenSeq > s.ReopenSeq {
			return step{actRefresh, false}, true
		}
	}
	if w.stage == stageAcknowledged {
		if s.Main.Stage == stageTriggered {
			return step{actAcknowledge, false}, true
		}
		// Somebody took over after the second page.
		if s.Critical.Stage == stageTriggered && w.ackSeq > s.CriticalSeq {
			return step{actAcknowledge, true}, true
		}
	}
	return step{}, false
}

func closing(s state) (step, bool) {
	switch {
	case s.Main.live():
		return step{actResolve, false}, true
	case s.Critical.live():
		return step{actResolve, true}, true
	}
	return step{}, false
}

func ifStage(a alert, st stage) alert {
	if a.Stage == st {
		return a
	}
	return alert{}
}

func ifEnding(a alert) alert {
	if a.Ending {
		return a
	}
	return alert{}
}

// pagesAgain reports a rise to Critical while acknowledged: further triggers of
// the same key would notify nobody.
func pagesAgain(s state, w wanted) bool {
	if s.Critical.Stage == stageBegun {
		return true
	}
	critical := finding.Severity(w.severity).Band() == finding.Critical
	before := finding.Severity(s.Severity).Band() == finding.Critical
	if !w.again || !w.pages || w.stage != stageAcknowledged || !critical || before || s.Critical.Stage != stageNone {
		return false
	}
	return s.Main.Stage == stageAcknowledged || s.Lost || w.ackSeq > 0 && w.raiseSeq > w.ackSeq
}
